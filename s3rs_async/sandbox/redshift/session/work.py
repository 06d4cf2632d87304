"""What a planned statement comes to, on a backend session that has been taken over.

`do` runs one plan and answers it, short of ReadyForQuery. Before a statement that commits or writes
a table come the faults that knobs hold ready for it; before one that runs in a transaction whose
snapshot is taken, the look for tables that are younger than it (rule X1c).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from ..copying.copy import CopyStatement
from ..copying.load import Loader, answers
from ..dialect.tokens import Statement, dotted, literal
from ..faults import Cycle, RedshiftError, error_fields, lost_race, plain_error
from ..knobs import Knobs
from ..planning.ddl import Script
from ..planning.plans import Forward, Plan
from ..planning.settings import Turn
from ..planning.statements import plan
from ..rules import holds
from ..takeover import TakeOver
from ..wire import cstrings
from .obstacles import CutError, Obstacles
from .younger import mentioned, question

if TYPE_CHECKING:
    from ..catalog import Catalogue, Load, Who
    from ..copying.store import Store
    from .line import Line

_ALONE = {"VACUUM": "L1", "ALTER TABLE ALTER COLUMN": "L2c", "ALTER TABLE APPEND": "L5a"}
_QUIET = frozenset(
    ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SET", "RESET", "SHOW", "LOCK"]
)
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Commons(Protocol):
    """What the sessions of a front share."""

    store: Store
    catalogue: Catalogue

    def next_query(self) -> int:
        """A query id."""

    def who(self, key: bytes) -> Who:
        """The session as a log names it."""


def planned(statement: Statement, knobs: Knobs) -> Plan:
    """What to do with a statement; system tables may be denied by a knob."""
    denied = knobs["sys_denied"] == "on"
    for token in statement.tokens if denied else ():
        if token.is_name and token.name.startswith("stl_"):
            message = f"permission denied for relation {token.name}"
            raise RedshiftError(message, "42501", rule="stand-in")
    item = plan(statement)
    if not isinstance(item, Forward) and not statement.text.isascii():
        _check_encoding(statement.text)
    return item


def _check_encoding(text: str) -> None:
    """What the backend would say of bytes that are no UTF-8, of a text that it does not see."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = 'invalid byte sequence for encoding "UTF8"'
        raise RedshiftError(message, "22021", rule="stand-in") from error


def is_commit(item: Plan) -> bool:
    """Whether a plan is a COMMIT that was sent."""
    return isinstance(item, Forward) and item.text in ("COMMIT", "END")


def written(item: Plan) -> tuple[str, ...]:
    """The tables that a plan writes."""
    if isinstance(item, CopyStatement):
        return (dotted(item.table),)
    return item.locks if isinstance(item, Forward) else ()


def takes_snapshot(statement: Statement) -> bool:
    """Whether a statement takes its transaction's snapshot."""
    return statement.word(0) not in _QUIET


def seconds(setting: str) -> float:
    """A duration as SHOW tells it; nothing when there is none."""
    match = re.fullmatch(r"(\d+)(\D+)?", setting)
    return int(match[1]) * _UNITS.get(match[2] or "ms", 0.0) if match else 0.0


class Work:
    """Runs plans for one session."""

    def __init__(self, front: Commons, line: Line, knobs: Knobs) -> None:
        self._front = front
        self._line = line
        self._knobs = knobs
        self._late = ""
        self.copying = False

    async def refuse(self, own: TakeOver, error: RedshiftError) -> None:
        """Let the backend raise an error of ours."""
        await own.fail(error, self._front.next_query())

    async def do(self, item: Plan, own: TakeOver) -> None:
        """Run one planned statement and answer it."""
        line = self._line
        try:
            if await self.meets_fault(item, own):
                return
            if isinstance(item, Forward):
                locks = item.locks if holds("X2") else ()
                text = "".join(f"LOCK TABLE {table} IN EXCLUSIVE MODE;" for table in locks)
                await own.relay(text + item.text, line.say, line.client, hide=len(locks))
            elif isinstance(item, Script):
                await self._script(item, own)
            elif isinstance(item, Turn):
                await self._turn(item, own)
            else:
                await self._copy(item, own)
        except RedshiftError as error:
            await self.refuse(own, error)

    def is_watched(self, item: Plan) -> bool:
        """Whether a fault may wait for a plan that would else pass as it is."""
        commit = is_commit(item)
        return bool(
            (commit and (self._knobs["drop"] or self._knobs["conflict"]))
            or (written(item) and self._knobs["conflict"])
        )

    async def meets_fault(self, item: Plan, own: TakeOver) -> bool:
        """Raise the fault that is due; true when the statement has been answered thereby."""
        commit = is_commit(item)
        if (commit or written(item)) and self._knobs.strike("conflict"):
            cycle = await self._cycle(item, own)
            if commit:  # it ends the transaction, whichever way
                await own.run("ROLLBACK")
            raise lost_race(cycle)
        moment = self._knobs.strike("drop", "before commit", "after commit") if commit else ""
        if moment == "after commit":
            await own.run("COMMIT")
        if moment:
            raise CutError
        return False

    async def _cycle(self, item: Plan, own: TakeOver) -> Cycle:
        line, tables = self._line, written(item)
        if line.status == b"E":
            return Cycle(pid=line.pid)
        named = literal(tables[0]) if tables else "NULL"
        sql = f"SELECT to_regclass({named})::oid::bigint, pg_current_xact_id_if_assigned()::text"
        ((table, transaction),) = (await own.run(sql)).rows
        return Cycle(int(table or 0), int(transaction or 0), line.pid)

    def looks(self, statements: list[Statement]) -> tuple[str, ...]:
        """The tables of statements that may be younger than the snapshot they run on."""
        if self._line.status != b"T" or not self._line.has_snapshot:
            return ()
        return tuple(name for statement in statements for name in mentioned(statement))

    async def look(self, tables: tuple[str, ...], own: TakeOver) -> None:
        """Refuse tables that are younger than the transaction's snapshot (rule X1c)."""
        rows = (await own.run(question(tables))).rows
        found = next((int(row[0]) for row in rows if row[0]), 0)
        self._line.cycle = Cycle(found, int(rows[0][1] or 0), self._line.pid)
        if holds("X1c") and any(row[2] == "t" for row in rows):
            await self.refuse(own, plain_error("1018", "Relation does not exist", "X1c"))

    async def _script(self, script: Script, own: TakeOver) -> None:
        if script.alone and self._line.status != b"I":
            message = f"{script.alone} cannot run inside a transaction block"
            raise RedshiftError(message, "25001", rule=_ALONE.get(script.alone, "L1"))
        notices, tag = list[str](), ""
        for step in script.steps:
            outcome = await own.run(step, self._line.say)
            notices += outcome.notices
            tag = outcome.tag
        if script.then and "42P07" not in notices:
            await own.run(script.then)
        if script.commits and self._line.status == b"T":
            await own.run("COMMIT AND CHAIN")
        self._line.say(b"C", cstrings(script.tag or tag))

    async def _turn(self, turn: Turn, own: TakeOver) -> None:
        await own.run("SHOW rs.query_group")  # refused in a failed transaction, as SET is
        turned = self._knobs.everywhere if turn.everywhere else self._knobs.turn
        turned(turn.knob, turn.value)
        self._line.say(b"C", cstrings(turn.tag))

    async def _copy(self, statement: CopyStatement, own: TakeOver) -> None:
        query = self._front.next_query()
        self.copying = True
        try:
            load = await self._load(statement, own, query)
        except RedshiftError as error:
            if holds("15a"):
                await own.fail(error, query)
            self._line.say(b"E", error_fields(error, query).body())
            return
        finally:
            self.copying = False
            own.hurdles = None
        for kind, body in answers(load):
            self._line.say(kind, body)

    async def _load(self, statement: CopyStatement, own: TakeOver, query: int) -> Load:
        line, front = self._line, self._front
        own.hurdles = obstacles = Obstacles(self._knobs, line.stop)
        limit = seconds((await own.run("SHOW statement_timeout")).rows[0][0] or "")
        async with front.catalogue.copying(query, statement.source, front.who(line.key)) as log:
            loader = Loader(own, front.store, query, line.stop, log)
            try:
                with _alarm(limit, line.stop):
                    load = await loader.load(statement, in_block=line.status == b"T")
            finally:
                self._late = loader.late
            obstacles.after()
            await log.done(load)
        return load

    async def settle(self) -> None:
        """What a COPY leaves behind once its transaction is over (rules 14a and 14c)."""
        line = self._line
        own = await line.take_over(extended=False) if self._late else None
        if own is None:
            return
        if line.status == b"I":
            await own.run(self._late)
        if line.status == b"I" or holds("14c"):
            self._late = ""
        await line.give_back()


@contextlib.contextmanager
def _alarm(limit: float, stop: asyncio.Event) -> Iterator[None]:
    """Stop the load when its time is over; the backend only sees single statements of it."""
    timer = asyncio.get_running_loop().call_later(limit, stop.set) if limit else None
    try:
        yield
    finally:
        if timer:
            timer.cancel()
