"""MERGE: Redshift's grammar, its error for two matches, and REMOVE DUPLICATES."""

from __future__ import annotations

import asyncio

from tests.standin.checks import check
from tests.standin.site import Site

UPDATES = "WHEN MATCHED THEN UPDATE SET b = s.b"
INSERTS = "WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)"
MISSING = "MERGE needs one WHEN MATCHED and one WHEN NOT MATCHED clause"


async def tables(at: Site) -> None:
    await at.run(
        "CREATE TABLE t (a INT, b VARCHAR(10))",
        "CREATE TABLE s (a INT, b VARCHAR(10))",
        "INSERT INTO t VALUES (101, 'Bob'), (102, 'John'), (103, 'Susan')",
        "INSERT INTO s VALUES (102, 'Tony'), (103, 'Alice'), (104, 'Bill')",
    )


async def kept(at: Site) -> list[tuple[int, str]]:
    return [(a, b) for a, b in await at.rows("SELECT a, b FROM t ORDER BY a, b")]


@check("S4", [("execute", "execute"), ("fetch", "fetch")], proves=False)
async def merge_updates_what_matches_and_inserts_the_rest(at: Site, how: str) -> None:
    await tables(at)
    await getattr(at.con, how)(f"MERGE INTO t USING s ON t.a = s.a {UPDATES} {INSERTS}")
    assert await kept(at) == [(101, "Bob"), (102, "Tony"), (103, "Alice"), (104, "Bill")]


@check("S4", proves=False)
async def merge_deletes_what_matches(at: Site) -> None:
    await tables(at)
    await at.run(f"MERGE INTO t USING s AS x ON (t.a = x.a) WHEN MATCHED THEN DELETE"
                 f" {INSERTS.replace('s.', 'x.')}")  # fmt: skip
    assert await kept(at) == [(101, "Bob"), (104, "Bill")]


@check("S4", proves=False)
async def merge_takes_parameters_and_functions(at: Site) -> None:
    await tables(at)
    sql = (
        "MERGE INTO t USING s ON t.a = s.a AND CASE WHEN t.a > $1 THEN TRUE END"
        " WHEN MATCHED THEN UPDATE SET b = NVL(s.b, 'x'), a = s.a"
        " WHEN NOT MATCHED THEN INSERT (b, a) VALUES (NVL(NULL, s.b), s.a)"
    )
    await at.con.fetch(sql, 102)
    found = [(101, "Bob"), (102, "John"), (102, "Tony"), (103, "Alice"), (104, "Bill")]
    assert await kept(at) == found


@check("S4", [
    ("no insert", UPDATES, MISSING),
    ("no update", INSERTS, MISSING),
    ("two of a kind", f"{UPDATES} {UPDATES} {INSERTS}", MISSING),
    ("wrong order", f"{INSERTS} {UPDATES}", MISSING),
    ("a condition", f"WHEN MATCHED AND t.a > 1 THEN DELETE {INSERTS}", MISSING),
    ("by source", f"{UPDATES} {INSERTS} WHEN NOT MATCHED BY SOURCE THEN DELETE", MISSING),
    ("nothing", f"WHEN MATCHED THEN DO NOTHING {INSERTS}", 'syntax error at or near "DO"'),
    (
        "no values",
        f"{UPDATES} WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
        'syntax error at or near "DEFAULT"',
    ),
])  # fmt: skip
async def merge_has_both_clauses(at: Site, clauses: str, message: str) -> None:
    await tables(at)
    error = await at.fails(f"MERGE INTO t USING s ON t.a = s.a {clauses}")
    assert (error.sqlstate, error.message) == ("42601", message)


@check("M1")
async def the_target_has_no_alias(at: Site) -> None:
    await tables(at)
    error = await at.fails(f"MERGE INTO t x USING s ON x.a = s.a {UPDATES} {INSERTS}")
    assert (error.sqlstate, error.message) == ("42601", "MERGE target cannot have an alias")


@check("M2")
async def the_source_is_no_query(at: Site) -> None:
    await tables(at)
    source = "(SELECT a, b FROM s) s"
    error = await at.fails(f"MERGE INTO t USING {source} ON t.a = s.a {UPDATES} {INSERTS}")
    assert (error.sqlstate, error.message) == ("0A000", "MERGE source must be a table")


@check("M3", [("execute", "execute"), ("fetch", "fetch")])
async def the_source_is_no_view(at: Site, how: str) -> None:
    await tables(at)
    await at.run("CREATE VIEW v AS SELECT a, b FROM s")
    sql = f"MERGE INTO t USING v s ON t.a = s.a {UPDATES} {INSERTS}"
    error = await at.fails(getattr(at.con, how)(sql))
    assert (error.sqlstate, error.message) == ("0A000", "MERGE source must be a table")


@check("M4")
async def two_matches_are_an_error(at: Site) -> None:
    await tables(at)
    await at.run("INSERT INTO s VALUES (102, 'Again')")
    error = await at.fails(f"MERGE INTO t USING s ON t.a = s.a {UPDATES} {INSERTS}")
    assert error.message == "Found multiple matches to update the same tuple"
    assert await kept(at) == [(101, "Bob"), (102, "John"), (103, "Susan")]


@check("M5")
async def remove_duplicates_replaces_and_inserts(at: Site) -> None:
    await at.run(
        "CREATE TABLE t (a INT, b VARCHAR(10))",
        "CREATE TABLE s (a INT, b VARCHAR(10))",
        "INSERT INTO t VALUES (30, 'Tony'), (30, 'Daisy'), (11, 'Alice'), (23, 'B'), (23, 'N')",
        "INSERT INTO s VALUES (23, 'David'), (22, 'Clarence')",
        "MERGE INTO t USING s ON t.a = s.a REMOVE DUPLICATES",
    )
    found = [(11, "Alice"), (22, "Clarence"), (23, "David"), (30, "Daisy"), (30, "Tony")]
    assert await kept(at) == found


@check("M5", proves=False)
async def remove_duplicates_takes_part_in_the_transaction(at: Site) -> None:
    await tables(at)
    async with at.con.transaction():
        await at.con.fetch("MERGE INTO t USING s x ON x.a = t.a REMOVE DUPLICATES")
        assert len(await kept(at)) == 4
        await at.fails("SELECT 1 / 0")
        await at.run("ROLLBACK", "BEGIN")
    assert await kept(at) == [(101, "Bob"), (102, "John"), (103, "Susan")]


@check("M5a", only_here="what Redshift does with them is not known")
async def remove_duplicates_needs_one_source_row_a_match(at: Site) -> None:
    await tables(at)
    await at.run("INSERT INTO s VALUES (102, 'Again')")
    error = await at.fails("MERGE INTO t USING s ON t.a = s.a REMOVE DUPLICATES")
    assert error.message == "Found multiple matches to update the same tuple"


@check("M5b", [
    ("another type", "a INT, b INT", "s.b::INT"),
    ("one more", "a INT, b VARCHAR(10), c INT", ""),
    ("one less", "a INT", ""),
])  # fmt: skip
async def remove_duplicates_needs_the_same_columns(at: Site, columns: str, _: str) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(10))", f"CREATE TABLE s ({columns})")
    error = await at.fails("MERGE INTO t USING s ON t.a = s.a REMOVE DUPLICATES")
    message = "MERGE REMOVE DUPLICATES needs a source and a target with the same columns"
    assert (error.sqlstate, error.message) == ("42601", message)


@check("M6", [("its table", "t.b = s.b"), ("a part", "b.c = s.b"), ("an item", "b[0] = s.b")])
async def merge_sets_whole_columns(at: Site, assignment: str) -> None:
    await at.run("CREATE TABLE t (a INT, b SUPER)", "CREATE TABLE s (a INT, b SUPER)")
    clauses = f"WHEN MATCHED THEN UPDATE SET {assignment} {INSERTS}"
    error = await at.fails(f"MERGE INTO t USING s ON t.a = s.a {clauses}")
    assert error.sqlstate == "42601"
    assert error.message.startswith("MERGE sets whole columns")


@check("M7")
async def no_with_before_merge(at: Site) -> None:
    await tables(at)
    merge = f"MERGE INTO t USING s ON t.a = s.a {UPDATES} {INSERTS}"
    error = await at.fails(f"WITH x AS (SELECT 1 AS a) {merge}")
    assert (error.sqlstate, error.message) == ("42601", 'syntax error at or near "MERGE"')


@check("X2", [
    ("merge", f"MERGE INTO t USING s ON t.a = s.a {UPDATES} {INSERTS}"),
    ("simplified", "MERGE INTO t USING s ON t.a = s.a REMOVE DUPLICATES"),
    ("with", "WITH x AS (SELECT 1 AS a) DELETE FROM t USING x WHERE t.a = x.a"),
], proves=False)  # fmt: skip
async def it_waits_for_the_tables_writer(at: Site, sql: str) -> None:
    await tables(at)
    other = await at.connect()
    await at.run("BEGIN", "INSERT INTO t VALUES (1, 'x')")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(other.execute(sql))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await at.run("COMMIT")
