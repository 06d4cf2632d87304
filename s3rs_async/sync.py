"""One table, once: read the marks, ask the protocol for the next step, take it, ask again.

This is the data's way on one page, and the only module that knows both ends. Recovery is not a
mode: a pass after a crash begins like any other, and what the dead one left decides its first step.
A table counts as done when the ledger in Redshift has said so, never because nothing failed.

Whatever forbids a pass is asked before anything is read: a stopped table, a state that can name no
more batches; and then the source's clock, by which the bound is told.

While a pass reads its second batch, and each one after it, those that are committed are loaded
beside it, as another process could. What fails there fails nothing: it is tried again, and told,
when all is read. A read that fails cuts the load that is under way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import structlog

from . import commit, override, replay
from .commit import LedgerHead, State, Step, next_step
from .errors import ConfigError, Error
from .extract import Extraction, MovedError, extract
from .failpoint import step as at
from .flow import together, unless
from .line import Line
from .load import Loading
from .model import Bound, Errand, Mode, TableSpec, TargetId
from .planning import Plan, check_care, errand_plan, is_first, plan_table
from .redshift import ledger, sql
from .report import Meter
from .s3.ownership import Rivals, Suspicion, freed
from .s3.register import Versioned

_MOVES = 8

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one table: both stages, or one; `limit` caps the rows that are read.

    `wait` are the seconds for which another process that extracts the table is waited for; with
    `steal` the table is taken from it. With `adopt` the first load may go into a target that has
    rows which no ledger knows. `refresh_by` is who wants the target replaced from the beginning.
    With an `errand` some rows are read anew, and not what is new.

    Between the passes of one process are kept: `plan`, which need not be made again as long as the
    table is as it was, and `suspicion` of a holder, for which a pass then does not wait.
    """

    spec: TableSpec
    extract: bool = True
    load: bool = True
    limit: int | None = None
    plan: Plan | None = None
    suspicion: Suspicion | None = None
    wait: float = 0.0
    steal: bool = False
    adopt: bool = False
    refresh_by: str | None = None
    errand: Errand | None = None


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
        self.loading = Loading(line, self.spec, meter, request.adopt)
        self.register = line.register(self.spec)
        self.head: LedgerHead | None = None
        self.plan = request.plan
        self.landed = asyncio.Event()
        self.turn = asyncio.Lock()
        self.to_extract = request.extract
        self.to_replay = request.load and not request.extract
        self.rivals = Rivals(
            line.stage,
            line.prefix,
            line.claim,
            line.pace,
            line.stop,
            wait=request.wait,
            suspicion=request.suspicion,
        )

    async def run(self) -> Passed:
        """Step after step until there is none, or until we are told to stop."""
        base = await self._read()
        if self.request.refresh_by is not None:
            base = await override.full_refresh(self.register, who=self.request.refresh_by)
        if self.request.load and base is not None and base.state.pending:
            self.head = await self.loading.head()
        while (step := self._next(base)) is not None:
            if await self._take(step, base):
                base = await self._read()
        state = base.state if base is not None else self.register.birth
        rows = state.rows.loaded if self.request.load and base is not None else None
        return Passed(rows, len(state.pending), self.plan)

    async def _read(self) -> Versioned | None:
        """The state, if its table is not stopped."""
        async with at("X1"):
            base = await self.register.read()
        if base is not None:
            commit.check_going(base.state)
            adopt = self.request.adopt or commit.adopts(base.state)
            self.loading = replace(self.loading, adopt=adopt)
        return base

    def _next(self, base: Versioned | None) -> Step | None:
        state = base.state if base is not None else self.register.birth
        step = next_step(
            state,
            self.head,
            extract=self.to_extract,
            load=self.request.load,
            replay=self.to_replay,
        )
        return step if step is Step.SETTLE or not self.line.stop.is_set() else None

    async def _take(self, step: Step, base: Versioned | None) -> bool:
        """Take one step; whether the state may have changed by it."""
        if step is Step.EXTRACT:
            self.to_extract = False
            return await self._extract_and_load(base)
        if step is Step.REPLAY:
            self.to_replay = False
            with self.meter.timed("replay"):
                return await replay.replay(self.line, self.spec, self.register, self.meter)
        if step is Step.LOAD and base is not None:
            with self.meter.timed("load"):
                self.head = await self.loading.load_pending(base, self.register)
        elif self.head is not None:
            with self.meter.timed("settle"):
                await self.loading.settle(self.register, self.head)
        return True

    async def _extract_and_load(self, base: Versioned | None) -> bool:
        """Extract; what lands while more is read is loaded meanwhile, if this pass loads."""
        if not self.request.load:
            return await self._extract(base)
        async with together() as tasks:
            loading = tasks.create_task(self._load_what_lands(), name="load")
            changed = await self._extract(base)
            async with self.turn:  # what is being loaded is loaded to its end
                loading.cancel()
        return changed

    async def _load_what_lands(self) -> None:
        try:
            while await self.landed.wait():
                self.landed.clear()
                async with self.turn:
                    await self._load_landed()
        except Error as error:
            table, reason = str(self.spec.table), str(error)
            log.warning("not loaded while more is read", table=table, reason=reason)

    async def _load_landed(self) -> None:
        """Load and settle until nothing waits that this pass may load."""
        base = await self._read()
        if self.head is None:
            self.head = await self.loading.head()
        while base is not None and (step := self._next(base)) is not None:
            await self._take(step, base)
            base = await self._read()

    async def _bounded(self, state: State) -> tuple[Plan, Bound]:
        """How to read and how far: by the plan of the pass before, as long as it still fits.

        Before a table's first pass its source is asked whether it can bear being read like this.
        """
        feed, errand = self.line.feed, self.request.errand
        async with at("X2"):
            if errand is not None:
                plan = errand_plan(await plan_table(self.line, self.spec), errand)
                return plan, await feed.bound(plan.read)
            if self.plan is not None:
                renewed = await feed.renewed(self.plan.read)
                if renewed is not None:
                    return self.plan, renewed
            plan = await plan_table(self.line, self.spec)
            bound = await feed.bound(plan.read)
            if is_first(plan, state):
                self.meter.notes += await check_care(self.line, plan, bound)
            self.plan = plan
            return plan, bound

    async def _extract(self, base: Versioned | None) -> bool:
        """Extract once; anew where another process was first, if we may wait for it or rob it."""
        seen = base
        for _ in range(_MOVES):
            if self.request.wait and _is_held(base):
                base = await freed(self.register, self.rivals)
            try:
                return await self._extract_from(base) or base != seen
            except MovedError:
                if not (self.request.wait or self.request.steal):
                    raise
                base = await self._read()
        return await self._extract_from(base)

    async def _extract_from(self, base: Versioned | None) -> bool:
        state = base.state if base is not None else self.register.birth
        commit.check_room(state)
        if self.request.errand is not None:
            commit.check_errand(state)
        if self.spec.copy_column is not None and self.request.limit is not None:
            raise _part_of_copy(self.spec)
        with self.meter.timed("plan"):
            planned = await unless(self.line.stop, self._bounded(state))
        if planned is None:
            return False
        plan, bound = planned
        commit.check_clock(state, bound.server_time)
        notes = filter(None, [plan.read.reason, *plan.read.warnings, bound.reason])
        self.meter.notes += [note for note in notes if note not in self.meter.notes]
        if plan.read.whole or state.position is None:
            self.meter.expected_rows = plan.read.source.estimated_rows
        return await extract(self._job(plan, bound), base, partial(self._prepare, plan, state))

    def _job(self, plan: Plan, bound: Bound) -> Extraction:
        line = self.line
        return Extraction(
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
            rivals=self.rivals,
            steal=self.request.steal,
            session=line.run,
            share=line.share,
            limit=self.request.limit,
            stop=line.stop,
            landed=self.landed,
            meter=self.meter,
        )

    async def _prepare(self, plan: Plan, state: State) -> None:
        """Before anything is written: the target must be able to take the rows (X3b)."""
        sql.create_table(plan.target.table, plan.columns, self.spec.keys)  # refuses bad names
        limited = plan.read.mode is Mode.REPLACE and self.request.limit is not None
        if not self.request.load:
            if limited:  # what the target holds when it is loaded cannot be known now
                raise _part_of_whole(plan.target)
            return
        async with self.line.target.session() as session:
            head = await ledger.ready(
                session,
                plan.target,
                pipeline=self.line.pipeline,
                source=str(plan.source),
                adopt=self.loading.adopt,
            )
            whole = plan.read.mode.brings
            await self.loading.check_columns(session, plan.columns, whole=whole)
            held = head.rows_total if head is not None else 0
            if limited and held:
                raise _part_of_whole(plan.target)
            if plan.read.mode is Mode.APPEND and held and self._is_unforeseen(state):
                raise _on_top(plan.target, held)

    def _is_unforeseen(self, state: State) -> bool:
        """Whether the table would be read from its beginning, and nobody has said so."""
        by_hand = state.backup_strategy == "manual_cli" or state.replace_window is not None
        said = by_hand or state.replace_pending or self.spec.copy_column is not None
        return state.position is None and not said


def _is_held(base: Versioned | None) -> bool:
    claim = base.state.claim if base is not None else None
    return claim is not None and not claim.released


def _part_of_whole(target: TargetId) -> ConfigError:
    return ConfigError(
        "--limit would replace the target by a part of the table",
        target=str(target),
        hint="leave --limit out, or sync into an empty target",
    )


def _part_of_copy(spec: TableSpec) -> ConfigError:
    return ConfigError(
        "--limit would append a part of the table as if it were a copy",
        table=str(spec.table),
        hint="leave --limit out",
    )


def _on_top(target: TargetId, rows: int) -> ConfigError:
    return ConfigError(
        "the whole table would be appended to what the target holds",
        target=str(target),
        rows=rows,
        hint="the table was loaded another way before: go back to that (cdc_strategy, apply), or"
        " read it in another pipeline, into another target_name",
    )
