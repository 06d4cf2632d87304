"""DDL, names, settings, the catalogue, and everything that Redshift refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conform.standin import StandIn, con, failure, other, schema, standin

__all__ = ["con", "other", "schema", "standin"]

HOW = pytest.mark.parametrize("how", ["execute", "fetch"])

REFUSED = [
    ("S2", "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "42601"),
    ("S2", "INSERT INTO t (a) VALUES (1) RETURNING a", "42601"),
    ("S2", "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "42601"),
    ("S2", "WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x", "42601"),
    ("S2", "SELECT count(*) FILTER (WHERE a > 1) FROM t", "42601"),
    ("S2", "SELECT ARRAY[1, 2]", "42601"),
    ("S2", "SELECT DISTINCT ON (a) a FROM t", "42601"),
    ("S2", "SELECT a FROM t FOR UPDATE", "42601"),
    ("S2", "SAVEPOINT x", "0A000"),
    ("S2", "RELEASE SAVEPOINT x", "0A000"),
    ("S2", "ROLLBACK TO SAVEPOINT x", "42601"),
    ("S2", "COMMIT AND CHAIN", "42601"),
    ("S2", "LISTEN x", "0A000"),
    ("S2", "UNLISTEN *", "0A000"),
    ("S2", "NOTIFY x", "0A000"),
    ("S2", "DISCARD ALL", "42601"),
    ("S2", "CREATE INDEX i ON t (a)", "0A000"),
    ("S2", "CREATE UNIQUE INDEX i ON t (a)", "0A000"),
    ("S2", "CREATE SEQUENCE q", "0A000"),
    ("S2", "CREATE DOMAIN d AS int", "0A000"),
    ("S2", "CREATE TYPE d AS (a int)", "0A000"),
    ("S2", "COPY t FROM STDIN", "42601"),
    ("S2", "COPY t TO STDOUT", "42601"),
    ("S2", "VALUES (1)", "42601"),
    ("S2", "DO $$ BEGIN END $$", "42601"),
    ("S2", "TABLE t", "42601"),
    ("S2", "SELECT * FROM pg_range", "42P01"),
    ("S2", "EXPLAIN ANALYZE SELECT 1", "42601"),
    ("S2", "LOCK t IN EXCLUSIVE MODE", "42601"),
    ("S3", "SET jit TO off", "42704"),
    ("S3", "SET lock_timeout TO 5", "42704"),
    ("S3", "SET standard_conforming_strings TO on", "42704"),
    ("S3", "SHOW work_mem", "42704"),
    ("S4", "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "42601"),
    ("S4", "MERGE INTO t x USING s ON x.a = s.a WHEN MATCHED THEN DELETE", "42601"),
    ("S4", ("MERGE INTO t USING (SELECT 1 AS a) s ON t.a = s.a WHEN MATCHED THEN DELETE "
     "WHEN NOT MATCHED THEN INSERT VALUES (1)"), "0A000"),
    ("D1", "CREATE TABLE x (a jsonb)", "42704"),
    ("D1", "CREATE TABLE x (a uuid)", "42704"),
    ("D1", "CREATE TABLE x (a serial)", "42704"),
    ("D1", "CREATE TABLE x (a bytea)", "42704"),
    ("D1", "CREATE TABLE x (a int[])", "42601"),
    ("D1", "CREATE TABLE x (a int CHECK (a > 1))", "42601"),
    ("D1", "CREATE TABLE x (a varchar(65536))", "22023"),
    ("D1", "CREATE TABLE x (a char(4097))", "22023"),
    ("D1", "CREATE TABLE x (a decimal(39, 2))", "22023"),
    ("D1", "CREATE TABLE x (a decimal(38, 38))", "22023"),
    ("D1", "CREATE TABLE x (a int) WITH (fillfactor = 10)", "42601"),
    ("D1", "CREATE TABLE x (a int) PARTITION BY LIST (a)", "42601"),
    ("D1", "CREATE TABLE x (a int, A int)", "42701"),
    ("D1", "CREATE UNLOGGED TABLE x (a int)", "0A000"),
    ("D2", "CREATE TABLE x (a int) DISTKEY(b)", "42703"),
    ("D2", "CREATE TABLE x (a int) SORTKEY(b)", "42703"),
    ("D2", "CREATE TABLE x (a int DISTKEY, b int DISTKEY)", "42601"),
    ("D2", "CREATE TABLE x (a int) DISTSTYLE EVEN DISTKEY(a)", "42601"),
    ("D2", "CREATE TABLE x (a int) DISTSTYLE KEY", "42601"),
    ("D2", "CREATE TABLE x (a int ENCODE nonsense)", "42601"),
    ("D2", "CREATE TABLE x (a varchar(5) ENCODE az64)", "42804"),
    ("L3", "ALTER TABLE t ADD COLUMN x int, ADD COLUMN y int", "42601"),
    ("L3", "ALTER TABLE t ADD COLUMN x int DISTKEY", "0A000"),
    ("L3", "ALTER TABLE t ADD COLUMN x int NOT NULL", "42601"),
    ("L3", "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1", "42601"),
    ("L3", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "42601"),
    ("L2", "ALTER TABLE t ALTER COLUMN a TYPE bigint", "0A000"),
    ("L2", "ALTER TABLE t ALTER COLUMN b TYPE varchar(5)", "0A000"),
    ("L2", "ALTER TABLE t ALTER COLUMN b TYPE varchar(50) USING b", "0A000"),
    ("N1", f"CREATE TABLE {'x' * 128} (a int)", "42622"),
    ("N1", f"SELECT 1 AS {'x' * 64}", "42622"),
    ("N1", f'SELECT 1 AS "{"ä" * 32}"', "42622"),
    ("stand-in", "NONSENSE 1", "0A000"),
    ("stand-in", "UNLOAD ('select 1') TO 's3://b/k'", "0A000"),
    ("stand-in", "CREATE MATERIALIZED VIEW v AS SELECT 1", "0A000"),
    ("stand-in", "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql", "0A000"),
    ("stand-in", "CREATE USER u PASSWORD 'x'", "0A000"),
    ("stand-in", "SELECT 1 AS a INTO x", "0A000"),
    ("stand-in", "SET SESSION AUTHORIZATION x", "0A000"),
    ("stand-in", "SET enable_case_sensitive_identifier TO true", "0A000"),
    ("stand-in", "COPY t FROM 's3://b/k' IAM_ROLE default FORMAT CSV", "0A000"),
    ("stand-in", "PREPARE p AS SELECT 1", "0A000"),
    ("stand-in", "CALL p()", "0A000"),
]  # fmt: skip


@HOW
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}-{case[1][:60]}")
async def test_refused(con: Any, case: tuple[str, str, str], how: str) -> None:
    rule, sql, state = case
    await con.execute("CREATE TABLE t (a INT, b VARCHAR(10)); CREATE TABLE s (a INT)")
    error = await failure(getattr(con, how)(sql))
    assert error.sqlstate == state, (rule, error.message)
    assert await con.fetchval("SELECT 1") == 1


PASSED = [
    "SET query_group TO 's3rs:load:01'",
    "SET statement_timeout TO 60000",
    "SET search_path = 'public', x",
    "SET SESSION application_name TO 'x'",
    "RESET query_group",
    "RESET ALL",
    "SHOW query_group",
    "SELECT CURRENT_USER, current_database(), pg_backend_pid()",
    "SELECT has_schema_privilege(current_user, 'public', 'CREATE')",
    "SELECT GETDATE(), SYSDATE, NVL(NULL, NULL, 3), LEN('abc')",
    "GRANT SELECT ON t TO PUBLIC",
    "REVOKE SELECT ON t FROM PUBLIC",
    "COMMENT ON TABLE t IS 'about'",
    "CREATE OR REPLACE VIEW v AS SELECT a FROM t",
    "EXPLAIN SELECT 1",
    "ANALYZE t (a)",
    "ANALYZE t PREDICATE COLUMNS",
    "VACUUM DELETE ONLY t TO 90 PERCENT",
    "VACUUM",
    "TRUNCATE TABLE t",
    "DROP TABLE IF EXISTS nothing CASCADE",
    "CREATE TABLE x AS SELECT 1 AS a",
    "CREATE TEMP TABLE y (LIKE t INCLUDING DEFAULTS)",
    "CREATE TABLE z DISTSTYLE EVEN AS (SELECT 'ä'::VARCHAR(5) AS b)",
    "ALTER TABLE t ADD COLUMN c VARCHAR(9) DEFAULT 'x' ENCODE zstd",
    "ALTER TABLE t ALTER COLUMN b TYPE VARCHAR(50)",
    "ALTER TABLE t ALTER COLUMN b ENCODE lzo",
    "ALTER TABLE t ALTER DISTSTYLE KEY DISTKEY a",
    "ALTER TABLE t ALTER COMPOUND SORTKEY (a, b)",
    "ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY (a)",
    "ALTER TABLE t RENAME COLUMN a TO aa",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t RENAME TO t2",
    "ALTER TABLE t OWNER TO awsuser",
    (
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = s.a "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)"
    ),
]


@HOW
@pytest.mark.parametrize("sql", PASSED, ids=lambda sql: sql[:60])
async def test_accepted(con: Any, sql: str, how: str) -> None:
    await con.execute("CREATE TABLE t (a INT, b VARCHAR(10)); CREATE TABLE s (a INT)")
    await getattr(con, how)(sql)
    assert await con.fetchval("SELECT 1") == 1


DEFAULTS = [
    ("VARCHAR", "character varying(256)"),
    ("TEXT", "character varying(256)"),
    ("VARCHAR(MAX)", "character varying(65535)"),
    ("NVARCHAR(7)", "character varying(7)"),
    ("CHARACTER VARYING(8)", "character varying(8)"),
    ("CHAR", "character(1)"),
    ("BPCHAR", "character(256)"),
    ("DECIMAL", "numeric(18,0)"),
    ("NUMERIC(5)", "numeric(5,0)"),
    ("FLOAT", "double precision"),
    ("SUPER", "super"),
    ("VARBYTE(9)", "binary varying(9)"),
    ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"),
]


@pytest.mark.parametrize(("written", "kept"), DEFAULTS)
async def test_rule_d1_types_have_defaults(con: Any, written: str, kept: str) -> None:
    await con.execute(f"CREATE TABLE t (a {written})")
    assert await con.fetchval("SELECT type FROM pg_table_def WHERE tablename = 't'") == kept


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ("DISTSTYLE ALL", ("ALL", "AUTO(SORTKEY)", 0)),
        ("DISTKEY(a) COMPOUND SORTKEY(b, a)", ("KEY(a)", "b", 2)),
        ("DISTSTYLE KEY DISTKEY(a) INTERLEAVED SORTKEY(a)", ("KEY(a)", "a", 1)),
        ("BACKUP NO", ("AUTO(ALL)", "AUTO(SORTKEY)", 0)),
        ("SORTKEY AUTO ENCODE AUTO", ("AUTO(ALL)", "AUTO(SORTKEY)", 0)),
    ],
)
async def test_rule_d2_attributes_are_recorded(con: Any, attributes: str, found: Any) -> None:
    await con.execute(f"CREATE TABLE d (a INT, b INT ENCODE zstd) {attributes}")
    table = await con.fetchval("SELECT 'd'::regclass::oid::int")
    row = await con.fetchrow(
        "SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info WHERE table_id = $1", table
    )
    assert tuple(row) == found
    encodings = "SELECT encoding FROM pg_table_def WHERE tablename = 'd' ORDER BY \"column\""
    assert [r["encoding"] for r in await con.fetch(encodings)] == ["none", "zstd"]


async def test_rule_d3_keys_are_not_enforced_but_not_null_is(con: Any) -> None:
    await con.execute("CREATE TABLE p (a INT UNIQUE, b INT, PRIMARY KEY (b))")
    await con.execute("CREATE TABLE c (a INT REFERENCES p (b), FOREIGN KEY (a) REFERENCES p)")
    await con.execute("INSERT INTO p VALUES (1, 1); INSERT INTO p VALUES (1, 1)")
    await con.execute("INSERT INTO c VALUES (99)")
    error = await failure(con.execute("INSERT INTO p (a) VALUES (2)"))
    assert (error.sqlstate, error.message) == ("XX000", "Cannot insert a NULL value into column b")


@HOW
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES ('ääää')",
        "UPDATE t SET a = 'ääää'",
        "INSERT INTO l VALUES ('ääää')",
        "INSERT INTO q VALUES ('ääää')",
        "INSERT INTO w (b) VALUES ('ääää')",
    ],
)
async def test_rule_d4_lengths_are_bytes_everywhere(con: Any, sql: str, how: str) -> None:
    await con.execute("CREATE TABLE t (a VARCHAR(7)); INSERT INTO t VALUES ('äää')")
    await con.execute("CREATE TEMP TABLE l (LIKE t)")
    await con.execute("CREATE TABLE q AS SELECT a FROM t")
    await con.execute("CREATE TABLE w (a INT)")
    await con.execute("ALTER TABLE w ADD COLUMN b VARCHAR(7)")
    error = await failure(getattr(con, how)(sql))
    assert error.sqlstate == "22001"
    assert error.message == "value too long for type character varying(7)"


async def test_rule_l2_a_wider_column_takes_more_bytes(con: Any) -> None:
    await con.execute("CREATE TABLE t (a VARCHAR(4))")
    await con.execute("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(6)")
    await con.execute("INSERT INTO t VALUES ('äää')")
    assert (await failure(con.execute("INSERT INTO t VALUES ('ääää')"))).sqlstate == "22001"


async def test_create_if_not_exists_leaves_what_is_there(con: Any) -> None:
    sql = "CREATE TABLE IF NOT EXISTS t (a INT) DISTSTYLE {}"
    await con.execute(sql.format("ALL"))
    await con.execute(sql.format("EVEN"))
    table = await con.fetchval("SELECT 't'::regclass::oid::int")
    found = await con.fetchval("SELECT diststyle FROM svv_table_info WHERE table_id = $1", table)
    assert found == "ALL"


async def test_rule_n2_quoted_names_fold(con: Any) -> None:
    await con.execute('CREATE TABLE "MiXed" ("Col" INT, "Ünï" INT)')
    await con.execute('INSERT INTO mixed ("COL") VALUES (1)')
    row = await con.fetchrow('SELECT "cOl" AS "OUT", "Ünï" FROM "MIXED"')
    assert list(row.keys()) == ["out", "Ünï"]


async def test_rule_n1_names_up_to_63_bytes_are_kept(con: Any) -> None:
    name = "x" * 63
    await con.execute(f"CREATE TABLE {name} ({name} INT)")
    found = "SELECT column_name FROM svv_columns WHERE table_name = $1"
    assert await con.fetchval(found, name) == name


async def test_rule_s1_a_backslash_escapes(con: Any) -> None:
    assert await con.fetchval(r"SELECT 'a\'b\\c'") == r"a'b\c"


async def test_columns_are_shown_in_redshifts_words(con: Any, schema: str) -> None:
    await con.execute("CREATE TABLE t (a VARCHAR(7), b SUPER, c VARBYTE(5), d DECIMAL(20, 3))")
    for view in ("information_schema.columns", "svv_columns"):
        rows = await con.fetch(
            "SELECT data_type, character_maximum_length, numeric_precision, numeric_scale "
            f"FROM {view} WHERE table_schema = $1 ORDER BY ordinal_position", schema,
        )  # fmt: skip
        assert [tuple(row) for row in rows] == [
            ("character varying", 7, None, None),
            ("super", None, None, None),
            ("binary varying", 5, None, None),
            ("numeric", None, 20, 3),
        ]


async def test_settings_hold_until_reset(con: Any) -> None:
    await con.execute("SET query_group TO 's3rs:a b'")
    assert await con.fetchval("SHOW query_group") == "s3rs:a b"
    await con.execute("RESET ALL")
    assert await con.fetchval("SHOW query_group") == ""
    await con.execute("SET statement_timeout TO 50")
    assert (await failure(con.execute("SELECT pg_sleep(2)"))).sqlstate == "57014"


async def test_super_columns_cannot_be_decoded_by_asyncpg(con: Any) -> None:
    await con.execute("CREATE TABLE t (j SUPER); INSERT INTO t VALUES (JSON_PARSE('[1]'))")
    error = await failure(con.fetch("SELECT j FROM t"))
    assert error.message == 'relation "pg_range" does not exist'
    assert await con.fetchval("SELECT j::VARCHAR FROM t") == "[1]"


async def test_an_unfinished_batch_does_not_hold_up_the_next(con: Any) -> None:
    for _ in range(3):
        await failure(con.fetch("SELECT 1 FROM nothing_here"))
        await failure(con.fetch("SAVEPOINT x"))
        await failure(con.fetch("INSERT INTO nothing_here VALUES ($1)", 1))
        assert await con.fetchval("SELECT $1::int", 5) == 5


async def test_an_empty_statement_is_one(con: Any) -> None:
    assert await con.fetch("") == []


async def test_a_large_result_passes(con: Any) -> None:
    await con.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)")
    for _ in range(14):
        await con.execute("INSERT INTO t SELECT a FROM t")
    rows = await con.fetch("SELECT a, 'text' AS b FROM t")
    assert len(rows) == 2**15


async def test_sessions_do_not_disturb_each_other(standin: StandIn) -> None:
    async def one(number: int) -> int:
        connection = await standin.connect()
        await connection.execute(f"CREATE TEMP TABLE x (a INT); INSERT INTO x VALUES ({number})")
        found = await connection.fetchval("SELECT a FROM x WHERE a = $1", number)
        await connection.close()
        return int(found)

    assert await asyncio.gather(*map(one, range(12))) == list(range(12))
