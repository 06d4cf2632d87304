"""One cell of the matrix, lived through: prepare, break, run again clean, compare.

The table is read for the first time (seed 0), or has rows in its target already and, for a load,
a batch that waits, behind the bastion and TLS (seed 1): so each place is met in two situations.
However it broke, the next plain sync must succeed, both sides must hold the same rows each as
often, and the ledger's chain must be whole. A process that was not killed may fail, but it must say
so in our own words.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3rs_async import clock
from s3rs_async.s3.layout import Attempt
from s3rs_async.sandbox.faults import (
    DOWN,
    FAILED_AFTER,
    FULL,
    Armed,
    Fault,
    Hold,
    Keep,
    Late,
    Match,
    Placed,
)
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, redshift
from tests.crash import matrix
from tests.crash.town import Failpoint, Table, Town, ended, killed, until

if TYPE_CHECKING:
    from tests.acceptance.running import Call
    from tests.crash.matrix import Cell

_OPTIONS = {"sync": (), "refresh": ("--full-refresh",)}
_CODES = {3, 4, 5, 6}


@dataclass(frozen=True)
class Figures:
    """What a cell has come to."""

    rows: int
    kills: int
    code: int
    seconds: float


async def live(town: Town, cell: Cell, seed: int) -> Figures:
    """Live through a cell; AssertionError where anything is not as it must be."""
    began = time.monotonic()
    table = await _prepared(town, cell, seed)
    async with town.failpoint() as (failpoint, path):
        armed = {"S3RS_FAILPOINT": f"{cell.place}#{cell.step.visit}@{path}"}
        call = _begun(table, cell, armed)
        try:
            await _fired(failpoint, call, cell)
            await _ACTIONS[cell.action](Broken(seed, town, table, cell, failpoint, call))
        finally:
            await town.heal()
        code = await ended(call)
    _says_so(call, code, cell.action)
    await table.synced()
    rows = await asyncio.to_thread(_equal, table)
    await _tidied(table)
    kills = int(code == -signal.SIGKILL)
    return Figures(rows, kills, code, time.monotonic() - began)


async def _prepared(town: Town, cell: Cell, seed: int) -> Table:
    """Seed 0: never synced. Seed 1: rows there and changed, for a load also a batch waiting."""
    loads = cell.step.name.startswith("Y")
    table = town.table(cell.mode, 9 + seed, tunnelled=bool(seed and loads))
    if seed or cell.step.command != "sync":
        await table.synced()
        table.mysql(*table.change())
    if seed and loads:
        await table.synced("--s3-only")
        table.mysql(*table.change())
    if cell.step.command == "s3clean":
        await asyncio.to_thread(_littered, table)
    return table


def _begun(table: Table, cell: Cell, armed: dict[str, str]) -> Call:
    """Begin the command that comes by the place."""
    if cell.step.command == "s3clean":
        return table.clean(environment=armed)
    if cell.step.command == "reconcile":
        return table.reconcile(environment=armed)
    return table.begin(*_OPTIONS[cell.step.command], environment=armed)


def _littered(table: Table) -> None:
    """What two dead attempts left behind."""
    for _ in range(2):
        attempt = Attempt(1, 1, 9, clock.ulid())
        for number in range(2):
            ledger.put(table.place, table.place.layout.part(attempt, number), b"litter")


async def _tidied(table: Table) -> None:
    """What the dead left behind can be collected; then nothing is left, and nothing is missing."""
    call = table.clean()
    assert await ended(call) == 0, call.told[-3000:]
    call = table.orphans()
    assert (await ended(call), call.told.strip()) == (0, "no orphans")
    await asyncio.to_thread(_equal, table)


async def _fired(failpoint: Failpoint, call: Call, cell: Cell) -> None:
    await until(
        lambda: failpoint.met.is_set() or call.poll() is not None or None,
        lambda: f"{cell} is reached",
    )
    assert failpoint.met.is_set(), f"{cell} was not reached:\n{call.told[-3000:]}"
    assert failpoint.name == cell.place


def _says_so(call: Call, code: int, action: str) -> None:
    """It came through, was killed, or told an error of ours; a full disk alone is none of them."""
    if code in {0, -signal.SIGKILL}:
        return
    told = call.told[-3000:]
    if action == "enospc":
        assert "No space left on device" in told or "Error: " in told, f"not a word:\n{told}"
        return
    assert code in _CODES, f"exit code {code}:\n{told}"
    assert "Error: " in told, f"exit code {code}, and not a word:\n{told}"


def _equal(table: Table) -> int:
    rows = assert_equal(table.town.box, table.name, key=("id",))
    ledger.check(table.place)
    return rows


@dataclass(frozen=True)
class Broken:
    """A process that stands at its failpoint, and what is around it.

    Seed 0 takes a table from a stopped process, seed 1 waits until that one counts as dead.
    """

    seed: int
    town: Town
    table: Table
    cell: Cell
    failpoint: Failpoint
    call: Call

    async def kill(self) -> None:
        await killed(self.call)

    async def enospc(self) -> None:
        self.failpoint.say("enospc")
        assert await ended(self.call) != 0

    async def reset(self) -> None:
        self.town.cut()
        await self.goes_on()

    async def goes_on(self) -> None:
        self.failpoint.say("go")
        await ended(self.call)

    async def zombie(self) -> None:
        """Another process does the work; then this one wakes up and believes it is its turn."""
        os.kill(self.call.pid, signal.SIGSTOP)
        other = self.table.begin("--wait=30" if self.seed else "--steal")
        await until(lambda: self._is_behind(other), lambda: "the other has done what it can", 40)
        if other.poll() is not None:
            assert other.code == 0, other.told[-3000:]
            await asyncio.to_thread(_equal, self.table)
        os.kill(self.call.pid, signal.SIGCONT)
        await self.goes_on()
        code = await ended(other)
        _says_so(other, code, self.cell.action)

    def _is_behind(self, other: Call) -> bool | None:
        """Whether it has ended, or waits for the lock that the stopped one holds."""
        if other.poll() is not None:
            return True
        waits = redshift(
            self.town.box.redshift.url, "SELECT 1 FROM svv_transactions WHERE NOT granted"
        )
        return bool(waits) or None

    async def sent(self) -> None:
        armed = self._armed(Hold(applied=True))
        self.failpoint.say("go")
        await self._met(armed)
        await killed(self.call)

    async def lost(self) -> None:
        armed = self._armed(FAILED_AFTER)
        self.failpoint.say("go")
        await self._met(armed)
        if isinstance(armed, Placed):
            self.town.redshift.cut()
            armed.lift()
        await ended(self.call)

    async def late(self) -> None:
        armed = self._armed(Late(None))
        assert isinstance(armed, Armed)
        self.failpoint.say("go")
        await self._met(armed)
        await killed(self.call)
        await self.table.synced()
        status = await armed.deliver()
        assert self.cell.step.writes != matrix.STATE or status == 412, f"answered {status}"

    async def full(self) -> None:
        if self.cell.step.asks:
            await self.town.box.redshift.turn(fail_copy="1 mid")
            await self.goes_on()
            return
        armed = self._armed(FULL)
        await self.goes_on()
        await self._met(armed)

    async def refused(self) -> None:
        await self.town.box.redshift.turn(conflict="1")
        await self.goes_on()

    def _armed(self, fault: Fault) -> Armed | Placed:
        """The fault at the request that the step is about to send."""
        step = self.cell.step
        if step.asks:
            return self.town.redshift.put(Keep(), DOWN)
        assert step.writes is not None
        method, key, part = step.writes
        if not key.startswith("^"):
            key = f"/{self.table.pipeline}/.*{key}"
        return self.town.s3.put(Match(method, key, part), fault)

    async def _met(self, armed: Armed | Placed) -> None:
        await until(
            lambda: armed.met.is_set() or self.call.poll() is not None or None, lambda: "it is sent"
        )
        assert armed.met.is_set(), f"nothing was sent:\n{self.call.told[-3000:]}"


_ACTIONS = {
    "kill": Broken.kill,
    "zombie": Broken.zombie,
    "reset": Broken.reset,
    "enospc": Broken.enospc,
    "sent": Broken.sent,
    "lost": Broken.lost,
    "late": Broken.late,
    "full": Broken.full,
    "refused": Broken.refused,
}
