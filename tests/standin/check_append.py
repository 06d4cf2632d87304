"""ALTER TABLE APPEND (rules L5)."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

_ASSUMED = "its text is not known"
_STYLES = (
    "The source table and the target table have different distribution styles."
    " Make sure both tables use the same distribution style: EVEN, ALL, or DISTKEY."
)


@check("L5")
async def append_moves_the_rows(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (1, 1)")
    await at.run("CREATE TABLE u (b INT, a INT)", "INSERT INTO u VALUES (8, 9)")
    await at.run("ALTER TABLE t APPEND FROM u")
    assert await at.rows("SELECT a, b FROM t ORDER BY a") == [(1, 1), (9, 8)]
    assert await at.rows("SELECT * FROM u") == []


@check("L5a")
async def append_does_not_run_in_a_block(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)")
    for how in (at.con.execute, at.con.fetch):
        await at.run("BEGIN")
        error = await at.fails(how("ALTER TABLE t APPEND FROM u"))
        assert error.sqlstate == "25001"
        assert error.message == "ALTER TABLE APPEND cannot run inside a transaction block"
        await at.run("ROLLBACK")
        await how("ALTER TABLE t APPEND FROM u")


@check("L5", proves=False)
async def append_is_done_when_it_ends(at: Site) -> None:
    other = await at.connect()
    await at.run("CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)", "INSERT INTO u VALUES (1)")
    await at.run("ALTER TABLE t APPEND FROM u")
    assert await other.fetchval("SELECT count(*) FROM t") == 1


@check(
    "L5b",
    [
        ("source", "CREATE TABLE t (a INT)", "CREATE TEMP TABLE u (a INT)"),
        ("target", "CREATE TEMP TABLE t (a INT)", "CREATE TABLE u (a INT)"),
    ],
    only_here=_ASSUMED,
)
async def append_needs_permanent_tables(at: Site, target: str, source: str) -> None:
    await at.run(target, source)
    await _refused(at, "ALTER TABLE APPEND needs permanent tables")


@check(
    "L5c",
    [
        ("type", "b INT"),
        ("length", "b VARCHAR(6)"),
        ("null", "b VARCHAR(5) NOT NULL"),
    ],
    only_here=_ASSUMED,
)
async def columns_of_one_name_are_alike(at: Site, column: str) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(5))", f"CREATE TABLE u (a INT, {column})")
    await _refused(at, 'ALTER TABLE APPEND: the columns "b" differ')


@check("L5d")
async def ignoreextra_drops_what_the_target_lacks(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "CREATE TABLE u (a INT, b INT)")
    await at.run("INSERT INTO u VALUES (1, 2)", "ALTER TABLE t APPEND FROM u IGNOREEXTRA")
    assert await at.rows("SELECT * FROM t") == [(1,)]


@check("L5d")
async def filltarget_takes_defaults_for_what_the_source_lacks(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT DEFAULT 5, c INT)", "CREATE TABLE u (a INT)")
    await at.run("INSERT INTO u VALUES (1)", "ALTER TABLE t APPEND FROM u FILLTARGET")
    assert await at.rows("SELECT a, b, c FROM t") == [(1, 5, None)]


@check(
    "L5i",
    [
        ("source has more", "a INT", "a INT, b INT", ""),
        ("target has more", "a INT, b INT", "a INT", ""),
        ("both, extra ignored", "a INT, b INT", "a INT, c INT", "IGNOREEXTRA"),
        ("both, target filled", "a INT, b INT", "a INT, c INT", "FILLTARGET"),
    ],
    only_here=_ASSUMED,
)
async def other_columns_fail(at: Site, target: str, source: str, mode: str) -> None:
    await at.run(f"CREATE TABLE t ({target})", f"CREATE TABLE u ({source})")
    error = await at.fails(f"ALTER TABLE t APPEND FROM u {mode}")
    assert error.sqlstate == "0A000"
    assert error.message.startswith("ALTER TABLE APPEND: only one table has the column")


@check(
    "L5e",
    [
        ("style", "DISTSTYLE EVEN", "DISTSTYLE ALL"),
        ("key", "DISTKEY(a)", "DISTKEY(b)"),
        ("style and key", "DISTSTYLE EVEN", "DISTKEY(a)"),
    ],
)
async def both_tables_are_distributed_alike(at: Site, target: str, source: str) -> None:
    await at.run(f"CREATE TABLE t (a INT, b INT) {target}")
    await at.run(f"CREATE TABLE u (a INT, b INT) {source}")
    await _refused(at, _STYLES)


@check(
    "L5f",
    [
        ("columns", "SORTKEY(a)", "SORTKEY(b)"),
        ("order", "SORTKEY(a, b)", "SORTKEY(b, a)"),
        ("style", "COMPOUND SORTKEY(a)", "INTERLEAVED SORTKEY(a)"),
    ],
    only_here=_ASSUMED,
)
async def both_tables_are_sorted_alike(at: Site, target: str, source: str) -> None:
    for name, sort in (("t", target), ("u", source)):
        await at.run(f"CREATE TABLE {name} (a INT, b INT) DISTSTYLE EVEN {sort}")
    await _refused(at, "ALTER TABLE APPEND: the tables have different sort keys")


@check("L5g", only_here=_ASSUMED)
async def columns_of_one_name_are_encoded_alike(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT ENCODE zstd) DISTSTYLE EVEN")
    await at.run("CREATE TABLE u (a INT ENCODE az64) DISTSTYLE EVEN")
    await _refused(at, 'ALTER TABLE APPEND: the encodings of "a" differ')


@check("L5h", only_here=_ASSUMED)
async def an_identity_is_not_appended(at: Site) -> None:
    await at.run("CREATE TABLE t (id INT IDENTITY(1, 1), b INT)")
    await at.run("CREATE TABLE u (id INT IDENTITY(1, 1), b INT)")
    await _refused(at, 'ALTER TABLE APPEND cannot append identity column "id"')


@check("L5h", proves=False)
async def a_target_with_an_identity_is_filled(at: Site) -> None:
    await at.run("CREATE TABLE t (id INT IDENTITY(1, 1), b INT)", "CREATE TABLE u (b INT)")
    await at.run("INSERT INTO u VALUES (5)", "ALTER TABLE t APPEND FROM u FILLTARGET")
    assert await at.rows("SELECT b FROM t WHERE id IS NOT NULL") == [(5,)]


@check("L5h", proves=False)
async def an_identity_by_default_is_appended(at: Site) -> None:
    for name in "tu":
        await at.run(f"CREATE TABLE {name} (id INT GENERATED BY DEFAULT AS IDENTITY(1, 1), b INT)")
    await at.run("INSERT INTO u VALUES (77, 5)", "ALTER TABLE t APPEND FROM u")
    assert await at.rows("SELECT id, b FROM t") == [(77, 5)]


async def _refused(at: Site, message: str) -> None:
    error = await at.fails("ALTER TABLE t APPEND FROM u")
    assert (error.sqlstate, error.message) == ("0A000", message)
