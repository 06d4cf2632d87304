"""The running watch at a real server, and the passes that take their bounds from it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from s3rs_async import clock
from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.model import CursorFormat, Position, Proof, Strategy
from s3rs_async.mysql import lookout as module
from s3rs_async.mysql.bound import fix_bound, renew
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.lookout import Lookout
from s3rs_async.mysql.reader import read_pass
from s3rs_async.sandbox import mariadb
from tests.acceptance.source import Run, application, configured, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

STAMPED = (
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t {}(6) NOT NULL DEFAULT "
    "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (t))"
)


@pytest.fixture
def other(box: Box, database: str) -> Any:
    with application(box.mysql, database, "'+00:00'") as run:
        yield run


@pytest.fixture
async def pooled(box: Box, database: str) -> AsyncIterator[Source]:
    async with open_source(database, configured(box.mysql)) as source:
        yield source


@contextlib.asynccontextmanager
async def kept(source: Source) -> AsyncIterator[Lookout]:
    """A lookout that runs for as long as the block."""
    lookout = Lookout(source)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(lookout.run())
        try:
            yield lookout
        finally:
            running.cancel()


async def troubled(lookout: Lookout) -> None:
    for _ in range(200):
        if lookout.trouble is not None:
            return
        await asyncio.sleep(0.05)
    pytest.fail("nothing is wrong")


def questions(run: Run) -> int:
    return int(run("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])


async def settled(run: Run) -> int:
    """How many there were once the lookout, now gone, has said goodbye."""
    await asyncio.sleep(0.5)
    return questions(run)


async def read(source: Source, plan: Any, at: Position | None, bound: Any) -> Any:
    found, position = [], at
    async with contextlib.aclosing(read_pass(source, plan, at, bound)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                found += item.column("id").to_pylist()
            elif item.after is not None:
                position = item.after
    return found, position


async def test_the_safe_moment_follows_the_servers_clock(pooled: Source, run: Run) -> None:
    async with kept(pooled) as lookout:
        first = await lookout.sight()
        assert (first.verdict.proven, first.verdict.reason) == (True, "")
        await asyncio.sleep(2.5)
        second = await lookout.sight()
        assert second.verdict.safe > first.verdict.safe
        lag = lookout.lag()
        assert lag is not None
        assert 3.0 <= lag < 7.0
        ((now,),) = run("SELECT UTC_TIMESTAMP(6)")
        assert abs(now.replace(tzinfo=dt.UTC) - second.now) < dt.timedelta(seconds=1)


async def test_a_transaction_that_commits_late_is_never_below_the_bound(
    pooled: Source, run: Run, other: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(pooled)
    async with kept(pooled) as lookout:
        await lookout.sight()
        other("BEGIN")
        other("INSERT INTO a (id) VALUES (1)")
        await asyncio.sleep(5)
        run("INSERT INTO a (id) VALUES (2)")
        held = await fix_bound(pooled, plan, lookout=lookout, wait=0.1)
        assert held.proof is Proof.PROVEN
        found, position = await read(pooled, plan, None, held)
        assert found == [2]
        other("COMMIT")
        later = await fix_bound(pooled, plan, lookout=lookout)
        found, _ = await read(pooled, plan, position, later)
        assert found == [1, 2]


async def test_without_a_wait_the_bound_is_there_at_once(pooled: Source, run: Run) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(pooled)
    async with kept(pooled) as lookout:
        await lookout.sight()
        began = clock.seconds()
        for _ in range(5):
            assert (await fix_bound(pooled, plan, lookout=lookout)).proof is Proof.PROVEN
        assert clock.seconds() - began < 0.25


async def test_an_id_is_read_once_all_below_it_are_there(
    pooled: Source, run: Run, other: Run
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(pooled, strategy=Strategy.ID_ONLY)
    async with kept(pooled) as lookout:
        run("INSERT INTO a (id) VALUES (1)")
        first = await fix_bound(pooled, plan, lookout=lookout)
        assert (first.hi, first.key_to, first.proof) == (None, "1", Proof.PROVEN)
        other("BEGIN")
        other("INSERT INTO a (id) VALUES (2)")
        run("INSERT INTO a (id) VALUES (3)")
        held = await fix_bound(pooled, plan, lookout=lookout, wait=1.5)
        assert held.key_to == "1"
        other("COMMIT")
        assert (await fix_bound(pooled, plan, lookout=lookout)).key_to == "3"
        began = clock.seconds()
        assert (await fix_bound(pooled, plan, lookout=lookout)).key_to == "3"
        assert clock.seconds() - began < 0.25


async def test_without_a_lookout_ids_are_waited_for(source: Source, run: Run, other: Run) -> None:
    run(STAMPED.format("TIMESTAMP"))
    plan = await plan_of(source, strategy=Strategy.ID_ONLY)
    run("INSERT INTO a (id) VALUES (1)")
    assert (await fix_bound(source, plan)).key_to == "1"
    other("BEGIN")
    other("INSERT INTO a (id) VALUES (2)")
    held = await fix_bound(source, plan, wait=0.7)
    assert held.key_to is None
    assert "connection" in held.reason


async def test_ids_that_the_application_sets_prove_nothing(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    run("INSERT INTO a VALUES (7)")
    bound = await fix_bound(source, await plan_of(source, strategy=Strategy.ID_ONLY))
    assert (bound.key_to, bound.proof) == ("7", Proof.NONE)


async def test_rows_without_a_time_are_read_up_to_a_key_that_holds(
    pooled: Source, run: Run
) -> None:
    run(STAMPED.format("TIMESTAMP").replace("NOT NULL DEFAULT CURRENT", "NULL DEFAULT CURRENT"))
    run("INSERT INTO a (id, t) VALUES (5, NULL)")
    plan = await plan_of(pooled)
    async with kept(pooled) as lookout:
        assert (await fix_bound(pooled, plan, lookout=lookout)).nulls_to == "5"
    assert (await fix_bound(pooled, plan, lookout=lookout, wait=0.1)).nulls_to == "5"


@pytest.mark.parametrize(("form", "per_second"), [("unix", 1), ("unix_ms", 1000)])
async def test_a_number_since_1970_is_bounded_by_the_same_moment(
    source: Source, run: Run, form: str, per_second: int
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t BIGINT NOT NULL, KEY (t))")
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t", format=CursorFormat(form))
    bound = await fix_bound(source, plan)
    assert bound.proof is Proof.NONE
    at = dt.datetime.fromisoformat(bound.server_time).timestamp()
    assert int(bound.hi or "") == int((at - 3) * per_second + 1e-4)
    run(f"INSERT INTO a VALUES (1, {int((at + 200) * per_second)})")
    assert (await fix_bound(source, plan)).hi
    run(f"INSERT INTO a VALUES (2, {int((at + 400) * per_second)})")
    with pytest.raises(ConfigError, match="from the future") as caught:
        await fix_bound(source, plan)
    assert "timestamp_format" in caught.value.hint


async def test_the_zone_of_a_table_goes_before_its_sources(
    box: Box, run: Run, database: str
) -> None:
    run(STAMPED.format("DATETIME"))
    run("INSERT INTO a () VALUES ()")
    async with open_source(database, configured(box.mysql, cursor_time_zone="-05:00")) as west:
        with pytest.raises(ConfigError, match="from the future"):
            await fix_bound(west, await plan_of(west))
        assert (await fix_bound(west, await plan_of(west, cursor_time_zone="+00:00"))).hi


async def test_a_pass_over_an_unchanged_table_asks_twice(pooled: Source, run: Run) -> None:
    plans = {}
    for kind in ("TIMESTAMP", "DATETIME"):
        run(STAMPED.format(kind).replace("TABLE a", f"TABLE by_{kind}"))
        run(f"INSERT INTO by_{kind} (id) SELECT seq FROM seq_1_to_100")
        plans[kind] = await plan_of(pooled, f"by_{kind}")
    await asyncio.sleep(3.2)
    positions: dict[str, Position | None] = {}
    async with kept(pooled) as lookout:
        for kind, plan in plans.items():
            bound = await renew(pooled, plan, lookout=lookout)
            found, positions[kind] = await read(pooled, plan, None, bound)
            assert len(found) == 100, kind
        await asyncio.sleep(2.2)
        for kind, plan in plans.items():
            bound = await renew(pooled, plan, lookout=lookout)
            _, positions[kind] = await read(pooled, plan, positions[kind], bound)
        await asyncio.sleep(2.2)
    await settled(run)
    for kind, plan in plans.items():
        before, position = questions(run), positions[kind]
        bound = await renew(pooled, plan, lookout=lookout)
        assert bound is not None, kind
        assert position is not None, kind
        assert await read(pooled, plan, position, bound) == (
            [],
            Position(bound.hi, None, position.nulls),
        ), kind
        assert questions(run) - before == 1 + 2, kind  # ours who asks, renew, one page


async def test_a_pass_over_unchanged_ids_asks_twice(pooled: Source, run: Run) -> None:
    run(STAMPED.format("TIMESTAMP"))
    run("INSERT INTO a (id) SELECT seq FROM seq_1_to_100")
    plan = await plan_of(pooled, strategy=Strategy.ID_ONLY)
    async with kept(pooled) as lookout:
        bound = await renew(pooled, plan, lookout=lookout)
        found, position = await read(pooled, plan, None, bound)
        assert len(found) == 100
    before = await settled(run)
    bound = await renew(pooled, plan, lookout=lookout)
    assert await read(pooled, plan, position, bound) == ([], position)
    assert questions(run) - before == 1 + 2


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE a ADD COLUMN b INT",
        "ALTER TABLE a MODIFY t DATETIME(6)",
        "ALTER TABLE a MODIFY t TIMESTAMP(6) NULL",
        "ALTER TABLE a MODIFY n INT FIRST",
        "ALTER TABLE a CHANGE t u TIMESTAMP(6) NOT NULL",
        "ALTER TABLE a CHANGE id other INT",
        "DROP TABLE a",
    ],
)
async def test_a_table_that_changed_is_not_renewed(pooled: Source, run: Run, change: str) -> None:
    run(STAMPED.format("DATETIME").replace("KEY (t)", "n INT, KEY (t)"))
    plan = await plan_of(pooled)
    async with kept(pooled) as lookout:
        assert await renew(pooled, plan, lookout=lookout) is not None
        run(change)
        assert await renew(pooled, plan, lookout=lookout) is None


async def test_renewing_refuses_the_future_too(pooled: Source, run: Run) -> None:
    run(STAMPED.format("DATETIME"))
    plan = await plan_of(pooled)
    run("INSERT INTO a (t) VALUES (UTC_TIMESTAMP() + INTERVAL 1 DAY)")
    async with kept(pooled) as lookout:
        with pytest.raises(ConfigError, match="from the future"):
            await renew(pooled, plan, lookout=lookout)


async def test_a_zone_that_is_set_anew_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    async with mariadb.private(timezone="+00:00") as server:
        with application(server) as run:
            run("CREATE DATABASE t")
            run(STAMPED.format("DATETIME").replace("TABLE a", "TABLE t.a"))
            async with open_source("t", configured(server)) as source, kept(source) as lookout:
                plan = await plan_of(source)
                first = await renew(source, plan, lookout=lookout)
                run("SET GLOBAL time_zone = '+08:00'")
                await asyncio.sleep(0.5)
                second = await renew(source, plan, lookout=lookout)
        assert first is not None
        assert second is not None
        ahead = dt.datetime.fromisoformat(second.hi or "") - dt.datetime.fromisoformat(
            first.hi or ""
        )
        assert dt.timedelta(hours=8) < ahead < dt.timedelta(hours=8, seconds=10)


async def test_without_the_privilege_all_is_a_lag_behind(
    pooled: Source, run: Run, box: Box, database: str
) -> None:
    run(STAMPED.format("TIMESTAMP"))
    run(f"CREATE USER {database} IDENTIFIED BY 'x'")
    try:
        run(f"GRANT SELECT ON {database}.* TO {database}")
        config = configured(box.mysql, user=database, password="x")
        async with open_source(database, config) as poor, kept(poor) as lookout:
            bound = await fix_bound(poor, await plan_of(poor), lookout=lookout)
            lag = lookout.lag()
    finally:
        run(f"DROP USER {database}")
    assert bound.proof is Proof.BOUNDED
    assert "PROCESS" in bound.reason
    hi = dt.datetime.fromisoformat(bound.hi or "").replace(tzinfo=dt.UTC)
    assert dt.datetime.fromisoformat(bound.server_time) - hi < dt.timedelta(seconds=62)
    assert lag is not None
    assert 60 <= lag < 62


async def test_a_source_that_goes_away_is_told_and_what_was_safe_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_BACK_OFF", (0.05, 0.1))
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(module, "_STALE_SECONDS", 0.5)
    async with (
        mariadb.private() as server,
        open_source("s", configured(server)) as source,
        kept(source) as lookout,
    ):
        before = await lookout.sight()
        server.process.kill()
        await troubled(lookout)
        await asyncio.sleep(1.0)
        assert isinstance(lookout.trouble, UnavailableError)
        after = await lookout.sight(after=clock.seconds(), within=5)
        assert after.verdict.safe >= before.verdict.safe
        assert "last saw the source" in after.verdict.reason
        lag = lookout.lag()
        assert lag is not None
        assert lag > 4


async def test_a_source_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(module, "_BACK_OFF", (0.05, 0.1))
    async with (
        mariadb.private() as server,
        open_source("s", configured(server)) as source,
        kept(source) as lookout,
    ):
        await lookout.sight()
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            await troubled(lookout)
            assert "does not answer" in str(lookout.trouble)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        sight = await lookout.sight()
        for _ in range(100):
            if lookout.trouble is None:
                break
            await asyncio.sleep(0.1)
        assert (await lookout.sight(after=clock.seconds())).verdict.safe > sight.verdict.safe


async def test_a_source_that_was_never_there_is_what_a_pass_is_told(box: Box) -> None:
    config = configured(box.mysql, password="wrong")
    async with open_source("s", config) as source, kept(source) as lookout:
        began = clock.seconds()
        with pytest.raises(ConfigError, match="refuses the user"):
            await lookout.sight()
        assert clock.seconds() - began < 10
        assert lookout.lag() is None


async def test_a_connection_that_is_killed_is_replaced(
    pooled: Source, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BACK_OFF", (0.05, 0.1))
    async with kept(pooled) as lookout:
        before = await lookout.sight()
        (thread,) = pooled.own
        run(f"KILL {thread}")
        await troubled(lookout)
        for _ in range(100):
            sight = await lookout.sight(after=clock.seconds())
            if lookout.trouble is None and sight.verdict.safe > before.verdict.safe:
                return
            await asyncio.sleep(0.1)
        pytest.fail("the watch did not go on")


async def test_a_lookout_that_is_cancelled_leaves_no_connection(pooled: Source, run: Run) -> None:
    """Cancelled while it connects, looks and rests."""
    before = {row[0] for row in run("SHOW PROCESSLIST")}
    for turns in range(20):
        running = asyncio.ensure_future(Lookout(pooled).run())
        for _ in range(turns):
            await asyncio.sleep(0.002)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert pooled.own == set()
    for _ in range(100):
        if {row[0] for row in run("SHOW PROCESSLIST")} <= before:
            return
        await asyncio.sleep(0.05)
    pytest.fail("a connection was left")
