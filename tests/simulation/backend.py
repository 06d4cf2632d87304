"""One session on the warehouse's server: its transaction, what it sees, and what it is asked.

A statement that has no shape here ends the seed. What it may not have yet raises `BlockedError`,
and is asked again when its lock may be free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

from s3rs_async.redshift import sql
from tests.simulation.expressions import Row, UnknownStatementError
from tests.simulation.statements import Answer, understood
from tests.simulation.tables import (
    BlockedError,
    Table,
    Transaction,
    conflict,
    definitions,
    refuse,
    spelled,
)

if TYPE_CHECKING:
    from tests.simulation.warehouse import Warehouse

_CREATE = re.compile(r'CREATE (TEMP )?TABLE (IF NOT EXISTS )?([\w."]+) \((.*)')
_COPY = re.compile(
    r"COPY \"(\w+)\" \((.*)\) FROM 's3://[^/]+/([^']+)' .*FORMAT AS PARQUET MANIFEST"
)
_TIMEOUT = re.compile(r"SET statement_timeout TO (\d+)")


@dataclass(eq=False)
class Backend:
    """One session on the server."""

    server: Warehouse
    pid: int
    tx: Transaction | None = None
    temps: dict[str, Table] = field(default_factory=dict)
    timeout: float = 600.0
    copied: int = 0
    gone: bool = False

    # what its client asks

    def run(self, statement: str, args: Sequence[Any]) -> Answer:
        """One statement, in the transaction under way or in one of its own."""
        if statement in _CONTROL:
            return _CONTROL[statement](self)
        if self.tx is not None and self.tx.failed:
            raise refuse("25P02", "current transaction is aborted")
        if self.tx is None:
            self.tx = Transaction(implicit=True)
        try:
            answer = self._do(statement, args)
        except asyncpg.PostgresError:
            self.fail()
            raise
        if self.tx is not None and self.tx.implicit:
            self._commit()
        return answer

    def fail(self) -> None:
        """The statement failed: its transaction is lost."""
        if self.tx is not None and self.tx.implicit:
            self._end()
        elif self.tx is not None:
            self.tx.failed = True

    def hang_up(self) -> None:
        """The client is gone, and the server has noticed: everything is rolled back."""
        if self.gone:
            return
        self.gone = True
        self.server.world.note(f"pid {self.pid} gone")
        self.server.forget(self)
        self._end()
        self.server.wake()

    def _do(self, statement: str, args: Sequence[Any]) -> Answer:
        if statement in _ASKED:
            return _ASKED[statement](self, args)
        word = statement.partition(" ")[0]
        if word in _ORDERS:
            return _ORDERS[word](self, statement)
        wanted = understood(statement, args)
        self._snapshot()
        for table in wanted.touched:
            self._share(table)
        if wanted.writes and wanted.touched[0] not in self.temps:
            self._write(wanted.touched[0])
        return wanted.work(self, wanted.given)

    def begin(self) -> Answer:
        self.tx = Transaction(implicit=False)
        return Answer("BEGIN")

    def commit(self) -> Answer:
        if self.tx is None or self.tx.failed:
            self._end()
            return Answer("ROLLBACK")
        self._commit()
        return Answer("COMMIT")

    def roll_back(self) -> Answer:
        self._end()
        return Answer("ROLLBACK")

    def _commit(self) -> None:
        tx, server = self.tx, self.server
        if tx is not None:
            for name in tx.changed.keys() | tx.gone.keys():
                gone = tx.gone.get(name, set())
                kept = {n: row for n, row in server.tables[name].rows.items() if n not in gone}
                server.tables[name].rows = kept | tx.changed.get(name, {})
                server.commits += 1
            tx.temps.clear()
        self._end()

    def _end(self) -> None:
        server = self.server
        if self.tx is not None:
            for name in self.tx.temps:
                self.temps.pop(name, None)
        self.tx = None
        for name in [table for table, owner in server.exclusive.items() if owner is self]:
            del server.exclusive[name]
        for name in [table for table, owner in server.writers.items() if owner is self]:
            del server.writers[name]
        for owners in server.shared.values():
            if self in owners:
                owners.remove(self)

    # locks and snapshots

    def may_have(self, table: str, *, lock: bool) -> bool:
        owner = self.server.exclusive.get(table)
        if owner not in (None, self):
            return False
        return not lock or all(other is self for other in self.server.shared.get(table, ()))

    def _share(self, table: str) -> None:
        if table in self.temps:
            return
        if table not in self.server.tables:
            raise refuse("42P01", f'relation "{table}" does not exist')
        if not self.may_have(table, lock=False):
            raise BlockedError(table)
        owners = self.server.shared.setdefault(table, [])
        if self not in owners:
            owners.append(self)

    def _write(self, table: str) -> None:
        """One transaction writes to a table at a time."""
        if self.server.writers.setdefault(table, self) is not self:
            raise BlockedError(table)

    def lock(self, statement: str) -> Answer:
        table = statement.removeprefix("LOCK ").replace('"', "")
        if table not in self.server.tables:
            raise refuse("42P01", f'relation "{table}" does not exist')
        if self.tx is None or self.tx.implicit:
            raise refuse("25P01", "LOCK TABLE can only be used in transaction blocks")
        if not self.may_have(table, lock=True):
            raise BlockedError(table)
        self.server.exclusive[table] = self
        return Answer("LOCK TABLE")

    def _snapshot(self) -> None:
        if self.tx is not None and self.tx.snapshot is None:
            self.tx.snapshot = {name: table.rows for name, table in self.server.tables.items()}

    # the tables as a statement sees them

    def columns(self, name: str) -> list[str]:
        return (self.temps.get(name) or self.server.tables[name]).names

    def scan(self, name: str) -> dict[int, Row]:
        if name in self.temps:
            return self.temps[name].rows
        tx = self.tx
        assert tx is not None
        assert tx.snapshot is not None
        seen = tx.snapshot.get(name, {})
        if name not in tx.changed and name not in tx.gone:
            return seen
        gone = tx.gone.get(name, set())
        return {n: row for n, row in seen.items() if n not in gone} | tx.changed.get(name, {})

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        assert self.tx is not None
        where = (
            self.temps[name].rows if name in self.temps else self.tx.changed.setdefault(name, {})
        )
        for row in rows:
            where[self.server.number()] = row

    def delete(self, name: str, ids: Sequence[int]) -> None:
        tx = self.tx
        assert tx is not None
        committed = self.server.tables[name].rows
        own = tx.changed.setdefault(name, {})
        for number in ids:
            if own.pop(number, None) is None:
                if number not in committed:
                    raise conflict()
                tx.gone.setdefault(name, set()).add(number)

    def replace(self, name: str, rows: dict[int, Row]) -> None:
        self.delete(name, list(rows))
        self.insert(name, list(rows.values()))

    # the statements with shapes of their own

    def set(self, statement: str) -> Answer:
        if found := _TIMEOUT.fullmatch(statement):
            self.timeout = int(found[1]) / 1000
        elif not statement.startswith("SET query_group TO "):
            raise UnknownStatementError(statement)
        return Answer("SET")

    def create(self, statement: str) -> Answer:
        if statement.startswith("CREATE SCHEMA IF NOT EXISTS "):
            name = statement.rpartition(" ")[2].replace('"', "")
            if name not in self.server.schemas:
                self.server.schemas.append(name)
            return Answer("CREATE SCHEMA")
        found = _CREATE.fullmatch(statement)
        if found is None:
            raise UnknownStatementError(statement)
        name = found[3].replace('"', "")
        where = self.temps if found[1] else self.server.tables
        if name not in where:
            where[name] = Table(definitions(found[4]))
        elif not found[2]:
            raise refuse("42P07", f'relation "{name}" already exists')
        if found[1] and self.tx is not None:
            self.tx.temps.append(name)
        return Answer("CREATE TABLE")

    def copy(self, statement: str) -> Answer:
        found = _COPY.fullmatch(statement)
        if found is None:
            raise UnknownStatementError(statement)
        self._snapshot()
        stage, things = found[1], self.server.disk.things
        columns = [name.strip('" ') for name in found[2].split(",")]
        if columns != self.temps[stage].names:
            raise UnknownStatementError(statement)
        if found[3] not in things:
            raise refuse("XX000", "The specified S3 prefix does not exist")
        rows: list[Row] = []
        for entry in json.loads(things[found[3]].body)["entries"]:
            thing = things.get(entry["url"].split("/", 3)[3])
            if thing is None:
                raise refuse(
                    "XX000", "Problem reading manifest file - S3ServiceException:NoSuchKey"
                )
            if len(thing.body) != entry["meta"]["content_length"]:
                raise refuse("XX000", "Spectrum Scan Error: file size does not match")
            rows += self.server.part(thing)
        self.insert(stage, rows)
        self.copied = len(rows)
        return Answer("COPY")

    def last_copy_count(self, _: Sequence[Any]) -> Answer:
        return Answer("SELECT 1", [(self.copied,)])

    def backend_pid(self, _: Sequence[Any]) -> Answer:
        return Answer("SELECT 1", [(self.pid,)])

    def terminate(self, args: Sequence[Any]) -> Answer:
        other = self.server.backends.get(args[0])
        if other is not None and not other.gone:
            self.server.world.later(0.0, other.hang_up)
        return Answer("SELECT 1", [(other is not None,)])

    def present(self, args: Sequence[Any]) -> Answer:
        wanted = {(args[0], args[1]), (args[2], args[3]), (args[2], args[4])}
        names = [tuple(name.split(".")) for name in self.server.tables]
        return Answer("SELECT", [name for name in names if name in wanted])

    def schemas_present(self, _: Sequence[Any]) -> Answer:
        return Answer("SELECT", [(name,) for name in self.server.schemas])

    def table_columns(self, args: Sequence[Any]) -> Answer:
        table = self.server.tables.get(".".join(args))
        columns = table.columns if table is not None else ()
        return Answer("SELECT", [(c.name, spelled(c.type), c.not_null, False) for c in columns])

    def lock_holders(self, args: Sequence[Any]) -> Answer:
        holders = self.server.holders(".".join(args))
        return Answer("SELECT", [(held.pid, self.server.user, None) for held in holders])


_CONTROL: dict[str, Callable[[Backend], Answer]] = {
    sql.BEGIN: Backend.begin,
    sql.COMMIT: Backend.commit,
    sql.ROLLBACK: Backend.roll_back,
}
_ASKED: dict[str, Callable[[Backend, Sequence[Any]], Answer]] = {
    sql.BACKEND_PID: Backend.backend_pid,
    sql.LAST_COPY_COUNT: Backend.last_copy_count,
    sql.TERMINATE: Backend.terminate,
    sql.TABLES_PRESENT: Backend.present,
    sql.SCHEMAS_PRESENT: Backend.schemas_present,
    sql.TABLE_COLUMNS: Backend.table_columns,
    sql.LOCK_HOLDERS: Backend.lock_holders,
}
_ORDERS: dict[str, Callable[[Backend, str], Answer]] = {
    "LOCK": Backend.lock,
    "SET": Backend.set,
    "CREATE": Backend.create,
    "COPY": Backend.copy,
}
