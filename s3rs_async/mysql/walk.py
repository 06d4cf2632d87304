"""What to read next, and how far the watermark may go; pure.

A pass walks its legs one after the other: rows whose cursor is NULL; rows that are read again below
the position; then the window of rows in (cursor, key) order. Without a cursor it is one leg: the
ids above the position, or the whole table in the order of its key, or a query of the user's between
the position and the bound. A leg is a chain of chunks, each strictly after the last row of the one
before, and ends with the first chunk that is shorter than was asked for; without an order it is one
chunk.

Rows with a NULL cursor are read up to the bound's `nulls_to`, each once, where keys grow; without
such a bound they are read whole each pass, and not at all where they would be appended again. Rows
read again move nothing, and come first: a position that had moved would leave some of them below
the next pass's look back.

Where rows are merged the bound limits the watermark and not the read: the window is read on past
`hi`, so that a row which changes every second arrives at all. A position is never past `hi`: it is
the last row while that lies below, and `hi` itself (from which the next pass reads again) once the
window was read to its end. Reading on ends 60 s after the moment at which the walk passed `hi`.
Where rows are appended the read stops at `hi`, and so each comes once.

An errand is one leg, or one for some hundred keys that it names, and moves nothing: its rows are
merged, and what is newer comes again in its time. Where rows are only ever appended it would come
twice; there an errand keeps to what the position has passed, and to rows that have a cursor.

Ids are read up to the bound's `key_to`, and only above the position: as the server compares them,
so every row that is read lies beyond it and no position can go back. Key values are only ever
compared by the server, whose collation alone knows their order; cursors as `ticks` does.

Several connections may read a leg at once (`shared`) where the order has an index, and only what
lies below `hi`: there nothing new appears, and a row that leaves it goes beyond, where one
connection reads when all of the rest has been read. Their pages end at rows that were looked up
beforehand, and so are over at their ends, however few of their rows are left (`closed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..errors import ConfigError, UnavailableError
from ..model import Bound, Changes, Errand, KeyList, KeyRange, Mode, Position
from . import ticks
from .chunk import ReadPlan
from .query import Query
from .sql import Mark, Page

KEYS_AT_ONCE = 500
LegName = Literal["nulls", "again", "window", "ids", "table", "query", "errand"]


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """A chunk was read to its end.

    `after` is the position to commit if the batch is closed here, None where the chunk has none to
    give. `moves_watermark` says whether it lies beyond the one before. `last` ends the leg, and the
    batch with it; rows that were read again go into one batch with those of the window. `changed`
    counts the values that a policy has changed.
    """

    rows: int
    after: Position | None
    moves_watermark: bool
    leg: LegName
    last: bool
    changed: Changes


@dataclass(slots=True)
class Walk:
    """One pass under way; it is told what was taken and says what comes next."""

    plan: ReadPlan
    position: Position | None
    bound: Bound | None
    stop: str | None = None
    legs: list[LegName] = field(init=False)
    _after: tuple[str, ...] = ()
    _rows: int = 0
    _begun: bool = False
    _changed: Changes = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_position(self.plan, self.position)
        self.legs = _legs(self.plan, self.position, self.bound)
        if self.plan.cursor is not None and self.plan.mode is Mode.APPEND:
            self.stop = self._hi()
        self._enter()

    @property
    def leg(self) -> LegName | None:
        """The leg under way; None when all are done."""
        return self.legs[0] if self.legs else None

    @property
    def resumable(self) -> bool:
        """Whether a broken read can go on after its last row, or has taken none yet."""
        return bool(self.plan.order) or not self._rows

    @property
    def passed(self) -> bool:
        """Whether rows at `hi` or beyond have been read and more may follow."""
        return self.leg == "window" and self._begun and self._at_or_past_hi(self._cursor_at())

    def page(self, limit: int) -> Page | None:
        """The next page of a chunk that is to have `limit` rows in all; None if it is full."""
        plan = self.plan
        if plan.query is not None:
            return self._asked(plan.query)
        if not plan.order:
            return Page(plan.source.name, plan.rules, where=plan.where)
        left = limit - self._rows
        if left <= 0:
            return None
        page = Page(
            plan.source.name,
            plan.rules,
            order=plan.order if self._by_cursor else plan.key_rules,
            after=self._after,
            index=plan.index,
            limit=left,
            where=plan.where,
        )
        return self._placed(page)

    def _asked(self, query: Query) -> Page:
        """All that a query gives between the position, or so much below it, and the bound."""
        plan, at = self.plan, self.position
        order = tuple(rule for rule in plan.rules if rule.name == plan.cursor)
        start, column = at.cursor if at is not None else None, plan.cursor_column
        if start is not None and column is not None and plan.spec.lookback:
            start = ticks.back(start, plan.spec.lookback, column, plan.format)
        below = self._hi() if order else None
        return Page(
            plan.source.name, plan.rules, order=order, start=start, below=below, query=query
        )

    def shared(self, limit: int) -> Page | None:
        """The first page of what several may read at once; None where there is no such."""
        plan = self.plan
        if self.leg in ("nulls", "again") or plan.index is None or not plan.key_rules:
            return None
        if isinstance(plan.errand, KeyList):
            return None
        page = self.page(limit)
        if page is None or self.leg != "window":
            return page
        return None if self._at_or_past_hi(self._cursor_at()) else replace(page, below=self._hi())

    def _placed(self, page: Page) -> Page:
        """The page with what is its leg's own."""
        match self.leg:
            case "nulls":
                return replace(page, top=self._nulls_to(), nulls=(self.plan.order[0], True))
            case "again":
                return self._again(page)
            case "window":
                return self._window(page)
            case "ids":
                return replace(page, top=self.bound.key_to if self.bound is not None else None)
            case "errand":
                return self._errand(page)
            case _:
                return page

    def took(self, rows: int, last: Sequence[str | None], changed: Changes) -> None:
        """Rows were taken, the last of which has these values in the order of the plan's rules."""
        self._rows += rows
        self._begun = True
        for change, count in changed.items():
            self._changed[change] = self._changed.get(change, 0) + count
        order = self.plan.order if self._by_cursor else self.plan.key_rules
        found = dict(zip((rule.name for rule in self.plan.rules), last, strict=True))
        values = [found[rule.name] for rule in order]
        if self._by_cursor:
            cursors = (found[name] for name in self.plan.cursors)
            values[0] = next((value for value in cursors if value is not None), None)
        self._after = tuple(known(value) for value in values)

    def end(self, limit: int) -> ChunkEnd:
        """The chunk's end; the walk stands at the next chunk, or at the next leg's first."""
        return self._ended(last=not self.plan.order or self._rows < limit)

    def closed(self) -> ChunkEnd:
        """The end of a chunk behind which there are more, however few rows it had."""
        return self._ended(last=False)

    def _ended(self, *, last: bool) -> ChunkEnd:
        leg = self.legs[0]
        after = self._reached(leg, last=last)
        ends = last and leg != "again" and self.legs[1:2] != ["errand"]
        told = ChunkEnd(self._rows, after, after is not None, leg, ends, self._changed)
        if after is not None:
            self.position = after
        self._rows, self._changed = 0, {}
        if last:
            del self.legs[0]
            self._after, self._begun = (), False
            self._enter()
        return told

    @property
    def _by_cursor(self) -> bool:
        return self.leg in ("again", "window")

    def _enter(self) -> None:
        """Begin a leg where the position is."""
        at = self.position
        if at is None:
            return
        if self.leg == "nulls" and self._nulls_to() is not None:
            self._after = at.nulls or ()
        if self.leg == "window" and at.cursor is not None and at.key is not None:
            self._after = (at.cursor, *at.key)
        if self.leg == "ids":
            self._after = at.key or ()

    def _again(self, page: Page) -> Page:
        """Rows below the position, and the one that it names: they are merged a second time."""
        at, column, spec = self.position, self.plan.cursor_column, self.plan.spec
        if at is None or at.cursor is None or column is None:
            raise ValueError("nothing lies below no position")
        begin = ticks.back(at.cursor, spec.lookback, column, self.plan.format)
        page = replace(page, start=None if self._after else begin)
        return replace(page, below=at.cursor) if at.key is None else replace(page, top=at.cursor)

    def _errand(self, page: Page) -> Page:
        errand, settled, at = self.plan.errand, self.plan.settled, self.position
        if settled and at is not None:
            values = tuple(filter(None, (at.cursor, *(at.key or ()))))
            page = replace(page, behind=Mark(settled, values, inclusive=at.key is not None))
        match errand:
            case KeyRange():
                start = None if self._after else errand.lo
                return replace(page, start=start, top=errand.hi)
            case KeyList():
                first = (_slices(errand) - len(self.legs)) * KEYS_AT_ONCE
                return replace(page, among=errand.keys[first : first + KEYS_AT_ONCE])
            case None:
                raise ValueError("the plan is of no errand")

    def _window(self, page: Page) -> Page:
        at = self.position
        start = at.cursor if at is not None and not self._after else None
        cursor = self.plan.cursor_column
        nullable = cursor is not None and cursor.nullable
        unbegun = not self._after and start is None
        nulls = (self.plan.order[0], False) if nullable and unbegun else None
        return replace(page, start=start, below=self.stop, nulls=nulls)

    def _reached(self, leg: LegName, *, last: bool) -> Position | None:
        """The position to commit at the end of a chunk; None where there is none beyond ours."""
        match leg:
            case "table" | "again" | "errand":
                return None
            case "nulls":
                return self._nulls_reached()
            case "ids":
                return Position(None, self._after) if self._rows else None
            case "query" if self.plan.whole:
                return None
            case "window" | "query":
                return self._window_reached(last=last) if self._rows or last else None

    def _window_reached(self, *, last: bool) -> Position | None:
        before = self.position
        begun = before.cursor if before is not None else None
        if begun is not None and self._at_or_past_hi(begun):
            return None
        nulls = before.nulls if before is not None else None
        if last or self._at_or_past_hi(self._cursor_at()):
            return Position(self._hi(), None, nulls)
        return Position(self._after[0], self._after[1:], nulls)

    def _nulls_reached(self) -> Position | None:
        """Only where keys grow is a NULL row once read done with; else all come again each pass."""
        if not self._rows or self._nulls_to() is None:
            return None
        at = self.position or Position()
        return Position(at.cursor, at.key, self._after)

    def _nulls_to(self) -> str | None:
        return self.bound.nulls_to if self.bound is not None else None

    def _cursor_at(self) -> str | None:
        if self._after:
            return self._after[0]
        return self.position.cursor if self.position is not None else None

    def _at_or_past_hi(self, cursor: str | None) -> bool:
        return cursor is not None and ticks.reached(cursor, self._hi(), self.plan.format)

    def _hi(self) -> str:
        return (self.bound.hi if self.bound is not None else None) or ""


def _legs(plan: ReadPlan, position: Position | None, bound: Bound | None) -> list[LegName]:
    if plan.errand is not None:
        return ["errand"] * _slices(plan.errand)
    if plan.whole:
        return ["table" if plan.query is None else "query"]
    if bound is None:
        raise ValueError("an incremental walk needs a bound")
    if plan.query is not None:
        return ["query"] if _is_below(plan, position, bound.hi) else []
    return _legs_of_news(plan, position, bound)


def _legs_of_news(plan: ReadPlan, position: Position | None, bound: Bound) -> list[LegName]:
    if plan.cursor_column is None:
        return [] if bound.key_to is None else ["ids"]
    if bound.hi is None:
        raise ValueError("a walk along a cursor needs a bound")
    legs: list[LegName] = ["window"]
    if plan.spec.lookback and position is not None and position.cursor is not None:
        legs.insert(0, "again")
    if plan.cursor_column.nullable and (plan.mode is not Mode.APPEND or bound.nulls_to is not None):
        legs.insert(0, "nulls")
    return legs


def _slices(errand: Errand) -> int:
    return math.ceil(len(errand.keys) / KEYS_AT_ONCE) if isinstance(errand, KeyList) else 1


def _is_below(plan: ReadPlan, position: Position | None, hi: str | None) -> bool:
    """Whether anything can lie between the position and the bound; no bound: there are no ids."""
    begun = position.cursor if position is not None else None
    return hi is not None and (begun is None or not ticks.reached(begun, hi, plan.format))


def check_position(plan: ReadPlan, position: Position | None) -> None:
    """Refuse a position that another way of reading the table has left."""
    if position is None or plan.whole or plan.errand is not None:
        return
    at, ties = position, len(plan.key_rules)
    if plan.cursor is None:
        fits = at.cursor is None and at.nulls is None
    else:
        fits = at.key is None if at.cursor is None else ticks.is_of(at.cursor, plan.format)
    fits = fits and len(at.key or plan.key_rules) == len(at.nulls or plan.key_rules) == ties
    if not fits:
        raise ConfigError(
            "the table was read in another way until now, and its position does not fit this one",
            table=str(plan.source.name),
            strategy=plan.strategy,
            hint="set cdc_strategy, cdc_timestamp_column and cdc_id_column as they were, or read "
            "the table in another pipeline, into another target_name",
        )


def known(value: str | None) -> str:
    """A value of the order's, which can only be NULL where the table has become another."""
    if value is None:
        raise UnavailableError("a key value is NULL: the table was changed while it was read")
    return value
