"""One seed played: daemons, commands and a writer in one world, then the end of all faults.

The seed decides everything: the table's kind, how rows come, who works, what goes wrong and when. A
process that is killed comes back as another one. When the storm is over, those who are left are
killed, one fresh daemon works alone, and the target must become what the source is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from s3rs_async import clean, clock, commit, extract, override
from s3rs_async.commit import Claim
from s3rs_async.commit.clean import Terms
from s3rs_async.config import TargetConfig
from s3rs_async.errors import ConflictError, Error
from s3rs_async.line import Line
from s3rs_async.model import Mode, Position, Strategy, TableSpec
from s3rs_async.pipeline import End, bring_forward
from s3rs_async.redshift import ledger
from s3rs_async.redshift.connection import Target
from s3rs_async.report import Meter
from s3rs_async.s3.ownership import Suspicion
from s3rs_async.s3.position import read_position
from s3rs_async.staging import MIB, Share
from s3rs_async.sync import Request
from tests.simulation.driver import dial
from tests.simulation.loop import DeadlockError, Process, SeededLoop
from tests.simulation.rules import Rules, names_of
from tests.simulation.source import NAME, Feed, Source, shown
from tests.simulation.stage import Disk, Stage
from tests.simulation.warehouse import Warehouse
from tests.simulation.world import NEVER, BrokenError, Storm, World

if TYPE_CHECKING:
    from s3rs_async.planning import Plan

PREFIX = "lake"
TARGET = "dwh"
CONFIG = TargetConfig(
    host="warehouse",
    database="dw",
    user="loader",
    password=SecretStr("x"),
    iam_role="default",
    tls="off",
)
SPECS = {
    "merge": TableSpec(NAME),
    "append": TableSpec(NAME, strategy=Strategy.TIMESTAMP_ONLY, mode=Mode.APPEND),
    "ids": TableSpec(NAME, strategy=Strategy.ID_ONLY, mode=Mode.APPEND),
    "whole": TableSpec(NAME, strategy=Strategy.FULL_SYNC),
}
_VISITORS = {
    "loader": 0.5,
    "thief": 0.2,
    "cleaner": 0.5,
    "refresher": 0.25,
    "marker": 0.25,
    "operator": 0.2,
}
_AT_ONCE = Terms(loaded=dt.timedelta(0), grace=dt.timedelta(0))
STORM_SECONDS = 170.0
LAST_PASSES = 14
LAST_SECONDS = 40_000.0

_BYTES = extract.BATCH_BYTES
_TINY = 60
_SHARE = Share(channel=2 * MIB, row_group=MIB, part=5 * MIB, uploads=2)


@dataclass(frozen=True, slots=True)
class Result:
    """How a seed ended: what was broken (empty: nothing), and how much happened."""

    seed: int
    broken: str
    digest: str
    seconds: float
    steps: int
    rows: int
    tally: Counter[str]
    trace: tuple[str, ...] = ()
    cause: BaseException | None = None


class Play:
    """One seed's players and their world."""

    def __init__(self, seed: int, *, verbose: bool) -> None:
        rng = random.Random(seed)
        self.seed = seed
        self.loop = SeededLoop(rng)
        rate = rng.choice((0.0, 0.03, 0.06, 0.12))
        budget, kills, stops = rng.randrange(2, 16), rng.randrange(6), rng.randrange(3)
        storm = Storm(rate, budget, kills, stops)
        self.world = World(rng, self.loop, storm, verbose=verbose)
        self.world.births = self._reborn
        self.kind = rng.choice(("merge", "merge", "append", "append", "ids", "whole"))
        self.spec = SPECS[self.kind]
        self.disk = Disk(self.world)
        self.source = Source(self.world)
        self.server = Warehouse(self.world, self.disk)
        self.chunk = rng.choice((2, 3, 5, 50))
        self.writing = True
        line = self.line(Process("nobody"))
        target, ledger = names_of(line.target_id(self.spec))
        layout = line.layout(self.spec)
        self.rules = Rules(self.kind, self.disk, self.source, self.server, layout, target, ledger)
        self.world.checks.append(self.rules.check)

    # processes

    def line(self, process: Process) -> Line:
        """A process's own ends; nobody but the claim knows its name."""
        claim = Claim(clock.ulid(), process.name, f"boot-{process.name}", 1, "")
        return Line(
            pipeline="shop",
            feed=Feed(self.world, self.source, self.chunk),
            target=Target(TARGET, CONFIG, dial(self.world, self.server, TARGET, CONFIG)),
            stage=Stage(self.world, self.disk),
            prefix=PREFIX,
            share=_SHARE,
            claim=claim,
            run=claim.writer,
            stop=asyncio.Event(),
        )

    def start(self, name: str) -> Process:
        """A process of that name, at its work."""
        process = self.world.process(name)
        self.world.note(f"start {process.name}")
        work = {
            "daemon": self.daemon,
            "loader": self.loader,
            "thief": self.thief,
            "cleaner": self.cleaner,
            "refresher": self.refresher,
            "marker": self.marker,
            "operator": self.operator,
        }[name]
        self.loop.spawn(process, self._living(process, work(process)))
        return process

    async def _living(self, process: Process, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except asyncio.CancelledError:
            raise
        except BaseException as bug:  # noqa: BLE001 - whatever a process ends by is told
            self.world.bug(bug, process.name)

    def _reborn(self, dead: Process) -> None:
        name = dead.name.rstrip("0123456789")
        if name == "daemon" and self.writing:
            self.world.later(self.world.rng.random() * 60.0, self.start, name)

    # what they do

    async def daemon(self, process: Process) -> None:
        """Pass after pass, as the daemon does."""
        line, suspicion, plan = self.line(process), Suspicion(), None
        await clock.sleep(clock.jitter(10.0))
        while True:
            end = await self.once(process, line, suspicion, plan)
            plan = end.passed.plan if end.passed is not None else None
            await clock.sleep(6.0 + clock.jitter(44.0))

    async def once(
        self, process: Process, line: Line, suspicion: Suspicion | None, plan: Plan | None
    ) -> End:
        """One pass; what is neither success nor one of our errors is a bug."""
        request = Request(self.spec, plan=plan, suspicion=suspicion)
        end = await bring_forward(replace(line, run=clock.ulid()), request, Meter())
        self._judge(process, end)
        return end

    def _judge(self, process: Process, end: End) -> None:
        error = end.report.error
        self.world.note(f"pass {type(error).__name__ if error is not None else 'done'}")
        self.world.tally["passes"] += 1
        if error is not None and not isinstance(error, Error):
            self.world.bug(error, process.name)

    async def loader(self, process: Process) -> None:
        """`--redshift-only`, some times over."""
        line = self.line(process)
        for _ in range(3):
            await clock.sleep(clock.jitter(40.0))
            request = Request(self.spec, extract=False)
            self._judge(process, await bring_forward(line, request, Meter()))

    async def thief(self, process: Process) -> None:
        """`sync --steal`."""
        request = Request(self.spec, steal=True)
        self._judge(process, await bring_forward(self.line(process), request, Meter()))

    async def cleaner(self, process: Process) -> None:
        """s3clean, to which nothing is too young to go."""
        line = self.line(process)
        yard = clean.yard_of(line, self.spec, line.stage)  # type: ignore[arg-type]
        for _ in range(2):
            await clock.sleep(clock.jitter(60.0))
            with suppress(Error):
                if clock.jitter(1.0) < 0.3:
                    await clean.seal(line.register(self.spec), "cleaner")
                removed = await clean.clean_table(yard, _AT_ONCE, delete=True)
                self.world.tally["deleted"] += removed.objects

    async def refresher(self, process: Process) -> None:
        """`watermark force-reset`."""
        register = self.line(process).register(self.spec)
        with suppress(Error):
            await override.full_refresh(register, who="refresher")
            self.world.tally["overrides"] += 1

    async def marker(self, process: Process) -> None:
        """`watermark set`, backwards, or `reset`."""
        line = self.line(process)
        made = override.edit("set-watermark", "marker")
        stamps = sorted(row.stamp for row in self.source.rows.values())
        place = int(clock.jitter(len(stamps) + 1))
        at = Position(shown(stamps[place])) if place < len(stamps) else None

        def change(state: commit.State) -> commit.State:
            if state.position is None:
                raise ConflictError("there is no watermark to go back from")
            mode = Mode.MERGE if self.kind == "merge" else Mode.APPEND
            consent = commit.Consent(replace_window=True)
            return commit.with_watermark(state, at, made, mode=mode, consent=consent)

        with suppress(Error):
            await line.register(self.spec).change(change)
            self.world.tally["overrides"] += 1

    async def operator(self, process: Process) -> None:
        """An old state put back byte for byte, and some time later `watermark reconcile`."""
        old = self.rules.ancestors[-8:]
        if len(old) > 1:
            self.rules.rolled_back = True
            self.disk.write(self.rules.layout.state, old[int(clock.jitter(len(old) - 1))])
            self.world.note("put back")
            self.world.tally["overrides"] += 1
            self.world.check("put back")
            await clock.sleep(clock.jitter(60.0))
        with suppress(Error):
            await self.reconcile(self.line(process))

    async def reconcile(self, line: Line) -> None:
        """The ledger's word for where the table stands."""
        target = line.target_id(self.spec)
        async with line.target.session() as session:
            head = await ledger.read_head(session, target)
            chain = await ledger.chain(session, target) if head is not None else ()
        marks = [(Mode(each.mode), read_position(each.position or "null")) for each in chain]
        change = partial(
            commit.reconciled,
            head=head,
            position=read_position(head.position) if head is not None and head.batch else None,
            edit=override.edit("reconcile", "operator"),
            window=commit.window_due(marks),
        )
        await line.register(self.spec).change(change)

    async def writer(self) -> None:
        """Transactions that overlap, commit late, or never."""
        rng = self.world.rng
        for _ in range(rng.randrange(3, 8)):
            within = self.source.begin()
            for _ in range(rng.randrange(1, 4)):
                if self.kind in {"merge", "whole"} and self.source.rows and rng.random() < 0.4:
                    self.source.update(within, rng.choice(sorted(self.source.rows)))
                else:
                    self.source.insert(within)
                await asyncio.sleep(rng.random() * 2.0)
            self.world.later(rng.random() ** 2 * 30.0, self._commit, within)
            await asyncio.sleep(rng.random() * 32.0)

    def _commit(self, within: object) -> None:
        if within not in self.source.open:
            return  # the calm came first
        if self.world.chance(0.1):
            self.source.roll_back(within)  # type: ignore[arg-type]
        else:
            self.source.commit(within)  # type: ignore[arg-type]
            self.world.note(f"committed {sorted(row.id for row in within.rows)}")  # type: ignore[attr-defined]

    # the seed

    async def main(self) -> None:
        """The storm, then the calm after it."""
        world = self.world
        self.start("daemon")
        self.start("daemon")
        for name, share in _VISITORS.items():
            if world.chance(share) and (name != "marker" or self.kind in {"merge", "append"}):
                world.later(world.rng.random() * 120.0, self.start, name)
        with suppress(TimeoutError):
            async with asyncio.timeout(STORM_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(self.writer())
                await asyncio.wait([world.over], timeout=STORM_SECONDS)
        if world.broken is None:
            await self.calm()
        world.closed = True
        await self.loop.put_out(world.processes)

    async def calm(self) -> None:
        """No more faults: one fresh daemon alone, and the target becomes what the source is."""
        world = self.world
        world.storm.budget = 0
        self.writing = False
        for process in list(world.processes):
            if not process.killed and world.chance(0.8):
                world.kill(process)
        for within in list(self.source.open):
            self.source.commit(within)
        process = world.process("daemon")
        last = self.loop.spawn(process, self._living(process, self.last(process)))
        await asyncio.wait([last, world.over], timeout=LAST_SECONDS, return_when="FIRST_COMPLETED")
        if world.broken is None and not last.done():
            world.end(BrokenError("A5 the last daemon does not come to an end"))

    async def mended(self, line: Line) -> None:
        """What was put back is reconciled by a person, before anything is expected of a daemon."""
        process = self.world.process("operator")
        work = self._living(process, self.reconcile(line))
        await asyncio.wait([self.loop.spawn(process, work)])

    async def last(self, process: Process) -> None:
        """A5."""
        line, suspicion, plan, error = self.line(process), Suspicion(), None, None
        for _ in range(LAST_PASSES):
            await clock.sleep(15.0)
            if self.rules.rolled_back:
                await self.mended(line)
            end = await self.once(process, line, suspicion, plan)
            error = end.report.error
            plan = end.passed.plan if end.passed is not None else None
            if end.passed is not None and not end.passed.pending and self.rules.is_equal():
                return
        held, wanted = len(self.rules.rows()), len(self.rules.wanted())
        word = f"A5 target {held} rows, source {wanted}; last error {error}"
        self.world.end(BrokenError(word))


def play(seed: int, *, verbose: bool = False) -> Result:
    """Play one seed."""
    with clock.given(_Early()):
        made = Play(seed, verbose=verbose)
    world, loop = made.world, made.loop
    extract.BATCH_BYTES = world.rng.choice((_TINY, _BYTES))
    with clock.given(world):
        try:
            loop.run_until_complete(made.main())
        except DeadlockError:
            world.broken = world.broken or BrokenError("every task waits for another")
        finally:
            seconds = loop.time()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            extract.BATCH_BYTES = _BYTES
    if loop.faults and world.broken is None:
        world.broken = BrokenError(f"the loop was told: {loop.faults[0]}")
    rows = len(made.source.rows)
    broken = str(world.broken) if world.broken is not None else ""
    return Result(
        seed=seed,
        broken=broken,
        digest=world.digest,
        seconds=seconds,
        steps=loop.steps,
        rows=rows,
        tally=world.tally,
        trace=tuple(world.trace),
        cause=world.broken.__cause__ if world.broken is not None else None,
    )


class _Early:
    """Time and chance before there is a world; nothing that matters is made of it."""

    def wall(self) -> float:
        return 0.0

    def steady(self) -> float:
        return 0.0

    def bits(self, _: int) -> int:
        return 0

    def share(self) -> float:
        return 0.0


__all__ = ["NEVER", "Play", "Result", "play"]
