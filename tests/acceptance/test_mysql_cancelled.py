"""A pass that is cancelled, wherever it is, leaves no connection and no query at the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pymysql
import pytest

from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import Run, application, configured, plan_of

# Made as it is read: more than all buffers on the way hold, in each page.
GENERATED = "CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(8000) AS (REPEAT('x', 8000)) VIRTUAL)"
PAGE = 3000
ALONE = Room()
UNTOLD = 5  # seconds after which a sleeping server sees by itself that its client has gone
SLOW = "CREATE VIEW a AS SELECT seq, REPEAT('x', 8000) AS t, SLEEP(0.02) AS s FROM seq_1_to_10000"
SLEEPING = "CREATE VIEW a AS SELECT SLEEP(60) AS s"
Seen = dict[int, tuple[str, str]]
protocols = pytest.mark.parametrize("protocol", ["text", "binary"])


@pytest.fixture
def chosen(box: Any, database: str, protocol: str) -> Source:
    return Source(database, configured(box.mysql, protocol=protocol))


def seen(run: Run) -> Seen:
    """What each connection of the server does: its command, and how far it is."""
    return {row[0]: (row[4], row[6] or "") for row in run("SHOW FULL PROCESSLIST")}


async def until(run: Run, happened: Callable[[Seen], bool], seconds: int = 10) -> None:
    for _ in range(20 * seconds):
        if happened(seen(run)):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"it did not happen: {seen(run)}")


@contextlib.asynccontextmanager
async def cancelled(
    run: Run, source: Source, plan: ReadPlan, room: Room = ALONE
) -> AsyncIterator[asyncio.Event]:
    """A pass that stands still at its first rows, and is cancelled at the end of this."""
    before, handed = set(seen(run)), asyncio.Event()

    async def read() -> None:
        reading = read_pass(source, plan, None, None, limit=PAGE, room=room)
        async with contextlib.aclosing(reading) as items:
            async for _ in items:
                handed.set()
                await asyncio.sleep(3600)

    task = asyncio.get_running_loop().create_task(read())
    yield handed
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not source.own
    await until(run, lambda found: set(found) <= before, UNTOLD - 2)


def waiting(found: Seen, source: Source) -> int:
    """Of our connections those for which the server waits."""
    return sum(found[own][1] in ("Writing to net", "Sending data") for own in source.own)


@pytest.mark.parametrize(("protocol", "connections"), [("text", 1), ("binary", 1), ("binary", 4)])
async def test_while_the_server_waits_for_us(run: Run, chosen: Source, connections: int) -> None:
    run(GENERATED)
    run(f"INSERT INTO a (id) SELECT seq FROM seq_1_to_{connections * PAGE}")
    plan = await plan_of(chosen)
    async with cancelled(run, chosen, plan, Room(connections, 1 << 16)) as handed:
        await handed.wait()
        await until(run, lambda found: waiting(found, chosen) == connections)


@protocols
async def test_while_we_wait_for_more_rows(run: Run, chosen: Source) -> None:
    run(SLOW)
    plan = await plan_of(chosen)
    async with cancelled(run, chosen, plan) as handed:
        await until(run, lambda found: "User sleep" in {state for _, state in found.values()})
        await asyncio.sleep(0.3)
        assert not handed.is_set()


@pytest.mark.parametrize(("protocol", "command"), [("text", "Query"), ("binary", "Execute")])
async def test_while_the_statement_runs_before_its_first_row(
    run: Run, chosen: Source, command: str
) -> None:
    run(SLEEPING)
    plan = await plan_of(chosen)
    async with cancelled(run, chosen, plan):
        await until(run, lambda found: (command, "User sleep") in found.values())


@contextlib.asynccontextmanager
async def remade(mysql: Any, database: str, run: Run) -> AsyncIterator[None]:
    """The table is being made anew, and nobody else may as much as look at it."""
    with application(mysql, database) as other:
        ((thread,),) = other("SELECT CONNECTION_ID()")
        making = asyncio.to_thread(other, "CREATE OR REPLACE TABLE a AS SELECT SLEEP(60) AS id")
        task = asyncio.get_running_loop().create_task(making)
        await until(run, lambda found: found[thread] == ("Query", "User sleep"))
        yield
        run(f"KILL QUERY {thread}")
        with contextlib.suppress(pymysql.err.OperationalError):
            await task


@pytest.mark.parametrize(("protocol", "command"), [("text", "Query"), ("binary", "Prepare")])
async def test_while_the_statement_is_prepared(
    box: Any, database: str, run: Run, chosen: Source, command: str
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    plan = await plan_of(chosen)
    locked = (command, "Waiting for table metadata lock")
    async with remade(box.mysql, database, run), cancelled(run, chosen, plan):
        await until(run, lambda found: locked in found.values())
