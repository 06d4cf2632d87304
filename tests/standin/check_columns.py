"""Columns: their types, their defaults and how long a value may be (rules D1 and D4)."""

from __future__ import annotations

from tests.standin.checks import check
from tests.standin.site import Site

_ASSUMED = "its text is not known"
_LONG = "Column length exceeds maximum allowed (maximum column length is {})"
_DECIMAL = "DECIMAL {} must be between {}"
_NEAR = 'syntax error at or near "{}"'
_STAND_IN = "the Redshift stand-in does not emulate {}"

REFUSED: dict[str, list[tuple[str, str, str, str]]] = {
    "D1c": [
        ("varchar", "(a VARCHAR(65536))", "22023", _LONG.format(65535)),
        ("character varying", "(a CHARACTER VARYING(70000))", "22023", _LONG.format(65535)),
    ],
    "D1d": [
        ("char", "(a CHAR(4097))", "22023", _LONG.format(4096)),
        ("character", "(a CHARACTER(5000))", "22023", _LONG.format(4096)),
    ],
    "D1e": [
        ("precision", "(a DECIMAL(39, 2))", "22023", _DECIMAL.format("precision 39", "1 and 38")),
        ("scale", "(a DECIMAL(38, 38))", "22023", _DECIMAL.format("scale 38", "0 and 37")),
        ("scale above", "(a NUMERIC(5, 6))", "22023", _DECIMAL.format("scale 6", "0 and 5")),
    ],
    "D1g": [
        (kind, f"(a {kind})", "42704", f'type "{kind}" does not exist')
        for kind in (
            *("json", "jsonb", "uuid", "bytea", "serial", "bigserial", "money", "xml", "inet"),
            *("cidr", "macaddr", "point", "tsvector", "oid", "int4range"),
        )
    ],
    "D1h": [
        ("array", "(a int[])", "42601", _NEAR.format("[")),
        ("check", "(a int CHECK (a > 1))", "42601", _NEAR.format("CHECK")),
        ("table check", "(a int, CHECK (a > 1))", "42601", _NEAR.format("(")),
        ("generated", "(a int, b int GENERATED ALWAYS AS (a) STORED)", "42601", "GENERATED"),
        ("with", "(a int) WITH (fillfactor = 10)", "42601", _NEAR.format("WITH")),
        ("partition", "(a int) PARTITION BY LIST (a)", "42601", _NEAR.format("PARTITION")),
        ("on commit", "(a int) TABLESPACE pg_default", "42601", _NEAR.format("TABLESPACE")),
        ("including all", "(LIKE t INCLUDING ALL)", "42601", _NEAR.format("INCLUDING")),
        ("deferrable", "(a int PRIMARY KEY DEFERRABLE)", "42601", _NEAR.format("DEFERRABLE")),
        ("on delete", "(a int REFERENCES t (a) ON DELETE CASCADE)", "42601", _NEAR.format("ON")),
    ],
    "stand-in": [
        (kind, f"(a {kind})", "0A000", _STAND_IN.format(f"the type {kind}"))
        for kind in ("GEOMETRY", "GEOGRAPHY", "HLLSKETCH", "INTERVAL")
    ],
}
_UNKNOWN_TEXTS = frozenset({"D1d", "D1e"})


async def refused_type(at: Site, definition: str, state: str, message: str) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)")
    for how in (at.con.execute, at.con.fetch):
        error = await at.fails(how(f"CREATE TABLE x {definition}"))
        assert error.sqlstate == state
        assert message in error.message
    assert (await at.fails("SELECT * FROM x")).sqlstate == "42P01"


for _rule, _cases in REFUSED.items():
    _why = _ASSUMED if _rule in _UNKNOWN_TEXTS else ""
    if _rule == "stand-in":
        _why = "Redshift has the type"
    check(_rule, _cases, only_here=_why)(refused_type)


@check("stand-in", only_here="Redshift has it")
async def collate_is_not_emulated(at: Site) -> None:
    error = await at.fails('CREATE TABLE x (a VARCHAR(5) COLLATE "C")')
    assert (error.sqlstate, error.message) == ("0A000", _STAND_IN.format("COLLATE"))


async def _type(at: Site) -> str:
    (found,) = await at.rows("SELECT type FROM pg_table_def WHERE tablename = 't'")
    return str(found[0])


async def _has_type(at: Site, written: str, kept: str) -> None:
    await at.run(f"CREATE TABLE t (a {written})")
    assert await _type(at) == kept


KEPT: dict[tuple[str, bool], dict[str, str]] = {
    ("D1", True): {
        "TEXT": "character varying(256)",
        "VARCHAR": "character varying(256)",
        "CHARACTER VARYING": "character varying(256)",
    },
    ("D1", False): {
        "CHARACTER VARYING(8)": "character varying(8)",
        "FLOAT": "double precision",
        "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    },
    ("D1a", True): {"BPCHAR": "character(256)"},
    ("D1a", False): {
        "CHAR": "character(1)",
        "CHARACTER": "character(1)",
        "NCHAR(7)": "character(7)",
    },
    ("D1b", True): {"DECIMAL": "numeric(18,0)", "NUMERIC": "numeric(18,0)"},
    ("D1b", False): {"NUMERIC(5)": "numeric(5,0)", "DECIMAL(38, 37)": "numeric(38,37)"},
    ("D1f", True): {
        "VARCHAR(MAX)": "character varying(65535)",
        "CHAR(MAX)": "character(4096)",
        "NVARCHAR(7)": "character varying(7)",
        "NVARCHAR": "character varying(256)",
        "SUPER": "super",
        "VARBYTE(9)": "binary varying(9)",
        "VARBYTE": "binary varying(64000)",
        "BINARY VARYING(7)": "binary varying(7)",
    },
}
for (_rule, _proves), _types in KEPT.items():
    check(_rule, [(written, written, kept) for written, kept in _types.items()], proves=_proves)(
        _has_type
    )


@check("D1c", [("varchar", "VARCHAR(65535)"), ("char", "CHAR(4096)")], proves=False)
async def the_longest_are_accepted(at: Site, kind: str) -> None:
    await at.run(f"CREATE TABLE t (a {kind})")


@check("D1h", proves=False, only_here="it is slow")
async def a_table_has_at_most_1600_columns(at: Site) -> None:
    columns = ", ".join(f"c{i} INT" for i in range(1601))
    error = await at.fails(f"CREATE TABLE t ({columns})")
    assert (error.sqlstate, error.message) == ("54011", "tables can have at most 1600 columns")


_TOO_LONG = [
    ("insert", "INSERT INTO t VALUES ('ääää')"),
    ("update", "UPDATE t SET a = 'ääää'"),
    ("insert select", "INSERT INTO t SELECT a || 'ä' FROM t"),
    ("like", "INSERT INTO l VALUES ('ääää')"),
    ("as", "INSERT INTO q VALUES ('ääää')"),
    ("added", "INSERT INTO w (b) VALUES ('ääää')"),
    ("renamed", "INSERT INTO n VALUES ('ääää')"),
    ("widened", "INSERT INTO g VALUES ('ääää')"),
    ("temporary", "INSERT INTO #m VALUES ('ääää')"),
]


@check("D4", _TOO_LONG)
async def lengths_are_bytes(at: Site, sql: str) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(7))", "INSERT INTO t VALUES ('äää')")
    await at.run("CREATE TEMP TABLE l (LIKE t)", "CREATE TABLE q AS SELECT a FROM t")
    await at.run("CREATE TABLE w (a INT)", "ALTER TABLE w ADD COLUMN b VARCHAR(7)")
    await at.run("CREATE TABLE n (x VARCHAR(7))", "ALTER TABLE n RENAME COLUMN x TO y")
    await at.run("CREATE TABLE g (a VARCHAR(5))", "ALTER TABLE g ALTER COLUMN a TYPE VARCHAR(7)")
    await at.run("CREATE TABLE #m (a VARCHAR(7))")
    for how in (at.con.execute, at.con.fetch):
        error = await at.fails(how(sql))
        assert error.sqlstate == "22001"
        assert error.message == "value too long for type character varying(7)"


@check("D4")
async def a_parameter_is_measured_in_bytes(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(7))")
    error = await at.fails(at.con.execute("INSERT INTO t VALUES ($1)", "ääää"))
    assert error.message == "value too long for type character varying(7)"
    await at.con.execute("INSERT INTO t VALUES ($1)", None)
    await at.con.execute("INSERT INTO t VALUES ($1)", "äää")


@check("D4", [("varchar", "VARCHAR(3)", "varying(3)"), ("char", "CHAR(3)", "(3)")], proves=False)
async def ascii_is_measured_as_well(at: Site, kind: str, words: str) -> None:
    await at.run(f"CREATE TABLE t (a {kind})")
    error = await at.fails("INSERT INTO t VALUES ('abcd')")
    assert error.sqlstate == "22001"
    assert error.message.startswith("value too long for type character")
    assert error.message.endswith(words)


@check("D4", proves=False)
async def blanks_beyond_the_length_are_cut(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(3))", "INSERT INTO t VALUES ('abc   ')")
    assert await at.rows("SELECT OCTET_LENGTH(a) FROM t") == [(3,)]


@check("D4c", only_here="Redshift cuts the blanks")
async def blanks_that_make_too_many_bytes_are_refused(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(5))")
    error = await at.fails("INSERT INTO t VALUES ('äb   ')")
    assert error.message == "value too long for type character varying(5)"


@check(
    "D4a",
    [
        ("insert", "INSERT INTO t VALUES ('ä')"),
        ("update", "UPDATE t SET a = 'xä'"),
        ("like", "INSERT INTO l VALUES ('ä')"),
        ("as", "INSERT INTO q VALUES ('ä')"),
    ],
)
async def char_takes_single_bytes(at: Site, sql: str) -> None:
    await at.run("CREATE TABLE t (a CHAR(5))", "INSERT INTO t VALUES ('x')")
    await at.run("CREATE TEMP TABLE l (LIKE t)", "CREATE TABLE q AS SELECT a FROM t")
    error = await at.fails(sql)
    assert (error.sqlstate, error.message) == ("XX000", "Invalid characters:")
    assert "code:      8001" in error.detail
    assert "Invalid ASCII char: c3 a4 " in error.detail


@check("D4b", [("created", "t"), ("added", "u")], only_here=_ASSUMED)
async def varbyte_has_its_length(at: Site, table: str) -> None:
    await at.run("CREATE TABLE t (b VARBYTE(3))", "INSERT INTO t VALUES ('abc'::VARBYTE)")
    await at.run("CREATE TABLE u (a INT)", "ALTER TABLE u ADD COLUMN b VARBYTE(3)")
    error = await at.fails(f"INSERT INTO {table} (b) VALUES ('abcd'::VARBYTE)")
    assert error.sqlstate == "22001"
    assert error.message == "value too long for type binary varying(3)"


@check("D1h", proves=False)
async def a_default_is_an_expression_of_redshifts(at: Site) -> None:
    await at.run(
        "CREATE TABLE t (a INT, b VARCHAR(9) DEFAULT NVL(NULL, 'x') || 'y' NOT NULL, "
        "c TIMESTAMP DEFAULT SYSDATE, d TIMESTAMP DEFAULT GETDATE() ENCODE zstd, e INT DEFAULT -1)",
        "INSERT INTO t (a) VALUES (1)",
    )
    ((text, first, second, number),) = await at.rows("SELECT b, c, d, e FROM t")
    assert (text, number) == ("xy", -1)
    assert abs((first - second).total_seconds()) < 60
