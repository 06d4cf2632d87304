"""Two tables, one in MySQL and one in the stand-in, compared row by row, every value of each.

Nothing of the product's own reading is used. Each server writes its rows as canonical text by the
columns' types (lengths and NULL marked, zero dates as the NULL they become, bytes as hex) and sends
its digest; floating point is sent as it is. What a MySQL value should have become is so written a
second time, from the documents. Rows are paired by all they are, so a row twice, a row missing and
a row changed are each seen; where a table has a key, what differs is named by it.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import asyncpg
import pymysql
import pymysql.cursors

from .tables import DATABASE, DemoTable

Row = tuple[object, ...]
_SPAN = 50_000
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
    shown = ", ".join(
        [*table.key, _source_digest(table), *(f"`{n}` * 1e0" for n in _floats(table))]
    )
    with source.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT {shown} FROM {DATABASE}.{table.name} WHERE {clause}")
        rows = cursor.fetchall()
    singles = [len(table.key) + 1 + i for i, n in enumerate(_floats(table)) if n in _singles(table)]
    return [_narrowed(row, singles) for row in rows] if singles else list(rows)


async def _target_rows(target: asyncpg.Connection, table: DemoTable, clause: str) -> list[Row]:
    shown = ", ".join([*table.key, _target_digest(table), *_floats(table)])
    found = await target.fetch(f"SELECT {shown} FROM {DATABASE}.{table.name} WHERE {clause}")
    return [tuple(row) for row in found]


def _floats(table: DemoTable) -> list[str]:
    """Columns that are fetched as they are: their text is spelled differently on the two sides."""
    return [name for name, kind, _ in table.columns if kind.startswith(("FLOAT", "DOUBLE"))]


def _singles(table: DemoTable) -> list[str]:
    return [name for name, kind, _ in table.columns if kind.startswith("FLOAT")]


def _narrowed(row: Row, places: list[int]) -> Row:
    values = list(row)
    for place in places:
        if values[place] is not None:
            (values[place],) = struct.unpack("f", struct.pack("f", values[place]))
    return tuple(values)


def _source_digest(table: DemoTable) -> str:
    texts = [
        _SOURCE_TEXT.get(_kind(kind), "{}").format(f"`{name}`")
        for name, kind, _ in table.columns
        if name not in _floats(table)
    ]
    marked = ", ".join(f"COALESCE(CONCAT(LENGTH({text}), ':', {text}), '~')" for text in texts)
    return f"MD5(CONCAT({marked}))"


def _target_digest(table: DemoTable) -> str:
    texts = [
        _TARGET_TEXT.get(_kind(kind), "{}::varchar").format(f'"{name}"')
        for name, kind, _ in table.columns
        if name not in _floats(table)
    ]
    marked = " || ".join(f"COALESCE(OCTET_LENGTH({t})::varchar || ':' || {t}, '~')" for t in texts)
    return f"MD5({marked})"


def _kind(column_type: str) -> str:
    return column_type.partition("(")[0].partition(" ")[0]


_MOMENT = (
    "IF(MONTH({0}) = 0 OR DAYOFMONTH({0}) = 0, NULL, DATE_FORMAT({0}, '%Y-%m-%d %H:%i:%s.%f'))"
)
_SOURCE_TEXT = {
    "DATE": "IF(MONTH({0}) = 0 OR DAYOFMONTH({0}) = 0, NULL, DATE_FORMAT({0}, '%Y-%m-%d'))",
    "DATETIME": _MOMENT,
    "TIMESTAMP": _MOMENT,
    "TIME": "CAST(TIME_TO_SEC({0}) * 1000000 AS SIGNED)",
    "BINARY": "LOWER(HEX({0}))",
    "VARBINARY": "LOWER(HEX({0}))",
    "BIT": "({0} + 0)",
}
_TARGET_TEXT = {
    "DATE": "TO_CHAR({0}, 'YYYY-MM-DD')",
    "DATETIME": "TO_CHAR({0}, 'YYYY-MM-DD HH24:MI:SS.US')",
    "TIMESTAMP": "TO_CHAR({0}, 'YYYY-MM-DD HH24:MI:SS.US')",
}
"""What a value is called on each side, so that equal values have equal names and no others do."""


def _differ(source: list[Row], target: list[Row], table: DemoTable) -> Difference:
    found = Difference(len(source), len(source) * len(table.columns))
    left, right = Counter(source), Counter(target)
    if left != right:
        found.missing = list(_keys(left - right, table))
        found.extra = list(_keys(right - left, table))
    return found


def _keys(rows: Counter[Row], table: DemoTable) -> Iterator[Row]:
    for row in rows.elements():
        yield row[: len(table.key)] or row
