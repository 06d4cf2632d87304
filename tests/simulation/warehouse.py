"""The warehouse in memory: tables, snapshots, locks, and sessions whose client may be gone.

Isolation is Redshift's SNAPSHOT: a transaction sees what was committed before its first statement
that reads or writes, its own changes besides; LOCK takes no snapshot. A statement fixes its snapshot
before it waits for a lock, so whoever reads first and locks then sees the past. A row that another
transaction has changed since is refused (1023). Locks are a table's: shared by whatever touched it,
or exclusive, and one writes at a time; they are held to the transaction's end, and whoever waits for
whom in a ring is refused.

A session lives on when its client is gone, with its locks, until the server notices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq

from s3rs_async.redshift import schema as spelling
from s3rs_async.redshift import sql
from tests.simulation.stage import Disk, Thing
from tests.simulation.statements import Answer, Row, UnknownStatementError, understood
from tests.simulation.world import World, fail, succeed

_CREATE = re.compile(r'CREATE (TEMP )?TABLE (IF NOT EXISTS )?([\w."]+) \((.*)')
_COPY = re.compile(
    r"COPY \"(\w+)\" \((.*)\) FROM 's3://[^/]+/([^']+)' .*FORMAT AS PARQUET MANIFEST"
)
_TIMEOUT = re.compile(r"SET statement_timeout TO (\d+)")
_COLUMN = re.compile(r'"?(\w+)"? ([A-Z ]+?(?:\(\d+(?:, ?\d+)?\))?)( NOT NULL| DEFAULT .*)?')
_SPELLED = {ours: theirs for theirs, ours in spelling._SPELLINGS.items()}
_WRITES = {"INSERT", "DELETE", "UPDATE"}
_FIRST_PID = 1_073_741_000


def refuse(state: str, message: str) -> Exception:
    """The driver's own error for a server's refusal."""
    return asyncpg.exceptions.PostgresError.new({"S": "ERROR", "C": state, "M": message})


def conflict() -> Exception:
    """What a transaction is told that would overwrite another's work."""
    return refuse("XX000", "1023 DETAIL:  Serializable isolation violation on table")


class BlockedError(Exception):
    """The statement must wait for a lock."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it was declared."""

    name: str
    type: str
    not_null: bool


@dataclass(eq=False, slots=True)
class Table:
    """A table's columns and its committed rows, which are replaced whole and never changed."""

    columns: tuple[Column, ...]
    rows: dict[int, Row] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(eq=False, slots=True)
class Transaction:
    """What a transaction sees and has changed; `implicit` ends with its statement."""

    implicit: bool
    snapshot: dict[str, dict[int, Row]] | None = None
    changed: dict[str, dict[int, Row]] = field(default_factory=dict)
    gone: dict[str, set[int]] = field(default_factory=dict)
    temps: list[str] = field(default_factory=list)
    failed: bool = False


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
            table = pq.ParquetFile(pa.BufferReader(thing.body)).read(use_threads=False)
            columns = [column.to_pylist() for column in table.columns]
            self.parsed[thing.etag] = list(zip(*columns, strict=True))
        return self.parsed[thing.etag]


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
            where[name] = Table(tuple(_declared(each) for each in _split(found[4])))
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


def _split(text: str) -> list[str]:
    """The definitions in a table's brackets; what stands behind the closing one is layout."""
    found, depth = [""], 1
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return found
        if sign == "," and depth == 1:
            found.append("")
        else:
            found[-1] += sign
    raise UnknownStatementError(text)


def _declared(text: str) -> Column:
    found = _COLUMN.fullmatch(text.strip())
    if found is None:
        raise UnknownStatementError(text)
    return Column(found[1], found[2].strip(), found[3] == " NOT NULL")


def spelled(declared: str) -> str:
    """A type as the catalogue spells it."""
    name, bracket, rest = declared.partition("(")
    return _SPELLED.get(name, name.lower()) + bracket + rest


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
