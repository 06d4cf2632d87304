"""Processes are killed, stopped and woken at random, from a seed, while all the others go on.

Each machine has its own weather: after one to ten seconds its daemon is killed, or is stopped for a
while and then woken (a zombie that believes it holds what it held) or killed where it stands; a
dead one is started again a little later. Beside them one command after another runs on a machine of
its own, some of which are killed too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.race.track import ended, internal, told

if TYPE_CHECKING:
    from tests.acceptance.running import Call
    from tests.race.track import Machine, Track

_CALLS = (("sync",), ("sync", "--redshift-only"), ("sync", "--backup-only"), ("sync", "--steal"))
_FINE = {0, 4, 5, 6}
"""Done, an end that was away, another process at it, or one of these for some of the tables."""


@dataclass
class Storm:
    """What has come down so far."""

    track: Track
    seed: int
    kills: int = 0
    stops: int = 0
    seconds: float = 0.0
    starts: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def rage(self, seconds: float) -> None:
        """So long; afterwards every machine's daemon runs and no command does."""
        async with asyncio.TaskGroup() as tasks:
            for number, machine in enumerate(self.track.machines):
                tasks.create_task(self._weather(machine, random.Random(self.seed * 100 + number)))
            for number in range(90, 92):
                tasks.create_task(self._command(number, random.Random(self.seed * 100 + number)))
            await asyncio.sleep(seconds)
            self.seconds = seconds
            self.over.set()

    async def _weather(self, machine: Machine, dice: random.Random) -> None:
        while not await self._over_within(dice.uniform(1, 10)):
            stopped = dice.random() < 0.4
            if stopped:
                machine.signal(signal.SIGSTOP)
                self.stops += 1
                await self._over_within(dice.uniform(0.5, 12))
            if stopped and dice.random() < 0.7:
                machine.signal(signal.SIGCONT)
                continue
            await machine.killed()
            self.kills += 1
            await self._over_within(dice.uniform(0, 4))
            machine.start()
            self.starts += 1

    async def _command(self, number: int, dice: random.Random) -> None:
        while not await self._over_within(dice.uniform(0, 1)):
            words = dice.choice(_CALLS)
            call = self.track.begin(f"machine-{number}", *words)
            code: int | None = None
            if dice.random() < 0.6:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(dice.uniform(0.05, 2.5)):
                        code = await ended(call, 600)
                if code is None and call.poll() is None:
                    os.kill(call.pid, signal.SIGKILL)
            code = await ended(call, 60)
            self.kills += code == -signal.SIGKILL
            self.calls[f"{' '.join(words)}: {code}"] += 1
            assert code in {*_FINE, -signal.SIGKILL}, f"{words}: {code}\n{call.told[-3000:]}"
            assert not internal(call), internal(call)

    async def _over_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()
        return self.over.is_set()


@dataclass
class Succession:
    """How long a table stays without a holder, in still weather; `killed` and `told` in seconds."""

    track: Track
    killed: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    _storm_told: dict[Call, int] = field(init=False)

    def __post_init__(self) -> None:
        self._storm_told = {call: len(told(call)) for call in self.track.commands.calls}

    @property
    def longest_pass(self) -> float:
        """Seconds that one pass took at most since the storm: so fast is this machine now."""
        lines = [
            json.loads(line)
            for call in self.track.commands.calls
            for line in told(call)[self._storm_told.get(call, 0) :].splitlines()
            if line.startswith("{") and line.endswith("}") and '"table done"' in line
        ]
        return max((line["seconds"] for line in lines), default=0.0)

    async def after_kill(self) -> None:
        """Kill a daemon while it holds a table; until another one has taken it."""
        machine, held = await self._caught(signal.SIGSTOP)
        while not await self._holds(held):
            machine.signal(signal.SIGCONT)
            machine, held = await self._caught(signal.SIGSTOP)
        began = time.monotonic()
        await machine.killed()
        await self._taken(held)
        self.killed.append(time.monotonic() - began)
        machine.start()

    async def after_term(self) -> None:
        """Tell a daemon to end while it holds a table; until another one has taken it."""
        machine, held = await self._caught(signal.SIGTERM)
        began = time.monotonic()
        await self._taken(held)
        self.told.append(time.monotonic() - began)
        assert await ended(machine.daemon) == 0, machine.daemon.told[-3000:]
        machine.start()

    async def _caught(self, number: signal.Signals) -> tuple[Machine, dict[str, Any]]:
        """Send a signal to whoever holds a table at this moment."""
        by_pid = {machine.daemon.pid: machine for machine in self.track.machines}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for state in await asyncio.to_thread(self.track.states):
                claim = state["claim"]
                if claim is not None and not claim["released"] and claim["pid"] in by_pid:
                    by_pid[claim["pid"]].signal(number)
                    return by_pid[claim["pid"]], state
            await asyncio.sleep(0.01)
        raise AssertionError("no daemon takes a table any more")

    async def _now(self, held: dict[str, Any]) -> dict[str, Any]:
        states = await asyncio.to_thread(self.track.states)
        (now,) = [state for state in states if state["table"] == held["table"]]
        return now

    async def _holds(self, held: dict[str, Any]) -> bool:
        now = await self._now(held)
        return now["epoch"] == held["epoch"] and not now["claim"]["released"]

    async def _taken(self, held: dict[str, Any]) -> None:
        deadline = time.monotonic() + 60
        while (await self._now(held))["epoch"] == held["epoch"]:
            assert time.monotonic() < deadline, f"nobody takes {held['table']}"
            await asyncio.sleep(0.02)
