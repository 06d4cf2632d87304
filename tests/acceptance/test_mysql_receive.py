"""Reading from a connection that goes bad in ways a real server cannot be made to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from s3rs_async.errors import UnavailableError
from s3rs_async.mysql.border import translated
from s3rs_async.mysql.receive import Limits, receiving
from s3rs_async.mysql.wire import WIDE_BLOCK, Cutter

ROW = b"\x02\0\0\x03\x011"
END = b"\x05\0\0\x07\xfe\0\0\2\0"
pytestmark = pytest.mark.uvloop
BODY = b"\xff" + (1317).to_bytes(2, "little") + b"#70100stopped"


@dataclass
class Wire:
    """Stands for the driver's connection: of it only its reader and its transport are used."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    server: socket.socket

    async def rows(self, limits: Limits | None = None) -> list[int]:
        """How many rows each block has, to the result's end."""
        found: list[int] = []
        with translated():
            async with receiving(self, Cutter(3), limits or Limits()) as rows:
                while (packets := await rows.block()) is not None:
                    found.append(packets.rows)
        return found

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.server, data)


@pytest_asyncio.fixture
async def wire() -> AsyncIterator[Wire]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        yield Wire(reader, writer, theirs)
    writer.transport.abort()


def numbered(count: int, size: int = 1) -> bytes:
    """So many rows of one value, and the packet that ends them."""
    body = (bytes([size]) if size < 0xFB else b"\xfd" + size.to_bytes(3, "little")) + b"1" * size
    sent = [
        len(body).to_bytes(3, "little") + bytes([(3 + number) & 255]) + body
        for number in range(count)
    ]
    return b"".join(sent) + END[:3] + bytes([(3 + count) & 255]) + END[4:]


async def test_the_networks_own_time_out_is_an_error_and_not_an_idle_moment(wire: Wire) -> None:
    wire._reader.feed_data(ROW)
    wire._reader.set_exception(TimeoutError(110, "Connection timed out"))
    with pytest.raises(UnavailableError, match="timed out"):
        await wire.rows()


@pytest.mark.parametrize("before", [True, False])
async def test_an_error_packet_behind_which_nothing_comes_is_found(
    wire: Wire, before: bool
) -> None:
    sent = ROW + len(BODY).to_bytes(3, "little") + b"\x04" + BODY
    if before:
        wire._reader.feed_data(sent)
    else:
        await wire.send(sent)
    with pytest.raises(UnavailableError, match="killed"):
        await wire.rows()


async def test_what_a_server_says_before_it_goes_is_told(wire: Wire) -> None:
    await wire.send(ROW + len(BODY).to_bytes(3, "little") + b"\x04" + BODY)
    wire.server.close()
    with pytest.raises(UnavailableError, match="killed"):
        await wire.rows()


@pytest.mark.parametrize("sent", [b"", ROW, ROW[:-1]])
async def test_rows_that_stop_before_their_end_are_a_lost_connection(
    wire: Wire, sent: bytes
) -> None:
    await wire.send(sent)
    wire.server.close()
    with pytest.raises(UnavailableError, match="in the middle of a result"):
        await wire.rows()


async def test_an_end_that_the_driver_saw_is_a_lost_connection(wire: Wire) -> None:
    wire._reader.feed_data(ROW)
    wire._reader.feed_eof()
    with pytest.raises(UnavailableError, match="in the middle of a result"):
        await wire.rows()


@pytest.mark.parametrize("sent", [b"", ROW, ROW[:-1]])
async def test_a_source_that_falls_silent_is_a_lost_connection(wire: Wire, sent: bytes) -> None:
    await wire.send(sent)
    with pytest.raises(UnavailableError, match=r"silent for 0\.2 s in the middle"):
        await wire.rows(Limits(silent_seconds=0.2))


async def test_a_source_that_speaks_in_time_is_waited_for_longer(wire: Wire) -> None:
    async def speak() -> None:
        for number in range(4):
            await asyncio.sleep(0.2)
            await wire.send(ROW[:3] + bytes([3 + number]) + ROW[4:])
        await wire.send(END)

    async with asyncio.TaskGroup() as both:
        both.create_task(speak())
        found = both.create_task(wire.rows(Limits(silent_seconds=0.6)))
    assert found.result() == [4]


async def test_the_driver_receives_again_behind_the_last_row(wire: Wire) -> None:
    mine = wire._writer.transport.get_protocol()
    for _ in range(2):
        await wire.send(numbered(3))
        assert sum(await wire.rows()) == 3
        await wire.send(b"hello")
        assert await wire._reader.readexactly(5) == b"hello"
        assert wire._writer.transport.get_protocol() is mine


async def test_a_result_that_the_driver_had_received_already_is_read(wire: Wire) -> None:
    wire._reader.feed_data(numbered(3))
    assert await wire.rows() == [3]
    await wire.send(b"hello")
    assert await wire._reader.readexactly(5) == b"hello"


async def test_a_consumer_that_stands_still_makes_the_server_wait(wire: Wire) -> None:
    rows, size = 400, 100_000
    sent = 0

    async def speak() -> None:
        nonlocal sent
        for at in range(0, len(data := numbered(rows, size)), size):
            await wire.send(data[at : at + size])
            sent += size

    found = 0
    async with asyncio.TaskGroup() as both, receiving(wire, Cutter(3), Limits()) as intake:
        both.create_task(speak())
        while (packets := await intake.block()) is not None:
            found += packets.rows
            await asyncio.sleep(0.01)
            kernel = 2 << 20
            assert sent <= found * size + 3 * WIDE_BLOCK + kernel
    assert found == rows


async def test_who_leaves_in_mid_result_leaves_the_transport_to_the_driver(wire: Wire) -> None:
    mine = wire._writer.transport.get_protocol()
    waiting = asyncio.get_running_loop().create_task(wire.rows())
    await wire.send(ROW)
    await asyncio.sleep(0.1)
    assert wire._writer.transport.get_protocol() is not mine
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert wire._writer.transport.get_protocol() is mine
