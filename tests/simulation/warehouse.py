"""The warehouse in memory: its tables, its locks, and who waits for whom.

Isolation is Redshift's SNAPSHOT: a transaction sees what was committed before its first statement
that reads or writes, and its own changes; LOCK takes no snapshot. A statement fixes its snapshot
before it waits for a lock: whoever reads first and locks then sees the past. A row that another
transaction has changed since is refused (1023). Locks are a table's: shared by whatever touched it,
or exclusive, and one writes at a time; they are held to the transaction's end, and a ring of those
who wait is refused.

A session lives on when its client is gone, with its locks, until the server notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.simulation.backend import Backend
from tests.simulation.expressions import Row
from tests.simulation.stage import Disk, Thing
from tests.simulation.tables import BlockedError, Table, refuse, rows_in
from tests.simulation.world import World, fail, succeed

_WRITES = {"INSERT", "DELETE", "UPDATE"}
_FIRST_PID = 1_073_741_000


@dataclass(eq=False, slots=True)
class Waiting:
    """A statement that waits for a lock, and whom its answer goes to."""

    backend: Backend
    table: str
    statement: str
    args: Sequence[Any]
    answer: Any
    timer: Any = None


@dataclass(eq=False)
class Warehouse:
    """The server."""

    world: World
    disk: Disk
    user: str = "loader"
    tables: dict[str, Table] = field(default_factory=dict)
    schemas: list[str] = field(default_factory=lambda: ["public", "shop"])
    exclusive: dict[str, Backend] = field(default_factory=dict)
    writers: dict[str, Backend] = field(default_factory=dict)
    shared: dict[str, list[Backend]] = field(default_factory=dict)
    backends: dict[int, Backend] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    parsed: dict[str, list[Row]] = field(default_factory=dict)
    rows: int = 0
    commits: int = 0

    def connect(self) -> Backend:
        backend = Backend(self, _FIRST_PID + len(self.backends))
        self.backends[backend.pid] = backend
        return backend

    def number(self) -> int:
        self.rows += 1
        return self.rows

    def receive(self, backend: Backend, statement: str, args: Sequence[Any], answer: Any) -> None:
        """A statement arrives; its answer goes to `answer` now, or when its lock is free."""
        if backend.gone:
            fail(answer, asyncpg.ConnectionDoesNotExistError("connection was closed"))
            return
        self._try(Waiting(backend, "", statement, args, answer))

    def _try(self, asked: Waiting) -> None:
        before = self.commits
        backend, world = asked.backend, self.world
        try:
            result = backend.run(asked.statement, asked.args)
        except BlockedError as blocked:
            asked.table = blocked.table
            self._wait(asked)
            return
        except asyncpg.PostgresError as refused:
            world.note(f"pid {backend.pid} {asked.statement[:40]} ! {refused.sqlstate}")
            fail(asked.answer, refused)
        except Exception as bug:  # noqa: BLE001 - ours or the product's, it must not pass unseen
            world.bug(bug)
            return
        else:
            world.note(f"pid {backend.pid} {asked.statement[:40]} {result.tag}")
            succeed(asked.answer, result)
        if asked.timer is not None:
            asked.timer.cancel()
        if self.commits != before:
            world.check("commit")
        self.wake()

    def _wait(self, asked: Waiting) -> None:
        if asked not in self.waiting:
            self.waiting.append(asked)
        if self._is_ring(asked.backend):
            self._give_up(asked, refuse("40P01", "deadlock detected"))
        elif asked.timer is None:
            late = refuse("57014", "Query cancelled on user's request")
            asked.timer = self.world.later(asked.backend.timeout, self._give_up, asked, late)

    def _give_up(self, asked: Waiting, error: Exception) -> None:
        if asked in self.waiting:
            self.waiting.remove(asked)
            asked.backend.fail()
            fail(asked.answer, error)
            self.wake()

    def _is_ring(self, start: Backend) -> bool:
        seen: list[Backend] = []
        ahead = [start]
        while ahead:
            for each in self.waiting:
                if each.backend is ahead[0]:
                    holders = self.holders(each.table)
                    found = [h for h in holders if h is not each.backend]
                    if start in found:
                        return True
                    ahead += [holder for holder in found if holder not in seen]
                    seen += found
            ahead.pop(0)
        return False

    def holders(self, table: str) -> list[Backend]:
        some = [each[table] for each in (self.exclusive, self.writers) if table in each]
        return list(dict.fromkeys([*some, *self.shared.get(table, ())]))

    def wake(self) -> None:
        """Let those try again whose lock may be free now, one at a time and in their order."""
        for asked in self.waiting:
            if self._is_free(asked):
                self.waiting.remove(asked)
                self._try(asked)
                return

    def _is_free(self, asked: Waiting) -> bool:
        word, backend = asked.statement.partition(" ")[0], asked.backend
        if word in _WRITES and self.writers.get(asked.table) not in (None, backend):
            return False
        return backend.may_have(asked.table, lock=word == "LOCK")

    def forget(self, backend: Backend) -> None:
        """The backend waits for nothing any more."""
        for asked in [each for each in self.waiting if each.backend is backend]:
            self.waiting.remove(asked)
            if asked.timer is not None:
                asked.timer.cancel()
            fail(asked.answer, asyncpg.ConnectionDoesNotExistError("connection was closed"))

    def part(self, thing: Thing) -> list[Row]:
        """A parquet file's rows, parsed once."""
        if thing.etag not in self.parsed:
            self.parsed[thing.etag] = rows_in(thing)
        return self.parsed[thing.etag]
