"""One seed's world: its clock and chance, the network between processes and ports, its faults.

A question to a port goes out, arrives some time later, is answered, and the answer arrives some
time later still; each way can fail. It may never arrive, arrive after its sender has given up, be
carried out while its answer is lost, or be refused; and its sender may be killed or stopped just
then, with the question on its way or not. What arrives runs in nobody's name, so it outlives its
sender.

After whatever changed a port the rules are checked. The first one broken ends the seed. Everything
that happens is written into a hash: two runs of a seed are the same run if it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.simulation.loop import PROCESS, Handle, Process, SeededLoop

T = TypeVar("T")
Refusal = Callable[[], Exception]

EPOCH = 1_790_000_000.0  # when the simulated time begins
NEVER = 1e9

DOOM = 0.4  # of what goes wrong, the part that befalls the process that asks

_SLOW = 0.03
_STOPS = (1.0, 15.0, 50.0, 130.0)


class BrokenError(Exception):
    """A rule of the protocol does not hold."""


@dataclass(frozen=True, slots=True)
class Fates:
    """How a question can end badly: refused and not carried out, or without an answer.

    `weight` is how much more often than others.
    """

    refusals: tuple[Refusal, ...]
    lost: Refusal | None = None
    weight: float = 1.0


@dataclass(slots=True)
class Storm:
    """How much goes wrong: a share of all questions, as long as the budget lasts."""

    rate: float
    budget: int
    kills: int
    stops: int


@dataclass(eq=False)
class World:
    """What all processes of one seed share."""

    rng: random.Random
    loop: SeededLoop
    storm: Storm
    closed: bool = False
    broken: BrokenError | None = None
    processes: list[Process] = field(default_factory=list)
    checks: list[Callable[[str], None]] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    trace: list[tuple[float, str, str]] = field(default_factory=list)
    births: Callable[[Process], None] | None = None

    def __post_init__(self) -> None:
        self.network = contextvars.Context()
        self.over: asyncio.Future[None] = self.loop.create_future()

    # the Origin of time and chance

    def wall(self) -> float:
        process = PROCESS.get()
        return EPOCH + self.loop.time() + (process.skew if process is not None else 0.0)

    def steady(self) -> float:
        return self.loop.time()

    def bits(self, count: int) -> int:
        return self.rng.getrandbits(count)

    def share(self) -> float:
        return self.rng.random()

    # the trace

    def note(self, what: str) -> None:
        """Put an event into the trace."""
        process = PROCESS.get()
        self.trace.append((self.loop._now, process.name if process is not None else "-", what))

    def lines(self) -> list[str]:
        """Everything that was noted."""
        return [f"{at:10.3f} {name:8} {what}" for at, name, what in self.trace]

    def digest(self) -> str:
        """The hash of everything that was noted."""
        return hashlib.blake2b("".join(self.lines()).encode(), digest_size=16).hexdigest()

    # faults

    def chance(self, share: float) -> bool:
        """Whether something that rare happens now."""
        return self.rng.random() < share

    def strikes(self, weight: float = 1.0) -> bool:
        """Whether something goes wrong now."""
        storm = self.storm
        if storm.budget <= 0 or self.rng.random() >= storm.rate * weight:
            return False
        storm.budget -= 1
        return True

    def latency(self) -> float:
        """How long one way takes: mostly little, now and then seconds."""
        if self.chance(_SLOW):
            return self.rng.random() * 8.0
        return self.rng.random() * 0.05

    def process(self, name: str) -> Process:
        """A new process, with a clock that errs."""
        skew = self.rng.choice((0.0, 0.0, -400.0, 90.0, 7200.0))
        made = Process(f"{name}{len(self.processes)}", skew)
        self.processes.append(made)
        return made

    def doom(self) -> bool:
        """Perhaps kill or stop the process that is asking; whether it is dead."""
        process, storm = PROCESS.get(), self.storm
        if process is None:
            return False
        if storm.kills > 0 and self.chance(0.6):
            storm.kills -= 1
            self.kill(process)
            return True
        if storm.stops > 0:
            storm.stops -= 1
            self.stop(process)
        return False

    def _freeze(self) -> None:
        """A machine whose connections die may stand still itself for a while."""
        process = PROCESS.get()
        if process is not None and self.storm.stops > 0 and self.chance(0.3):
            self.storm.stops -= 1
            self.stop(process)

    def kill(self, process: Process) -> None:
        """SIGKILL, and perhaps another process in its place later."""
        if process.killed:
            return
        self.note(f"kill {process.name}")
        self.tally["kills"] += 1
        self.loop.kill_process(process)
        if self.births is not None:
            self.births(process)

    def stop(self, process: Process) -> None:
        """SIGSTOP, and SIGCONT some time later."""
        seconds = self.rng.choice(_STOPS) * (0.5 + self.rng.random())
        self.note(f"stop {process.name} for {seconds:.1f}")
        self.tally["stops"] += 1
        self.loop.stop_process(process)
        self.later(seconds, self.loop.continue_process, process)

    def later(self, seconds: float, call: Callable[..., Any], *args: Any) -> Handle:
        """Let something happen in nobody's name."""
        return self.loop.call_later(seconds, call, *args, context=self.network)

    # questions

    async def ask(self, what: str, act: Callable[[], T], fates: Fates) -> T:
        """Have `act` carried out at the other end, or not; its result, or what went wrong."""
        if self.closed:
            raise asyncio.CancelledError
        answer: asyncio.Future[T] = self.loop.create_future()
        way = self.latency()
        if not self.strikes(fates.weight):
            self.later(way, self._arrive, what, act, answer)
            return await answer
        kinds = ["refused"] + (["lost", "unsent", "late"] if fates.lost is not None else [])
        kind = "doom" if self.chance(DOOM) else self.rng.choice(kinds)
        self.tally[kind] += 1
        self.note(f"{kind} {what}")
        self._fail(kind, what, act, answer, fates)
        return await answer

    def _fail(
        self, kind: str, what: str, act: Callable[[], T], answer: asyncio.Future[T], fates: Fates
    ) -> None:
        way = self.latency()
        if kind == "doom":
            if not self.doom() or self.chance(0.5):
                self.later(way, self._arrive, what, act, answer)
        elif kind == "refused":
            self.later(way, fail, answer, self.rng.choice(fates.refusals)())
        elif fates.lost is not None:
            gives_up = way + self.rng.random() * 4.0
            self.later(gives_up, fail, answer, fates.lost())
            if kind == "lost":
                self.later(way, self._arrive, what, act, None)
            elif kind == "late":
                self.later(gives_up + self.rng.random() ** 3 * 120.0, self._arrive, what, act, None)
            self._freeze()

    def _arrive(self, what: str, act: Callable[[], T], answer: asyncio.Future[T] | None) -> None:
        if self.closed:
            return
        try:
            result = act()
        except Exception as error:  # noqa: BLE001 - a port's refusal is its answer
            self.note(f"{what} ! {type(error).__name__}")
            if answer is not None:
                self._reply(fail, answer, error)
            return
        self.note(what)
        self.check(what)
        if answer is not None:
            self._reply(succeed, answer, result)

    def _reply(self, tell: Callable[..., None], answer: asyncio.Future[Any], value: Any) -> None:
        if self.chance(0.25):
            self.later(self.latency(), tell, answer, value)
        else:
            tell(answer, value)

    def check(self, what: str) -> None:
        """Check every rule; the first that is broken ends the seed."""
        if self.broken is not None:
            return
        try:
            for check in self.checks:
                check(what)
        except BrokenError as broken:
            self.end(broken)

    def bug(self, error: BaseException, where: str = "a port") -> None:
        """An error that nobody foresaw ends the seed as a broken rule does."""
        broken = BrokenError(f"bug in {where}: {error!r}")
        broken.__cause__ = error
        self.end(broken)

    def end(self, broken: BrokenError) -> None:
        """The seed has shown what it had to show; only the first is told."""
        if self.broken is None and not self.closed:
            self.note(f"BROKEN {broken}")
            self.broken = broken
            succeed(self.over, None)


def succeed(answer: asyncio.Future[Any] | None, value: Any) -> None:
    """Answer, if anybody still waits."""
    if answer is not None and not answer.done():
        answer.set_result(value)


def fail(answer: asyncio.Future[Any] | None, error: Exception) -> None:
    """Answer with an error, if anybody still waits."""
    if answer is not None and not answer.done():
        answer.set_exception(error)
