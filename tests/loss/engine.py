"""The product's own passes in this process: what `s3rs sync` and the daemon do with a table.

The ends stay open, on a loop in a thread of its own, and there the running watch goes on between
passes as a daemon's does. A pass may take its bound from that, or be the command's, which watches
for itself. Everything else is the line as it is: S3, the ledger, the stand-in.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from s3rs_async.flow import together
from s3rs_async.mysql.lookout import Lookout
from s3rs_async.pipeline import bring_forward
from s3rs_async.report import Meter
from s3rs_async.service import MEMORY, PARALLEL, Ends, Job, Stop, open_ends
from s3rs_async.staging import share
from s3rs_async.sync import Request
from s3rs_async.verify import Comparing, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3rs_async.config import Connections
    from s3rs_async.model import TableSpec
    from s3rs_async.planning import Plan
    from s3rs_async.verify import Verdict

TARGET = "standin"
_PATIENCE = 90.0


@dataclass(frozen=True)
class Ask:
    """One table, by which pipeline, and whether the running watch tells the bound."""

    pipeline: str
    spec: TableSpec
    watched: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class _Open:
    ends: Ends
    lookout: Lookout
    loop: asyncio.AbstractEventLoop
    closed: asyncio.Event


class Engine:
    """One source and the stand-in, open; `with` it."""

    def __init__(self, connections: Connections, source: str) -> None:
        self.source = source
        self._connections = connections
        self._plans: dict[tuple[str, str], Plan] = {}
        self._opened: Future[_Open] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._open = self._opened.result(_PATIENCE)
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.loop.call_soon_threadsafe(self._open.closed.set)
        self._thread.join()

    def sync(self, asks: Sequence[Ask]) -> list[Meter]:
        """One pass of each, side by side; the first failure is raised."""
        return asyncio.run_coroutine_threadsafe(self._passes(asks), self._open.loop).result(
            _PATIENCE
        )

    def verified(self, ask: Ask) -> Verdict:
        """What a comparison of the table finds, while nothing else is done."""
        found = asyncio.run_coroutine_threadsafe(self._verified(ask), self._open.loop)
        return found.result(_PATIENCE)

    async def _verified(self, ask: Ask) -> Verdict:
        job = Job(ask.pipeline, self.source, TARGET, (ask.spec,))
        return await Comparing.of(self._open.ends, job, Wish(), Stop()).table(ask.spec)

    async def _serve(self) -> None:
        job = Job("open", self.source, TARGET, ())
        try:
            async with open_ends(self._connections, [job]) as ends, asyncio.TaskGroup() as tasks:
                watched = ends.sources[ends.watched(self.source)]
                lookout, closed = Lookout(watched), asyncio.Event()
                watching = tasks.create_task(lookout.run(), name="lookout")
                await lookout.sight()
                self._opened.set_result(_Open(ends, lookout, asyncio.get_running_loop(), closed))
                await closed.wait()
                watching.cancel()
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)

    async def _passes(self, asks: Sequence[Ask]) -> list[Meter]:
        async with together() as tasks:
            passes = [tasks.create_task(self._pass(ask), name=str(ask.spec.table)) for ask in asks]
        return [one.result() for one in passes]

    async def _pass(self, ask: Ask) -> Meter:
        """As the daemon does it: by the plan of the pass before, if it still fits."""
        at, known = self._open, (ask.pipeline, str(ask.spec.table))
        job = Job(ask.pipeline, self.source, TARGET, (ask.spec,))
        lookout = at.lookout if ask.watched else None
        line = at.ends.line(job, share(MEMORY, PARALLEL), Stop(), lookout)
        request = Request(ask.spec, limit=ask.limit, plan=self._plans.get(known))
        end = await bring_forward(line, request, Meter())
        if end.passed is None:
            raise end.report.error or RuntimeError("a pass that ended without a word")
        if end.passed.plan is not None:
            self._plans[known] = end.passed.plan
        return end.report.meter
