"""The bound at a real server: what is still under way is never below it, whatever the clock."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.model import Bound, Position, Proof, Strategy
from s3rs_async.mysql.bound import fix_bound
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.sandbox import mariadb
from tests.acceptance.source import Run, application, configured, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

STAMPED = (
    "CREATE TABLE a (id INT PRIMARY KEY, t {}(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) "
    "ON UPDATE CURRENT_TIMESTAMP(6), KEY (t))"
)


@pytest.fixture
def other(box: Box, database: str) -> Iterator[Run]:
    with application(box.mysql, database, "'+00:00'") as run:
        yield run


async def ids(source: Source, plan: ReadPlan, at: Position | None, bound: Bound) -> Any:
    found, position = [], at
    async with contextlib.aclosing(read_pass(source, plan, at, bound)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                found += item.column("id").to_pylist()
            elif item.moves_watermark:
                position = item.after
    return found, position


async def test_on_a_quiet_server_the_bound_is_proven_and_three_seconds_old(
    source: Source, run: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    bound = await fix_bound(source, await plan_of(source))
    assert (bound.proof, bound.reason) == (Proof.PROVEN, "")
    hi = dt.datetime.fromisoformat(bound.hi or "").replace(tzinfo=dt.UTC)
    assert dt.datetime.fromisoformat(bound.server_time) - hi == dt.timedelta(seconds=3)


@pytest.mark.parametrize("before", [0, 1])
async def test_a_statement_that_the_server_shows_cut_within_a_character_is_no_hindrance(
    before: int, source: Source, run: Run, other: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(source)
    text = f"SELECT SLEEP(1.5), '{'x' * before}{'é' * 60}'"
    slow = threading.Thread(target=other, args=(text,))
    slow.start()
    bound = await fix_bound(source, plan)
    slow.join()
    assert bound.proof is Proof.PROVEN


async def test_the_newest_of_several_cursors_may_not_be_from_the_future_either(
    source: Source, run: Run
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, u DATETIME NULL, c DATETIME NOT NULL)")
    run("INSERT INTO a VALUES (1, NULL, NOW()), (2, NOW(), NOW() + INTERVAL 1 DAY)")
    plan = await plan_of(source, cursor="u", cursor_else=("c",))
    assert (await fix_bound(source, plan)).proof is Proof.NONE
    run("INSERT INTO a VALUES (3, NULL, NOW() + INTERVAL 1 DAY)")
    with pytest.raises(ConfigError, match="from the future"):
        await fix_bound(source, plan)


async def test_a_row_committed_late_is_not_lost(source: Source, run: Run, other: Run) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(source)
    other("BEGIN")
    other("INSERT INTO a (id) VALUES (1)")
    await asyncio.sleep(3.2)
    run("INSERT INTO a (id) VALUES (2)")
    first = await fix_bound(source, plan, wait=0.7)
    assert first.proof is Proof.BOUNDED
    assert "open before the watch began" in first.reason
    found, position = await ids(source, plan, None, first)
    assert found == [2]
    other("COMMIT")
    second = await fix_bound(source, plan)
    found, _ = await ids(source, plan, position, second)
    assert found == [1, 2]


async def test_a_statement_that_waits_for_a_lock_holds_the_bound(
    source: Source, run: Run, other: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(source)
    run("LOCK TABLES a WRITE")
    waiting = threading.Thread(target=other, args=("INSERT INTO a (id) VALUES (1)",))
    waiting.start()
    await asyncio.sleep(4.2)
    bound = await fix_bound(source, plan, wait=1.5)
    run("UNLOCK TABLES")
    await asyncio.to_thread(waiting.join)
    ((stamp,),) = run("SELECT CAST(t AS CHAR) FROM a")
    assert bound.hi is not None
    assert bound.hi < stamp
    assert bound.proof is Proof.PROVEN
    assert "has been writing since" in bound.reason


async def test_the_bound_waits_for_a_transaction_that_ends(
    source: Source, run: Run, other: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    other("BEGIN")
    other("INSERT INTO a (id) VALUES (1)")
    plan = await plan_of(source)
    async with asyncio.TaskGroup() as group:
        fixing = group.create_task(fix_bound(source, plan))
        await asyncio.sleep(1.5)
        assert not fixing.done()
        other("COMMIT")
    assert fixing.result().proof is Proof.PROVEN


async def test_a_prepared_transaction_without_a_connection_holds_the_bound(
    source: Source, run: Run, box: Box, database: str
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(source)
    with application(box.mysql, database) as gone:
        gone("XA START 'x'")
        gone("INSERT INTO a (id) VALUES (1)")
        gone("XA END 'x'")
        gone("XA PREPARE 'x'")
    try:
        bound = await fix_bound(source, plan, wait=1.5)
        assert bound.proof is Proof.BOUNDED
        assert "xa" in bound.reason
    finally:
        run("XA COMMIT 'x'")
    assert (await fix_bound(source, plan)).proof is Proof.PROVEN


async def test_without_the_privilege_the_bound_is_a_lag_and_says_so(
    source: Source, run: Run, box: Box, database: str
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    run(f"CREATE USER {database} IDENTIFIED BY 'x'")
    try:
        run(f"GRANT SELECT ON {database}.* TO {database}")
        poor = Source(database, configured(box.mysql, user=database, password="x"))
        bound = await fix_bound(poor, await plan_of(poor), lag=42.0)
    finally:
        run(f"DROP USER {database}")
    assert bound.proof is Proof.BOUNDED
    assert "PROCESS" in bound.reason
    hi = dt.datetime.fromisoformat(bound.hi or "").replace(tzinfo=dt.UTC)
    assert dt.datetime.fromisoformat(bound.server_time) - hi == dt.timedelta(seconds=42)


async def test_our_own_sessions_do_not_hold_the_bound(source: Source, run: Run) -> None:
    run(STAMPED.format("TIMESTAMP"))
    run("INSERT INTO a (id) SELECT seq FROM seq_1_to_50000")
    plan = await plan_of(source)
    async with source.session(purpose="test") as session:
        slow = f"SELECT id, SLEEP(0.01) FROM {source.name}.a"
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(session.query(slow))
            await asyncio.sleep(0.2)
            bound = await fix_bound(source, plan, wait=5)
            reading.cancel()
    assert bound.proof is Proof.PROVEN


async def test_a_column_that_the_application_sets_proves_nothing(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME NOT NULL)")
    bound = await fix_bound(source, await plan_of(source, strategy=Strategy.HYBRID, cursor="t"))
    assert bound.proof is Proof.NONE
    assert len(bound.hi or "") == 19


async def test_a_datetime_is_compared_by_the_servers_wall_clock() -> None:
    """A server for each zone, side by side."""
    async with asyncio.TaskGroup() as group:
        for zone in ("-05:00", "+08:00", "Europe/Berlin"):
            group.create_task(_compared_by_the_wall_clock(zone), name=zone)


async def _compared_by_the_wall_clock(zone: str) -> None:
    async with mariadb.private(timezone=zone) as server:
        with application(server, "mysql") as run, application(server, "mysql") as other:
            run("CREATE DATABASE t")
            run("USE t")
            other("USE t")
            run(STAMPED.format("DATETIME"))
            run("INSERT INTO a (id) VALUES (1)")
            source = Source("t", configured(server))
            plan = await plan_of(source)
            await asyncio.sleep(3.1)
            bound = await fix_bound(source, plan)
            assert bound.hi is not None, zone
            ((stamp, now),) = run("SELECT CAST(t AS CHAR), CAST(NOW(6) AS CHAR) FROM a")
            assert stamp < bound.hi < now, zone
            other("BEGIN")
            other("INSERT INTO a (id) VALUES (2)")
            await asyncio.sleep(1.2)
            held = await fix_bound(source, plan, wait=0.4)
            ((start, least),) = other(
                "SELECT CAST(t - INTERVAL 3600 SECOND AS CHAR), "
                "CAST(t - INTERVAL 3606 SECOND AS CHAR) FROM a WHERE id = 2"
            )
            assert held.proof is Proof.BOUNDED, zone
            assert least < (held.hi or "") < start, zone
            other("ROLLBACK")


async def test_rows_from_the_future_name_the_setting(box: Box, run: Run, database: str) -> None:
    run(STAMPED.format("DATETIME"))
    run("INSERT INTO a (id) VALUES (1)")
    west = Source(database, configured(box.mysql, cursor_time_zone="-05:00"))
    with pytest.raises(ConfigError, match="from the future") as caught:
        await fix_bound(west, await plan_of(west))
    assert "cursor_time_zone" in caught.value.hint


async def test_a_full_read_has_no_bound(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    assert (await fix_bound(source, await plan_of(source))).hi is None
