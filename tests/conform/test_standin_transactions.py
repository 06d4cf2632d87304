"""Snapshots, table locks, LOCK first, TRUNCATE, and the statements that our loader sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pyarrow as pa
import pytest

from tests.conform.standin import (
    ROLE,
    Background,
    StandIn,
    con,
    entry,
    failure,
    other,
    schema,
    standin,
)

__all__ = ["con", "other", "schema", "standin"]

HOW = pytest.mark.parametrize("how", ["execute", "fetch"])


@pytest.fixture
async def t(con: Any) -> Any:
    await con.execute("CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1)")
    return con


@HOW
async def test_rule_x3_after_a_waiting_lock_the_commit_is_seen(
    t: Any, other: Any, how: str
) -> None:
    await t.execute("BEGIN")
    await t.execute("LOCK t")
    await other.execute("BEGIN")
    locking = Background(getattr(other, how)("LOCK t"))
    assert await locking.waits()
    await t.execute("INSERT INTO t VALUES (2, 2)")
    await t.execute("COMMIT")
    await locking.result()
    assert await other.fetchval("SELECT count(*) FROM t") == 2
    await other.execute("UPDATE t SET b = 5")
    await other.execute("COMMIT")


async def test_rule_x3_lock_holds_readers_off(t: Any, other: Any) -> None:
    await t.execute("BEGIN")
    await t.execute("LOCK TABLE t")
    reading = Background(other.fetchval("SELECT count(*) FROM t"))
    assert await reading.waits()
    await t.execute("ROLLBACK")
    assert await reading.result() == 1


async def test_rule_x1_a_snapshot_does_not_move(t: Any, other: Any) -> None:
    async with t.transaction():
        assert await t.fetchval("SELECT count(*) FROM t") == 1
        await other.execute("INSERT INTO t VALUES (2, 2)")
        assert await t.fetchval("SELECT count(*) FROM t") == 1
    assert await t.fetchval("SELECT count(*) FROM t") == 2


async def test_rule_x1_a_lost_race_is_1023(t: Any, other: Any) -> None:
    transaction = t.transaction()
    await transaction.start()
    await t.fetchval("SELECT count(*) FROM t")
    await other.execute("UPDATE t SET b = 2 WHERE a = 1")
    error = await failure(t.execute("UPDATE t SET b = 3 WHERE a = 1"))
    assert (error.sqlstate, error.message) == ("XX000", "1023")
    assert error.detail.startswith("Serializable isolation violation on table - ")
    await transaction.rollback()


async def test_rule_x1_any_isolation_level_may_be_asked_for(t: Any) -> None:
    async with t.transaction(isolation="serializable"):
        assert await t.fetchval("SHOW transaction_isolation") == "repeatable read"
    await t.execute("START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; END")


WRITES = [
    "INSERT INTO t VALUES (9, 9)",
    "UPDATE t SET b = 7 WHERE a = 1",
    "DELETE FROM t WHERE a = 1",
    "DELETE t WHERE a = 1",
]


@HOW
@pytest.mark.parametrize("write", WRITES)
async def test_rule_x2_a_write_waits_for_the_table(
    t: Any, other: Any, write: str, how: str
) -> None:
    await t.execute("BEGIN")
    await t.execute("INSERT INTO t VALUES (5, 5)")
    writing = Background(getattr(other, how)(write))
    assert await writing.waits()
    assert await t.fetchval("SELECT count(*) FROM t") == 2
    await t.execute("COMMIT")
    await writing.result()
    assert await other.fetchval("SELECT count(*) FROM t WHERE a = 5") == 1


@HOW
async def test_rule_x2_a_copy_waits_for_the_table(
    t: Any, other: Any, standin: StandIn, schema: str, how: str
) -> None:
    columns = {"a": pa.array([3], pa.int32()), "b": pa.array([3], pa.int32())}
    standin.put(f"{schema}/a", pa.table(columns))
    await t.execute("BEGIN")
    await t.fetch("UPDATE t SET b = $1", 4)
    copying = Background(
        getattr(other, how)(f"COPY t FROM 's3://bkt/{schema}/a' {ROLE} FORMAT PARQUET")
    )
    assert await copying.waits()
    await t.execute("COMMIT")
    await copying.result()
    assert await t.fetchval("SELECT count(*) FROM t") == 2


async def test_rule_x2_readers_go_on_while_a_table_is_written(t: Any, other: Any) -> None:
    async with t.transaction():
        await t.execute("DELETE FROM t")
        assert await other.fetchval("SELECT count(*) FROM t") == 1


async def test_rule_x2_a_waiting_write_can_be_cancelled(t: Any, other: Any) -> None:
    await t.execute("BEGIN; INSERT INTO t VALUES (5, 5)")
    for how in ("execute", "fetch"):
        with pytest.raises(TimeoutError):
            await getattr(other, how)("DELETE FROM t", timeout=0.2)
    assert await other.fetchval("SELECT 1") == 1
    await t.execute("ROLLBACK")


@HOW
async def test_rule_l4_truncate_commits(t: Any, how: str) -> None:
    await t.execute("CREATE TABLE u (a INT)")
    transaction = t.transaction()
    await transaction.start()
    await t.execute("INSERT INTO u VALUES (1)")
    await getattr(t, how)("TRUNCATE t")
    await transaction.rollback()
    assert await t.fetchval("SELECT count(*) FROM u") == 1
    assert await t.fetchval("SELECT count(*) FROM t") == 0


@HOW
@pytest.mark.parametrize(
    "sql",
    ["VACUUM t", "ALTER TABLE v ALTER COLUMN a TYPE VARCHAR(9)", "ALTER TABLE t APPEND FROM u"],
)
async def test_rules_l1_l2_l5_not_inside_a_block(t: Any, sql: str, how: str) -> None:
    await t.execute("CREATE TABLE u (a INT, b INT); CREATE TABLE v (a VARCHAR(3))")
    transaction = t.transaction()
    await transaction.start()
    error = await failure(getattr(t, how)(sql))
    assert error.sqlstate == "25001"
    assert error.message.endswith("cannot run inside a transaction block")
    await transaction.rollback()
    await getattr(t, how)(sql)


async def test_rule_l5_append_moves_the_rows(t: Any) -> None:
    await t.execute("CREATE TABLE u (a INT, b INT); INSERT INTO u VALUES (8, 8)")
    await t.execute("ALTER TABLE t APPEND FROM u")
    assert await t.fetchval("SELECT count(*) FROM t") == 2
    assert await t.fetchval("SELECT count(*) FROM u") == 0
    await t.execute("CREATE TABLE w (a INT)")
    assert (await failure(t.execute("ALTER TABLE t APPEND FROM w"))).sqlstate == "0A000"


async def test_ddl_is_transactional(t: Any) -> None:
    transaction = t.transaction()
    await transaction.start()
    await t.execute("CREATE TABLE u (a VARCHAR(5)) DISTSTYLE ALL")
    await t.execute("ALTER TABLE t RENAME TO t_old; ALTER TABLE u RENAME TO t")
    await transaction.rollback()
    assert await t.fetchval("SELECT a FROM t") == 1
    assert (await failure(t.fetch("SELECT * FROM u"))).sqlstate == "42P01"


async def test_rule_s4_merge_updates_and_inserts(t: Any) -> None:
    await t.execute("CREATE TABLE s (a INT, b INT); INSERT INTO s VALUES (1, 10), (2, 20)")
    merge = (
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b "
        "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)"
    )
    await t.execute(merge)
    assert [tuple(r) for r in await t.fetch("SELECT a, b FROM t ORDER BY a")] == [(1, 10), (2, 20)]
    await t.execute("INSERT INTO s VALUES (1, 11)")
    error = await failure(t.execute(merge))
    assert error.message == "Found multiple matches to update the same tuple"


@HOW
async def test_rule_c1_locks_are_listed_and_can_be_broken(t: Any, other: Any, how: str) -> None:
    pid = await t.fetchval("SELECT pg_backend_pid()")
    await t.execute("BEGIN")
    await t.execute("LOCK t")
    rows = await other.fetch(
        "SELECT txn_owner, txn_db, xid, pid, txn_start, lock_mode, lockable_object_type, relation "
        "FROM svv_transactions WHERE pid = $1 AND lock_mode = 'AccessExclusiveLock'", pid,
    )  # fmt: skip
    assert [(row["txn_owner"], row["txn_db"]) for row in rows] == [("awsuser", "dev")]
    assert rows[0]["lockable_object_type"] == "relation"
    assert rows[0]["txn_start"] is not None
    assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
    await getattr(other, how)("INSERT INTO t VALUES (3, 3)")


LEDGER = """CREATE TABLE IF NOT EXISTS s3rs_meta.led_{0} (pipeline VARCHAR(256),
    source VARCHAR(512), generation BIGINT, seq BIGINT, batch_id VARCHAR(32), parent_id VARCHAR(32),
    manifest_sha256 CHAR(64), mode VARCHAR(16), rows_copied BIGINT, rows_deleted BIGINT,
    position VARCHAR(65535), epoch BIGINT, session_id VARCHAR(64), writer VARCHAR(256),
    loaded_at TIMESTAMP DEFAULT GETDATE()) SORTKEY(generation, seq)"""
HEAD = """CREATE TABLE IF NOT EXISTS s3rs_meta.led_{0}_head (generation BIGINT,
    batch_id VARCHAR(32), rows_total BIGINT, updated_at TIMESTAMP DEFAULT SYSDATE)"""


async def _prepare(con: Any, name: str) -> None:
    await con.execute("SET query_group TO 's3rs:load'")
    await con.execute("SET statement_timeout TO 600000")
    await con.execute("CREATE SCHEMA IF NOT EXISTS s3rs_meta")
    await con.execute(LEDGER.format(name))
    await con.execute(HEAD.format(name))
    await con.execute(
        'CREATE TABLE IF NOT EXISTS target ("ID" BIGINT NOT NULL, "Name" VARCHAR(40), ver BIGINT, '
        "PRIMARY KEY (id)) DISTKEY(id) SORTKEY(ver)"
    )
    count = f"SELECT count(*) FROM s3rs_meta.led_{name}_head"
    if not await con.fetchval(count):
        await con.execute(f"INSERT INTO s3rs_meta.led_{name}_head VALUES (1, 'none', 0)")


async def _load(con: Any, name: str, uri: str, batch: str) -> int:
    """One batch as the commit protocol loads it; the number of heads that were moved."""
    head = f"s3rs_meta.led_{name}_head"
    await con.execute("BEGIN")
    await con.execute(f"LOCK {head}")
    before = await con.fetchrow(f"SELECT generation, batch_id FROM {head}")
    known = f"SELECT 1 FROM s3rs_meta.led_{name} WHERE batch_id = $1"
    if await con.fetchval(known, batch):
        await con.execute("ROLLBACK")
        return 0
    await con.execute('CREATE TEMP TABLE st ("id" BIGINT, "name" VARCHAR(40), "ver" BIGINT)')
    await con.execute(
        f'COPY st ("id","name","ver") FROM \'{uri}\' {ROLE} FORMAT AS PARQUET MANIFEST'
    )
    rows = await con.fetchval("SELECT pg_last_copy_count()")
    assert rows == await con.fetchval("SELECT count(*) FROM st")
    await con.execute("DELETE FROM target USING st WHERE target.id = st.id")
    await con.execute(
        "INSERT INTO target (id, name, ver) SELECT id, name, ver FROM (SELECT id, name, ver, "
        "ROW_NUMBER() OVER (PARTITION BY id ORDER BY ver DESC) AS rn FROM st) AS v WHERE rn = 1"
    )
    await con.fetch(
        f"INSERT INTO s3rs_meta.led_{name} (pipeline, batch_id, manifest_sha256, rows_copied) "
        "VALUES ($1, $2, $3, $4)", "p", batch, "0" * 64, rows,
    )  # fmt: skip
    tag = await con.execute(
        f"UPDATE {head} SET batch_id = $1, rows_total = rows_total + $2 "
        "WHERE generation = $3 AND batch_id = $4", batch, rows, before[0], before[1],
    )  # fmt: skip
    await con.execute("DROP TABLE st")
    await con.execute("COMMIT")
    return int(tag.split()[1])


@pytest.fixture
def manifest(standin: StandIn, schema: str) -> str:
    table = pa.table(
        {
            "id": pa.array([1, 1, 2], pa.int64()),
            "name": ["old", "new", "two"],
            "ver": pa.array([1, 2, 1], pa.int64()),
        }
    )
    size = standin.put(f"{schema}/part.parquet", table)
    return standin.manifest(f"{schema}/copy.manifest", entry(f"{schema}/part.parquet", size))


async def test_the_loaders_statements_work(con: Any, manifest: str, schema: str) -> None:
    name = f"{schema:0>32}"
    await _prepare(con, name)
    assert await _load(con, name, manifest, "b1") == 1
    rows = await con.fetch("SELECT id, name FROM target ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, "new"), (2, "two")]
    assert await _load(con, name, manifest, "b1") == 0
    loaded = await con.fetchval(f"SELECT loaded_at FROM s3rs_meta.led_{name}")
    assert loaded.microsecond == 0


async def test_two_loaders_of_one_batch_load_it_once(
    con: Any, other: Any, manifest: str, schema: str
) -> None:
    name = f"{schema:0>32}"
    await _prepare(con, name)
    both = asyncio.gather(_load(con, name, manifest, "b1"), _load(other, name, manifest, "b1"))
    assert sorted(await both) == [0, 1]
    assert await con.fetchval("SELECT count(*) FROM target") == 2
    assert await con.fetchval(f"SELECT rows_total FROM s3rs_meta.led_{name}_head") == 3


async def test_sessions_that_create_one_thing_at_a_time_both_succeed(standin: StandIn) -> None:
    async def create(number: int) -> None:
        connection = await standin.connect()
        for _ in range(5):
            await connection.execute("CREATE SCHEMA IF NOT EXISTS raced")
            await connection.fetch("CREATE TABLE IF NOT EXISTS raced.t (a VARCHAR(9))")
        await connection.close()

    await asyncio.gather(*map(create, range(4)))


async def test_a_batch_of_queries_streams_its_rows(t: Any) -> None:
    await t.execute("INSERT INTO t SELECT 1, 1 FROM svv_columns")
    await t.execute(
        "BEGIN; INSERT INTO t VALUES (3, 3); SELECT t.a, u.b FROM t, t AS u LIMIT 50000; SELECT 1"
    )
    assert await t.fetchval("SELECT count(*) FROM t WHERE a = 3") == 1


@HOW
async def test_rule_x3_a_write_sees_what_it_waited_for(t: Any, other: Any, how: str) -> None:
    await t.execute("BEGIN; UPDATE t SET b = 10 WHERE a = 1")
    writing = Background(getattr(other, how)("UPDATE t SET b = b + 1 WHERE a = 1"))
    assert await writing.waits()
    await t.execute("COMMIT")
    await writing.result()
    assert await other.fetchval("SELECT b FROM t") == 11
