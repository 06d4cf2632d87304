"""Framing: a result's bytes cut into whole row packets, without looking into rows.

Rows of the text and of the binary protocol are framed alike: a binary one begins with a zero byte,
which is neither EOF's nor ERR's.

A packet is three bytes of length, one of sequence number, and a body. A result's rows end with an
EOF packet and with nothing else: bytes that stop before it are a lost connection, never an end. An
ERR packet may come at any place and is raised as the server's error. Numbers out of sequence and
bytes behind the end are refused.

Bytes are received into blocks, which are never written to again once their rows were handed out;
what a full block has of its next row begins the next block. A row that is longer than a block gets
an array of its own (`long`), and is handed out alone.

A block is as small as the processor's caches like it, and twice as large where it would have few
rows: a decoder's steps cost as much for a few as for some thousands.

Packets are found by walking their lengths (`lanes`), which is cheap for large pieces only. So they
are walked when the block is full, when the last bytes look like an EOF packet, or when the caller
has waited in vain for more (`walk`): an error packet at the end of what the server sends is found
then, and nothing ever waits for bytes that do not come. No IO here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UnavailableError
from . import long
from .border import failure
from .lanes import Starts, walk
from .long import HEADER, LongRow, out_of_sequence

Bytes = npt.NDArray[np.uint8]

PAD = long.PAD
BLOCK = 1 << 21
WIDE_BLOCK = 1 << 22
_FEW_ROWS = 8192
MOST_ROW_BYTES = 128 << 20
LONGEST_KEY = 1 << 18  # bytes; no index of any server has values nearly as long
_EOF, _ERR = 0xFE, 0xFF
_EOF_MARK, _EOF_LENGTH, _EOF_PACKET = b"\xfe", b"\x05\0\0", 9
_MESSAGE_AT = 9  # of an ERR body: marker, number (2), '#', state (5)
_MESSAGE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Packets:
    """Whole row packets: their bytes, then PAD; where each starts; where the last one ends."""

    data: Bytes
    starts: Starts
    end: int

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return len(self.starts)


class Cutter:
    """Takes bytes as they come and gives whole row packets; `done` once the EOF packet was seen."""

    def __init__(self, sequence: int, most: int = MOST_ROW_BYTES) -> None:
        self.done = False
        self._sequence = sequence
        self._most = most
        self._cut: deque[Packets] = deque()
        self._long: LongRow | None = None
        self._size = BLOCK
        self._begin(b"")

    def _begin(self, left: bytes | memoryview) -> None:
        """A new block, which begins with what the one before had left."""
        self._block = np.empty(self._size + PAD, np.uint8)
        self._view = self._block.data
        self._view[: len(left)] = left
        self._filled = len(left)
        self._walked = self._looked = 0
        self._starts: list[Starts] = []

    def feed(self, data: bytes) -> None:
        """Take more bytes; raise the server's error when they hold one."""
        self.check(len(data))
        rest = memoryview(data)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self.took(count)
            rest = rest[count:]

    def check(self, count: int) -> None:
        """Whether so many bytes may come now."""
        if not count:
            raise failure(2013, "the source closed the connection in the middle of a result")
        if self.done:
            raise UnavailableError("bytes behind the end of a result", where="mysql")

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._view[self._filled : self._size] if self._long is None else self._long.room()

    def took(self, count: int) -> None:
        """So many bytes were written there; raise the server's error when they hold one."""
        self.check(count)
        if self._long is not None:
            self._took_of_long(self._long, count)
            return
        self._filled += count
        if self._filled == self._size:
            self.walk()
            self._next_block()
        elif self._may_end():
            self.walk()

    def walk(self) -> None:
        """Find the packets in what has come so far; raise the server's error if it is there."""
        if self._long is not None or not self.waiting:
            return
        data = self._view[: self._filled]
        walked, self._sequence, starts = walk(data, self._walked, self._sequence)
        if len(starts):
            self._starts.append(starts)
        self._walked = walked
        self._looked = self._filled
        self._look_at_the_next(data)

    @property
    def waiting(self) -> bool:
        """Whether bytes have come that were not walked."""
        return self._long is None and self._filled > self._looked

    @property
    def full(self) -> bool:
        """Whether a block of rows waits."""
        return bool(self._cut)

    @property
    def blocks(self) -> int:
        """How many blocks of rows wait."""
        return len(self._cut)

    @property
    def ready(self) -> bool:
        """Whether rows wait."""
        return bool(self._cut or self._walked)

    def take(self) -> Packets:
        """The next block of rows, or all rows so far."""
        if not self._cut:
            self._roll()
        return self._cut.popleft()

    def _next_block(self) -> None:
        """Go on behind a full block; a row that it cannot hold is a long one."""
        if self._walked:
            self._roll()
        elif not self.done:
            begun = self._view[: self._filled]
            if begun[HEADER] == _ERR:
                raise _server_error(bytes(begun[HEADER:]))
            self._long = LongRow(begun, most=self._most)

    def _roll(self) -> None:
        """The rows of this block wait, and what is left begins the next one."""
        end, looked = self._walked, self._looked
        starts = np.concatenate(self._starts) if self._starts else np.empty(0, np.int64)
        self._cut.append(Packets(self._block[: end + PAD], starts, end))
        if end * _FEW_ROWS > len(starts) * BLOCK:
            self._size = WIDE_BLOCK
        self._begin(self._view[end : self._filled])
        self._looked = looked - end

    def _took_of_long(self, row: LongRow, count: int) -> None:
        row.took(count)
        if row.whole:
            starts = np.zeros(1, np.int64)
            self._cut.append(Packets(row.data[: row.end + PAD], starts, row.end))
            self._sequence, self._long = row.sequence, None
            self._begin(b"")

    def _may_end(self) -> bool:
        tail = bytes(self._view[max(self._filled - _EOF_PACKET, 0) : self._filled])
        return tail[:3] == _EOF_LENGTH and tail[HEADER:5] == _EOF_MARK

    def _look_at_the_next(self, data: memoryview) -> None:
        """What stopped the walk: too few bytes, the end, or an error."""
        at = self._walked
        if len(data) - at < HEADER:
            return
        length = int.from_bytes(data[at : at + 3], "little")
        if data[at + 3] != self._sequence and not (length and _may_be_shutdown(data, at)):
            raise out_of_sequence(self._sequence, data[at + 3])
        if len(data) - at - HEADER < length:
            return
        self._finish(bytes(data[at + HEADER : at + HEADER + length]), at + HEADER + length)

    def _finish(self, body: bytes, end: int) -> None:
        if body[:1] == bytes([_ERR]):
            raise _server_error(body)
        if not body or body[0] != _EOF:
            raise DataError("an empty packet among the rows", where="mysql")
        if end != self._filled:
            raise UnavailableError("bytes behind the end of a result", where="mysql")
        self.done = True
        self._filled = self._looked = self._walked


def _may_be_shutdown(data: memoryview, at: int) -> bool:
    """MySQL numbers the error that announces its shutdown 0, wherever it comes."""
    return data[at + 3] == 0 and bytes(data[at + HEADER : at + HEADER + 1]) in (b"", bytes([_ERR]))


def _server_error(body: bytes) -> Exception:
    code = int.from_bytes(body[1:3], "little")
    text = body[_MESSAGE_AT:] if body[3:4] == b"#" else body[3:]
    return failure(code, text[:_MESSAGE_BYTES].decode("utf-8", "replace"))


def cells(
    data: bytes | memoryview, start: int, end: int, most: int | None = None
) -> list[bytes | None]:
    """The values of the text row packet from `start` to `end`, one by one.

    Of those longer than `most` nothing is copied: they are told as None.
    """
    found: list[bytes | None] = []
    at = start + HEADER
    while at < end:
        length = data[at]
        at += 1
        if length == _NULL:
            found.append(None)
            continue
        if length > _NULL:
            if length not in _WIDTHS:
                raise DataError("a value without a length", where="mysql")
            width = _WIDTHS[length]
            length = int.from_bytes(data[at : at + width], "little")
            at += width
        found.append(bytes(data[at : at + length]) if most is None or length <= most else None)
        at += length
    if at != end:
        raise DataError("a row does not end where its packet ends", where="mysql")
    return found


_NULL = 0xFB
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
