"""One table, once: read the marks, ask the protocol for the next step, take it, ask again.

This is the data's way on one page, and the only module that knows both ends. Recovery is not a
mode: a pass after a crash begins like any other, and what the dead one left decides its first step.
A table counts as done when the ledger in Redshift has said so, never because nothing failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from .commit import LedgerHead, Step, next_step
from .errors import ConfigError
from .extract import Extraction, extract
from .line import Line
from .load import Loading
from .model import Bound, Mode, Position, Strategy, TableSpec, TargetId
from .planning import Plan, plan_table
from .redshift import ledger, sql
from .report import Meter
from .s3.ownership import Suspicion
from .s3.register import Versioned


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one table: both stages, or one; `limit` caps the rows that are read.

    Between the passes of one process are kept: `plan`, which need not be made again as long as the
    table is as it was, and `suspicion` of a holder, for which a pass then does not wait.
    """

    spec: TableSpec
    extract: bool = True
    load: bool = True
    limit: int | None = None
    plan: Plan | None = None
    suspicion: Suspicion | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass left: the rows that the target holds (None: not asked for), and what waits."""

    rows: int | None
    pending: int
    plan: Plan | None


async def sync_table(line: Line, request: Request, meter: Meter) -> Passed:
    """Bring one table forward once.

    Raises an Error of the kind that tells what to do; whatever had been committed stays.
    """
    return await _Table(line, request, meter).run()


class _Table:
    """One table's pass: the marks as last read, and the steps."""

    def __init__(self, line: Line, request: Request, meter: Meter) -> None:
        self.line = line
        self.request = request
        self.spec = request.spec
        self.meter = meter
        self.loading = Loading(line, self.spec, meter)
        self.register = line.register(self.spec)
        self.head: LedgerHead | None = None
        self.plan = request.plan
        self.to_extract = request.extract

    async def run(self) -> Passed:
        """Step after step until there is none, or until we are told to stop."""
        base = await self.register.read()
        if self.request.load and base is not None and base.state.pending:
            self.head = await self.loading.head()
        while (step := self._next(base)) is not None:
            if await self._take(step, base):
                base = await self.register.read()
        state = base.state if base is not None else self.register.birth
        rows = state.rows.loaded if self.request.load and base is not None else None
        return Passed(rows, len(state.pending), self.plan)

    def _next(self, base: Versioned | None) -> Step | None:
        state = base.state if base is not None else self.register.birth
        step = next_step(state, self.head, extract=self.to_extract, load=self.request.load)
        return step if step is Step.SETTLE or not self.line.stop.is_set() else None

    async def _take(self, step: Step, base: Versioned | None) -> bool:
        """Take one step; whether the state may have changed by it."""
        if step is Step.EXTRACT:
            self.to_extract = False
            return await self._extract(base)
        if step is Step.LOAD and base is not None:
            with self.meter.timed("load"):
                self.head = await self.loading.load_pending(base, self.register)
        elif self.head is not None:
            with self.meter.timed("settle"):
                await self.loading.settle(self.register, self.head)
        return True

    async def _bounded(self) -> tuple[Plan, Bound]:
        """How to read and how far: by the plan of the pass before, as long as it still fits."""
        feed = self.line.feed
        if self.plan is not None and (renewed := await feed.renewed(self.plan.read)) is not None:
            return self.plan, renewed
        self.plan = await plan_table(self.line, self.spec)
        return self.plan, await feed.bound(self.plan.read)

    async def _extract(self, base: Versioned | None) -> bool:
        with self.meter.timed("plan"):
            plan, bound = await self._bounded()
        self.meter.notes += filter(None, [plan.read.reason, *plan.read.warnings, bound.reason])
        if plan.read.strategy is Strategy.FULL_SYNC or base is None or base.state.position is None:
            self.meter.expected_rows = plan.read.source.estimated_rows
        line = self.line
        job = Extraction(
            pipeline=line.pipeline,
            feed=line.feed,
            source_id=plan.source,
            target_id=plan.target,
            plan=plan.read,
            columns=plan.columns,
            bound=bound,
            mode=plan.read.mode,
            stage=line.stage,
            register=self.register,
            layout=line.layout(self.spec),
            claim=line.claim,
            pace=line.pace,
            session=line.run,
            share=line.share,
            limit=self.request.limit,
            suspicion=self.request.suspicion,
            stop=line.stop,
            meter=self.meter,
        )
        position = base.state.position if base is not None else None
        return await extract(job, base, partial(self._prepare, plan, position))

    async def _prepare(self, plan: Plan, position: Position | None) -> None:
        """Before anything is written: the target must be able to take the rows (X3b)."""
        sql.create_table(plan.target.table, plan.columns, self.spec.keys)  # refuses bad names
        limited = plan.read.mode is Mode.REPLACE and self.request.limit is not None
        if not self.request.load:
            if limited:  # what the target holds when it is loaded cannot be known now
                raise _part_of_whole(plan.target)
            return
        async with self.line.target.session() as session:
            head = await ledger.ready(
                session, plan.target, pipeline=self.line.pipeline, source=str(plan.source)
            )
            await self.loading.check_columns(session, plan.columns)
            held = head.rows_total if head is not None else 0
            if limited and held:
                raise _part_of_whole(plan.target)
            if plan.read.mode is Mode.APPEND and position is None and held:
                raise _on_top(plan.target, held)


def _part_of_whole(target: TargetId) -> ConfigError:
    return ConfigError(
        "--limit would replace the target by a part of the table",
        target=str(target),
        hint="leave --limit out, or sync into an empty target",
    )


def _on_top(target: TargetId, rows: int) -> ConfigError:
    return ConfigError(
        "the whole table would be appended to what the target holds",
        target=str(target),
        rows=rows,
        hint="the table was loaded another way before: go back to that (cdc_strategy, apply), or"
        " read it in another pipeline, into another target_name",
    )
