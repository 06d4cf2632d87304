"""The table that a COPY fills: that it can be filled, and its columns in the order of the file's.

Position decides and never a name (rule 1): without a column list the columns are those of the table
in their order, identity columns left out unless EXPLICIT_IDS is given; with a list they are the
listed ones in the list's order (rule 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..dialect.tokens import literal
from ..faults import RedshiftError
from ..rules import holds
from .columns import Column

if TYPE_CHECKING:
    from ..takeover import Row
    from .copy import CopyStatement

_SQL = """
SELECT a.attname, t.typname, a.atttypmod, a.attnotnull, a.attidentity, a.atthasdef,
       pg_standin.octets(a.attrelid, a.attname), c.relkind,
       c.oid::text, pg_current_xact_id()::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE c.oid = {}::regclass ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class _Known:
    column: Column
    identity: str
    has_default: bool
    kind: str


def columns_sql(table: str) -> str:
    """What asks the backend for a table's columns."""
    return _SQL.format(literal(table))


def _known(row: Row) -> _Known:
    name, kind, typmod, not_null, identity, default, octets, relation, *_ = row
    column = Column(name or "", kind or "", int(typmod or -1), not_null == "t", int(octets or 0))
    return _Known(column, identity or "", default == "t", relation or "")


def nonexistent(table: str) -> RedshiftError:
    """Rule 1a."""
    return RedshiftError(f"Cannot COPY into nonexistent table {table}", rule="1a")


def _refuse_view(known: Iterable[_Known], table: str) -> None:
    if any(item.kind == "v" for item in known) and holds("1b"):
        raise RedshiftError(f'cannot copy to view "{table}"', "42809", rule="1b")


def _refuse_identity(known: dict[str, _Known], listed: tuple[str, ...], *, explicit: bool) -> None:
    """An identity column is listed where EXPLICIT_IDS is given, and nowhere else."""
    for name, item in known.items():
        wrong = name not in listed if explicit else name in listed and item.identity == "a"
        if item.identity and wrong and holds("2f"):
            message = "cannot set an identity column to a value"
            if explicit:
                message = "EXPLICIT_IDS needs the identity column in the column list"
            raise RedshiftError(message, "42601", rule="2f")


def _refuse_missing(known: dict[str, _Known], listed: tuple[str, ...]) -> None:
    for name, item in known.items():
        needed = item.column.not_null and not (item.has_default or item.identity)
        if name not in listed and needed and holds("2c"):
            message = "NOT NULL column without DEFAULT must be included in column list"
            raise RedshiftError(message, "42601", rule="2c")


def _listed(known: dict[str, _Known], statement: CopyStatement) -> tuple[str, ...]:
    for name in statement.columns:
        if name not in known and holds("2a"):
            message = f'column "{name}" of relation "{statement.table[-1]}" does not exist'
            raise RedshiftError(message, "42703", rule="2a")
    if not holds("2"):
        return tuple(name for name in known if name in statement.columns)
    return tuple(name for name in statement.columns if name in known)


def fillable(rows: list[Row], statement: CopyStatement) -> tuple[Column, ...]:
    """The target's columns in the order of the file's."""
    known = {item.column.name: item for item in map(_known, rows)}
    _refuse_view(known.values(), statement.table[-1])
    explicit = "EXPLICIT_IDS" in statement.options and holds("2e")
    if not statement.columns:
        all_of_them = explicit or not holds("2d")
        return tuple(item.column for item in known.values() if all_of_them or not item.identity)
    listed = _listed(known, statement)
    _refuse_identity(known, listed, explicit=explicit)
    _refuse_missing(known, listed)
    return tuple(known[name].column for name in listed)
