"""A pass over a table: from plan, position and bound to record batches and the ends of chunks.

Every chunk is one autocommit SELECT of a few seconds, so that no lock or snapshot of ours is held
for long; how many rows that is, is learned from the chunks before. While one piece of a result is
decoded on a thread the next one is read: two pieces and the driver's bounded buffer are all that is
held, and a consumer that stands still makes the server wait.

A connection that is lost is opened again strictly after the last row that was handed out, which a
unique key makes exact; a pass without a key ends there. The columns of every result must be those
of the first.

Use it as `async with contextlib.aclosing(read_pass(...))`: leaving it closes the connection and
stops the query at the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import clock
from ..errors import SchemaDriftError, UnavailableError
from ..model import Bound, Position
from . import sql
from .binary import BinaryDecoder
from .bound import reading_ends
from .chunk import ReadPlan
from .connection import Session, Source
from .decode import Decoded, TextDecoder
from .field import Field
from .protocol import Protocol
from .types import Cast
from .walk import ChunkEnd, Walk
from .wire import Packets

if TYPE_CHECKING:
    import pyarrow as pa

_Decoder = TextDecoder | BinaryDecoder

_TRIES = 4
_BACK_OFF = 0.5
_CHUNK_SECONDS = 3.0
_FIRST_ROWS = 50_000
_LEAST_ROWS = 1_000
_MOST_ROWS = 5_000_000
_FASTER = 4
_READ_ON_SECONDS = 60.0


async def read_pass(
    source: Source,
    plan: ReadPlan,
    position: Position | None,
    bound: Bound | None,
    *,
    limit: int | None = None,
) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
    """Batches of rows, and after each chunk's batches its end; `limit` caps the rows of a chunk."""
    walk = Walk(plan, position, bound)
    reader = _Reader(source, plan, limit)
    failures = 0
    while walk.leg is not None:
        try:
            async with (
                source.session(purpose="read") as session,
                contextlib.aclosing(reader.read(session, walk)) as items,
            ):
                async for item in items:
                    failures = 0
                    yield item
        except UnavailableError:
            failures += 1
            if failures >= _TRIES or not walk.resumable:
                raise
            await clock.sleep(_BACK_OFF * 2**failures + clock.jitter(_BACK_OFF))


@dataclass(frozen=True, slots=True)
class _Piece:
    decoded: Decoded
    last: list[str | None]


class _Reader:
    """What outlives a lost connection: the columns seen first, and how long a chunk should be."""

    def __init__(self, source: Source, plan: ReadPlan, limit: int | None) -> None:
        self._source = source
        self._plan = plan
        self._decoders: dict[Protocol, _Decoder] = {}
        self._fixed = limit is not None
        self._limit = limit or (_FIRST_ROWS if plan.index else _MOST_ROWS)
        self._fields: tuple[Field, ...] = ()

    async def read(
        self, session: Session, walk: Walk
    ) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """Walk on until all legs are done."""
        while walk.leg is not None:
            if walk.passed and walk.stop is None:
                walk.stop = await reading_ends(session, self._source, self._plan, _READ_ON_SECONDS)
            begun = clock.seconds()
            page = walk.page(self._limit)
            if page is not None:
                async with contextlib.aclosing(self._pieces(session, sql.page(page))) as pieces:
                    async for piece in pieces:
                        batch = piece.decoded.batch
                        walk.took(batch.num_rows, piece.last, piece.decoded.nulled)
                        yield batch
            end = walk.end(self._limit)
            self._adapt(clock.seconds() - begun)
            yield end

    async def _pieces(self, session: Session, statement: str) -> AsyncGenerator[_Piece, None]:
        """A result's pieces, each decoded on a thread while the next one is read."""
        loop = asyncio.get_running_loop()
        decoding: asyncio.Future[_Piece] | None = None
        try:
            async with contextlib.aclosing(session.rows(statement)) as stream:
                async for packets in stream:
                    self._check_fields(session)
                    if decoding is not None:
                        yield await decoding
                    decoder = self._decoder(session.protocol)
                    decoding = loop.run_in_executor(None, self._decode, decoder, packets)
            self._check_fields(session)
            if decoding is not None:
                yield await decoding
        finally:
            if decoding is not None:
                decoding.cancel()

    def _decoder(self, protocol: Protocol) -> _Decoder:
        """What reads rows of a protocol; one for all chunks, whatever session they come by."""
        if protocol not in self._decoders:
            kind = TextDecoder if protocol is Protocol.TEXT else BinaryDecoder
            self._decoders[protocol] = kind(self._plan.rules, self._fields)
        return self._decoders[protocol]

    def _decode(self, decoder: _Decoder, packets: Packets) -> _Piece:
        decoded = decoder.decode(packets)
        last = [
            None if cell is None else cell.hex() if rule.cast is Cast.HEX else cell.decode()
            for rule, cell in zip(self._plan.rules, decoder.last(packets), strict=True)
        ]
        return _Piece(decoded, last)

    def _check_fields(self, session: Session) -> None:
        if not self._fields:
            self._fields = session.fields
        if self._fields != session.fields:
            raise SchemaDriftError(
                "the table's columns were changed while it was read",
                table=str(self._plan.source.name),
                hint="run it again: the pass begins anew from the committed position",
            )

    def _adapt(self, seconds: float) -> None:
        """Aim at chunks of a few seconds, changing slowly."""
        if self._fixed or self._plan.index is None:
            return
        factor = _CHUNK_SECONDS / max(seconds, 0.001)
        factor = min(max(factor, 1 / _FASTER), _FASTER)
        self._limit = int(min(max(self._limit * factor, _LEAST_ROWS), _MOST_ROWS))
