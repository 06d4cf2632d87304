"""Who extracts a table now: a claim inside the state, and whether its holder still lives.

Only for efficiency: a wrongly declared death wastes the other's work and nothing more, because its
next commit is fenced by the epoch. No wall clocks are compared. A holder is dead when it has let
go, when it ran on this host and boot and its process is gone, or when its heartbeat object stayed
the same (or missing) while we watched for `TTL + 5 s` on our own clock.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
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
from .codec import dumps, pack
from .layout import writer_key
from .register import LostError

if TYPE_CHECKING:
    from .object import Stat
    from .register import Register, Versioned

TTL_SECONDS = 30.0

_MARGIN_SECONDS = 5.0
_LOOK_SECONDS = 2.5
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


async def take(
    register: Register,
    claim: Claim,
    dead: Callable[[State], Awaitable[bool]],
    *,
    steal: bool = False,
) -> Versioned:
    """Take the extraction role, at once when it is free; ConflictError naming a living holder."""
    for _ in range(_TAKES):
        base = await register.read()
        holder = base.state.claim if base is not None else None
        if base is not None and holder == claim:
            return base
        if base is not None and holder is not None and not steal and not await dead(base.state):
            _refuse(base.state, holder)
        try:
            return await register.swap(base, lambda state: claimed(state, claim))
        except LostError:
            continue  # someone moved the state while we watched: judge the new holder
    raise ConflictError("too many processes want the table", hint="one replica per table is enough")


async def release(register: Register, claim: Claim, failure: str | None = None) -> None:
    """Give the role back, so that the next one need not wait; nothing when it is not ours."""
    if await register.read() is not None:
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
        number += 1
        facts = {"format": "s3rs-writer", "beat": number, "id": clock.ulid(), "claim": pack(claim)}
        body = dumps(
            facts
        ).encode()  # with an id, or the next pass's first beat would look the same
        try:
            async with asyncio.timeout(pace.beat):
                await store.put(writer_key(prefix, claim.writer), body)
        except (Error, TimeoutError) as reason:
            _log.warning("heartbeat_not_written", writer=claim.writer, reason=str(reason))
        await clock.sleep(pace.beat)


def _refuse(state: State, holder: Claim) -> None:
    raise ConflictError(
        "another process is extracting the table",
        table=state.table,
        holder=str(holder),
        hint="let it finish, or end that process: its claim is void as soon as it is gone",
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
