"""Sessions at a source: one private connection per stream, never a pool, read-only.

One way in for all results: raw packets, cut by `wire`. Small results are parsed to text, streams
are handed out as packets. The driver (aiomysql) connects and authenticates; of its private parts
only those in `_PRIVATE` are touched, and `Source` refuses a version that lacks one.

TLS is what was asked for or nothing: the driver would go on in plain text with a server that has
none, so the server's offer is looked at before the first secret is sent. LOCAL INFILE and several
statements in one are never offered.

A stream's reader is bounded: when nobody takes its packets the transport pauses, TCP pushes back
and the server waits. Whoever leaves a stream before its end (an error, a cancellation) has its
connection closed first, since the rest would have to be read otherwise; then the server is told to
stop by a second connection. Neither hides the error that was the cause.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiomysql
import aiomysql.connection
import pymysql.err
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import FieldDescriptorPacket

from ..config import SourceConfig
from ..errors import ConfigError, DataError, Error
from . import wire
from .border import translated
from .wire import Cutter, Packets

CONNECT_SECONDS = 10.0
_KILL_SECONDS = 5.0
_BUFFER = 1 << 20
_IDLE_SECONDS = 0.05
# A position can be a date that no calendar has, and must stay comparable: hence the SQL mode.
_SETTINGS = (
    "SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES', net_write_timeout=3600, "
    "net_read_timeout=600, "
    "wait_timeout=28800, lock_wait_timeout=10, sql_big_selects=1, "
)
_NO_LIMIT = {"mariadb": "max_statement_time=0", "mysql": "max_execution_time=0"}
_READ_ONLY = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_PRIVATE = (
    "_connect",
    "_request_authentication",
    "_execute_command",
    "_read_packet",
)

Cell = str | None


@dataclass(frozen=True, slots=True)
class Field:
    """What the server says of one column of a result; equal as long as the table is unchanged."""

    name: str
    type_code: int
    flags: int
    length: int
    charset: int
    decimals: int


class _Connection(aiomysql.connection.Connection):  # type: ignore[misc]
    """The driver's connection, which refuses plain text before it authenticates."""

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise ConfigError(
                "the source offers no TLS",
                host=self._host,
                hint="switch it on at the server, or set tls: off if the way there is safe",
            )
        await super()._request_authentication()


class Source:
    """One configured server."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        check_driver()
        self.name = name
        self.config = config
        self.own: set[int] = set()

    @contextlib.asynccontextmanager
    async def session(self, *, purpose: str) -> AsyncIterator[Session]:
        """A session of its own; left in the middle of a result, the server is told to stop."""
        facts = {"source": self.name, "purpose": purpose}
        connection = await self._connected(facts)
        session = Session(connection, facts)
        try:
            await session.set_up()
            self.own.add(session.connection_id)
            yield session
        finally:
            self.own.discard(session.connection_id)
            if session.busy:
                _drop(connection)
                await self._kill(session.connection_id)
            else:
                await _leave(connection)

    async def _connected(self, facts: dict[str, str]) -> _Connection:
        config = self.config
        connection = _Connection(
            host=config.host,
            port=config.port,
            user=config.user,
            # The driver encodes in latin1; servers compare the bytes of UTF-8.
            password=config.password.get_secret_value().encode().decode("latin1"),
            charset="utf8mb4",
            autocommit=True,
            ssl=_tls(config),
            connect_timeout=CONNECT_SECONDS,
            program_name="s3rs",
        )
        connection.client_flag &= ~(CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)
        try:
            with translated(host=config.host, port=config.port, **facts):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection._connect()  # noqa: SLF001 - the driver's own connect() leaks
            _keep_alive(connection)
        except BaseException:
            _drop(connection)
            raise
        connection._reader._limit = _BUFFER  # noqa: SLF001 - where back-pressure begins
        return connection

    async def _kill(self, connection_id: int) -> None:
        """Stop what a closed connection left running; the error that was the cause is told."""
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                connection = await self._connected({"source": self.name, "purpose": "kill"})
                try:
                    await Session(connection, {}).query(f"KILL QUERY {connection_id}")
                finally:
                    _drop(connection)


class Session:
    """A connection in use by one task at a time."""

    def __init__(self, connection: Any, facts: dict[str, str]) -> None:  # noqa: ANN401 - untyped driver
        self._connection = connection
        self._facts = facts
        self.busy = False
        self.connection_id = 0
        self.family = ""
        self.server_id = ""
        self.fields: tuple[Field, ...] = ()

    async def set_up(self) -> None:
        """Settings, and who the server is."""
        ((number, version, host, server),) = await self.query(
            "SELECT CONNECTION_ID(), VERSION(), @@hostname, @@server_id"
        )
        self.connection_id = int(number or 0)
        self.family = "mariadb" if "mariadb" in (version or "").lower() else "mysql"
        self.server_id = f"{host}/{server}"
        await self.query(_SETTINGS + _NO_LIMIT[self.family])
        await self.query(_READ_ONLY)
        uuid = await self.query("SHOW GLOBAL VARIABLES LIKE 'server_uuid'")
        if uuid and uuid[0][1]:
            self.server_id = uuid[0][1]

    async def query(self, sql: str) -> list[tuple[Cell, ...]]:
        """A small result whole, every value as the server's text; [] for what has no result."""
        rows: list[tuple[Cell, ...]] = []
        async with contextlib.aclosing(self.stream(sql)) as stream:
            async for packets in stream:
                data = packets.data.tobytes()
                ends = [*packets.starts[1:].tolist(), packets.end]
                for start, end in zip(packets.starts.tolist(), ends, strict=True):
                    cells = wire.cells(data, start, end)
                    rows.append(tuple(None if cell is None else cell.decode() for cell in cells))
        return rows

    async def stream(self, sql: str) -> AsyncGenerator[Packets, None]:
        """A result's rows as packets, about a megabyte at a time; `fields` tells its columns."""
        if self.busy:
            raise RuntimeError("a session reads one result at a time")
        self.busy = True
        try:
            with translated(**self._facts):
                if not await self._begun(sql):
                    return
                cutter = Cutter(self._connection._next_seq_id)  # noqa: SLF001
                while not cutter.done:
                    await self._fill(cutter)
                    if cutter.ready:
                        yield cutter.take()
            self.busy = False
        finally:
            if self.busy:
                _drop(self._connection)

    async def _begun(self, sql: str) -> bool:
        """Whether there is a result; a refused statement leaves the session in order."""
        try:
            found = await self._begin(sql)
        except pymysql.err.MySQLError:
            self.busy = self._connection.closed
            raise
        self.busy = found
        return found

    async def _fill(self, cutter: Cutter) -> None:
        reader = self._connection._reader  # noqa: SLF001
        while not cutter.done and cutter.ready < wire.TARGET:
            idle = asyncio.timeout(_IDLE_SECONDS if cutter.waiting else None)
            try:
                async with idle:
                    data = await reader.read(_BUFFER)
            except TimeoutError:
                if not idle.expired():
                    raise  # the network's own
                cutter.walk()
            else:
                cutter.feed(data)

    async def _begin(self, sql: str) -> bool:
        """Send a statement and read what comes before its rows; False if it has no result."""
        connection = self._connection
        await connection._execute_command(COMMAND.COM_QUERY, sql)  # noqa: SLF001
        first = await connection._read_packet()  # noqa: SLF001
        if first.is_ok_packet():
            return False
        if first.is_load_local_packet():
            raise DataError("the source asks for a file of ours", where="mysql")
        count = first.read_length_encoded_integer()
        read = connection._read_packet  # noqa: SLF001
        self.fields = tuple([_field(await read(FieldDescriptorPacket)) for _ in range(count)])
        if not (await read()).is_eof_packet():
            raise DataError("columns without an end", where="mysql")
        return True


def check_driver() -> None:
    """Refuse a driver without the private parts that are used; a test tells what they must do."""
    missing = [name for name in _PRIVATE if not hasattr(aiomysql.connection.Connection, name)]
    if missing:
        raise ConfigError(
            "this version of aiomysql cannot be used",
            missing=", ".join(missing),
            hint="install the version that the package pins",
        )


def _field(packet: Any) -> Field:  # noqa: ANN401 - untyped driver
    return Field(
        packet.name,
        packet.type_code,
        packet.flags,
        packet.length,
        packet.charsetnr,
        packet.scale,
    )


def _tls(config: SourceConfig) -> ssl.SSLContext | None:
    if config.tls == "off":
        return None
    try:
        context = ssl.create_default_context(cafile=str(config.ca) if config.ca else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the CA file cannot be read", file=str(config.ca), hint="a PEM file of certificates"
        ) from error
    if config.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _keep_alive(connection: _Connection) -> None:
    """Let a dead network be noticed in about two minutes."""
    raw = connection._writer.transport.get_extra_info("socket")  # noqa: SLF001
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _drop(connection: Any) -> None:  # noqa: ANN401 - untyped driver
    """Close without a word and without waiting."""
    if connection._writer is not None:  # noqa: SLF001
        connection._writer.transport.abort()  # noqa: SLF001
    connection.close()


async def _leave(connection: Any) -> None:  # noqa: ANN401 - untyped driver
    """Say goodbye; a server that does not listen is left all the same."""
    with contextlib.suppress(OSError):
        await connection.ensure_closed()
    connection.close()
