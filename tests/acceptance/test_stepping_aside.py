"""Whoever alters a table while we read it goes first, however little of it we take, and we go on.

What comes first is asserted by what is awaited where: an ALTER is awaited at a moment at which no
row is taken until it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from s3rs_async.errors import SchemaDriftError, UnavailableError
from s3rs_async.model import TableName
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.sentinel import Sentinel
from tests.acceptance.source import Run, application, configured, own_database, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox.mariadb import MySQL

pytestmark = pytest.mark.ddl

WITHIN = 30
ROWS = 9000
PAGE = 3000
# Made as it is read: 96 MB in each page, more than all buffers on the way hold. Linux lets a socket
# that is read fast grow to 32 MB.
WIDE = "t VARCHAR(32000) CHARACTER SET latin1 AS (REPEAT('x', 32000)) VIRTUAL"
DIGITS = "(SELECT 0 AS d" + "".join(f" UNION SELECT {digit}" for digit in range(1, 10)) + ")"
NUMBERS = (
    "SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n "
    f"FROM {DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} e"
)
ALONE = Room()


@pytest.fixture
def run(server: MySQL) -> Any:
    with own_database(server) as database, application(server, database) as run:
        yield run


def database_of(run: Run) -> str:
    return str(run("SELECT DATABASE()")[0][0])


def filled(run: Run, table: str, key: str = "id INT PRIMARY KEY") -> None:
    run(f"CREATE TABLE {table} ({key}, {WIDE})")
    run(f"INSERT INTO {table} (id) SELECT n FROM ({NUMBERS}) AS numbers WHERE n <= {ROWS}")


@contextlib.asynccontextmanager
async def guarded(server: MySQL, run: Run, protocol: str = "binary") -> AsyncIterator[Source]:
    """Our way to the server, with its sentinel on the lookout."""
    config = configured(server, protocol=protocol)
    async with open_source(database_of(run), config) as source, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(Sentinel(source).run())
        try:
            yield source
        finally:
            looking.cancel()


async def done(server: MySQL, run: Run, *statements: str) -> None:
    """What an application does in a connection of its own; it fails if it has to wait too long."""

    def do() -> None:
        with application(server, database_of(run)) as other:
            other(f"SET lock_wait_timeout = {WITHIN}")
            for statement in statements:
                other(statement)

    await asyncio.to_thread(do)


class Reading:
    """A pass that takes rows when it is told to."""

    def __init__(self, source: Source, plan: ReadPlan, room: Room = ALONE) -> None:
        self._items = read_pass(source, plan, None, None, limit=PAGE, room=room)
        self.ids: list[int] = []

    async def first_rows(self) -> None:
        await self._take(await anext(self._items))

    async def first_chunk(self) -> None:
        while isinstance(item := await anext(self._items), pa.RecordBatch):
            await self._take(item)

    async def rest(self) -> list[int]:
        async for item in self._items:
            await self._take(item)
        return self.ids

    async def _take(self, item: Any) -> None:
        if isinstance(item, pa.RecordBatch):
            self.ids += item.column("id").to_pylist()

    async def aclose(self) -> None:
        await self._items.aclose()


@pytest.mark.parametrize(("protocol", "connections"), [("text", 1), ("binary", 1), ("binary", 3)])
async def test_an_alter_is_through_before_we_take_another_row(
    server: MySQL, run: Run, protocol: str, connections: int
) -> None:
    filled(run, "a")
    async with guarded(server, run, protocol) as source:
        plan = await plan_of(source)
        reading = Reading(source, plan, Room(connections, 1 << 16))
        async with contextlib.aclosing(reading):
            await reading.first_rows()
            sessions = set(source.reading)
            await done(server, run, "ALTER TABLE a ADD COLUMN more INT NOT NULL DEFAULT 7")

            assert len(sessions) == connections
            assert any(session.aside for session in sessions)
            assert len(reading.ids) < PAGE
            assert await reading.rest() == list(range(1, ROWS + 1))


async def test_without_the_sentinel_it_would_wait_for_us(server: MySQL, run: Run) -> None:
    filled(run, "a")
    async with open_source(database_of(run), configured(server)) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_rows()
            with application(server, database_of(run)) as other:
                other("SET lock_wait_timeout = 3")

                with pytest.raises(Exception, match="Lock wait timeout"):
                    await asyncio.to_thread(other, "ALTER TABLE a ADD COLUMN more INT")


async def test_who_waits_for_another_table_does_not_stop_us(server: MySQL, run: Run) -> None:
    filled(run, "a")
    run("CREATE TABLE elsewhere (id INT)")
    async with guarded(server, run) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_rows()
            (session,) = source.reading
            with application(server, database_of(run)) as other:
                other("LOCK TABLES elsewhere WRITE")
                waiting = asyncio.get_running_loop().create_task(
                    done(server, run, "ALTER TABLE elsewhere ADD COLUMN more INT")
                )
                await asyncio.sleep(3)

                assert not waiting.done()
                assert set(source.reading) == {session}
                assert not session.aside
                other("UNLOCK TABLES")
            await waiting
            assert await reading.rest() == list(range(1, ROWS + 1))


async def test_a_table_without_a_key_is_left_and_said_so(server: MySQL, run: Run) -> None:
    filled(run, "a", key="id INT")
    async with guarded(server, run) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_rows()
            await done(server, run, "ALTER TABLE a ADD COLUMN more INT NOT NULL DEFAULT 7")

            with pytest.raises(UnavailableError, match="stepped aside") as caught:
                await reading.rest()
            assert "run it again" in caught.value.hint


async def test_the_table_is_swapped_for_another_in_mid_run(server: MySQL, run: Run) -> None:
    filled(run, "a")
    filled(run, "_a_gho", key="more INT NOT NULL DEFAULT 7, id INT PRIMARY KEY")
    async with guarded(server, run) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_chunk()
            await done(server, run, "RENAME TABLE a TO _a_del, _a_gho TO a", "DROP TABLE _a_del")

            assert await reading.rest() == list(range(1, ROWS + 1))


async def test_the_table_is_away_for_a_moment(server: MySQL, run: Run) -> None:
    filled(run, "a")
    async with guarded(server, run) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_chunk()
            run("RENAME TABLE a TO _a_del")
            rest = asyncio.get_running_loop().create_task(reading.rest())
            while source.reading:  # noqa: ASYNC110 - until it has met that there is no such table
                await asyncio.sleep(0.01)
            run("RENAME TABLE _a_del TO a")

            assert await rest == list(range(1, ROWS + 1))


async def test_a_column_that_becomes_another_ends_the_pass(server: MySQL, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, amount INT NOT NULL)")
    run(f"INSERT INTO a SELECT n, n FROM ({NUMBERS}) AS numbers")
    async with guarded(server, run) as source:
        reading = Reading(source, await plan_of(source))
        async with contextlib.aclosing(reading):
            await reading.first_chunk()
            await done(server, run, "ALTER TABLE a MODIFY amount VARCHAR(20) NOT NULL")

            with pytest.raises(SchemaDriftError) as caught:
                await reading.rest()
            assert caught.value.context["table"] == str(TableName(database_of(run), "a"))
