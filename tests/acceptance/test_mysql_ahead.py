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
from s3rs_async.mysql import reader
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import Run, configured, plan_of
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
ROWS = "FROM seq_1_to_3000"
TABLES = {
    "sparse": (
        "CREATE TABLE a (id BIGINT PRIMARY KEY, v INT)",
        f"INSERT INTO a SELECT CAST(POW(seq, 3) * 1000 AS SIGNED) - 5000000, seq {ROWS}",
        WHOLE,
    ),
    "composite": (
        "CREATE TABLE a (x INT, y VARCHAR(20), z DATETIME(3), v INT, PRIMARY KEY (x, y, z))",
        f"INSERT INTO a SELECT seq DIV 900, seq DIV 7, 20260101 + INTERVAL seq SECOND, seq {ROWS}",
        WHOLE,
    ),
    "text": (
        "CREATE TABLE a (name VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)",
        f"INSERT INTO a SELECT CONCAT(CHAR(39, 92), IF(seq % 2, 'É', 'e'), MD5(seq)), seq {ROWS}",
        WHOLE,
    ),
    "binary": (
        "CREATE TABLE a (name BINARY(16) PRIMARY KEY, v INT)",
        f"INSERT INTO a SELECT UNHEX(MD5(seq)), seq {ROWS}",
        WHOLE,
    ),
    "ids": (STAMPED, f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} {ROWS}", IDS),
    "merge": (STAMPED, f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} {ROWS}", {}),
    "append": (
        STAMPED,
        f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} {ROWS}",
        APPENDED,
    ),
    "condition": (
        STAMPED,
        f"INSERT INTO a SELECT seq * 3, seq, {MOMENTS} {ROWS}",
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


async def stalled(run: Run, source: Source) -> int:
    """How many of our connections the server waits for; a while is given to it."""
    for _ in range(200):
        states = {row[0]: row[6] for row in run("SHOW FULL PROCESSLIST")}
        waiting = [
            states.get(thread) in ("Writing to net", "Sending data") for thread in source.own
        ]
        if sum(waiting) >= 3:
            break
        await asyncio.sleep(0.1)
    return sum(waiting)


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


async def test_rows_that_are_read_again_come_first_and_alone(run: Run, source: Source) -> None:
    ddl, rows, _ = TABLES["merge"]
    run(ddl)
    run(rows)
    plan = await plan_of(source, lookback=86_400.0)
    at = POSITIONS["merge"][0]
    assert await told(source, plan, at, 137) == await told(source, plan, at, 137, Room())


async def test_pages_are_found_and_read_within_their_part_of_the_index(
    run: Run, source: Source
) -> None:
    ddl, rows, asked = TABLES["composite"]
    run(ddl)
    run(rows)
    plan = await plan_of(source, **asked)
    await told(source, plan, None, 300)
    ((_, before),) = run("SHOW GLOBAL STATUS LIKE 'Handler_read_next'")

    await told(source, plan, None, 300)

    ((_, after),) = run("SHOW GLOBAL STATUS LIKE 'Handler_read_next'")
    assert int(after) - int(before) < 2 * 3000 + 500


@pytest.mark.parametrize("most", [1, 8])
async def test_a_lost_connection_costs_no_row_and_no_order(
    run: Run, source: Source, most: int
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(1000))")
    run("INSERT INTO a SELECT seq * 7, REPEAT('x', 1000) FROM seq_1_to_30000")
    plan = await plan_of(source)
    seen, ends, kills = [], [], 0
    reading = read_pass(source, plan, None, None, limit=4000, room=FOUR)
    async with contextlib.aclosing(reading) as items:
        async for item in items:
            if not isinstance(item, pa.RecordBatch):
                ends.append(item.rows)
                continue
            seen += item.column("id").to_pylist()
            if kills < most and len(source.own) > 1:
                kills += 1
                killed(run, source)
    assert seen == list(range(7, 210_001, 7))
    assert ends == [4000] * 7 + [2000]
    assert kills == most


async def test_leaving_a_stalled_pass_stops_every_connection(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(8000))")  # pages no socket's buffers hold
    run("INSERT INTO a SELECT seq, REPEAT('x', 8000) FROM seq_1_to_12000")
    plan = await plan_of(source)
    reading = read_pass(source, plan, None, None, limit=3000, room=Room(4, 1 << 16))
    async with contextlib.aclosing(reading) as items:
        await anext(items)
        assert await stalled(run, source) >= 3
        threads = set(source.own)
    assert not source.own
    assert all([await gone(run, thread) for thread in threads])


async def test_a_cancelled_pass_stays_cancelled_and_stops_every_connection(
    run: Run, source: Source
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(1000))")
    run("INSERT INTO a SELECT seq, REPEAT('x', 1000) FROM seq_1_to_20000")
    plan = await plan_of(source)
    several, threads = asyncio.Event(), set[int]()

    async def read() -> None:
        reading = read_pass(source, plan, None, None, limit=4000, room=FOUR)
        async with contextlib.aclosing(reading) as items:
            async for _ in items:
                threads.update(source.own)
                if len(threads) > 1:
                    several.set()
                    await asyncio.sleep(3600)

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read())
        await several.wait()
        reading.cancel()
    assert reading.cancelled()
    assert not source.own
    assert all([await gone(run, thread) for thread in threads])


async def test_a_table_that_is_altered_meanwhile_ends_the_pass(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(1000))")
    run("INSERT INTO a SELECT seq, REPEAT('x', 1000) FROM seq_1_to_20000")
    plan = await plan_of(source)
    reading = read_pass(source, plan, None, None, limit=500, room=Room(2, 1 << 16))
    with pytest.raises(SchemaDriftError):
        async with contextlib.aclosing(reading) as items:
            async for item in items:
                if not isinstance(item, pa.RecordBatch):
                    run("ALTER TABLE a MODIFY t VARCHAR(1000) NOT NULL")


async def test_fewer_connections_than_asked_for_read_all_the_same(
    box: Any, database: str, run: Run
) -> None:
    ddl, rows, asked = TABLES["sparse"]
    run(ddl)
    run(rows)
    run(f"CREATE USER {database} IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 2")
    run(f"GRANT SELECT ON {database}.* TO {database}")
    few = Source(database, configured(box.mysql, user=database, password="few"))
    plan = await plan_of(few, **asked)
    found = await told(few, plan, None, 100)
    run(f"DROP USER {database}")
    usual = Source(database, configured(box.mysql))
    assert found == await told(usual, plan, None, 100, Room())


async def test_where_no_connection_can_be_had_that_is_the_error(
    box: Any, database: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ddl, rows, asked = TABLES["sparse"]
    run(ddl)
    run(rows)
    plan = await plan_of(Source(database, configured(box.mysql)), **asked)
    nowhere = Source(database, configured(box.mysql, port=1))
    monkeypatch.setattr(reader, "_TRIES", 1)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await told(nowhere, plan, None, 100)


async def test_connections_are_left_to_the_next_pass(box: Any, database: str, run: Run) -> None:
    ddl, rows, asked = TABLES["sparse"]
    run(ddl)
    run(rows)
    async with open_source(database, configured(box.mysql)) as source:
        plan = await plan_of(source, **asked)
        await told(source, plan, None, 100)
        ((_, before),) = run("SHOW GLOBAL STATUS LIKE 'Connections'")
        await told(source, plan, None, 100)
        ((_, after),) = run("SHOW GLOBAL STATUS LIKE 'Connections'")
    assert (before, after) == (before, before)
