"""One seed played: daemons, commands and a writer in one world, then the end of all faults.

The seed decides everything: the table's kind, how rows come, who works, what goes wrong and when. A
process that is killed comes back as another one. When the storm is over, those who are left are
killed, one fresh daemon works alone, and the target must become what the source is.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from s3rs_async import clock
from s3rs_async.errors import Error
from s3rs_async.line import Line
from s3rs_async.model import Sizes
from s3rs_async.s3.ownership import Suspicion
from tests.simulation.loop import DeadlockError, Process, SeededLoop
from tests.simulation.players import Players
from tests.simulation.rules import Rules, names_of
from tests.simulation.source import Source
from tests.simulation.stage import Disk
from tests.simulation.warehouse import Warehouse
from tests.simulation.world import NEVER, BrokenError, Storm, World

_VISITORS = {
    "loader": 0.5,
    "thief": 0.2,
    "cleaner": 0.5,
    "refresher": 0.25,
    "marker": 0.25,
    "operator": 0.2,
}
STORM_SECONDS = 115.0
LAST_PASSES = 14
LAST_SECONDS = 40_000.0

_TINY = Sizes(batch=60)


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
    trace: Sequence[str] = ()
    cause: BaseException | None = None


class Play:
    """One seed's players and their world."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.seed = seed
        self.loop = SeededLoop(rng)
        rate = rng.choice((0.0, 0.03, 0.06, 0.12))
        budget, kills, stops = rng.randrange(2, 16), rng.randrange(6), rng.randrange(3)
        storm = Storm(rate, budget, kills, stops)
        self.world = World(rng, self.loop, storm)
        self.world.births = self._reborn
        self.kind = rng.choice(("merge", "merge", "append", "append", "ids", "whole"))
        disk, self.source = Disk(self.world), Source(self.world)
        server, chunk = Warehouse(self.world, disk), rng.choice((2, 3, 5, 50))
        self.players = Players(self.world, self.kind, chunk, disk, self.source, server)
        self.writing = True
        line = self.players.line(Process("nobody"))
        target, ledger = names_of(line.target_id(self.players.spec))
        layout = line.layout(self.players.spec)
        self.rules = Rules(disk, self.source, server, layout, target, ledger)
        self.players.rules = self.rules
        self.world.checks.append(self.rules.check)

    # processes

    def start(self, name: str) -> Process:
        """A process of that name, at its work."""
        process = self.world.process(name)
        self.world.note(f"start {process.name}")
        work = getattr(self.players, name)
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

    # the seed

    async def main(self) -> None:
        """The storm, then the calm after it."""
        world = self.world
        self.start("daemon")
        self.start("daemon")
        for name, share in _VISITORS.items():
            if world.chance(share) and (name != "marker" or self.kind in {"merge", "append"}):
                world.later(world.rng.random() * 85.0, self.start, name)
        with suppress(TimeoutError):
            async with asyncio.timeout(STORM_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(self.players.writer())
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
        work = self._living(process, self._reconciled(line))
        await asyncio.wait([self.loop.spawn(process, work)])

    async def _reconciled(self, line: Line) -> None:
        with suppress(Error):  # then it is done again
            await self.players.reconcile(line)

    async def last(self, process: Process) -> None:
        """A5."""
        line, suspicion, plan, error = self.players.line(process), Suspicion(), None, None
        for _ in range(LAST_PASSES):
            await clock.sleep(15.0)
            if self.rules.rolled_back:
                await self.mended(line)
            end = await self.players.once(process, line, suspicion, plan)
            error = end.report.error
            plan = end.passed.plan if end.passed is not None else None
            if end.passed is not None and not end.passed.pending and self.rules.is_equal():
                return
        held, wanted = len(self.rules.rows()), len(self.rules.wanted())
        word = f"A5 target {held} rows, source {wanted}; last error {error}"
        self.world.end(BrokenError(word))


def play(seed: int, *, told: bool = True) -> Result:
    """Play one seed; what happened in it is told line by line, or only counted."""
    with clock.given(_Early()):
        made = Play(seed)
    world, loop = made.world, made.loop
    made.players.sized(world.rng.choice((_TINY, Sizes())))
    with clock.given(world):
        try:
            loop.run_until_complete(made.main())
        except DeadlockError:
            world.broken = world.broken or BrokenError("every task waits for another")
        finally:
            seconds = loop.time()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    if loop.faults and world.broken is None:
        world.broken = BrokenError(f"the loop was told: {loop.faults[0]}")
    rows = len(made.source.rows)
    world.tally["events"] = len(world.trace)
    broken = str(world.broken) if world.broken is not None else ""
    return Result(
        seed=seed,
        broken=broken,
        digest=world.digest() if told else "",
        seconds=seconds,
        steps=loop.steps,
        rows=rows,
        tally=world.tally,
        trace=world.lines() if told else (),
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
