"""What the product takes for asyncpg's connection: the client's end of a session.

A statement goes out and its answer comes back, each some time later, one after the other. The
connection can be cut before the statement arrives, after it was carried out, or with the statement
still on its way; then the server notices at once, in a minute, or long after, and keeps the
session's locks until it does. A COMMIT on its way when its client dies is such a ghost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg

from s3rs_async.config import TargetConfig
from s3rs_async.redshift import faults
from tests.simulation.backend import Backend
from tests.simulation.loop import PROCESS
from tests.simulation.statements import Answer
from tests.simulation.tables import conflict, refuse
from tests.simulation.warehouse import Warehouse
from tests.simulation.world import DOOM, World, fail

_CUTS = ("refused", "before", "after", "flying", "silent")
_LONGEST_GHOST = 1_500.0


@dataclass(eq=False)
class Connection:
    """One session of one process."""

    world: World
    server: Warehouse
    backend: Backend
    arrives: float = 0.0
    closed: bool = False
    inside: bool = False

    async def execute(self, statement: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - the driver's own
        return (await self._send(statement, args, timeout)).tag

    async def fetch(self, statement: str, *args: object, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as above
        return (await self._send(statement, args, timeout)).rows

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.inside

    def get_server_pid(self) -> int:
        return self.backend.pid

    async def close(self, **_: Any) -> None:
        self.closed = True
        self.world.later(self._way(), self.backend.hang_up)

    def terminate(self) -> None:
        self._cut()

    async def _send(self, statement: str, args: tuple[Any, ...], patience: float | None) -> Answer:
        if self.world.closed:
            raise asyncio.CancelledError
        if self.closed:
            raise asyncpg.InterfaceError("connection is closed")
        answer: asyncio.Future[Answer] = self.world.loop.create_future()
        if self.world.strikes():
            kind = "doom" if self.world.chance(DOOM) else self.world.rng.choice(_CUTS)
            self._fail(kind, statement, args, answer, patience)
        else:
            self._go(self._way(), statement, args, answer)
        try:
            result = await answer
        except asyncio.CancelledError:
            self._cut()
            raise
        except asyncpg.PostgresConnectionError:
            self.closed = True
            raise
        except asyncpg.PostgresError:
            if statement == "COMMIT":
                self.inside = False
            raise
        self.inside = statement == "BEGIN" or (
            self.inside and statement not in {"COMMIT", "ROLLBACK"}
        )
        return result

    def _go(self, way: float, statement: str, args: tuple[Any, ...], answer: Any) -> None:
        self.world.later(way, self._received, statement, args, answer)

    def _received(self, statement: str, args: tuple[Any, ...], answer: Any) -> None:
        if not self.world.closed:
            self.server.receive(self.backend, statement, args, answer)

    def _fail(
        self, kind: str, statement: str, args: tuple[Any, ...], answer: Any, timeout: float | None
    ) -> None:
        world = self.world
        world.tally[kind] += 1
        world.note(f"{kind} pid {self.backend.pid} {statement[:40]}")
        way = self._way()
        lost = asyncpg.ConnectionDoesNotExistError(
            "connection was closed in the middle of operation"
        )
        match kind:
            case "doom":
                if world.chance(0.3):
                    way += world.rng.random() * 60.0
                    self.arrives = max(self.arrives, world.loop.time() + way)
                if not world.doom() or world.chance(0.5):
                    self._go(way, statement, args, answer)
            case "refused":
                world.later(way, self._refuse, answer)
            case "before":
                self._cut()
                fail(answer, lost)
            case "after" | "flying":
                slow = way if kind == "after" else way + world.rng.random() * 60.0
                self.arrives = max(self.arrives, world.loop.time() + slow)
                self._go(slow, statement, args, None)
                self._cut()
                fail(answer, lost)
            case _:
                self._go(way, statement, args, None)
                world.later(min(timeout or 60.0, 60.0), fail, answer, TimeoutError())
                world.later(60.0, self._cut)

    def _refuse(self, answer: Any) -> None:
        if self.backend.gone:
            fail(answer, asyncpg.ConnectionDoesNotExistError("connection was closed"))
            return
        self.backend.fail()
        error = conflict() if self.world.chance(0.7) else refuse("53100", "Disk Full")
        fail(answer, error)

    def _way(self) -> float:
        """When the next message arrives: never before the one that was sent before it."""
        now = self.world.loop.time()
        self.arrives = max(self.arrives, now + self.world.latency())
        return self.arrives - now

    def orphan(self) -> None:
        """The client's process has died."""
        if not self.closed:
            self._cut()

    def _cut(self) -> None:
        """The client is gone; the server notices some time after all that was on its way."""
        self.closed = True
        self.world.later(self._way() + self._unnoticed(), self.backend.hang_up)

    def _unnoticed(self) -> float:
        kind = self.world.rng.random()
        if kind < 0.6:
            return 0.1 * kind
        return self.world.rng.random() * (60.0 if kind < 0.93 else _LONGEST_GHOST)


def dial(world: World, server: Warehouse, name: str, config: TargetConfig) -> Any:
    """The way to the warehouse: each call is a fresh connection, or says why there is none."""

    async def connect() -> Connection:
        if world.closed:
            raise asyncio.CancelledError
        await asyncio.sleep(world.latency())
        if world.strikes():
            raise faults.unreachable(OSError("connection refused"), name, config)
        made = Connection(world, server, server.connect())
        process = PROCESS.get()
        if process is not None:
            process.at_death.append(made.orphan)
        return made

    return connect
