"""Sessions on one target: the only door to it, through its tunnel wherever one is declared.

`Target.session` gives a fresh connection and ends it; the bastion, if the target declares one, is
connected by the first. There is no pool: a load's stage, locks and settings live and die with its
connection. How a connection is made is `dial`'s matter.

A session counts as committing from the moment COMMIT is handed to the driver; a connection lost
from then on is an UnknownOutcomeError, before it an UnavailableError. A session that ends inside
a transaction may leave a ghost on the server, so its backend's pid is kept in `ghosts`.
A cancelled statement is cancelled on the server too, then the connection is closed: no await here
outlives its session, and nothing is rolled forward by accident.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from ..errors import Error, UnavailableError
from ..tunnel import open_bastions
from . import faults, sql
from .dial import STATEMENT_SECONDS, way_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from ..config import TargetConfig
    from ..tunnel import Bastions

CLOSE_SECONDS: Final = 5
ROLLBACK_SECONDS: Final = 10
COMMIT_SECONDS: Final = 600
MAX_GHOSTS: Final = 64

# The driver's own confusion is a broken connection too: of a session that the server ended while
# nothing was asked, it knows the last words before it knows the end, and is in the middle of them.
_BROKEN: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_DRIVER: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, *_BROKEN)


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
    """A configured target, and the way to it: each `dial` is a fresh connection of the driver's."""

    name: str
    config: TargetConfig
    dial: Callable[[], Awaitable[Any]]
    ghosts: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_GHOSTS))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A fresh connection, closed at the end of the block."""
        connection = await self.dial()
        session = Session(self.name, self.config, connection.get_server_pid(), connection)
        try:
            session.backend_pid = int(await session.value(sql.BACKEND_PID))
            yield session
        finally:
            if connection.is_closed() or connection.is_in_transaction():
                self.ghosts.append(session.backend_pid)
            await _close(connection)


@asynccontextmanager
async def open_target(
    name: str, config: TargetConfig, bastions: Bastions | None = None
) -> AsyncIterator[Target]:
    """The target, connected by its first session, through the bastions given or its own."""
    if bastions is not None:
        yield Target(name, config, await way_to(name, config, bastions))
        return
    async with open_bastions() as own:
        yield Target(name, config, await way_to(name, config, own))


async def _close(connection: Any) -> None:  # noqa: ANN401 - the driver has no types
    """Say goodbye, or hang up."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except _DRIVER:
        connection.terminate()


def _bound(timeout: float | None) -> float:
    return STATEMENT_SECONDS if timeout is None else timeout
