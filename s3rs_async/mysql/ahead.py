"""Several connections read one table at once; what they read comes out as if it were one.

Each connection takes the next page when it has read one: under a lock it asks the index for the row
with which that page ends, so pages follow each other without a gap, and holes and skew in the keys
cost nothing. Pages come out in their order and whole, so that whoever counts rows and commits
positions knows no difference. What follows the last whole page is left to one connection.

Memory is bounded by `Room`: pages are made as long as all that are under way fit into it, and a
connection that is too far ahead stands still, and its server with it. The page that is being handed
out may always go on, or all would wait for it for ever.

A failure is told in its turn, behind all rows that lie before it, and ends the reading: it is read
on by new connections strictly after the last row that was handed out. A connection that cannot be
had is missed, not waited for, unless none can be had.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import structlog

from ..errors import Error, UnavailableError
from ..flow import InTurn, Turn, together
from .connection import Session, Source
from .piece import Piece, Results
from .sql import Page

log = structlog.get_logger()

_FIRST_ROWS = 10_000
_LEAST_ROWS = 1_000
_MOST_ROWS = 5_000_000
_EACH = 4 << 20
"""What a connection holds itself: bytes as they came, and two pieces."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections may read a table at once, and how many bytes may wait for their turn."""

    connections: int = 1
    size: int = 0

    @classmethod
    def within(cls, memory: int, wanted: int) -> Room:
        """As many of the connections wanted as there is memory for; half of it is their own."""
        connections = max(1, min(wanted, memory // (2 * _EACH)))
        return cls(connections, max(0, memory - connections * _EACH))


@dataclass(frozen=True, slots=True)
class PageEnd:
    """A page was read to its end."""


class Length:
    """How many rows a page should have; learned from those that were read, unless it is fixed."""

    def __init__(self, room: Room, fixed: int | None) -> None:
        self.rows = fixed or _FIRST_ROWS
        self._size = 0 if fixed else room.size // room.connections

    def learn(self, rows: int, size: int) -> None:
        """So many rows took so many bytes."""
        if self._size and rows:
            self.rows = min(max(self._size * rows // max(size, 1), _LEAST_ROWS), _MOST_ROWS)


async def read_ahead(
    source: Source, results: Results, first: Page, length: Length, room: Room
) -> AsyncGenerator[Piece | PageEnd, None]:
    """The rows of all whole pages from `first` on, which is as long as it says."""
    reading = _Reading(source, results, first, length, room)
    async with together() as tasks:
        for number in range(room.connections):
            tasks.create_task(reading.connection(), name=f"read {number}")
        while (told := await reading.turns.get()) is not None:
            if isinstance(told, Error):
                raise told
            yield told


class _Reading:
    """What the connections share: where the next page begins, and the turns of those under way."""

    def __init__(
        self, source: Source, results: Results, first: Page, length: Length, room: Room
    ) -> None:
        self.turns: InTurn[Piece | PageEnd | Error] = InTurn(room.size)
        self._source = source
        self._results = results
        self._length = length
        self._next = first
        self._over = False
        self._awaited = room.connections
        self._taking = asyncio.Lock()

    async def connection(self) -> None:
        """One connection, page after page until there is none or one of them has failed."""
        async with AsyncExitStack() as stack:
            try:
                opening = self._source.reader(self._next.table)
                session = await stack.enter_async_context(opening)
            except Error as failure:
                await self._missed(failure)
                return
            await self._read(session)

    async def _missed(self, failure: Error) -> None:
        self._awaited -= 1
        if not self._awaited or not isinstance(failure, UnavailableError):
            await self._fail(self.turns.open(), failure)
        else:
            log.warning("a connection is missing", source=self._source.name, reason=str(failure))

    async def _read(self, session: Session) -> None:
        turn = None
        try:
            while (taken := await self._taken(session)) is not None:
                turn, page = taken
                async with aclosing(self._results.rows(session, page)) as pieces:
                    async for piece in pieces:
                        rows = piece.decoded.batch
                        self._length.learn(rows.num_rows, rows.nbytes)
                        await self.turns.put(turn, piece, rows.nbytes)
                        await self._source.governor.took(rows.num_rows, piece.size)
                await self.turns.put(turn, PageEnd(), 0)
                await self.turns.end(turn)
        except Error as failure:
            await self._fail(turn or self.turns.open(), failure)

    async def _fail(self, turn: Turn[Piece | PageEnd | Error], failure: Error) -> None:
        self._over = True
        await self.turns.put(turn, failure, 0)

    async def _taken(self, session: Session) -> tuple[Turn[Piece | PageEnd | Error], Page] | None:
        """The next page and its turn; None where too few rows are left to fill one."""
        await self._source.governor.spared()
        async with self._taking:
            if self._over:
                return None
            page = self._next
            upto = await self._results.edge(session, page, page.limit or self._length.rows)
            if upto is None:
                self._over = True
                await self.turns.close()
                return None
            self._next = replace(page, after=upto, start=None, nulls=None, limit=None)
            return self.turns.open(), replace(page, upto=upto, limit=None)
