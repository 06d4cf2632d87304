"""ALTER TABLE: what may change, and how (rules L2, L3, L6, L7)."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

_ASSUMED = "its text is not known"
_NEAR = 'syntax error at or near "{}"'
_ONLY = 'cannot alter type of column "{}": only VARCHAR and VARBYTE change length'
_ADDED = "ALTER TABLE ADD COLUMN does not support "
_DEFAULTS = "ALTER COLUMN SET/DROP DEFAULT is not supported"
_TABLE = """CREATE TABLE t (a INT, b VARCHAR(10), d VARCHAR(10) DEFAULT 'x', k VARCHAR(10) UNIQUE,
    e VARCHAR(10) ENCODE text255, p VARCHAR(10) NOT NULL PRIMARY KEY, y INT DISTKEY,
    z INT SORTKEY)"""

REFUSED: dict[str, list[tuple[str, str, str, str]]] = {
    "L2": [
        ("whole number", "ALTER COLUMN a TYPE BIGINT", "0A000", _ONLY.format("a")),
        ("to decimal", "ALTER COLUMN a TYPE DECIMAL(20, 2)", "0A000", _ONLY.format("a")),
        ("to varchar", "ALTER COLUMN a TYPE VARCHAR(50)", "0A000", _ONLY.format("a")),
        ("to char", "ALTER COLUMN b TYPE CHAR(50)", "0A000", _ONLY.format("b")),
    ],
    "L2b": [
        ("longer", "ALTER COLUMN d TYPE VARCHAR(20)", "0A000", "with a default value"),
        (
            "shorter",
            "ALTER COLUMN d TYPE VARCHAR(5)",
            "0A000",
            "cannot decrease a VARCHAR column size with default value",
        ),
    ],
    "L2d": [
        (
            "using",
            "ALTER COLUMN b TYPE VARCHAR(50) USING b",
            "0A000",
            "ALTER TABLE ALTER COLUMN does not support USING expression",
        )
    ],
    "L2e": [
        ("unique", "ALTER COLUMN k TYPE VARCHAR(20)", "0A000", '"k" with a key'),
        ("primary", "ALTER COLUMN p TYPE VARCHAR(20)", "0A000", '"p" with a key'),
    ],
    "L2f": [
        ("text255", "ALTER COLUMN e TYPE VARCHAR(20)", "0A000", '"e" with encoding TEXT255'),
    ],
    "L3": [("two", "ADD COLUMN v INT, ADD COLUMN w INT", "42601", _NEAR.format(","))],
    "L3a": [
        (word, f"ADD COLUMN v INT {word}", "0A000", _ADDED + "DISTKEY or SORTKEY columns")
        for word in ("DISTKEY", "SORTKEY")
    ],
    "L3b": [
        ("unique", "ADD COLUMN v INT UNIQUE", "0A000", _ADDED + "columns defined with UNIQUE"),
        ("primary", "ADD COLUMN v INT PRIMARY KEY", "0A000", _ADDED + "columns defined with"),
        ("references", "ADD COLUMN v INT REFERENCES t", "0A000", _ADDED + "columns defined with"),
        ("identity", "ADD COLUMN v INT IDENTITY(1, 1)", "0A000", _ADDED + "columns with type"),
    ],
    "L3c": [
        (
            "not null",
            "ADD COLUMN v INT NOT NULL",
            "42601",
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
        )
    ],
    "L3d": [
        ("set", "ALTER COLUMN a SET DEFAULT 1", "0A000", _DEFAULTS),
        ("drop", "ALTER COLUMN a DROP DEFAULT", "0A000", _DEFAULTS),
    ],
    "L3e": [
        ("set not null", "ALTER COLUMN a SET NOT NULL", "42601", _NEAR.format("SET")),
        ("drop not null", "ALTER COLUMN p DROP NOT NULL", "42601", _NEAR.format("DROP")),
        ("security", "ENABLE ROW LEVEL SECURITY", "42601", _NEAR.format("ENABLE")),
        ("schema", "SET SCHEMA public", "42601", _NEAR.format("SET")),
        ("unlogged", "SET UNLOGGED", "42601", _NEAR.format("SET")),
        ("inherit", "INHERIT s", "42601", _NEAR.format("INHERIT")),
        ("two drops", "DROP COLUMN a, DROP COLUMN b", "42601", _NEAR.format(",")),
        ("add and drop", "DROP COLUMN a, ADD COLUMN v INT", "42601", _NEAR.format(",")),
        ("check", "ADD CONSTRAINT c CHECK (a > 1)", "42601", _NEAR.format("CHECK")),
        ("if not exists", "ADD COLUMN IF NOT EXISTS v INT", "42601", _NEAR.format("NOT")),
    ],
    "L3f": [
        ("distkey", "DROP COLUMN y", "42P16", 'cannot drop distkey column "y"'),
        ("sortkey", "DROP COLUMN z", "42P16", 'cannot drop sortkey column "z"'),
    ],
    "L7a": [
        ("primary key", "ADD CONSTRAINT n PRIMARY KEY (a)", "0A000", "cannot add a primary key"),
    ],
    "stand-in": [
        (
            "row security",
            "ROW LEVEL SECURITY ON",
            "0A000",
            "stand-in does not emulate",
        ),
    ],
}
_UNKNOWN_TEXTS = {"L2", "L2b", "L2e", "L2f", "L3a", "L7a"}


async def refused_change(at: Site, change: str, state: str, message: str) -> None:
    await at.run(_TABLE, "CREATE TABLE s (a INT)")
    if change.startswith("ADD CONSTRAINT n"):
        await at.run("ALTER TABLE t DROP CONSTRAINT t_pkey")
    for how in (at.con.execute, at.con.fetch):
        error = await at.fails(how(f"ALTER TABLE t {change}"))
        assert error.sqlstate == state
        assert message in error.message
    assert await at.rows("SELECT 1") == [(1,)]


for _rule, _cases in REFUSED.items():
    _why = _ASSUMED if _rule in _UNKNOWN_TEXTS else ""
    check(_rule, _cases, only_here="Redshift has it" if _rule == "stand-in" else _why)(
        refused_change
    )


async def _type(at: Site, column: str) -> str:
    found = "SELECT type FROM pg_table_def WHERE tablename = 't' AND \"column\" = '{}'"
    ((kind,),) = await at.rows(found.format(column))
    return str(kind)


@check("L2c")
async def a_length_does_not_change_in_a_block(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(3))")
    for size, how in ((9, at.con.execute), (12, at.con.fetch)):
        sql = f"ALTER TABLE t ALTER COLUMN a TYPE VARCHAR({size})"
        await at.run("BEGIN")
        error = await at.fails(how(sql))
        assert error.sqlstate == "25001"
        assert error.message == "ALTER TABLE ALTER COLUMN cannot run inside a transaction block"
        await at.run("ROLLBACK")
        await how(sql)


@check("L2", proves=False)
async def a_longer_column_takes_more_bytes(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(4))", "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(6)")
    await at.run("INSERT INTO t VALUES ('äää')")
    assert (await at.fails("INSERT INTO t VALUES ('ääää')")).sqlstate == "22001"
    assert await _type(at, "a") == "character varying(6)"


@check("L2", proves=False)
async def varbyte_gets_longer_too(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARBYTE(2))", "ALTER TABLE t ALTER COLUMN a TYPE VARBYTE(4)")
    await at.run("INSERT INTO t VALUES ('abcd'::VARBYTE)")
    assert await _type(at, "a") == "binary varying(4)"


@check("L2a", only_here=_ASSUMED)
async def a_column_gets_no_shorter_than_its_values(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(9))", "INSERT INTO t VALUES ('äää')")
    error = await at.fails("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(5)")
    assert error.sqlstate == "0A000"
    assert error.message == 'cannot decrease the length of column "a" to 5: it holds 6 bytes'


@check("L2a", proves=False)
async def a_column_gets_as_short_as_its_values(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(9))", "INSERT INTO t VALUES ('äää')")
    await at.run("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(6)")
    assert (await at.fails("INSERT INTO t VALUES ('ääää')")).sqlstate == "22001"


@check("L3", proves=False)
async def a_column_is_added(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    await at.run("ALTER TABLE t ADD COLUMN c VARCHAR(9) DEFAULT 'x' ENCODE zstd NOT NULL")
    await at.run("ALTER TABLE t ADD d TEXT")
    assert await at.rows("SELECT a, c, d FROM t") == [(1, "x", None)]
    assert await _type(at, "d") == "character varying(256)"
    assert (await at.fails("ALTER TABLE t ADD COLUMN a INT")).sqlstate == "42701"


async def _recorded(at: Site) -> list[tuple[object, ...]]:
    found = (
        "SELECT \"column\", CASE encoding WHEN 'zstd' THEN encoding END, distkey, sortkey "
        "FROM pg_table_def WHERE tablename = 't' ORDER BY 1"
    )
    return await at.rows(found)


@check(
    "L6",
    [
        ("encode", "ALTER COLUMN a ENCODE zstd", ("a", "zstd", False, 0)),
        ("diststyle", "ALTER DISTSTYLE KEY DISTKEY a", ("a", None, True, 0)),
        ("distkey", "ALTER DISTKEY a", ("a", None, True, 0)),
        ("sortkey", "ALTER SORTKEY (b, a)", ("a", None, False, 2)),
        ("compound", "ALTER COMPOUND SORTKEY (a)", ("a", None, False, 1)),
        ("two", "ALTER COLUMN b ENCODE lzo, ALTER COLUMN a ENCODE zstd", ("a", "zstd", False, 0)),
        ("both", "ALTER DISTKEY a, ALTER SORTKEY (a)", ("a", None, True, 1)),
    ],
)
async def attributes_change(at: Site, change: str, found: tuple[object, ...]) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(10))")
    for how in (at.con.execute, at.con.fetch):
        await how(f"ALTER TABLE t {change}")
        assert (await _recorded(at))[0] == found


@check("L6")
async def attributes_become_automatic_again(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT ENCODE zstd) DISTKEY(a) SORTKEY(a)")
    await at.run("ALTER TABLE t ALTER DISTSTYLE EVEN", "ALTER TABLE t ALTER SORTKEY NONE")
    await at.run("ALTER TABLE t ALTER ENCODE AUTO")
    ((_, _, distkey, sortkey),) = await _recorded(at)
    assert (distkey, sortkey) == (False, 0)
    await at.run("ALTER TABLE t ALTER SORTKEY AUTO", "ALTER TABLE t ALTER DISTSTYLE AUTO")


@check("D2b", [("az64", "az64"), ("mostly8", "mostly8")])
async def a_changed_encoding_fits_the_type(at: Site, encoding: str) -> None:
    await at.run("CREATE TABLE t (b VARCHAR(10))")
    error = await at.fails(f"ALTER TABLE t ALTER COLUMN b ENCODE {encoding}")
    assert error.sqlstate == "42804"
    assert error.message == 'invalid encoding type specified for column "b"'


@check("D2b")
async def an_added_columns_encoding_fits_its_type(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)")
    error = await at.fails("ALTER TABLE t ADD COLUMN b VARCHAR(10) ENCODE az64")
    assert error.message == 'invalid encoding type specified for column "b"'
    assert (await at.fails("SELECT b FROM t")).sqlstate == "42703"


@check("D2a", [("distkey", "DISTKEY x"), ("sortkey", "SORTKEY (a, x)")])
async def a_changed_key_is_a_column(at: Site, change: str) -> None:
    await at.run("CREATE TABLE t (a INT)")
    error = await at.fails(f"ALTER TABLE t ALTER {change}")
    assert error.sqlstate == "0A000"
    assert error.message == 'column "x" specified as distkey/sortkey is not in the table "t"'


@check("D2a")
async def attributes_follow_a_renamed_column(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT ENCODE zstd) DISTKEY(a) SORTKEY(a)")
    await at.run("ALTER TABLE t RENAME COLUMN a TO b")
    assert await _recorded(at) == [("b", "zstd", True, 1)]
    error = await at.fails("ALTER TABLE t ALTER SORTKEY (a)")
    assert error.sqlstate == "0A000"


@check("D2c")
async def attributes_stay_with_a_renamed_table(at: Site) -> None:
    await at.run("CREATE TABLE o (a INT ENCODE zstd DISTKEY)", "CREATE TABLE t (b INT)")
    await at.run("BEGIN", "ALTER TABLE t RENAME TO t_old", "ALTER TABLE o RENAME TO t", "COMMIT")
    assert await _recorded(at) == [("a", "zstd", True, 0)]


@check("L7")
async def a_dropped_key_is_forgotten(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(5), b INT, CONSTRAINT k UNIQUE (a))")
    await at.run("ALTER TABLE t DROP CONSTRAINT k", "ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)")
    await at.run("ALTER TABLE t DROP CONSTRAINT k CASCADE")
    await at.run("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(9)")
    error = await at.fails("ALTER TABLE t DROP CONSTRAINT k")
    assert error.sqlstate == "42704"
    assert error.message == 'constraint "k" of relation "t" does not exist'


@check("L3f", proves=False)
async def another_column_is_dropped(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT DISTKEY, c VARCHAR(5) UNIQUE)")
    await at.run("ALTER TABLE t DROP COLUMN c", "ALTER TABLE t DROP a RESTRICT")
    assert [row[0] for row in await _recorded(at)] == ["b"]


@check("L3e", proves=False)
async def a_column_that_a_view_reads_is_dropped_with_it(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)", "CREATE VIEW v AS SELECT b FROM t")
    error = await at.fails("ALTER TABLE t DROP COLUMN b")
    assert error.sqlstate == "2BP01"
    await at.run("ALTER TABLE t DROP COLUMN b CASCADE")
    assert (await at.fails("SELECT * FROM v")).sqlstate == "42P01"


@check("L3e", proves=False)
async def a_view_stays_with_the_table_it_was_made_of(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", "CREATE TABLE n (a INT)")
    await at.run("CREATE VIEW v AS SELECT a FROM t")
    await at.run("BEGIN", "ALTER TABLE t RENAME TO o", "ALTER TABLE n RENAME TO t", "COMMIT")
    assert await at.rows("SELECT a FROM v") == [(1,)]
    assert await at.rows("SELECT a FROM t") == []
    assert (await at.fails("DROP TABLE o")).sqlstate == "2BP01"
    await at.run("DROP TABLE o, t CASCADE", "DROP TABLE IF EXISTS o, t")


@check("L3e", proves=False)
async def definitions_are_rolled_back(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", "BEGIN")
    await at.run("CREATE TABLE u (a VARCHAR(5)) DISTSTYLE ALL", "ALTER TABLE t ADD COLUMN b INT")
    await at.run("ALTER TABLE t RENAME TO t_old", "ALTER TABLE u RENAME TO t", "ROLLBACK")
    assert await at.rows("SELECT * FROM t") == [(1,)]
    assert (await at.fails("SELECT * FROM u")).sqlstate == "42P01"


@check("L3e", proves=False)
async def a_table_changes_its_owner(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)")
    ((user,),) = await at.rows("SELECT CURRENT_USER")
    await at.run(f"ALTER TABLE t OWNER TO {user}")
