from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3rs_async.config import Connections, load_connections, one_of
from s3rs_async.errors import ConfigError

SECRET = "s3cret-w0rd"
TREE: dict[str, Any] = {
    "sources": {"shop": {"host": "db", "user": "u", "password": SECRET}},
    "targets": {
        "dwh": {
            "host": "cluster",
            "database": "dev",
            "user": "u",
            "password": SECRET,
            "iam_role": "arn:x",
            "tunnel": {"host": "b", "user": "u", "key": "~/key", "known_hosts": "hosts"},
        }
    },
    "s3": {"bucket": "b", "secret_key": SECRET},
}
ENVIRONMENT = {
    "DB_HOST": "db",
    "DB_USER": "u",
    "DB_PASSWORD": "12345678",
    "S3_BUCKET_NAME": "b",
    "REDSHIFT_HOST": "cluster",
    "REDSHIFT_DATABASE": "dev",
    "REDSHIFT_USER": "u",
    "REDSHIFT_PASSWORD": SECRET,
    "REDSHIFT_IAM_ROLE": "arn:x",
}


def written(folder: Path, path: str = "", value: object = None) -> Path:
    """A folder with the tree, where `path` has another value; none takes it away."""
    tree = deepcopy(TREE)
    branch = tree
    *way, last = path.split(".") if path else ["x"]
    for key in way:
        branch = branch[key]
    if path and value is None:
        del branch[last]
    elif path:
        branch[last] = value
    (folder / "connections.yml").write_text(yaml.safe_dump(tree))
    return folder


def test_a_file_becomes_connections_that_never_show_a_secret(tmp_path: Path) -> None:
    found = load_connections(written(tmp_path), {})
    assert isinstance(found, Connections)
    source, target = found.sources["shop"], found.targets["dwh"]
    assert source.password.get_secret_value() == SECRET
    assert (source.port, target.port, source.tls, target.table_schema) == (
        3306,
        5439,
        "verify",
        None,
    )
    assert target.tunnel is not None
    assert target.tunnel.key == Path("~/key").expanduser()
    assert SECRET not in f"{found}{found!r}{found.model_dump_json()}"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("sources.shop.pasword", "x", ["unknown key", "pasword", "did you mean password?"]),
        ("targets.dwh.shcema", "x", ["unknown key", "did you mean schema?"]),
        ("targets.dwh.tunnel.known_host", "x", ["did you mean known_hosts?"]),
        ("s3.zzz", "x", ["unknown key", "known: bucket, prefix"]),
        ("target", {}, ["unknown key", "did you mean targets?"]),
        ("targets.dwh.iam_role", None, ["a key is missing", "targets.dwh.iam_role"]),
        ("s3", None, ["a key is missing", "add s3:"]),
        ("sources", {}, ["wrong value", "at least 1"]),
        ("sources.shop", "x", ["wrong value", "sources.shop"]),
        ("sources.shop.port", "much", ["wrong value", "integer"]),
        ("sources.shop.port", 70000, ["wrong value", "65535"]),
        ("sources.shop.password", 12345678, ["wrong value", "put it in quotes"]),
        ("targets.dwh.tls", "no", ["wrong value", "'off', 'require' or 'verify'"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_meant(
    tmp_path: Path, path: str, value: object, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_connections(written(tmp_path, path, value), {})
    told = f"{caught.value} {caught.value.hint}"
    assert f"at={tmp_path}/connections.yml:" in told
    for word in words:
        assert word in told
    assert SECRET not in told
    assert "12345678" not in told


@pytest.mark.parametrize("text", ["", "- a\n", "text\n", "3\n"])
def test_a_document_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "connections.yml").write_text(text)
    with pytest.raises(ConfigError, match=r"connections\.yml:1:1"):
        load_connections(tmp_path, {})


def test_the_environment_alone_is_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_connections(None, {**ENVIRONMENT, "DB_PORT": "3307", "REDSHIFT_SCHEMA": ""})
    source, target = found.sources["default"], found.targets["default"]
    assert source.port == 3307
    assert source.password.get_secret_value() == "12345678"
    assert target.tunnel is None
    assert target.table_schema is None


def test_a_source_has_its_bastion_from_the_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"HOST": "b", "PORT": "2222", "USER": "u", "KEY_PATH": "k", "KNOWN_HOSTS": "h"}
    found = load_connections(
        None, ENVIRONMENT | {f"SSH_BASTION_{name}": text for name, text in names.items()}
    )
    tunnel = found.sources["default"].tunnel
    assert tunnel is not None
    assert (tunnel.place, tunnel.user, str(tunnel.key)) == ("b:2222", "u", "k")
    assert found.targets["default"].tunnel is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DB_HOST": ""}, ["no connections", "DB_HOST"]),
        ({"DB_USER": ""}, ["is missing", "variable=DB_USER"]),
        ({"S3_BUCKET_NAME": ""}, ["is missing", "variable=S3_BUCKET_NAME"]),
        ({"DB_PORT": "many"}, ["wrong value", "variable=DB_PORT"]),
        ({"REDSHIFT_TLS": "maybe"}, ["wrong value", "variable=REDSHIFT_TLS"]),
        (
            {"REDSHIFT_SSH_BASTION_USER": "u"},
            ["is missing", "variable=REDSHIFT_SSH_BASTION_HOST"],
        ),
        (
            dict.fromkeys((name for name in ENVIRONMENT if name.startswith("REDSHIFT")), ""),
            ["is missing", "variable=REDSHIFT_HOST"],
        ),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_connections(None, {**ENVIRONMENT, **changes})
    for word in words:
        assert word in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_a_folder_here_comes_before_the_environment_and_a_named_one_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    written(tmp_path / "config")
    assert list(load_connections(None, ENVIRONMENT).sources) == ["shop"]
    with pytest.raises(ConfigError, match="can't be read"):
        load_connections(tmp_path / "named", ENVIRONMENT)


def test_a_connection_is_the_only_one_or_the_named_one() -> None:
    assert one_of("source", ["a"], None) == "a"
    assert one_of("source", ["a", "b"], "b") == "b"
    with pytest.raises(ConfigError, match="several sources") as several:
        one_of("source", ["a", "b"], None)
    assert several.value.hint == "name one with --source"
    with pytest.raises(ConfigError, match="unknown source") as unknown:
        one_of("source", ["shop", "crm"], "shopp")
    assert unknown.value.hint == "did you mean shop?"


@pytest.mark.parametrize("ttl", [0, 0.5, 3601, "30s", "inf"])
def test_a_claim_s_ttl_is_a_number_of_seconds(tmp_path: Path, ttl: object) -> None:
    with pytest.raises(ConfigError, match="claim_ttl"):
        load_connections(written(tmp_path, "s3.claim_ttl", ttl), {})
    assert load_connections(written(tmp_path, "s3.claim_ttl", 2), {}).s3.claim_ttl == 2
    assert load_connections(written(tmp_path), {}).s3.claim_ttl == 30


@pytest.mark.parametrize("key", ["ghost_timeout", "load_timeout"])
@pytest.mark.parametrize("seconds", [0, 0.5, -1, 1e9, "soon", "inf"])
def test_how_long_a_load_may_take_is_bounded(tmp_path: Path, key: str, seconds: object) -> None:
    with pytest.raises(ConfigError, match=key):
        load_connections(written(tmp_path, f"targets.dwh.{key}", seconds), {})


def test_a_load_waits_ten_minutes_and_takes_four_hours_unless_told(tmp_path: Path) -> None:
    usual = load_connections(written(tmp_path), {}).targets["dwh"]
    assert (usual.ghost_timeout, usual.load_timeout) == (600, 14_400)
    told = load_connections(written(tmp_path, "targets.dwh.ghost_timeout", 5), {}).targets["dwh"]
    assert (told.ghost_timeout, told.load_timeout) == (5, 14_400)
