"""A row that is longer than a block, received into an array of its own; no IO.

Its packets are joined: each but the last has the greatest length there is, and the last one may be
empty. Bytes are taken up to the end of a part and of the header behind it, never beyond, so that a
header is always the last that has come, and is dropped before the next part: nothing is moved.

The array grows with the parts that were announced, at most to twice of what has come, and never
beyond the longest row that is allowed: what a server only claims to send takes no memory, since
pages that nobody writes to are nobody's.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError, UnavailableError

HEADER = 4
LONGEST = 0xFFFFFF
PAD = 64  # readable bytes behind the data, so that decoders may gather past a value's end


class LongRow:
    """What has come of one row: `data` holds a header and the row's `size` bytes behind it."""

    def __init__(self, begun: memoryview, *, most: int) -> None:
        self._most = most
        self._part = int.from_bytes(begun[:3], "little")
        self._sequence = (begun[3] + 1) & 255
        self._filled = len(begun)
        self._end = HEADER + self._part
        self._check()
        self.data = np.empty(self._end + HEADER + PAD, np.uint8)
        self.data.data[: len(begun)] = begun

    @property
    def whole(self) -> bool:
        """Whether the last packet is complete."""
        return self._part < LONGEST and self._filled == self._end

    @property
    def sequence(self) -> int:
        """The number of the packet that comes next."""
        return self._sequence

    @property
    def end(self) -> int:
        """Where the row ends, as far as packets were announced."""
        return self._end

    def room(self) -> memoryview:
        """Where the next bytes go: what this part lacks, and the header behind it."""
        return self.data.data[self._filled : self._wanted]

    def took(self, count: int) -> None:
        """So many bytes were written there."""
        self._filled += count
        while self._part == LONGEST and self._filled == self._wanted:
            self._next_part()

    @property
    def _wanted(self) -> int:
        return self._end + (HEADER if self._part == LONGEST else 0)

    def _next_part(self) -> None:
        header = self.data[self._end : self._filled].tobytes()
        if header[3] != self._sequence:
            raise out_of_sequence(self._sequence, header[3])
        self._part = int.from_bytes(header[:3], "little")
        self._sequence = (self._sequence + 1) & 255
        self._filled = self._end
        self._end += self._part
        self._check()
        self._grow()

    def _check(self) -> None:
        size = self._end - HEADER
        if size > self._most:
            raise DataError(
                "a row is longer than is allowed",
                where="mysql",
                bytes=size,
                max_row_bytes=self._most,
                hint="raise the source's max_row_bytes, or read the table through a view without "
                "the long column: Redshift takes rows of up to 4 MB",
            )

    def _grow(self) -> None:
        needed = self._end + HEADER + PAD
        if needed <= len(self.data):
            return
        longest = HEADER + self._most + HEADER + PAD
        grown = np.empty(max(needed, min(2 * len(self.data), longest)), np.uint8)
        grown[: self._filled] = self.data[: self._filled]
        self.data = grown


def out_of_sequence(expected: int, got: int) -> UnavailableError:
    """Packets were lost or doubled on the way."""
    return UnavailableError(
        "packets from the source are out of sequence", where="mysql", expected=expected, got=got
    )
