"""Applications that write to the source tables all the time, and go on when a server is back.

Each table has a writer: one transaction after the other, of some new rows and some changed ones,
now and then one that is rolled back. With `slow` it has a second one, whose transactions stay open
that long: their rows are stamped and numbered when they are written and seen when they are
committed. It must be less than the look back of the shapes that have one.

A server that goes away is no failure: whether the last transaction counts is for the server to
know, and the proof reads the rows from there. Every other error ends the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiomysql
import pymysql

from tests.daemon.tables import LOOKBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.daemon.tables import Table

_GONE = {0, 1053, 1927, 2002, 2003, 2006, 2013, 2055}
_AGAIN = {1205, 1213}
"""A lock waited for too long, a deadlock: the transaction was rolled back, as applications know."""
_PAUSE = 0.3


@dataclass
class Writers:
    """What is being written; `committed` and `lost` count transactions by table."""

    tables: Sequence[Table]
    rate: float
    slow: float
    seed: int
    committed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def stop(self) -> None:
        """Have every writer end its transaction and leave."""
        self.stopping.set()
        await self.ended.wait()

    async def run(self) -> None:
        """Write until stopped."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, table in enumerate(self.tables):
                    dice = random.Random(self.seed * 1000 + number)
                    tasks.create_task(self._write(table, dice, 0.0))
                    if self.slow:
                        tasks.create_task(self._write(table, dice, self.slow))
        finally:
            self.ended.set()

    async def _write(self, table: Table, dice: random.Random, open_for: float) -> None:
        """One application, connected again whenever it was cut off."""
        while not self.stopping.is_set():
            try:
                async with _connected(table) as connection:
                    await self._go_on(connection, table, dice, open_for)
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as error:
                if not error.args or error.args[0] not in _GONE | _AGAIN:
                    raise
                self.lost[table.name] += 1
            except (OSError, EOFError):
                self.lost[table.name] += 1
            await self._rest(_PAUSE)

    async def _go_on(
        self, connection: Any, table: Table, dice: random.Random, open_for: float
    ) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(table.top)
            ((top,),) = await cursor.fetchall()
            while not self.stopping.is_set():
                await connection.begin()
                rows = dice.randint(1, 8)
                statements = _statements(
                    table, dice, int(top), 0 if open_for and _picked(table) else rows
                )
                top += rows
                for statement in statements:
                    await cursor.execute(statement)
                if open_for:
                    await self._rest(dice.uniform(0.3, 1.0) * open_for)
                await self._finish(connection, table, dice)
                await self._rest(dice.uniform(0.5, 1.5) / self.rate)

    async def _finish(self, connection: Any, table: Table, dice: random.Random) -> None:
        if dice.random() < 0.1:
            await connection.rollback()
            return
        await connection.commit()
        self.committed[table.name] += 1

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()


def _picked(table: Table) -> bool:
    """Whether the application picks the numbers, so that two would pick the same."""
    return len(table.shape.key) > 1


def _statements(table: Table, dice: random.Random, top: int, rows: int) -> list[str]:
    first = dice.randint(1, max(1, top))
    changed = table.update(first, first + dice.randint(0, 10))
    new = table.insert(top + 1, top + rows) if rows else ""
    return [statement for statement in (changed, new) if statement]


@contextlib.asynccontextmanager
async def _connected(table: Table) -> AsyncIterator[Any]:
    server = table.server
    connection = await aiomysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        connect_timeout=5,
        autocommit=True,
        charset="utf8mb4",
        init_command="SET time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES', lock_wait_timeout=5",
    )
    try:
        yield connection
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def writing(
    tables: Sequence[Table], *, rate: float = 4.0, slow: float = 0.0, seed: int = 0
) -> AsyncIterator[Writers]:
    """Write `rate` transactions a second to each table until stopped, or until the block ends."""
    assert slow < LOOKBACK / 2, "slow transactions must be over well within the look back"
    writers = Writers(tables, rate, slow, seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writers.run())
        try:
            yield writers
        finally:
            writers.stopping.set()
