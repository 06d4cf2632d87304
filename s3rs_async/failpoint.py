"""Named places at which a test may stop this process, to end it there or break what it talks to.

`S3RS_FAILPOINT=NAME#N@SOCKET` arms one of them: the N-th time NAME is reached, the process connects
to that Unix socket, says the name, and waits for one line. `go` lets it go on, `enospc` lets the
disk be full just there. Whatever else shall happen (SIGKILL, SIGSTOP, a connection cut, an answer
lost) is done from outside meanwhile, so nothing here knows of any fault but one.

A place not armed costs a comparison. This is no switch of behaviour: without the variable, which
only tests set, there is nothing to reach.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .errors import ConfigError

VARIABLE = "S3RS_FAILPOINT"
_FORM = "NAME#N@SOCKET"


@dataclass(slots=True)
class _Armed:
    """The one place that is armed: its name, the visits until it fires, and who is told."""

    name: str
    visits: int
    socket: str


def _parsed(text: str | None) -> _Armed | None:
    if not text:
        return None
    place, at, socket = text.partition("@")
    name, _, visits = place.partition("#")
    if not (at and name and socket and visits.isdecimal()):
        raise ConfigError("not a failpoint", variable=VARIABLE, hint=f"write it as {_FORM}")
    return _Armed(name, int(visits), socket)


_armed = _parsed(os.environ.get(VARIABLE))


async def reached(name: str) -> None:
    """Tell whoever waits for us here, and wait until we may go on; nothing where not armed."""
    if _armed is None or _armed.name != name:
        return
    _armed.visits -= 1
    if _armed.visits == 0:
        await _tell(_armed)


@asynccontextmanager
async def step(name: str) -> AsyncIterator[None]:
    """One step of the protocol: the places `name:before` and, where it did not fail, `:after`."""
    await reached(f"{name}:before")
    yield
    await reached(f"{name}:after")


async def _tell(armed: _Armed) -> None:
    reader, writer = await asyncio.open_unix_connection(armed.socket)
    try:
        writer.write(f"{armed.name}\n".encode())
        await writer.drain()
        answer = (await reader.readline()).strip()
    finally:
        writer.close()
    if answer == b"enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
