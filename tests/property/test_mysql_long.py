"""Rows longer than a block, and longer than a packet can be, arrive whole and in their order."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from s3rs_async.errors import DataError, UnavailableError
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.field import Field
from s3rs_async.mysql.long import LONGEST
from s3rs_async.mysql.wire import BLOCK, Cutter, Packets
from tests.property.pieces import cut
from tests.property.test_mysql_decode import EOF, decoder_of, of, packet

COLUMN = of("s", "longtext", characters=99)
LONG_LENGTH = 9  # bytes in front of a value of any length
STEP = 300_007


def split(body: bytes, number: int) -> tuple[bytes, int]:
    """A row's packets: each but the last has the greatest length, and the last may be empty."""
    out = bytearray()
    for at in range(0, len(body) + 1, LONGEST):
        out += packet(number, body[at : at + LONGEST])
        number += 1
    return bytes(out), number


def result(bodies: list[bytes]) -> bytes:
    out, number = bytearray(), 3
    for body in bodies:
        packets, number = split(body, number)
        out += packets
    return bytes(out) + packet(number, EOF)


def text(size: int) -> bytes:
    """A row of the text protocol that is so long."""
    return b"\xfe" + (size - LONG_LENGTH).to_bytes(8, "little") + b"x" * (size - LONG_LENGTH)


def lengths(decoder: Any, pieces: list[Packets]) -> list[int]:
    return [
        LONG_LENGTH + size
        for piece in pieces
        for size in pc.binary_length(decoder.decode(piece).batch["s"]).to_pylist()
    ]


@pytest.mark.parametrize(
    "size", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 2 * LONGEST + BLOCK]
)
def test_a_row_of_several_packets_is_one_row_in_both_protocols(size: int) -> None:
    sizes = [20, size, 30, BLOCK + 5, size, 40]
    bodies = [text(each) for each in sizes]
    pieces = cut(result(bodies), STEP)
    assert lengths(decoder_of(COLUMN), pieces) == sizes
    binary = BinaryDecoder([COLUMN], [Field("s", FIELD_TYPE.LONG_BLOB, 0, 0, 45, 0)])
    pieces = cut(result([b"\0\0" + body for body in bodies]), STEP)
    assert lengths(binary, pieces) == sizes
    assert pieces[-1].rows >= 1


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(
        st.one_of(st.integers(10, 5000), st.integers(BLOCK - 20, BLOCK + 20)), max_size=12
    ),
    step=st.integers(1 << 16, 3 * BLOCK),
)
@example(sizes=[BLOCK - 4, BLOCK - 4], step=BLOCK)
@example(sizes=[BLOCK - 3, 10, BLOCK - 14], step=BLOCK)
@example(sizes=[1000, BLOCK - 1008], step=BLOCK)
def test_rows_about_as_long_as_a_block_lose_nothing(sizes: list[int], step: int) -> None:
    cutter, found, sent = Cutter(3), [], result([text(size) for size in sizes])
    for at in range(0, len(sent), step):
        cutter.feed(sent[at : at + step])
        while cutter.full:
            found.append(cutter.take())
    while cutter.ready:
        found.append(cutter.take())
    assert cutter.done
    assert lengths(decoder_of(COLUMN), found) == sizes


def test_numbers_wrap_within_a_row_and_are_checked() -> None:
    body = text(LONGEST + 5)
    first, second = packet(255, body[:LONGEST]), packet(0, body[LONGEST:])
    cutter = Cutter(255)
    cutter.feed(first + second + packet(1, EOF))
    assert (cutter.done, cutter.take().rows, cutter.ready) == (True, 1, False)
    with pytest.raises(UnavailableError, match="out of sequence"):
        Cutter(255).feed(first + packet(1, body[LONGEST:]))


def test_a_row_that_stops_between_its_packets_is_a_lost_connection() -> None:
    cutter = Cutter(3)
    cutter.feed(packet(3, text(LONGEST)))
    cutter.walk()
    assert not cutter.ready
    with pytest.raises(UnavailableError, match="closed the connection"):
        cutter.feed(b"")


def test_an_error_of_the_greatest_length_is_the_servers_error() -> None:
    body = b"\xff" + (1317).to_bytes(2, "little") + b"#70100stopped" + b" " * BLOCK
    with pytest.raises(UnavailableError, match="killed"):
        Cutter(3).feed(packet(3, body))


def test_a_server_that_never_ends_a_row_takes_no_more_memory_than_a_row_may_have() -> None:
    most, part, sent = 40 << 20, bytes(LONGEST), 0
    cutter = Cutter(3, most)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="longer than is allowed") as caught:
            while sent < 4 * most:
                cutter.feed(struct.pack("<I", LONGEST | (3 + sent // LONGEST) << 24) + part)
                sent += LONGEST
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent <= most
    assert peak < 2 * most + 2 * BLOCK
    assert caught.value.context["max_row_bytes"] == most
    assert "max_row_bytes" in caught.value.hint
