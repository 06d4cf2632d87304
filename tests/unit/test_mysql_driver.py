"""What we use of the driver's private parts does what we rely on, on a real socket.

The other end of the connection is bytes written by hand. A new version of the driver that passes
here may be pinned.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pymysql.err
import pytest
from pymysql.constants import COMMAND, FIELD_TYPE
from pymysql.protocol import FieldDescriptorPacket

from s3rs_async.config import SourceConfig
from s3rs_async.mysql.dial import BUFFER, dial, drop, hang_up, is_quiet, leave
from s3rs_async.mysql.field import Field
from s3rs_async.tunnel import Address

GREETING = (
    b"\x0a5.5.5-10.11.0-MariaDB\0\x01\0\0\0saltsalt\0"
    b"\x00\x82\x2d\x02\x00\x0a\x00\x15" + b"\0" * 10 + b"saltsaltsalt\0mysql_native_password\0"
)
OK = b"\0\0\0\x02\0\0\0"
QUIT = b"\1\0\0\0\1"
MOST_READ_AT_ONCE = 1 << 18  # by asyncio's own transport


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


@dataclass
class Far:
    """The server's end, behind its greeting and the login."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    login: bytes

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Any, Far]]:
    """A connection that was dialled as all are, and its other end."""
    met: asyncio.Future[Far] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(packet(0, GREETING))
        size = int.from_bytes((await reader.readexactly(4))[:3], "little")
        login = await reader.readexactly(size)
        writer.write(packet(2, OK))
        met.set_result(Far(reader, writer, login))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = SourceConfig(host="far", port=port, user="me", password="p", tls="off")
        near, far = await dial(config, Address("127.0.0.1", port), {}), await met
        yield near, far
        far.writer.transport.abort()
        drop(near)


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


async def test_what_is_said_before_the_first_command_is_numbered_through(
    ends: tuple[Any, Far],
) -> None:
    near, far = ends
    assert near._next_seq_id == 3  # greeting, login, and the answer to it
    assert b"me\0" in far.login
    assert near._host == "far"
    assert near._ssl_context is None
    assert near.server_capabilities & near.client_flag


@pytest.mark.parametrize("said", ["SELECT 'é'", b"SELECT '\xc3\xa9'"])
async def test_a_command_is_one_packet_that_begins_the_numbers_anew(
    ends: tuple[Any, Far], said: str | bytes
) -> None:
    near, far = ends
    await near._execute_command(COMMAND.COM_QUERY, said)
    assert near._next_seq_id == 1
    expected = packet(0, b"\x03SELECT '\xc3\xa9'")
    assert await far.reader.readexactly(len(expected)) == expected


async def test_every_packet_read_moves_the_number_that_the_next_must_have(
    ends: tuple[Any, Far],
) -> None:
    near, far = ends
    near._next_seq_id = 254
    await far.send(packet(254, b"a") + packet(255, b"bc") + packet(0, b"d"))
    for number, body in ((255, b"a"), (0, b"bc"), (1, b"d")):
        assert (await near._read_packet()).get_all_data() == body
        assert near._next_seq_id == number


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [(4, pymysql.err.InternalError, "sequence"), (0, pymysql.err.OperationalError, "Lost")],
)
async def test_a_wrong_number_closes_the_connection(
    ends: tuple[Any, Far], number: int, kind: type[Exception], said: str
) -> None:
    near, far = ends
    await far.send(packet(number, b"x"))
    with pytest.raises(kind, match=said):
        await near._read_packet()
    assert near.closed
    assert near._reader is near._writer is None
    drop(near)


async def test_an_end_within_a_packet_is_a_lost_connection(ends: tuple[Any, Far]) -> None:
    near, far = ends
    await far.send(packet(3, b"whole")[:-1])
    far.writer.close()
    with pytest.raises(pymysql.err.OperationalError) as caught:
        await near._read_packet()
    assert caught.value.args[0] == 2013
    assert near.closed


async def test_an_error_packet_is_raised_with_its_number_and_words(ends: tuple[Any, Far]) -> None:
    near, far = ends
    await far.send(packet(3, b"\xff" + struct.pack("<H", 1146) + b"#42S02no such table"))
    with pytest.raises(pymysql.err.ProgrammingError) as caught:
        await near._read_packet()
    assert caught.value.args == (1146, "no such table")
    assert not near.closed


async def test_what_came_behind_a_packet_waits_in_the_reader(ends: tuple[Any, Far]) -> None:
    near, far = ends
    assert is_quiet(near)
    await far.send(packet(3, b"x") + b"rows")
    await near._read_packet()
    await until(lambda: len(near._reader._buffer) == 4)
    assert bytes(near._reader._buffer) == b"rows"
    assert not is_quiet(near)
    assert await near._reader.read(BUFFER) == b"rows"
    assert is_quiet(near)


async def test_the_readers_end_shows_before_it_is_read(ends: tuple[Any, Far]) -> None:
    near, far = ends
    assert near._reader._eof is False
    far.writer.close()
    await until(lambda: near._reader._eof)
    assert not is_quiet(near)


async def test_the_writers_transport_is_the_sockets(ends: tuple[Any, Far]) -> None:
    near, far = ends
    transport = near._writer.transport
    raw = transport.get_extra_info("socket")
    assert raw.getpeername() == far.writer.get_extra_info("sockname")
    assert transport.get_protocol()._stream_reader is near._reader
    near._writer.write(b"said")
    assert await far.reader.readexactly(4) == b"said"
    transport.abort()
    with contextlib.suppress(ConnectionError):
        assert await far.reader.read() == b""


async def test_a_reader_nobody_reads_from_stops_at_its_limit(ends: tuple[Any, Far]) -> None:
    near, far = ends
    assert near._reader._limit == BUFFER
    writing = asyncio.get_running_loop().create_task(far.send(bytes(32 << 20)))
    await until(lambda: not near._writer.transport.is_reading())
    await asyncio.sleep(0.1)
    assert 2 * BUFFER < len(near._reader._buffer) <= 2 * BUFFER + MOST_READ_AT_ONCE
    assert not writing.done()
    for _ in range(3):
        await near._reader.read(BUFFER)
    assert near._writer.transport.is_reading()
    writing.cancel()


async def test_a_column_is_told_by_the_fields_that_we_use(ends: tuple[Any, Far]) -> None:
    near, far = ends
    texts = [b"def", b"db", b"as", b"table", "née".encode(), b"name"]
    head = b"".join(bytes([len(text)]) + text for text in texts)
    tail = struct.pack("<BHIBHBH", 12, 63, 0x89ABCDEF, FIELD_TYPE.NEWDECIMAL, 0x8021, 9, 0)
    await far.send(packet(3, head + tail))
    found = await near._read_packet(FieldDescriptorPacket)
    told = (found.name, found.type_code, found.flags, found.length, found.charsetnr, found.scale)
    assert Field(*told) == Field("née", FIELD_TYPE.NEWDECIMAL, 0x8021, 0x89ABCDEF, 63, 9)


@pytest.mark.parametrize(
    ("body", "ok", "file", "end"),
    [
        (OK, True, False, False),
        (b"\xfb/etc/passwd", False, True, False),
        (b"\xfe\0\0\2\0", False, False, True),
        (b"\xfe" + b"\0" * 8, False, False, False),
        (b"\1", False, False, False),
    ],
)
async def test_answers_are_told_apart(
    ends: tuple[Any, Far], body: bytes, ok: bool, file: bool, end: bool
) -> None:
    near, far = ends
    await far.send(packet(3, body))
    found = await near._read_packet()
    told = (found.is_ok_packet(), found.is_load_local_packet(), found.is_eof_packet())
    assert told == (ok, file, end)


@pytest.mark.parametrize(
    ("body", "number"), [(b"\xfa", 250), (b"\xfc\1\2", 513), (b"\xfd\1\2\3", 197121)]
)
async def test_a_count_of_columns_is_read(ends: tuple[Any, Far], body: bytes, number: int) -> None:
    near, far = ends
    await far.send(packet(3, body))
    assert (await near._read_packet()).read_length_encoded_integer() == number


async def test_a_cancelled_reading_closes_the_connection_and_stays_cancelled(
    ends: tuple[Any, Far],
) -> None:
    near, far = ends
    reading = asyncio.get_running_loop().create_task(near._read_packet())
    await far.send(packet(3, b"whole")[:-1])
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert near.closed
    drop(near)


async def test_goodbye_is_one_packet_and_the_end(ends: tuple[Any, Far]) -> None:
    near, far = ends
    await leave(near)
    assert near.closed
    assert await far.reader.read() == QUIT
    await leave(near)


async def test_goodbye_without_waiting_is_the_same(ends: tuple[Any, Far]) -> None:
    near, far = ends
    hang_up(near)
    assert near.closed
    assert await far.reader.read() == QUIT
    hang_up(near)


async def test_a_goodbye_that_is_cancelled_closes_the_connection(ends: tuple[Any, Far]) -> None:
    near, _ = ends
    near._writer.transport.abort()
    leaving = asyncio.get_running_loop().create_task(leave(near))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert near.closed
