"""The register is linearizable: whatever the store answers, one order of all swaps explains it.

Up to eight clients read and swap through the real `Register`, and some die while they do. The store
beneath them applies a request and loses the answer, applies it long after it was given up, refuses
it for no reason, or is away. What each client was told, and when, is the history; it is searched
for an order in which every answer is true of one plain register (as Knossos does, by the method of
Wing and Gong):

    read → v          the register held v
    swap b → w, won   it held b, and holds w
    swap b → w, lost  it held something else; or it took w, which was overwritten before we looked
    swap b → w, doubt either, or it takes w at any later time, or never

`change` is a swap for each time that it asks its function.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async import clock
from s3rs_async.commit import State
from s3rs_async.errors import ConflictError, UnavailableError, UnknownOutcomeError
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.object import BusyError, StaleError, Stored
from s3rs_async.s3.register import Register, Versioned
from tests.conftest import VirtualTimeLoop
from tests.property.examples import thorough

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))
BIRTH = State("shop", "source", "shop.orders", "dw.public.orders")
_FAULTS = ("none", "lost", "late", "away", "busy", "stale")


@dataclass
class Origin:
    """Time and chance from a seed."""

    chance: Random

    def wall(self) -> float:
        return 1_800_000_000.0

    def steady(self) -> float:
        return asyncio.get_running_loop().time()

    def bits(self, count: int) -> int:
        return self.chance.getrandbits(count)

    def share(self) -> float:
        return self.chance.random()


@dataclass
class Store:
    """One object in memory; `wrong` is how often, of ten times, a request meets a fault."""

    chance: Random
    wrong: int
    tasks: asyncio.TaskGroup
    there: Stored | None = None
    writes: int = 0

    async def get(self, _: str) -> Stored | None:
        await asyncio.sleep(self.chance.random())
        found = self.there
        if self.chance.randrange(20) < self.wrong:
            raise UnavailableError("503")
        await asyncio.sleep(self.chance.random())
        return found

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        if key != LAYOUT.state:
            return ""
        fault = self.chance.choice(_FAULTS) if self.chance.randrange(10) < self.wrong else "none"
        await asyncio.sleep(self.chance.random())
        self._refuse(fault)
        if fault == "late":
            self.tasks.create_task(self._later(body, etag))
            raise UnknownOutcomeError("timeout")
        written = self._write(body, etag)
        await asyncio.sleep(self.chance.random())
        if fault == "lost":
            raise UnknownOutcomeError("reset")
        return written

    def _refuse(self, fault: str) -> None:
        if fault == "away":
            raise UnavailableError("no connection")
        if fault == "busy":
            raise BusyError("409")
        if fault == "stale":
            raise StaleError("412 for no reason")

    async def _later(self, body: bytes, etag: str | None) -> None:
        await asyncio.sleep(self.chance.choice((0.1, 1.0, 10.0)))
        try:
            self._write(body, etag)
        except StaleError:
            return

    def _write(self, body: bytes, etag: str | None) -> str:
        if (self.there.etag if self.there is not None else None) != etag:
            raise StaleError("412")
        self.writes += 1
        self.there = Stored(body, f'"{self.writes}"')
        return self.there.etag


@dataclass
class Act:
    """What one client did and was told; `end` is infinite where it was left in doubt."""

    kind: str
    begin: float
    base: str = ""
    value: str = ""
    end: float = math.inf


@dataclass
class History:
    """All acts, on one clock that ticks at each beginning and end."""

    acts: list[Act] = field(default_factory=list)
    ticks: int = 0

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def begin(self, kind: str, base: str = "", value: str = "") -> Act:
        self.acts.append(Act(kind, self.tick(), base, value))
        return self.acts[-1]

    def end(self, act: Act, kind: str) -> None:
        act.kind, act.end = kind, math.inf if kind == "doubt" else self.tick()


@dataclass
class Client:
    """One client: each value that it writes is its own."""

    name: str
    register: Register
    history: History
    chance: Random
    seen: Versioned | None = None
    written: int = 0
    open: Act | None = None

    async def run(self, acts: int) -> None:
        for _ in range(acts):
            await asyncio.sleep(self.chance.random() * 2)
            await self.chance.choice((self.read, self.swap, self.swap, self.change))()

    async def read(self) -> None:
        act = self.history.begin("read")
        try:
            self.seen = await self.register.read()
        except UnavailableError:
            self.history.acts.remove(act)
            return
        act.value = value(self.seen)
        self.history.end(act, "read")

    async def swap(self) -> None:
        await self._told(self.register.swap(self.seen, self._next))

    def _patience(self) -> float | None:
        """Seconds after which the client dies in the middle of what it does, if it does."""
        return self.chance.random() * 3 if self.chance.random() < 0.15 else None

    async def change(self) -> None:
        await self._told(self.register.change(self._next))

    def _next(self, state: State) -> State:
        if self.open is not None:
            self.history.end(self.open, "lost")
        self.written += 1
        new = f"{self.name}{self.written}"
        self.open = self.history.begin("swap", state.last_failure or "", new)
        return replace(state, last_failure=new)

    async def _told(self, asked: Coroutine[None, None, Versioned]) -> None:
        kind = "won"
        try:
            async with asyncio.timeout(self._patience()):
                self.seen = await asked
        except (UnknownOutcomeError, TimeoutError):
            kind = "doubt"
        except (ConflictError, UnavailableError):  # lost, too many rivals, or away when it was read
            kind = "lost"
        if self.open is not None:
            self.history.end(self.open, kind)
            self.open = None


def value(seen: Versioned | None) -> str:
    return (seen.state.last_failure or "") if seen is not None else ""


def is_linearizable(acts: list[Act]) -> bool:
    """Whether some order of the acts, true to their times, makes every answer right."""
    todo = (1 << len(acts)) - 1
    seen: set[tuple[int, str]] = set()
    open_ = [(todo, "")]
    while open_:
        left, held = open_.pop()
        if (left, held) in seen:
            continue
        seen.add((left, held))
        waiting = [at for at in range(len(acts)) if left >> at & 1]
        if all(acts[at].kind == "doubt" for at in waiting):
            return True
        first_end = min(acts[at].end for at in waiting)
        for at in waiting:
            if acts[at].begin < first_end:
                open_ += [(left & ~(1 << at), after) for after in _after(acts[at], held)]
    return False


def _after(act: Act, held: str) -> list[str]:
    """What the register may hold after the act, if it held this before; nothing if it cannot be."""
    if act.kind == "read":
        return [held] if act.value == held else []
    took = [act.value] if act.base == held else []
    if act.kind == "lost" and act.base != held:
        return [held]
    return took


async def _played(chance: Random) -> History:
    history, clients = History(), chance.randint(2, 8)
    try:
        async with asyncio.TaskGroup() as tasks:
            store = Store(chance, chance.choice((0, 3, 8)), tasks)
            for number in range(clients):
                register = Register(store, LAYOUT, BIRTH)
                client = Client("abcdefgh"[number], register, history, chance)
                tasks.create_task(client.run(chance.randint(1, 4 if clients < 5 else 2)))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    last = history.begin("read")
    if store.there is not None:
        last.value = value(Register(store, LAYOUT, BIRTH)._checked(store.there))
    history.end(last, "read")
    return history


def history_of(seed: int) -> History:
    chance = Random(seed)
    with clock.given(Origin(chance)), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_played(chance))


@thorough
@given(seed=st.integers(0, 2**32))
def test_one_order_of_all_swaps_explains_every_answer(seed: int) -> None:
    history = history_of(seed)
    assert is_linearizable(history.acts), history.acts


def test_the_histories_hold_what_makes_them_hard() -> None:
    kinds = [act.kind for seed in range(100) for act in history_of(seed).acts]
    for kind in ("read", "won", "lost", "doubt"):
        assert kinds.count(kind) > 10, kind


@pytest.mark.parametrize(
    "acts",
    [
        [Act("won", 1, "", "a", 2), Act("won", 3, "", "b", 4)],
        [Act("won", 1, "", "a", 3), Act("won", 2, "", "b", 4)],
        [Act("won", 1, "", "a", 2), Act("read", 3, "", "", 4)],
        [Act("lost", 1, "", "a", 2), Act("read", 3, "", "b", 4)],
        [Act("lost", 1, "", "a", 2), Act("read", 3, "", "", 4)],
        [Act("won", 1, "x", "a", 2)],
    ],
)
def test_a_wrong_history_has_no_order(acts: list[Act]) -> None:
    assert not is_linearizable(acts)
