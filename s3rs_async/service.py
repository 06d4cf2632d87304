"""The composition root: settings in, adapters built, work done, a report out.

The only place that opens the object store, the sources and the way to the targets, and installs
signal handlers. First signal: the step in hand is finished and no other begun; second: everything
stops now. Either way the next run goes on from what is committed.
"""

from __future__ import annotations

import asyncio
import difflib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import structlog

from . import clock
from .commit import Claim
from .config import Connections, Pipeline, check_pipeline, one_of
from .errors import ConfigError, DataError, Error, ExitCode
from .flow import together
from .line import Line
from .model import Errand, TableName, TableSpec
from .mysql.connection import Source, open_source
from .mysql.feed import Feed
from .mysql.lookout import Lookout
from .mysql.sentinel import Sentinel
from .override import this_user
from .pipeline import side_by_side
from .planning import Preview, preview_table
from .redshift.connection import Target, open_target
from .report import Meter, Outcome, RunReport, TableReport
from .s3.canary import ensure_conditions
from .s3.ownership import Pace, this_process
from .s3.store import Store, open_store
from .staging import MIB, Share, share
from .sync import Request
from .tunnel import Bastions, open_bastions

log = structlog.get_logger()

PARALLEL = 4
MEMORY = 512 * MIB

Live = Sequence[tuple[str, Meter]]
Watch = Callable[[Live], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asks for: tables (`schema.table` or `source:schema.table`), stages.

    With a pipeline, its tables or those of them that are named; `memory` is in bytes, for the rows
    under way of at most `parallel` tables. `wait`, `steal` and `adopt`: see `sync.Request`;
    with `full_refresh` the target is replaced from the beginning, with an `errand` some rows are
    read anew.
    """

    tables: tuple[str, ...] = ()
    pipeline: Pipeline | None = None
    source: str | None = None
    target: str | None = None
    extract: bool = True
    load: bool = True
    limit: int | None = None
    parallel: int = PARALLEL
    memory: int = MEMORY
    wait: float = 0.0
    steal: bool = False
    adopt: bool = False
    full_refresh: bool = False
    errand: Errand | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An ask with its names resolved: one source, one target, the tables of the source."""

    pipeline: str
    source: str
    target: str
    specs: tuple[TableSpec, ...]


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


@dataclass(frozen=True, slots=True)
class Ends:
    """What is open: the stage, the sources and targets by name, and the bastions between."""

    store: Store
    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    bastions: Bastions
    prefix: str
    claim: Claim
    pace: Pace

    def line(self, job: Job, each: Share, stop: Stop, lookout: Lookout | None = None) -> Line:
        """The line of one pipeline."""
        return Line(
            pipeline=job.pipeline,
            feed=self._feed(job.source, lookout, each),
            target=self.targets[job.target],
            stage=self.store,
            prefix=self.prefix,
            share=each,
            claim=self.claim,
            run=clock.ulid(),
            stop=stop.asked,
            pace=self.pace,
        )

    def watched(self, source: str) -> str:
        """Which source tells the bound of this one: itself, or its primary if it is a replica."""
        return self.sources[source].config.replica_of or source

    def _feed(self, source: str, lookout: Lookout | None, each: Share) -> Feed:
        watched = self.watched(source)
        primary = self.sources[watched] if watched != source else None
        return Feed(self.sources[source], lookout, each.ahead, primary)


@asynccontextmanager
async def open_ends(connections: Connections, jobs: Sequence[Job]) -> AsyncIterator[Ends]:
    """Everything that the jobs need; nothing is connected to before it is first used."""
    sources: dict[str, Source] = {}
    targets: dict[str, Target] = {}
    async with AsyncExitStack() as stack:
        bastions = await stack.enter_async_context(open_bastions())
        tasks = await stack.enter_async_context(together())
        for name in _with_primaries(connections, [job.source for job in jobs]):
            opened = open_source(name, connections.sources[name], bastions)
            sources[name] = await stack.enter_async_context(opened)
            watching = tasks.create_task(Sentinel(sources[name]).run(), name=f"sentinel {name}")
            stack.callback(watching.cancel)
        for name in {job.target: None for job in jobs}:
            way = open_target(name, connections.targets[name], bastions)
            targets[name] = await stack.enter_async_context(way)
        store = await stack.enter_async_context(open_store(connections.s3))
        stage = connections.s3
        pace = Pace(stage.claim_ttl)
        yield Ends(store, sources, targets, bastions, stage.prefix, this_process(), pace)


def _with_primaries(connections: Connections, names: Sequence[str]) -> list[str]:
    """The sources, and the primaries of those that are replicas, each once."""
    primaries = [connections.sources[name].replica_of for name in names]
    return list(dict.fromkeys([*names, *filter(None, primaries)]))


async def sync(connections: Connections, ask: Ask, watch: Watch | None = None) -> End:
    """Bring every asked table forward once, some of them side by side."""
    job, each, stop = resolve(connections, ask), share(ask.memory, ask.parallel), Stop()
    check_targets(connections, [job])
    wanted = [(_request(ask, spec), Meter()) for spec in job.specs]
    live = [(str(request.spec.table), meter) for request, meter in wanted]
    started, since = clock.utc_now(), clock.seconds()
    ended: list[TableReport] = []
    shared: Error | None = None  # what the tables have in common failed: the store, the terminal
    with two_signals(stop):
        try:
            async with together() as tasks, open_ends(connections, [job]) as ends:
                await ensure_conditions(ends.store, connections.s3)
                drawing = tasks.create_task(_watched(watch, live), name="progress")
                await side_by_side(ends.line(job, each, stop), wanted, ask.parallel, ended)
                drawing.cancel()
        except asyncio.CancelledError:
            if stop.signal is None:
                raise  # not by our second signal
        except Error as known:
            shared = known
    report = RunReport(
        execution_id=f"sync_{started:%Y%m%d_%H%M%S}_{clock.ulid()[-8:].lower()}",
        pipeline=job.pipeline,
        started_at=started.isoformat(),
        ended_at=clock.iso_now(),
        seconds=clock.seconds() - since,
        tables=_in_order(job, live, ended, shared),
    )
    return End(report, stop.exit_code or report.exit_code)


async def preview(connections: Connections, ask: Ask) -> tuple[list[Preview], list[Error]]:
    """What a sync of the asked tables would do, and why some cannot be; writes nothing anywhere."""
    job = resolve(connections, ask)
    check_targets(connections, [job])
    found: list[Preview] = []
    refused: list[Error] = []
    async with open_ends(connections, [job]) as ends:
        line = ends.line(job, share(ask.memory, ask.parallel), Stop())
        for spec in job.specs:
            try:
                found.append(await preview_table(line, spec))
            except (ConfigError, DataError) as error:
                refused.append(error)
    return found, refused


def _request(ask: Ask, spec: TableSpec) -> Request:
    return Request(
        spec,
        ask.extract,
        ask.load,
        ask.limit,
        wait=ask.wait,
        steal=ask.steal,
        adopt=ask.adopt,
        refresh_by=this_user() if ask.full_refresh else None,
        errand=ask.errand,
    )


def resolve(connections: Connections, ask: Ask) -> Job:
    """The names that the ask means; ConfigError for what is unknown or ambiguous."""
    if ask.pipeline is not None:
        return _of_pipeline(connections, ask, ask.pipeline)
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
    tables = dict.fromkeys(TableName.parse(table) for _, _, table in scoped)
    specs = tuple(TableSpec(table) for table in tables)
    return Job(f"adhoc.{source}.{target}", source, target, specs)


def check_targets(connections: Connections, jobs: Sequence[Job]) -> None:
    """Refuse two tables that go to one target table: their rows would replace each other's."""
    fed: dict[str, str] = {}
    for job in jobs:
        schema = connections.targets[job.target].table_schema
        for spec in job.specs:
            target = f"{job.target}.{spec.lands_in(schema)}"
            table = f"{job.pipeline} {spec.table}"
            first = fed.setdefault(target.lower(), table)  # redshift ignores case
            if first != table:
                raise ConfigError(
                    "two tables go to one target table",
                    target=target,
                    first=first,
                    second=table,
                    hint="give one of them a target_name of its own, in a pipeline",
                )


def job_of(pipeline: Pipeline) -> Job:
    """A pipeline with all its tables."""
    specs = tuple(entry.spec for entry in pipeline.entries)
    return Job(pipeline.name, pipeline.source, pipeline.target, specs)


def _of_pipeline(connections: Connections, ask: Ask, pipeline: Pipeline) -> Job:
    check_pipeline(pipeline, connections)
    whole = job_of(pipeline)
    if not ask.tables:
        return whole
    known = {str(spec.table): spec for spec in whole.specs}
    wanted = dict.fromkeys(text.removeprefix(f"{pipeline.source}:") for text in ask.tables)
    for text in wanted.keys() - known.keys():
        near = difflib.get_close_matches(text, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {len(known)} tables"
        raise ConfigError(
            "the pipeline has no such table", pipeline=pipeline.name, table=text, hint=hint
        )
    specs = tuple(known[text] for text in wanted)
    return Job(whole.pipeline, whole.source, whole.target, specs)


async def _watched(watch: Watch | None, live: Live) -> None:
    if watch is not None:
        await watch(live)


def _in_order(
    job: Job, live: Live, ended: Sequence[TableReport], error: Error | None
) -> list[TableReport]:
    """Every table that was asked for has its end: also those stopped or never begun."""
    known = {report.table: report for report in ended}
    return [
        known.get(table)
        or TableReport(
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


@contextmanager
def two_signals(stop: Stop) -> Iterator[None]:
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
