from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async.document import first_error, in_order, read_document
from s3rs_async.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str | bytes, **environment: str) -> Any:
    path = folder / "x.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    document = read_document(path, environment)
    if document.faults:
        raise first_error(document.faults)
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("22:30", "22:30"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_a_scalar_is_what_it_looks_like(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"a: {text}").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${V}", "v: [1]"),
        ("a-${V}-b", "a-v: [1]-b"),
        ("'${V}'", "v: [1]"),
        ("${DIGITS}", "0123456"),
        ("${TRUE}", "true"),
        ("${EMPTY}", None),
        ("'${EMPTY}'", ""),
        ("${NONE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${NONE:-}", None),
        ("pa$$word", "pa$word"),
        ("pa$word", "pa$word"),
        ("$${V}", "${V}"),
        ("9999999999999999999", "9999999999999999999"),
    ],
)
def test_a_variable_is_text_and_cannot_change_the_shape(
    tmp_path: Path, text: str, value: object
) -> None:
    there = {"V": "v: [1]", "DIGITS": "0123456", "TRUE": "true", "EMPTY": ""}
    assert read(tmp_path, f"a: {text}", **there).value == {"a": value}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb:\n  c: ${NONE}\n", "3:6", "NONE"),
        ("a: 1\nb: ${NONE:?say which}\n", "2:4", "say which"),
        ("a: 1\nb: 2\na: 3\n", "3:1", "twice"),
        ("a:\n  b: 1\n  b: 2\n", "3:3", "twice"),
        ("a: [1\nb: 2\n", "2:2", "not YAML"),
        ("a:\n\tb: 1\n", "2:1", "not YAML"),
        ("a: 1\n---\nb: 2\n", "2:1", "not YAML"),
        ("a: 1\nb: \x01\n", "2:4", "not YAML"),
        ("? [x, y]\n: 1\n", "1:3", "a key must be"),
        ("a: &x [*x]\n", "1:4", "too deeply"),
        ("[" * 5000, "1:1", "too deeply"),
        (b"a: 1\nb: \xff\n", "2:4", "UTF-8"),
        ('a: 1\nb: "\\U00110000"\n', "2:7", "out of range"),
        ('a: "\\Uffffffff"\n', "1:7", "out of range"),
        (f"%YAML 1.{'9' * 5000}\n--- a\n", "1:9", "out of range"),
        ("a: *b\n", "1:4", "can't be followed"),
        ("a: !b!c d\n", "1:4", "unknown tag"),
        (f"a: &a [{'x, ' * 99}]\nb: &b [{'*a, ' * 99}]\nc: [{'*b, ' * 99}]\n", "1:", "too many"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(
    tmp_path: Path, text: str | bytes, place: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert f"at={tmp_path}/x.yml:{place}" in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read") as caught:
        read_document(tmp_path / "none.yml", {})
    assert caught.value.context["reason"] == "No such file or directory"
    with pytest.raises(ConfigError, match="can't be read"):
        read_document(tmp_path, {})


def test_a_value_has_the_place_of_its_key_and_a_missing_one_that_of_its_parent(
    tmp_path: Path,
) -> None:
    document = read(tmp_path, "a:\n  b: 1\n  c:\n    - x\n")
    path = tmp_path / "x.yml"
    assert document.place(("a", "b")) == f"{path}:2:3"
    assert document.place(("a", "none")) == f"{path}:1:1"
    assert document.place(("a", "c", 0)) == f"{path}:4:7"
    assert read(tmp_path, "").place(("a",)) == f"{path}:1:1"


def test_every_fault_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("a: ${A}\nb: [x, '${B:?the b}-${C}']\na: 2\nc: {d: 1, d: 2}\n${K}: ${E}\n")

    document = read_document(path, {"E": "", "K": "k"})

    assert [(f.place, f.message, dict(f.facts)) for f in document.faults] == [
        ((1, 4), "an environment variable is not set", {"variable": "A"}),
        ((2, 8), "the b", {"variable": "B"}),
        ((2, 8), "an environment variable is not set", {"variable": "C"}),
        ((3, 1), "a key stands twice", {"key": "a", "first": f"{path}:1:1"}),
        ((4, 11), "a key stands twice", {"key": "d", "first": f"{path}:4:5"}),
    ]
    assert document.value == {"a": None, "b": ["x", None], "c": {"d": 1}, "${K}": None}
    assert document.unset == {("a",), ("b", 1)}
    assert in_order(reversed(document.faults))[0].place == (1, 4)
    first = first_error(document.faults)
    assert first.context == {"at": f"{path}:1:4", "variable": "A", "more": 4}


@pytest.mark.parametrize(
    "text", ["*PASS", "&PASS x y: &PASS", "!PASS!x y", "'PASS", "@PASS", "[PASS", "PASS: x: y"]
)
def test_what_is_no_yaml_is_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="not YAML") as caught:
        read(tmp_path, f"password: {text}\n")

    assert "PASS" not in f"{caught.value} {caught.value.hint}"
