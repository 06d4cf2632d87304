"""The PostgreSQL protocol, version 3, as far as a front needs it: frames, start-up, log-in, TLS.

Two channels meet in a session, one to the client and one to the backend; both speak the same
frames. A channel gathers what is written and sends it before its owner waits, so that a large
result costs one system call a buffer and not one a row. A message may announce any length, so a
channel has a limit: a client that has not logged in yet gets a page, one that has, 64 MiB (Redshift
takes statements up to 16 MB). What is longer, or shorter than its own length, ends the connection
before a byte of it is kept.

Log-in is the front's own (md5, or clear text), for the backend trusts its private socket. A wrong
password and an unknown user get the same answer. A cancel request is a connection of its own; it
goes on to the backend with the key that the backend gave out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import ssl
import struct
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from .faults import Fields, RedshiftError, error_fields
from .rules import holds

Auth: TypeAlias = Literal["md5", "cleartext"]
INT = struct.Struct("!i")
_TWO = struct.Struct("!ii")
_PROTOCOL = 196608
_CANCEL, _TLS, _GSS = 80877102, 80877103, 80877104
_STARTUP_LIMIT = 10_000
_SEND_AT = 1 << 16
_LONGEST = (1 << 31) - 1
CLIENT_LIMIT = 1 << 26
_CLOSE_SECONDS = 1.0


class Message(NamedTuple):
    """One protocol message."""

    kind: bytes
    body: bytes


class ClosedError(Exception):
    """The other side of a channel is gone."""


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """A message as bytes."""
    return kind + INT.pack(len(body) + 4) + body


def cstrings(*texts: str) -> bytes:
    """Texts, each with its closing zero; bytes that were no UTF-8 are what they were."""
    return b"".join(text.encode(errors="surrogateescape") + b"\0" for text in texts)


def text_of(body: bytes) -> str:
    """A body as text; the backend is who judges bytes that are no UTF-8."""
    return body.decode(errors="surrogateescape")


def parts(body: bytes, count: int) -> list[bytes]:
    """A body up to so many closing zeros, and what follows them."""
    found = body.split(b"\0", count)
    if len(found) <= count:
        raise RedshiftError("invalid message format", "08P01", rule="stand-in")
    return found


class Channel:
    """One side of a session: frames in, gathered frames out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._held = bytearray()
        self._in = bytearray()
        self._at = 0
        self.limit = _LONGEST
        self.lost = False

    def ready(self) -> bool:
        """Whether a whole message has already arrived."""
        return self._end() > 0

    def _end(self) -> int:
        """Where the next message ends; nothing while it has not arrived."""
        have = len(self._in) - self._at
        if have < 5:  # noqa: PLR2004 - a kind and a length
            return 0
        (size,) = INT.unpack_from(self._in, self._at + 1)
        if not INT.size <= size <= self.limit:
            raise RedshiftError("invalid message length", "08P01", rule="stand-in")
        return self._at + 1 + size if have > size else 0

    async def read(self) -> Message:
        """The next message."""
        while not self.ready():
            if self._at:
                del self._in[: self._at]
                self._at = 0
            self._in += await self._more()
        start, end = self._at, self._end()
        self._at = end
        return Message(bytes(self._in[start : start + 1]), bytes(self._in[start + 5 : end]))

    async def raw(self, size: int) -> bytes:
        """Exactly so many bytes, before messages have kinds."""
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ClosedError from error

    async def _more(self) -> bytes:
        try:
            chunk = await self._reader.read(1 << 16)
        except ConnectionError as error:
            self.lost = True
            raise ClosedError from error
        if not chunk:
            self.lost = True
            raise ClosedError
        return chunk

    def write(self, kind: bytes, body: bytes = b"") -> None:
        """Hold a message for the next flush."""
        self._held += frame(kind, body)
        if len(self._held) > _SEND_AT:
            self.flush()

    def flush(self) -> None:
        """Hand what is held to the transport."""
        if self._held:
            self._writer.write(bytes(self._held))
            self._held.clear()

    async def drain(self) -> None:
        """Send what is held and wait until the other side keeps up."""
        self.flush()
        try:
            await self._writer.drain()
        except ConnectionError as error:
            self.lost = True
            raise ClosedError from error

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes that are already framed, without a copy."""
        self.flush()
        self._writer.write(data)
        await self.drain()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS, as the server."""
        try:
            await self._writer.start_tls(context)
        except (ConnectionError, ssl.SSLError) as error:
            raise ClosedError from error

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Send what is held and close; a peer that does not read gets a second."""
        self.flush()
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()
        except TimeoutError:
            self.abort()
        except (ConnectionError, ssl.SSLError):
            return


@dataclass(frozen=True, slots=True)
class Login:
    """Who may come in, and how."""

    user: str
    database: str
    password: str = field(repr=False)
    auth: Auth = "md5"
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Someone wants the statement of another session stopped."""

    key: bytes

    async def forward(self, socket: str) -> None:
        """Tell the backend."""
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except OSError as error:
            raise ClosedError from error
        channel = Channel(reader, writer)
        await channel.send(_TWO.pack(8 + len(self.key), _CANCEL) + self.key)
        await channel.close()


@dataclass(frozen=True, slots=True)
class StartUp:
    """The parameters of a start-up message."""

    parameters: dict[str, str]


async def first_message(client: Channel, tls: ssl.SSLContext | None) -> StartUp | CancelRequest:
    """Read to the start-up message, answering requests for encryption on the way."""
    client.limit = _STARTUP_LIMIT
    while True:
        size, code = _TWO.unpack(await client.raw(8))
        if not _TWO.size <= size <= _STARTUP_LIMIT:
            raise ClosedError
        body = await client.raw(size - 8)
        if code == _CANCEL:
            return CancelRequest(body)
        if code not in (_TLS, _GSS):
            break
        encrypt = tls if code == _TLS else None
        await client.send(b"S" if encrypt else b"N")
        if encrypt:
            await client.start_tls(encrypt)
            tls = None
    if code >> 16 != _PROTOCOL >> 16:
        raise RedshiftError("unsupported frontend protocol", "0A000", rule="W1")
    if code != _PROTOCOL:
        client.write(b"v", INT.pack(0) + INT.pack(0))
    texts = [part.decode(errors="replace") for part in body.split(b"\0")]
    pairs = dict(zip(texts[::2], texts[1::2], strict=False))
    return StartUp({key: value for key, value in pairs.items() if key})


def _digest(text: bytes) -> bytes:
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()


async def log_in(client: Channel, start: StartUp, login: Login) -> None:
    """Ask for the password and compare; md5 as PostgreSQL salts it."""
    user = start.parameters.get("user", "")
    salt = secrets.token_bytes(4)
    if login.auth == "md5":
        client.write(b"R", INT.pack(5) + salt)
        inner = _digest((login.password + user).encode())
        wanted = b"md5" + _digest(inner + salt)
    else:
        client.write(b"R", INT.pack(3))
        wanted = login.password.encode()
    await client.drain()
    given = await client.read()
    same = hmac.compare_digest(given.body.rstrip(b"\0"), wanted)
    if given.kind != b"p" or not same or user != login.user:
        message = f'password authentication failed for user "{user}"'
        raise RedshiftError(message, "28000" if holds("W2") else "28P01", rule="W2")
    database = start.parameters.get("database", user)
    if database != login.database and holds("W3"):
        raise RedshiftError(f'database "{database}" does not exist', "3D000", rule="W3")
    start.parameters["database"] = login.database
    client.limit = CLIENT_LIMIT


def start_message(parameters: dict[str, str]) -> bytes:
    """A start-up message for the backend."""
    body = cstrings(*(text for pair in parameters.items() for text in pair)) + b"\0"
    return _TWO.pack(len(body) + 8, _PROTOCOL) + body


async def refuse(client: Channel, error: RedshiftError) -> None:
    """Say why the connection ends."""
    fields: Fields = error_fields(error, 0, severity="FATAL")
    client.write(b"E", fields.body())
    await client.drain()
