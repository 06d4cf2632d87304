"""A source that limits how hard it is read, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pymysql
import pytest

from s3rs_async import clock
from s3rs_async.config import LimitsConfig
from s3rs_async.errors import Error
from s3rs_async.mysql import look
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.sentinel import Sentinel
from tests.acceptance.source import Run, application, configured, own_database, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL

ROWS = 20_000


@pytest.fixture
def filled(box: Box, run: Run) -> Run:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(200))")
    run(f"INSERT INTO a SELECT seq, REPEAT('x', 200) FROM seq_1_to_{ROWS}")
    return run


@contextlib.asynccontextmanager
async def limited(box: Box, database: str, **limits: int) -> AsyncIterator[Source]:
    config = configured(box.mysql, limits=LimitsConfig(**limits))  # type: ignore[arg-type]
    async with open_source(database, config) as source, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(Sentinel(source).run())
        try:
            yield source
        finally:
            looking.cancel()


async def all_ids(source: Source, **how: Any) -> list[int]:
    plan, found = await plan_of(source), []
    async with contextlib.aclosing(read_pass(source, plan, None, None, **how)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                found += item.column("id").to_pylist()
    return found


async def test_so_many_rows_a_second_are_read_and_none_is_left_out(
    box: Box, database: str, filled: Run
) -> None:
    async with limited(box, database, rows_per_second=ROWS // 3) as source:
        begun = clock.seconds()

        assert await all_ids(source, limit=1000) == list(range(1, ROWS + 1))
        assert clock.seconds() - begun > 1.8  # a third of it may come at once


async def test_more_connections_than_the_source_allows_take_turns(
    box: Box, database: str, filled: Run
) -> None:
    most = 0

    async def watched(source: Source) -> None:
        nonlocal most
        while True:
            most = max(most, len(source.reading))
            await asyncio.sleep(0.001)

    async with limited(box, database, connections=2) as source, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watched(source))
        reads = [all_ids(source, limit=1000, room=Room(4, 1 << 20)) for _ in range(3)]
        found = [tasks.create_task(each) for each in reads]
        await asyncio.wait(found)
        watching.cancel()

    assert all(each.result() == list(range(1, ROWS + 1)) for each in found)
    assert most == 2


@contextlib.contextmanager
def sleeping(box: Box, threads: int) -> Iterator[None]:
    """So many statements under way, until the end of the block."""
    with contextlib.ExitStack() as stack:
        kept = []
        for _ in range(threads):
            run = stack.enter_context(application(box.mysql))
            ((number,),) = run("SELECT CONNECTION_ID()")
            kept.append((number, threading.Thread(target=_sleep, args=(run,))))
            kept[-1][1].start()
        try:
            yield
        finally:
            with application(box.mysql) as run:
                for number, thread in kept:
                    run(f"KILL QUERY {number}")
                    thread.join()


def _sleep(run: Run) -> None:
    with contextlib.suppress(pymysql.err.OperationalError):  # it is killed
        run("SELECT SLEEP(300)")


async def test_a_server_with_more_to_do_than_it_wants_is_spared_until_it_has_less(
    box: Box, database: str, filled: Run
) -> None:
    async with limited(box, database, threads_running=5) as source:
        plan, ids = await plan_of(source), []
        reading = read_pass(source, plan, None, None, limit=1000)
        async with contextlib.aclosing(reading) as items, asyncio.TaskGroup() as tasks:
            with sleeping(box, 6):
                ids += (await anext(items)).column("id").to_pylist()
                while not source.governor.reason:  # noqa: ASYNC110 - until it has been seen
                    await asyncio.sleep(0.05)
                assert source.governor.reason.startswith("threads_running ")
                rest = tasks.create_task(_rest(items))
                await asyncio.sleep(2)
                assert not rest.done()
            ids += await rest

    assert ids == list(range(1, ROWS + 1))


async def _rest(items: Any) -> list[int]:
    found: list[int] = []
    async for item in items:
        if isinstance(item, pa.RecordBatch):
            found += item.column("id").to_pylist()
    return found


async def test_what_a_server_bears_is_told(server: MySQL) -> None:
    limits = LimitsConfig(threads_running=1, history_length=1, replica_lag=1)
    with own_database(server) as database:
        source = Source(database, configured(server))
        async with source.session(purpose="test") as session:
            load = await look.load(session, limits)

    assert load.threads_running is not None
    assert load.threads_running >= 1
    assert load.history_length is not None
    assert load.history_length >= 0
    assert load.replica_lag is None  # it is nobody's replica


async def test_a_limit_that_the_user_may_not_look_at_is_an_error_of_its_own(box: Box) -> None:
    with own_database(box.mysql) as database, application(box.mysql) as run:
        run(f"CREATE USER poor_{database} IDENTIFIED BY 'p'")
        try:
            source = Source(database, configured(box.mysql, user=f"poor_{database}", password="p"))
            async with source.session(purpose="test") as session:
                with pytest.raises(Error, match="privilege"):
                    await look.load(session, LimitsConfig(replica_lag=1))
        finally:
            run(f"DROP USER poor_{database}")
