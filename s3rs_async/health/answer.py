"""What is answered to whom: paths and texts, and how late the loop is. No socket and no HTTP here.

A loop that hangs answers nothing, and the prober's own timeout tells that. A loop that turns too
slowly does answer, so its lateness is measured by a timer of one second: the age of the last beat,
or the gap before it where that was longer. A single stall is forgotten with the next beat; only a
process that goes on thrashing is late each time it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self

from .. import clock
from ..errors import one_line
from ..metrics import Metrics

BEAT: Final = 1.0
TOO_LATE: Final = 30.0
PATHS: Final = ("/healthz", "/readyz", "/metrics")
METHODS: Final = ("GET", "HEAD")

_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a body of a type."""

    status: int
    body: bytes
    content_type: str = _PLAIN


class Pulse:
    """When the running loop last turned, and the gap before that."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._beat_at = clock.seconds()
        self._gap = 0.0

    def __enter__(self) -> Self:
        self._timer = self._loop.call_later(BEAT, self._beat)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def late(self) -> float:
        """Seconds by which the loop is late, or was at its last beat."""
        return max(self._gap, clock.seconds() - self._beat_at, BEAT) - BEAT

    def _beat(self) -> None:
        now = clock.seconds()
        self._gap, self._beat_at = now - self._beat_at, now
        self._timer = self._loop.call_later(BEAT, self._beat)


class Answers:
    """The three paths; scrapes are written by one thread, which is ended with the block."""

    def __init__(self, pulse: Pulse, metrics: Metrics, ready: Callable[[], Sequence[str]]) -> None:
        self._pulse, self._metrics, self._ready = pulse, metrics, ready
        self._writer = ThreadPoolExecutor(1, "metrics")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(wait=False, cancel_futures=True)

    async def answer(self, method: str, path: str, accept: str) -> Answer:
        """The answer to one request."""
        if path not in PATHS:
            return _text(404, f"not here; there are {', '.join(PATHS)}")
        if method not in METHODS:
            return _text(405, f"only {' and '.join(METHODS)}")
        if path == "/metrics":
            return await self._scrape(accept)
        return self._healthz() if path == "/healthz" else self._readyz()

    def _healthz(self) -> Answer:
        late = self._pulse.late()
        return _text(503, f"the loop is {late:.0f} s late") if late > TOO_LATE else _text(200, "ok")

    def _readyz(self) -> Answer:
        reasons = [one_line(reason) for reason in self._ready()]
        return _text(503, *reasons) if reasons else _text(200, "ready")

    async def _scrape(self, accept: str) -> Answer:
        loop = asyncio.get_running_loop()
        body, kind = await loop.run_in_executor(self._writer, self._metrics.expose, accept)
        return Answer(200, body, kind)


def _text(status: int, *lines: str) -> Answer:
    return Answer(status, "".join(f"{line}\n" for line in lines).encode())
