"""A few things kept at hand between uses, and let go of when nobody comes for them.

The one given back last is taken first, so that a quiet source soon holds one only. At most `most`
are kept, none for longer than `seconds`; who is too many or too old is handed to `leave`, which
must not wait. It knows nothing of what it keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Idle(Generic[Thing]):
    """What is at hand; a closed one keeps nothing more."""

    def __init__(self, leave: Callable[[Thing], None], *, most: int, seconds: float) -> None:
        self._leave = leave
        self._most = most
        self._seconds = seconds
        self._closed = False
        self._kept: dict[int, tuple[Thing, asyncio.TimerHandle]] = {}

    def take(self) -> Thing | None:
        """The one given back last; None where there is none."""
        if not self._kept:
            return None
        _, (thing, timer) = self._kept.popitem()
        timer.cancel()
        return thing

    def keep(self, thing: Thing) -> None:
        """Keep it for a while, or let it go at once."""
        if self._closed or len(self._kept) >= self._most:
            self._leave(thing)
            return
        loop = asyncio.get_running_loop()
        self._kept[id(thing)] = (thing, loop.call_later(self._seconds, self._expire, id(thing)))

    def close(self) -> None:
        """Let go of all."""
        self._closed = True
        while (thing := self.take()) is not None:
            self._leave(thing)

    def _expire(self, name: int) -> None:
        thing, _ = self._kept.pop(name)
        self._leave(thing)
