"""A comparison that is cancelled, cut or in somebody's way: nothing of it is left at either end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from s3rs_async.config import TargetConfig
from s3rs_async.model import TableName
from s3rs_async.mysql import digest
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.sentinel import Sentinel
from s3rs_async.redshift.connection import open_target
from s3rs_async.redshift.digest import Span
from s3rs_async.verify.finding import Tally
from s3rs_async.verify.sides import SourceSide, TargetSide
from s3rs_async.verify.stretch import whole
from tests.acceptance.source import Run, application, configured, plan_of
from tests.acceptance.test_mysql_cancelled import seen, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from s3rs_async.sandbox import Box

SLOW = "CREATE VIEW a AS SELECT seq AS id, SLEEP(60) AS s FROM seq_1_to_10"


async def side_of(source: Source) -> SourceSide:
    plan = await plan_of(source)
    return SourceSide(source, plan, digest.comparison(plan))


@pytest.fixture
async def target(box: Box) -> AsyncIterator[TargetSide]:
    """A table at the target, with no session of ours as yet."""
    declared = box.connections["targets"]["standin"]
    plain = {**declared, "host": "127.0.0.1", "port": box.redshift.port, "tls": "off"}
    name = TableName("public", "compared")
    async with open_target("standin", TargetConfig.model_validate({**plain, "tunnel": None})) as at:
        async with at.session() as session:
            await session.execute("CREATE TABLE compared (id INT)")
            await session.execute("INSERT INTO compared VALUES (1), (2)")
        told = digest.Comparison((), (), (), ordered=False)
        side = TargetSide(at, name, told)
        async with aclosing(side):
            yield side
        async with at.session() as session:
            await session.execute("DROP TABLE compared")


async def test_a_cancelled_statement_is_stopped_at_the_source(run: Run, source: Source) -> None:
    run(SLOW)
    side = await side_of(source)
    before = set(seen(run))
    task = asyncio.create_task(side.total(whole(side.plan)))
    await until(run, lambda found: "User sleep" in {state for _, state in found.values()})

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert not source.own
    await until(run, lambda found: set(found) <= before, 3)


async def test_a_statement_that_is_cut_is_sent_again(box: Box, database: str, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, b INT)")
    run("INSERT INTO a SELECT seq, seq FROM seq_1_to_1000000")
    async with open_source(database, configured(box.mysql)) as source:
        side = await side_of(source)
        asking = asyncio.create_task(side.total(whole(side.plan)))
        await source.reads()
        for _ in range(2):  # the first time it is a kept connection, which is replaced unseen
            await asyncio.sleep(0.3)
            (reading,) = source.reading
            run(f"KILL {reading.connection_id}")

        found = await asking

        assert found.rows == 1_000_000
        assert side.effort.asked == 2


async def test_who_alters_the_table_goes_first(box: Box, database: str, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, b INT)")
    run("INSERT INTO a SELECT seq, seq FROM seq_1_to_2000000")
    ended = []
    async with open_source(database, configured(box.mysql)) as source, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(Sentinel(source).run())
        side = await side_of(source)
        asking = tasks.create_task(side.total(whole(side.plan)))
        asking.add_done_callback(lambda _: ended.append("compared"))
        await source.reads()
        with application(box.mysql, database) as other:
            await asyncio.to_thread(other, "ALTER TABLE a ADD COLUMN c INT")
        ended.append("altered")
        found = await asking
        looking.cancel()

    assert ended == ["altered", "compared"]
    assert found.rows == 2_000_000


async def test_a_cancelled_statement_is_stopped_at_the_target(target: TargetSide, box: Box) -> None:
    with psycopg.connect(box.redshift.url) as other:
        other.execute("LOCK compared")
        task = asyncio.create_task(target.count(Span(())))
        await _waits(box)

        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await target.aclose()
        assert await _sessions(box, target) == 0


async def test_a_session_that_is_lost_is_opened_again(target: TargetSide) -> None:
    assert await target.count(Span(())) == 2
    lost: Any = target._session
    lost._connection.terminate()

    assert await target.count(Span(())) == 2
    assert target._session is not lost


async def test_a_source_that_is_asked_twice_adds_up(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, b VARCHAR(9))")
    run("INSERT INTO a VALUES (1, 'x'), (2, NULL), (3, '')")
    side = await side_of(source)
    page = whole(side.plan)

    total = await side.total(page)
    rows = await side.rows(page, "TRUE")

    assert total == Tally(3, sum(row.digest for row in rows.values()))
    assert len({row.digest for row in rows.values()}) == 3
    buckets = await side.buckets(page, 2)
    assert sum(buckets.values(), start=Tally()) == total


async def _waits(box: Box) -> None:
    for _ in range(200):
        with psycopg.connect(box.redshift.url, autocommit=True) as other:
            found = other.execute("SELECT COUNT(*) FROM svv_transactions WHERE NOT granted")
            if (row := found.fetchone()) is not None and row[0]:
                return
        await asyncio.sleep(0.05)
    pytest.fail("nobody waits")


async def _sessions(box: Box, target: TargetSide) -> int:
    """Sessions of ours that still wait for the table."""
    with psycopg.connect(box.redshift.url, autocommit=True) as other:
        found = other.execute("SELECT COUNT(*) FROM svv_transactions WHERE NOT granted").fetchone()
    return int(found[0]) if found is not None else -1
