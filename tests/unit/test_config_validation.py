from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3rs_async.config import load_connections, load_pipeline
from s3rs_async.config.connections import Connections
from s3rs_async.config.pipeline import _File
from s3rs_async.config.tables import TableSettings
from s3rs_async.config.validation import Finding, validate
from s3rs_async.config.words import _MODES, CURSOR_WORDS, ELSEWHERE
from s3rs_async.errors import ConfigError

SECRET = "XxXs3cretXxX"
CONNECTIONS = """\
sources:
  shop: {host: h, user: u}
  crm: {host: h, user: u}
targets:
  dw: {host: h, user: u, password: p, database: d, iam_role: r, schema: land}
s3: {bucket: b}
"""
PIPELINE = "source: shop\ntarget: dw\ntables: {a.b: , a.c: {mode: append}}\n"


def folder(root: Path, connections: str = CONNECTIONS, **pipelines: str) -> Path:
    (root / "pipelines").mkdir(parents=True)
    (root / "connections.yml").write_text(connections, encoding="utf-8")
    for name, text in pipelines.items():
        (root / "pipelines" / f"{name}.yml").write_text(text, encoding="utf-8")
    return root


def test_a_right_file_has_one_finding_and_its_notices(tmp_path: Path) -> None:
    root = folder(tmp_path / "c", shop=PIPELINE)
    file = f"{root}/pipelines/shop.yml"

    assert validate(root, {}) == [
        Finding(f"{root}/connections.yml", None, "2 sources, 1 target", "", ok=True),
        Finding(file, None, "2 tables", "", ok=True),
        Finding(
            file,
            f"{file}:3:23",
            "`mode` is read as apply: append",
            "write apply: append",
            ok=True,
        ),
    ]


def test_every_mistake_of_every_file_is_told_in_its_order(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "c",
        CONNECTIONS.replace("user: u}", "usr: u, tls: '${NONE}'}", 1).replace("bucket", "buckt"),
        a="source: shopp\ntables: {x: , a.b: {every: 1, evry: 2}}\ntarget: ${NONE:?say it}\n",
        b=f"pipeline: a\n{PIPELINE}",
        c="a: [",
    )

    found = validate(root, {})

    assert [(f.at or f.file).removeprefix(f"{root}/") for f in found if not f.ok] == [
        "connections.yml:2:3",
        "connections.yml:2:19",
        "connections.yml:2:32",
        "connections.yml:6:1",
        "connections.yml:6:6",
        "pipelines/a.yml:1:1",
        "pipelines/a.yml:2:10",
        "pipelines/a.yml:2:21",
        "pipelines/a.yml:2:31",
        "pipelines/a.yml:3:9",
        "pipelines/b.yml",
        "pipelines/c.yml:1:5",
    ]
    assert (found[5].message, found[5].hint) == ("unknown source", "did you mean shop?")
    assert found[9].message == "say it (variable=NONE)"
    assert found[10].message == f"two files are one pipeline (name=a, first={root}/pipelines/a.yml)"
    assert [f.message for f in found if f.ok] == ["`mode` is read as apply: append"]


def test_tables_are_compared_by_where_a_broken_target_would_send_them(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "c",
        CONNECTIONS.replace("iam_role: r, ", ""),
        p="source: shop\ntarget: dw\ntables: [a.x, b.x]\n",
    )

    messages = [finding.message for finding in validate(root, {})]

    assert messages[0] == "a key is missing (key=targets.dw.iam_role)"
    assert messages[1].startswith("two tables go to one target table")


@pytest.mark.parametrize("connections", ["sources: [a]\n", "x: [", "- a\n"])
def test_names_are_not_looked_for_where_there_are_none(tmp_path: Path, connections: str) -> None:
    root = folder(tmp_path / "c", connections, p=PIPELINE)

    found = [finding for finding in validate(root, {}) if finding.file.endswith("p.yml")]

    assert [finding.ok for finding in found] == [True, True]


def test_a_word_that_is_refused_has_no_notice(tmp_path: Path) -> None:
    root = folder(tmp_path / "c", p=PIPELINE.replace("mode: append", "mode: append, apply: merge"))

    assert [f.message for f in validate(root, {}) if f.file.endswith("p.yml")] == [
        "mode and apply say one thing (key=tables.a.c.mode)"
    ]


def test_the_environment_is_validated_where_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("DB_HOST", "DB_USER", "S3_BUCKET_NAME", "REDSHIFT_HOST", "REDSHIFT_DATABASE")
    names += ("REDSHIFT_USER", "REDSHIFT_PASSWORD", "REDSHIFT_IAM_ROLE")
    right = dict.fromkeys(names, "x")

    assert [f.message for f in validate(None, right)] == ["1 source, 1 target"]
    assert [f.message for f in validate(None, {})] == ["no connections"]
    wrong = validate(None, {**right, "DB_PORT": SECRET, "REDSHIFT_USER": ""})
    assert [(f.file, f.at, f.ok) for f in wrong] == [("environment", None, False)] * 2
    assert "variable=DB_PORT" in wrong[0].message
    assert "variable=REDSHIFT_USER" in wrong[1].message
    assert SECRET not in str(wrong)


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    (finding,) = validate(tmp_path, {})

    assert not finding.ok
    assert finding.file == f"{tmp_path}/connections.yml"
    assert "can't be read" in finding.message


def everything(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of each value of a tree, that of every part of it too."""
    inner = [(key, value) for key, value in node.items()] if isinstance(node, dict) else []
    return [path, *(p for key, value in inner for p in everything(value, (*path, key)))]


FULL: dict[str, Any] = {
    "sources": {
        "shop": {
            "host": "h",
            "port": 1,
            "user": "u",
            "password": "p",
            "tls": "off",
            "ca": "c",
            "cursor_time_zone": "UTC",
            "tunnel": {"host": "h", "port": 1, "user": "u", "key": "k", "known_hosts": "k"},
        }
    },
    "targets": {
        "dw": {
            "host": "h",
            "port": 1,
            "database": "d",
            "user": "u",
            "password": "p",
            "schema": "s",
            "iam_role": "r",
            "tls": "off",
            "ca": "c",
            "tunnel": {"host": "h", "port": 1, "user": "u", "key": "k", "known_hosts": "k"},
        }
    },
    "s3": {
        "bucket": "b",
        "prefix": "p",
        "region": "r",
        "endpoint": "e",
        "access_key": "a",
        "secret_key": "s",
    },
}
WHOLE: dict[str, Any] = {
    "pipeline": "p",
    "source": "shop",
    "target": "dw",
    "defaults": dict.fromkeys((*TableSettings.model_fields, *CURSOR_WORDS, *ELSEWHERE, "mode")),
    "tables": {
        "a.b": {
            **dict.fromkeys((*TableSettings.model_fields, *CURSOR_WORDS, *ELSEWHERE, "mode")),
            "keys": {"distkey": "d", "sortkey": "s"},
        }
    },
}


def put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    return {**tree, path[0]: put(tree[path[0]], path[1:], value)}


def told(root: Path) -> str:
    """All that is said of a configuration, in whatever way it is asked for."""
    environment = {"SECRET": SECRET}
    said = [str(validate(root, environment))]
    for load in (load_connections, _pipeline):
        try:
            load(root, environment)
        except ConfigError as error:
            said.append(f"{error} {error.hint} {error!r}")
    return "".join(said)


def _pipeline(root: Path, environment: Mapping[str, str]) -> object:
    return load_pipeline(root, "p", environment)


@pytest.mark.parametrize("shape", [SECRET, "${SECRET}", [{"x": SECRET}]])
def test_a_secret_in_a_wrong_place_never_shows(tmp_path: Path, shape: object) -> None:
    root = folder(tmp_path / "c", p=PIPELINE)
    for tree, name in ((FULL, "connections.yml"), (WHOLE, "pipelines/p.yml")):
        for path in everything(tree):
            text = yaml.safe_dump(put(tree, path, shape), sort_keys=False)
            (root / name).write_text(text)
            assert SECRET not in told(root), path
        (root / name).write_text(CONNECTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "*{}", "&{} ", "&{0} a: &{0} b", "!{0}!{0} x", "a: {}", "@{}", "'{}", "[{}", "{{{}", "%{}",
        "a: b: {}", "? {}", "{0}\n{0}", "> {}", '"\\{}"', "`{}", "- {}", "!!{}", "--- {}",
    ],
)  # fmt: skip
def test_a_password_that_wants_quotes_never_shows(tmp_path: Path, text: str) -> None:
    broken = CONNECTIONS.replace("password: p", f"password: {text.format(SECRET)}")
    root = folder(tmp_path / "c", broken)

    found = validate(root, {})

    assert SECRET not in str(found)


KEYS = [
    *Connections.model_fields,
    *_File.model_fields,
    *TableSettings.model_fields,
    *CURSOR_WORDS,
    *ELSEWHERE,
    "mode",
    "a.b",
    "shop",
    "host",
    "port",
    "distkey",
    "sortkey",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(
        [*_MODES, "1m", "-1m", "9" * 40 + "h", "a.b", "*.*", "${X}", "${X:?y}", "${X:-1}", "$$"]
    ),
    st.text(string.printable, max_size=8),
    st.text(max_size=8),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
DOCUMENTS = st.one_of(
    st.text(),
    st.text("ab.:-?[]{},&*!|>'\"%@` \n\t#~${}\\xuU0", max_size=60),
    TREES.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)),
    st.fixed_dictionaries(
        {"source": SCALARS, "target": SCALARS, "tables": TREES}, optional={"defaults": TREES}
    ).map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)),
    st.dictionaries(st.sampled_from(list(TableSettings.model_fields)), SCALARS).map(
        lambda table: yaml.safe_dump({"source": "a", "target": "b", "tables": {"a.b": table}})
    ),
)


@given(text=DOCUMENTS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_is_anything_but_a_configuration_or_a_mistake(tmp_path: Path, text: str) -> None:
    root = tmp_path / "c"
    (root / "pipelines").mkdir(parents=True, exist_ok=True)
    for name in ("connections.yml", "pipelines/p.yml"):
        (root / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    wrong = {finding.file for finding in validate(root, {}) if not finding.ok}

    assert _is_refused(load_connections, root) == (str(root / "connections.yml") in wrong)
    assert not _is_refused(_pipeline, root) or str(root / "pipelines/p.yml") in wrong


def _is_refused(load: Callable[[Path, Mapping[str, str]], object], root: Path) -> bool:
    try:
        load(root, {})
    except ConfigError as error:
        return bool(error.hint)
    return False
