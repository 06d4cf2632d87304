"""What PostgreSQL would run and Redshift does not: the token that is named, and its SQLSTATE."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

TABLES = "CREATE TABLE t (a INT, b VARCHAR(10)); CREATE TABLE s (a INT, b VARCHAR(10))"

SYNTAX = [
    ("S2", "ROLLBACK TO SAVEPOINT x", "TO"),
    ("S2", "COMMIT AND CHAIN", "AND"),
    ("S2", "LOCK t IN EXCLUSIVE MODE", "IN"),
    ("S5", "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "ON"),
    ("S6", "INSERT INTO t (a) VALUES (1) RETURNING a", "RETURNING"),
    ("S6", "DELETE FROM t RETURNING a", "RETURNING"),
    ("S7", "SELECT ARRAY[1, 2]", "["),
    ("S7", "SELECT '{1}'::INT[]", "["),
    ("S8", "SELECT count(*) FILTER (WHERE a > 1) FROM t", "("),
    ("S9", "SELECT DISTINCT ON (a) a FROM t", "DISTINCT"),
    ("S10", "SELECT a FROM t FOR UPDATE", "FOR"),
    ("S10", "SELECT a FROM t FOR NO KEY UPDATE", "FOR"),
    ("S11", "SELECT x.b FROM t, LATERAL (SELECT t.a AS b) x", "LATERAL"),
    ("S12", "SELECT a FROM t TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
    ("S13", "WITH x AS (DELETE FROM t) SELECT 1", "DELETE"),
    ("S14", "WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x", "INSERT"),
    ("S15", "EXPLAIN ANALYZE SELECT 1", "ANALYZE"),
    ("S15", "EXPLAIN (COSTS OFF) SELECT 1", "("),
    ("S17", "DISCARD ALL", "DISCARD"),
    ("S19", "VALUES (1)", "VALUES"),
    ("S19", "DO $$ BEGIN END $$", "DO"),
    ("S19", "TABLE t", "TABLE"),
    ("S21", "SELECT x.a FROM (VALUES (1), (2)) AS x (a)", "VALUES"),
    ("S22", "SELECT a IS DISTINCT FROM 1 FROM t", "DISTINCT"),
    ("S22", "SELECT a IS NOT DISTINCT FROM 1 FROM t", "DISTINCT"),
    ("S28", "SELECT $$a$$", "$"),
    ("S28", "SELECT U&'a'", "U&'a'"),
    ("S28", "SELECT B'01'", "B'01'"),
    ("S29", "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY a)", "WINDOW"),
    (
        "S29",
        "SELECT sum(a) OVER (ORDER BY a GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "GROUPS",
    ),
    ("S30", "SELECT a FROM t FETCH FIRST 1 ROW ONLY", "FETCH"),
    ("S31", "SELECT ROW(1, 2) = ROW(1, 2)", "("),
    ("S32", "INSERT INTO t (a) OVERRIDING USER VALUE VALUES (1)", "OVERRIDING"),
    ("S32", "INSERT INTO t AS x (a) VALUES (1)", "AS"),
    ("S33", """SELECT b COLLATE "C" FROM t""", "COLLATE"),
    ("S34", "WITH x AS MATERIALIZED (SELECT 1 AS a) SELECT a FROM x", "MATERIALIZED"),
    ("S34", "WITH x AS NOT MATERIALIZED (SELECT 1 AS a) SELECT a FROM x", "MATERIALIZED"),
    ("S35", "CREATE VIEW v WITH (security_barrier) AS SELECT a FROM t", "WITH"),
    ("S35", "CREATE VIEW v AS SELECT a FROM t WITH CHECK OPTION", "CHECK"),
    ("S36", "DELETE FROM ONLY t", "ONLY"),
    ("S37", "COMMENT ON SCHEMA public IS 'x'", "SCHEMA"),
    ("S38", "DECLARE c SCROLL CURSOR FOR SELECT 1", "SCROLL"),
]


@check("S20", [("from standard input", "COPY t FROM STDIN", "STDIN")], proves=False)
@check("S20", [("to standard output", "COPY (SELECT 1) TO STDOUT", "STDOUT")])
async def copy_takes_no_stream(at: Site, sql: str, near: str) -> None:
    await at.run(TABLES)
    error = await at.fails(at.con.fetch(sql))
    assert (error.sqlstate, error.message) == ("42601", f'syntax error at or near "{near}"')


async def _syntax(at: Site, sql: str, near: str) -> None:
    await at.run(TABLES)
    for way in (at.con.execute, at.con.fetch):
        error = await at.fails(way(sql))
        assert (error.sqlstate, error.message) == ("42601", f'syntax error at or near "{near}"')
    assert await at.rows("SELECT 1") == [(1,)]


for _rule in dict.fromkeys(rule for rule, _, _ in SYNTAX):
    _cases = [(sql, sql, near) for rule, sql, near in SYNTAX if rule == _rule]
    check(_rule, _cases)(_syntax)


UNSUPPORTED = [
    ("S2", "SAVEPOINT x", "SAVEPOINT x"),
    ("S2", "RELEASE SAVEPOINT x", "RELEASE SAVEPOINT x"),
    ("S16", "LISTEN x", "LISTEN x"),
    ("S16", "UNLISTEN *", "UNLISTEN *"),
    ("S16", "NOTIFY x", "NOTIFY x"),
    ("S18", "CREATE INDEX i ON t (a)", "CREATE INDEX"),
    ("S18", "CREATE UNIQUE INDEX i ON t (a)", "CREATE UNIQUE"),
    ("S18", "CREATE SEQUENCE q", "CREATE SEQUENCE"),
    ("S18", "CREATE DOMAIN d AS int", "CREATE DOMAIN"),
    ("S18", "CREATE TYPE d AS (a int)", "CREATE TYPE"),
    ("S18", "CREATE RULE r AS ON INSERT TO t DO NOTHING", "CREATE RULE"),
    ("S18", "CREATE EXTENSION IF NOT EXISTS plpgsql", "CREATE EXTENSION"),
    ("S18", "CREATE STATISTICS st ON a, b FROM t", "CREATE STATISTICS"),
    ("S18", "DROP INDEX IF EXISTS i", "DROP INDEX"),
]


async def _unsupported(at: Site, sql: str, named: str) -> None:
    await at.run(TABLES)
    error = await at.fails(at.con.fetch(sql))
    message = f'SQL command "{named}" not supported'
    assert (error.sqlstate, error.message) == ("0A000", message)


for _rule in dict.fromkeys(rule for rule, _, _ in UNSUPPORTED):
    check(_rule, [(sql, sql, named) for rule, sql, named in UNSUPPORTED if rule == _rule])(
        _unsupported
    )


ABSENT = [
    "array_agg(a)", "string_agg(b, ',')", "json_agg(a)", "jsonb_build_object('a', a)",
    "to_json(a)", "gen_random_uuid()", "unnest(string_to_array(b, ','))", "format('%s', a)",
    "regexp_matches(b, 'x')", "regexp_split_to_table(b, 'x')", "pg_sleep(0)", "clock_timestamp()",
    "transaction_timestamp()", "every(a > 1)", "corr(a, a)", "width_bucket(a, 1, 2, 3)",
    "div(a, 2)", "bit_length(b)", "encode(b::varbyte, 'hex')", "quote_nullable(b)",
    "nextval('q')", "pg_advisory_lock(1)", "txid_current()", "concat_ws(',', b, b)",
    "make_date(2020, 1, 1)", "overlay(b placing 'x' from 1)", "num_nulls(a, b)",
    "pg_relation_size('t')", "host('::1')", "cardinality(null)", "starts_with(b, 'x')",
    "pg_catalog.array_agg(a)",
]  # fmt: skip


@check("S23", [(call, call) for call in ABSENT])
async def a_function_of_postgresql_does_not_exist(at: Site, call: str) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(10))")
    for way in (at.con.execute, at.con.fetch):
        error = await at.fails(way(f"SELECT {call} FROM t"))
        name = call.split("(", maxsplit=1)[0].removeprefix("pg_catalog.")
        message = f"function {name}(...) does not exist"
        assert (error.sqlstate, error.message) == ("42883", message)


@check(
    "S23", [("qualified", "nothing.f(1)"), ("in a subquery", "(SELECT max(f(1)))")], proves=False
)
async def a_function_of_nobody_does_not_exist_either(at: Site, call: str) -> None:
    assert (await at.fails(f"SELECT {call}")).sqlstate == "42883"


LEADER = [
    "current_schema()", "current_schemas(true)", "now()", "age(d)", "current_timestamp",
    "localtimestamp", "generate_series(1, 3)", "has_table_privilege('t', 'select')",
    "array_to_string(null, ',')", "format_type(23, -1)",
]  # fmt: skip


@check("S24", [(call, call) for call in LEADER])
async def a_leader_node_function_fails_with_a_table(at: Site, call: str) -> None:
    await at.run("CREATE TABLE t (d TIMESTAMP)")
    error = await at.fails(at.con.fetch(f"SELECT {call} FROM t"))
    assert error.sqlstate == "0A000"
    assert error.message.startswith("Specified types or functions (one per INFO message)")


@check("S24", only_here="the text after the documented sentence is the stand-in's")
async def a_leader_node_function_is_named(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)")
    error = await at.fails("INSERT INTO t SELECT generate_series(1, 3)")
    assert 'Function "generate_series" not supported.' in error.message


@check("S24", [("none", "generate_series(1, 3)"), ("catalogue", "oid FROM pg_class")], proves=False)
async def a_leader_node_function_runs_without_a_table(at: Site, what: str) -> None:
    assert await at.rows(f"SELECT current_schema(), {what} LIMIT 1")


@check("S25")
async def listagg_needs_a_table(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    assert await at.rows("SELECT LISTAGG(a, ',') FROM t") == [("1",)]
    error = await at.fails("SELECT LISTAGG(1, ',')")
    assert error.sqlstate == "0A000"
    assert error.message.startswith("One or more of the used functions must be applied on")


OPERATORS = ["->", "->>", "#>", "#>>", "@>", "<@", "?", "&&", "-|-", "^@"]


@check("S26", [(sign, sign) for sign in OPERATORS])
async def an_operator_of_postgresql_does_not_exist(at: Site, sign: str) -> None:
    await at.run("CREATE TABLE t (j SUPER, b VARCHAR(10))")
    error = await at.fails(f"SELECT j {sign} b FROM t")
    assert (error.sqlstate, error.message) == ("42883", f"operator does not exist: {sign}")


@check("S26", proves=False)
async def operators_of_redshift_pass(at: Site) -> None:
    sql = (
        "SELECT 7 % 4, 2 ^ 3, |/ 16, @ -5, 6 & 3, 6 | 3, 6 # 3, ~1, 1 << 2, 8 >> 1, 'a' || 'b',"
        " 'abc' ~ 'b', 'abc' !~ 'b', 1 <> 2, 1 != 2, 3*-2, 'abc' ILIKE 'A%', 'abc' SIMILAR TO 'a%'"
    )
    row = (3, 8.0, 4.0, 5, 2, 7, 5, -2, 4, 4, "ab", True, False, True, True, -6, True, True)
    assert await at.rows(sql) == [row]


TYPES = ["jsonb", "json", "uuid", "bytea", "inet", "money", "xml"]


@check("S27", [(name, name) for name in TYPES])
async def a_cast_to_a_type_that_redshift_lacks_fails(at: Site, name: str) -> None:
    await at.run("CREATE TABLE t (b VARCHAR(10))")
    for expression in (f"b::{name}", f"CAST(b AS {name})"):
        error = await at.fails(f"SELECT {expression} FROM t")
        assert (error.sqlstate, error.message) == ("42704", f'type "{name}" does not exist')


@check("S27", [("serial", "serial"), ("unknown", "nonsense")], proves=False)
async def a_cast_to_no_type_fails(at: Site, name: str) -> None:
    await a_cast_to_a_type_that_redshift_lacks_fails(at, name)


@check("S27a")
async def a_cast_to_numeric_has_no_fraction(at: Site) -> None:
    (row,) = await at.rows("SELECT 1.5::NUMERIC, CAST('2.5' AS DECIMAL), CONVERT(DEC, 1.4)")
    assert [str(value) for value in row] == ["2", "3", "1"]


@check("S27")
async def a_typed_literal_has_a_type_of_redshifts(at: Site) -> None:
    error = await at.fails("SELECT jsonb '{}'")
    assert (error.sqlstate, error.message) == ("42704", 'type "jsonb" does not exist')


@check("S27", proves=False)
async def casts_to_redshifts_types_pass(at: Site) -> None:
    sql = (
        "SELECT CAST(1.5 AS NUMERIC), 1.5::DECIMAL(5, 2), 'abc'::VARCHAR(2), 'abc'::VARCHAR(MAX),"
        " 1::DOUBLE PRECISION, '1'::INT8, DATE '2020-01-02', 1::BOOL,"
        " 'pg_class'::regclass::oid > 0,"
        " TIMESTAMP '2020-01-02' + INTERVAL '1 day' > '2020-01-02', 'x'::TEXT, 'y'::CHAR(1)"
    )
    (row,) = await at.rows(sql)
    assert [str(value) for value in row] == [
        *("2", "1.50", "ab", "abc", "1.0", "1", "2020-01-02", "True", "True", "True", "x", "y")
    ]


NOT_EMULATED = [
    ("UNLOAD ('select 1') TO 's3://b/k'", "UNLOAD"),
    ("CALL p()", "CALL"),
    ("PREPARE p AS SELECT 1", "PREPARE"),
    ("EXECUTE p", "EXECUTE"),
    ("USE x", "USE"),
    ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW"),
    ("DESC DATASHARE x", "DESC DATASHARE"),
    ("ATTACH RLS POLICY p ON t TO ROLE r", "ATTACH RLS POLICY"),
    ("ANALYZE COMPRESSION t", "ANALYZE COMPRESSION"),
    ("INSERT INTO t SELECT 1 QUALIFY row_number() OVER (ORDER BY a) = 1", "QUALIFY"),
    ("SELECT 1 AS a INTO x", "SELECT INTO"),
    ("SELECT APPROXIMATE COUNT(DISTINCT a) FROM t", "APPROXIMATE COUNT"),
    ("SELECT MEDIAN(a) FROM t", "the function median"),
    ("SELECT ST_AsText(a) FROM t", "the function st_astext"),
    ("SELECT REGEXP_REPLACE(b, 'x') FROM t", "the function regexp_replace"),
    ("SELECT a FROM t, s WHERE t.a = s.a (+)", "the join operator (+)"),
    ("SELECT LISTAGG(DISTINCT b) FROM t", "LISTAGG DISTINCT"),
    ("SELECT TOP 1 a FROM t UNION SELECT a FROM s", "TOP together with UNION"),
    ("CREATE VIEW v AS SELECT a FROM t WITH NO SCHEMA BINDING", "late-binding views"),
    ("GRANT ROLE r TO awsuser", "GRANT of roles"),
    ("NONSENSE 1", 'statements that begin with "NONSENSE"'),
    *(
        (f"{verb} {what} x", f"{verb} {what}")
        for verb in ("CREATE", "DROP")
        for what in (
            *("DATABASE", "DATASHARE", "EXTERNAL SCHEMA", "EXTERNAL TABLE", "FUNCTION", "GROUP"),
            *("IDENTITY PROVIDER", "LIBRARY", "MASKING POLICY", "MATERIALIZED VIEW", "MODEL"),
            *("PROCEDURE", "RLS POLICY", "ROLE"),
        )
    ),
    ("CREATE USER u", "CREATE USER"),
    ("ALTER USER u RENAME TO v", "ALTER USER"),
    ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "ALTER DEFAULT PRIVILEGES"),
]


@check(
    "stand-in",
    [(sql, sql, what) for sql, what in NOT_EMULATED],
    proves=False,
    only_here="Redshift has it",
)
async def what_is_not_emulated_is_named(at: Site, sql: str, what: str) -> None:
    await at.run(TABLES)
    error = await at.fails(sql)
    message = f"the Redshift stand-in does not emulate {what}"
    assert (error.sqlstate, error.message) == ("0A000", message)


@check("stand-in", only_here="Redshift has it")
async def what_is_not_emulated_passes_to_postgresql_when_asked(at: Site) -> None:
    error = await at.fails("PREPARE p AS SELECT 1")
    assert error.message == "the Redshift stand-in does not emulate PREPARE"


@check("S6", [
    ("literal", "SELECT 'RETURNING', 'on conflict do nothing', '$$', 'a->>b'"),
    ("quoted", 'SELECT 1 AS "returning" -- RETURNING'),
    ("comment", "SELECT 1 /* ON CONFLICT */ -- FOR UPDATE"),
    ("column", "SELECT x.filter FROM (SELECT 1 AS filter) AS x"),
    ("escaped", r"SELECT 'it\' RETURNING'"),
], proves=False)  # fmt: skip
async def a_keyword_in_a_literal_a_name_or_a_comment_is_none(at: Site, sql: str) -> None:
    assert len(await at.rows(sql)) == 1
