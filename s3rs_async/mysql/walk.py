"""What to read next, and how far the watermark may go; pure.

A pass walks its legs one after the other: rows whose cursor is NULL, then the window of rows in
(cursor, key) order; or, without a cursor, the table in the order of its key. A leg is a chain of
chunks, each strictly after the last row of the one before, and ends with the first chunk that is
shorter than was asked for.

Rows with a NULL cursor are read up to the bound's `nulls_to`, each once, where keys grow; without
such a bound they are read whole each pass.

The bound limits the watermark and not the read: the window is read on past `hi`, so that a row
which changes every second arrives at all. A position is never past `hi`: it is the last row while
that lies below, and `hi` itself (from which the next pass reads again) once the window was read to
its end. Reading on ends 60 s after the moment at which the walk passed `hi`.

A cursor's texts have one length, so they are compared as text; key values are only ever compared
by the server, whose collation alone knows their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import UnavailableError
from ..model import Bound, Position
from .chunk import ReadPlan
from .sql import Page

LegName = Literal["nulls", "window", "table"]


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """A chunk was read to its end.

    `after` is the position to commit if the batch is closed here, None where the chunk has none to
    give. `moves_watermark` says whether it lies beyond the one before. `last` ends the leg, and the
    batch with it. `nulled` counts impossible dates per column.
    """

    rows: int
    after: Position | None
    moves_watermark: bool
    leg: LegName
    last: bool
    nulled: dict[str, int]


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
    _nulled: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cursor = self.plan.cursor_column
        if cursor is None:
            self.legs = ["table"]
            return
        if self.bound is None or self.bound.hi is None:
            raise ValueError("a walk along a cursor needs a bound")
        self.legs = ["nulls", "window"] if cursor.nullable else ["window"]
        self._enter()

    @property
    def leg(self) -> LegName | None:
        """The leg under way; None when all are done."""
        return self.legs[0] if self.legs else None

    @property
    def resumable(self) -> bool:
        """Whether a broken read can go on after its last row, or has taken none yet."""
        return bool(self.plan.key) or not self._rows

    @property
    def passed(self) -> bool:
        """Whether the walk has left the window below `hi`."""
        return self.leg == "window" and self._at_or_past_hi(self._cursor_at())

    def page(self, limit: int) -> Page | None:
        """The next page of a chunk that is to have `limit` rows in all; None if it is full."""
        plan = self.plan
        if not plan.order:
            return Page(plan.source.name, plan.rules)
        left = limit - self._rows
        if left <= 0:
            return None
        if self.leg == "window":
            return self._window_page(left)
        return Page(
            plan.source.name,
            plan.rules,
            order=plan.key_rules,
            after=self._after,
            top=self._nulls_to() if self.leg == "nulls" else None,
            nulls=(plan.order[0], True) if self.leg == "nulls" else None,
            index=plan.index if self.leg == "table" else None,
            limit=left,
        )

    def took(self, rows: int, last: Sequence[str | None], nulled: dict[str, int]) -> None:
        """Rows were taken, the last of which has these values in the order of the plan's rules."""
        self._rows += rows
        for name, count in nulled.items():
            self._nulled[name] = self._nulled.get(name, 0) + count
        order = self.plan.order if self.leg == "window" else self.plan.key_rules
        names = [rule.name for rule in self.plan.rules]
        values = [last[names.index(rule.name)] for rule in order]
        self._after = tuple(_known(value) for value in values)

    def end(self, limit: int) -> ChunkEnd:
        """The chunk's end; the walk stands at the next chunk, or at the next leg's first."""
        leg = self.legs[0]
        last = not self.plan.order or self._rows < limit
        after, moves = (None, False) if leg == "table" else self._reached(leg, last=last)
        told = ChunkEnd(self._rows, after, moves, leg, last, self._nulled)
        if after is not None:
            self.position = after
        self._rows, self._nulled = 0, {}
        if last:
            del self.legs[0]
            self._after = ()
            self._enter()
        return told

    def _enter(self) -> None:
        """Begin a leg where the position is."""
        at = self.position
        if at is None:
            return
        if self.leg == "nulls" and self._nulls_to() is not None:
            self._after = at.nulls or ()
        if self.leg == "window" and at.cursor is not None and at.key is not None:
            self._after = (at.cursor, *at.key)

    def _window_page(self, left: int) -> Page:
        at = self.position
        first = self.plan.order[0]
        begun = at is not None and at.cursor is not None
        cursor = self.plan.cursor_column
        nullable = cursor is not None and cursor.nullable
        return Page(
            self.plan.source.name,
            self.plan.rules,
            order=self.plan.order,
            after=self._after,
            start=at.cursor if at is not None and not self._after else None,
            below=self.stop,
            index=self.plan.index,
            nulls=(first, False) if nullable and not begun and not self._after else None,
            limit=left,
        )

    def _reached(self, leg: LegName, *, last: bool) -> tuple[Position | None, bool]:
        if leg == "nulls":
            return self._nulls_reached()
        before = self.position
        begun = before.cursor if before is not None else None
        if begun is not None and self._at_or_past_hi(begun):
            return None, False
        nulls = before.nulls if before is not None else None
        if last or self._at_or_past_hi(self._cursor_at()):
            return Position(self._hi(), None, nulls), True
        return Position(self._after[0], self._after[1:], nulls), True

    def _nulls_reached(self) -> tuple[Position | None, bool]:
        """Only where keys grow is a NULL row once read done with; else all come again each pass."""
        if not self._rows or self._nulls_to() is None:
            return None, False
        at = self.position or Position()
        return Position(at.cursor, at.key, self._after), True

    def _nulls_to(self) -> str | None:
        return self.bound.nulls_to if self.bound is not None else None

    def _cursor_at(self) -> str | None:
        if self._after:
            return self._after[0]
        return self.position.cursor if self.position is not None else None

    def _at_or_past_hi(self, cursor: str | None) -> bool:
        return cursor is not None and cursor >= self._hi()

    def _hi(self) -> str:
        return (self.bound.hi if self.bound is not None else None) or ""


def _known(value: str | None) -> str:
    if value is None:
        raise UnavailableError("a key value is NULL: the table was changed while it was read")
    return value
