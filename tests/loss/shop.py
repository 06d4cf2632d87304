"""Tables of every kind on a real server, the application's connections, and passes over them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from s3rs_async.model import Strategy, TableName, TableSpec
from tests.acceptance import ledger
from tests.acceptance.ledger import Place
from tests.acceptance.source import application
from tests.loss.engine import Ask
from tests.loss.model import Key, Kind

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box
    from tests.acceptance.source import Run
    from tests.loss.engine import Engine

KINDS = {
    "seconds": Kind(0, nullable=False, growing=True),
    "millis": Kind(3, nullable=True, growing=True),
    "micros": Kind(6, nullable=True, growing=False),
    "ids": Kind(6, nullable=False, growing=True, by_id=True),
}
PIPELINE = "shop"
REST = 2.2
"""Seconds after which a stamp lies below any bound that nothing holds, by the margin of `World`."""
_SETTINGS = (
    "SET innodb_lock_wait_timeout = 3, lock_wait_timeout = 600, tx_isolation = 'READ-COMMITTED'"
)


@dataclass
class Shop:
    """One example's tables, in a database that examples share, and its connections."""

    box: Box
    engine: Engine
    database: str
    number: int
    runs: list[Run] = field(default_factory=list)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        for _ in range(6):
            opened = application(self.box.mysql, self.database)
            self.runs.append(self._stack.enter_context(opened))
            self.runs[-1](_SETTINGS)
        looking = psycopg.connect(self.box.redshift.url, autocommit=True)
        self._target = self._stack.enter_context(looking)
        for name, kind in KINDS.items():
            self.runs[0](f"CREATE TABLE {self.table(name)} ({kind.columns})")

    def close(self) -> None:
        self._stack.close()

    @property
    def look(self) -> Run:
        """A connection that never writes."""
        return self.runs[5]

    def table(self, name: str) -> str:
        return f"{name}_{self.number}"

    def sync(self, *, watched: bool, limit: int | None) -> None:
        """A pass over all tables, side by side."""
        self.engine.sync([Ask(PIPELINE, self._spec(name), watched, limit) for name in KINDS])

    def verified(self, name: str) -> set[Key]:
        """The keys of the rows that `s3rs verify` finds to differ."""
        found = self.engine.verified(Ask(PIPELINE, self._spec(name))).found
        return {key if not KINDS[name].growing else int(key) for (key,) in found}

    def _spec(self, name: str) -> TableSpec:
        table = TableName(self.database, self.table(name))
        if KINDS[name].by_id:
            return TableSpec(table, strategy=Strategy.ID_ONLY)
        return TableSpec(table)

    def place(self, name: str) -> Place:
        table = f"{self.database}.{self.table(name)}"
        return Place(self.box, table, source=self.engine.source, pipeline=PIPELINE)

    def position(self, name: str) -> dict[str, Any]:
        """How far the product says that it has read the table."""
        state = ledger.state(self.place(name))
        return (state["position"] if state is not None else None) or {}

    def held(self, name: str) -> dict[Key, int]:
        """The target's rows, of which no two have one key."""
        return {key: value for key, (value, _) in self.target(name).items()}

    def source(self, name: str) -> dict[Key, tuple[Any, ...]]:
        """The table's rows with their stamps."""
        return {
            key: tuple(rest) for key, *rest in self.look(f"SELECT k, v, u FROM {self.table(name)}")
        }

    def target(self, name: str) -> dict[Key, tuple[Any, ...]]:
        """The same of the target, where no key may be twice; nothing before there is one."""
        place = f"{self.database}.{self.table(name)}"
        try:
            rows = self._target.execute(f"SELECT k, v, u FROM {place}".encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return {}
        assert len(rows) == len({key for key, *_ in rows}), f"{name}: a row is there twice"
        return {key: tuple(rest) for key, *rest in rows}

    def rests(self) -> None:
        """Until the server's clock has gone on so far that what is stamped by now is below."""
        ((end,),) = self.look(f"SELECT CAST(NOW(6) + INTERVAL {REST} SECOND AS CHAR)")
        while self.look(f"SELECT NOW(6) < '{end}'") == ((1,),):
            time.sleep(0.05)

    def waits(self, connection: int) -> bool:
        """Whether the server shows a connection waiting for a lock."""
        shown = {row[0]: row[6] or "" for row in self.look("SHOW PROCESSLIST")}
        return shown.get(connection, "").startswith("Waiting for")
