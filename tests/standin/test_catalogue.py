"""The catalogue as a whole: its sets of names, who may serve it, what ends sessions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from s3rs_async.sandbox.redshift.catalog import open_catalogue
from s3rs_async.sandbox.redshift.dialect.known import ABSENT, EMULATED, SHAPED, UNEMULATED
from s3rs_async.sandbox.redshift.dialect.relations import references
from s3rs_async.sandbox.redshift.dialect.tokens import split
from tests.standin.servers import DATABASE, USER, StandIn
from tests.standin.site import Place, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.standin


@pytest.fixture
async def con(standin: StandIn) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**standin.login, statement_cache_size=0)
    yield connection
    connection.terminate()


async def behind(standin: StandIn, database: str = DATABASE) -> Any:
    return await asyncpg.connect(host=str(standin.sockets), user="postgres", database=database)


def test_no_name_is_in_two_sets() -> None:
    assert not EMULATED & UNEMULATED
    assert not EMULATED & ABSENT
    assert not UNEMULATED & ABSENT
    assert SHAPED < EMULATED


async def test_every_relation_of_the_backends_catalogue_is_known(standin: StandIn) -> None:
    owner = await behind(standin)
    rows = await owner.fetch(
        "SELECT CASE nspname WHEN 'pg_catalog' THEN relname ELSE nspname || '.' || relname END"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE nspname IN ('pg_catalog', 'information_schema') AND relkind IN ('r', 'v')"
    )
    await owner.close()
    there = {row[0] for row in rows} - {"information_schema.standin_columns"}
    assert there >= EMULATED
    assert there - EMULATED - ABSENT == set()


@pytest.mark.parametrize("name", sorted(EMULATED))
async def test_what_is_emulated_answers(con: Any, name: str) -> None:
    if name in ("pg_statistic", "pg_largeobject", "pg_shadow"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await con.execute(f"SELECT * FROM {name} LIMIT 1")
        return
    await con.execute(f"SELECT * FROM {name} LIMIT 1")


@pytest.mark.parametrize("name", ["stl_query", "svv_roles", "pg_catalog.sys_query_history"])
async def test_what_only_redshift_has_is_refused_by_name(con: Any, name: str) -> None:
    with pytest.raises(asyncpg.FeatureNotSupportedError) as caught:
        await con.fetch(f"SELECT * FROM {name}")
    bare = name.removeprefix("pg_catalog.")
    assert str(caught.value).endswith(f"does not emulate the system relation {bare}")


NAMED = [
    ("SELECT a FROM x, s.y AS z JOIN w ON x.a = w.a, v WHERE a IN (SELECT b FROM u)",
     ["x", "s.y", "w", "v", "u"]),
    ("SELECT extract(year FROM a), trim(both FROM b), substring(c FROM 1) FROM x", ["x"]),
    ("SELECT a FROM (x JOIN y USING (a)) WHERE a IS DISTINCT FROM b", ["x", "y"]),
    ("SELECT a FROM (SELECT b FROM x) AS y, z", ["x", "z"]),
    ("WITH x AS (SELECT 1 AS a), y AS (SELECT a FROM x) SELECT a FROM y, z", ["z"]),
    ("INSERT INTO x SELECT a, b FROM y ORDER BY a, b", ["x", "y"]),
    ("DELETE FROM x USING y, z WHERE x.a = y.a", ["x", "y", "z"]),
    ("UPDATE x SET a = 1, b = 2 FROM y WHERE x.a = y.a", ["x", "y"]),
    ("SELECT a FROM generate_series(1, 2) AS g, x", ["x"]),
    ("SELECT DISTINCT a, b FROM x GROUP BY a, b", ["x"]),
    ('SELECT 1 FROM "S"."X" -- FROM y', ["s.x"]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "names"), NAMED, ids=[sql[:40] for sql, _ in NAMED])
def test_a_relation_is_what_stands_where_one_can(sql: str, names: list[str]) -> None:
    (statement,) = split(sql)
    assert [".".join(each.parts) for each in references(statement)] == names


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("SELECT pg_cancel_backend({})", asyncpg.QueryCanceledError),
        ("CANCEL {}", asyncpg.QueryCanceledError),
        ("SELECT pg_terminate_backend({})", asyncpg.PostgresError),
    ],
)
async def test_a_session_stops_another_ones_statement(
    con: Any, place: Place, schema: str, end: str, error: Any
) -> None:
    async with open_site(place, schema) as at:
        await at.run("CREATE TABLE t (a INT)")
        waiter = await at.connect()
        await con.execute(f"BEGIN; LOCK {schema}.t")
        async with asyncio.TaskGroup() as tasks:
            stopped = tasks.create_task(at.fails(waiter.execute("DELETE FROM t")))
            await asyncio.sleep(0.1)
            pid = await waiting(con, waiter.get_server_pid())
            await con.execute(end.format(pid))
            await asyncio.wait([stopped])
            await con.execute("ROLLBACK")
        assert isinstance(stopped.result(), error)


async def waiting(con: Any, pid: int) -> int:
    query = f"SELECT count(*) FROM svv_transactions WHERE pid = {pid} AND NOT granted"
    for _ in range(100):
        if await con.fetchval(query):
            return pid
        await asyncio.sleep(0.02)
    message = f"session {pid} does not wait"
    raise AssertionError(message)


async def test_query_ids_of_two_fronts_differ(
    con: Any, standin: StandIn, standin_tls: StandIn
) -> None:
    owner = await behind(standin)
    assert await owner.fetchval("SELECT last_value FROM pg_standin.fronts") >= 2
    await owner.close()


async def test_a_front_refuses_a_catalogue_of_another_version(standin: StandIn) -> None:
    first = await behind(standin, "postgres")
    await first.execute("DROP DATABASE IF EXISTS aged")
    await first.execute("CREATE DATABASE aged")
    owner = await behind(standin, "aged")
    await owner.execute("SET allow_system_table_mods = on; CREATE SCHEMA pg_standin")
    for _ in range(2):  # one from before versions, one of another version
        with pytest.raises(SystemExit, match="another version of the stand-in"):
            async with open_catalogue(str(standin.sockets), USER, "aged"):
                pass
        await owner.execute(
            "CREATE TABLE IF NOT EXISTS pg_standin.installed AS SELECT 'x' AS digest"
        )
    await owner.close()
    await first.execute("DROP DATABASE aged")
    await first.close()
