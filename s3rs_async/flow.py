"""A channel between two stations, bounded in bytes.

The producer waits when `limit` bytes are under way, so that a slow stage is felt by the fast one
before it: a stalled upload stops the encoder, the encoder stops the reader, and the reader stops
the server. Bytes count from `put` until `release`, not until `get`: what a consumer still holds is
under way too. A consumer that gathers items before it releases any must let go once it holds half
of `limit`, else both ends wait for ever; an item larger than `limit` passes alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """First in, first out, from any number of producers to any number of consumers."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0
        self._closed = False
        self._items: deque[tuple[Item, int]] = deque()
        self._changed = asyncio.Condition()

    async def put(self, item: Item, size: int) -> None:
        """Pass `item` of `size` bytes on, as soon as there is room for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._held == 0 or self._fits(size))
            self._held += size
            self._items.append((item, size))
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._held + size <= self.limit

    async def close(self) -> None:
        """No more will come: consumers end once they have had what is there."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def release(self, size: int) -> None:
        """Say that `size` bytes are no longer held."""
        async with self._changed:
            self._held -= size
            self._changed.notify_all()

    async def items(self) -> AsyncIterator[tuple[Item, int]]:
        """Every item with its size, until the channel is closed and empty."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._items or self._closed)
                if not self._items:
                    return
                taken = self._items.popleft()
            yield taken
