"""A statement's result, piece by piece, decoded on a thread while the next piece is read.

Two pieces and the driver's bounded buffer are all that a result holds, and a consumer that stands
still makes the server wait. The columns of every result must be those of the first, whichever
session it comes by: a table that is changed in the middle ends the pass.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from ..errors import DataError, SchemaDriftError
from . import sql
from .binary import BinaryDecoder
from .chunk import ReadPlan
from .connection import Session
from .decode import Decoded, TextDecoder
from .field import Field
from .protocol import Protocol
from .sql import Page
from .types import Cast, Rule
from .walk import known
from .wire import Packets

_Decoder = TextDecoder | BinaryDecoder


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows, and the values of the last of them in the order of the plan's rules.

    `size` is how many bytes they were on their way.
    """

    decoded: Decoded
    last: list[str | None]
    size: int


class Results:
    """The results of one plan, by whatever sessions."""

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan
        self._decoders: dict[Protocol, _Decoder] = {}
        self._fields: tuple[Field, ...] = ()

    async def rows(self, session: Session, page: Page) -> AsyncGenerator[Piece, None]:
        """A page's rows."""
        loop = asyncio.get_running_loop()
        decoding: asyncio.Future[Piece] | None = None
        try:
            async with contextlib.aclosing(session.rows(sql.page(page))) as stream:
                async for packets in stream:
                    self._check_fields(session)
                    if decoding is not None:
                        yield await decoding
                    decoder = self._decoder(session.protocol)
                    decoding = loop.run_in_executor(None, self._decode, decoder, packets)
            self._check_fields(session)
            if decoding is not None:
                yield await decoding
        except DataError as error:
            error.context.setdefault("table", str(self._plan.source.name))
            raise
        finally:
            if decoding is not None:
                decoding.cancel()

    async def edge(self, session: Session, page: Page, rows: int) -> tuple[str, ...] | None:
        """The order's values in the row with which so many rows of a page end, if it has them."""
        async with contextlib.aclosing(session.stream(sql.edge(page, rows))) as stream:
            found = [packets async for packets in stream]
        if not found:
            return None
        cells = TextDecoder(page.order, session.fields).last(found[0])
        return tuple(known(value) for value in _told(page.order, cells))

    async def keys(self, session: Session, page: Page) -> set[tuple[str, ...]]:
        """The keys of a page's rows, which are few."""
        found = set()
        async with contextlib.aclosing(session.stream(sql.page(page))) as stream:
            async for packets in stream:
                decoder = TextDecoder(page.columns, session.fields)
                rows = [decoder.row(packets, number) for number in range(packets.rows)]
                found |= {tuple(map(known, _told(page.columns, cells))) for cells in rows}
        return found

    def _decoder(self, protocol: Protocol) -> _Decoder:
        """What reads rows of a protocol; one for all chunks, whatever session they come by."""
        if protocol not in self._decoders:
            kind = TextDecoder if protocol is Protocol.TEXT else BinaryDecoder
            self._decoders[protocol] = kind(self._plan.rules, self._fields)
        return self._decoders[protocol]

    def _decode(self, decoder: _Decoder, packets: Packets) -> Piece:
        last = _told(self._plan.rules, decoder.last(packets))
        return Piece(decoder.decode(packets), last, packets.end)

    def _check_fields(self, session: Session) -> None:
        if not self._fields:
            self._fields = session.fields
        if self._fields != session.fields:
            raise SchemaDriftError(
                "the table's columns were changed while it was read",
                table=str(self._plan.source.name),
                hint="run it again: the pass begins anew from the committed position",
            )


def _told(rules: Sequence[Rule], cells: Sequence[bytes | None]) -> list[str | None]:
    """Cells as the texts that a position has of them."""
    return [
        None if cell is None else cell.hex() if rule.cast is Cast.HEX else cell.decode()
        for rule, cell in zip(rules, cells, strict=True)
    ]
