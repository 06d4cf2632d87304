"""One table compared, stretch by stretch: equal stretches cost one statement a side.

Of an unequal one the sides are asked by buckets of keys, then for the rows of the buckets that
differ. Keys found so are looked up once more at the end, on both sides, because tables move while
they are compared: the target first, then the source, so that a row loaded in between is told as one
that is not due. What is due says the position in the target's own ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from .. import clock
from ..errors import DataError
from ..flow import together
from ..model import Mode, Position, TargetId
from ..mysql import digest
from ..mysql.chunk import ReadPlan
from ..mysql.walk import check_position
from ..redshift import ledger
from ..s3.position import read_position
from .finding import Key, Kind, SourceRow, Tally, differences, not_due, unequal_buckets
from .sides import SourceSide, TargetSide
from .stretch import Pace, Stretch, stretches, whole
from .verdict import MOST_KEYS, Level, Unequal, Verdict

_ROWS_A_BUCKET = 64
_MOST_BUCKETS = 65_536
_ROWS_AT_ONCE = 50_000
_BUCKETS_AT_ONCE = 1_000
_KEYS_AT_ONCE = 500

Item = TypeVar("Item")


@dataclass(slots=True)
class Audit:
    """A comparison under way; `deadline` is the moment behind which no stretch is begun."""

    source: SourceSide
    target: TargetSide
    feeds: TargetId
    verdict: Verdict
    deadline: float
    stop: asyncio.Event
    pace: Pace = field(default_factory=Pace)
    _due: str = "TRUE"
    _told: Counter[Kind] = field(default_factory=Counter)

    @property
    def plan(self) -> ReadPlan:
        """How the table is read."""
        return self.source.plan

    async def run(self) -> None:
        """Compare from the verdict's beginning until the end, the deadline or a stop."""
        verdict = self.verdict
        await self._learn_due()
        reached = verdict.begun_after
        async for stretch in stretches(self.source, self.pace, reached):
            await self._compare(stretch)
            reached = stretch.upto
            verdict.through, verdict.ended = reached, not reached
            if clock.seconds() >= self.deadline or self.stop.is_set():
                break
        await self.settle()
        if not verdict.differs:
            verdict.unequal.clear()  # what differed has been brought meanwhile

    async def settle(self) -> None:
        """Look the keys that were found up once more, and keep those that still differ."""
        await self._learn_due()
        found, self.verdict.found = list(self.verdict.found), {}
        for keys in _slices(found, _KEYS_AT_ONCE):
            page = replace(whole(self.plan), index=None, among=keys)
            held = await self.target.named(keys)
            rows, wanted = await self.source.rows(page, self._due), set(keys)
            asked = {key: row for key, row in rows.items() if key in wanted}
            self.verdict.found |= dict(differences(asked, held, versions=self._versions))

    async def _learn_due(self) -> None:
        head = await self.target.asked(lambda session: ledger.read_head(session, self.feeds))
        if head is None:
            raise DataError(
                "the target was never loaded by s3rs: there is nothing to compare",
                table=str(self.plan.source.name),
                target=str(self.feeds),
                hint="s3rs sync loads it; s3rs watermark list shows what was read",
            )
        position = read_position(head.position) if head.position else Position()
        check_position(self.plan, position if head.position else None)
        self._due = digest.due(self.plan, position)

    @property
    def _versions(self) -> bool:
        return self.plan.mode is Mode.APPEND

    async def _compare(self, stretch: Stretch) -> None:
        self.verdict.stretches += 1
        begun = clock.seconds()
        if self.verdict.level is Level.COUNTS:
            await self._compare_counts(stretch)
        else:
            await self._compare_sums(stretch)
        self.pace.took(clock.seconds() - begun)

    async def _compare_counts(self, stretch: Stretch) -> None:
        """A row that is not due may be a new one, or the newer version of one that is there."""
        rows, due, held = await self._counted(stretch)
        if not due <= held <= rows:
            await self._learn_due()
            rows, due, held = await self._counted(stretch)
        self.verdict.waiting += max(rows - max(held, due), 0)
        if not due <= held <= rows:
            self._tell(stretch, rows, held)
            self.verdict.unnamed = True
        self._count(rows, held)

    async def _counted(self, stretch: Stretch) -> tuple[int, int, int]:
        """The rows at the source, those of them that are due, and the rows at the target.

        The target is asked first: rows that are loaded meanwhile are then some that are not due.
        """
        rows = due = 0
        held = await self.target.count(stretch.span)
        for page in stretch.pages:
            here, here_due = await self.source.count(page, self._due)
            rows, due = rows + here, due + here_due
        return rows, due, held

    async def _compare_sums(self, stretch: Stretch) -> None:
        ours, theirs = await self._summed(stretch)
        if ours != theirs and not self.source.told.key:
            ours, theirs = await self._summed(stretch)  # a load may have come in between
        self._count(ours.rows, theirs.rows)
        if ours == theirs:
            return
        if not self.source.told.key:
            self._tell(stretch, ours.rows, theirs.rows)
            self.verdict.unnamed = True
        elif await self._name(stretch, max(ours.rows, theirs.rows)):
            self._tell(stretch, ours.rows, theirs.rows)

    async def _summed(self, stretch: Stretch) -> tuple[Tally, Tally]:
        """What the rows of either side add up to, asked side by side."""
        async with together() as tasks:
            summing = tasks.create_task(self.target.total(stretch.span), name="target")
            ours = sum([await self.source.total(page) for page in stretch.pages], start=Tally())
        return ours, summing.result()

    def _count(self, ours: int, theirs: int) -> None:
        self.verdict.source_rows += ours
        self.verdict.target_rows += theirs

    def _tell(self, stretch: Stretch, ours: int, theirs: int) -> None:
        span = stretch.span
        self.verdict.unequal.append(Unequal(span.after, span.upto, ours, theirs))

    async def _name(self, stretch: Stretch, rows: int) -> bool:
        """Find the keys of the rows that differ; whether there are any that are due."""
        number = min(max(rows // _ROWS_A_BUCKET, 1), _MOST_BUCKETS)
        async with together() as tasks:
            asking = tasks.create_task(self.target.buckets(stretch.span, number), name="target")
            ours: dict[int, Tally] = {}
            for page in stretch.pages:
                for bucket, tally in (await self.source.buckets(page, number)).items():
                    ours[bucket] = ours.get(bucket, Tally()) + tally
        unequal = unequal_buckets(ours, asking.result())
        any_due = False
        for some in _slices(unequal, _at_once(rows, number)):
            if any(not self._has_room(kind) for kind in Kind):
                self.verdict.more = True
                break
            any_due |= await self._name_some(stretch, number, some)
        return any_due

    async def _name_some(self, stretch: Stretch, number: int, some: Sequence[int]) -> bool:
        held = await self.target.rows(stretch.span, number, some)
        rows: dict[Key, SourceRow] = {}
        for page in stretch.pages:
            rows |= await self.source.rows(page, self._due, (number, some))
        self.verdict.waiting += not_due(rows, held)
        found = list(differences(rows, held, versions=self._versions))
        for key, kind in found:
            if self._has_room(kind):
                self._told[kind] += 1
                self.verdict.found[key] = kind
            else:
                self.verdict.more = True
        return bool(found)

    def _has_room(self, kind: Kind) -> bool:
        return self._told[kind] < MOST_KEYS


def _at_once(rows: int, number: int) -> int:
    """How many buckets are listed by one statement."""
    return min(max(_ROWS_AT_ONCE * number // max(rows, 1), 1), _BUCKETS_AT_ONCE)


def _slices(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    return (items[at : at + most] for at in range(0, len(items), most))
