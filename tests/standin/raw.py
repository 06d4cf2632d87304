"""The protocol byte by byte, for what no driver would send."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from s3rs_async.sandbox.redshift.wire import cstrings, frame
from tests.standin.servers import DATABASE, PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 5


class Raw:
    """A connection to a front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *messages: bytes) -> None:
        self.writer.write(b"".join(messages))

    async def message(self) -> tuple[bytes, bytes]:
        """The next message; nothing when the server has closed."""
        async with asyncio.timeout(SECONDS):
            try:
                kind, size = struct.unpack("!ci", await self.reader.readexactly(5))
                return kind, await self.reader.readexactly(size - 4)
            except (asyncio.IncompleteReadError, ConnectionError):
                return b"", b""

    async def answers(self) -> list[tuple[bytes, bytes]]:
        """The messages up to ReadyForQuery, or to the end."""
        found = [await self.message()]
        while found[-1][0] not in (b"Z", b""):
            found.append(await self.message())
        return found

    async def kinds(self) -> str:
        return b"".join(kind for kind, _ in await self.answers()).decode()

    async def log_in(self, **more: str) -> list[tuple[bytes, bytes]]:
        given = {"user": USER, "database": DATABASE, **more}
        self.send(start_up(*(text for pair in given.items() for text in pair)))
        kind, body = await self.message()
        assert (kind, body[:4]) == (b"R", struct.pack("!i", 5)), (kind, body)
        inner = hashlib.md5(f"{PASSWORD}{USER}".encode()).hexdigest().encode()
        self.send(frame(b"p", b"md5" + hashlib.md5(inner + body[4:]).hexdigest().encode() + b"\0"))
        return await self.answers()


def start_up(*texts: str, version: int = 196608) -> bytes:
    body = cstrings(*texts) + b"\0"
    return struct.pack("!ii", len(body) + 8, version) + body


@asynccontextmanager
async def raw(port: int, *, logged_in: bool = False) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Raw(reader, writer)
    try:
        if logged_in:
            assert (await connection.log_in())[-1][0] == b"Z"
        yield connection
    finally:
        writer.transport.abort()
