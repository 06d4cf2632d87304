"""The two sides of a comparison: what each server is asked, and its answers as values.

Every statement reads and changes nothing, so one that is cut short (a lost connection, somebody who
waits for the table's lock) is sent again. `asked` counts the statements, `seconds` their time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .. import clock
from ..canon import Comparison
from ..errors import UnavailableError
from ..model import TableName
from ..mysql import digest as source_digest
from ..mysql.chunk import ReadPlan
from ..mysql.connection import Session as SourceSession
from ..mysql.connection import Source
from ..mysql.piece import Results
from ..mysql.sql import Page
from ..redshift import digest as target_digest
from ..redshift.connection import Session as TargetSession
from ..redshift.connection import Target
from ..redshift.digest import Span
from .finding import Key, SourceRow, Tally

_TRIES = 4
_BACK_OFF = 1.0

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Effort:
    """How much a side was asked."""

    asked: int = 0
    seconds: float = 0.0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Around one statement."""
        begun = clock.seconds()
        self.asked += 1
        try:
            yield
        finally:
            self.seconds += clock.seconds() - begun


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again where the connection was lost on the way."""
    for tried in range(1, _TRIES):
        try:
            return await ask()
        except UnavailableError:
            await clock.sleep(_BACK_OFF * 2**tried + clock.jitter(_BACK_OFF))
    return await ask()


@dataclass(slots=True)
class SourceSide:
    """A table at its source."""

    source: Source
    plan: ReadPlan
    told: Comparison
    effort: Effort = field(default_factory=Effort)

    async def edge(self, page: Page, rows: int) -> Key | None:
        """The key of the row with which so many rows of a page end, if it has them."""
        return await self._asked(lambda session: Results(self.plan).edge(session, page, rows))

    async def total(self, page: Page) -> Tally:
        """How many rows a page has, and the sum of their digests."""
        ((rows, sums),) = await self._rows(source_digest.total(page, self.told.compared))
        return await self._took(Tally(int(rows or 0), int(sums or 0)))

    async def count(self, page: Page, due: str) -> tuple[int, int]:
        """How many rows a page has, and how many of them are due."""
        ((rows, are_due),) = await self._rows(source_digest.count(page, due))
        await self._took(Tally(int(rows or 0)))
        return int(rows or 0), int(are_due or 0)

    async def buckets(self, page: Page, number: int) -> dict[int, Tally]:
        """The same for each bucket of its keys."""
        told = self.told
        found = await self._rows(source_digest.by_bucket(page, told.compared, told.key, number))
        buckets = {int(b or 0): Tally(int(rows or 0), int(sums or 0)) for b, rows, sums in found}
        await self._took(sum(buckets.values(), start=Tally()))
        return buckets

    async def rows(
        self, page: Page, due: str, among: tuple[int, Sequence[int]] | None = None
    ) -> dict[Key, SourceRow]:
        """A page's rows, or those in some buckets of keys."""
        told = self.told
        statement = source_digest.rows(page, told.compared, told.key, due, among)
        found = await self._rows(statement)
        return {
            tuple(value or "" for value in key): SourceRow(int(number or 0), is_due == "1")
            for is_due, number, *key in found
        }

    async def _rows(self, statement: str) -> list[tuple[str | None, ...]]:
        return await self._asked(lambda session: session.query(statement))

    async def _took(self, tally: Tally) -> Tally:
        """Rows that were gone through count as read, where there is a limit for that."""
        await self.source.governor.took(tally.rows, 0)
        return tally

    async def _asked(self, ask: Callable[[SourceSession], Awaitable[Answer]]) -> Answer:
        async def once() -> Answer:
            await self.source.governor.spared()
            async with self.source.reader(self.plan.source.name) as session, self.effort.one():
                return await ask(session)

        return await _patiently(once)


@dataclass(slots=True)
class TargetSide:
    """The same table at its target."""

    target: Target
    table: TableName
    told: Comparison
    effort: Effort = field(default_factory=Effort)
    _session: TargetSession | None = None
    _held: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def total(self, span: Span) -> Tally:
        """How many rows a span has, and the sum of their digests."""
        statement = target_digest.total(self.table, span, self.told.compared)
        ((rows, sums),) = await self._rows(statement)
        return Tally(int(rows), int(sums or 0))

    async def count(self, span: Span) -> int:
        """How many rows a span has."""
        ((rows,),) = await self._rows(target_digest.count(self.table, span))
        return int(rows)

    async def buckets(self, span: Span, number: int) -> dict[int, Tally]:
        """The same for each bucket of its keys."""
        statement = target_digest.by_bucket(self.table, span, self.told.compared, number)
        found = await self._rows(statement)
        return {int(b): Tally(int(rows), int(sums)) for b, rows, sums in found}

    async def rows(self, span: Span, number: int, wanted: Sequence[int]) -> dict[Key, list[int]]:
        """The rows in some buckets of keys."""
        compared = self.told.compared
        return await self._keyed(target_digest.rows(self.table, span, compared, number, wanted))

    async def named(self, keys: Sequence[Key]) -> dict[Key, list[int]]:
        """The rows with these keys."""
        told = self.told
        return await self._keyed(
            target_digest.named(self.table, Span(told.key, told.marked), told.compared, keys)
        )

    async def _keyed(self, statement: str) -> dict[Key, list[int]]:
        found: dict[Key, list[int]] = {}
        for number, *key in await self._rows(statement):
            found.setdefault(tuple(key), []).append(int(number))
        return found

    async def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        async def once(session: TargetSession) -> list[tuple[Any, ...]]:
            async with self.effort.one():
                return await session.fetch(statement)

        return await self.asked(once)

    async def asked(self, ask: Callable[[TargetSession], Awaitable[Answer]]) -> Answer:
        """What the target answers, in one session as long as it lasts."""

        async def once() -> Answer:
            try:
                if self._session is None:
                    self._session = await self._held.enter_async_context(self.target.session())
                return await ask(self._session)
            except UnavailableError:
                await self.aclose()
                raise

        return await _patiently(once)

    async def aclose(self) -> None:
        """End the session, if there is one."""
        held, self._held, self._session = self._held, AsyncExitStack(), None
        await held.aclose()
