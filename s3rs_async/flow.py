"""Channels between two stations, bounded in bytes, and tasks that fail as one.

The producer waits when `limit` bytes are under way, so that a slow stage is felt by the fast one
before it: a stalled upload stops the encoder, the encoder stops the reader, and the reader stops
the server. Bytes count from `put` until `release`, not until `get`: what a consumer still holds is
under way too. A consumer that gathers items before it releases any must let go once it holds two
thirds of `limit`, else both ends wait for ever; so no item counts for more than the third that is
left.

Several producers may also work side by side on what one consumer wants in order (`InTurn`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
        counted = min(size, self.limit // 3)
        async with self._changed:
            await self._changed.wait_for(lambda: self._held + counted <= self.limit)
            self._held += counted
            self._items.append((item, counted))
            self._changed.notify_all()

    async def close(self) -> None:
        """No more will come: consumers end once they have had what is there."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def get(self) -> tuple[Item, int] | None:
        """The next item and the bytes to release for it; None once closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._items or self._closed)
            return self._items.popleft() if self._items else None

    async def release(self, size: int) -> None:
        """Say that `size` bytes are no longer held."""
        async with self._changed:
            self._held -= size
            self._changed.notify_all()


@dataclass(eq=False, slots=True)
class Turn(Generic[Item]):
    """What one producer puts, until it says that this is all."""

    items: deque[tuple[Item, int]] = field(default_factory=deque)
    ended: bool = False


class InTurn(Generic[Item]):
    """Items turn by turn, in the order in which the turns were opened.

    What waits holds at most `limit` bytes. But the turn that is under way may put an item whenever
    it has none there, else those behind it could fill the room and all would wait for ever.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._closed = False
        self._turns: deque[Turn[Item]] = deque()
        self._changed = asyncio.Condition()

    def open(self) -> Turn[Item]:
        """A turn behind all that were opened before."""
        turn: Turn[Item] = Turn()
        self._turns.append(turn)
        return turn

    async def put(self, turn: Turn[Item], item: Item, size: int) -> None:
        """Add `item` of `size` bytes to a turn, as soon as there is room for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(turn, size))
            self.held += size
            turn.items.append((item, size))
            self._changed.notify_all()

    async def end(self, turn: Turn[Item]) -> None:
        """No more will be put into a turn."""
        async with self._changed:
            turn.ended = True
            self._changed.notify_all()

    async def close(self) -> None:
        """No more turns will be opened: the consumer ends once it has had what is there."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def get(self) -> Item | None:
        """The next item; None once closed and empty. Its bytes count no longer."""
        async with self._changed:
            await self._changed.wait_for(self._has_more)
            if not self._turns:
                return None
            item, size = self._turns[0].items.popleft()
            self.held -= size
            self._changed.notify_all()
            return item

    def _has_room(self, turn: Turn[Item], size: int) -> bool:
        first = next((each for each in self._turns if each.items or not each.ended), None)
        return self.held + size <= self.limit or (turn is first and not turn.items)

    def _has_more(self) -> bool:
        """Whether the consumer need not wait; what is done with is forgotten."""
        while self._turns and self._turns[0].ended and not self._turns[0].items:
            self._turns.popleft()
        return bool(self._turns and self._turns[0].items) or (self._closed and not self._turns)


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup whose first failure is raised as itself, with the others as its notes.

    When a connection dies, everything that used its bytes fails after it; the cause is the first.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        first, *others = _leaves(group)
        for other in others:
            first.add_note(f"and then: {type(other).__name__}: {other}")
        raise first from first.__cause__


async def unless(stop: asyncio.Event, work: Coroutine[object, object, Item]) -> Item | None:
    """What the work gives; None where the event came first: then the work is cancelled."""
    async with together() as tasks:
        doing = tasks.create_task(work, name="work")
        told = tasks.create_task(stop.wait(), name="stop")
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        doing.cancel()
        told.cancel()
    return None if doing.cancelled() else doing.result()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
