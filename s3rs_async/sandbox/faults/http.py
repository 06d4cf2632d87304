"""HTTP/1.1 messages as bytes: read whole, and written so that a signature in them still holds.

No header is changed but those that concern one connection alone. A body that came in chunks goes on
with its length instead. A client that asks whether it may send its body is told so at once: the
server is spoken to later, when the whole request is here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_OWN: Final = {b"connection", b"keep-alive", b"expect", b"transfer-encoding", b"content-length"}
_BODILESS: Final = {204, 304}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer: its first line, its headers as they came, its whole body."""

    start: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """A header's value; empty where it has none."""
        return next((value for known, value in self.headers if known.lower() == name), b"")

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.start.split(b" ")[1])

    @property
    def has_length(self) -> bool:
        """Whether it says how long its body is: answers do, and requests that have one."""
        if self.start.startswith(b"HTTP/"):
            return self.status not in _BODILESS
        return bool(self.body or self.header(b"content-length"))

    def rendered(self, *, length: int | None = None, closing: bool = False) -> bytes:
        """The message as bytes; `length` is told instead of the body's where they differ."""
        lines = [self.start]
        lines += [name + b": " + value for name, value in self.headers if name.lower() not in _OWN]
        if self.has_length:
            lines.append(b"Content-Length: %d" % (len(self.body) if length is None else length))
        if closing:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """The next request of a connection; None when its client has gone."""
    try:
        head = await _head(reader)
        if head.header(b"expect"):
            writer.write(_CONTINUE)
        return Message(head.start, head.headers, await _body(reader, head, to_end=False))
    except (asyncio.IncompleteReadError, OSError):
        return None


async def read_answer(reader: asyncio.StreamReader, method: str) -> Message:
    """The answer to a request of this method; of one without a body, its length is in the headers.

    Raises OSError where the server ended before its answer did.
    """
    try:
        head = await _head(reader)
        while head.status == 100:  # noqa: PLR2004 - "Continue"
            head = await _head(reader)
        if method == "HEAD" or head.status in _BODILESS:
            return head
        return Message(head.start, head.headers, await _body(reader, head, to_end=True))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error


async def _head(reader: asyncio.StreamReader) -> Message:
    lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines[1:])
    return Message(lines[0], tuple((name, value.strip()) for name, _, value in pairs))


async def _body(reader: asyncio.StreamReader, head: Message, *, to_end: bool) -> bytes:
    if head.header(b"transfer-encoding").lower() == b"chunked":
        return await _chunks(reader)
    length = head.header(b"content-length")
    if length:
        return await reader.readexactly(int(length))
    return await reader.read() if to_end else b""


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass
    return b"".join(found)
