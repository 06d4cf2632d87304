"""The tables that are read: a narrow one, the demo's 53 columns as peers can read them, and as is.

Rows are made by the server from a sequence, the same on every machine. `wild` is the demo's table
itself. `wide` differs from it in five columns, in values alone: ConnectorX ends in a panic at dates
that no calendar has and at times of a day or more, and it takes every decimal for DECIMAL(38, 10),
into which 38 digits do not fit. No column is left out and no type is another. Neither has the
demo's second index: all that is read here is read in the order of the primary key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from s3rs_async.demo.tables import DATABASE, TABLES, DemoTable

if TYPE_CHECKING:
    import pymysql

__all__ = ["DATABASE", "HUGE", "TABLES_BY_NAME", "create", "create_huge"]

_PIECE = 250_000
"""Rows of one transaction, so that the server's undo log stays small."""
HUGE = "huge"
HUGE_BYTES = 64 * 1024 * 1024

_NARROW = (
    ("id", "BIGINT NOT NULL", "n"),
    ("a", "INT", "n * 7 % 100003"),
    ("s", "VARCHAR(30)", "CONCAT('name ', n % 5000)"),
    ("d", "DECIMAL(12,2)", "n / 7"),
    ("t", "DATETIME", "'2026-01-01' + INTERVAL n SECOND"),
)
_TAME = {
    "settled_units": "CAST(POW(10, n % 18) AS DECIMAL(38,0)) + n",
    "due_on": "IF(n % 50 = 1, NULL, '2020-02-29' + INTERVAL (h % 1000) DAY)",
    "delivered_at": (
        "IF(n % 40 = 1, NULL, '2019-01-01' + INTERVAL (h * 41 % 200000000000000) MICROSECOND)"
    ),
    "service_time": "SEC_TO_TIME(h % 86400)",
    "transit_time": "IF(n % 10 = 0, NULL, ADDTIME('01:15:30.250', SEC_TO_TIME(n % 80000)))",
}


def _tamed() -> tuple[tuple[str, str, str], ...]:
    return tuple((name, kind, _TAME.get(name, made)) for name, kind, made in TABLES[0].columns)


TABLES_BY_NAME = {
    "narrow": DemoTable("narrow", _NARROW, ("id",), 1.0, keeps_deleted=True),
    "wide": replace(TABLES[0], name="wide", columns=_tamed(), index=""),
    "wild": replace(TABLES[0], name="wild", index=""),
}


def create(cursor: pymysql.cursors.Cursor, table: DemoTable, rows: int) -> None:
    """The table with so many rows, committed."""
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    cursor.execute(
        "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION', optimizer_switch = 'derived_merge=off'"
    )
    cursor.execute(f"DROP TABLE IF EXISTS {DATABASE}.{table.name}")
    cursor.execute(table.ddl)
    for first in range(1, rows + 1, _PIECE):
        cursor.execute(table.fill(first, min(first + _PIECE - 1, rows)))
        cursor.execute("COMMIT")
    cursor.execute(f"ANALYZE TABLE {DATABASE}.{table.name}")
    cursor.execute(f"SELECT COUNT(*) FROM {DATABASE}.{table.name}")


def create_huge(cursor: pymysql.cursors.Cursor) -> None:
    """A table with one row of 64 MiB, and a small one beside it."""
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    cursor.execute(f"DROP TABLE IF EXISTS {DATABASE}.{HUGE}")
    cursor.execute(f"CREATE TABLE {DATABASE}.{HUGE} (id BIGINT PRIMARY KEY, body LONGTEXT)")
    cursor.execute(
        f"INSERT INTO {DATABASE}.{HUGE} VALUES (1, 'small'), (2, REPEAT('abcdefgh', %s))",
        [HUGE_BYTES // 8],
    )
    cursor.execute("COMMIT")
