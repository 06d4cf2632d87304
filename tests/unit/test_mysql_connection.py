"""Connecting to servers that lie, and by a driver that forgets what it was told on the way."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from s3rs_async.config import SourceConfig
from s3rs_async.errors import DataError, Error, UnavailableError
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.dial import MOST_PACKET, Connection, dial
from s3rs_async.tunnel import Address
from tests.unit.test_mysql_driver import GREETING, OK, packet


async def test_a_cancellation_that_the_driver_forgets_ends_the_connecting_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forgetful(_: Connection) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)

    monkeypatch.setattr(Connection, "_connect", forgetful)
    config = SourceConfig(host="nowhere", user="x", tls="off")
    connecting = asyncio.get_running_loop().create_task(dial(config, Address("nowhere", 1), {}))
    await asyncio.sleep(1)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()


async def test_a_time_out_that_the_driver_forgets_is_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forgetful(_: Connection) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(50)

    monkeypatch.setattr(Connection, "_connect", forgetful)
    config = SourceConfig(host="nowhere", user="x", tls="off")
    with pytest.raises(UnavailableError):
        await dial(config, Address("nowhere", 1), {})


ENDLESS = 8
LONGEST = b"\xff\xff\xff"
GREETED, ADMITTED = packet(0, GREETING), packet(2, OK)


@contextlib.asynccontextmanager
async def liar(said: list[bytes], last: bytes = b"", number: int = -1) -> AsyncIterator[Source]:
    """A server that answers so, says the last thing, and packets without an end from a number."""
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for answer in said:
                writer.write(answer)
                await reader.read(65536)
            writer.write(last)
            for part in range(ENDLESS if number >= 0 else 0):
                writer.write(LONGEST + bytes([number + part]))
                for _ in range(255):
                    writer.write(bytes(65793))
                    await writer.drain()
        writer.close()
        left.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Source(
            "s", SourceConfig(host="127.0.0.1", port=port, user="u", password="p", tls="off")
        )
        async with asyncio.timeout(5):
            await left.wait()


@pytest.mark.parametrize(
    ("said", "last", "number"),
    [
        ([], b"", 0),
        ([GREETED], b"", 2),
        ([GREETED, ADMITTED], b"", 1),
        ([GREETED, ADMITTED], packet(1, b"\1"), 2),
    ],
    ids=["greeting", "login", "answer", "column"],
)
async def test_a_packet_without_an_end_before_the_rows_takes_no_memory(
    said: list[bytes], last: bytes, number: int
) -> None:
    tracemalloc.start()
    try:
        async with liar(said, last, number) as source:
            with pytest.raises(DataError, match="too long") as caught:
                async with asyncio.timeout(10), source.session(purpose="test"):
                    pass
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.context["most"] == MOST_PACKET
    assert "host and port" in caught.value.hint
    assert peak < 4 * MOST_PACKET


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ([], packet(0, b"")),
        ([], packet(0, b"\x0a")),
        ([], packet(0, b"\x0a5.5.5")),
        ([], packet(0, GREETING[:20])),
        ([packet(0, GREETING.replace(b"5.5.5", b"a.b.c"))], b""),
        ([GREETED], packet(2, b"")),
        ([GREETED], packet(2, b"\xff")),
        ([GREETED], packet(2, b"\xff\1")),
        ([packet(0, GREETING.replace(b"\x02\x00\x0a", b"\0\x00\x0a"))], packet(2, OK)),
    ],
)
async def test_a_login_that_cannot_be_read_is_an_error_of_ours(
    said: list[bytes], last: bytes
) -> None:
    async with liar(said, last) as source:
        with pytest.raises(Error):
            async with source.session(purpose="test"):
                pass
