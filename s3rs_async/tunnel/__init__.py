"""Bastions: one SSH connection to each, and as many ways through it as are asked for.

A way is a local port that leads to one host and port behind the bastion. Connections are opened
when a way is first asked for and opened again when one is asked for after a loss, never by
themselves: a session cannot be moved unseen from one connection to another. Whoever asks while a
bastion is being opened waits for that attempt and shares its end, so a bastion that fails is tried
once by all and holds up nobody who asks for another.

Opening is done by tasks of `Bastions` itself: a caller who is cancelled leaves nothing half open,
and what it had asked for is there for the next. All ends with `open_bastions`. The SSH library is
loaded by the first way that is asked for: without a tunnel nothing of it is in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import Error, UnavailableError
from ..flow import together

if TYPE_CHECKING:
    from ..config import TunnelConfig
    from .ssh import Ssh

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to: a host itself, or the near end of a way through a bastion."""

    host: str
    port: int


@asynccontextmanager
async def open_bastions() -> AsyncIterator[Bastions]:
    """No bastion yet; every one that was opened within is closed at the end."""
    async with together() as tasks:
        bastions = Bastions(tasks)
        try:
            yield bastions
        finally:
            await bastions._close()  # noqa: SLF001 - one module, one owner


class Bastions:
    """Every bastion that has been asked for, each with its own connection."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._known: dict[TunnelConfig, _Bastion] = {}

    async def address(self, tunnel: TunnelConfig, host: str, port: int) -> Address:
        """The near end of the way through the bastion to `host`:`port`."""
        if tunnel not in self._known:
            self._known[tunnel] = _Bastion(tunnel, self._tasks)
        return await self._known[tunnel].lead(Address(host, port))

    async def refusal(self, tunnel: TunnelConfig, host: str, port: int) -> Error | None:
        """Why the far end cannot be reached from the bastion; None if it can."""
        bastion = self._known.get(tunnel)
        if bastion is None or bastion.ssh is None or not bastion.ssh.is_open():
            return _lost(tunnel)
        return await bastion.ssh.refusal(host, port)

    def state(self) -> dict[str, bool]:
        """For every bastion that was asked for, by its host:port, whether it is open."""
        found: dict[str, bool] = {}
        for tunnel, bastion in self._known.items():
            is_open = bastion.ssh is not None and bastion.ssh.is_open()
            found[tunnel.place] = is_open or found.get(tunnel.place, False)
        return found

    async def _close(self) -> None:
        async with asyncio.TaskGroup() as closing:
            for bastion in self._known.values():
                closing.create_task(bastion.close())


class _Bastion:
    """One bastion: its connection, and the ways that lead through it."""

    def __init__(self, config: TunnelConfig, tasks: asyncio.TaskGroup) -> None:
        self.ssh: Ssh | None = None
        self._config = config
        self._tasks = tasks
        self._near: dict[Address, Address] = {}
        self._opening: asyncio.Task[Error | None] | None = None

    async def lead(self, far: Address) -> Address:
        """The near end of the way to `far`, opened by one attempt that all wait for."""
        while self.ssh is None or not self.ssh.is_open() or far not in self._near:
            if self._opening is None or self._opening.done():
                self._opening = self._tasks.create_task(self._open(far))
            opening = self._opening
            await asyncio.wait([opening])
            if opening.cancelled():
                raise _lost(self._config)
            if (known := opening.result()) is not None:
                raise type(known)(known.message, hint=known.hint, **known.context) from known
        return self._near[far]

    async def _open(self, far: Address) -> Error | None:
        """Connect if need be and add the way; an error is a value, or it would end the group."""
        from . import ssh  # noqa: PLC0415 - an idle pass without a tunnel never needs the library

        try:
            if self.ssh is None or not self.ssh.is_open():
                self._near = {}
                self.ssh = await ssh.connect(self._config)
            self._near[far] = Address(LOOPBACK, await self.ssh.forward(far.host, far.port))
        except Error as known:
            return known
        return None

    async def close(self) -> None:
        """Stop what is being opened, then close what is open."""
        try:
            if self._opening is not None:
                self._opening.cancel()
                await asyncio.wait([self._opening])
        finally:
            if self.ssh is not None:
                await self.ssh.close()


def _lost(tunnel: TunnelConfig) -> Error:
    return UnavailableError(
        "the tunnel was lost",
        where="tunnel",
        bastion=tunnel.place,
        hint="it is opened again at the next attempt",
    )
