"""What the README and the example show is what the program reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from s3rs_async.config import Connections, load_connections
from s3rs_async.config.connections import _ENVIRONMENT
from s3rs_async.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(folder: Path) -> Connections:
    return load_connections(folder, {"SHOP_PASSWORD": "a", "DW_PASSWORD": "b"})


def test_the_readmes_connections_are_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "connections.yml").write_text(block, encoding="utf-8")

    found = load(tmp_path)

    assert len(block.splitlines()) <= 12
    assert found.sources["shop"].password.get_secret_value() == "a"
    assert found.targets["dw"].tunnel is not None


def test_the_example_has_every_setting_but_the_keys_of_s3(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config" / "connections.example.yml", tmp_path / "connections.yml")

    found = load(tmp_path)

    models = (found.sources["shop"], found.targets["dw"], found.targets["dw"].tunnel, found.s3)
    unset = {
        name
        for model in models
        if model is not None
        for name in set(type(model).model_fields) - model.model_fields_set
    }
    assert unset == {"access_key", "secret_key"}


def test_the_readme_names_every_environment_variable() -> None:
    shortened = {f"REDSHIFT_SSH_BASTION_{end}" for end in re.findall(r"`…_(\w+)`", README)}

    assert set(_ENVIRONMENT) <= shortened | set(re.findall(r"`([A-Z][A-Z0-9_]+)`", README))


def test_the_readme_names_every_exit_code() -> None:
    (table,) = re.findall(r"## Exit codes\n(.*?)\n## ", README, re.DOTALL)

    named = {
        int(code)
        for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for code in cell.split(",")
    }
    assert named == {int(code) for code in ExitCode}
