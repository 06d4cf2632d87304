"""Time, ids and chance: the only module that asks the machine for them.

Everything else takes them from here, so that a test can hold all three and a failure can be played
again: `given` puts another origin in the machine's place. Wall-clock time is for people; no rule of
the protocol rests on it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as in the ULID specification


class Origin(Protocol):
    """Where time and chance come from."""

    def wall(self) -> float:
        """Seconds since 1970."""

    def steady(self) -> float:
        """Seconds that only grow."""

    def bits(self, count: int) -> int:
        """A random number of so many bits."""

    def share(self) -> float:
        """A random number from 0 to 1."""


class _Machine:
    """The machine's own clocks and chance."""

    def wall(self) -> float:
        return time.time()

    def steady(self) -> float:
        return time.monotonic()

    def bits(self, count: int) -> int:
        return int.from_bytes(os.urandom((count + 7) // 8), "big") >> (-count % 8)

    def share(self) -> float:
        return random.random()  # noqa: S311 - spreading retries is no secret


_origin: Origin = _Machine()


@contextmanager
def given(origin: Origin) -> Iterator[None]:
    """Take time and chance from `origin` as long as the block runs."""
    global _origin  # noqa: PLW0603 - one machine, one clock
    before, _origin = _origin, origin
    try:
        yield
    finally:
        _origin = before


def utc_now() -> dt.datetime:
    """Now, aware, in UTC."""
    return dt.datetime.fromtimestamp(_origin.wall(), dt.UTC)


def iso_now() -> str:
    """Now as text, to the microsecond, for objects and logs."""
    return utc_now().isoformat(timespec="microseconds")


def seconds() -> float:
    """Seconds that only grow; for durations, never for dates."""
    return _origin.steady()


def ulid() -> str:
    """A new ULID: 26 characters that sort by the time they were made."""
    value = (int(_origin.wall() * 1000) << 80) | _origin.bits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def jitter(upper: float) -> float:
    """A number of seconds between nothing and `upper` (full jitter)."""
    return _origin.share() * upper


async def sleep(duration: float) -> None:
    """Wait `duration` seconds."""
    await asyncio.sleep(duration)
