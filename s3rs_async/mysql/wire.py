"""Framing: a result's bytes cut into whole row packets, without looking into rows.

Rows of the text and of the binary protocol are framed alike: a binary one begins with a zero byte,
which is neither EOF's nor ERR's.

A packet is three bytes of length, one of sequence number, and a body. A result's rows end with an
EOF packet and with nothing else: bytes that stop before it are a lost connection, never an end. An
ERR packet may come at any place and is raised as the server's error. Numbers out of sequence, bytes
behind the end, or a row so long that it spans packets (16 MiB) are refused.

Packets are found by walking their lengths (`lanes`), which is cheap for large pieces only. So bytes
are gathered first, and walked when there are enough of them, when the last ones look like an EOF
packet, or when the caller has waited in vain for more (`walk`): an error packet at the end of what
the server sends is found then, and nothing ever waits for bytes that do not come. No IO here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UnavailableError
from .border import failure
from .lanes import Starts, walk

Bytes = npt.NDArray[np.uint8]

PAD = 64  # readable bytes behind the data, so that decoders may gather past a value's end
TARGET = 1 << 20
_HEADER = 4
_LONGEST = 0xFFFFFF
_EOF, _ERR = 0xFE, 0xFF
_EOF_MARK, _EOF_LENGTH, _EOF_PACKET = b"\xfe", b"\x05\0\0", 9
_ENOUGH = 1 << 19
_MESSAGE_AT = 9  # of an ERR body: marker, number (2), '#', state (5)


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

    def __init__(self, sequence: int) -> None:
        self.done = False
        self._sequence = sequence
        self._data = bytearray()
        self._walked = 0
        self._looked = 0
        self._starts: list[Starts] = []

    def feed(self, data: bytes) -> None:
        """Take more bytes; raise the server's error when they hold one."""
        if not data:
            raise failure(2013, "the source closed the connection in the middle of a result")
        if self.done:
            raise UnavailableError("bytes behind the end of a result", where="mysql")
        self._data += data
        if len(self._data) - self._looked >= _ENOUGH or self._may_end():
            self.walk()

    def walk(self) -> None:
        """Find the packets in what has come so far; raise the server's error if it is there."""
        walked, self._sequence, starts = walk(self._data, self._walked, self._sequence)
        if len(starts):
            self._starts.append(starts)
        self._walked = walked
        self._looked = len(self._data)
        self._look_at_the_next()

    @property
    def waiting(self) -> bool:
        """Whether bytes have come that were not walked."""
        return len(self._data) > self._looked

    @property
    def ready(self) -> int:
        """Bytes of whole row packets that wait."""
        return self._walked

    def take(self) -> Packets:
        """The whole row packets so far."""
        end = self._walked
        data = np.zeros(end + PAD, np.uint8)
        data[:end] = np.frombuffer(self._data, np.uint8, end)
        starts = np.concatenate(self._starts) if self._starts else np.empty(0, np.int64)
        del self._data[:end]
        self._looked -= end
        self._walked, self._starts = 0, []
        return Packets(data, starts, end)

    def _may_end(self) -> bool:
        tail = self._data[-_EOF_PACKET:]
        return tail[:3] == _EOF_LENGTH and tail[_HEADER:5] == _EOF_MARK

    def _look_at_the_next(self) -> None:
        """What stopped the walk: too few bytes, the end, or an error."""
        data, at = self._data, self._walked
        if len(data) - at < _HEADER:
            return
        length = int.from_bytes(data[at : at + 3], "little")
        if data[at + 3] != self._sequence and not (length and _may_be_shutdown(data, at)):
            raise UnavailableError(
                "packets from the source are out of sequence",
                where="mysql",
                expected=self._sequence,
                got=data[at + 3],
            )
        if length == _LONGEST:
            raise DataError(
                "a row of 16 MiB or more",
                where="mysql",
                hint="Redshift takes rows of up to 4 MB: read the table through a view without "
                "the long column",
            )
        if len(data) - at - _HEADER < length:
            return
        self._finish(bytes(data[at + _HEADER : at + _HEADER + length]), at + _HEADER + length)

    def _finish(self, body: bytes, end: int) -> None:
        if body[:1] == bytes([_ERR]):
            raise _server_error(body)
        if not body or body[0] != _EOF:
            raise DataError("an empty packet among the rows", where="mysql")
        if end != len(self._data):
            raise UnavailableError("bytes behind the end of a result", where="mysql")
        self.done = True
        del self._data[self._walked :]
        self._looked = len(self._data)


def _may_be_shutdown(data: bytearray, at: int) -> bool:
    """MySQL numbers the error that announces its shutdown 0, wherever it comes."""
    return data[at + 3] == 0 and data[at + _HEADER : at + _HEADER + 1] in (b"", bytes([_ERR]))


def _server_error(body: bytes) -> Exception:
    code = int.from_bytes(body[1:3], "little")
    text = body[_MESSAGE_AT:] if body[3:4] == b"#" else body[3:]
    return failure(code, text.decode("utf-8", "replace"))


def cells(data: bytes, start: int, end: int) -> list[bytes | None]:
    """The values of the text row packet from `start` to `end`, one by one."""
    found: list[bytes | None] = []
    at = start + _HEADER
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
        found.append(data[at : at + length])
        at += length
    if at != end:
        raise DataError("a row does not end where its packet ends", where="mysql")
    return found


_NULL = 0xFB
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
