"""System tables and catalogue: which there are, what columns, what words (rules C11 to C21)."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.standin.checks import check
from tests.standin.site import Site

TABLE = (
    "CREATE TABLE t (a VARCHAR(7), b SUPER, c VARBYTE(5) ENCODE zstd, d DECIMAL(20, 3))"
    " DISTKEY(a) COMPOUND SORTKEY(d, a)"
)


async def count(at: Site, relation: str, where: str) -> int:
    ((found,),) = await at.rows(f"SELECT count(*) FROM {relation} WHERE {where}")
    return int(found)


@check("C11")
async def svv_table_info_leaves_an_empty_table_out(at: Site) -> None:
    await at.run(TABLE)
    columns = '"table", diststyle, sortkey1, sortkey_num, max_varchar'
    query = f"SELECT {columns} FROM svv_table_info WHERE schema = '{at.schema}'"
    assert await at.rows(query) == []
    await at.run("INSERT INTO t (a) VALUES ('x')")
    assert await at.rows(query) == [("t", "KEY(a)", "d", 2, 7)]


@check("C12")
async def pg_table_def_shows_the_search_path_only(at: Site) -> None:
    await at.run(TABLE)
    here = f"schemaname = '{at.schema}' AND tablename = 't'"
    assert await count(at, "pg_table_def", here) == 4
    await at.run("SET search_path TO public")
    assert await count(at, "pg_table_def", here) == 0


@check("C12", proves=False)
async def pg_table_def_tells_types_and_keys(at: Site) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        'SELECT "column", type, distkey, sortkey, "notnull" FROM pg_table_def'
        f" WHERE schemaname = '{at.schema}'"
    )
    assert sorted(rows) == [
        ("a", "character varying(7)", True, 2, False),
        ("b", "super", False, 0, False),
        ("c", "binary varying(5)", False, 0, False),
        ("d", "numeric(20,3)", False, 1, False),
    ]


@check("C13", [("standard", "information_schema.columns"), ("svv", "svv_columns")])
async def columns_are_shown_in_redshifts_words(at: Site, view: str) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        "SELECT data_type, character_maximum_length, numeric_precision, numeric_scale"
        f" FROM {view} WHERE table_schema = '{at.schema}' ORDER BY ordinal_position"
    )
    assert rows == [
        ("character varying", 7, None, None),
        ("super", None, None, None),
        ("binary varying", 5, None, None),
        ("numeric", None, 20, 3),
    ]


@check("C13", proves=False)
async def svv_columns_and_svv_tables_have_remarks(at: Site) -> None:
    await at.run(TABLE, "COMMENT ON TABLE t IS 'all'", "COMMENT ON COLUMN t.d IS 'a sum'")
    here = f"table_schema = '{at.schema}'"
    assert await at.rows(f"SELECT remarks FROM svv_tables WHERE {here}") == [("all",)]
    told = f"SELECT remarks FROM svv_columns WHERE {here} AND column_name = 'd'"
    assert await at.rows(told) == [("a sum",)]


async def modes(at: Site, con: Any, name: str = "t") -> list[tuple[str, bool]]:
    """The locks that a session has on a table, or waits for."""
    rows = await at.rows(
        "SELECT lock_mode, granted FROM svv_transactions WHERE lockable_object_type = 'relation'"
        f" AND pid = {con.get_server_pid()} AND relation = '{name}'::regclass::oid::int"
    )
    return sorted(set(rows))


@check("C15", [("insert", "INSERT INTO t (a) VALUES ('x')"), ("delete", "DELETE FROM t")])
async def a_writer_holds_share_row_exclusive(at: Site, statement: str) -> None:
    await at.run(TABLE)
    other = await at.connect()
    await other.execute(f"BEGIN; {statement}")
    held = await modes(at, other)
    await other.execute("ROLLBACK")
    assert {mode for mode, _ in held} - {"AccessShareLock"} == {"ShareRowExclusiveLock"}


@check("C15")
async def who_waits_is_told_from_who_holds(at: Site) -> None:
    await at.run(TABLE)
    holder, waiter = await at.connect(), await at.connect()
    await holder.execute("BEGIN; LOCK t")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(waiter.execute("DELETE FROM t"))
        waiting: list[tuple[str, bool]] = []
        for _ in range(50):
            waiting = await modes(at, waiter)
            if waiting:
                break
            await asyncio.sleep(0.02)
        held = await modes(at, holder)
        await holder.execute("ROLLBACK")
    assert held == [("AccessExclusiveLock", True)]
    assert waiting == [("ShareRowExclusiveLock", False)]


ABSENT = [
    ("pg_range", "SELECT * FROM pg_range", "pg_range"),
    ("pg_roles", "SELECT rolname FROM pg_roles", "pg_roles"),
    ("pg_policies", "SELECT 1 FROM t, pg_catalog.pg_policies", "pg_catalog.pg_policies"),
    ("pg_enum", "SELECT 1 FROM t LEFT JOIN pg_enum ON true", "pg_enum"),
    ("pg_extension", "SELECT (SELECT count(*) FROM pg_extension)", "pg_extension"),
    ("pg_matviews", "INSERT INTO t (a) SELECT matviewname FROM pg_matviews", "pg_matviews"),
    ("quoted", 'SELECT * FROM "PG_SEQUENCES"', "pg_sequences"),
    ("sequences", "SELECT * FROM information_schema.sequences", "information_schema.sequences"),
]


@check("C16", ABSENT)
async def what_came_after_8_0_does_not_exist(at: Site, statement: str, name: str) -> None:
    await at.run(TABLE)
    error = await at.fails(statement)
    assert (error.sqlstate, error.message) == ("42P01", f'relation "{name}" does not exist')


@check("C16", proves=False)
async def such_a_name_may_be_a_column_an_alias_or_a_query(at: Site) -> None:
    await at.run("CREATE TABLE sys_user (pg_range INT, pg_roles VARCHAR(9))")
    await at.run("INSERT INTO sys_user VALUES (1, 'x')")
    assert await at.rows("SELECT pg_range AS pg_policies, pg_roles FROM sys_user") == [(1, "x")]
    assert await at.rows("WITH pg_enum AS (SELECT 2 AS a) SELECT a FROM pg_enum") == [(2,)]
    assert await at.rows("SELECT 'pg_range' FROM sys_user pg_range") == [("pg_range",)]
    assert await at.rows(f"SELECT pg_range FROM {at.schema}.sys_user") == [(1,)]


@check("C17")
async def pg_attribute_tells_keys_and_encodings(at: Site) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        "SELECT attname, attisdistkey, attsortkeyord, format_encoding(attencodingtype::integer)"
        " FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert [row[:3] for row in rows] == [
        ("a", True, 2), ("b", False, 0), ("c", False, 0), ("d", False, 1),
    ]  # fmt: skip
    assert rows[2][3] == "zstd"


@check("C17", [("ALL", 8, "DISTSTYLE ALL"), ("EVEN", 0, "DISTSTYLE EVEN"), ("KEY", 1, "DISTKEY(a)"),
               ("AUTO", 9, "DISTSTYLE AUTO")])  # fmt: skip
async def pg_class_tells_the_distribution(at: Site, style: int, attributes: str) -> None:
    await at.run(f"CREATE TABLE t (a INT) {attributes}")
    query = "SELECT reldiststyle FROM pg_catalog.pg_class WHERE oid = 't'::regclass"
    assert await at.rows(query) == [(style,)]
    effective = await at.rows(
        "SELECT releffectivediststyle FROM pg_class_info WHERE reloid = 't'::regclass"
    )
    assert effective in ([(style,)], [(10,)], [(11,)])


@check("C17")
async def pg_attrdef_has_the_text_of_a_default(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT DEFAULT 7)")
    rows = await at.rows("SELECT adsrc FROM pg_attrdef WHERE adrelid = 't'::regclass")
    assert rows == [("7",)]


LATER = [
    ("pg_class", "relpersistence", "pg_class"),
    ("pg_attribute", "attidentity", "pg_attribute"),
    ("pg_type", "typarray", "pg_catalog.pg_type"),
    ("pg_user", "userepl", "pg_user"),
]


@check("C17", proves=False)
async def a_column_may_be_named_with_its_schema(at: Site) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        "SELECT pg_catalog.pg_class.relname, pg_class.relkind::varchar FROM pg_catalog.pg_class"
        " JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid ="
        f" pg_catalog.pg_class.relnamespace WHERE nspname = '{at.schema}'"
    )
    assert rows == [("t", "r")]


@check("C17", LATER)
async def a_later_column_does_not_exist(at: Site, column: str, relation: str) -> None:
    error = await at.fails(f"SELECT {column} FROM {relation}")
    assert error.sqlstate == "42703"
    assert column in error.message


@check("C17")
async def pg_user_tells_who_may_change_the_catalogue(at: Site) -> None:
    query = "SELECT usesysid > 0, usecatupd IS NOT NULL FROM pg_user WHERE usename = current_user"
    assert await at.rows(query) == [(True, True)]


@check("C18")
async def format_type_names_super_and_varbyte(at: Site) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert rows == [
        ("character varying(7)",), ("super",), ("binary varying(5)",), ("numeric(20,3)",),
    ]  # fmt: skip


@check("C19")
async def stv_sessions_has_the_session(at: Site) -> None:
    pid = at.con.get_server_pid()
    rows = await at.rows(
        "SELECT trim(user_name) = current_user, trim(db_name) = current_database()"
        f" FROM stv_sessions WHERE process = {pid}"
    )
    assert rows == [(True, True)]


@check("C19")
async def what_runs_is_in_flight_and_recent(at: Site) -> None:
    pid = at.con.get_server_pid()
    text = await at.con.fetchval(f"SELECT trim(text) FROM stv_inflight WHERE pid = {pid}")
    assert text is not None
    assert text.startswith("SELECT trim(text)")
    rows = await at.rows(f"SELECT trim(status) FROM stv_recents WHERE pid = {pid}")
    assert ("Running",) in rows


@check("C19")
async def stv_locks_has_the_table_that_is_written(at: Site) -> None:
    await at.run(TABLE)
    other = await at.connect()
    await other.execute("BEGIN; DELETE FROM t")
    rows = await at.rows(
        "SELECT DISTINCT lock_owner_pid FROM stv_locks WHERE table_id = 't'::regclass::oid::bigint"
    )
    await other.execute("ROLLBACK")
    assert rows == [(other.get_server_pid(),)]


@check("C21", [("all", "svv_all_columns"), ("redshift", "svv_redshift_columns")])
async def columns_are_listed_by_database(at: Site, view: str) -> None:
    await at.run(TABLE)
    rows = await at.rows(
        "SELECT database_name = current_database(), column_name"
        f" FROM {view} WHERE schema_name = '{at.schema}' AND table_name = 't'"
        " ORDER BY ordinal_position"
    )
    assert rows == [(True, "a"), (True, "b"), (True, "c"), (True, "d")]


@check("C21", [("all", "svv_all_tables"), ("redshift", "svv_redshift_tables")])
async def tables_are_listed_by_database(at: Site, view: str) -> None:
    await at.run(TABLE, "CREATE VIEW v AS SELECT a FROM t")
    rows = await at.rows(
        f"SELECT table_name, table_type FROM {view} WHERE schema_name = '{at.schema}' ORDER BY 1"
    )
    assert rows == [("t", "TABLE"), ("v", "VIEW")]


@check("C21", [("all", "svv_all_schemas"), ("redshift", "svv_redshift_schemas")])
async def schemas_are_listed_by_database(at: Site, view: str) -> None:
    query = f"SELECT schema_type FROM {view} WHERE schema_name = '{at.schema}'"
    assert await at.rows(query) == [("local",)]


@check("F18")
async def a_where_knows_the_names_of_its_select(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)")
    found = await at.rows(
        'SELECT n.nspname AS schema, upper(c.relname) AS "Loud", c.relname AS relname '
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE 1 AND (schema = '{at.schema}' AND loud = 'T' AND relname = 't') ORDER BY loud"
    )
    assert found == [(at.schema, "T", "t")]


@check("F18", proves=False)
async def a_column_goes_before_a_name_that_is_made_of_it(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)")
    asked = "SELECT upper(relname) AS relname FROM pg_class WHERE relname = 't' AND relnamespace = "
    found = await at.rows(f"{asked}(SELECT oid FROM pg_namespace WHERE nspname = '{at.schema}')")
    assert found == [("T",)]


@check("C22")
async def keys_are_constraints(at: Site) -> None:
    await at.run(
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (b, a), UNIQUE (a))",
        "CREATE TABLE u (c INT, FOREIGN KEY (c) REFERENCES t (a))",
    )
    found = await at.rows(
        "SELECT c.relname, k.contype::VARCHAR(1), pg_get_constraintdef(k.oid, true)"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = '{at.schema}' ORDER BY 1, 2"
    )
    assert found == [
        ("t", "p", "PRIMARY KEY (b, a)"),
        ("t", "u", "UNIQUE (a)"),
        ("u", "f", "FOREIGN KEY (c) REFERENCES t(a)"),
    ]
