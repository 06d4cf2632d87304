"""A result's rows from the driver's connection into blocks, and how long is waited for them.

A server may think for hours before the first row (a sort, a slow view), so until then the limit is
generous; a network that is dead shows by the sockets' own probes. Between rows a long silence means
that nobody is there any more: the connection is lost. Only waiting for the server counts, never the
time that the consumer takes, for which the server waits (`net_write_timeout`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from .dial import BUFFER
from .wire import MOST_ROW_BYTES, Cutter

_IDLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a row may be, and how long is waited: for a result's first row, and for more."""

    row_bytes: int = MOST_ROW_BYTES
    answer_seconds: float = 14_400.0
    silent_seconds: float = 600.0


@contextlib.asynccontextmanager
async def patient(seconds: float, waiting: str) -> AsyncIterator[None]:
    """A server that is silent for so long is a lost connection."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise  # the network's own
        raise TimeoutError(f"the source was silent for {seconds:g} s {waiting}") from error


async def fill(connection: Any, cutter: Cutter, limits: Limits) -> None:  # noqa: ANN401 - untyped driver
    """Receive until a block of rows is full or the result has ended."""
    reader = connection._reader  # noqa: SLF001
    while not (cutter.done or cutter.full):
        idle = asyncio.timeout(_IDLE_SECONDS if cutter.waiting else None)
        try:
            async with patient(limits.silent_seconds, "in the middle of a result"), idle:
                data = await reader.read(BUFFER)
        except TimeoutError:
            if not idle.expired():
                raise
            cutter.walk()
        else:
            cutter.feed(data)
