"""One table, once: read the marks, ask the protocol for the next step, take it, ask again.

This is the data's way on one page, and the only module that knows both ends. Recovery is not a
mode: a pass after a crash begins like any other, and what the dead one left decides its first step.
A table counts as done when the ledger in Redshift has said so, never because nothing failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from . import clock, commit
from .commit import LedgerHead, Pending, Step, next_step
from .errors import ConfigError
from .extract import Extraction, Stage, extract
from .model import Bound, Column, Mode, Position, SourceId, Strategy, TableName, TableSpec, TargetId
from .mysql.bound import fix_bound
from .mysql.chunk import ReadPlan, choose
from .mysql.connection import Source
from .mysql.schema import read_table
from .redshift import ledger, loader, schema, sql
from .redshift.connection import Session, Target
from .redshift.types import with_types
from .report import Meter
from .s3 import manifest as manifests
from .s3.layout import Layout, copy_manifest_of
from .s3.position import write_position
from .s3.register import Register, Versioned

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Line:
    """What a pipeline's tables share: its ends, the stage, and who we are."""

    pipeline: str
    source: Source
    target: str
    database: str
    target_schema: str | None
    open_target: Callable[[], AbstractAsyncContextManager[Target]]
    stage: Stage
    prefix: str
    claim: commit.Claim
    run: str
    stop: asyncio.Event


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one table: both stages, or one; `limit` caps the rows that are read."""

    table: TableName
    extract: bool = True
    load: bool = True
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass over one table would do, before it does it."""

    read: ReadPlan
    mode: Mode
    columns: tuple[Column, ...]
    source: SourceId
    target: TargetId


async def plan_table(line: Line, table: TableName) -> Plan:
    """Read the table's schema and decide how to read and apply it; changes nothing."""
    async with line.source.session(purpose="plan") as session:
        found = await read_table(session, table)
        server = session.server_id
    read = choose(found, TableSpec(table))
    return Plan(
        read=read,
        mode=read.mode,
        columns=with_types(read.schema),
        source=SourceId(line.source.name, server, table),
        target=target_id(line, table),
    )


def target_id(line: Line, table: TableName) -> TargetId:
    """Where the table's rows go: the configured schema, else one named as the source's."""
    schema = line.target_schema or table.schema
    return TargetId(line.target, line.database, TableName(schema, table.name))


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
            "apply": self.plan.mode,
            "cursor": read.cursor,
            "key": list(read.key),
            "position": write_position(self.position),
            "bound": self.bound.hi,
            "proof": self.bound.proof,
            "bound_reason": self.bound.reason or None,
            "pending_batches": self.pending,
            "ddl": self.ddl,
        }


async def preview_table(line: Line, table: TableName) -> Preview:
    """Everything that decides a pass, read and told; changes nothing anywhere."""
    plan = await plan_table(line, table)
    register = _register(line, table)
    base = await register.read()
    return Preview(
        plan=plan,
        bound=await fix_bound(line.source, plan.read),
        position=base.state.position if base is not None else None,
        pending=len(base.state.pending) if base is not None else 0,
        ddl=sql.create_table(plan.target.table, plan.columns),
    )


def _layout(line: Line, table: TableName) -> Layout:
    return Layout(line.prefix, line.pipeline, line.source.name, table)


def _birth(line: Line, table: TableName) -> commit.State:
    return commit.State(line.pipeline, line.source.name, str(table), str(target_id(line, table)))


def _register(line: Line, table: TableName) -> Register:
    return Register(line.stage, _layout(line, table), _birth(line, table))


async def sync_table(line: Line, request: Request, meter: Meter) -> int | None:
    """Bring one table forward; returns the rows Redshift then holds, None if it was not asked.

    Raises an Error of the kind that tells what to do; whatever had been committed stays.
    """
    job = _Table(line, request, meter)
    async with AsyncExitStack() as stack:
        job.door = _Door(line, stack)
        return await job.run()


class _Door:
    """The way to the target, opened when it is first needed and then kept for the table."""

    def __init__(self, line: Line, stack: AsyncExitStack) -> None:
        self._line = line
        self._stack = stack
        self._target: Target | None = None

    async def target(self) -> Target:
        """The target, connected through its tunnel."""
        if self._target is None:
            self._target = await self._stack.enter_async_context(self._line.open_target())
        return self._target


class _Table:
    """One table's pass: the marks as last read, and the steps."""

    door: _Door

    def __init__(self, line: Line, request: Request, meter: Meter) -> None:
        self.line = line
        self.request = request
        self.meter = meter
        self.target_id = target_id(line, request.table)
        self.layout = _layout(line, request.table)
        self.birth = _birth(line, request.table)
        self.register = Register(line.stage, self.layout, self.birth)
        self.head: LedgerHead | None = None
        self.to_extract = request.extract

    async def run(self) -> int | None:
        """Step after step until there is none, or until we are told to stop."""
        base = await self.register.read()
        if self.request.load and base is not None and base.state.pending:
            self.head = await self._ledger_head()
        while (step := self._next(base)) is not None:
            await self._take(step, base)
            base = await self.register.read()
        return base.state.rows.loaded if self.request.load and base is not None else None

    def _next(self, base: Versioned | None) -> Step | None:
        state = base.state if base is not None else self.birth
        step = next_step(state, self.head, extract=self.to_extract, load=self.request.load)
        return step if step is Step.SETTLE or not self.line.stop.is_set() else None

    async def _take(self, step: Step, base: Versioned | None) -> None:
        if step is Step.EXTRACT:
            self.to_extract = False
            await self._extract(base)
        elif step is Step.LOAD and base is not None:
            with self.meter.timed("load"):
                self.head = await self._load(base.state.pending[0])
        elif self.head is not None:
            change = partial(commit.settled, head=self.head, at=clock.iso_now())
            with self.meter.timed("settle"):
                await self.register.change(change)

    async def _ledger_head(self) -> LedgerHead | None:
        async with (await self.door.target()).session() as session:
            return await ledger.read_head(session, self.target_id)

    async def _extract(self, base: Versioned | None) -> None:
        with self.meter.timed("plan"):
            plan = await plan_table(self.line, self.request.table)
            bound = await fix_bound(self.line.source, plan.read)
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
            mode=plan.mode,
            stage=line.stage,
            register=self.register,
            layout=self.layout,
            claim=line.claim,
            session=line.run,
            limit=self.request.limit,
            stop=line.stop,
            meter=self.meter,
        )
        await extract(job, base, partial(self._prepare, plan))

    async def _prepare(self, plan: Plan) -> None:
        """Before anything is written: the target must be able to take the rows (X3b)."""
        sql.create_table(plan.target.table, plan.columns)  # refuses names that it would cut
        limited = plan.mode is Mode.REPLACE and self.request.limit is not None
        if not self.request.load:
            if limited:  # what the target holds when it is loaded cannot be known now
                raise _part_of_whole(plan.target)
            return
        async with (await self.door.target()).session() as session:
            head = await ledger.ready(
                session, plan.target, pipeline=self.line.pipeline, source=str(plan.source)
            )
            await self._check_columns(session, plan.columns)
            if limited and head is not None and head.rows_total:
                raise _part_of_whole(plan.target)

    async def _check_columns(self, session: Session, columns: tuple[Column, ...]) -> None:
        live = await schema.read_columns(session, self.target_id.table)
        if live is not None:
            schema.check(self.target_id, columns, live)

    async def _load(self, pending: Pending) -> LedgerHead:
        line = self.line
        manifest = await manifests.read(line.stage, pending.manifest, pending.sha256)
        target = await self.door.target()
        async with target.session() as session:
            await self._check_columns(session, manifest.columns)
        copy = f"s3://{line.stage.bucket}/{copy_manifest_of(pending.manifest)}"
        order = loader.Order(
            manifest,
            pending.sha256,
            write_position(manifest.after),
            copy if manifest.parts else None,
        )
        head = await loader.load(target, order, loader.LoadTerms(line.run, line.claim.writer))
        self.meter.rows_loaded += manifest.rows
        log.info(
            "batch loaded",
            table=str(self.request.table),
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
