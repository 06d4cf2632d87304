"""A table read by several connections at once is read as by one: rows, order, chunks, positions."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pyarrow as pa
import pymysql
import pytest

from s3rs_async.errors import SchemaDriftError, UnavailableError
from s3rs_async.model import Bound, Mode, Position, Proof, Strategy
from s3rs_async.mysql import connection
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import Run, application, configured, plan_of
from tests.acceptance.test_mysql_faults import gone

FOUR = Room(4, 1 << 20)
HI = "2026-03-01 00:00:00.000000"
WHOLE: dict[str, Any] = {"strategy": Strategy.FULL_SYNC}
IDS: dict[str, Any] = {"strategy": Strategy.ID_ONLY, "mode": Mode.APPEND}
APPENDED: dict[str, Any] = {"strategy": Strategy.TIMESTAMP_ONLY, "mode": Mode.APPEND}
STAMP = (
    "t DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (t)"
)
STAMPED = f"CREATE TABLE a (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT, {STAMP})"
# Ten rows share a moment; the last ones are at the bound and beyond it.
MOMENTS = "'2026-02-01' + INTERVAL (seq DIV 10) * 2.5 HOUR"
TABLES = {
    "sparse": (
        "CREATE TABLE a (id BIGINT PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT CAST(seq * seq * seq * 1000 AS SIGNED) - 5000000, seq FROM seq_1_to_3000",
        WHOLE,
    ),
    "composite": (
        "CREATE TABLE a (x INT, y VARCHAR(20), z DATETIME(3), v INT, PRIMARY KEY (x, y, z))",
        "INSERT INTO a SELECT seq DIV 900, CONCAT('k', seq DIV 7), '2026-01-01' + INTERVAL seq "
        "SECOND, seq FROM seq_1_to_3000",
        WHOLE,
    ),
    "text": (
        "CREATE TABLE a (name VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT CONCAT(CHAR(39), CHAR(92), IF(seq % 2, 'É', 'e'), MD5(seq)), seq "
        "FROM seq_1_to_3000",
        WHOLE,
    ),
    "binary": (
        "CREATE TABLE a (name BINARY(16) PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT UNHEX(MD5(seq)), seq FROM seq_1_to_3000",
        WHOLE,
    ),
    "ids": (STAMPED, f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} FROM seq_1_to_3000", IDS),
    "merge": (STAMPED, f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} FROM seq_1_to_3000", {}),
    "append": (
        STAMPED,
        f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} FROM seq_1_to_3000",
        APPENDED,
    ),
    "condition": (
        STAMPED,
        f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} FROM seq_1_to_3000",
        {"where": "v % 5 = 0"},
    ),
}
POSITIONS = {
    "merge": [Position("2026-02-03 02:00:00.000000", ("600",)), Position("2026-02-03 02:30:00")],
    "ids": [Position(None, ("4000",))],
}


def bound() -> Bound:
    return Bound(HI, Proof.PROVEN, "2026-03-01T00:00:03+00:00", key_to="8000")


async def told(source: Source, plan: Any, at: Any, limit: int, room: Room = FOUR) -> list[Any]:
    """A pass as plain values: every row in its order, and the ends of chunks between them."""
    found: list[Any] = []
    given = None if plan.strategy is Strategy.FULL_SYNC else bound()
    reading = read_pass(source, plan, at, given, limit=limit, room=room)
    async with asyncio.timeout(60), contextlib.aclosing(reading) as items:
        async for item in items:
            found += item.to_pylist() if isinstance(item, pa.RecordBatch) else [item]
    return found


def killed(run: Run, source: Source) -> None:
    with contextlib.suppress(pymysql.err.OperationalError):
        run(f"KILL {max(source.own)}")


@pytest.mark.parametrize("kind", TABLES)
async def test_four_connections_tell_what_one_tells(run: Run, source: Source, kind: str) -> None:
    ddl, rows, asked = TABLES[kind]
    run(ddl)
    run(rows)
    plan = await plan_of(source, **asked)
    assert plan.index is not None
    for at in [None, *POSITIONS.get(kind, [])]:
        for limit in (137, 500, 5000):
            one = await told(source, plan, at, limit, Room())
            assert await told(source, plan, at, limit) == one
