"""Questions to a real cluster that have no rule: what it does is told, nothing is judged.

Each was met where a rule had to be left open, or by a driver that asks for something nobody has
written down. An answer that settles one becomes a rule with its evidence.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg
import pyarrow as pa

from tests.standin.site import Site

Probe: TypeAlias = Callable[[Site], Awaitable[str]]
PROBES: dict[str, Probe] = {}


def probe(run: Probe) -> Probe:
    """Register a question; its name is what it asks."""
    PROBES[run.__name__] = run
    return run


async def said(at: Site, statement: str, *then: str) -> str:
    """What a statement is answered, and what is read after it."""
    try:
        tag = await at.con.execute(statement)
        read = [await at.rows(query) for query in then]
    except asyncpg.PostgresError as error:
        return told(error)
    return f"accepted: {tag} {' '.join(map(str, read))}".strip()


def told(error: asyncpg.PostgresError) -> str:
    """An error in one line."""
    return f"{error.sqlstate} {error} {getattr(error, 'detail', None) or ''}"


@probe
async def which_version_it_is(at: Site) -> str:
    return str(await at.con.fetchval("SELECT version()"))


@probe
async def which_of_the_padb_parameters_it_sends(at: Site) -> str:
    settings = at.con.get_settings()
    sent = {name: getattr(settings, name, None) for name in ("padb_revision", "padb_version")}
    reset = at.con.get_reset_query()
    return f"{sent}; asyncpg's reset query is {reset!r}"


@probe
async def whether_a_sha256_password_lets_a_client_without_it_in(at: Site) -> str:
    user, password, salt = (f"s3rs{secrets.token_hex(6)}", f"Aa1{secrets.token_hex(12)}", "00" * 8)
    digest = hashlib.sha256(password.encode() + bytes.fromhex(salt)).hexdigest()
    try:
        await at.con.execute(f"CREATE USER {user} PASSWORD 'sha256|{digest}|{salt}'")
    except asyncpg.PostgresError as error:
        return f"not tried: {error.sqlstate} {error}".replace(digest, "<digest>")
    try:
        await at.connect(user=user, password=password)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return f"refused: {type(error).__name__}: {error}"
    else:
        return "let in"
    finally:
        await at.con.execute(f"DROP USER {user}")


@probe
async def what_time_in_parquet_becomes(at: Site) -> str:
    await at.run("CREATE TABLE t (a TIME)")
    at.put("x/1", pa.table({"a": pa.array([dt.time(1, 2, 3, 4)], pa.time64("us"))}))
    return await said(at, at.copy("x/"), "SELECT a::varchar FROM t")


@probe
async def what_int32_in_bigint_becomes(at: Site) -> str:
    await at.run("CREATE TABLE t (a BIGINT)")
    at.put("x/1", pa.table({"a": pa.array([-7], pa.int32())}))
    return await said(at, at.copy("x/"), "SELECT a FROM t")


@probe
async def what_a_copy_of_nothing_says(at: Site) -> str:
    await at.run("CREATE TABLE t (a BIGINT)")
    return await said(at, at.copy("nothing/"), "SELECT pg_last_copy_count()")


@probe
async def whether_hidden_and_empty_objects_are_read(at: Site) -> str:
    await at.run("CREATE TABLE t (a BIGINT)")
    table = pa.table({"a": pa.array([1], pa.int64())})
    sizes = [at.put(name, table) for name in ("x/seen", "x/_under", "x/.dot")]
    at.put("x/_SUCCESS", b"")
    answer = await said(at, at.copy("x/"), "SELECT count(*) FROM t")
    return f"{len(sizes)} of one row: {answer}"


@probe
async def whether_a_transaction_is_open_after_truncate(at: Site) -> str:
    await at.run("CREATE TABLE t (a INT)", "BEGIN", "INSERT INTO t VALUES (1)", "TRUNCATE t")
    status = "open" if at.con.is_in_transaction() else "ended"
    await at.run("ROLLBACK")
    return f"{status}; rows then: {await at.rows('SELECT count(*) FROM t')}"


@probe
async def whether_a_primary_key_has_an_index_in_the_catalogue(at: Site) -> str:
    await at.run("CREATE TABLE t (a INT, PRIMARY KEY (a))")
    query = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisprimary"
    return await said(at, query, query)


STATEMENTS = {
    "isolation by SHOW": "SHOW TRANSACTION ISOLATION LEVEL",
    "isolation by SET": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "an array after ANY": "SELECT 1 WHERE 'r' = ANY (ARRAY['r', 'v'])",
    "a result's name in WHERE": "SELECT relname AS name FROM pg_class WHERE name = 'pg_class'",
    "a float with a length": "CREATE TEMP TABLE f (a FLOAT(53))",
    "a setting of PostgreSQL's": "SET jit TO off",
    "sleeping": "SELECT pg_sleep(0)",
    "a cursor that outlives its transaction": "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
}


@probe
async def what_it_says_to_statements_that_drivers_send(at: Site) -> str:
    return "; ".join([f"{name}: {await said(at, text)}" for name, text in STATEMENTS.items()])


@probe
async def whether_copy_takes_its_source_as_a_parameter(at: Site) -> str:
    await at.run("CREATE TABLE t (a BIGINT)")
    statement = at.copy("x/").replace(f"'{at.uri('x/')}'", "$1")
    try:
        await at.con.fetch(statement, at.uri("x/"))
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"{type(error).__name__}: {error}"
    return "it does"
