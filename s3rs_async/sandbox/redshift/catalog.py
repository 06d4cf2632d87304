"""The catalogue a client of Redshift expects, put into the private PostgreSQL, and its logs.

Functions and system tables stand in pg_catalog, so that they are found whatever the search path;
their rows live in the schema pg_standin. What a load does is written by a connection of our own
while it does it: the rows are seen from elsewhere before it ends and outlive the client's rollback,
as on Redshift. A load has rows from the moment it has its table and its role; one that is refused
before never began.

A database is dressed once. Any number of fronts may serve it, at once too: they wait for the one
that dresses it. Each has query ids of its own. One whose texts differ from those that dressed the
database refuses to serve it, for its views would answer with another version's columns.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from .dialect.tokens import literal, quoted
from .faults import BackendError, RedshiftError, Report
from .rules import holds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OLDEST = 180_000  # crc32c
_PARTS = (
    "standin",
    "tables",
    "changes",
    "functions",
    "logs",
    "shapes",
    "catalogue",
    "activity",
    "grants",
)
_DRESSING = 0x53335253  # the advisory lock of whoever prepares a database
_BLOCK = 100_000  # query ids of one front

_BEGUN = """
INSERT INTO pg_standin.loads (query_id, user_id, transaction_id, session_id, database_name, status,
  table_name, table_id, start_time, data_source, file_format)
VALUES ($1, (SELECT usesysid FROM pg_stat_activity WHERE pid = $2), $3, $2, $4, 'running',
  $5, $6, clock_timestamp() AT TIME ZONE 'UTC', $7, 'parquet')
"""
_DONE = """
UPDATE pg_standin.loads SET status = 'completed', end_time = clock_timestamp() AT TIME ZONE 'UTC',
  loaded_rows = $2, loaded_bytes = $3, source_file_count = $4, source_file_bytes = $5
WHERE query_id = $1
"""
_FILE = """
INSERT INTO pg_standin.load_files (query_id, file_name, bytes, lines, at)
VALUES ($1, $2, $3, $4, clock_timestamp() AT TIME ZONE 'UTC')
"""
_ABORTED = """
UPDATE pg_standin.loads SET status = 'aborted', end_time = clock_timestamp() AT TIME ZONE 'UTC',
  error_count = $2
WHERE query_id = $1
"""
_ERROR = """
INSERT INTO pg_standin.load_errors (query_id, file_name, column_name, column_type, column_length,
  value, error_code, error_message)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_FORGET = "DELETE FROM pg_standin.loads WHERE query_id = $1"
_TYPES = {
    "SMALLINT": "int2", "INT": "int4", "BIGINT": "int8", "FLOAT": "float4", "DOUBLE": "float8",
    "BOOLEAN": "bool", "DECIMAL": "numeric",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file that a COPY has read."""

    uri: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Load:
    """A COPY that went well."""

    table: str
    rows: int
    size: int
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """The session that a log row is about."""

    pid: int
    database: str


def _plain(text: str) -> str:
    """A value as a log can hold it: no NUL, nothing that is no UTF-8."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _type_name(title: str) -> str:
    """The scanner's name of a type as the load errors give it."""
    word = title.partition("(")[0]
    return _TYPES.get(word, word.lower())


class CopyLog:
    """What one COPY leaves behind."""

    def __init__(self, pool: asyncpg.Pool, query: int, source: str, who: Who) -> None:
        self._pool = pool
        self._query = query
        self._source = source
        self._who = who
        self._open = False

    async def begun(self, table: str, table_id: int, transaction: int) -> None:
        """The load has its table and its role: from now on it has a history."""
        who = self._who
        place = (table, table_id, self._source)
        self._open = True  # first, for the row may be there although we are cancelled
        await self._pool.execute(_BEGUN, self._query, who.pid, transaction, who.database, *place)

    async def done(self, load: Load) -> None:
        """The load has ended well."""
        if not holds("C3"):
            await self._pool.execute(_FORGET, self._query)
            return
        size = sum(file.size for file in load.files)
        counts = (load.rows, load.size, len(load.files), size)
        await self._pool.execute(_DONE, self._query, *counts)
        self._open = False
        rows = [(self._query, _plain(file.uri), file.size, file.rows) for file in load.files]
        await self._pool.executemany(_FILE, rows)

    async def failed(self, error: RedshiftError) -> None:
        """The load has failed; what the scanner found wrong is a load error."""
        if not self._open:
            return
        await self._aborted(1 if error.report else 0)
        report, spot = error.report, error.spot
        if not isinstance(report, Report) or not holds("C1"):
            return
        if report.process == "padbmaster" and holds("C9"):
            return
        await self._pool.execute(
            _ERROR, self._query, _plain(spot.file or self._source), _plain(spot.column),
            _type_name(spot.column_type), spot.length, _plain(spot.value), report.code,
            _plain(report.context or error.message),
        )  # fmt: skip

    async def _aborted(self, errors: int) -> None:
        self._open = False
        if holds("C5"):
            await self._pool.execute(_ABORTED, self._query, errors)
        else:
            await self._pool.execute(_FORGET, self._query)

    async def close(self) -> None:
        """A load that neither ended nor failed lost its client."""
        if self._open:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._aborted(0)


class Catalogue:
    """The system tables of one database."""

    def __init__(self, pool: asyncpg.Pool, first_query: int) -> None:
        self._pool = pool
        self.first_query = first_query

    @asynccontextmanager
    async def copying(self, query: int, source: str, who: Who) -> AsyncIterator[CopyLog]:
        """The log of one COPY, for as long as it runs."""
        log = CopyLog(self._pool, query, source, who)
        try:
            yield log
        except RedshiftError as error:
            await log.failed(error)
            raise
        except BackendError as said:
            state = said.fields.get("C")
            await log.failed(said.cause or RedshiftError(str(said), state, rule="C5"))
            raise
        finally:
            await log.close()


async def _prepare(admin: asyncpg.Connection, user: str, database: str) -> None:
    """The role and the database that clients name."""
    version = int(await admin.fetchval("SHOW server_version_num"))
    if version < _OLDEST:
        message = f"the stand-in needs PostgreSQL 18 or later, found {version}"
        raise SystemExit(message)
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", user):
        await admin.execute(f"CREATE ROLE {quoted(user)} LOGIN CREATEROLE")
    await admin.execute(f"GRANT pg_monitor, pg_signal_backend TO {quoted(user)}")
    if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        await admin.execute(f"CREATE DATABASE {quoted(database)} OWNER {quoted(user)}")


def _texts() -> tuple[str, str]:
    """The catalogue as SQL, and what tells it from another version's."""
    folder = importlib.resources.files(__package__).joinpath("sql")
    sql = "\n".join(folder.joinpath(f"{name}.sql").read_text("utf-8") for name in _PARTS)
    return sql, hashlib.sha256(sql.encode()).hexdigest()[:16]


async def _install(socket: str, database: str) -> int:
    """Dress the database unless it is dressed; gives the first query id of this front."""
    sql, digest = _texts()
    admin = await asyncpg.connect(host=socket, user="postgres", database=database)
    try:
        if not await admin.fetchval("SELECT to_regnamespace('pg_standin')"):
            await admin.execute("SET allow_system_table_mods = on")
            await admin.execute(f"SET rs.database = {literal(database)}")
            note = f"INSERT INTO pg_standin.installed VALUES ({literal(digest)})"
            await admin.execute(f"{sql};\n{note}")
        found = await admin.fetchval("SELECT to_regclass('pg_standin.installed')")
        if not found or await admin.fetchval("SELECT digest FROM pg_standin.installed") != digest:
            message = (
                f"the database {database} was dressed by another version of the stand-in:"
                " give it a fresh PostgreSQL"
            )
            raise SystemExit(message)
        turn = await admin.fetchval("SELECT nextval('pg_standin.fronts')")
        return int(turn) * _BLOCK + 1
    finally:
        await admin.close()


@asynccontextmanager
async def open_catalogue(socket: str, user: str, database: str) -> AsyncIterator[Catalogue]:
    """The catalogue, installed."""
    admin = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", _DRESSING)
        await _prepare(admin, user, database)
        first_query = await _install(socket, database)
    finally:
        await admin.close()
    pool = asyncpg.create_pool(
        host=socket, user="postgres", database=database, min_size=1, max_size=4
    )
    async with pool:
        yield Catalogue(pool, first_query)
