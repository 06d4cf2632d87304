"""Names: how long they may be and how they fold (rules N)."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

_PLACES = [
    ("table", "CREATE TABLE {} (a INT)"),
    ("column", "CREATE TABLE t ({} INT)"),
    ("alias", "SELECT 1 AS {}"),
    ("quoted alias", 'SELECT 1 AS "{}"'),
    ("non-ASCII", 'SELECT 1 AS "' + "ä" * 32 + '"'),
]


@check("N1", _PLACES, only_here="Redshift holds 127 bytes, the backend 63")
async def a_name_that_the_backend_would_cut_is_refused(at: Site, sql: str) -> None:
    for how in (at.con.execute, at.con.fetch):
        error = await at.fails(how(sql.format("x" * 64)))
        assert error.sqlstate == "42622"
        assert error.message.startswith("the Redshift stand-in cannot hold the name")
    assert await at.rows("SELECT 1") == [(1,)]


@check("N1", proves=False)
async def a_name_of_63_bytes_is_kept(at: Site) -> None:
    name = "x" * 63
    await at.run(f"CREATE TABLE {name} ({name} INT)")
    found = f"SELECT column_name FROM svv_columns WHERE table_name = '{name}'"
    assert await at.rows(found) == [(name,)]


@check("N1a", _PLACES[:4], only_here="Redshift cuts the name at 127 bytes and says nothing")
async def a_name_that_redshift_would_cut_is_refused(at: Site, sql: str) -> None:
    error = await at.fails(sql.format("x" * 128))
    assert error.sqlstate == "42622"
    assert error.message.endswith("is longer than 127 bytes")


@check("N2")
async def quoted_names_of_tables_and_columns_fold(at: Site) -> None:
    await at.run('CREATE TABLE "MiXed" ("Col" INT)', 'INSERT INTO mixed ("COL") VALUES (1)')
    assert await at.rows('SELECT col FROM "MIXED"') == [(1,)]


@check("N2")
async def a_quoted_alias_folds(at: Site) -> None:
    row = await at.con.fetchrow('SELECT 1 AS "OUT", 2 AS "inNer"')
    assert list(row.keys()) == ["out", "inner"]


@check("N2")
async def quoted_names_in_table_attributes_fold(at: Site) -> None:
    await at.run('CREATE TABLE t ("Key" INT, "Sort" INT) DISTKEY("KEY") SORTKEY("SORT")')
    found = "SELECT \"column\", distkey, sortkey FROM pg_table_def WHERE tablename = 't'"
    assert await at.rows(found + " ORDER BY 1") == [("key", True, 0), ("sort", False, 1)]


@check("N2")
async def quoted_names_in_alter_table_fold(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", 'ALTER TABLE "T" RENAME COLUMN "A" TO "B"')
    await at.run('ALTER TABLE t RENAME TO "U"')
    assert await at.rows("SELECT b FROM u") == []


@check("N2")
async def columns_that_differ_in_case_alone_are_one(at: Site) -> None:
    error = await at.fails('CREATE TABLE x (a INT, "A" INT)')
    assert error.sqlstate == "42701"
    assert error.message == 'column "a" specified more than once'


@check("N2", proves=False)
async def columns_without_quotes_fold_too(at: Site) -> None:
    error = await at.fails("CREATE TABLE x (a int, A int)")
    assert error.sqlstate == "42701"


@check("N2", proves=False)
async def letters_beyond_ascii_do_not_fold(at: Site) -> None:
    await at.run('CREATE TABLE t ("Ünï" INT)')
    row = await at.con.fetchrow('SELECT 1 AS "ÜNÏ", "Ünï" FROM (SELECT "Ünï" FROM t) AS v')
    assert row is None
    row = await at.con.fetchrow('SELECT 1 AS "ÄB"')
    assert list(row.keys()) == ["Äb"]
