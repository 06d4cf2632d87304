"""The way to S3 with faults, for tests without a loop: it lets every request through but one.

So a process is caught exactly between two of its steps, without a word of it in the program: held
before it is passed on, nothing has happened at the store; held before it is answered, it has. A
request that was held can be dropped, as when its sender died, or passed on late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from s3rs_async.sandbox.faults import Armed, Hold, Match, S3Faults, S3Request, s3_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 90.0
Request = S3Request


@dataclass(frozen=True, eq=False)
class Held:
    """A request that is held, once it has come."""

    armed: Armed
    loop: asyncio.AbstractEventLoop

    @property
    def reached(self) -> bool:
        """Whether the request stands at the gate."""
        return self.armed.met.is_set()

    def pass_on(self) -> int | None:
        """Let it through after all; the status of the store's answer."""
        return asyncio.run_coroutine_threadsafe(self.armed.deliver(), self.loop).result(_PATIENCE)


class Gate:
    """The endpoint; `with` it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._opened: Future[tuple[S3Faults, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        closed = asyncio.Event()
        async with s3_faults(self.upstream) as s3:
            self._opened.set_result((s3, asyncio.get_running_loop(), closed))
            await closed.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        self.s3, self._loop, self._closed = self._opened.result(_PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.s3.url

    @contextlib.contextmanager
    def holding(
        self, wanted: Callable[[Request], bool], *, answered: bool = False
    ) -> Iterator[Held]:
        """Hold the first such request until the block ends, if it was not let through before."""
        armed = self._told(lambda: self.s3.put(Match(where=wanted), Hold(applied=answered)))
        try:
            yield Held(armed, self._loop)
        finally:
            self._told(lambda: self.s3.lift(armed))

    def _told(self, what: Callable[[], Any]) -> Any:
        """Have something done in the gate's own thread."""
        done: Future[Any] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(what()))
        return done.result(_PATIENCE)
