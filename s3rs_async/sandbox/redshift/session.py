"""One client session: two pumps, and a hand that can take the backend's session over.

Everything passes as it comes, except statements that `plan` wants done in another way. For those
the session waits until the backend has answered all that was sent, fences the stream with a Close
that must be answered, turns what the backend says into a tap, and speaks itself.

Simple protocol: each statement of the text is then run in turn, and one ReadyForQuery ends it.
Extended protocol: Parse puts an empty statement in the place of one of ours, so that the answers
about it come from PostgreSQL; Execute runs it. After an error the backend skips to the next Sync;
messages of the client are passed on and skipped there, only ours must not be sent.

The reader of the client is a task of its own: when the client is gone it ends the session at once,
whatever runs, and the closing of the backend's socket rolls back and frees the locks.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from .control import CONTROL
from .copy import CopyStatement
from .ddl import Script
from .faults import BackendError, Fields, RedshiftError
from .knobs import PREFIX, Knobs
from .load import Loader
from .plans import Forward, Plan
from .settings import Turn
from .statements import plan
from .takeover import TakeOver
from .tokens import literal, split
from .translate import translate
from .wire import INT, Channel, ClosedError, Message, cstrings

if TYPE_CHECKING:
    from .catalog import Catalogue, Who
    from .store import Store

_HELD_MESSAGES = 64
_TAPPED_MESSAGES = 1000
_REPORTED = {"padb_revision": "stand-in", "padb_version": "1.0.122914"}
_SHOWN = frozenset(
    [
        "client_encoding",
        "DateStyle",
        "integer_datetimes",
        "is_superuser",
        "server_encoding",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    ]
)
_RENAMED = {INT.pack(3802): INT.pack(4000), INT.pack(17): INT.pack(6551)}


class _OverError(Exception):
    """The session is over; it ends the task group."""


class Commons(Protocol):
    """What the sessions of a front share."""

    store: Store
    catalogue: Catalogue
    knobs: Knobs

    def next_query(self) -> int:
        """A query id."""

    def known(self, session: Session) -> None:
        """A session whose cancel key is known now."""

    def who(self, key: bytes) -> Who:
        """The session as a log names it."""


class Session:
    """A logged-in client and its backend."""

    def __init__(self, front: Commons, client: Channel, backend: Channel, knobs: Knobs) -> None:
        self._front = front
        self._knobs = knobs
        self._client = client
        self._backend = backend
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(_HELD_MESSAGES)
        self._tap: asyncio.Queue[Message] | None = None
        self._names = itertools.count(1)
        self._status = b"I"
        self._pending = 1
        self._closes = 0
        self._failed = False
        self._fatal = False
        self._answered = asyncio.Event()
        self._plans: dict[bytes, Plan] = {}
        self._portals: dict[bytes, Plan] = {}
        self.key = b""
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until one side is gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._pump())
                tasks.create_task(self._serve())
        except* (_OverError, ClosedError):
            self._last_words()

    def _last_words(self) -> None:
        """Say why it ends when the backend had no chance to: a write to it failed first."""
        if self._backend.lost and not self._fatal:
            message = "terminating connection due to administrator command"
            fields = Fields({"S": "FATAL", "V": "FATAL", "C": "57P01", "M": message})
            self._client.write(b"E", fields.body())

    async def _listen(self) -> None:
        while True:
            message = await self._client.read()
            await self._inbox.put(message)
            if message.kind == b"X":
                return

    async def _pump(self) -> None:
        """Backend to client, or to the tap."""
        while True:
            if not self._backend.ready():
                await self._client.drain()
            kind, body = await self._backend.read()
            if kind == b"Z":
                self._status = body
            if kind == b"S":
                self._parameter(body)
            elif kind == b"E" and Fields.parse(body).get("V") in ("FATAL", "PANIC"):
                self._fatal = True
                self._client.write(kind, translate(Fields.parse(body)).body())
            elif self._tap is not None:
                await self._tap.put(Message(kind, body))
            else:
                self._observe(kind, body)
                self._say(kind, body)

    def _parameter(self, body: bytes) -> None:
        name = body.split(b"\0")[0].decode()
        if name == "server_version":
            self._client.write(b"S", cstrings(name, "8.0.2"))
            for key, value in _REPORTED.items():
                self._client.write(b"S", cstrings(key, value))
        elif name in _SHOWN:
            self._client.write(b"S", body)

    def _observe(self, kind: bytes, body: bytes) -> None:
        if kind == b"Z":
            self._failed, self._closes = False, 0
            self._pending -= 1
            if self._pending <= 0:
                self._answered.set()
        elif kind == b"E":
            self._failed = True
        elif kind == b"3":
            self._closes -= 1
        elif kind == b"K":
            self.key = body
            self._front.known(self)

    def _say(self, kind: bytes, body: bytes) -> None:
        """One message of the backend's to the client, in Redshift's words."""
        if kind == b"E":
            body = translate(Fields.parse(body)).body()
        elif kind in (b"T", b"t"):
            for ours, theirs in _RENAMED.items():
                tail = b"\xff\xff" if kind == b"T" else b""
                body = body.replace(ours + tail, theirs + tail)
        self._client.write(kind, body)

    async def _serve(self) -> None:
        """Client to backend, message by message."""
        while True:
            kind, body = await self._inbox.get()
            if kind == b"X":
                raise _OverError
            self.stop.clear()
            if kind == b"Q":
                await self._query(body[:-1].decode(errors="replace"))
            elif kind == b"P":
                await self._parse(body)
            elif kind == b"B":
                await self._bind(body)
            elif kind == b"E":
                await self._execute(body)
            else:
                await self._pass(kind, body)

    async def _pass(self, kind: bytes, body: bytes) -> None:
        if kind in (b"S", b"Q"):
            self._pending += 1
            self._answered.clear()
        elif kind == b"C":
            self._closes += 1
        self._backend.write(kind, body)
        if kind in (b"S", b"Q", b"H") or self._inbox.empty():
            await self._backend.drain()

    async def _take_over(self, *, extended: bool) -> TakeOver | None:
        """Own the backend's session; nothing when it skips to the next Sync."""
        await self._backend.drain()
        await self._answered.wait()
        if self._failed:
            return None
        self._tap = tap = asyncio.Queue[Message](_TAPPED_MESSAGES)
        self._backend.write(b"C", b"S" + cstrings(f"_fence{next(self._names)}"))
        self._backend.write(b"H")
        await self._backend.drain()
        expected = self._closes + 1
        while expected:
            kind, body = await tap.get()
            expected -= kind == b"3"
            if expected:
                self._say(kind, body)
            if kind == b"E":
                self._failed = True
                self._tap = None
                return None
        self._closes = 0
        return TakeOver(self._backend, tap, self._names, extended=extended)

    async def _give_back(self) -> None:
        self._tap = None
        await self._client.drain()

    async def _query(self, text: str) -> None:
        try:
            statements = split(text)
            plans = [plan(statement) for statement in statements]
        except RedshiftError as error:
            await self._refuse_query(error)
            return
        if all(isinstance(item, Forward) and not item.locks for item in plans):
            joined = ";\n".join(item.text for item in plans if isinstance(item, Forward))
            await self._pass(b"Q", cstrings(joined))
            return
        control = any(statement.word(0) in CONTROL for statement in statements)
        await self._query_ours(plans, wrap=not control)

    async def _refuse_query(self, error: RedshiftError) -> None:
        own = await self._take_over(extended=False)
        if own is None:
            return
        try:
            await own.fail(error, self._front.next_query())
        except BackendError as said:
            self._say(b"E", said.fields.body())
        self._client.write(b"Z", self._status)
        await self._give_back()

    async def _query_ours(self, plans: list[Plan], *, wrap: bool) -> None:
        own = await self._take_over(extended=False)
        if own is None:
            return
        try:
            if wrap and len(plans) > 1:
                await self._atomic(plans, own)
            else:
                for item in plans:
                    await (self._atomic([item], own) if _in_parts(item) else self._do(item, own))
        except BackendError as said:
            self._say(b"E", said.fields.body())
        self._client.write(b"Z", self._status)
        await self._give_back()

    async def _atomic(self, plans: list[Plan], own: TakeOver) -> None:
        """Run plans in one transaction: the client's, or else one for them alone."""
        ours = self._status == b"I"
        if ours:
            await own.run("BEGIN")
        try:
            for item in plans:
                await self._do(item, own)
        except BackendError:
            if ours:
                await own.run("ROLLBACK")
            raise
        if ours:
            await own.run("COMMIT")

    async def _do(self, item: Plan, own: TakeOver) -> None:
        """Run one planned statement and answer it, short of ReadyForQuery."""
        if isinstance(item, Forward):
            locks = "".join(f"LOCK TABLE {table} IN EXCLUSIVE MODE;" for table in item.locks)
            await own.relay(locks + item.text, self._say, self._client, hide=len(item.locks))
            return
        try:
            if isinstance(item, Script):
                await self._script(item, own)
            elif isinstance(item, Turn):
                await self._turn(item, own)
            else:
                await self._copy(item, own)
        except RedshiftError as error:
            await own.fail(error, self._front.next_query())

    async def _script(self, script: Script, own: TakeOver) -> None:
        if script.alone and self._status != b"I":
            message = f"{script.alone} cannot run inside a transaction block"
            raise RedshiftError(message, "25001", rule="L1")
        notices, tag = list[str](), ""
        for step in script.steps:
            outcome = await own.run(step, self._say)
            notices += outcome.notices
            tag = outcome.tag
        if script.then and "42P07" not in notices:
            await own.run(script.then)
        if script.commits and self._status == b"T":
            await own.run("COMMIT AND CHAIN")
        self._client.write(b"C", cstrings(script.tag or tag))

    async def _turn(self, turn: Turn, own: TakeOver) -> None:
        turned = self._knobs.everywhere if turn.everywhere else self._knobs.turn
        turned(turn.knob, turn.value)
        off = literal(self._knobs["off"])
        await own.run(f"SELECT set_config('{PREFIX}.off', {off}, false)")
        self._client.write(b"C", cstrings(turn.tag))

    async def _copy(self, statement: CopyStatement, own: TakeOver) -> None:
        query = self._front.next_query()
        who = self._front.who(self.key)
        try:
            async with self._front.catalogue.copying(query, statement.source, who) as log:
                loader = Loader(own, self._front.store, query, self.stop, log)
                load = await loader.load(statement, in_block=self._status == b"T")
                await log.done(load)
        except RedshiftError as error:
            await own.fail(error, query)
            return
        text = (
            f"Load into table '{load.table}' completed, {load.rows} record(s) loaded successfully."
        )
        notice = Fields({"S": "INFO", "V": "INFO", "C": "00000", "M": text})
        self._client.write(b"N", notice.body())
        self._client.write(b"C", cstrings("COPY"))

    async def _parse(self, body: bytes) -> None:
        name, text, rest = body.split(b"\0", 2)
        try:
            item = _only(text.decode(errors="replace"))
        except RedshiftError as error:
            refusal = error
            await self._ours(lambda own: own.fail(refusal, self._front.next_query()))
            return
        if isinstance(item, Forward):
            if not await self._locked(item):  # parsing takes a snapshot, so before it
                return
            text = item.text.encode()
        else:
            text, rest = b"", bytes(2)
        self._plans[name] = item
        await self._pass(b"P", name + b"\0" + text + b"\0" + rest)

    async def _bind(self, body: bytes) -> None:
        portal, name, _ = body.split(b"\0", 2)
        item = self._plans.get(name)
        if item is not None:
            self._portals[portal] = item
            if isinstance(item, Forward) and not await self._locked(item):
                return
        await self._pass(b"B", body)

    async def _execute(self, body: bytes) -> None:
        item = self._portals.get(body.split(b"\0", 1)[0])
        if item is None or isinstance(item, Forward):
            await self._pass(b"E", body)
            return
        await self._ours(lambda own: self._do(item, own))

    async def _locked(self, item: Forward) -> bool:
        """Take the statement's table locks; false when the batch has failed."""
        if not item.locks or self._status == b"E":
            return True
        in_block = self._status == b"T"
        return await self._ours(lambda own: own.lock(item.locks, in_block=in_block))

    async def _ours(self, act: Callable[[TakeOver], Awaitable[None]]) -> bool:
        """Do something of our own inside an extended batch; false when the batch has failed."""
        own = await self._take_over(extended=True)
        if own is None:
            return False
        try:
            await act(own)
        except BackendError as said:
            self._say(b"E", said.fields.body())
            self._failed = True
        await self._give_back()
        return not self._failed


def _in_parts(item: Plan) -> bool:
    """Whether a plan takes several statements that belong together."""
    if isinstance(item, Script):
        return bool(item.then) or len(item.steps) > 1
    return isinstance(item, CopyStatement)


def _only(text: str) -> Plan:
    statements = split(text)
    if len(statements) > 1:
        message = "cannot insert multiple commands into a prepared statement"
        raise RedshiftError(message, "42601", rule="S1")
    return plan(statements[0]) if statements else Forward("")
