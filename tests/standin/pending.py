"""A statement that runs while a check goes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable


class Pending:
    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    async def waits(self, seconds: float = 0.15) -> bool:
        """Whether it has still no answer after so long."""
        await asyncio.wait([self._task], timeout=seconds)
        return not self._task.done()

    async def queues(self, watch: Any, con: Any) -> bool:
        """Whether it waits for a lock on its connection `con`, or has an answer."""
        held = "SELECT count(*) FROM svv_transactions WHERE pid = $1 AND granted = 'f'"
        while await self.waits(0.01):
            if await watch.fetchval(held, con.get_server_pid()):
                return True
        return False

    async def result(self) -> Any:
        return await self._task


@asynccontextmanager
async def pending(awaitable: Awaitable[Any]) -> AsyncIterator[Pending]:
    """Start it; what is still running at the end is given up, whatever it says."""
    task = asyncio.ensure_future(awaitable)
    try:
        yield Pending(task)
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
