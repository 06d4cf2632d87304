"""Statements that pass, in both protocols, and literals as Redshift reads them."""

from __future__ import annotations

import asyncio

from tests.standin.checks import check
from tests.standin.site import Site

PASSED = [
    "SELECT CURRENT_USER, current_database(), pg_backend_pid()",
    "SELECT has_schema_privilege(current_user, 'public', 'CREATE')",
    "SELECT GETDATE(), SYSDATE, NVL(NULL, NULL, 3), LEN('abc')",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 3) SELECT a FROM n",
    "WITH x (c) AS (SELECT a FROM t), y AS (SELECT c FROM x) SELECT c FROM y JOIN x USING (c)",
    "SELECT x.c, count(*) FROM t AS x (c) WHERE c IN (1, 2) GROUP BY x.c HAVING count(*) > 0",
    "SELECT y.c FROM (SELECT a FROM t) y (c) WHERE (y.c) BETWEEN (1) AND (2) OR NOT (y.c = 3)",
    "SELECT CASE WHEN (a > 1) THEN (1) ELSE (2) END, a AS count, b::VARCHAR(5) FROM t",
    "SELECT a, sum(a) OVER (PARTITION BY (b) ORDER BY a ROWS UNBOUNDED PRECEDING) FROM t",
    "SELECT a FROM t GROUP BY GROUPING SETS ((a), ()) ORDER BY (a) LIMIT (2) OFFSET (0)",
    "SELECT extract(epoch FROM SYSDATE), substring(b FROM 1 FOR 2), trim(BOTH 'x' FROM b) FROM t",
    "SELECT TIMESTAMP '2020-01-01' AT TIME ZONE lower('UTC')",
    "SELECT t.a FROM t, s",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (DEFAULT, NULL)",
    "INSERT INTO t (a) SELECT a FROM s WHERE EXISTS (SELECT 1)",
    "INSERT INTO t (a) WITH x AS (SELECT 1 AS a) SELECT a FROM x",
    "INSERT INTO t DEFAULT VALUES",
    "UPDATE t SET a = s.a FROM s WHERE t.a = s.a",
    "UPDATE t AS x SET a = NVL(a, 1) WHERE x.a IN (SELECT a FROM s)",
    "WITH x AS (SELECT 1 AS a) UPDATE t SET a = x.a FROM x",
    "DELETE FROM t USING s WHERE t.a = s.a",
    "DELETE t",
    "GRANT SELECT ON t TO PUBLIC",
    "REVOKE SELECT ON t FROM PUBLIC",
    "COMMENT ON TABLE t IS 'about'",
    "COMMENT ON COLUMN t.a IS NULL",
    "CREATE OR REPLACE VIEW v AS SELECT a FROM t",
    "CREATE VIEW v (c, d) AS SELECT a, NVL(b, 'x') FROM t",
    "EXPLAIN SELECT 1",
    "EXPLAIN VERBOSE SELECT a FROM t",
    "EXPLAIN DELETE FROM t",
    "DROP TABLE IF EXISTS nothing CASCADE",
    "DROP VIEW IF EXISTS nothing, nothing_else",
    "CREATE TABLE x AS SELECT 1 AS a, SYSDATE AS b, DATEADD(day, 1, GETDATE()) AS c",
    "CREATE TABLE z DISTSTYLE EVEN AS (SELECT 'ä'::VARCHAR(5) AS b)",
    (
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace"
        " WHERE pg_catalog.pg_table_is_visible(c.oid) AND n.nspname = current_schema()"
    ),
    (
        "SELECT format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid"
        " WHERE a.attrelid = 't'::regclass"
    ),
    "SELECT array_to_string(ARRAY(SELECT n.nspname FROM pg_namespace n), ',') FROM pg_class",
]


@check(
    "stand-in",
    [(f"{how}, {sql}", sql, how) for sql in PASSED for how in ("execute", "fetch")],
    proves=False,
)
async def it_passes(at: Site, sql: str, how: str) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(10)); CREATE TABLE s (a INT)")
    await getattr(at.con, how)(sql)
    assert await at.rows("SELECT 1") == [(1,)]


@check(
    "S1", [("a quote", r"'a\'b'", "a'b"), ("itself", r"'a\\b'", r"a\b"), ("n", r"'a\tb'", "a\tb")]
)
async def a_backslash_escapes(at: Site, written: str, read: str) -> None:
    assert await at.rows(f"SELECT {written}") == [(read,)]


@check("S1", [
    ("string", "SELECT 'a"), ("name", 'SELECT "a'), ("comment", "SELECT /* a"),
    ("escaped", r"SELECT 'a\'"), ("two of them", "SELECT 1; SELECT 'x"),
], proves=False)  # fmt: skip
async def what_is_not_closed_is_a_syntax_error(at: Site, sql: str) -> None:
    assert (await at.fails(sql)).sqlstate == "42601"


@check("S38")
async def a_cursor_moves_forward_only(at: Site) -> None:
    await at.run("BEGIN", "DECLARE c CURSOR FOR SELECT 1 AS a UNION SELECT 2 ORDER BY 1")
    assert await at.rows("FETCH NEXT FROM c") == [(1,)]
    assert await at.rows("FETCH FORWARD 5 FROM c") == [(2,)]
    error = await at.fails("FETCH BACKWARD 1 FROM c")
    assert (error.sqlstate, error.message) == ("42601", 'syntax error at or near "BACKWARD"')


@check("S38", proves=False)
async def a_cursor_is_closed(at: Site) -> None:
    await at.run("BEGIN", "DECLARE c CURSOR FOR SELECT 1", "FETCH ALL FROM c", "CLOSE c")
    assert (await at.fails("FETCH NEXT FROM c")).sqlstate == "34000"


@check("stand-in", proves=False)
async def a_refusal_does_not_hold_up_the_next_statement(at: Site) -> None:
    for _ in range(3):
        await at.fails(at.con.fetch("SELECT 1 FROM nothing_here"))
        await at.fails(at.con.fetch("SAVEPOINT x"))
        await at.fails(at.con.fetch("INSERT INTO nothing_here VALUES ($1)", 1))
        assert await at.con.fetchval("SELECT $1::INT", 5) == 5


@check("stand-in", proves=False)
async def a_refusal_is_part_of_the_transaction(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "BEGIN", "INSERT INTO t VALUES (1)")
    await at.fails("SELECT array_agg(a) FROM t")
    assert (await at.fails("SELECT 1")).sqlstate == "25P02"
    await at.run("ROLLBACK")
    assert await at.rows("SELECT a FROM t") == []


@check("stand-in", proves=False)
async def an_empty_statement_is_one(at: Site) -> None:
    assert await at.rows("") == []
    await at.run("SELECT 1; ;")


@check("stand-in", proves=False)
async def a_large_result_passes(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)")
    for _ in range(14):
        await at.run("INSERT INTO t SELECT a FROM t")
    assert len(await at.rows("SELECT a, 'text' AS b FROM t")) == 2**15


@check("stand-in", proves=False)
async def sessions_do_not_disturb_each_other(at: Site) -> None:
    async def one(number: int) -> int:
        connection = await at.connect()
        await connection.execute(f"CREATE TEMP TABLE x (a INT); INSERT INTO x VALUES ({number})")
        return int(await connection.fetchval("SELECT a FROM x WHERE a = $1", number))

    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(one(number)) for number in range(12)]
    assert [task.result() for task in found] == list(range(12))
