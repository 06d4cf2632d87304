"""Two tables, one in MySQL and one in the stand-in, compared row by row and value by value.

Nothing of the product's own reading is used: PyMySQL reads one side and asyncpg the other, and what
a MySQL value should have become is written here a second time, from the documents. Rows are paired
by the whole of their values, so a row twice, a row missing and a row changed are all seen; where a
table has a key, what differs is named by it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import asyncpg
import pymysql
import pymysql.cursors

from .tables import DATABASE, DemoTable

Row = tuple[object, ...]
_SPAN = 25_000
"""Rows compared at a time; bounds the memory."""


@dataclass(slots=True)
class Difference:
    """What one table's two sides do not share, by key (or whole row where there is none)."""

    rows: int = 0
    values: int = 0
    missing: list[Row] = field(default_factory=list)
    extra: list[Row] = field(default_factory=list)

    @property
    def changed(self) -> list[Row]:
        """Keys on both sides whose rows differ."""
        return sorted(set(self.missing) & set(self.extra), key=str)

    def add(self, other: Difference) -> None:
        """Join the difference of another span of rows."""
        self.rows += other.rows
        self.values += other.values
        self.missing += other.missing
        self.extra += other.extra


async def compare(table: DemoTable, environment: Mapping[str, str]) -> Difference:
    """Read both sides whole and compare them."""
    found = Difference()
    target = await asyncpg.connect(environment["S3RS_SANDBOX_REDSHIFT_URL"])
    try:
        with connect(environment["S3RS_SANDBOX_MYSQL_URL"]) as source:
            for clause in await asyncio.to_thread(_spans, source, table):
                ours = asyncio.to_thread(_source_rows, source, table, clause)
                async with asyncio.TaskGroup() as both:
                    reading = both.create_task(ours, name="mysql")
                    fetching = both.create_task(
                        _target_rows(target, table, clause), name="redshift"
                    )
                part = await asyncio.to_thread(_differ, reading.result(), fetching.result(), table)
                found.add(part)
    finally:
        await target.close()
    return found


def connect(url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """A connection to the sandbox's MySQL, by its URL, at UTC."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=str(parts.hostname),
        port=parts.port or 0,
        user=unquote(str(parts.username)),
        password=unquote(str(parts.password)),
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
    )


def _spans(source: pymysql.Connection[pymysql.cursors.Cursor], table: DemoTable) -> list[str]:
    """WHERE clauses that cut the table by its first key column, open at both ends."""
    if not table.key or "INT" not in table.columns[0][1]:
        return ["1 = 1"]
    key = table.key[0]
    with source.cursor() as cursor:
        cursor.execute(f"SELECT MAX({key}) FROM {DATABASE}.{table.name}")
        (top,) = cursor.fetchone() or (0,)
    edges = list(range(_SPAN, int(top or 0), _SPAN))
    starts = ["1 = 1", *(f"{key} >= {edge}" for edge in edges)]
    ends = [*(f"{key} < {edge}" for edge in edges), "1 = 1"]
    return [f"{start} AND {end}" for start, end in zip(starts, ends, strict=True)]


def _source_rows(
    source: pymysql.Connection[pymysql.cursors.Cursor], table: DemoTable, clause: str
) -> list[Row]:
    names = ", ".join(
        f"`{name}` * 1e0" if kind.startswith("FLOAT") else f"`{name}`"
        for name, kind, _ in table.columns
    )
    with source.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT {names} FROM {DATABASE}.{table.name} WHERE {clause}")
        rows = cursor.fetchall()
    changes = [(i, change) for i, change in enumerate(map(_expected, table.columns)) if change]
    return [_changed(row, changes) for row in rows]


async def _target_rows(target: asyncpg.Connection, table: DemoTable, clause: str) -> list[Row]:
    names = ", ".join(f'"{name}"' for name, _, _ in table.columns)
    found = await target.fetch(f"SELECT {names} FROM {DATABASE}.{table.name} WHERE {clause}")
    return [tuple(row) for row in found]


def _changed(row: Sequence[object], changes: list[tuple[int, Callable[[object], object]]]) -> Row:
    values = list(row)
    for index, change in changes:
        if values[index] is not None:
            values[index] = change(values[index])
    return tuple(values)


def _expected(column: tuple[str, str, str]) -> Callable[[object], object] | None:
    """What a value of this column should have become in Redshift; None: the same."""
    kind = column[1].partition("(")[0].partition(" ")[0]
    return {
        "DATE": _no_zero,
        "DATETIME": _no_zero,
        "TIMESTAMP": _no_zero,
        "TIME": _microseconds,
        "FLOAT": _single,
        "BINARY": _hex,
        "VARBINARY": _hex,
        "BIT": _number,
    }.get(kind)


def _no_zero(value: object) -> object:
    return value if isinstance(value, dt.date) else None  # the driver leaves impossible dates text


def _microseconds(value: object) -> object:
    return value // dt.timedelta(microseconds=1) if isinstance(value, dt.timedelta) else value


def _single(value: object) -> object:
    return struct.unpack("f", struct.pack("f", value))[0]


def _hex(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _number(value: object) -> object:
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def _differ(source: list[Row], target: list[Row], table: DemoTable) -> Difference:
    found = Difference(len(source), len(source) * len(table.columns))
    left, right = Counter(source), Counter(target)
    if left != right:
        found.missing = list(_keys(left - right, table))
        found.extra = list(_keys(right - left, table))
    return found


def _keys(rows: Counter[Row], table: DemoTable) -> Iterator[Row]:
    names = [name for name, _, _ in table.columns]
    places = [names.index(name) for name in table.key] or range(len(names))
    for row in rows.elements():
        yield tuple(row[place] for place in places)
