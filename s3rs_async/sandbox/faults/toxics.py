"""What can happen to the bytes of one direction: a toxic is a value, `Placed` is one at work.

Toxics of one direction work in the order in which they were put. Those with `at` count every byte
that reaches them from then on, over all connections of the proxy together, so "at byte 4,000" is a
place in the whole of a conversation that takes several connections; they strike once. `Corrupt`
changes a byte and nothing else. What is random is drawn from the seed alone: the same bytes in the
same pieces meet the same fate.

A latency is added to each piece, one after the other: it slows a stream down as well, and is not a
model of a long line.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ... import clock


class Way(Enum):
    """A direction: from the client up to the server, or from the server down to the client."""

    UP = auto()
    DOWN = auto()


UP: Final = Way.UP
DOWN: Final = Way.DOWN


class Ending(Enum):
    """How a conversation ends, once a toxic has struck."""

    RESET = auto()
    CLOSED = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Latency:
    """Each piece comes so many seconds later, and up to `jitter` more."""

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """So many bytes a second."""

    rate: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Pieces of 1 to `size` bytes, each written for itself."""

    size: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The byte at this place has all its bits turned."""

    at: int


@dataclass(frozen=True, slots=True)
class Reset:
    """After so many bytes both ends are reset."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class HalfClose:
    """After so many bytes this direction is ended in order; the other goes on."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class Blackhole:
    """After so many bytes this direction says nothing more, and nobody is told."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """Bytes are kept, and the end of the stream with them, until the toxic is lifted."""


Toxic = Latency | Bandwidth | Slice | Corrupt | Reset | HalfClose | Blackhole | Keep

_ENDINGS: Final = {
    Reset: Ending.RESET,
    HalfClose: Ending.CLOSED,
    Blackhole: Ending.SILENT,
}


class Dice:
    """Chance from a seed: a linear congruential generator."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        """A number from 0 to below `limit`."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % limit

    def share(self) -> float:
        """A number from 0 to below 1."""
        return self.below(1 << 30) / (1 << 30)


@dataclass(eq=False, slots=True)
class Placed:
    """A toxic at work in one direction: whether it has met its bytes, and how to end it.

    `after` counts the bytes of the same connection that came behind the piece it met, and those of
    the piece itself behind the byte that was turned.
    """

    toxic: Toxic
    dice: Dice
    seen: int = 0
    after: int = 0
    met: asyncio.Event = field(default_factory=asyncio.Event)
    _met_in: object = None
    _lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def lift(self) -> None:
        """Take it away; what it kept goes on."""
        self._lifted.set()

    async def treat(self, piece: bytes, connection: object) -> tuple[list[bytes], Ending | None]:
        """What becomes of some bytes: what goes on now, and whether the conversation ends."""
        if self._lifted.is_set():
            return [piece], None
        if self._met_in is connection:
            self.after += len(piece)
        treated = await self._treated(piece)
        if self.met.is_set() and self._met_in is None:
            self._met_in = connection
        return treated

    async def _treated(self, piece: bytes) -> tuple[list[bytes], Ending | None]:
        first, self.seen = self.seen, self.seen + len(piece)
        match self.toxic:
            case Reset(at) | HalfClose(at) | Blackhole(at):
                return self._ended(piece, at - first)
            case Corrupt(at):
                return [self._corrupted(piece, at - first)], None
            case Slice(size):
                return self._sliced(piece, size), None
            case Latency() | Bandwidth() | Keep() as slow:
                await self._waited(slow, len(piece))
                return [piece], None

    async def held(self) -> None:
        """Wait with the end of a stream as with its bytes."""
        if isinstance(self.toxic, Keep):
            await self._waited(self.toxic, 0)

    async def _waited(self, slow: Latency | Bandwidth | Keep, size: int) -> None:
        self.met.set()
        match slow:
            case Latency(seconds, jitter):
                await clock.sleep(seconds + jitter * self.dice.share())
            case Bandwidth(rate):
                await clock.sleep(size / rate)
            case Keep():
                await self._lifted.wait()

    def _ended(self, piece: bytes, left: int) -> tuple[list[bytes], Ending | None]:
        """The bytes before the place, and the end once it is reached; an end comes once."""
        if self.met.is_set() or left > len(piece):
            return [piece], None
        self.met.set()
        return [piece[:left]] if left else [], _ENDINGS[type(self.toxic)]

    def _corrupted(self, piece: bytes, place: int) -> bytes:
        if not 0 <= place < len(piece):
            return piece
        self.met.set()
        self.after = len(piece) - place - 1
        return piece[:place] + bytes([piece[place] ^ 0xFF]) + piece[place + 1 :]

    def _sliced(self, piece: bytes, size: int) -> list[bytes]:
        self.met.set()
        pieces = []
        while piece:
            cut = 1 + self.dice.below(size)
            pieces.append(piece[:cut])
            piece = piece[cut:]
        return pieces
