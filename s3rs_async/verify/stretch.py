"""A table cut into stretches, each of which both servers can be asked about by itself.

Where both have the keys in one order a stretch is a range of keys that takes a few seconds. Where
they do not (texts), it is the whole table, which the source still tells page by page. Without an
index, or without a key whose text both know, it is the whole table too, by one statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from ..mysql import digest
from ..mysql.chunk import ReadPlan
from ..mysql.sql import Page
from ..redshift.digest import Span
from .finding import Key
from .sides import SourceSide

_FIRST_ROWS = 250_000
_LEAST_ROWS = 10_000
_MOST_ROWS = 4_000_000
_SHORT_SECONDS = 2.0
_LONG_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows that lie between two keys: pages of the source, and one span of the target."""

    pages: tuple[Page, ...]
    span: Span

    @property
    def upto(self) -> Key:
        """The last key that may be in it; empty: it goes to the end."""
        return self.span.upto


@dataclass(slots=True)
class Pace:
    """How many rows a range has, so that it takes a few seconds."""

    rows: int = _FIRST_ROWS

    def took(self, seconds: float) -> None:
        """A range took so long: the next has more rows, or fewer."""
        if seconds < _SHORT_SECONDS:
            self.rows = min(2 * self.rows, _MOST_ROWS)
        elif seconds > _LONG_SECONDS:
            self.rows = max(self.rows // 2, _LEAST_ROWS)


def whole(plan: ReadPlan) -> Page:
    """All that is read of a table, along its key."""
    index = plan.source.index_for(plan.key)
    return Page(plan.source.name, (), order=digest.key_rules(plan), index=index, where=plan.where)


async def stretches(side: SourceSide, pace: Pace, after: Key) -> AsyncIterator[Stretch]:
    """The table's stretches behind a key, in order."""
    told = side.told
    if told.ordered:
        async for page in _pages(side, pace, after):
            yield Stretch((page,), Span(told.key, told.marked, tuple(page.after), tuple(page.upto)))
        return
    pages = [page async for page in _pages(side, pace, ())]
    yield Stretch(tuple(pages), Span(told.key, told.marked))


async def _pages(side: SourceSide, pace: Pace, after: Key) -> AsyncIterator[Page]:
    page = replace(whole(side.plan), after=after)
    if page.index is None:
        yield page
        return
    while (edge := await side.edge(page, pace.rows)) is not None:
        yield replace(page, upto=edge)
        page = replace(page, after=edge)
    yield page
