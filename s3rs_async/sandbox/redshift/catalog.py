"""The catalogue a client of Redshift expects, put into the private PostgreSQL, and its logs.

Functions and system tables stand in pg_catalog, so that they are found whatever the search path;
their rows live in the schema pg_standin. What a load did is written by a connection of our own:
it outlives the client's rollback, as on Redshift.
"""

from __future__ import annotations

import importlib.resources
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from .tokens import literal, quoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .faults import RedshiftError

_OLDEST = 170_000
_PARTS = ("standin", "tables", "functions", "catalogue")

COLUMNS_SQL = """
SELECT a.attname, t.typname, a.atttypmod, a.attnotnull, a.attidentity <> '', a.atthasdef,
       pg_standin.octets(a.attrelid, a.attname)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class Load:
    """A COPY that went well."""

    query: int
    table: str
    source: str
    rows: int
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class Who:
    """The session that a log row is about."""

    pid: int
    database: str


class Catalogue:
    """Writes the system tables."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def loaded(self, load: Load, who: Who) -> None:
        """A row of sys_load_history."""
        await self._pool.execute(
            "INSERT INTO pg_standin.load_history (query_id, session_id, database_name, status,"
            " table_name, data_source, file_format, loaded_rows, loaded_bytes, source_file_count)"
            " VALUES ($1, $2, $3, 'completed', $4, $5, 'PARQUET', $6, $7, $8)",
            load.query, who.pid, who.database, load.table, load.source, load.rows, load.size,
            load.files,
        )  # fmt: skip

    async def failed(self, error: RedshiftError, query: int, source: str, who: Who) -> None:
        """A row of the load errors and of sys_load_history."""
        spot = error.spot
        code = error.report.code if error.report else 0
        reason = (error.report.context if error.report else "") or error.message
        await self._pool.execute(
            "INSERT INTO pg_standin.load_errors (query_id, session_id, database_name, file_name,"
            " column_name, column_type, column_length, value, error_code, error_message)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            query, who.pid, who.database, spot.file or source, spot.column, spot.column_type,
            spot.length, spot.value.replace("\0", ""), code, reason[:512],
        )  # fmt: skip
        await self._pool.execute(
            "INSERT INTO pg_standin.load_history (query_id, session_id, database_name, status,"
            " data_source, file_format, error_count)"
            " VALUES ($1, $2, $3, 'aborted', $4, 'PARQUET', 1)",
            query, who.pid, who.database, source,
        )  # fmt: skip


async def _prepare(socket: str, user: str, database: str) -> None:
    admin = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    try:
        version = int(await admin.fetchval("SHOW server_version_num"))
        if version < _OLDEST:
            message = f"the stand-in needs PostgreSQL 17 or later, found {version}"
            raise SystemExit(message)
        if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", user):
            await admin.execute(f"CREATE ROLE {quoted(user)} LOGIN CREATEROLE")
        await admin.execute(f"GRANT pg_monitor TO {quoted(user)}")
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await admin.execute(f"CREATE DATABASE {quoted(database)} OWNER {quoted(user)}")
    finally:
        await admin.close()


async def _install(socket: str, database: str) -> None:
    folder = importlib.resources.files(__package__).joinpath("sql")
    sql = "\n".join(folder.joinpath(f"{name}.sql").read_text("utf-8") for name in _PARTS)
    admin = await asyncpg.connect(host=socket, user="postgres", database=database)
    try:
        if not await admin.fetchval("SELECT to_regnamespace('pg_standin')"):
            await admin.execute("SET allow_system_table_mods = on")
            await admin.execute(f"SET rs.database = {literal(database)}")
            await admin.execute(sql)
    finally:
        await admin.close()


@asynccontextmanager
async def open_catalogue(socket: str, user: str, database: str) -> AsyncIterator[Catalogue]:
    """The catalogue, installed."""
    await _prepare(socket, user, database)
    await _install(socket, database)
    pool = asyncpg.create_pool(
        host=socket, user="postgres", database=database, min_size=1, max_size=2
    )
    async with pool:
        yield Catalogue(pool)
