"""The simple protocol: a text of statements, one answer each, one ReadyForQuery.

A text that the backend may run as it is passes as a whole. Another one is run piece by piece on a
session that has been taken over; where it has no words that steer transactions, all of it is one
transaction, as in the backend.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..copying.copy import CopyStatement
from ..dialect.tokens import Statement, split
from ..faults import BackendError, RedshiftError
from ..knobs import Knobs
from ..planning.control import CONTROL
from ..planning.ddl import Script
from ..planning.plans import Forward, Plan
from ..takeover import TakeOver
from ..wire import cstrings, text_of
from .line import Line
from .work import Work, planned, takes_snapshot


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that is run piece by piece, and what comes first."""

    plans: list[Plan]
    mirror: tuple[str, ...]
    looks: tuple[str, ...]
    steers: bool


class Simple:
    """The half of a session that answers query texts."""

    def __init__(self, line: Line, work: Work, knobs: Knobs) -> None:
        self._line = line
        self._work = work
        self._knobs = knobs

    async def query(self, body: bytes, *, more: bool) -> None:  # noqa: ARG002 - a text is all
        """Answer one text."""
        try:
            statements = split(text_of(body[:-1]))
            plans = [planned(statement, self._knobs) for statement in statements]
        except RedshiftError as error:
            refusal = error
            await self._taken(lambda own: self._work.refuse(own, refusal))
            return
        held = _Text(plans, self._line.mirror(), self._work.looks(statements), _steers(statements))
        snapshot = any(map(takes_snapshot, statements))
        if not held.mirror and not held.looks and all(map(self._passes, plans)):
            self._line.has_snapshot |= snapshot
            joined = ";\n".join(item.text for item in plans if isinstance(item, Forward))
            await self._line.forward(b"Q", cstrings(joined))
            return
        await self._taken(lambda own: self._run(held, own))
        self._line.has_snapshot |= snapshot and self._line.status == b"T"

    def _passes(self, item: Plan) -> bool:
        return isinstance(item, Forward) and not item.locks and not self._work.is_watched(item)

    async def _taken(self, act: Callable[[TakeOver], Awaitable[None]]) -> None:
        own = await self._line.take_over(extended=False)
        if own is None:
            return
        try:
            await act(own)
        except BackendError as said:
            self._line.say_error(said)
        self._line.say_ready()
        await self._line.give_back()

    async def _run(self, text: _Text, own: TakeOver) -> None:
        for step in text.mirror:
            await own.run(step)
        if text.looks:
            await self._work.look(text.looks, own)
        if len(text.plans) > 1 and not text.steers:
            await self._atomic(text.plans, own)
            return
        for item in text.plans:
            await (self._atomic([item], own) if _in_parts(item) else self._work.do(item, own))

    async def _atomic(self, plans: list[Plan], own: TakeOver) -> None:
        """Run plans in one transaction: the client's, or else one for them alone."""
        ours = self._line.status == b"I"
        if ours:
            await own.run("BEGIN")
        try:
            for item in plans:
                await self._work.do(item, own)
        except BackendError:
            if ours:
                await own.run("ROLLBACK")
            raise
        if ours:
            await own.run("COMMIT")


def _steers(statements: list[Statement]) -> bool:
    return any(statement.word(0) in CONTROL for statement in statements)


def _in_parts(item: Plan) -> bool:
    """Whether a plan takes several statements that belong together."""
    if isinstance(item, Script):
        return bool(item.then) or len(item.steps) > 1
    return isinstance(item, CopyStatement)
