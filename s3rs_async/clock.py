"""Time, ids and chance: the only module that asks the machine for them.

Everything else takes them from here, so that a test can hold all three and a failure can be played
again. Wall-clock time is for people; no rule of the protocol rests on it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as in the ULID specification


def utc_now() -> dt.datetime:
    """Now, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def iso_now() -> str:
    """Now as text, to the microsecond, for objects and logs."""
    return utc_now().isoformat(timespec="microseconds")


def seconds() -> float:
    """Seconds that only grow; for durations, never for dates."""
    return time.monotonic()


def ulid() -> str:
    """A new ULID: 26 characters that sort by the time they were made."""
    value = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def jitter(upper: float) -> float:
    """A number of seconds between nothing and `upper` (full jitter)."""
    return random.uniform(0.0, upper)  # noqa: S311 - spreading retries is no secret


async def sleep(duration: float) -> None:
    """Wait `duration` seconds."""
    await asyncio.sleep(duration)
