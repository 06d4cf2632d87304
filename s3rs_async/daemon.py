"""`s3rs daemon`: every table of its pipelines brought forward on its interval, until told to stop.

One task a table, so that no table overlaps with itself; one limit of passes side by side, which
bounds memory for any number of tables; one lookout a source, so that no pass waits for open
transactions. Sources, targets and bastions are shared and opened anew when they are lost. A table
of a source that is known to be down fails without taking a place from the others.

The first signal ends the waiting and lets passes finish the step in hand, for at most `drain`
seconds, and the process says 0; what is cut then, or by a second signal, goes on from what is
committed at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from . import clock, scheduler
from .config import Connections, Entry, Pipeline, check_pipeline
from .errors import ConfigError, ConflictError, Error, ExitCode, UnavailableError
from .flow import together, unless
from .health import serving
from .line import Line
from .metrics import Metrics
from .mysql.lookout import Lookout
from .notify import notify, watchdog_seconds
from .pipeline import bring_forward, failed
from .planning import Plan
from .report import Meter, Outcome, TableReport
from .s3.canary import ensure_conditions
from .s3.ownership import Suspicion
from .service import Ends, Stop, check_targets, job_of, open_ends, two_signals
from .staging import share
from .sync import Passed, Request

log = structlog.get_logger()

_GAUGES_SECONDS = 1.0
_STORE_TRIES_SECONDS = 30.0
_SOURCE_LOOK_SECONDS = 2.0
_APART_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How the daemon runs: tables side by side, bytes for their rows, seconds to drain, address."""

    parallel: int
    memory: int
    drain: float
    listen: str


async def run(connections: Connections, pipelines: Sequence[Pipeline], terms: Terms) -> ExitCode:
    """Run until a signal; OK when everything under way came to its end in time."""
    _check(connections, pipelines)
    jobs = [job_of(pipeline) for pipeline in pipelines]
    check_targets(connections, jobs)
    each, stop, drained = share(terms.memory, terms.parallel), Stop(), False
    with two_signals(stop):
        try:
            async with open_ends(connections, jobs) as ends:
                watched = dict.fromkeys(ends.watched(job.source) for job in jobs)
                lookouts = {name: Lookout(ends.sources[name]) for name in watched}
                places = asyncio.Semaphore(terms.parallel)
                world = _World(ends, stop, Metrics(), places, lookouts)
                tables = [
                    _Table(
                        world,
                        ends.line(job, each, stop, lookouts[ends.watched(job.source)]),
                        entry,
                        lookouts[ends.watched(job.source)],
                    )
                    for pipeline, job in zip(pipelines, jobs, strict=True)
                    for entry in pipeline.entries
                ]
                drained = await _live(connections, world, tables, terms)
        except asyncio.CancelledError:
            if stop.signal is None:
                raise  # not by our second signal
    notify("STOPPING=1")
    log.info("daemon stopped", drained=drained)
    return ExitCode.OK if drained else stop.exit_code or ExitCode.TERMINATED


async def _live(
    connections: Connections, world: _World, tables: Sequence[_Table], terms: Terms
) -> bool:
    """Answer whoever asks, keep the lookouts going, and see to the tables until told to stop."""
    for table in tables:
        world.metrics.watch(table.line.pipeline, str(table.entry.spec.table))
    async with (
        together() as background,
        serving(terms.listen, world.metrics, world.unready) as address,
    ):
        log.info("daemon started", listen=address, tables=len(tables))
        notify("READY=1", f"STATUS={len(tables)} tables")  # what is away must not fail the start
        going = [
            background.create_task(lookout.run(), name=f"lookout {name}")
            for name, lookout in world.lookouts.items()
        ]
        going.append(background.create_task(world.watch(), name="gauges"))
        drained = await _until_told(connections, world, tables, terms.drain)
        for task in going:
            task.cancel()
    return drained


def _check(connections: Connections, pipelines: Sequence[Pipeline]) -> None:
    """Refuse what can be told without asking a server."""
    names: dict[str, Pipeline] = {}
    for pipeline in pipelines:
        check_pipeline(pipeline, connections)
        if names.setdefault(pipeline.name, pipeline) is not pipeline:
            raise ConfigError(
                "two pipelines have one name",
                pipeline=pipeline.name,
                files=f"{names[pipeline.name].file}, {pipeline.file}",
                hint="give one of them another `pipeline:`",
            )


async def _until_told(
    connections: Connections, world: _World, tables: Sequence[_Table], drain: float
) -> bool:
    """Every table on its interval until a signal; whether all of them ended within `drain`."""
    if not await _proven(connections, world):
        return True
    await unless(world.stop.asked, _compare_clocks(world.ends))
    world.started = True
    limit = asyncio.timeout(None)
    try:
        async with limit, together() as tasks:
            for table in tables:
                tasks.create_task(table.run(), name=str(table.entry.spec.table))
            await world.stop.asked.wait()
            notify("STOPPING=1", "STATUS=draining")
            limit.reschedule(asyncio.get_running_loop().time() + drain)
    except TimeoutError:
        if not limit.expired():
            raise
        log.warning(
            "the drain is over, what was under way is cut",
            drain=drain,
            hint="nothing is lost: the next start goes on from what is committed",
        )
        return False
    return True


async def _proven(connections: Connections, world: _World) -> bool:
    """The store honours conditions: asked until it answers; False when told to stop meanwhile."""
    failures = 0
    while not world.stop.asked.is_set():
        try:
            await ensure_conditions(world.ends.store, connections.s3)
        except UnavailableError as error:
            failures += 1
            world.store_trouble = error
            log.warning("the store cannot be reached yet", error=str(error), hint=error.hint)
            wait = scheduler.retry_start(_STORE_TRIES_SECONDS, failures, error, clock.jitter(1.0))
            await _told_within(world.stop, wait)
        else:
            world.store_trouble = None
            return True
    return False


async def _compare_clocks(ends: Ends) -> None:
    """Say it when the store's clock and ours lie apart: it refuses what is signed by a wrong one.

    Asked once a process, since it costs a request; nothing else rests on it.
    """
    try:
        shown = await ends.store.clock()
    except Error as error:
        log.info("the store's clock is not known", reason=str(error))
        return
    ahead = (shown - clock.utc_now()).total_seconds()
    if abs(ahead) > _APART_SECONDS:
        log.warning(
            "the store's clock and ours lie apart",
            store_ahead=round(ahead),
            hint="set this machine's clock right: requests signed by a wrong one are refused",
        )


async def _told_within(stop: Stop, seconds: float) -> bool:
    """Wait; whether we were told to stop meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stop.asked.wait()
    except TimeoutError:
        return False
    return True


@dataclass(slots=True)
class _World:
    """What all tables of the process share."""

    ends: Ends
    stop: Stop
    metrics: Metrics
    places: asyncio.Semaphore
    lookouts: Mapping[str, Lookout]
    store_trouble: Error | None = None
    started: bool = False
    running: int = 0
    waiting: int = 0

    def unready(self) -> list[str]:
        """Why the daemon cannot do all of its work now; nothing when it can."""
        if self.stop.asked.is_set():
            return ["draining"]
        if self.store_trouble is not None:
            return [str(self.store_trouble)]
        if not self.started:
            return ["starting"]
        troubles = [(name, lookout.trouble) for name, lookout in self.lookouts.items()]
        return [f"source {name}: {trouble}" for name, trouble in troubles if trouble is not None]

    async def watch(self) -> None:
        """Keep the gauges, and the service manager's watchdog, up to date."""
        every = min(_GAUGES_SECONDS, watchdog_seconds() or _GAUGES_SECONDS)
        while True:
            self.show()
            notify("WATCHDOG=1")
            await clock.sleep(every)

    def show(self) -> None:
        """Write down what is not counted by passes."""
        for name, lookout in self.lookouts.items():
            self.metrics.source_up(name, lookout.trouble is None)
            self.metrics.bound_lag(name, lookout.lag())
        for bastion, up in self.ends.bastions.state().items():
            self.metrics.tunnel_up(bastion, up)
        self.metrics.running(self.running)
        self.metrics.waiting(self.waiting)


@dataclass(slots=True)
class _Table:
    """One table's life in the daemon."""

    world: _World
    line: Line
    entry: Entry
    lookout: Lookout
    failures: int = 0
    plan: Plan | None = None
    suspicion: Suspicion = field(default_factory=Suspicion)

    async def run(self) -> None:
        """Pass after pass until told to stop."""
        delay = scheduler.first_start(self.entry.every, clock.jitter(1.0))
        while not await _told_within(self.world.stop, delay):
            delay = await self._once()

    async def _once(self) -> float:
        """One pass; seconds until the next."""
        begun, moment = clock.seconds(), clock.utc_now().timestamp()
        report = await self._pass()
        if report is None:
            return 0.0
        self._count(report, moment)
        error = report.error
        if error is None:
            self.failures = 0
            return scheduler.next_start(
                self.entry.every, clock.seconds() - begun, clock.jitter(1.0)
            )
        if isinstance(error, ConflictError):
            return scheduler.rival_start(self.entry.every, self.suspicion.left, clock.jitter(1.0))
        self.failures += 1
        self.plan = None
        if await self._source_is_back():
            return 0.0
        return scheduler.retry_start(self.entry.every, self.failures, error, clock.jitter(1.0))

    async def _source_is_back(self) -> bool:
        """Where the source itself is down, wait for it; False where something else failed."""
        lookout = self.lookout
        if lookout.trouble is None:
            return False
        while lookout.trouble is not None:
            if await _told_within(self.world.stop, min(self.entry.every, _SOURCE_LOOK_SECONDS)):
                return True
        return not await _told_within(self.world.stop, clock.jitter(_SOURCE_LOOK_SECONDS))

    async def _pass(self) -> TableReport | None:
        """The pass's report; None when we were told to stop before it had a place."""
        request = Request(self.entry.spec, plan=self.plan, suspicion=self.suspicion)
        line, world, meter = replace(self.line, run=clock.ulid()), self.world, Meter()
        trouble = self.lookout.trouble
        if trouble is not None:  # told once by the lookout, and no place is taken for it
            return failed(line, request, meter, trouble)
        world.waiting += 1
        try:
            await world.places.acquire()
        finally:
            world.waiting -= 1
        world.running += 1
        try:
            if world.stop.asked.is_set():
                return None
            end = await bring_forward(line, request, meter)
        finally:
            world.running -= 1
            world.places.release()
        self._remember(end.passed)
        return end.report

    def _remember(self, passed: Passed | None) -> None:
        if passed is None:
            return
        self.plan = passed.plan
        spec = self.entry.spec
        self.world.metrics.pending(self.line.pipeline, str(spec.table), passed.pending)

    def _count(self, report: TableReport, moment: float) -> None:
        metrics, pipeline = self.world.metrics, self.line.pipeline
        if isinstance(report.error, ConflictError):
            metrics.conflict(pipeline, report.table)
            return
        metrics.passed(pipeline, report)
        if report.outcome is Outcome.SUCCESS:
            behind = self.lookout.lag()
            spent = clock.utc_now().timestamp() - moment
            metrics.lag(pipeline, report.table, spent + (behind or 0.0))
