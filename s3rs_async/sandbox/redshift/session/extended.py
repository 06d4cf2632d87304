"""The extended protocol: Parse, Bind and Execute, message by message.

Parse puts an empty statement in the place of one that the session runs itself, so that the answers
about it come from the backend; Execute runs it. Table locks come before Parse and Bind, for both
take a snapshot. After an error the backend skips to the next Sync: messages of the client are
passed on and skipped there, only what is ours must not be sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ..dialect.tokens import Statement, split
from ..faults import BackendError, RedshiftError
from ..knobs import Knobs
from ..planning.plans import Forward, Plan
from ..takeover import TakeOver
from ..wire import cstrings, parts, text_of
from .line import Line
from .words import backend_types
from .work import Work, planned, takes_snapshot

Act: TypeAlias = Callable[[TakeOver], Awaitable[None]]


class Extended:
    """The half of a session that answers prepared statements."""

    def __init__(self, line: Line, work: Work, knobs: Knobs) -> None:
        self._line = line
        self._work = work
        self._knobs = knobs
        self._plans: dict[bytes, tuple[Plan, bool]] = {}
        self._portals: dict[bytes, tuple[Plan, bool]] = {}

    async def parse(self, body: bytes, *, more: bool) -> None:
        """A statement under a name."""
        name, text, types = parts(body, 2)
        try:
            statement = _only(text_of(text))
            item = planned(statement, self._knobs) if statement else Forward("")
        except RedshiftError as error:
            refusal = error
            await self._ours(lambda own: self._work.refuse(own, refusal))
            return
        if not await self._prepared(item, statement):
            return
        sent = bytes(3)
        if isinstance(item, Forward):
            sent = cstrings(item.text) + backend_types(types)
        self._plans[name] = item, statement is not None and takes_snapshot(statement)
        await self._line.forward(b"P", name + b"\0" + sent, more=more)

    async def bind(self, body: bytes, *, more: bool) -> None:
        """A portal for a statement and its values."""
        portal, name, _ = parts(body, 2)
        found = self._plans.get(name)
        if found is not None:
            self._portals[portal] = found
            if not await self._locked(found[0]):
                return
        await self._line.forward(b"B", body, more=more)

    async def execute(self, body: bytes, *, more: bool) -> None:
        """Rows of a portal, or what we do in its place."""
        name, _ = parts(body, 1)
        item, snapshot = self._portals.get(name, (Forward(""), False))
        if isinstance(item, Forward) and not await self._is_answered(item):
            self._line.has_snapshot |= snapshot
            await self._line.forward(b"E", body, more=more)
        elif not isinstance(item, Forward):
            await self._ours(lambda own: self._work.do(item, own))
            self._line.has_snapshot |= snapshot

    async def close(self, body: bytes, *, more: bool) -> None:
        """A statement or a portal is needed no more."""
        held = self._plans if body[:1] == b"S" else self._portals
        held.pop(body[1:-1], None)
        await self._line.forward(b"C", body, more=more)

    async def _prepared(self, item: Plan, statement: Statement | None) -> bool:
        """What comes before a Parse; false when the batch has failed."""
        mirror = self._line.mirror()
        if mirror and not await self._ours(_each(mirror), batch=self._line.in_batch):
            return False
        looks = self._work.looks([statement]) if statement else ()
        if looks and not await self._ours(lambda own: self._work.look(looks, own)):
            return False
        return await self._locked(item)

    async def _locked(self, item: Plan) -> bool:
        """Take the statement's table locks; false when the batch has failed."""
        if not isinstance(item, Forward) or not item.locks or self._line.status == b"E":
            return True
        locks, in_block = item.locks, self._line.status == b"T"
        return await self._ours(lambda own: own.lock(locks, in_block=in_block))

    async def _is_answered(self, item: Forward) -> bool:
        """Whether a fault came in the statement's place."""
        if not self._work.is_watched(item):
            return False

        async def meet(own: TakeOver) -> None:
            try:
                await self._work.meets_fault(item, own)
            except RedshiftError as error:
                await self._work.refuse(own, error)

        return not await self._ours(meet)

    async def _ours(self, act: Act, *, batch: bool = True) -> bool:
        """Do something of our own, inside the batch or before it; false when it has failed."""
        own = await self._line.take_over(extended=batch)
        if own is None:
            return False
        try:
            await act(own)
        except BackendError as said:
            self._line.say_error(said)
            self._line.failed = True
        await self._line.give_back()
        return not self._line.failed


def _each(statements: tuple[str, ...]) -> Act:
    async def run(own: TakeOver) -> None:
        for statement in statements:
            await own.run(statement)

    return run


def _only(text: str) -> Statement | None:
    statements = split(text)
    if len(statements) > 1:
        message = "cannot insert multiple commands into a prepared statement"
        raise RedshiftError(message, "42601", rule="S1")
    return statements[0] if statements else None
