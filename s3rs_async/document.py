"""A YAML document as plain values, with the place where each of them stands.

YAML 1.2's core schema on PyYAML: only `true`/`false` are booleans and only decimal digits integers,
so `NO`, `off`, `22:30` and `010` stay what they look like. A duplicate key is an error. `${VAR}`,
`${VAR:-default}` and `${VAR:?message}` are filled in after parsing and in scalars alone, so that a
value can never change the document's shape, and stay text, so that a password of digits is no
number; nothing at all is null. `$$` is a dollar sign.

A file that is no YAML is told at once. What is wrong in one that is (a key that stands twice, a
variable that is not set) is a fault among the document's others, so that all can be told together.
No message quotes a value: it may be a password that wants quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from .errors import ConfigError

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
Loc: TypeAlias = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\}")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DEEPEST = 64
_MOST = 100_000  # values of one file: aliases of aliases multiply
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a file, at its line and column (from 1), and what mends it."""

    file: Path
    place: tuple[int, int]
    message: str
    hint: str
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def at(self) -> str:
        """`file:line:column`."""
        return f"{self.file}:{self.place[0]}:{self.place[1]}"

    def error(self, more: int = 0) -> ConfigError:
        """The fault as what is raised; `more` says how many others there are."""
        return ConfigError(
            self.message, hint=self.hint, **{"at": self.at, **dict(self.facts)}, more=more or None
        )


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one file and the line and column (from 1) of each, by its path of keys.

    A value in `unset` is null because its variable is not set, which is among the faults.
    """

    path: Path
    value: Plain
    places: Mapping[Loc, tuple[int, int]]
    faults: tuple[Fault, ...] = ()
    unset: frozenset[Loc] = frozenset()

    def line_column(self, loc: Loc) -> tuple[int, int]:
        """Where the value at `loc` stands, or the nearest one above it."""
        while loc and loc not in self.places:
            loc = loc[:-1]
        return self.places.get(loc, (1, 1))

    def place(self, loc: Loc) -> str:
        """`file:line:column` of the value at `loc`, or of the nearest one above it."""
        line, column = self.line_column(loc)
        return f"{self.path}:{line}:{column}"

    def fault(self, loc: Loc, message: str, hint: str, **facts: str) -> Fault:
        """A mistake at `loc`."""
        return Fault(self.path, self.line_column(loc), message, hint, tuple(facts.items()))


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults as they stand in their file."""
    return sorted(faults, key=lambda fault: fault.place)


def first_error(faults: Sequence[Fault]) -> ConfigError:
    """The first of the faults, of one at least, as an error that counts the others."""
    return faults[0].error(len(faults) - 1)


def read_document(path: Path, environment: Mapping[str, str]) -> Document:
    """Parse one YAML file; ConfigError with line and column where it is none, else its faults."""
    root = _composed(path, _read(path))
    builder = _Builder(path, environment)
    value = builder.build(root, ()) if root is not None else None
    return Document(path, value, builder.places, tuple(builder.faults), frozenset(builder.unset))


def _composed(path: Path, text: str) -> yaml.Node | None:
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        raise _not_yaml(_spot(path, text[: error.position]), error.reason) from error
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        raise _not_yaml(_marked(path, mark), _problem(error)) from None
    except (ValueError, OverflowError):  # of chr() and int(), in an escape or a directive
        raise _not_yaml(_marked(path, loader.get_mark()), "a number out of range") from None
    except RecursionError:
        raise _not_yaml(f"{path}:1:1", "nested too deeply") from None
    finally:
        loader.dispose()


def _marked(path: Path, mark: yaml.Mark) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}"


def _problem(error: yaml.MarkedYAMLError) -> str:
    """The parser's words, where they do not quote the file."""
    if isinstance(error, yaml.composer.ComposerError):
        several = "document" in str(error.problem)
        return "a second document" if several else "an alias or anchor that can't be followed"
    problem = error.problem or "unreadable"
    return "an unknown tag" if "tag handle" in problem else problem


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(
            "the configuration can't be read",
            file=str(path),
            reason=error.strerror,
            hint=f"there must be a {path.name} there that this user may read",
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
    places: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unset: set[Loc] = field(default_factory=set)

    def build(self, node: yaml.Node, loc: Loc) -> Plain:
        self.places[loc] = _line_column(node)
        if len(loc) > _DEEPEST:  # an alias may contain itself
            raise _not_yaml(self._at(node), "nested too deeply")
        if len(self.places) > _MOST:
            raise _not_yaml(self._at(node), "too many values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*loc, i)) for i, item in enumerate(node.value)]
        text, filled = self._filled(node, loc)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if loc in self.unset:
            return None
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
                self._twice(key_node, key, self.places[*loc, key])
                continue
            found[key] = self.build(value_node, (*loc, key))
            self.places[*loc, key] = _line_column(key_node)
        return found

    def _twice(self, node: yaml.Node, key: str, first: tuple[int, int]) -> None:
        facts = (("key", key), ("first", f"{self.path}:{first[0]}:{first[1]}"))
        self.faults.append(
            Fault(self.path, _line_column(node), "a key stands twice", "keep one of them", facts)
        )

    def _filled(self, node: yaml.Node, loc: Loc) -> tuple[str, bool]:
        """The text with its variables filled in, and whether there were any."""

        def fill(match: re.Match[str]) -> str:
            name, how, rest = match["name"], match["how"], match["rest"]
            if name is None:
                return "$"
            if value := self.environment.get(name, ""):
                return value
            if how == ":-":
                return str(rest)
            if how == ":?" or name not in self.environment:
                self._unset(node, loc, name, rest)
            return ""

        text, count = _VARIABLE.subn(fill, str(node.value))
        return text, count > 0

    def _unset(self, node: yaml.Node, loc: Loc, name: str, message: str | None) -> None:
        self.unset.add(loc)
        self.faults.append(
            Fault(
                self.path,
                _line_column(node),
                message or "an environment variable is not set",
                f"set {name}, or give a default: ${{{name}:-value}}",
                (("variable", name),),
            )
        )

    def _at(self, node: yaml.Node) -> str:
        return _marked(self.path, node.start_mark)


def _line_column(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _scalar(text: str) -> Plain:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
