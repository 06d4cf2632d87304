"""Who works in a simulated world, each at the product's own work: daemons, commands, an operator.

Each player is one process with ends of its own. What it meets of our own errors it takes as its
operator would; what is neither success nor one of those is a bug, and ends the seed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from s3rs_async import clean, clock, commit, override
from s3rs_async.commit import Claim
from s3rs_async.commit.clean import Terms
from s3rs_async.config import TargetConfig
from s3rs_async.errors import ConflictError, Error
from s3rs_async.line import Line
from s3rs_async.model import Mode, Position, Sizes, Strategy, TableSpec
from s3rs_async.pipeline import End, bring_forward
from s3rs_async.redshift.connection import Target
from s3rs_async.report import Meter
from s3rs_async.s3.ownership import Suspicion
from s3rs_async.staging import MIB, Share
from s3rs_async.sync import Request
from tests.simulation.driver import dial
from tests.simulation.source import NAME, Feed, Source, Transaction, shown
from tests.simulation.stage import Disk, Stage

if TYPE_CHECKING:
    from s3rs_async.planning import Plan
    from tests.simulation.loop import Process
    from tests.simulation.rules import Rules
    from tests.simulation.warehouse import Warehouse
    from tests.simulation.world import World

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
_AT_ONCE = Terms(loaded=dt.timedelta(0), grace=dt.timedelta(0))
_SHARE = Share(channel=2 * MIB, row_group=MIB, part=5 * MIB, uploads=2)


@dataclass(eq=False)
class Players:
    """What all players of a seed share: its table, its world, and the far ends of its ports."""

    world: World
    kind: str
    chunk: int
    disk: Disk
    source: Source
    server: Warehouse

    def __post_init__(self) -> None:
        self.spec = SPECS[self.kind]
        self.rules: Rules | None = None

    def sized(self, sizes: Sizes) -> None:
        """Batches are to be so large."""
        self.spec = replace(self.spec, sizes=sizes)

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
        self.judge(process, end)
        return end

    def judge(self, process: Process, end: End) -> None:
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
            self.judge(process, await bring_forward(line, request, Meter()))

    async def thief(self, process: Process) -> None:
        """`sync --steal`."""
        request = Request(self.spec, steal=True)
        self.judge(process, await bring_forward(self.line(process), request, Meter()))

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
        rules = self.rules
        old = rules.ancestors[-8:] if rules is not None else []
        if rules is not None and len(old) > 1:
            rules.rolled_back = True
            self.disk.write(rules.layout.state, old[int(clock.jitter(len(old) - 1))])
            self.world.note("put back")
            self.world.tally["overrides"] += 1
            self.world.check("put back")
            await clock.sleep(clock.jitter(60.0))
        with suppress(Error):
            await self.reconcile(self.line(process))

    async def reconcile(self, line: Line) -> None:
        """`watermark reconcile`: the ledger's word for where the table stands."""
        bench = override.Bench(line, self.spec, line.stage)  # type: ignore[arg-type]
        await override.reconcile(bench, who="operator")

    async def writer(self) -> None:
        """Transactions that overlap, commit late, or never."""
        rng = self.world.rng
        for _ in range(rng.randrange(2, 6)):
            within = self.source.begin()
            for _ in range(rng.randrange(1, 4)):
                if self.kind in {"merge", "whole"} and self.source.rows and rng.random() < 0.4:
                    self.source.update(within, rng.choice(sorted(self.source.rows)))
                else:
                    self.source.insert(within)
                await asyncio.sleep(rng.random() * 2.0)
            self.world.later(rng.random() ** 2 * 30.0, self._commit, within)
            await asyncio.sleep(rng.random() * 32.0)

    def _commit(self, within: Transaction) -> None:
        if within not in self.source.open:
            return  # the calm came first
        if self.world.chance(0.1):
            self.source.roll_back(within)
        else:
            self.source.commit(within)
            self.world.note(f"committed {sorted(row.id for row in within.rows)}")
