"""Sessions on one target: the only door to it, through its tunnel wherever one is declared.

`Target.session` gives a fresh connection and ends it; the bastion, if the target declares one, is
connected by the first. There is no pool: a load's stage, locks and settings live and die with its
connection. TLS is checked against the cluster's own name although we connect to 127.0.0.1, by a
context that puts that name in.

A session counts as committing from the moment COMMIT is handed to the driver; a connection lost
from then on is an UnknownOutcomeError, before it an UnavailableError. A session that ends inside
a transaction may leave a ghost on the server, so its backend's pid is kept in `ghosts`.
A cancelled statement is cancelled on the server too, then the connection is closed: no await here
outlives its session, and nothing is rolled forward by accident.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from ..errors import ConfigError, Error, UnavailableError
from ..tunnel import open_bastions
from . import faults, sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from ..config import TargetConfig
    from ..tunnel import Bastions

CONNECT_SECONDS: Final = 30
CLOSE_SECONDS: Final = 5
ROLLBACK_SECONDS: Final = 10
COMMIT_SECONDS: Final = 600
STATEMENT_SECONDS: Final = 600
APPLICATION: Final = "s3rs"

MAX_GHOSTS: Final = 64

_BROKEN: Final = (asyncpg.PostgresConnectionError, OSError, TimeoutError)
_DRIVER: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """asyncpg's connection, with the only reset that Redshift takes."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        """What to send when a connection is given back."""
        return "RESET ALL;"


class _NamedContext(ssl.SSLContext):
    """A TLS context that asks for the cluster's name whatever address was dialled."""

    expected_name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the standard library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """The standard wrap, with the name that the certificate must have."""
        del server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, self.expected_name, session)


@dataclass(slots=True)
class Session:
    """One connection to the target, statements one at a time."""

    target: str
    config: TargetConfig
    backend_pid: int
    _connection: Any
    _committing: bool = False

    async def execute(self, statement: str, *args: object, timeout: float | None = None) -> int:  # noqa: ASYNC109 - the driver cancels on the server
        """Run a statement; how many rows it touched, 0 where its tag has no number."""
        tag = await self._send(statement, *args, timeout=timeout)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def fetch(
        self,
        statement: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> list[tuple[Any, ...]]:
        """A query's rows as tuples."""
        with self._translated():
            found = await self._connection.fetch(statement, *args, timeout=_bound(timeout))
        return [tuple(row) for row in found]

    async def value(self, statement: str, *args: object) -> Any:  # noqa: ANN401 - whatever was asked
        """The first value of a query's first row; None where there is no row."""
        found = await self.fetch(statement, *args)
        return found[0][0] if found else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """BEGIN; a failure that we know rolls back at once, any other ends with the connection."""
        await self.execute(sql.BEGIN)
        try:
            yield
        except Error:
            await self.rollback()
            raise

    async def rollback(self) -> None:
        """ROLLBACK, if the connection can still say it; its end does the same."""
        with suppress(Error):
            await self.execute(sql.ROLLBACK, timeout=ROLLBACK_SECONDS)

    async def commit(self) -> None:
        """COMMIT; UnknownOutcomeError where its answer did not come."""
        self._committing = True
        tag = await self._send(sql.COMMIT, timeout=COMMIT_SECONDS)
        self._committing = False
        if tag != sql.COMMIT:
            raise UnavailableError(
                "the target rolled the transaction back", where="redshift", target=self.target
            )

    async def _send(self, statement: str, *args: object, timeout: float | None) -> str:  # noqa: ASYNC109 - as above
        with self._translated():
            tag: str = await self._connection.execute(statement, *args, timeout=_bound(timeout))
        return tag

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver's errors become ours; what is a bug of ours stays what it is."""
        try:
            yield
        except _DRIVER as error:
            known = self._known(error)
            if known is None:
                raise
            raise known from error

    def _known(self, error: BaseException) -> Error | None:
        closed = isinstance(error, asyncpg.InterfaceError) and self._connection.is_closed()
        if isinstance(error, _BROKEN) or closed:
            return faults.lost(error, self.target, committing=self._committing)
        if not isinstance(error, asyncpg.PostgresError):
            return None
        if self._committing and error.sqlstate in faults.SERVER_IS_GOING:
            return faults.lost(error, self.target, committing=True)
        return faults.refused(error, self.target, self.config)


@dataclass(slots=True)
class Target:
    """A configured target, and the bastions through one of which it may have to be reached."""

    name: str
    config: TargetConfig
    _tls: ssl.SSLContext | None
    _bastions: Bastions
    ghosts: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_GHOSTS))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A fresh connection, closed at the end of the block."""
        connection = await self._connect()
        session = Session(self.name, self.config, connection.get_server_pid(), connection)
        try:
            session.backend_pid = int(await session.value(sql.BACKEND_PID))
            yield session
        finally:
            if connection.is_closed() or connection.is_in_transaction():
                self.ghosts.append(session.backend_pid)
            await _close(connection)

    async def _connect(self) -> Any:  # noqa: ANN401 - the driver has no types
        host, port = await self._address()
        try:
            return await asyncpg.connect(
                host=host,
                port=port,
                user=self.config.user,
                password=self.config.password.get_secret_value(),
                database=self.config.database,
                ssl=self._tls or False,
                direct_tls=False,
                target_session_attrs="any",
                timeout=CONNECT_SECONDS,
                statement_cache_size=0,
                connection_class=_Connection,
                server_settings={
                    "application_name": APPLICATION,
                    "statement_timeout": str(STATEMENT_SECONDS * 1000),
                },
            )
        except asyncpg.PostgresConnectionError as error:
            raise await self._why(error) from error
        except asyncpg.PostgresError as error:
            known = faults.refused(error, self.name, self.config)
            if known is None:
                raise
            raise known from error
        except (OSError, TimeoutError) as error:
            raise await self._why(error) from error

    async def _why(self, error: BaseException) -> Error:
        refusal, config = None, self.config
        if config.tunnel is not None and not isinstance(error, ssl.SSLError):
            refusal = await self._bastions.refusal(config.tunnel, config.host, config.port)
        return refusal or faults.unreachable(error, self.name, config)

    async def _address(self) -> tuple[str, int]:
        """Where to connect: the tunnel's near end, or the host where no tunnel is declared."""
        config = self.config
        if config.tunnel is None:
            return config.host, config.port
        near = await self._bastions.address(config.tunnel, config.host, config.port)
        return near.host, near.port


@asynccontextmanager
async def open_target(
    name: str, config: TargetConfig, bastions: Bastions | None = None
) -> AsyncIterator[Target]:
    """The target, connected by its first session, through the bastions given or its own."""
    tls = await asyncio.to_thread(_tls, config)
    if bastions is not None:
        yield Target(name, config, tls, bastions)
        return
    async with open_bastions() as own:
        yield Target(name, config, tls, own)


async def _close(connection: Any) -> None:  # noqa: ANN401 - the driver has no types
    """Say goodbye, or hang up."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except _DRIVER:
        connection.terminate()


def _bound(timeout: float | None) -> float:
    return STATEMENT_SECONDS if timeout is None else timeout


def _tls(config: TargetConfig) -> ssl.SSLContext | None:
    match config.tls:
        case "off":
            return None
        case "require":
            blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            blind.check_hostname = False
            blind.verify_mode = ssl.CERT_NONE
            return blind
        case "verify":
            strict = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
            strict.expected_name = config.host
            _trust(strict, config.ca)
            return strict


def _trust(context: ssl.SSLContext, bundle: Path | None) -> None:
    if bundle is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cafile=str(bundle))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the target's ca bundle cannot be read",
            where="redshift",
            file=str(bundle),
            reason=faults.reason(error),
            hint="name a PEM file with the certificates that signed the cluster's",
        ) from error
