"""The driver's connection: how it is dialled, proven and left.

The driver (aiomysql) connects and authenticates. Of its private parts only those in `_PRIVATE` are
touched, of its connection's and stream's those in `_STATE` and `_STREAM`; a version that lacks one
is refused before a statement is sent.

TLS is what was asked for or nothing: the driver would go on in plain text with a server that has
none, so the server's offer is looked at before the first secret is sent. The certificate must have
the server's own name, also where it is reached at a tunnel's near end. LOCAL INFILE and several
statements in one are never offered.

The driver reads what comes before rows: greeting, login, what columns there are, errors. It would
join packets of 16 MiB for as long as a server sends them. Here a packet is refused by its header
alone, long before it could be one of many.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import aiomysql
import aiomysql.connection
from pymysql.constants import CLIENT, COMMAND

from ..config import SourceConfig
from ..errors import ConfigError, DataError
from ..tunnel import Address
from .border import SPEAKS_OTHERWISE, translated, understood

CONNECT_SECONDS = 10.0
BUFFER = 1 << 20
# Of all that is no row a column's description is the longest: six names of 256 characters at most.
MOST_PACKET = 1 << 20
_PATIENCE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 6,
    "TCP_USER_TIMEOUT": 120_000,
}
_QUIT = b"\x01\0\0\0" + bytes([COMMAND.COM_QUIT])
_PRIVATE = (
    "_connect",
    "_get_server_information",
    "_request_authentication",
    "_execute_command",
    "_read_bytes",
    "_read_ok_packet",
    "_read_packet",
)
_STATE = ("_host", "_next_seq_id", "_reader", "_ssl_context", "_writer")
_STREAM = ("_buffer", "_eof", "_limit")


class Connection(aiomysql.connection.Connection):  # type: ignore[misc]
    """The driver's connection, which refuses plain text before it authenticates, and long packets.

    `expected_name` is the name that the certificate must have, whatever address was dialled.
    """

    expected_name: str

    async def _read_bytes(self, num_bytes: int) -> bytes:
        """So many bytes of one packet, a header's or a body's."""
        if num_bytes > MOST_PACKET:
            raise DataError(
                "an answer of the source is too long",
                where="mysql",
                bytes=num_bytes,
                most=MOST_PACKET,
                hint=SPEAKS_OTHERWISE,
            )
        return bytes(await super()._read_bytes(num_bytes))

    async def _get_server_information(self) -> None:
        with understood():
            await super()._get_server_information()

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise ConfigError(
                "the source offers no TLS",
                host=self.expected_name,
                hint="switch it on at the server, or set tls: off if the way there is safe",
            )
        self._host = self.expected_name  # from here on the driver checks TLS by it
        with understood():
            await super()._request_authentication()

    async def _read_ok_packet(self) -> bool:
        with understood():
            return bool(await super()._read_ok_packet())


async def dial(config: SourceConfig, address: Address, facts: dict[str, str]) -> Connection:
    """Connect to the address and log in as configured; nothing is left open by a failure."""
    connection = Connection(
        host=address.host,
        port=address.port,
        user=config.user,
        # The driver encodes in latin1; servers compare the bytes of UTF-8.
        password=config.password.get_secret_value().encode().decode("latin1"),
        charset="utf8mb4",
        autocommit=True,
        ssl=_tls(config),
        connect_timeout=CONNECT_SECONDS,
        program_name="s3rs",
    )
    connection.expected_name = config.host
    connection.client_flag &= ~(CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)
    try:
        with translated(host=config.host, port=config.port, **facts):
            async with asyncio.timeout(CONNECT_SECONDS):
                await _connected(connection)
        _check(connection, _STATE)
        _check(connection._reader, _STREAM)  # noqa: SLF001
        _keep_alive(connection)
    except BaseException:
        drop(connection)
        raise
    connection._reader._limit = BUFFER  # noqa: SLF001 - where back-pressure begins
    return connection


async def _connected(connection: Connection) -> None:
    """Connect; a cancellation that the driver lost on the way is not lost.

    It waits by `asyncio.wait_for`, which before Python 3.12 forgets that it was cancelled where
    what it waited for came at the same moment.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    await connection._connect()  # noqa: SLF001 - the driver's own connect() leaks
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def check_driver() -> None:
    """Refuse a driver without the private parts that are used; a test tells what they must do."""
    _check(aiomysql.connection.Connection, _PRIVATE)


def _check(what: object, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not hasattr(what, name)]
    if missing:
        raise ConfigError(
            "this version of aiomysql cannot be used",
            missing=", ".join(missing),
            version=aiomysql.__version__,
            hint="install the version that the package pins",
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


def _keep_alive(connection: Connection) -> None:
    """Let a dead network be noticed in about two minutes, whether we wait or have spoken."""
    raw = connection._writer.transport.get_extra_info("socket")  # noqa: SLF001
    for name, value in _PATIENCE.items():
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def is_quiet(connection: Any) -> bool:  # noqa: ANN401 - untyped driver
    """Whether nothing has come on an idle connection: no end, and no word of one."""
    reader = connection._reader  # noqa: SLF001
    return reader is not None and not reader._buffer and not reader._eof and not reader.exception()  # noqa: SLF001


def drop(connection: Any) -> None:  # noqa: ANN401 - untyped driver
    """Close without a word and without waiting."""
    if connection._writer is not None:  # noqa: SLF001
        connection._writer.transport.abort()  # noqa: SLF001
    connection.close()


async def leave(connection: Any) -> None:  # noqa: ANN401 - untyped driver
    """Say goodbye; a server that does not listen is left all the same."""
    try:
        with contextlib.suppress(OSError):
            await connection.ensure_closed()
    finally:
        connection.close()  # also where the goodbye is cancelled


def hang_up(connection: Any) -> None:  # noqa: ANN401 - untyped driver
    """Say goodbye on an idle connection without waiting, unless it has been reset meanwhile."""
    writer = connection._writer  # noqa: SLF001
    if writer is not None and not writer.is_closing():  # uvloop refuses to write to a closed one
        writer.write(_QUIT)
    connection.close()
