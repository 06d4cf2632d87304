"""Sessions as programs use them: pools, our loader's statements, many at once, cut in mid-COPY."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pyarrow as pa
import pytest

from tests.standin.pending import pending
from tests.standin.servers import DATABASE, PASSWORD, USER, StandIn
from tests.standin.site import Place, Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.standin
HOW = pytest.mark.parametrize("how", ["execute", "fetch"])


@pytest.fixture
async def at(place: Place, schema: str) -> AsyncIterator[Site]:
    async with open_site(place, schema) as site:
        yield site


async def test_a_pool_reuses_its_connections(standin: StandIn) -> None:
    async with asyncpg.create_pool(**standin.login, min_size=1, max_size=2) as pool:
        for _ in range(5):
            async with pool.acquire() as connection, connection.transaction():
                assert await connection.fetchval("SELECT $1::int", 3) == 3


async def test_nested_transactions_fail_for_want_of_savepoints(at: Site) -> None:
    outer = at.con.transaction()
    await outer.start()
    error = await at.fails(at.con.transaction().start())
    assert "SAVEPOINT" in error.message
    await outer.rollback()


async def test_an_unfinished_batch_does_not_hold_up_the_next(at: Site) -> None:
    for _ in range(3):
        await at.fails(at.con.fetch("SELECT 1 FROM nothing_here"))
        await at.fails(at.con.fetch("SAVEPOINT x"))
        await at.fails(at.con.fetch("INSERT INTO nothing_here VALUES ($1)", 1))
        assert await at.con.fetchval("SELECT $1::int", 5) == 5


async def test_an_empty_statement_is_one(at: Site) -> None:
    assert await at.con.fetch("") == []


async def test_a_large_result_passes(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)")
    for _ in range(14):
        await at.run("INSERT INTO t SELECT a FROM t")
    assert len(await at.rows("SELECT a, 'text' AS b FROM t")) == 2**15


async def test_a_text_with_writes_streams_its_rows(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)", "INSERT INTO t SELECT 1, 1 FROM svv_columns")
    await at.run(
        "BEGIN; INSERT INTO t VALUES (3, 3); SELECT t.a, u.b FROM t, t AS u LIMIT 50000; SELECT 1"
    )
    assert await at.rows("SELECT count(*) FROM t WHERE a = 3") == [(1,)]


async def test_sessions_do_not_disturb_each_other(standin: StandIn) -> None:
    async def one(number: int) -> int:
        con = await asyncpg.connect(**standin.login)
        await con.execute(f"CREATE TEMP TABLE x (a INT); INSERT INTO x VALUES ({number})")
        found = await con.fetchval("SELECT a FROM x WHERE a = $1", number)
        await con.close()
        return int(found)

    assert await asyncio.gather(*map(one, range(12))) == list(range(12))


LEDGER = """CREATE TABLE IF NOT EXISTS led_{0} (pipeline VARCHAR(256),
    source VARCHAR(512), generation BIGINT, seq BIGINT, batch_id VARCHAR(32), parent_id VARCHAR(32),
    manifest_sha256 CHAR(64), mode VARCHAR(16), rows_copied BIGINT, rows_deleted BIGINT,
    position VARCHAR(65535), epoch BIGINT, session_id VARCHAR(64), writer VARCHAR(256),
    loaded_at TIMESTAMP DEFAULT GETDATE()) SORTKEY(generation, seq)"""
HEAD = """CREATE TABLE IF NOT EXISTS led_{0}_head (generation BIGINT,
    batch_id VARCHAR(32), rows_total BIGINT, updated_at TIMESTAMP DEFAULT SYSDATE)"""


async def _prepare(con: Any, name: str) -> None:
    await con.execute("SET query_group TO 's3rs:load'")
    await con.execute("SET statement_timeout TO 600000")
    await con.execute(LEDGER.format(name))
    await con.execute(HEAD.format(name))
    await con.execute(
        'CREATE TABLE IF NOT EXISTS target ("ID" BIGINT NOT NULL, "Name" VARCHAR(40), ver BIGINT, '
        "PRIMARY KEY (id)) DISTKEY(id) SORTKEY(ver)"
    )
    if not await con.fetchval(f"SELECT count(*) FROM led_{name}_head"):
        await con.execute(f"INSERT INTO led_{name}_head VALUES (1, 'none', 0)")


async def _load(con: Any, name: str, copy: str, batch: str) -> int:
    """One batch as the commit protocol loads it; the number of heads that were moved."""
    head = f"led_{name}_head"
    await con.execute("BEGIN")
    await con.execute(f"LOCK {head}")
    before = await con.fetchrow(f"SELECT generation, batch_id FROM {head}")
    if await con.fetchval(f"SELECT 1 FROM led_{name} WHERE batch_id = $1", batch):
        await con.execute("ROLLBACK")
        return 0
    await con.execute('CREATE TEMP TABLE st ("id" BIGINT, "name" VARCHAR(40), "ver" BIGINT)')
    await con.execute(copy)
    rows = await con.fetchval("SELECT pg_last_copy_count()")
    assert rows == await con.fetchval("SELECT count(*) FROM st")
    await con.execute("DELETE FROM target USING st WHERE target.id = st.id")
    await con.execute(
        "INSERT INTO target (id, name, ver) SELECT id, name, ver FROM (SELECT id, name, ver, "
        "ROW_NUMBER() OVER (PARTITION BY id ORDER BY ver DESC) AS rn FROM st) AS v WHERE rn = 1"
    )
    await con.fetch(
        f"INSERT INTO led_{name} (pipeline, batch_id, manifest_sha256, rows_copied) "
        "VALUES ($1, $2, $3, $4)", "p", batch, "0" * 64, rows,
    )  # fmt: skip
    tag = await con.execute(
        f"UPDATE {head} SET batch_id = $1, rows_total = rows_total + $2 "
        "WHERE generation = $3 AND batch_id = $4", batch, rows, before[0], before[1],
    )  # fmt: skip
    await con.execute("DROP TABLE st")
    await con.execute("COMMIT")
    return int(tag.split()[1])


def _manifest(at: Site) -> str:
    table = pa.table(
        {
            "id": pa.array([1, 1, 2], pa.int64()),
            "name": ["old", "new", "two"],
            "ver": pa.array([1, 2, 1], pa.int64()),
        }
    )
    at.manifest("copy.manifest", at.entry("part.parquet", at.put("part.parquet", table)))
    return at.copy("copy.manifest", target='st ("id","name","ver")', more="MANIFEST")


async def test_the_loaders_statements_work(at: Site) -> None:
    name, copy = f"{at.schema:0>32}", _manifest(at)
    await _prepare(at.con, name)
    assert await _load(at.con, name, copy, "b1") == 1
    assert await at.rows("SELECT id, name FROM target ORDER BY id") == [(1, "new"), (2, "two")]
    assert await _load(at.con, name, copy, "b1") == 0
    loaded = await at.con.fetchval(f"SELECT loaded_at FROM led_{name}")
    assert loaded.microsecond == 0


async def test_two_loaders_of_one_batch_load_it_once(at: Site) -> None:
    name, copy = f"{at.schema:0>32}", _manifest(at)
    await _prepare(at.con, name)
    other = await at.connect()
    both = asyncio.gather(_load(at.con, name, copy, "b1"), _load(other, name, copy, "b1"))
    assert sorted(await both) == [0, 1]
    assert await at.rows("SELECT count(*) FROM target") == [(2,)]
    assert await at.rows(f"SELECT rows_total FROM led_{name}_head") == [(3,)]


@pytest.fixture
async def big(at: Site) -> str:
    """A COPY of forty pieces."""
    await at.run("CREATE TABLE t (a BIGINT)", "CREATE TABLE head (a INT)")
    at.put("big/1", pa.table({"a": pa.array(range(4_000), pa.int64())}), row_group_size=100)
    await at.run("SET s3rs_standin.slow_copy = 0.05")
    return at.copy("big/")


def _now() -> float:
    return asyncio.get_running_loop().time()


@HOW
async def test_a_cancelled_copy_leaves_nothing(at: Site, big: str, how: str) -> None:
    began = _now()
    with pytest.raises(TimeoutError):
        await getattr(at.con, how)(big, timeout=0.2)
    assert _now() - began < 1.0
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@HOW
async def test_an_error_of_the_backend_stops_a_copy_at_once(at: Site, big: str, how: str) -> None:
    pid, other = at.con.get_server_pid(), await at.connect()
    began = _now()
    async with pending(getattr(at.con, how)(big)) as copying:
        while await copying.waits(0.1):  # the backend hears it only while rows come
            await other.execute(f"SELECT pg_cancel_backend({pid})")
        error = await at.fails(copying.result())
    assert (error.sqlstate, _now() - began < 2.0) == ("57014", True)
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


async def test_a_terminated_session_says_so(at: Site, big: str, standin: StandIn) -> None:
    place = f"host=127.0.0.1 port={standin.port} sslmode=disable dbname={DATABASE}"
    with psycopg.connect(f"{place} user={USER} password={PASSWORD}") as connection:
        connection.execute(f"SET search_path TO {at.schema}")
        connection.execute("SET s3rs_standin.slow_copy = 0.05")
        async with pending(asyncio.to_thread(connection.execute, big)) as copying:
            assert await copying.waits()
            sql = "SELECT pg_terminate_backend($1)"
            assert await at.con.fetchval(sql, connection.info.backend_pid)
            with pytest.raises(psycopg.errors.AdminShutdown):
                await copying.result()
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("inside", ["copy", "idle", "sleep"])
async def test_a_vanished_clients_locks_are_free_at_once(at: Site, big: str, inside: str) -> None:
    other, con = await at.connect(), await at.connect()
    await con.execute("SET s3rs_standin.slow_copy = 0.05")
    await con.execute("BEGIN")
    await con.execute("LOCK head")
    long = "SELECT count(*) FROM svv_columns a, svv_columns b, svv_columns c, svv_columns d"
    statement = {"copy": big, "idle": "SELECT 1", "sleep": long}[inside]
    async with pending(con.execute(statement)) as running:
        assert await running.waits() is (inside != "idle")
        began = _now()
        con._transport.abort()
        await other.execute("BEGIN")
        await other.execute("LOCK head")
        assert _now() - began < 0.5
        await other.execute("COMMIT")
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]
