"""Who extracts a table now: a claim inside the state, and whether its holder still lives.

Only for efficiency: a wrongly declared death wastes the other's work and nothing more, because its
next commit is fenced by the epoch. No wall clocks are compared. A holder is dead when it has let
go, when it ran on this host and boot and its process is gone, or when its heartbeat object stayed
the same (or missing) while we watched for `TTL + 5 s` on our own clock. A living one is waited for
as long as asked (`Rivals`), else refused by name; who steals asks nobody.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from .. import clock
from ..commit import Claim, State, claimed, released
from ..errors import ConflictError, Error
from ..failpoint import step
from .codec import dumps, pack
from .layout import writer_key
from .register import LostError

if TYPE_CHECKING:
    from .object import Stat
    from .register import Register, Versioned

TTL_SECONDS = 30.0

_MARGIN_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_TAKES = 8

_log: Any = structlog.get_logger(__name__)


class Beats(Protocol):
    """What the heartbeat needs of a store."""

    async def head(self, key: str) -> Stat | None:
        """The object without its body, or None."""

    async def put(self, key: str, body: bytes) -> str:
        """Write without a condition; the new ETag."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a heart beats and how long it may stand still, from one number of seconds.

    All processes that share tables should have the same: one that beats more slowly than another
    watches is taken for dead, which wastes its work (and nothing more).
    """

    ttl: float = TTL_SECONDS

    @property
    def beat(self) -> float:
        """Seconds between two beats."""
        return self.ttl / 3

    @property
    def watch(self) -> float:
        """Seconds for which a heart must have stood still under our eyes."""
        return self.ttl + _MARGIN_SECONDS

    @property
    def look(self) -> float:
        """Seconds between two looks at a holder that is waited for."""
        return min(_LOOK_SECONDS, self.ttl / 4)


def this_process() -> Claim:
    """A claim in the name of the running process, with a writer id of its own."""
    pid = os.getpid()
    return Claim(clock.ulid(), socket.gethostname(), _boot(), pid, _started(pid) or "")


def is_gone(claim: Claim, here: Claim) -> bool:
    """Whether the holder is known to be dead without asking anyone."""
    if claim.released:
        return True
    if not claim.boot or (claim.host, claim.boot) != (here.host, here.boot):
        return False
    return _started(claim.pid) != claim.started


class Life(Enum):
    """What a look at a holder shows."""

    ALIVE = auto()
    SILENT = auto()
    DEAD = auto()


@dataclass(slots=True)
class Suspicion:
    """A holding of a table under suspicion: its epoch, its beat, and when it would be dead."""

    epoch: int = -1
    beat: str | None = None
    until: float = 0.0

    @property
    def left(self) -> float:
        """Seconds until a holder that goes on to say nothing counts as dead."""
        return max(self.until - clock.seconds(), 0.0)


async def look(
    store: Beats, prefix: str, state: State, here: Claim, suspicion: Suspicion, pace: Pace
) -> Life:
    """Look once at whoever holds the table, and remember it for the next look."""
    holder = state.claim
    if holder is None or is_gone(holder, here):
        return Life.DEAD
    beat = await _etag(store, writer_key(prefix, holder.writer))
    until = clock.seconds() + pace.watch
    if suspicion.epoch != state.epoch:
        suspicion.epoch, suspicion.beat, suspicion.until = state.epoch, beat, until
    elif beat not in (suspicion.beat, None):
        suspicion.beat, suspicion.until = beat, until
        return Life.ALIVE
    return Life.SILENT if suspicion.left else Life.DEAD


class Answer(Enum):
    """Whether a held table may be taken."""

    FREE = auto()
    HELD = auto()
    CHANGED = auto()


@dataclass(slots=True)
class Rivals:
    """How one pass meets whoever holds its table: when it waits, how long, and what it has seen.

    `wait` are the seconds for which it waits for a living holder; a signal ends any waiting. A
    silent holder is watched until it is known to live or to be dead, unless there is a `suspicion`
    that is kept from pass to pass: then a look is enough, and the next pass looks again.
    """

    store: Beats
    prefix: str
    here: Claim
    pace: Pace
    stop: asyncio.Event
    wait: float = 0.0
    suspicion: Suspicion | None = None
    _until: float | None = None
    _acted: bool = False

    async def judge(self, register: Register, state: State) -> Answer:
        """Whether the table may be taken from the holder that `state` names."""
        known = self.suspicion if self.suspicion is not None else Suspicion()
        if self._until is None:
            self._until = clock.seconds() + self.wait
        while True:
            life = await look(self.store, self.prefix, state, self.here, known, self.pace)
            if life is Life.DEAD:
                return Answer.FREE
            if self.stop.is_set() or not self._goes_on(life):
                return Answer.HELD
            await self._sleep()
            now = await register.read()
            if now is None or (now.state.epoch, now.state.claim) != (state.epoch, state.claim):
                self._acted = True  # a moment ago, whoever it is now
                return Answer.CHANGED

    def _goes_on(self, life: Life) -> bool:
        watching = life is Life.SILENT and self.suspicion is None and not self._acted
        return watching or clock.seconds() < (self._until or 0.0)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.pace.look):
                await self.stop.wait()
        except TimeoutError:
            return


async def freed(register: Register, rivals: Rivals) -> Versioned | None:
    """The state once no living process but ours holds it; ConflictError naming the one that does.

    It can be held again a moment later: only `take` says that the table is ours.
    """
    while True:
        base = await register.read()
        holder = base.state.claim if base is not None else None
        if base is None or holder is None or holder == rivals.here:
            return base
        match await rivals.judge(register, base.state):
            case Answer.FREE:
                return base
            case Answer.HELD:
                raise _held(base.state, holder)
            case Answer.CHANGED:
                continue


async def take(register: Register, rivals: Rivals, *, steal: bool = False) -> Versioned:
    """Take the extraction role, at once when it is free or to be stolen."""
    claim = rivals.here
    for _ in range(_TAKES):
        base = await (register.read() if steal else freed(register, rivals))
        if base is not None and base.state.claim == claim:
            return base
        try:
            async with step("H1"):
                return await register.swap(base, partial(claimed, claim=claim))
        except LostError:
            continue  # someone moved the state meanwhile: judge the new holder
    raise ConflictError("too many processes want the table", hint="one replica per table is enough")


async def release(register: Register, claim: Claim, failure: str | None = None) -> None:
    """Give the role back, so that the next one need not wait; nothing when it is not ours."""
    if await register.read() is not None:
        async with step("H3"):
            await register.change(partial(released, claim=claim, failure=failure))


@asynccontextmanager
async def heartbeat(store: Beats, prefix: str, claim: Claim, pace: Pace) -> AsyncIterator[None]:
    """Show that this process lives, for as long as the block runs."""
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(_beat(store, prefix, claim, pace), name="heartbeat")
            try:
                yield
            finally:
                beating.cancel()
    except BaseExceptionGroup as block:
        failure = block.exceptions[0]  # a beat cannot fail: it is the block's own, let out plainly
    if failure is not None:
        raise failure


async def _beat(store: Beats, prefix: str, claim: Claim, pace: Pace) -> None:
    number = 0
    while True:
        number += 1  # with an id, or the next pass's first beat would look the same
        facts = {"format": "s3rs-writer", "beat": number, "id": clock.ulid(), "claim": pack(claim)}
        async with step("H2"):
            await _put_beat(store, writer_key(prefix, claim.writer), dumps(facts).encode(), pace)
        await clock.sleep(pace.beat)


async def _put_beat(store: Beats, key: str, body: bytes, pace: Pace) -> None:
    try:
        async with asyncio.timeout(pace.beat):
            await store.put(key, body)
    except (Error, TimeoutError) as reason:
        _log.warning("heartbeat_not_written", key=key, reason=str(reason) or "timed out")


def _held(state: State, holder: Claim) -> ConflictError:
    return ConflictError(
        "another process is extracting the table",
        table=state.table,
        holder=str(holder),
        hint="let it finish (--wait does), end it, or take the table from it (--steal)",
    )


async def _etag(store: Beats, key: str) -> str | None:
    found = await store.head(key)
    return found.etag if found is not None else None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process of this machine was started, in the kernel's ticks; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
