"""Primary, unique and foreign keys as DDL writes them.

Redshift records them for its planner and enforces none; so they are facts of a table, kept beside
it by `pg_standin.add_key`, which also checks what can be checked at once: that the columns exist,
that there is one primary key, that a foreign key meets a key. Where rule D3 is off the same call
gives the backend the key, and it is enforced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..dialect.tokens import dotted, quoted

if TYPE_CHECKING:
    from ..dialect.tokens import Cursor

Facts: TypeAlias = dict[str, object]
CONSTRAINTS = ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT")
PRIMARY, UNIQUE, FOREIGN = "PRIMARY KEY", "UNIQUE", "FOREIGN KEY"
_ENDINGS = {PRIMARY: "pkey", UNIQUE: "key", FOREIGN: "fkey"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key; `target` is the table that a foreign one refers to."""

    kind: str
    name: str
    columns: tuple[str, ...]
    target: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The key for a backend that enforces it."""
        text = f"CONSTRAINT {quoted(self.name)} {self.kind} ({_listed(self.columns)})"
        if self.target:
            text += f" REFERENCES {dotted(self.target)}"
        if self.target_columns:
            text += f" ({_listed(self.target_columns)})"
        return text

    @property
    def fact(self) -> Facts:
        """What is recorded."""
        found: Facts = {"kind": self.kind, "name": self.name, "columns": self.columns}
        if self.target:
            found |= {"target": dotted(self.target), "target_columns": self.target_columns}
        return found | {"sql": self.sql}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))


def _named(kind: str, table: str, columns: tuple[str, ...]) -> str:
    parts = (table,) if kind == PRIMARY else (table, *columns)
    return "_".join((*parts, _ENDINGS[kind]))


def _target(cursor: Cursor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    target = cursor.qualified()
    follows = cursor.peek()
    return target, cursor.names() if follows is not None and follows.text == "(" else ()


def column_key(cursor: Cursor, table: str, column: str) -> Key | None:
    """A key that stands at a column, if one comes next."""
    columns = (column,)
    if cursor.accept("PRIMARY", "KEY"):
        return Key(PRIMARY, _named(PRIMARY, table, columns), columns)
    if cursor.accept("UNIQUE"):
        return Key(UNIQUE, _named(UNIQUE, table, columns), columns)
    if cursor.accept("REFERENCES"):
        return Key(FOREIGN, _named(FOREIGN, table, columns), columns, *_target(cursor))
    return None


def table_key(cursor: Cursor, table: str) -> Key:
    """A key that stands by itself."""
    name = cursor.name() if cursor.accept("CONSTRAINT") else ""
    if cursor.accept("PRIMARY", "KEY"):
        kind = PRIMARY
    elif cursor.accept("UNIQUE"):
        kind = UNIQUE
    else:
        cursor.expect("FOREIGN", "KEY")
        kind = FOREIGN
    columns = cursor.names()
    target: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if kind == FOREIGN:
        cursor.expect("REFERENCES")
        target = _target(cursor)
    cursor.end()
    return Key(kind, name or _named(kind, table, columns), columns, *target)
