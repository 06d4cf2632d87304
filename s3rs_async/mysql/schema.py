"""A table as its server describes it.

Three reads of information_schema. A table that is not there is told with the names that are near
it; one that the user may not see looks the same to MySQL, and the hint says so.
"""

from __future__ import annotations

import difflib

from ..errors import ConfigError
from ..model import TableName
from . import sql
from .connection import Cell, Session
from .table import SourceColumn, SourceTable

_FACTS = 13


async def read_table(session: Session, table: TableName) -> SourceTable:
    """The table's columns and keys; ConfigError if it is not there or must not be seen."""
    found = await session.query(sql.table_facts(table))
    if not found:
        raise await _unknown(session, table)
    columns = columns_of(await session.query(sql.column_facts(table)))
    indexes = _indexes(await session.query(sql.index_facts(table)))
    nullable = {column.name for column in columns if column.nullable}
    keys = [
        (name, parts)
        for name, unique, parts in indexes
        if unique and all(part is not None and part not in nullable for part in parts)
    ]
    keys.sort(key=lambda key: (key[0] != "PRIMARY", len(key[1])))
    return SourceTable(
        name=table,
        columns=columns,
        keys=tuple(tuple(part for part in parts if part is not None) for _, parts in keys),
        primary=bool(keys) and keys[0][0] == "PRIMARY",
        indexes=tuple((name, tuple(parts)) for name, _, parts in indexes),
        engine=found[0][0],
        estimated_rows=int(found[0][2]) if found[0][2] else None,
    )


def columns_of(rows: list[tuple[Cell, ...]]) -> tuple[SourceColumn, ...]:
    """The columns that `sql.column_facts` told of, whatever else the rows tell behind them."""
    return tuple(_column(row[:_FACTS]) for row in rows)


async def _unknown(session: Session, table: TableName) -> ConfigError:
    names = [row[0] or "" for row in await session.query(sql.table_names(table.schema))]
    near = difflib.get_close_matches(table.name, names, n=3, cutoff=0.5)
    if near:
        hint = "the nearest names are " + ", ".join(f"{table.schema}.{name}" for name in near)
    else:
        hint = f"the user sees {len(names)} tables in {table.schema}: check the name and its grants"
    return ConfigError("unknown table", table=str(table), hint=hint)


def _column(row: tuple[Cell, ...]) -> SourceColumn:
    (name, data_type, column_type, nullable, *numbers, charset, collation, default, extra) = row
    characters, octets, precision, scale, fraction = (
        None if number is None else int(number) for number in numbers
    )
    own_stamp = "on update current_timestamp" in (extra or "").lower()
    may_be_null = nullable == "YES"
    first = (default or "null").lower()
    return SourceColumn(
        name=name or "",
        data_type=(data_type or "").lower(),
        column_type=column_type or "",
        nullable=may_be_null,
        characters=characters,
        octets=octets,
        precision=precision,
        scale=scale,
        fraction=fraction,
        charset=charset,
        collation=collation,
        own_stamp=own_stamp,
        born_stamped=first.startswith("current_timestamp") or (may_be_null and first == "null"),
        auto_increment="auto_increment" in (extra or "").lower(),
    )


def _indexes(rows: list[tuple[Cell, ...]]) -> list[tuple[str, bool, list[str | None]]]:
    """Name, whether unique, and the columns in order; None for an expression or a prefix."""
    found: dict[str, tuple[str, bool, list[str | None]]] = {}
    for name, not_unique, column, prefix in rows:
        index = found.setdefault(name or "", (name or "", not_unique == "0", []))
        index[2].append(column if prefix is None else None)
    return list(found.values())
