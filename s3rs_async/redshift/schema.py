"""What columns the live target has, and how they differ from a batch's.

Columns are matched by name, as Redshift folds it; their order means nothing, since every statement
names them. A target's VARCHAR or DECIMAL that holds more than the batch needs is no difference.
Any column that only one side has is one: a column more in the target would be filled with NULL in
silence, a column more at the source would be lost in silence.

`differences` is pure and tells each in words; `check` turns them into the error with the ALTER
statements that would mend them. Nothing here changes a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import SchemaDriftError
from . import sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Column, TableName, TargetId
    from .connection import Session

_SPELLINGS: Final = {
    "character varying": "VARCHAR",
    "varchar": "VARCHAR",
    "numeric": "DECIMAL",
    "decimal": "DECIMAL",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "REAL",
    "double precision": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "binary varying": "VARBYTE",
}
_SIZED: Final = re.compile(r"([a-z ]+?)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column as it is in the target, its type spelled as ours are."""

    name: str
    type: str
    nullable: bool
    has_default: bool = False


async def read_columns(session: Session, table: TableName) -> tuple[TargetColumn, ...] | None:
    """The table's columns in their order; None when there is no such table."""
    found = await session.fetch(sql.TABLE_COLUMNS, sql.fold(table.schema), sql.fold(table.name))
    return (
        tuple(
            TargetColumn(name, spelled(kind), not not_null, has_default)
            for name, kind, not_null, has_default in found
        )
        or None
    )


def spelled(catalogue_type: str) -> str:
    """The catalogue's spelling of a type in ours: `character varying(12)` → `VARCHAR(12)`."""
    if match := _SIZED.fullmatch(catalogue_type.strip()):
        sizes = ",".join(size for size in match.groups()[1:] if size is not None)
        return f"{_SPELLINGS.get(match[1].lower(), match[1].upper())}({sizes})"
    return _SPELLINGS.get(catalogue_type.lower(), catalogue_type.upper())


def differences(
    batch: Sequence[Column], target: Sequence[TargetColumn], *, whole: bool = True
) -> list[str]:
    """Each difference that keeps the batch out of the target, in words; empty when it fits.

    A batch that is not `whole` has some of the columns and fills no row.
    """
    ours = {sql.fold(column.name): column for column in batch}
    theirs = {sql.fold(column.name): column for column in target}
    added = [
        f"{c.name} {c.redshift}: not in the target" for n, c in ours.items() if n not in theirs
    ]
    dropped = [f"{c.name} {c.type}: only in the target" for n, c in theirs.items() if n not in ours]
    both = [_difference(column, theirs[name]) for name, column in ours.items() if name in theirs]
    return added + (dropped if whole else []) + [found for found in both if found]


def _difference(ours: Column, theirs: TargetColumn) -> str:
    if not holds(theirs.type, ours.redshift):
        return f"{ours.name}: {theirs.type} in the target, {ours.redshift} needed"
    if ours.nullable and not theirs.nullable:
        return f"{ours.name}: NOT NULL in the target, may be NULL at the source"
    return ""


def holds(theirs: str, ours: str) -> bool:
    """Whether a column of the target's type takes every value of ours unchanged."""
    if theirs == ours:
        return True
    their, our = _SIZED.fullmatch(theirs), _SIZED.fullmatch(ours)
    if their is None or our is None or their[1] != our[1]:
        return False
    if their[3] is None or our[3] is None:
        return their[3] == our[3] and int(their[2]) >= int(our[2])
    whole = int(their[2]) - int(their[3]) >= int(our[2]) - int(our[3])
    return whole and int(their[3]) >= int(our[3])


def alterations(
    table: TableName, batch: Sequence[Column], target: Sequence[TargetColumn]
) -> list[str]:
    """ALTER statements that add missing columns and widen what may grow; the rest is a rebuild."""
    theirs = {sql.fold(column.name): column for column in target}
    where = f"ALTER TABLE {sql.qualified(table)}"
    statements = []
    for column in batch:
        there = theirs.get(sql.fold(column.name))
        name = sql.quote(column.name)
        if there is None:
            statements.append(f"{where} ADD COLUMN {name} {column.redshift}")
        elif not holds(there.type, column.redshift) and _both_widen(there.type, column.redshift):
            statements.append(f"{where} ALTER COLUMN {name} TYPE {column.redshift}")
    return statements


def _both_widen(theirs: str, ours: str) -> bool:
    return any(theirs.startswith(kind) and ours.startswith(kind) for kind in ("VARCHAR", "VARBYTE"))


def check(
    target: TargetId,
    batch: Sequence[Column],
    columns: Sequence[TargetColumn],
    *,
    whole: bool = True,
) -> None:
    """SchemaDriftError that names every difference and what would mend it."""
    found = differences(batch, columns, whole=whole)
    if not found:
        return
    alters = alterations(target.table, batch, columns)
    raise SchemaDriftError(
        "source and target no longer have the same columns",
        where="redshift",
        table=str(target),
        differences="; ".join(found),
        hint=_hint(alters, mended=len(alters) == len(found)),
    )


def _hint(alters: list[str], *, mended: bool) -> str:
    rebuild = "drop the target and run a full refresh, or make the source's columns as they were"
    if not alters:
        return rebuild
    run = "run " + "; ".join(alters)
    return run if mended else f"{run}; for the rest, {rebuild}"
