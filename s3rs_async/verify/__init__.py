"""`s3rs verify`: source and target compared, the rows that differ named, and read anew if asked.

Nothing here changes a table by itself: a repair is an errand, which goes the way of every batch,
and what it has mended is looked up again before it is told.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from .. import clock, service
from ..config import Connections
from ..errors import ConfigError, DataError, Error, ExitCode
from ..line import Line
from ..model import Deletes, KeyList, TableSpec
from ..mysql import digest
from ..mysql.connection import Source
from ..planning import Plan, plan_table
from ..redshift import schema
from ..s3.layout import Layout
from ..service import Ask, Ends, Job, Stop
from ..staging import share
from . import mark
from .audit import Audit
from .finding import Kind
from .mark import NOTHING, Kept, Mark
from .sides import SourceSide, TargetSide
from .stretch import whole
from .verdict import Level, Verdict

__all__ = ["Compared", "Comparing", "Ended", "Kind", "Level", "Verdict", "Wish", "verify"]

_REPAIR_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is compared; for how many seconds, going on where the last time ended; and mended."""

    level: Level = Level.CHECKSUMS
    budget: float | None = None
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """One table's end: what was found, why it could not be compared, or neither: no time was left.

    `repair` is why a repair failed.
    """

    spec: TableSpec
    verdict: Verdict | None = None
    error: Error | None = None
    repair: Error | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Every asked table's end, and what an interrupted process says."""

    tables: Sequence[Compared]
    exit_code: ExitCode | None


async def verify(connections: Connections, ask: Ask, wish: Wish) -> Ended:
    """Compare every asked table, those first that were not compared for the longest time."""
    job = service.resolve(connections, ask)
    service.check_targets(connections, [job])
    stop = Stop()
    ended: list[Compared] = []
    with service.two_signals(stop):
        try:
            async with service.open_ends(connections, [job]) as ends:
                async for each in Comparing.of(ends, job, wish, stop).tables():
                    ended.append(each)  # noqa: PERF401 - what was compared is told, whatever comes
        except asyncio.CancelledError:
            if stop.signal is None:
                raise  # not by our second signal
    if wish.repair and not stop.asked.is_set():
        ended = [await _repaired(connections, ask, job, each) for each in ended]
        async with service.open_ends(connections, [job]) as ends:
            await Comparing.of(ends, job, wish, stop).look_again(ended)
    there = {each.spec.table for each in ended}
    rest = [Compared(spec) for spec in job.specs if spec.table not in there]
    return Ended([*ended, *rest], stop.exit_code)


@dataclass(frozen=True, slots=True)
class Comparing:
    """The tables of one job, one after the other."""

    line: Line
    source: Source
    specs: Sequence[TableSpec]
    wish: Wish
    stop: Stop

    @classmethod
    def of(cls, ends: Ends, job: Job, wish: Wish, stop: Stop) -> Comparing:
        """Those of a job, between its ends."""
        line = ends.line(job, share(service.MEMORY, 1), stop)
        return cls(line, ends.sources[job.source], job.specs, wish, stop)

    async def tables(self) -> AsyncIterator[Compared]:
        """Each table's end, in the order in which they come to it."""
        budget = self.wish.budget
        deadline = math.inf if budget is None else clock.seconds() + budget
        marks = [
            (spec, await mark.read(self.line.stage, self._layout(spec))) for spec in self.specs
        ]
        for spec, kept in sorted(marks, key=lambda each: each[1].at):
            try:
                yield Compared(spec, await self.table(spec, kept, deadline))
            except Error as error:
                yield Compared(spec, error=error)
            if clock.seconds() >= deadline or self.stop.asked.is_set():
                return

    async def look_again(self, ended: Sequence[Compared]) -> None:
        """After a repair: what still differs is what is told."""
        for each in ended:
            verdict = each.verdict
            if verdict is not None and verdict.repaired is not None:
                named = len(verdict.found)
                audit = self._audit(await self._plan(each.spec), verdict, 0.0)
                async with aclosing(audit.target):
                    await audit.settle()
                verdict.repaired = named - len(verdict.found)

    async def table(
        self, spec: TableSpec, kept: Kept = NOTHING, deadline: float = math.inf
    ) -> Verdict:
        """One table, from where an earlier comparison ended, until the deadline."""
        began = clock.seconds()
        plan = await self._plan(spec)
        told = digest.comparison(plan.read)
        names = tuple(cell.name for cell in told.key)
        if self.wish.budget is not None and not told.ordered:
            raise _no_order(plan)
        verdict = Verdict(
            table=spec.table,
            target=str(plan.target),
            level=self.wish.level,
            key=names,
            left_out=told.left_out,
            begun_after=kept.begin(names, self.wish.level) if self.wish.budget is not None else (),
            keeps=spec.deletes is Deletes.REPORT,
            verified_at=clock.iso_now(),
        )
        audit = self._audit(plan, verdict, deadline)
        async with aclosing(audit.target):
            if await self._is_there(audit, plan):
                await audit.run()
            else:
                verdict.ended = True
        verdict.seconds = clock.seconds() - began
        if told.ordered:
            await mark.write(self.line.stage, self._layout(spec), _marked(verdict, kept), kept)
        return verdict

    def _audit(self, plan: Plan, verdict: Verdict, deadline: float) -> Audit:
        told = digest.comparison(plan.read)
        return Audit(
            source=SourceSide(self.source, plan.read, told, verdict.source),
            target=TargetSide(self.line.target, plan.target.table, told, verdict.target_side),
            feeds=plan.target,
            verdict=verdict,
            deadline=deadline,
            stop=self.stop.asked,
        )

    async def _plan(self, spec: TableSpec) -> Plan:
        plan = await plan_table(self.line, spec)
        if plan.read.query is None and spec.copy_column is None:
            return plan
        raise ConfigError(
            "the rows of a query, or of dated copies, have no table to be compared with",
            table=str(spec.table),
            hint="leave the table out: name the others with -t",
        )

    async def _is_there(self, audit: Audit, plan: Plan) -> bool:
        """Whether there is something to compare: a table without rows makes no target."""
        table = plan.target.table
        live = await audit.target.asked(lambda session: schema.read_columns(session, table))
        if live is None:
            if not (await audit.source.count(whole(plan.read), "TRUE"))[0]:
                return False
            raise DataError(
                "there is no target table",
                table=str(plan.source.table),
                target=str(plan.target),
                hint="s3rs sync makes and loads it",
            )
        schema.check(plan.target, plan.columns, live)
        return True

    def _layout(self, spec: TableSpec) -> Layout:
        return self.line.layout(spec)


def _no_order(plan: Plan) -> ConfigError:
    return ConfigError(
        "a comparison within a budget needs a key that both servers have in one order",
        table=str(plan.source.table),
        key=", ".join(plan.read.key) or None,
        hint="leave --budget out: the whole table is compared at once. Numbers, dates, times of"
        " day and bytes have one order; texts are in the order of their collation",
    )


def _marked(verdict: Verdict, kept: Kept) -> Mark:
    """How far the table is compared now."""
    now = verdict.verified_at
    ended_at = now if verdict.ended else kept.ended_at
    return Mark(verdict.key, verdict.level, verdict.through, now, ended_at)


async def _repaired(connections: Connections, ask: Ask, job: Job, each: Compared) -> Compared:
    """Read the rows that differ anew, and delete those that are gone, where that is wanted."""
    verdict, spec = each.verdict, each.spec
    if verdict is None or not verdict.found:
        return each
    wrong = tuple(key for key, kind in verdict.found.items() if kind is not Kind.EXTRA)
    gone = tuple(verdict.of(Kind.EXTRA)) if spec.deletes is not Deletes.REPORT else ()
    asked = replace(ask, tables=(f"{job.source}:{spec.table}",), wait=_REPAIR_WAIT)
    try:
        for errand in (KeyList(wrong), KeyList(gone, gone=True)):
            if errand.keys:
                await _sent(connections, replace(asked, errand=errand))
    except Error as error:
        return replace(each, repair=error)
    verdict.repaired = 0
    return each


async def _sent(connections: Connections, ask: Ask) -> None:
    end = await service.sync(connections, ask)
    for report in end.report.tables:
        if report.error is not None:
            raise report.error
