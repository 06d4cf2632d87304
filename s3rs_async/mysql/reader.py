"""A pass over a table: from plan, position and bound to record batches and the ends of chunks.

Every chunk is one autocommit SELECT of a few seconds, so that no lock or snapshot of ours is held
for long; how many rows that is, is learned from the chunks before. Where several connections may
read a leg (`ahead`), a chunk is one of their pages, and one connection reads what they leave.

A connection that is lost, or that was cut because someone waits for the table (`sentinel`), is
opened again strictly after the last row that was handed out, which a unique key makes exact; a pass
without a key ends there. The columns of every result must be those of the first.

Use it as `async with contextlib.aclosing(read_pass(...))`: leaving it closes the connections and
stops their queries at the server.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from .. import clock
from ..errors import ConfigError, Error, UnavailableError
from ..model import Bound, KeyList, Position
from .absent import absent
from .ahead import Length, PageEnd, Room, read_ahead
from .bound import reading_ends
from .chunk import ReadPlan
from .connection import Session, Source
from .piece import Piece, Results
from .sql import Page
from .walk import ChunkEnd, LegName, Walk

if TYPE_CHECKING:
    import pyarrow as pa

_TRIES = 4
_BACK_OFF = 0.5
_CHUNK_SECONDS = 3.0
_FIRST_ROWS = 50_000
_LEAST_ROWS = 1_000
_MOST_ROWS = 5_000_000
_FASTER = 16
"""At most: the server does nothing between two chunks, so few should be short."""
_READ_ON_SECONDS = 60.0
_UNKNOWN_TABLE = 1146
_ALONE = Room()


async def read_pass(
    source: Source,
    plan: ReadPlan,
    position: Position | None,
    bound: Bound | None,
    *,
    limit: int | None = None,
    room: Room = _ALONE,
) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
    """Batches of rows, and after each chunk's batches its end; `limit` is the rows of a chunk."""
    if isinstance(plan.errand, KeyList) and plan.errand.gone:
        async with contextlib.aclosing(_absent(source, plan, plan.errand)) as told:
            async for item in told:
                yield item
        return
    walk = Walk(plan, position, bound)
    reader = _Reader(source, plan, limit, room)
    failures = 0
    while walk.leg is not None:
        try:
            async with contextlib.aclosing(reader.read(walk)) as items:
                async for item in items:
                    failures = 0
                    yield item
        except (UnavailableError, ConfigError) as error:
            failures += 1
            if failures >= _TRIES or not (walk.resumable and _passes(error)):
                raise
            await clock.sleep(_BACK_OFF * 2**failures + clock.jitter(_BACK_OFF))


async def _absent(
    source: Source, plan: ReadPlan, errand: KeyList
) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
    """The keys of an errand that are gone, and one end."""
    rows = 0
    async with contextlib.aclosing(absent(source, plan, errand.keys)) as batches:
        async for batch in batches:
            rows += batch.num_rows
            yield batch
    yield ChunkEnd(rows, None, moves_watermark=False, leg="errand", last=True, changed={})


class _Reader:
    """What outlives a lost connection: the columns seen first, and how long a chunk should be."""

    def __init__(self, source: Source, plan: ReadPlan, limit: int | None, room: Room) -> None:
        self._source = source
        self._plan = plan
        self._results = Results(plan)
        self._fixed = limit is not None
        self._limit = limit or (_FIRST_ROWS if plan.index else _MOST_ROWS)
        self._room = room
        self._length = Length(room, limit)
        self._left: LegName | None = None

    async def read(self, walk: Walk) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """Walk on until all legs are done, by several connections where that may be."""
        while walk.leg is not None:
            first = self._shared(walk)
            way = self._alone(walk) if first is None else self._together(walk, first)
            async with contextlib.aclosing(way) as items:
                async for item in items:
                    yield item

    def _shared(self, walk: Walk) -> Page | None:
        if self._room.connections == 1 or walk.leg == self._left:
            return None
        return walk.shared(self._length.rows)

    async def _together(
        self, walk: Walk, first: Page
    ) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """As far as there are whole pages of a leg."""
        leg = walk.leg
        reading = read_ahead(self._source, self._results, first, self._length, self._room)
        async with contextlib.aclosing(reading) as items:
            async for item in items:
                yield walk.closed() if isinstance(item, PageEnd) else _taken(walk, item)
        self._left = leg

    async def _alone(self, walk: Walk) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """Chunk after chunk, until several may read on."""
        async with self._source.reader(self._plan.source.name) as session:
            while walk.leg is not None and self._shared(walk) is None:
                if walk.passed and walk.stop is None:
                    seconds = _READ_ON_SECONDS
                    walk.stop = await reading_ends(session, self._source, self._plan, seconds)
                begun = clock.seconds()
                async with contextlib.aclosing(self._chunk(session, walk)) as batches:
                    async for batch in batches:
                        yield batch
                end = walk.end(self._limit)
                self._adapt(clock.seconds() - begun)
                yield end

    async def _chunk(self, session: Session, walk: Walk) -> AsyncGenerator[pa.RecordBatch, None]:
        page = walk.page(self._limit)
        if page is None:
            return
        await self._source.governor.spared()
        async with contextlib.aclosing(self._results.rows(session, page)) as pieces:
            async for piece in pieces:
                yield _taken(walk, piece)
                await self._source.governor.took(piece.decoded.batch.num_rows, piece.size)

    def _adapt(self, seconds: float) -> None:
        """Aim at chunks of a few seconds."""
        if self._fixed or self._plan.index is None:
            return
        factor = _CHUNK_SECONDS / max(seconds, 0.001)
        factor = min(max(factor, 1 / _FASTER), _FASTER)
        self._limit = int(min(max(self._limit * factor, _LEAST_ROWS), _MOST_ROWS))


def _passes(error: Error) -> bool:
    """Whether it may be over in a moment: tables are swapped by names that for a while are none."""
    return isinstance(error, UnavailableError) or error.context.get("code") == _UNKNOWN_TABLE


def _taken(walk: Walk, piece: Piece) -> pa.RecordBatch:
    batch = piece.decoded.batch
    walk.took(batch.num_rows, piece.last, piece.decoded.changed)
    return batch
