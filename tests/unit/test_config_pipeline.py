from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from s3rs_async.config import (
    Connections,
    Pipeline,
    check_pipeline,
    load_connections,
    load_pipeline,
    load_pipelines,
)
from s3rs_async.config.validation import validate
from s3rs_async.errors import ConfigError
from s3rs_async.model import (
    BigintUnsigned,
    Binary,
    CursorFormat,
    Dates,
    LongText,
    Mode,
    NulBytes,
    Policies,
    Sizes,
    Strategy,
    TableKeys,
    TableName,
    TableSpec,
    TinyInt1,
)

HEAD = "source: shop\ntarget: dw\n"
ONE = f"{HEAD}tables: [a.b]\n"


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / "pipelines" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def loaded(folder: Path, text: str, **environment: str) -> Pipeline:
    written(folder, "p.yml", text)
    return load_pipeline(folder, "p", environment)


def specs(pipeline: Pipeline) -> dict[str, TableSpec]:
    return {str(entry.spec.table): entry.spec for entry in pipeline.entries}


def connections(folder: Path, **target: str) -> Connections:
    dw = {"host": "h", "user": "u", "password": "p", "database": "d", "iam_role": "r", **target}
    (folder / "connections.yml").write_text(
        f"sources: {{shop: {{host: h, user: u}}}}\ntargets: {{dw: {dw}}}\ns3: {{bucket: b}}\n"
    )
    return load_connections(folder, {})


def test_every_key_of_a_table_becomes_what_is_asked_for_it(tmp_path: Path) -> None:
    settings = """
      cdc_strategy: timestamp_only
      cdc_timestamp_column: t
      cdc_id_column: i
      timestamp_format: unix_ms
      additional_where: deleted = 0
      target_name: landing.x
      primary_key: [i, j]
      apply: append
      cursor_time_zone: "+08:00"
      connections: 4
      compression: snappy
      batch_size: 64MiB
      batch_time: 30s
      file_size: 16 MiB
      keys: {distkey: i, sortkey: [t, i]}
      every: 1h30m"""
    pipeline = loaded(tmp_path, f"{HEAD}tables:\n    a.b:{settings}\n    a.c: {{lookback: 90s}}\n")

    (first, second) = pipeline.entries

    assert first.spec == TableSpec(
        table=TableName("a", "b"),
        target="landing.x",
        strategy=Strategy.TIMESTAMP_ONLY,
        cursor="t",
        id="i",
        format=CursorFormat.UNIX_MS,
        key=("i", "j"),
        mode=Mode.APPEND,
        where="deleted = 0",
        cursor_time_zone="+08:00",
        connections=4,
        compression="snappy",
        sizes=Sizes(64 << 20, 30.0, 16 << 20),
        keys=TableKeys("i", ("t", "i")),
    )
    assert first.every == 5400.0
    assert second.spec == TableSpec(TableName("a", "c"), lookback=90.0)


def test_a_table_of_which_nothing_is_said_is_left_to_what_it_is(tmp_path: Path) -> None:
    (entry,) = loaded(tmp_path, ONE).entries

    assert entry.spec == TableSpec(TableName("a", "b"))
    assert entry.every == 900.0


@pytest.mark.parametrize(
    "tables",
    [
        "{a.b: {}, a.c: {primary_key: i}}",
        "{a.b: , a.c: {primary_key: [i]}}",
        "[a.b, a.c: {primary_key: [i]}]",
        "\n- a.b:\n- a.c:\n    primary_key: i",
    ],
)
def test_tables_are_keys_or_a_list(tmp_path: Path, tables: str) -> None:
    found = specs(loaded(tmp_path, f"{HEAD}tables: {tables}\n"))

    assert list(found) == ["a.b", "a.c"]
    assert found["a.c"].key == ("i",)


def test_a_tables_own_value_wins_and_a_null_takes_the_default_away(tmp_path: Path) -> None:
    text = f"""{HEAD}
defaults: {{every: 1m, apply: merge, lookback: 5m, cdc_timestamp_column: t, primary_key: i}}
tables:
  a.b:
  a.c: {{every: null, lookback: null, apply: append, cdc_timestamp_column: u}}
  a.d: {{update_key: null, primary_key: [j]}}
"""
    pipeline = loaded(tmp_path, text)
    found = specs(pipeline)

    assert [entry.every for entry in pipeline.entries] == [60.0, 900.0, 60.0]
    assert [spec.lookback for spec in found.values()] == [300.0, 0.0, 300.0]
    assert [spec.mode for spec in found.values()] == [Mode.MERGE, Mode.APPEND, Mode.MERGE]
    assert [spec.cursor for spec in found.values()] == ["t", "u", None]
    assert [spec.key for spec in found.values()] == [("i",), ("i",), ("j",)]


def test_the_nearest_policy_wins_and_null_is_one_where_it_can_be(tmp_path: Path) -> None:
    text = f"""{HEAD}
defaults: {{dates: fail, long_text: truncate, binary: varbyte, nul_bytes: strip}}
tables:
  a.b:
  a.c:
    dates: null
    long_text: null
    binary: null
    tinyint1: bool
    columns: {{n: {{long_text: fail, bigint_unsigned: bigint}}, d: {{dates: text}}}}
"""
    first, second = specs(loaded(tmp_path, text)).values()

    common = Policies(Dates.FAIL, LongText.TRUNCATE, NulBytes.STRIP, Binary.VARBYTE)
    assert (first.policies, first.columns) == (common, ())
    own = Policies(Dates.NULL, LongText.NULL, NulBytes.STRIP, Binary.HEX, TinyInt1.BOOL)
    assert second.policies == own
    named = frozenset({"long_text", "bigint_unsigned"})
    note = replace(own, long_text=LongText.FAIL, bigint_unsigned=BigintUnsigned.BIGINT, own=named)
    day = replace(own, dates=Dates.TEXT, own=frozenset({"dates"}))
    assert second.columns == (("n", note), ("d", day))


def test_a_contradiction_among_defaults_is_none_where_no_table_has_it(tmp_path: Path) -> None:
    text = f"{HEAD}defaults: {{lookback: 5m, apply: append}}\ntables: {{a.b: {{apply: merge}}}}\n"

    (spec,) = specs(loaded(tmp_path, text)).values()

    assert (spec.lookback, spec.mode) == (300.0, Mode.MERGE)


@pytest.mark.parametrize(
    ("settings", "name", "value", "write"),
    [
        ("update_key: t", "cursor", "t", "cdc_timestamp_column"),
        ("cursor_field: [t]", "cursor", "t", "cdc_timestamp_column"),
        ("replication_key: t", "cursor", "t", "cdc_timestamp_column"),
        ("incremental_key: t", "cursor", "t", "cdc_timestamp_column"),
        ("incremental_key: i, cdc_strategy: id_only", "id", "i", "cdc_id_column"),
        ("mode: incremental", "strategy", Strategy.HYBRID, "cdc_strategy: hybrid"),
        ("mode: full-refresh", "strategy", Strategy.FULL_SYNC, "cdc_strategy: full_sync"),
        ("mode: full_refresh", "strategy", Strategy.FULL_SYNC, "cdc_strategy: full_sync"),
        ("mode: replace", "strategy", Strategy.FULL_SYNC, "cdc_strategy: full_sync"),
        ("mode: append", "mode", Mode.APPEND, "apply: append"),
        ("mode: Merge", "mode", Mode.MERGE, "apply: merge"),
    ],
)
def test_another_tools_word_is_read_as_ours_with_a_notice(
    tmp_path: Path, settings: str, name: str, value: object, write: str
) -> None:
    pipeline = loaded(tmp_path, f"{HEAD}tables:\n  a.b: {{ {settings} }}\n")

    word = settings.partition(":")[0]
    assert getattr(pipeline.entries[0].spec, name) == value
    assert pipeline.notices == (
        f"{pipeline.file}:4:10: `{word}` is read as {write}: write {write}",
    )


def test_another_tools_word_takes_its_meaning_from_the_strategy_of_all(tmp_path: Path) -> None:
    text = f"{HEAD}defaults: {{cdc_strategy: id_only}}\ntables: {{a.b: {{update_key: i}}}}\n"

    (spec,) = specs(loaded(tmp_path, text)).values()

    assert (spec.id, spec.cursor) == ("i", None)


def test_variables_are_filled_in_values_and_not_in_keys(tmp_path: Path) -> None:
    text = f"{HEAD}defaults:\n  every: ${{EVERY}}\n  lookback: ${{BACK:-}}\ntables:\n- ${{T}}\n"

    (entry,) = loaded(tmp_path, text, EVERY="5m", T="a.b").entries

    assert (str(entry.spec.table), entry.every, entry.spec.lookback) == ("a.b", 300.0, 0.0)
    with pytest.raises(ConfigError, match="not a table name"):
        loaded(tmp_path, f"{HEAD}tables: {{'${{T}}': }}\n", T="a.b")


def test_the_first_mistake_is_raised_and_the_others_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key") as caught:
        loaded(tmp_path, f"{HEAD}tabels: x\ndefaults: {{every: 3}}\ntables: {{a: , b: }}\n")

    assert caught.value.context["more"] == 3
    assert str(caught.value.context["at"]).endswith("p.yml:3:1")


def test_a_variable_that_is_not_set_is_told_before_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not set") as caught:
        loaded(tmp_path, "source: ${NONE}\n")

    assert caught.value.context["more"] == 2


def test_a_pipeline_is_found_by_its_files_name_its_own_or_a_path(tmp_path: Path) -> None:
    file = written(tmp_path, "nightly.yaml", f"pipeline: sales\n{ONE}")
    written(tmp_path, "broken.yml", "a: [")

    assert load_pipeline(tmp_path, "nightly", {}).name == "sales"
    assert load_pipeline(tmp_path, "sales", {}).file == file
    assert load_pipeline(None, str(file), {}).name == "sales"


def test_without_a_folder_pipelines_are_in_config_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    written(tmp_path / "config", "p.yml", ONE)

    assert load_pipeline(None, "p", {}).file == Path("config/pipelines/p.yml")
    assert [pipeline.name for pipeline in load_pipelines(None, {})] == ["p"]


def test_an_unknown_pipeline_is_told_with_the_nearest_and_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown pipeline") as none:
        load_pipeline(tmp_path, "shop", {})
    written(tmp_path, "shop.yml", ONE)
    written(tmp_path, "sales.example.yml", ONE)
    with pytest.raises(ConfigError) as near:
        load_pipeline(tmp_path, "shopp", {})

    assert none.value.hint == f"write {tmp_path}/pipelines/shop.yml"
    assert near.value.hint == "did you mean shop?"
    assert near.value.context == {"name": "shopp", "folder": f"{tmp_path}/pipelines"}


def test_a_path_to_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_pipeline(tmp_path, "nowhere.yml", {})


def test_examples_hidden_files_and_others_are_no_pipelines(tmp_path: Path) -> None:
    assert load_pipelines(tmp_path, {}) == []
    for name in ("b.yml", "a.yaml", "c.example.yml", ".d.yml", "e.txt", "f.yml~"):
        written(tmp_path, name, ONE)

    assert [pipeline.name for pipeline in load_pipelines(tmp_path, {})] == ["a", "b"]


def test_two_files_cannot_be_one_pipeline(tmp_path: Path) -> None:
    first = written(tmp_path, "a.yml", f"pipeline: b\n{ONE}")
    second = written(tmp_path, "b.yml", ONE)
    with pytest.raises(ConfigError, match="two files are one pipeline") as caught:
        load_pipelines(tmp_path, {})
    second.rename(second.with_name("a.yaml"))
    with pytest.raises(ConfigError, match="two files are one pipeline"):
        load_pipeline(tmp_path, "a", {})

    assert caught.value.context == {"name": "b", "file": str(second), "first": str(first)}


@pytest.mark.parametrize("stem", ["adhoc.x", "a b", "x" * 65, "-a", "ä"])
def test_a_files_name_that_names_nothing_asks_for_another(tmp_path: Path, stem: str) -> None:
    written(tmp_path, f"{stem}.yml", ONE)
    with pytest.raises(ConfigError, match="the file's name can't name a pipeline") as caught:
        load_pipelines(tmp_path, {})

    assert caught.value.hint == "add pipeline: NAME"


def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    written(tmp_path, "p.yml", ONE)
    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ConfigError, match="the pipelines can't be read") as caught:
        load_pipelines(tmp_path, {})

    assert caught.value.context["reason"] == "Permission denied"
    assert [f.ok for f in validate(tmp_path, {})] == [False, False]


@pytest.mark.parametrize(
    ("schema", "tables", "clash"),
    [
        ("", "{a.x: , b.x: }", False),
        ("landing", "{a.x: , b.x: }", True),
        ("landing", "{a.x: , b.x: {target_name: b.x}}", False),
        ("landing", "{a.x: , b.y: {target_name: landing.X}}", True),
        ("", "{a.x: , b.y: {target_name: x}}", False),
        ("", "{a.x: , A.X: }", True),
    ],
)
def test_two_tables_must_not_go_to_one(
    tmp_path: Path, schema: str, tables: str, *, clash: bool
) -> None:
    there = connections(tmp_path, **({"schema": schema} if schema else {}))
    pipeline = loaded(tmp_path, f"{HEAD}tables: {tables}\n")

    if not clash:
        check_pipeline(pipeline, there)
        return
    with pytest.raises(ConfigError, match="two tables go to one target table") as caught:
        check_pipeline(pipeline, there)
    column = 10 + tables.index(",")
    assert caught.value.context["at"] == f"{pipeline.file}:3:{column + 1}"
    assert caught.value.context["first"] == f"{pipeline.file}:3:10"


def test_a_connection_that_is_not_there_is_told_at_its_place(tmp_path: Path) -> None:
    there = connections(tmp_path)
    pipeline = loaded(tmp_path, "source: shpo\ntarget: lake\ntables: [a.b]\n")
    with pytest.raises(ConfigError, match="unknown source") as caught:
        check_pipeline(pipeline, there)

    assert caught.value.context == {"at": f"{pipeline.file}:1:1", "more": 1}
    assert caught.value.hint == "did you mean shop?"
