"""What the README and the examples show is what the program reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from s3rs_async.config import (
    Connections,
    check_pipeline,
    load_connections,
    load_pipeline,
    load_pipelines,
)
from s3rs_async.config.connections import _ENVIRONMENT
from s3rs_async.config.tables import KeySettings, TableSettings
from s3rs_async.errors import ExitCode
from s3rs_async.metrics import FAMILIES
from s3rs_async.model import DELETED_AT, TableKeys, TableName, TableSpec
from s3rs_async.mysql import custom, query

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(folder: Path) -> Connections:
    return load_connections(folder, {"SHOP_PASSWORD": "a", "DW_PASSWORD": "b"})


def test_the_readmes_yaml_is_read(tmp_path: Path) -> None:
    block, *pipelines = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "connections.yml").write_text(block, encoding="utf-8")
    (tmp_path / "pipelines").mkdir()
    for number, text in enumerate(pipelines):
        (tmp_path / "pipelines" / f"p{number}.yml").write_text(text, encoding="utf-8")

    found = load(tmp_path)
    read = load_pipelines(tmp_path, {})

    assert len(block.splitlines()) <= 12
    assert found.sources["shop"].password.get_secret_value() == "a"
    assert found.targets["dw"].tunnel is not None
    assert len(read) == len(pipelines)
    for pipeline in read:
        assert pipeline.notices == ()
        check_pipeline(pipeline, found)


def test_the_queries_that_are_shown_are_queries(tmp_path: Path) -> None:
    blocks = list(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
    example = ROOT / "config" / "pipelines" / "shop.example.yml"
    shown = [example.read_text("utf-8"), *(text for text in blocks if "custom_sql" in text)]

    assert len(shown) == 2
    for number, text in enumerate(shown):
        path = tmp_path / f"p{number}.yml"
        path.write_text(text, encoding="utf-8")
        specs = [entry.spec for entry in load_pipeline(None, str(path), {}).entries]
        (asked,) = [spec for spec in specs if spec.sql is not None]
        found = query.read(asked.table, asked.sql or "", custom.cursor_name(asked))
        assert found.closed


def test_the_example_has_every_setting_but_the_keys_of_s3(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config" / "connections.example.yml", tmp_path / "connections.yml")

    found = load(tmp_path)

    source, target = found.sources["shop"], found.targets["dw"]
    models = (source, source.tunnel, target, target.tunnel, found.s3)
    unset = {
        name
        for model in models
        if model is not None
        for name in set(type(model).model_fields) - model.model_fields_set
    }
    assert unset == {"access_key", "secret_key"}


def test_the_example_of_a_pipeline_has_every_setting(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config" / "connections.example.yml", tmp_path / "connections.yml")
    example = ROOT / "config" / "pipelines" / "shop.example.yml"

    pipeline = load_pipeline(None, str(example), {})

    check_pipeline(pipeline, load(tmp_path))
    assert (pipeline.name, pipeline.source, pipeline.target) == ("shop", "shop", "dw")
    assert pipeline.notices == ()
    assert [str(entry.spec.table) for entry in pipeline.entries] == [
        "shop.orders",
        "shop.events",
        "shop.prices",
        "shop.visits",
        "shop.stock",
        "shop.bills",
    ]
    assert {entry.every for entry in pipeline.entries} == {60.0, 900.0}
    untouched = TableSpec(TableName("a", "b"), keys=TableKeys())
    left = {
        name
        for name in TableSpec.__dataclass_fields__
        if all(getattr(e.spec, name) == getattr(untouched, name) for e in pipeline.entries)
    }
    assert left == set()
    text = example.read_text(encoding="utf-8")
    for word in (*TableSettings.model_fields, *KeySettings.model_fields):
        assert re.search(rf"^ +{word}:", text, re.MULTILINE), word


def test_examples_are_not_taken_for_pipelines() -> None:
    assert load_pipelines(ROOT / "config", {}) == []


def test_the_readme_names_every_environment_variable() -> None:
    named, last = set(), ""
    for name in re.findall(r"`(…_[A-Z_]+|[A-Z][A-Z0-9_]+)`", README):
        last = last if name.startswith("…") else name  # `…_PORT` goes on from the name before
        named.add(f"{last.rpartition('_')[0]}{name[1:]}" if name.startswith("…") else name)

    assert set(_ENVIRONMENT) <= named


def test_the_readme_names_every_exit_code() -> None:
    (table,) = re.findall(r"## Exit codes\n(.*?)\n## ", README, re.DOTALL)

    named = {
        int(code)
        for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for code in cell.split(",")
    }
    assert named == {int(code) for code in ExitCode}


def test_the_readme_names_every_metric_by_its_name() -> None:
    there = {family.name for family in FAMILIES} | {"s3rs_pass_seconds"}

    others = {"s3rs_async", "s3rs_meta", DELETED_AT}
    named = set(re.findall(r"\bs3rs_[a-z_]*[a-z](?=\{|`)", README)) - others

    assert named <= there
    assert there == named
