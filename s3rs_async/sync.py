"""One table, once: read the marks, ask the protocol for the next step, take it, ask again.

This is the data's way on one page, and the only module that knows both ends. Recovery is not a
mode: a pass after a crash begins like any other, and what the dead one left decides its first step.
A table counts as done when the ledger in Redshift has said so, never because nothing failed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import structlog

from . import clock, commit
from .commit import LedgerHead, Pending, Step, next_step
from .errors import ConfigError
from .extract import Extraction, Stage, extract
from .model import (
    Bound,
    Column,
    Mode,
    Position,
    SourceId,
    Strategy,
    TableSpec,
    TargetId,
)
from .mysql.bound import fix_bound, renew
from .mysql.chunk import ReadPlan, choose
from .mysql.connection import Source
from .mysql.lookout import Lookout
from .mysql.schema import read_table
from .redshift import ledger, loader, schema, sql
from .redshift.connection import Session, Target
from .redshift.types import with_types
from .report import Meter
from .s3 import manifest as manifests
from .s3.layout import Layout, copy_manifest_of
from .s3.ownership import Suspicion
from .s3.position import write_position
from .s3.register import Register, Versioned
from .staging import Share

log = structlog.get_logger()

_BOUND_SECONDS = 30.0
_VOUCHED_SECONDS = 5.0
"""For a greatest id that the lookout has yet to vouch for; the one before serves until then."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a pipeline's tables share: its ends, the stage, and who we are.

    With a `lookout` the source's open transactions are watched all the time, and no pass waits.
    """

    pipeline: str
    source: Source
    target: Target
    stage: Stage
    prefix: str
    share: Share
    claim: commit.Claim
    run: str
    stop: asyncio.Event
    lookout: Lookout | None = None


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
class Plan:
    """What a pass over one table would do, before it does it."""

    read: ReadPlan
    columns: tuple[Column, ...]
    source: SourceId
    target: TargetId


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass left: the rows that the target holds (None: not asked for), and what waits."""

    rows: int | None
    pending: int
    plan: Plan | None


async def plan_table(line: Line, spec: TableSpec) -> Plan:
    """Read the table's schema and decide how to read and apply it; changes nothing."""
    async with line.source.session(purpose="plan") as session:
        found = await read_table(session, spec.table)
        server = session.server_id
    read = choose(found, spec)
    return Plan(
        read=read,
        columns=with_types(read.schema),
        source=SourceId(line.source.name, server, spec.table),
        target=target_id(line, spec),
    )


def target_id(line: Line, spec: TableSpec) -> TargetId:
    """Where a table's rows go: where it says, the target's schema, or one named as the source's."""
    config = line.target.config
    return TargetId(line.target.name, config.database, spec.lands_in(config.table_schema))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do: plan, bound, where it would begin, and how much waits to be loaded."""

    plan: Plan
    bound: Bound
    position: Position | None
    pending: int
    ddl: str

    def as_json(self) -> dict[str, object]:
        """The same for people and programs."""
        read = self.plan.read
        return {
            "table": str(self.plan.source.table),
            "target": str(self.plan.target),
            "strategy": read.strategy,
            "reason": read.reason,
            "warnings": list(read.warnings),
            "apply": read.mode,
            "cursor": read.cursor,
            "key": list(read.key),
            "position": write_position(self.position),
            "bound": self.bound.hi,
            "proof": self.bound.proof,
            "bound_reason": self.bound.reason or None,
            "pending_batches": self.pending,
            "ddl": self.ddl,
        }


async def preview_table(line: Line, spec: TableSpec) -> Preview:
    """Everything that decides a pass, read and told; changes nothing anywhere."""
    plan = await plan_table(line, spec)
    base = await Register(line.stage, _layout(line, spec), _birth(line, spec)).read()
    return Preview(
        plan=plan,
        bound=await fix_bound(line.source, plan.read),
        position=base.state.position if base is not None else None,
        pending=len(base.state.pending) if base is not None else 0,
        ddl=sql.create_table(plan.target.table, plan.columns, spec.keys),
    )


def _layout(line: Line, spec: TableSpec) -> Layout:
    return Layout(line.prefix, line.pipeline, line.source.name, spec.table)


def _birth(line: Line, spec: TableSpec) -> commit.State:
    target = str(target_id(line, spec))
    return commit.State(line.pipeline, line.source.name, str(spec.table), target)


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
        self.target_id = target_id(line, self.spec)
        self.layout = _layout(line, self.spec)
        self.birth = _birth(line, self.spec)
        self.register = Register(line.stage, self.layout, self.birth)
        self.head: LedgerHead | None = None
        self.plan = request.plan
        self.to_extract = request.extract

    async def run(self) -> Passed:
        """Step after step until there is none, or until we are told to stop."""
        base = await self.register.read()
        if self.request.load and base is not None and base.state.pending:
            self.head = await self._ledger_head()
        while (step := self._next(base)) is not None:
            if await self._take(step, base):
                base = await self.register.read()
        state = base.state if base is not None else self.birth
        rows = state.rows.loaded if self.request.load and base is not None else None
        return Passed(rows, len(state.pending), self.plan)

    def _next(self, base: Versioned | None) -> Step | None:
        state = base.state if base is not None else self.birth
        step = next_step(state, self.head, extract=self.to_extract, load=self.request.load)
        return step if step is Step.SETTLE or not self.line.stop.is_set() else None

    async def _take(self, step: Step, base: Versioned | None) -> bool:
        """Take one step; whether the state may have changed by it."""
        if step is Step.EXTRACT:
            self.to_extract = False
            return await self._extract(base)
        if step is Step.LOAD and base is not None:
            with self.meter.timed("load"):
                self.head = await self._load(base.state.pending[0])
        elif self.head is not None:
            change = partial(commit.settled, head=self.head, at=clock.iso_now())
            with self.meter.timed("settle"):
                await self.register.change(change)
        return True

    async def _ledger_head(self) -> LedgerHead | None:
        async with self.line.target.session() as session:
            return await ledger.read_head(session, self.target_id)

    async def _bounded(self) -> tuple[Plan, Bound]:
        """How to read and how far: by the plan of the pass before, as long as it still fits."""
        line = self.line
        if self.plan is not None and line.lookout is not None:
            bound = await renew(
                line.source, self.plan.read, lookout=line.lookout, wait=_VOUCHED_SECONDS
            )
            if bound is not None:
                return self.plan, bound
        self.plan = await plan_table(line, self.spec)
        wait = _BOUND_SECONDS if line.lookout is None else _VOUCHED_SECONDS
        bound = await fix_bound(line.source, self.plan.read, lookout=line.lookout, wait=wait)
        return self.plan, bound

    async def _extract(self, base: Versioned | None) -> bool:
        with self.meter.timed("plan"):
            plan, bound = await self._bounded()
        self.meter.notes += filter(None, [plan.read.reason, *plan.read.warnings, bound.reason])
        if plan.read.strategy is Strategy.FULL_SYNC or base is None or base.state.position is None:
            self.meter.expected_rows = plan.read.source.estimated_rows
        line = self.line
        job = Extraction(
            pipeline=line.pipeline,
            source=line.source,
            source_id=plan.source,
            target_id=plan.target,
            plan=plan.read,
            columns=plan.columns,
            bound=bound,
            mode=plan.read.mode,
            stage=line.stage,
            register=self.register,
            layout=self.layout,
            claim=line.claim,
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
            await self._check_columns(session, plan.columns)
            held = head.rows_total if head is not None else 0
            if limited and held:
                raise _part_of_whole(plan.target)
            if plan.read.mode is Mode.APPEND and position is None and held:
                raise _on_top(plan.target, held)

    async def _check_columns(self, session: Session, columns: tuple[Column, ...]) -> None:
        live = await schema.read_columns(session, self.target_id.table)
        if live is not None:
            schema.check(self.target_id, columns, live)

    async def _load(self, pending: Pending) -> LedgerHead:
        line = self.line
        manifest = await manifests.read(line.stage, pending.manifest, pending.sha256)
        async with line.target.session() as session:
            await self._check_columns(session, manifest.columns)
        copy = f"s3://{line.stage.bucket}/{copy_manifest_of(pending.manifest)}"
        order = loader.Order(
            manifest,
            pending.sha256,
            write_position(manifest.after),
            copy if manifest.parts else None,
        )
        terms = loader.LoadTerms(line.run, line.claim.writer, keys=self.spec.keys)
        head = await loader.load(line.target, order, terms)
        self.meter.rows_loaded += manifest.rows
        log.info(
            "batch loaded",
            table=str(self.spec.table),
            batch=manifest.batch,
            seq=manifest.seq,
            mode=manifest.mode,
            rows=manifest.rows,
            target_rows=head.rows_total,
        )
        return head


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
