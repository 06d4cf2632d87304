"""Sessions at a source: one private connection each, read-only, through its tunnel if it has one.

One way in for all results: raw packets, cut by `wire`. Small results are parsed to text, streams
are handed out as packets; those of rows come in the protocol that `protocol` chooses.

A stream's reader is bounded: when nobody takes its packets the transport pauses, TCP pushes back
and the server waits. Whoever leaves a stream before its end (an error, a cancellation) has its
connection closed first, since the rest would have to be read otherwise; then the server is told to
stop by a second connection. Neither hides the error that was the cause.

Within `open_source` a session that ends in order leaves its connection, set up as it is, to the
next one: for an hour at most, so that passes a quarter of an hour apart need not set it up again,
and never after anything but SELECT, SHOW and EXPLAIN. Such a connection may have been lost
meanwhile. Then its first statement, of which nothing was read, is sent again on a fresh one; any
other loss is the caller's to know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pymysql.err

from ..config import SourceConfig
from ..errors import Error, UnavailableError
from ..model import TableName
from ..tunnel import Address, Bastions, open_bastions
from . import statement, wire
from .border import is_loss, is_refusal, translated
from .dial import Connection, check_driver, dial, drop, hang_up, is_quiet, leave
from .field import Field
from .governor import Governor
from .idle import Idle
from .protocol import Choice, Protocol
from .receive import Limits, patient, receiving
from .wire import Cutter, Packets

_KILL_SECONDS = 5.0
_MOST_KEPT = 4
_KEPT_SECONDS = 3600.0
# A position can be a date that no calendar has, and must stay comparable: hence the SQL mode.
_SETTINGS = (
    "SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES', net_write_timeout=3600, "
    "net_read_timeout=600, "
    "wait_timeout=28800, lock_wait_timeout=10, sql_big_selects=1, "
)
_NO_LIMIT = {"mariadb": "max_statement_time=0", "mysql": "max_execution_time=0"}
_READ_ONLY = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_USUAL = Limits()

Cell = str | None


class Source:
    """One configured server; `own` are the server's numbers of our connections in use.

    `reading` are the sessions by which tables are read, as hard as the `governor` lets them.
    """

    def __init__(self, name: str, config: SourceConfig) -> None:
        check_driver()
        self.name = name
        self.config = config
        self.own: set[int] = set()
        self.reading: dict[Session, TableName] = {}
        self.governor = Governor(name, config.limits)
        self._is_read = asyncio.Event()
        self._choice = Choice(name, config.protocol)
        self._limits = Limits(config.max_row_bytes, config.query_timeout, config.read_timeout)
        self._bastions: Bastions | None = None
        self._idle: Idle[Session] | None = None

    async def reads(self) -> None:
        """Wait until a table is read."""
        while not self.reading:
            self._is_read.clear()
            await self._is_read.wait()

    @contextlib.asynccontextmanager
    async def reader(self, table: TableName) -> AsyncIterator[Session]:
        """A session for a table's rows, which may be asked to step aside (`sentinel`)."""
        async with self.governor.place(), self.session(purpose="read") as session:
            self.reading[session] = table
            self._is_read.set()
            try:
                yield session
            finally:
                del self.reading[session]

    @contextlib.asynccontextmanager
    async def session(self, *, purpose: str) -> AsyncIterator[Session]:
        """A session of its own; left in the middle of a result, the server is told to stop."""
        session = await self._taken({"source": self.name, "purpose": purpose})
        self.own.add(session.connection_id)
        clean = False
        try:
            yield session
            clean = session.unchanged
        finally:
            self.own.discard(session.connection_id)
            if session.busy:
                drop(session.connection)
                await self._kill(session.connection_id)
            elif clean and self._idle is not None:
                self._idle.keep(session)
            else:
                await leave(session.connection)

    async def _taken(self, facts: dict[str, str]) -> Session:
        kept = None
        while self._idle is not None and (kept := self._idle.take()) is not None:
            if is_quiet(kept.connection):
                return kept.again(facts, self._replaced)
            drop(kept.connection)
        return await self._opened(facts)

    async def _opened(self, facts: dict[str, str]) -> Session:
        session = Session(await self._connected(facts), facts, self._choice, self._limits)
        try:
            await session.set_up()
        except BaseException:
            drop(session.connection)
            raise
        return session

    async def _replaced(self, session: Session) -> Session:
        """A fresh session in the place of one whose connection was lost."""
        self.own.discard(session.connection_id)
        session.connection_id = 0
        fresh = await self._opened(session.facts)
        self.own.add(fresh.connection_id)
        return fresh

    async def _connected(self, facts: dict[str, str]) -> Connection:
        config, address = self.config, await self._address()
        try:
            return await dial(config, address, facts)
        except UnavailableError as error:
            raise await self._why(error) from error

    async def _address(self) -> Address:
        """Where to connect: the tunnel's near end, or the host where no tunnel is declared."""
        config = self.config
        if config.tunnel is None:
            return Address(config.host, config.port)
        if self._bastions is None:
            raise RuntimeError("a source with a tunnel is only reached within open_source")
        return await self._bastions.address(config.tunnel, config.host, config.port)

    async def _why(self, error: UnavailableError) -> Error:
        """What the bastion says of a server that could not be reached through it."""
        config, refusal = self.config, None
        if config.tunnel is not None and self._bastions is not None:
            refusal = await self._bastions.refusal(config.tunnel, config.host, config.port)
        return refusal or error

    async def _kill(self, connection_id: int) -> None:
        """Stop what a closed connection left running; the error that was the cause is told."""
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                connection = await self._connected({"source": self.name, "purpose": "kill"})
                try:
                    await Session(connection, {}).query(f"KILL QUERY {connection_id}")
                finally:
                    drop(connection)


@contextlib.asynccontextmanager
async def open_source(
    name: str, config: SourceConfig, bastions: Bastions | None = None
) -> AsyncIterator[Source]:
    """The source, whose sessions leave their connections to each other while it is open.

    They go through the bastions given, which stay open, or through its own.
    """
    async with contextlib.AsyncExitStack() as stack:
        source = Source(name, config)
        source._bastions = bastions or await stack.enter_async_context(open_bastions())  # noqa: SLF001 - one module, one owner
        source._idle = Idle(_left, most=_MOST_KEPT, seconds=_KEPT_SECONDS)  # noqa: SLF001
        stack.callback(source._idle.close)  # noqa: SLF001
        yield source


class Session:
    """A connection in use by one task at a time."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - untyped driver
        facts: dict[str, str],
        choice: Choice | None = None,
        limits: Limits = _USUAL,
    ) -> None:
        self.connection = connection
        self.facts = facts
        self.protocol = Protocol.TEXT
        self.busy = False
        self.unchanged = True
        self.aside = False
        self.connection_id = 0
        self.family = ""
        self.server_id = ""
        self.fields: tuple[Field, ...] = ()
        self._choice = choice
        self._limits = limits
        self._prepares = choice is not None and choice.prepares
        self._prepared: int | None = None
        self._replacement: _Replacement | None = None

    def again(self, facts: dict[str, str], replacement: _Replacement) -> Session:
        """The same connection for another use, which may have been lost since the last one."""
        session = Session(self.connection, facts, self._choice, self._limits)
        session._take_place_of(self)
        session._replacement = replacement
        return session

    def step_aside(self) -> None:
        """Cut the statement under way for one who waits for its table."""
        self.aside = True
        drop(self.connection)

    def _take_place_of(self, other: Session) -> None:
        self.aside = False
        self.connection = other.connection
        self.connection_id = other.connection_id
        self.family = other.family
        self.server_id = other.server_id
        self._prepares = other._prepares

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
        self.unchanged = True

    async def query(self, sql: str, *, torn: bool = False) -> list[tuple[Cell, ...]]:
        """A small result whole, every value as the server's text; [] for what has no result.

        With `torn` a text may end within a character, and shows a mark in its place.
        """
        errors = "replace" if torn else "strict"
        rows: list[tuple[Cell, ...]] = []
        async with contextlib.aclosing(self.stream(sql)) as stream:
            async for packets in stream:
                data = packets.data.data
                ends = [*packets.starts[1:].tolist(), packets.end]
                for start, end in zip(packets.starts.tolist(), ends, strict=True):
                    cells = wire.cells(data, start, end)
                    texts = (None if cell is None else cell.decode(errors=errors) for cell in cells)
                    rows.append(tuple(texts))
        return rows

    def rows(self, sql: str) -> AsyncGenerator[Packets, None]:
        """A SELECT's rows as `stream` gives them, by a prepared statement where there are such.

        `protocol` tells how they are to be read once the first have come.
        """
        return self.stream(sql, rows=True)

    async def stream(self, sql: str, *, rows: bool = False) -> AsyncGenerator[Packets, None]:
        """A result's rows as packets, two megabytes at a time; `fields` tells its columns."""
        if self.busy:
            raise RuntimeError("a session reads one result at a time")
        self.busy = True
        self.unchanged &= sql.startswith(("SELECT", "SHOW", "EXPLAIN"))
        try:
            with self._told_why(), translated(**self.facts):
                if not await self._begun(sql, rows=rows):
                    return
                cutter = Cutter(self.connection._next_seq_id, self._limits.row_bytes)  # noqa: SLF001
                async with receiving(self.connection, cutter, self._limits) as intake:
                    while (packets := await intake.block()) is not None:
                        yield packets
                self._forget()
            self.busy = False
        finally:
            if self.busy:
                drop(self.connection)
                self._prepared = None

    @contextlib.contextmanager
    def _told_why(self) -> Iterator[None]:
        """Around a statement: that it was cut by ourselves is no loss of the connection."""
        try:
            yield
        except UnavailableError as error:
            if not self.aside:
                raise
            raise UnavailableError(
                "the read stepped aside for a statement that waits for the table's lock",
                hint="run it again once that statement is done",
                where="mysql",
                **self.facts,
            ) from error

    async def _begun(self, sql: str, *, rows: bool) -> bool:
        """Whether there is a result; a refused statement leaves the session in order."""
        replacement, self._replacement = self._replacement, None
        try:
            async with patient(self._limits.answer_seconds, "before the first row"):
                found = await self._begin(sql, rows=rows)
        except pymysql.err.MySQLError as error:
            if replacement is None or not is_loss(error):
                self.busy = self.connection.closed
                raise
            drop(self.connection)
            self.busy = False
            self._take_place_of(await replacement(self))
            self.busy = True
            return await self._begun(sql, rows=rows)
        self.busy = found
        return found

    async def _begin(self, sql: str, *, rows: bool) -> bool:
        """Send a statement and read what comes before its rows; False if it has no result.

        Servers and proxies have many words for refusing a prepared statement: the text is asked,
        and only if that is taken are prepared statements what was refused.
        """
        choice = self._choice if rows else None
        refused = None
        if choice is not None and self._prepares:
            try:
                return await self._execute(sql, choice)
            except pymysql.err.MySQLError as error:
                if not choice.falls_back or not is_refusal(error):
                    raise
                refused = error
        fields = await statement.ask(self.connection, sql)
        if choice is not None and refused is not None:
            choice.refused(str(refused.args[-1]))
        elif choice is not None:
            choice.taken(Protocol.TEXT)
        self._prepares &= refused is None
        self.fields, self.protocol = fields or (), Protocol.TEXT
        return fields is not None

    async def _execute(self, sql: str, choice: Choice) -> bool:
        """The same by a prepared statement; where it is refused nothing is left of it."""
        self._prepared = await statement.prepare(self.connection, sql)
        try:
            fields = await statement.execute(self.connection, self._prepared)
        except pymysql.err.MySQLError:
            self._forget()
            raise
        if fields is None:
            self._forget()
        self.fields, self.protocol = fields or (), Protocol.BINARY
        choice.taken(Protocol.BINARY)
        return fields is not None

    def _forget(self) -> None:
        number, self._prepared = self._prepared, None
        if number is not None:
            statement.forget(self.connection, number)


_Replacement = Callable[[Session], Awaitable[Session]]


def _left(session: Session) -> None:
    hang_up(session.connection)
