"""How hard a source is read: one governor for all the tables that are read from it.

A source may limit how many connections read rows at once, and how many rows and bytes a second they
take together. Who has taken too many waits, with the connection open, and the server waits with it.

It may also say from which load on it wants to be spared: running threads, undo history that cannot
be purged, a replica's lag. That is looked at once a second while anything is read (`sentinel`).
Where it is too much, no statement is begun for up to half a minute; then one more chunk is read,
so that a source which is always busy is read slowly, and not never.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from .. import clock
from ..config import LimitsConfig

SPARED_SECONDS = 30.0
_BURST_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class Rate:
    """So much a second, and at once no more than in one second; pure.

    `until` is the moment to which what was taken is spread.
    """

    per_second: float
    until: float = -math.inf

    def taken(self, amount: float, now: float) -> float:
        """The seconds to wait after so much was taken."""
        self.until = max(self.until, now - _BURST_SECONDS) + amount / self.per_second
        return max(0.0, self.until - now)


@dataclass(frozen=True, slots=True)
class Load:
    """What a server bears; None: not known, or not asked. A replica that stands still lags inf."""

    threads_running: int | None = None
    history_length: int | None = None
    replica_lag: float | None = None

    def beyond(self, limits: LimitsConfig) -> str:
        """What of it is too much, in words; empty where nothing is."""
        pairs = {
            "threads_running": (self.threads_running, limits.threads_running),
            "history_length": (self.history_length, limits.history_length),
            "replica_lag": (self.replica_lag, limits.replica_lag),
        }
        return ", ".join(
            f"{name} {found:g} of {most:g}"
            for name, (found, most) in pairs.items()
            if found is not None and most is not None and found > most
        )


class Governor:
    """One source's; without limits it is never in the way."""

    def __init__(self, source: str, limits: LimitsConfig) -> None:
        self.limits = limits
        self.reason = ""
        self._source = source
        self._places = asyncio.Semaphore(limits.connections) if limits.connections else None
        self._rows = Rate(limits.rows_per_second) if limits.rows_per_second else None
        self._bytes = Rate(limits.bytes_per_second) if limits.bytes_per_second else None
        self._free = asyncio.Event()
        self._free.set()

    @property
    def looks(self) -> bool:
        """Whether the server's load means anything to it."""
        limits = self.limits
        return any((limits.threads_running, limits.history_length, limits.replica_lag))

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the connections that may read."""
        async with self._places or contextlib.nullcontext():
            yield

    async def spared(self) -> None:
        """Wait before a statement, where the source is to be spared; not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SPARED_SECONDS):
                await self._free.wait()

    async def took(self, rows: int, size: int) -> None:
        """So many rows and bytes were read: wait as long as they are to take."""
        now = clock.seconds()
        seconds = max(
            self._rows.taken(rows, now) if self._rows is not None else 0.0,
            self._bytes.taken(size, now) if self._bytes is not None else 0.0,
        )
        if seconds:
            await clock.sleep(seconds)

    def seen(self, load: Load) -> None:
        """The server bears so much now."""
        reason = load.beyond(self.limits)
        if reason and not self.reason:
            log.warning("the source is spared", source=self._source, reason=reason)
        elif self.reason and not reason:
            log.info("the source is read as before", source=self._source)
        self.reason = reason
        if reason:
            self._free.clear()
        else:
            self._free.set()

    def unseen(self) -> None:
        """Nobody looks any more: what was seen last holds no longer."""
        self.seen(Load())
