"""CREATE TABLE: attributes, keys, LIKE, temporary tables, AS (rules D2, D3, D6 to D9)."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

_ASSUMED = "its text is not known"
_NEAR = 'syntax error at or near "{}"'

REFUSED: dict[str, list[tuple[str, str, str, str]]] = {
    "D2": [
        ("two", "(a int DISTKEY, b int DISTKEY)", "42601", "only one DISTKEY column is allowed"),
        ("even", "(a int) DISTSTYLE EVEN DISTKEY(a)", "42601", "DISTSTYLE EVEN does not go with"),
        ("all", "(a int DISTKEY) DISTSTYLE ALL", "42601", "DISTSTYLE ALL does not go with"),
        ("keyless", "(a int) DISTSTYLE KEY", "42601", "DISTSTYLE KEY needs a DISTKEY column"),
        ("unknown", "(a int) DISTSTYLE NONE", "42601", _NEAR.format("NONE")),
    ],
    "D2a": [
        (
            style,
            f"(a int) {style}(b)",
            "0A000",
            'column "b" specified as distkey/sortkey is not in the table "x"',
        )
        for style in ("DISTKEY", "SORTKEY", "INTERLEAVED SORTKEY")
    ],
    "D2b": [
        ("unknown", "(a int ENCODE nonsense)", "42601", _NEAR.format("nonsense")),
        *(
            (
                f"{kind} {encoding}",
                f"(a {kind} ENCODE {encoding})",
                "42804",
                'invalid encoding type specified for column "a"',
            )
            for kind, encoding in (
                ("VARCHAR(5)", "az64"),
                ("BOOLEAN", "bytedict"),
                ("BOOLEAN", "lzo"),
                ("REAL", "lzo"),
                ("DOUBLE PRECISION", "az64"),
                ("SMALLINT", "mostly16"),
                ("INTEGER", "mostly32"),
                ("SMALLINT", "delta32k"),
                ("TIMESTAMPTZ", "delta"),
                ("CHAR(5)", "text255"),
                ("DECIMAL", "text32k"),
                ("SUPER", "az64"),
            )
        ),
    ],
    "D2d": [
        ("distkey", "(a SUPER DISTKEY)", "0A000", 'column "a" of type SUPER'),
        ("sortkey", "(a SUPER SORTKEY)", "0A000", 'column "a" of type SUPER'),
    ],
    "D2e": [
        (
            style,
            "("
            + ", ".join(f"c{i} INT" for i in range(most + 1))
            + f") {style} SORTKEY("
            + ", ".join(f"c{i}" for i in range(most + 1))
            + ")",
            "54011",
            f"a {style} sort key has at most {most} columns",
        )
        for style, most in (("COMPOUND", 400), ("INTERLEAVED", 8))
    ],
    "D2f": [
        (style, f"(LIKE t) {style}", "0A000", "LIKE takes distribution and sort keys")
        for style in ("DISTSTYLE EVEN", "DISTKEY(a)", "SORTKEY(a)")
    ],
    "D3a": [
        (
            "unmatched",
            "(a int REFERENCES t (b))",
            "42830",
            'there is no unique constraint matching given keys for referenced table "t"',
        ),
        (
            "no primary key",
            "(a int, FOREIGN KEY (a) REFERENCES t)",
            "42704",
            'there is no primary key for referenced table "t"',
        ),
    ],
    "D3b": [
        (
            "two",
            "(a int PRIMARY KEY, b int, PRIMARY KEY (b))",
            "42P16",
            'multiple primary keys for table "x" are not allowed',
        )
    ],
    "D9": [
        ("if not exists", "AS SELECT 1 AS a", "42601", _NEAR.format("AS")),
        ("no data", "(a) AS (SELECT 1 AS a) WITH NO DATA", "42601", _NEAR.format("WITH")),
    ],
}
_UNKNOWN_TEXTS = frozenset({"D2", "D2d", "D2e", "D2f", "D3a", "D3b"})


async def refused_definition(at: Site, definition: str, state: str, message: str) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)")
    optional = "IF NOT EXISTS " if definition.startswith("AS ") else ""
    for how in (at.con.execute, at.con.fetch):
        error = await at.fails(how(f"CREATE TABLE {optional}x {definition}"))
        assert error.sqlstate == state
        assert message in error.message
    assert (await at.fails("SELECT * FROM x")).sqlstate == "42P01"


for _rule, _cases in REFUSED.items():
    _why = _ASSUMED if _rule in _UNKNOWN_TEXTS else ""
    check(_rule, _cases, only_here=_why)(refused_definition)


async def _keys(at: Site, table: str = "t") -> list[tuple[object, ...]]:
    """Each column's encoding where it was given, distkey and place in the sort key."""
    found = (
        "SELECT \"column\", CASE encoding WHEN 'zstd' THEN encoding END, distkey, sortkey "
        f"FROM pg_table_def WHERE tablename = '{table}' ORDER BY 1"
    )
    return await at.rows(found)


@check(
    "D2c",
    [
        ("all", "DISTSTYLE ALL", ("ALL", "AUTO(SORTKEY)", 0)),
        ("compound", "DISTKEY(a) COMPOUND SORTKEY(b, a)", ("KEY(a)", "b", 2)),
        ("interleaved", "DISTSTYLE KEY DISTKEY(a) INTERLEAVED SORTKEY(a)", ("KEY(a)", "a", 1)),
        ("even", "DISTSTYLE EVEN SORTKEY(a)", ("EVEN", "a", 1)),
    ],
)
async def styles_are_recorded(at: Site, attributes: str, found: tuple[object, ...]) -> None:
    await at.run(f"CREATE TABLE d (a INT, b INT ENCODE zstd) {attributes}")
    assert await _styles(at, "d") == found


async def _styles(at: Site, table: str) -> tuple[object, ...]:
    await at.run(f"INSERT INTO {table} (a) VALUES (1)")  # Redshift lists no empty table
    sql = "SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info"
    (row,) = await at.rows(f"{sql} WHERE schema = '{at.schema}' AND \"table\" = '{table}'")
    return row


@check("D2c", [("backup", "BACKUP NO"), ("auto", "SORTKEY AUTO ENCODE AUTO")], proves=False)
async def automatic_styles_are_recorded(at: Site, attributes: str) -> None:
    await at.run(f"CREATE TABLE d (a INT, b INT) {attributes}")
    assert await _styles(at, "d") == ("AUTO(ALL)", "AUTO(SORTKEY)", 0)


@check("D2c")
async def keys_and_encodings_of_columns_are_recorded(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT DISTKEY, b INT ENCODE zstd SORTKEY)")
    assert await _keys(at) == [("a", None, True, 0), ("b", "zstd", False, 1)]


@check("D2b", proves=False)
async def each_type_has_its_encodings(at: Site) -> None:
    encodings = {
        "BIGINT": "raw az64 bytedict delta delta32k lzo mostly8 mostly16 mostly32 runlength zstd",
        "SMALLINT": "az64 delta mostly8",
        "DECIMAL(9, 2)": "az64 bytedict delta delta32k lzo mostly32 runlength zstd",
        "REAL": "raw bytedict runlength zstd",
        "BOOLEAN": "raw runlength zstd",
        "DATE": "az64 bytedict delta delta32k lzo runlength",
        "VARCHAR(9)": "raw bytedict lzo runlength text255 text32k zstd",
        "CHAR(9)": "bytedict lzo runlength zstd",
        "TIMESTAMPTZ": "az64 bytedict lzo runlength zstd",
        "SUPER": "raw lzo zstd",
    }
    pairs = [(kind, each) for kind, words in encodings.items() for each in words.split()]
    columns = [f"c{i} {kind} ENCODE {each}" for i, (kind, each) in enumerate(pairs)]
    await at.run(f"CREATE TABLE t ({', '.join(columns)})")


@check("D3")
async def keys_are_not_enforced(at: Site) -> None:
    await at.run("CREATE TABLE p (a INT UNIQUE, b INT, c INT, PRIMARY KEY (b), UNIQUE (b, c))")
    await at.run("CREATE TABLE c (a INT REFERENCES p (b), FOREIGN KEY (a) REFERENCES p)")
    await at.run("INSERT INTO p VALUES (1, 1, 1)", "INSERT INTO p VALUES (1, 1, 1)")
    await at.run("INSERT INTO c VALUES (99)")
    assert await at.rows("SELECT count(*) FROM p, c") == [(2,)]


@check("D3")
async def an_added_key_is_not_enforced(at: Site) -> None:
    await at.run("CREATE TABLE p (a INT NOT NULL)", "INSERT INTO p VALUES (1)")
    await at.run("ALTER TABLE p ADD CONSTRAINT k PRIMARY KEY (a)", "INSERT INTO p VALUES (1)")


@check("D3b", proves=False)
async def a_key_names_columns_that_are_there(at: Site) -> None:
    for definition in ("(a INT, PRIMARY KEY (b))", "(a INT, UNIQUE (a, b))"):
        error = await at.fails(f"CREATE TABLE x {definition}")
        assert error.sqlstate == "42703"
        assert error.message == 'column "b" named in key does not exist'


@check("D3c", [("table", "(a INT, b INT, PRIMARY KEY (b))"), ("column", "(a INT, b INT NOT NULL)")])
async def a_null_is_refused(at: Site, definition: str) -> None:
    await at.run(f"CREATE TABLE p {definition}")
    error = await at.fails("INSERT INTO p (a) VALUES (2)")
    assert (error.sqlstate, error.message) == ("XX000", "Cannot insert a NULL value into column b")
    assert "code:      8007" in error.detail


@check("D6")
async def like_inherits_distribution_sort_key_and_encodings(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT NOT NULL DISTKEY, b INT ENCODE zstd SORTKEY)")
    await at.run("CREATE TABLE l (LIKE t)")
    assert await _keys(at, "l") == [("a", None, True, 0), ("b", "zstd", False, 1)]


@check("D6")
async def a_temporary_copy_of_its_own_name_inherits_from_the_permanent_table(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT DISTKEY, b INT SORTKEY)", "CREATE TEMP TABLE t (LIKE t)")
    await at.run(f"DROP TABLE {at.schema}.t")
    assert await _keys(at) == [("a", None, True, 0), ("b", None, False, 1)]


@check("D6", proves=False)
async def like_inherits_not_null_but_neither_defaults_nor_keys(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT DEFAULT 5, b INT NOT NULL, PRIMARY KEY (b))")
    await at.run("CREATE TABLE l (LIKE t)", "CREATE TABLE d (LIKE t INCLUDING DEFAULTS)")
    await at.run("ALTER TABLE l ADD PRIMARY KEY (b)")
    for table, kept in (("l", None), ("d", 5)):
        await at.run(f"INSERT INTO {table} (b) VALUES (1)")
        assert await at.rows(f"SELECT a FROM {table}") == [(kept,)]
        assert (await at.fails(f"INSERT INTO {table} (a) VALUES (1)")).sqlstate == "XX000"


@check("D7")
async def a_marked_table_is_temporary(at: Site) -> None:
    await at.run("CREATE TABLE #x (a INT)", "INSERT INTO #x VALUES (1)")
    assert await at.rows("SELECT a FROM #x") == [(1,)]
    other = await at.connect()
    assert (await at.fails(other.fetch("SELECT a FROM #x"))).sqlstate == "42P01"


@check("D7", proves=False)
async def a_temporary_table_shadows_a_permanent_one(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    await at.run("CREATE TEMP TABLE t (a INT)", "INSERT INTO t VALUES (2)")
    assert await at.rows("SELECT a FROM t") == [(2,)]
    other = await at.connect()
    assert await other.fetchval("SELECT a FROM t") == 1
    await at.run("DROP TABLE t")
    assert await at.rows("SELECT a FROM t") == [(1,)]


@check("D9", proves=False)
async def a_query_makes_a_table(at: Site) -> None:
    await at.run("CREATE TABLE q (A, b) DISTKEY(a) SORTKEY(b) AS SELECT 1, 'ä'::VARCHAR(5)")
    assert await at.rows("SELECT a, b FROM q") == [(1, "ä")]
    assert await _keys(at, "q") == [("a", None, True, 0), ("b", None, False, 1)]
    await at.run("CREATE TEMP TABLE z DISTSTYLE EVEN AS (SELECT 1 AS a)")


@check("D9", proves=False)
async def a_query_makes_no_constraints(at: Site) -> None:
    await at.run(
        "CREATE TABLE t (a INT NOT NULL DEFAULT 5, b INT)", "CREATE TABLE q AS SELECT * FROM t"
    )
    await at.run("INSERT INTO q (b) VALUES (1)")
    assert await at.rows("SELECT a, b FROM q") == [(None, 1)]


@check("D9a", [("literal", "'abc'"), ("function", "UPPER('abc')")], only_here=_ASSUMED)
async def a_text_of_a_query_gets_a_length(at: Site, value: str) -> None:
    await at.run(f"CREATE TABLE t AS SELECT {value} AS a")
    found = await at.rows("SELECT type FROM pg_table_def WHERE tablename = 't'")
    assert found == [("character varying(65535)",)]


@check("D9b")
async def a_query_of_a_type_that_tables_lack_fails(at: Site) -> None:
    error = await at.fails("CREATE TABLE x AS SELECT relacl FROM pg_class LIMIT 1")
    assert error.sqlstate == "0A000"
    assert error.message == 'Column "x.relacl" has unsupported type "aclitem[]".'


@check("D2a", [("distkey", "DISTKEY(b)"), ("sortkey", "SORTKEY(b)")])
async def keys_of_a_query_are_its_columns(at: Site, attribute: str) -> None:
    error = await at.fails(f"CREATE TABLE x {attribute} AS SELECT 1 AS a")
    assert error.message == 'column "b" specified as distkey/sortkey is not in the table "x"'
