"""Two tables, one in MySQL and one in the stand-in, compared row by row, every value of each.

Nothing of the product's own reading is used, and the stand-in is looked into from behind, at its
PostgreSQL. Each server writes its rows as canonical text by the
columns' types (ends and NULL marked, zero dates as the NULL they become, bytes as hex) and sends
its digest; floating point is sent as it is. What a MySQL value should have become is so written a
second time, from the documents. Rows are paired by all they are, so a row twice, a row missing and
a row changed are each seen; where a table has a key, what differs is named by it.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import asyncpg
import pymysql
import pymysql.cursors

from ..sandbox import Box
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


async def compare(table: DemoTable, box: Box) -> Difference:
    """Read both sides whole and compare them, two spans of keys at a time."""
    found = Difference()
    with connect(box.mysql.url) as source:
        spans = await asyncio.to_thread(_spans, source, table)
    async with asyncio.TaskGroup() as tasks:
        for each in (spans[::2], spans[1::2]):
            tasks.create_task(_compare(table, box, each, found), name=table.name)
    return found


async def _compare(table: DemoTable, box: Box, spans: list[str], found: Difference) -> None:
    behind = box.redshift.postgres
    target = await asyncpg.connect(
        host=str(behind.socket_folder), user=behind.user, database=box.redshift.database
    )
    try:
        with connect(box.mysql.url) as source:
            for clause in spans:
                ours = await asyncio.to_thread(_source_rows, source, table, clause)
                theirs = await _target_rows(target, table, clause)
                found.add(await asyncio.to_thread(_differ, ours, theirs, table))
    finally:
        await target.close()


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
    texts = ", ".join(
        f"IFNULL({_SOURCE_TEXT.get(_kind(kind), '{0}').format(f'`{name}`')}, CHAR(2))"
        for name, kind, _ in table.columns
        if name not in _floats(table)
    )
    return f"MD5(CONCAT_WS(CHAR(1), {texts}))"


def _target_digest(table: DemoTable) -> str:
    texts = " || chr(1) || ".join(
        f"COALESCE({_target_text(name, kind)}, chr(2))"
        for name, kind, _ in table.columns
        if name not in _floats(table)
    )
    return f"MD5({texts})"


def _target_text(name: str, kind: str) -> str:
    if _kind(kind) not in ("DATETIME", "TIMESTAMP"):
        return f'"{name}"::text'
    digits = kind.partition("(")[2][:1] if kind[len(_kind(kind)) :].startswith("(") else ""
    fraction = f".FF{digits}" if digits else ""
    return f"TO_CHAR(\"{name}\", 'YYYY-MM-DD HH24:MI:SS{fraction}')"


def _kind(column_type: str) -> str:
    return column_type.partition("(")[0].partition(" ")[0]


_POSSIBLE = "IF(DAYOFMONTH({0}) * MONTH({0}) = 0, NULL, {0})"
_SOURCE_TEXT = {
    "DATE": _POSSIBLE,
    "DATETIME": _POSSIBLE,
    "TIMESTAMP": _POSSIBLE,
    "TIME": "CAST(TIME_TO_SEC({0}) * 1000000 AS SIGNED)",
    "BINARY": "LOWER(HEX({0}))",
    "VARBINARY": "LOWER(HEX({0}))",
    "BIT": "({0} + 0)",
}
"""What a MySQL value is called where that is not its own text: what it has to be in Redshift."""


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
