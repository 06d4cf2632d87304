"""What is attacked: everything that reads a server's bytes, as it stands, one input at a time.

The first byte of an input says which target it is for, the second what of it; the rest are a
server's bytes. Whatever they are, they are read or refused by an error of ours, within a second of
the processor's time. What else comes out is a flaw, and so is a lie:

- framing: a result cut at other places gives the same packets and the same end;
- text, binary: a row between two good ones, which come out as they are or not at all;
- answers: what is said to a question, through the driver's own reader of packets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any

import numpy as np

from s3rs_async.errors import Error
from s3rs_async.mysql import statement
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.border import translated
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.dial import Connection
from s3rs_async.mysql.wire import PAD, Cutter, Packets
from tests.fuzz import tables

SECONDS = 1.0
SEQUENCE = 3


class Target(IntEnum):
    """What an input is for, by its first byte."""

    FRAMING = 0
    TEXT = 1
    BINARY = 2
    ANSWERS = 3


class FlawError(AssertionError):
    """Something that no bytes may lead to."""


def target_of(data: bytes) -> Target:
    """Which target an input is for."""
    return Target(data[0] % len(Target))


def judge(data: bytes) -> None:
    """Run one input; FlawError, or whatever was not foreseen, where it has found something."""
    if len(data) < 2:
        return
    target = _TARGETS[target_of(data)]
    began = time.thread_time()
    target(data[1], data[2:])
    spent = time.thread_time() - began
    if spent > SECONDS:
        raise FlawError(f"{spent:.1f} s for {len(data)} bytes")


def _framing(what: int, data: bytes) -> None:
    (rows, end), (some, other_end) = (
        _cut(data, len(data) + 1),
        _cut(data, max(what, len(data) // 8) + 1),
    )
    refused = end not in _ENDS
    if end != other_end or (rows != some and not (refused and some[: len(rows)] == rows)):
        raise FlawError(f"whole {rows} and {end}, but cut into pieces {some} and {other_end}")


_ENDS = ("it ended", "it goes on")


def _cut(data: bytes, step: int) -> tuple[list[bytes], str]:
    """The bodies of all rows that were handed out, and how it ended."""
    cutter, found = Cutter(SEQUENCE), []
    try:
        for at in range(0, len(data), step):
            cutter.feed(data[at : at + step])
            cutter.walk()
            while cutter.ready:
                found += bodies(cutter.take())
    except Error as error:
        return found, type(error).__name__
    return found, _ENDS[0] if cutter.done else _ENDS[1]


def bodies(packets: Packets) -> list[bytes]:
    ends = [*packets.starts[1:].tolist(), packets.end]
    data = packets.data.tobytes()
    return [data[at + 4 : end] for at, end in zip(packets.starts.tolist(), ends, strict=True)]


class _Decoding:
    """Rows of the known tables, in one protocol."""

    def __init__(self, target: Target) -> None:
        of_text = target is Target.TEXT
        self._decoders = [
            TextDecoder(each.rules, each.text)
            if of_text
            else BinaryDecoder(each.rules, each.binary)
            for each in _TABLES
        ]
        self._good = [each.text_row if of_text else each.binary_row for each in _TABLES]
        self._expected = [
            decoder.decode(_packets([good])).batch
            for decoder, good in zip(self._decoders, self._good, strict=True)
        ]

    def __call__(self, what: int, body: bytes) -> None:
        number = what % len(self._decoders)
        decoder, good = self._decoders[number], self._good[number]
        packets = _packets([good, body, good])
        try:
            batch = decoder.decode(packets).batch
        except Error:
            return
        batch.validate(full=True)
        for at in (0, 2):
            if not batch.slice(at, 1).equals(self._expected[number]):
                raise FlawError(f"a row beside it became {batch.slice(at, 1).to_pylist()}")
        self._check_position(number, body)

    def _check_position(self, number: int, body: bytes) -> None:
        """What was decoded can be spelled, or is refused."""
        try:
            decoder = self._decoders[number]
            found = decoder.last(_packets([body]))
        except Error:
            return
        if len(found) != len(decoder.schema):
            raise FlawError("a position of another number of columns")


def _packets(bodies: list[bytes]) -> Packets:
    starts = np.cumsum([0, *(len(body) + 4 for body in bodies)]).astype(np.int64)
    wired = b"".join(b"\0\0\0\0" + body for body in bodies)
    return Packets(np.frombuffer(wired + bytes(PAD), np.uint8), starts[:-1], int(starts[-1]))


class _Said:
    """A stream that has all its bytes at once, and then ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def readexactly(self, count: int) -> bytes:
        found, self._data = self._data[:count], self._data[count:]
        if len(found) < count:
            raise asyncio.IncompleteReadError(found, count)
        return found


class _Deaf:
    """Where commands go that nobody hears."""

    def __init__(self) -> None:
        self.transport = self

    def write(self, data: bytes) -> None:
        """Nobody."""

    def close(self) -> None:
        """Nothing."""


class _Answers:
    """What a server says to a question, before the first row."""

    def __init__(self) -> None:
        self._connection = asyncio.run(_unconnected())

    def __call__(self, what: int, data: bytes) -> None:
        connection = self._connection
        connection._reader, connection._writer = _Said(data), _Deaf()
        asked = _QUESTIONS[what % len(_QUESTIONS)]
        try:
            with translated():
                _run(asked(connection))
        except Error:
            return
        finally:
            connection._writer = None


async def _unconnected() -> Connection:
    return Connection(host="nowhere", user="u", charset="utf8mb4")


_QUESTIONS: tuple[Callable[[Any], Coroutine[Any, Any, Any]], ...] = (
    lambda connection: statement.ask(connection, "SELECT 1"),
    lambda connection: statement.prepare(connection, "SELECT 1"),
    lambda connection: statement.execute(connection, 7),
)


def _run(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run what never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise FlawError("it waits for more than there is")


_TABLES = tables.load()
_TARGETS = (_framing, _Decoding(Target.TEXT), _Decoding(Target.BINARY), _Answers())
