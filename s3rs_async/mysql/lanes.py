"""Where packets start: the walk along their lengths, plain or in lanes; pure.

A packet is three bytes of length, one of sequence number, and a body. A walk stops before a packet
that is not whole, that is no row (EOF, ERR, an empty one), that is out of sequence, or that has the
greatest length (it would go on in the next one).

A Python loop takes its time for every packet, so a large piece is cut into lanes that numpy walks
side by side. Where a lane's first packet starts is a guess, from lengths like those of the piece's
first packets and numbers that follow each other. The walk is the proof: each lane must end exactly
where the next one began, which makes them one chain from a known start; that chain is then cut
where a plain walk would have stopped. A guess that fails costs time alone: the plain walk does it
again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Starts = npt.NDArray[np.int64]
Found = tuple[int, int, Starts]

_HEADER = 4
_LONGEST = 0xFFFFFF
_EOF, _ERR = 0xFE, 0xFF
_EOF_BODY = 9  # an EOF packet's body is shorter than this
_FROM = 1 << 17  # bytes from which lanes pay
_SAMPLE = 64  # packets walked plainly to learn how long they are
_PER_LANE = 64  # packets that a lane should have
_LEAST_LANES = 8
_HOPS = 4  # packets in sequence that make a guess
_STEPS = 4  # of all lanes, before it is asked again whether they are there
_SLACK = 64  # bytes beyond those in which a packet must start, where all are short


def walk(data: bytearray | memoryview, at: int, sequence: int) -> Found:
    """Row packets from `at` on: where they end, the next sequence number, where each starts."""
    if len(data) - at < _FROM:
        return walk_plainly(data, at, sequence)
    head = walk_plainly(data, at, sequence, most=_SAMPLE)
    if len(head[2]) < _SAMPLE:
        return head
    lengths = np.diff(head[2], append=head[0]) - _HEADER
    tail = walk_in_lanes(data, head[0], head[1], lengths)
    if tail is None:
        tail = walk_plainly(data, head[0], head[1])
    return tail[0], tail[1], np.concatenate([head[2], tail[2]])


def walk_plainly(
    data: bytearray | memoryview, at: int, sequence: int, most: int | None = None
) -> Found:
    """The same, packet by packet, `most` of them."""
    starts: list[int] = []
    size = len(data)
    while at + _HEADER < size and len(starts) != most:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        after = at + _HEADER + length
        if after > size or data[at + 3] != sequence or length in (0, _LONGEST):
            break
        first = data[at + _HEADER]
        if first >= _EOF and (first == _ERR or length < _EOF_BODY):
            break
        starts.append(at)
        sequence = (sequence + 1) & 255
        at = after
    return at, sequence, np.array(starts, np.int64)


def walk_in_lanes(
    data: bytearray | memoryview, at: int, sequence: int, lengths: Starts
) -> Found | None:
    """The same, lanes side by side; None if a guess fails or there are too few packets.

    `lengths` are those of some packets before.
    """
    count = int((len(data) - at) / (lengths.mean() + _HEADER) / _PER_LANE)
    if count < _LEAST_LANES:
        return None
    headers = np.ndarray((len(data) - 3,), "<u4", data, 0, (1,))
    entries = _entries(headers, at, count, lengths)
    if entries is None:
        return None
    chain = _chain(headers, entries)
    if chain is None:
        return None
    starts, after = chain
    good = _good(headers, np.frombuffer(data, np.uint8), starts, sequence)
    if good < len(starts):
        return int(starts[good]), (sequence + good) & 255, starts[:good].copy()
    rest = walk_plainly(data, after, (sequence + good) & 255)
    return rest[0], rest[1], np.concatenate([starts, rest[2]])


def _entries(
    headers: npt.NDArray[np.uint32], at: int, count: int, lengths: Starts
) -> Starts | None:
    """Where each lane's first packet seems to start: the first is known, the others guessed.

    Most lanes show one within the length of a usual row; the others are looked at further.
    """
    mean, most = int(lengths.mean()), int(lengths.max()) * 2
    widest = min(mean * 4, most) + _SLACK
    span = (len(headers) - at - widest) // count
    if span <= widest:
        return None
    bases = at + np.arange(count, dtype=np.int64) * span
    entries = np.append(bases[:1], np.full(count - 1, -1))
    for window in (min(mean + _SLACK, widest), widest):
        left = np.flatnonzero(entries < 0)
        guess = _first_guess(headers, bases[left], window, (int(lengths.min()) // 2, most))
        entries[left] = guess
    return None if (entries < 0).any() else entries


def _first_guess(
    headers: npt.NDArray[np.uint32], bases: Starts, window: int, lengths: tuple[int, int]
) -> Starts:
    """The first place from each base on where packets seem to start; -1 where there is none."""
    least, most = lengths
    every = np.lib.stride_tricks.as_strided(
        headers, (len(headers) - window + 1, window), headers.strides * 2, writeable=False
    )
    above = (every[bases] & np.uint32(_LONGEST)) - np.uint32(least)  # less is very great then
    lane, offset = np.divmod(np.flatnonzero(above <= most - least), window)
    guess = bases[lane] + offset
    fits = _following(headers, guess)
    first = np.full(len(bases), -1, np.int64)
    first[lane[fits][::-1]] = guess[fits][::-1]  # the first guess of each is written last
    return first


def _following(headers: npt.NDArray[np.uint32], at: Starts) -> Starts:
    """The places in `at` of those where several packets in sequence start."""
    left = np.arange(len(at))
    header = headers[at]
    for _ in range(_HOPS):
        at = np.minimum(at + _HEADER + (header & np.uint32(_LONGEST)), len(headers) - 1)
        after = headers[at]
        fits = ((after >> np.uint32(24)) - (header >> np.uint32(24))) & np.uint32(255) == 1
        left, at, header = left[fits], at[fits], after[fits]
    return left


def _chain(headers: npt.NDArray[np.uint32], entries: Starts) -> tuple[Starts, int] | None:
    """All lanes walked to where the next one began; None if one missed it.

    Those that are there go on into the next one's packets until the last has come, which costs less
    than holding them back. The last lane has no next: it is one packet long, and what follows is
    left to the plain walk.
    """
    ends = np.append(entries[1:], entries[-1] + 1)
    last = len(headers) - 1
    at, rows = entries, [entries]
    while (at < ends).any():
        for _ in range(_STEPS):
            at = at + (headers[np.minimum(at, last)] & np.uint32(_LONGEST))
            at += _HEADER
            rows.append(at)
    table = np.stack(rows, axis=1)
    own = table < ends[:, None]
    exits = table[np.arange(len(ends)), np.count_nonzero(own, axis=1)]
    if not np.array_equal(exits[:-1], entries[1:]):
        return None
    starts = table[own]
    return starts[:-1], int(starts[-1])


def _good(
    headers: npt.NDArray[np.uint32],
    data: npt.NDArray[np.uint8],
    starts: Starts,
    sequence: int,
) -> int:
    """How many packets a plain walk would have taken."""
    found = headers[starts]
    length = found & np.uint32(_LONGEST)
    numbers = np.arange(sequence, sequence + len(starts), dtype=np.uint32) & np.uint32(255)
    bad = (found >> np.uint32(24)) != numbers
    bad |= length - np.uint32(1) >= _LONGEST - 1  # none at all is very great then
    first = data[starts + _HEADER]
    if len(first) and int(first.max()) >= _EOF:
        bad |= (first == _ERR) | ((first == _EOF) & (length < _EOF_BODY))
    return int(bad.argmax()) if bad.any() else len(starts)
