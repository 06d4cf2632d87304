"""Snapshots, lost races and tables that are younger than a snapshot: rules X1 to X1c and X6."""

from __future__ import annotations

import asyncpg

from tests.standin.checks import check
from tests.standin.site import Site

NO_CHOICE = "the isolation of a cluster's database is no session's to choose"
HOW = [("simple", "execute"), ("extended", "fetch")]


async def _t(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (1, 1)")


@check("X1", [("block", "BEGIN"), ("start", "START TRANSACTION")])
async def a_snapshot_does_not_move(at: Site, begin: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run(begin)
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]
    await other.execute("INSERT INTO t VALUES (2, 2)")
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]
    await at.run("COMMIT")
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("X1", [("statement", "SELECT count(*) FROM t"), ("ddl", "CREATE TABLE u (a INT)")])
async def the_first_statement_takes_the_snapshot(at: Site, first: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", first)
    await other.execute("INSERT INTO t VALUES (2, 2)")
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]


@check("X1", [("settings", "SET query_group TO 'x'"), ("show", "SHOW query_group")], proves=False)
async def begin_and_settings_take_no_snapshot(at: Site, quiet: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", quiet)
    await other.execute("INSERT INTO t VALUES (2, 2)")
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("X1", proves=False)
async def nobody_sees_what_is_not_committed(at: Site) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "UPDATE t SET b = 9")
    assert await other.fetchval("SELECT b FROM t") == 1
    await at.run("ROLLBACK")
    assert await at.rows("SELECT b FROM t") == [(1,)]


@check("X1", proves=False)
async def temporary_tables_are_their_sessions_and_hide_others(at: Site) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("CREATE TEMP TABLE t (a INT)", "INSERT INTO t VALUES (7)")
    assert await at.rows("SELECT a FROM t") == [(7,)]
    assert await other.fetchval("SELECT a FROM t") == 1
    await other.execute("CREATE TEMP TABLE t (a INT)")
    await at.run("DROP TABLE t")
    assert await at.rows("SELECT a FROM t") == [(1,)]


@check("X1", proves=False)
async def ddl_is_transactional(at: Site) -> None:
    await _t(at)
    await at.run("BEGIN", "CREATE TABLE u (a VARCHAR(5)) DISTSTYLE ALL")
    await at.run("ALTER TABLE t RENAME TO t_old", "ALTER TABLE u RENAME TO t", "ROLLBACK")
    assert await at.rows("SELECT a FROM t") == [(1,)]
    assert (await at.fails("SELECT * FROM u")).sqlstate == "42P01"


async def _lose(at: Site, write: str, how: str) -> asyncpg.PostgresError:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "SELECT count(*) FROM t")
    await other.execute("UPDATE t SET b = 2 WHERE a = 1")
    return await at.fails(getattr(at.con, how)(write))


@check(
    "X1a",
    [
        ("update", "UPDATE t SET b = 3 WHERE a = 1", "execute"),
        ("update-extended", "UPDATE t SET b = 3 WHERE a = 1", "fetch"),
        ("delete", "DELETE FROM t", "execute"),
        ("delete-extended", "DELETE FROM t", "fetch"),
    ],
)
async def a_lost_race_is_1023(at: Site, write: str, how: str) -> None:
    error = await _lose(at, write, how)
    assert (error.sqlstate, error.message) == ("XX000", "1023")
    assert error.detail.startswith("Serializable isolation violation on table - ")
    assert "transactions forming the cycle are: " in error.detail


@check("X1a", HOW)
async def a_lost_race_names_its_table(at: Site, how: str) -> None:
    error = await _lose(at, "UPDATE t SET b = 3 WHERE a = 1", how)
    assert error.detail is not None
    await at.run("ROLLBACK")
    ((number,),) = await at.rows("SELECT 't'::regclass::oid::int")
    assert f"violation on table - {number}, transactions" in error.detail
    pid = at.con.get_server_pid()
    assert error.detail.endswith(f"(pid:{pid})")


@check("X1a")
async def a_lost_race_fails_the_block(at: Site) -> None:
    assert (await _lose(at, "DELETE FROM t", "execute")).message == "1023"
    assert (await at.fails("SELECT 1")).sqlstate == "25P02"
    assert await at.con.execute("COMMIT") == "ROLLBACK"
    assert await at.rows("SELECT b FROM t") == [(2,)]


@check("X1a", proves=False)
async def a_failed_block_answers_commit_with_rollback(at: Site) -> None:
    await _t(at)
    await at.run("BEGIN", "INSERT INTO t VALUES (2, 2)")
    await at.fails("SELECT * FROM nothing_here")
    for how in ("execute", "fetch"):
        assert (await at.fails(getattr(at.con, how)("SELECT 1"))).sqlstate == "25P02"
    assert await at.con.execute("END") == "ROLLBACK"
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]


async def _cross(at: Site, level: str) -> list[str]:
    """Two transactions that read what the other writes; the errors."""
    await at.run("CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)")
    other = await at.connect()
    said = []
    for con in (at.con, other):
        await con.execute(f"SET s3rs_standin.isolation = '{level}'")
        await con.execute("BEGIN")
    await at.con.fetch("SELECT * FROM t")
    await other.fetch("SELECT * FROM u")
    for con, sql in ((at.con, "INSERT INTO u VALUES (1)"), (other, "INSERT INTO t VALUES (1)")):
        await con.execute(sql)
    for con in (at.con, other):
        try:
            await con.execute("COMMIT")
        except asyncpg.PostgresError as error:
            said.append(f"{error.sqlstate} {error.message} {error.detail}")
    return said


@check("X1b", only_here=NO_CHOICE)
async def serializable_isolation_allows_no_cycle(at: Site) -> None:
    said = await _cross(at, "serializable")
    assert len(said) == 1
    assert said[0].startswith("XX000 1023 Serializable isolation violation on table - ")


@check("X1b", only_here=NO_CHOICE, proves=False)
async def snapshot_isolation_allows_a_cycle(at: Site) -> None:
    assert await _cross(at, "snapshot") == []


@check("X1b", only_here=NO_CHOICE, proves=False)
async def a_serializable_loser_may_try_again(at: Site) -> None:
    assert len(await _cross(at, "serializable")) == 1
    await at.run("BEGIN", "SELECT * FROM t", "INSERT INTO u VALUES (2)", "COMMIT")


YOUNG = [
    ("select", "SELECT * FROM young"),
    ("join", "SELECT 1 FROM t JOIN young ON t.a = young.a"),
    ("list", "SELECT 1 FROM t, young"),
    ("insert", "INSERT INTO young VALUES (1)"),
    ("insert-select", "INSERT INTO t SELECT a, a FROM young"),
    ("update", "UPDATE young SET a = 1"),
    ("delete", "DELETE FROM young"),
    ("delete-using", "DELETE FROM t USING young WHERE t.a = young.a"),
    ("merge", (
        "MERGE INTO t USING young ON t.a = young.a WHEN MATCHED THEN UPDATE SET b = 1 "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (young.a)"
    )),
]  # fmt: skip


@check("X1c", [(f"{title}-{how}", sql, act) for title, sql in YOUNG for how, act in HOW])
async def a_table_younger_than_the_snapshot_is_not_there(at: Site, sql: str, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "SELECT count(*) FROM t")
    await other.execute("CREATE TABLE young (a INT)")
    error = await at.fails(getattr(at.con, how)(sql))
    assert (error.sqlstate, error.message) == ("XX000", "1018")
    assert error.detail == "Relation does not exist"
    assert (await at.fails("SELECT 1")).sqlstate == "25P02"


@check("X1c", HOW, proves=False)
async def a_table_younger_than_begin_is_there(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN")
    await other.execute("CREATE TABLE young (a INT)")
    await getattr(at.con, how)("INSERT INTO young VALUES (1)")
    await at.run("CREATE TABLE own (a INT)", "CREATE TEMP TABLE stage (LIKE own)")
    await getattr(at.con, how)("INSERT INTO own SELECT a FROM young")
    await getattr(at.con, how)("INSERT INTO stage SELECT a FROM own")
    await at.run("COMMIT")
    assert await at.rows("SELECT a FROM own") == [(1,)]


@check("X6", [(f"{level}-{how}", level, act) for how, act in HOW for level in (
    "READ COMMITTED", "READ UNCOMMITTED",
)])  # fmt: skip
async def any_isolation_level_means_the_databases(at: Site, level: str, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await getattr(at.con, how)(f"BEGIN ISOLATION LEVEL {level}")
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]
    await other.execute("INSERT INTO t VALUES (2, 2)")
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]


@check("X6", [
    ("serializable", "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE"),
    ("start", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
    ("work", "BEGIN WORK"),
    ("driver", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"),
], proves=False)  # fmt: skip
async def a_transaction_may_be_begun_in_many_words(at: Site, begin: str) -> None:
    await at.run(begin, "SELECT 1", "END TRANSACTION")
