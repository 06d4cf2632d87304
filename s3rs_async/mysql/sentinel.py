"""Whoever waits for the lock of a table that we read goes first: we step aside and read on later.

A SELECT holds its table's metadata lock while its rows flow. An ALTER waits for that lock, and
every later statement of the application waits behind the ALTER: an outage, made by a reader. The
same goes for FLUSH TABLES. Chunks of a few seconds keep it short where the rows are taken as they
come, and not at all where they are not.

So once a second, while a table is read, the server is asked who waits. A statement that names one
of the tables, or may do so where the server shows too little of it, has our statements on that
table stopped: the connection is cut, since a server that waits for us to take rows hears of nothing
else, and the statement is killed. The reader goes on strictly after the last row it has, and then
it is our statement that waits.

With the same session it looks what the source bears, where the `governor` wants to know.

What cannot be our doing must not keep us from reading for ever: for one waiter we step aside three
times. A user without the PROCESS privilege sees only waiters of its own name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from .. import clock
from ..errors import ConfigError, DataError, Error, UnavailableError
from ..model import TableName
from . import look
from .connection import Session, Source

POLL_SECONDS = 1.0
ANSWER_SECONDS = 30.0
_MOST_TIMES = 3
_SHOWN = 100
"""Bytes of a statement that SHOW PROCESSLIST shows."""
_LOCKS = ("metadata lock", "table flush")
_UNKNOWN_THREAD = 1094

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiter:
    """A thread that waits for a lock on a table, and as much of its statement as is shown."""

    thread: int
    statement: str
    flush: bool

    def may_want(self, table: TableName) -> bool:
        """Whether it waits for this table, as far as can be seen."""
        if self.flush or not 0 < len(self.statement.encode()) < _SHOWN:
            return True
        word = rf"(?<![\w$]){re.escape(table.name)}(?![\w$])"
        return re.search(word, self.statement, re.IGNORECASE) is not None


def waiters(rows: Iterable[Sequence[str | None]]) -> tuple[Waiter, ...]:
    """Of a processlist's rows those that wait for a table's lock."""
    found = []
    for row in rows:
        thread, state, statement = int(row[0] or 0), row[6] or "", row[7] or ""
        if state.startswith("Waiting for ") and state.endswith(_LOCKS):
            found.append(Waiter(thread, statement, flush=state.endswith("table flush")))
    return tuple(found)


@dataclass(slots=True)
class Manners:
    """For whom we have stepped aside how often; pure."""

    times: dict[int, int] = field(default_factory=dict)

    def aside_for(
        self, seen: Sequence[Waiter], tables: Iterable[TableName]
    ) -> dict[TableName, Waiter]:
        """The tables to leave, each with one who wants it; who waits no more is forgotten."""
        waiting = {waiter.thread for waiter in seen}
        self.times = {thread: n for thread, n in self.times.items() if thread in waiting}
        patient = [each for each in seen if self.times.get(each.thread, 0) < _MOST_TIMES]
        leaving: dict[TableName, Waiter] = {}
        for table in tables:
            wanted = next((each for each in patient if each.may_want(table)), None)
            if wanted is not None:
                leaving[table] = wanted
        for thread in {each.thread for each in leaving.values()}:
            self.times[thread] = self.times.get(thread, 0) + 1
        return leaving


class Sentinel:
    """One source's; `run` keeps it going."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._manners = Manners()
        self._told = ""

    async def run(self) -> None:
        """Look for ever, while anything is read; ends only by cancellation."""
        while True:
            await self._source.reads()
            await clock.sleep(POLL_SECONDS)
            try:
                await self._look_while_read()
                self._told = ""
            except Error as error:
                self._tell("nobody sees who waits for a table that is read", error)
            finally:
                self._source.governor.unseen()

    async def _look_while_read(self) -> None:
        """With a session of its own, which is given back when nothing is read any more."""
        if not self._source.reading:
            return
        async with self._source.session(purpose="sentinel") as session:
            while self._source.reading:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._look(session)
                        await self._look_at_load(session)
                except TimeoutError as error:
                    message = "the source does not say who waits"
                    raise UnavailableError(message, where="mysql") from error
                await clock.sleep(POLL_SECONDS)

    async def _look(self, session: Session) -> None:
        """Step aside where one waits and we do not: a statement of ours that waits holds no lock.

        What it is that waits is seen later than what it was that read: a chunk that has begun since
        may be stopped for nothing, which costs a second.
        """
        seen = waiters(await session.query("SHOW PROCESSLIST", torn=True))
        others = [each for each in seen if each.thread not in self._source.own]
        stuck = {each.thread for each in seen} & self._source.own
        holding = {
            reading: table
            for reading, table in self._source.reading.items()
            if reading.busy and reading.connection_id not in stuck
        }
        leaving = self._manners.aside_for(others, set(holding.values()))
        for table, waiter in leaving.items():
            log.info(
                "stepping aside for one who waits for the table's lock",
                source=self._source.name,
                table=str(table),
                thread=waiter.thread,
            )
        for reading, table in holding.items():
            if table in leaving:
                reading.step_aside()
                await _kill(session, reading.connection_id)

    async def _look_at_load(self, session: Session) -> None:
        """Tell the governor; what may not be seen limits nothing, and is said."""
        governor = self._source.governor
        if not governor.looks:
            return
        try:
            governor.seen(await look.load(session, governor.limits))
        except (ConfigError, DataError) as error:
            governor.unseen()
            self._tell("nobody sees what the source bears", error)

    def _tell(self, what: str, error: Error) -> None:
        """Log what hinders us, once as long as it is the same."""
        if self._told != error.message:
            log.warning(what, source=self._source.name, reason=str(error), hint=error.hint)
        self._told = error.message


async def _kill(session: Session, number: int) -> None:
    """Stop a statement whose connection was cut: until it wants to write, it hears of nothing."""
    try:
        await session.query(f"KILL QUERY {number}")
    except Error as error:
        if error.context.get("code") != _UNKNOWN_THREAD:  # it has gone by itself
            raise
