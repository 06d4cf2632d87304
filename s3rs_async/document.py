"""A YAML document as plain values, with the place where each of them stands.

YAML 1.2's core schema on PyYAML: only `true`/`false` are booleans and only decimal digits integers,
so `NO`, `off`, `22:30` and `010` stay what they look like. A duplicate key is an error. `${VAR}`,
`${VAR:-default}` and `${VAR:?message}` are filled in after parsing and in scalars alone, so that a
value can never change the document's shape, and stay text, so that a password of digits is no
number; nothing at all is null. `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from .errors import ConfigError

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
Loc: TypeAlias = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\}")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DEEPEST = 64
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one file and the line and column (from 1) of each, by its path of keys."""

    path: Path
    value: Plain
    places: Mapping[Loc, tuple[int, int]]

    def place(self, loc: Loc) -> str:
        """`file:line:column` of the value at `loc`, or of the nearest one above it."""
        while loc and loc not in self.places:
            loc = loc[:-1]
        line, column = self.places.get(loc, (1, 1))
        return f"{self.path}:{line}:{column}"


def read_document(path: Path, environment: Mapping[str, str]) -> Document:
    """Parse one YAML file; ConfigError with file, line and column for anything wrong in it."""
    text = _read(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise _not_yaml(at, error.problem or "unreadable") from error
    except yaml.reader.ReaderError as error:
        raise _not_yaml(_spot(path, text[: error.position]), error.reason) from error
    except RecursionError:
        raise _not_yaml(f"{path}:1:1", "nested too deeply") from None
    places: dict[Loc, tuple[int, int]] = {}
    value = _Builder(path, environment, places).build(root, ()) if root is not None else None
    return Document(path, value, places)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(
            "the configuration can't be read",
            file=str(path),
            reason=error.strerror,
            hint="name a folder with a connections.yml that this user may read",
        ) from error
    except UnicodeDecodeError as error:
        at = _spot(path, error.object[: error.start].decode())
        raise ConfigError(
            "the configuration is not UTF-8", at=at, hint="save the file as UTF-8"
        ) from error


def _spot(path: Path, before: str) -> str:
    """Where a text ends, as `file:line:column`."""
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _not_yaml(at: str, problem: str) -> ConfigError:
    return ConfigError(
        "not YAML",
        at=at,
        problem=problem,
        hint="look at indentation, colons and quotes there; quote what begins with a sign",
    )


@dataclass(frozen=True, slots=True)
class _Builder:
    path: Path
    environment: Mapping[str, str]
    places: dict[Loc, tuple[int, int]]

    def build(self, node: yaml.Node, loc: Loc) -> Plain:
        self.places[loc] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if len(loc) > _DEEPEST:  # an alias may contain itself
            raise _not_yaml(self._at(node), "nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*loc, i)) for i, item in enumerate(node.value)]
        text, filled = self._filled(node)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if not plain or (filled and text):
            return text
        return _scalar(text)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _not_yaml(self._at(key_node), "a key must be a plain text")
            key = str(key_node.value)
            if key in found:
                raise ConfigError(
                    "a key stands twice", at=self._at(key_node), key=key, hint="keep one of them"
                )
            found[key] = self.build(value_node, (*loc, key))
            mark = key_node.start_mark
            self.places[(*loc, key)] = (mark.line + 1, mark.column + 1)
        return found

    def _filled(self, node: yaml.Node) -> tuple[str, bool]:
        """The text with its variables filled in, and whether there were any."""

        def fill(match: re.Match[str]) -> str:
            name, how, rest = match["name"], match["how"], match["rest"]
            if name is None:
                return "$"
            if value := self.environment.get(name, ""):
                return value
            if how == ":-":
                return str(rest)
            if how is None and name in self.environment:
                return ""
            raise ConfigError(
                rest or "an environment variable is not set",
                at=self._at(node),
                variable=name,
                hint=f"set {name}, or give a default: ${{{name}:-value}}",
            )

        text, count = _VARIABLE.subn(fill, str(node.value))
        return text, count > 0

    def _at(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _scalar(text: str) -> Plain:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
