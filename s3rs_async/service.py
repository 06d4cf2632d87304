"""The composition root: settings in, adapters built, work done, a report out.

The only place that opens the object store and the way to the target, installs signal handlers and
lets one table's failure be a value instead of an end. First signal: the step in hand is finished
and no other begun; second: everything stops now. Either way the next run goes on from what is
committed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from . import clock
from .config import Connections, one_of
from .errors import ConfigError, Error, ExitCode
from .flow import together
from .model import TableName
from .mysql.connection import Source
from .redshift.connection import open_target
from .report import Meter, Outcome, RunReport, TableReport
from .s3.canary import ensure_conditions
from .s3.ownership import this_process
from .s3.store import open_store
from .sync import Line, Preview, Request, preview_table, sync_table, target_id

log = structlog.get_logger()

Live = Sequence[tuple[str, Meter]]
Watch = Callable[[Live], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asks for: tables (`schema.table` or `source:schema.table`), stages."""

    tables: tuple[str, ...]
    source: str | None = None
    target: str | None = None
    extract: bool = True
    load: bool = True
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An ask with its names resolved: one source, one target, the tables of the source."""

    source: str
    target: str
    tables: tuple[TableName, ...]

    @property
    def pipeline(self) -> str:
        """The name under which a pipeline without YAML keeps its state."""
        return f"adhoc.{self.source}.{self.target}"


@dataclass(slots=True)
class Stop:
    """Whether we were told to stop, and by which signal."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    signal: signal.Signals | None = None

    @property
    def exit_code(self) -> ExitCode | None:
        """What an interrupted process says; None when it was not interrupted."""
        if self.signal is None:
            return None
        return ExitCode.INTERRUPTED if self.signal is signal.SIGINT else ExitCode.TERMINATED


@dataclass(frozen=True, slots=True)
class End:
    """A run's report and what the process says to its caller."""

    report: RunReport
    exit_code: ExitCode


async def sync(connections: Connections, ask: Ask, watch: Watch | None = None) -> End:
    """Bring every asked table forward once, one after the other."""
    job, stop = resolve(connections, ask), Stop()
    live = [(str(table), Meter()) for table in job.tables]
    started, since = clock.utc_now(), clock.seconds()
    reports: list[TableReport] = []
    with _two_signals(stop):
        try:
            async with together() as tasks, _line(connections, job, stop.asked) as line:
                drawing = tasks.create_task(_watched(watch, live), name="progress")
                for table, (_, meter) in zip(job.tables, live, strict=True):
                    reports.append(await _one(line, ask, table, meter))
                drawing.cancel()
        except asyncio.CancelledError:
            if stop.signal is None:
                raise  # not by our second signal
            reports += _undone(job, live[len(reports) :], None)
        except Error as known:  # what the tables share: the store, the terminal
            reports += _undone(job, live[len(reports) :], known)
    report = RunReport(
        execution_id=f"sync_{started:%Y%m%d_%H%M%S}_{clock.ulid()[-8:].lower()}",
        pipeline=job.pipeline,
        started_at=started.isoformat(),
        ended_at=clock.iso_now(),
        seconds=clock.seconds() - since,
        tables=reports,
    )
    return End(report, stop.exit_code or report.exit_code)


async def preview(connections: Connections, ask: Ask) -> list[Preview]:
    """What a sync of the asked tables would do; nothing is written anywhere."""
    job = resolve(connections, ask)
    async with _line(connections, job, asyncio.Event(), write=False) as line:
        return [await preview_table(line, table) for table in job.tables]


def resolve(connections: Connections, ask: Ask) -> Job:
    """The names that the ask means; ConfigError for what is unknown or ambiguous."""
    scoped = [text.rpartition(":") for text in ask.tables]
    named = {source for source, _, _ in scoped if source} | ({ask.source} - {None})
    if len(named) > 1:
        raise ConfigError(
            "tables of several sources in one call",
            sources=", ".join(sorted(map(str, named))),
            hint="call once for each source",
        )
    source = one_of("source", list(connections.sources), next(iter(named), None))
    target = one_of("target", list(connections.targets), ask.target)
    tables = tuple(dict.fromkeys(TableName.parse(table) for _, _, table in scoped))
    return Job(source, target, tables)


@asynccontextmanager
async def _line(
    connections: Connections, job: Job, stop: asyncio.Event, *, write: bool = True
) -> AsyncIterator[Line]:
    target = connections.targets[job.target]
    async with open_store(connections.s3) as store:
        if write:
            await ensure_conditions(store, connections.s3)
        yield Line(
            pipeline=job.pipeline,
            source=Source(job.source, connections.sources[job.source]),
            target=job.target,
            database=target.database,
            target_schema=target.table_schema,
            open_target=partial(open_target, job.target, target),
            stage=store,
            prefix=connections.s3.prefix,
            claim=this_process(),
            run=clock.ulid(),
            stop=stop,
        )


async def _watched(watch: Watch | None, live: Live) -> None:
    if watch is not None:
        await watch(live)


async def _one(line: Line, ask: Ask, table: TableName, meter: Meter) -> TableReport:
    """One table's end, whatever it is: its failure must not stop the others."""
    since = clock.seconds()
    error: BaseException | None = None
    rows: int | None = None
    request = Request(table, extract=ask.extract, load=ask.load, limit=ask.limit)
    try:
        rows = await sync_table(line, request, meter)
    except Error as known:
        error = known
    except Exception as bug:  # a bug in one table is told, and the others are done
        log.exception("internal error, please report it", table=str(table), run=line.run)
        error = bug
    outcome = Outcome.FAILED if error else Outcome.SUCCESS
    if error is None and line.stop.is_set():
        outcome = Outcome.INTERRUPTED
    report = TableReport(
        table=str(table),
        target=str(target_id(line, table)),
        outcome=outcome,
        meter=meter,
        seconds=clock.seconds() - since,
        ended_at=clock.iso_now(),
        error=error,
        target_rows=rows,
    )
    log.info("table done", table=str(table), run=line.run, **_canonical(report))
    return report


def _undone(job: Job, live: Live, error: Error | None) -> list[TableReport]:
    """Tables that were stopped or never begun: every table that was asked for has its end."""
    return [
        TableReport(
            table=table,
            target=job.target,
            outcome=Outcome.FAILED if error else Outcome.INTERRUPTED,
            meter=meter,
            seconds=sum(meter.seconds.values()),
            ended_at=clock.iso_now(),
            error=error,
        )
        for table, meter in live
    ]


def _canonical(report: TableReport) -> dict[str, object]:
    meter = report.meter
    return {
        "outcome": report.outcome,
        "rows_read": meter.rows_read,
        "rows_loaded": meter.rows_loaded,
        "target_rows": report.target_rows,
        "batches": meter.batches,
        "files": meter.files,
        "bytes_stored": meter.bytes_stored,
        "seconds": round(report.seconds, 3),
        "error": str(report.error) if report.error else None,
    }


@contextmanager
def _two_signals(stop: Stop) -> Iterator[None]:
    """First signal: finish the step in hand; second: cancel the running task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def on(received: signal.Signals) -> None:
        if stop.asked.is_set():
            if task is not None:
                task.cancel()
            return
        stop.signal = received
        stop.asked.set()
        log.warning("stopping after the step in hand", again=f"{received.name} stops now")

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on, each)
    try:
        yield
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
