"""COPY's statement: rules 1 to 4."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from tests.standin.checks import check
from tests.standin.site import Site

TWO = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", "y"]})
TABLE = "CREATE TABLE t (a BIGINT, b VARCHAR(10))"
BOTH_PROTOCOLS = [("simple", "execute"), ("extended", "fetch")]


async def fails_in(at: Site, how: str, sql: str) -> Any:
    """The error of a statement by one of the two protocols."""
    return await at.fails(getattr(at.con, how)(sql))


@check("1", BOTH_PROTOCOLS)
async def columns_match_by_position(at: Site, how: str) -> None:
    await at.run(TABLE)
    at.put("x/1", pa.table({"b": pa.array([7], pa.int64()), "a": ["x"]}))
    await getattr(at.con, how)(at.copy("x/"))
    assert await at.rows("SELECT a, b FROM t") == [(7, "x")]


@check("1")
async def columns_of_one_type_are_swapped_in_silence(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b BIGINT)")
    at.put("x", pa.table({"b": pa.array([1], pa.int64()), "a": pa.array([2], pa.int64())}))
    await at.run(at.copy("x"))
    assert await at.rows("SELECT a, b FROM t") == [(1, 2)]


@check("1", proves=False)
async def a_comment_before_copy_is_no_obstacle(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    assert await at.con.execute(f"/* a; b */ -- {{}}\n {at.copy('x')}") == "COPY"


@check("1", proves=False)
async def the_target_may_be_named_in_any_way(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    for target in (f"{at.schema}.t", '"T"', f'"{at.schema.upper()}"."t" ("A", b)'):
        await at.run("DELETE FROM t", at.copy("x", target))
        assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("1", proves=False)
async def a_temporary_table_is_loaded(at: Site) -> None:
    at.put("x", TWO)
    await at.run("CREATE TABLE #st (a BIGINT, b VARCHAR(9))", at.copy("x", "#st"))
    assert await at.rows("SELECT count(*) FROM #st") == [(2,)]


@check("1a", BOTH_PROTOCOLS)
async def a_missing_table_is_an_internal_error(at: Site, how: str) -> None:
    at.put("x", TWO)
    error = await fails_in(at, how, at.copy("x", "gone"))
    assert (error.sqlstate, error.message) == ("XX000", "Cannot COPY into nonexistent table gone")
    assert await at.con.fetchval("SELECT 1") == 1


@check("1b")
async def a_view_is_refused_before_anything_is_listed(at: Site) -> None:
    await at.run(TABLE, "CREATE VIEW v AS SELECT a FROM t")
    error = await at.fails(at.copy("none/", "v"))
    assert (error.sqlstate, error.message) == ("42809", 'cannot copy to view "v"')


@check("2")
async def a_column_list_maps_file_positions(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", pa.table({"a": ["x"], "b": pa.array([1], pa.int64())}))
    await at.run(at.copy("x", 't ("B", "a")'))
    assert await at.rows("SELECT a, b FROM t") == [(1, "x")]


@check("2", proves=False)
async def omitted_columns_get_their_default(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b VARCHAR(3) DEFAULT 'dfl', c INT)")
    at.put("x", TWO.select(["a"]))
    await at.run(at.copy("x", "t (a)"))
    assert await at.rows("SELECT a, b, c FROM t ORDER BY a") == [(1, "dfl", None), (2, "dfl", None)]


@check("3")
async def a_column_list_has_the_length_of_the_file(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x", "t (a)"))
    assert error.message == "Spectrum Scan Error"
    assert "Table columns: 1, Data columns: 2" in error.detail


@check("2a", BOTH_PROTOCOLS)
async def an_unknown_column_is_named(at: Site, how: str) -> None:
    await at.run(TABLE)
    error = await fails_in(at, how, at.copy("x", "t (zz)"))
    expected = ("42703", 'column "zz" of relation "t" does not exist')
    assert (error.sqlstate, error.message) == expected


@check("2c")
async def a_not_null_column_must_be_listed(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b VARCHAR(3) NOT NULL)")
    at.put("x", TWO.select(["a"]))
    error = await at.fails(at.copy("x", "t (a)"))
    said = "NOT NULL column without DEFAULT must be included in column list"
    assert (error.sqlstate, error.message) == ("42601", said)


@check("2c", proves=False)
async def a_not_null_column_with_a_default_need_not_be_listed(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b VARCHAR(3) DEFAULT 'dfl' NOT NULL)")
    at.put("x", TWO.select(["a"]))
    await at.run(at.copy("x", "t (a)"))
    assert await at.rows("SELECT DISTINCT b FROM t") == [("dfl",)]


@check("2d")
async def identity_columns_are_left_to_the_server(at: Site) -> None:
    await at.run("CREATE TABLE t (i BIGINT IDENTITY(10, 5), a BIGINT, b VARCHAR(9))")
    at.put("x", TWO)
    await at.run(at.copy("x"))
    made = [row[0] for row in await at.rows("SELECT i FROM t ORDER BY i")]
    assert len(set(made)) == 2
    assert all(i >= 10 and i % 5 == 0 for i in made)


NUMBERS = pa.table({"i": pa.array([7], pa.int64()), "a": pa.array([1], pa.int64())})


@check("2e", [("without a list", "t"), ("with a list", "t (i, a)")])
async def explicit_ids_loads_identity_columns(at: Site, target: str) -> None:
    await at.run("CREATE TABLE t (i BIGINT IDENTITY(1, 1), a BIGINT)")
    at.put("x", NUMBERS)
    await at.run(at.copy("x", target, "EXPLICIT_IDS"))
    assert await at.rows("SELECT i, a FROM t") == [(7, 1)]


@check("2f", [("without", "i, a", ["i", "a"], ""), ("with", "a", ["a"], "EXPLICIT_IDS")])
async def a_listed_identity_column_and_explicit_ids_go_together(
    at: Site, columns: str, found: list[str], option: str
) -> None:
    await at.run("CREATE TABLE t (i BIGINT IDENTITY(1, 1), a BIGINT)")
    at.put("x", NUMBERS.select(found))
    error = await at.fails(at.copy("x", f"t ({columns})", option))
    assert "identity column" in error.message


@check("2f", proves=False)
async def an_identity_column_by_default_is_loaded_where_it_is_listed(at: Site) -> None:
    await at.run("CREATE TABLE t (i BIGINT GENERATED BY DEFAULT AS IDENTITY(1, 1), a BIGINT)")
    at.put("x", NUMBERS)
    await at.run(at.copy("x", "t (i, a)"))
    assert await at.rows("SELECT i, a FROM t") == [(7, 1)]


BLOCK = re.compile(
    r"\s*-{40,}\n  error:  (?P<error>[^\n]*)\n  code:      (?P<code>\d+)\n"
    r"  context:   (?P<context>.*)\n  query:     \d+\n  location:  [\w.]+:\d+\n"
    r"  process:   \w+ \[pid=\d+\]\n  -{40,}\s*",
    re.DOTALL,
)
ADDRESS = r"https://s3\.[a-z0-9-]+\.amazonaws\.com/"


@check("3", BOTH_PROTOCOLS)
async def an_unequal_number_of_columns_is_told_in_detail(at: Site, how: str) -> None:
    columns = ", ".join(f"c{at} INTEGER" for at in range(51))
    await at.run(f"CREATE TABLE t ({columns})")
    at.put("x/1", pa.table({f"c{at}": pa.array([at], pa.int32()) for at in range(53)}))
    error = await fails_in(at, how, at.copy("x/"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    block = BLOCK.fullmatch(error.detail)
    assert block, error.detail
    assert (block["error"], block["code"]) == ("Spectrum Scan Error", "15007")
    assert re.fullmatch(
        r"Unmatched number of columns between table and file\. Table columns: 51, "
        rf"Data columns: 53, File name: {ADDRESS}{at.place.bucket}/{at.key('x/1')}.*",
        block["context"],
        re.DOTALL,
    ), block["context"]


@check("3")
async def a_file_with_fewer_columns_is_refused(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO.select(["a"]))
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "Table columns: 2, Data columns: 1" in error.detail


@check("3")
async def every_file_is_checked_before_any_row_is_loaded(at: Site) -> None:
    await at.run(TABLE)
    at.put("x/a", TWO)
    at.put("x/z", TWO.select(["a"]))
    error = await at.fails(at.copy("x/"))
    assert "Data columns: 1" in error.detail
    assert at.key("x/z") in error.detail
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("3")
async def fillrecord_does_not_drop_columns(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO.append_column("c", pa.array([1, 2])))
    error = await at.fails(at.copy("x", more="FILLRECORD"))
    assert error.message == "Spectrum Scan Error"
    assert "Table columns: 2, Data columns: 3" in error.detail


REFUSED = [
    "REGION 'us-east-1'", "REGION AS 'us-east-1'", "COMPUPDATE", "COMPUPDATE ON", "COMPUPDATE OFF",
    "TRUNCATECOLUMNS", "MAXERROR 5", "MAXERROR AS 5", "GZIP", "BZIP2", "LZOP", "ZSTD", "ESCAPE",
    "REMOVEQUOTES", "ACCEPTANYDATE", "BLANKSASNULL", "EMPTYASNULL", "IGNOREBLANKLINES", "NOLOAD",
    "TRIMBLANKS", "ROUNDEC", "IGNOREALLERRORS", "IGNOREHEADER 1", "IGNOREHEADER AS 1",
    "COMPROWS 1000", "NULL AS '-'", "DATEFORMAT 'auto'", "TIMEFORMAT AS 'auto'", "ENCODING AS UTF8",
    "ENCRYPTED", "READRATIO 50",
]  # fmt: skip


@check("4", [(option, option) for option in REFUSED])
async def an_argument_of_other_formats_is_refused(at: Site, option: str) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x", more=option))
    said = f"{option.split(maxsplit=1)[0]} argument is not supported for PARQUET based COPY"
    assert (error.sqlstate, error.message) == ("0A000", said)


ACCEPTED = [
    "STATUPDATE", "STATUPDATE ON", "STATUPDATE OFF", "ACCEPTINVCHARS", "ACCEPTINVCHARS AS '^'",
    "FILLRECORD", "EXPLICIT_IDS", "SERIALIZETOJSON",
]  # fmt: skip


@check("4", [(option, option) for option in ACCEPTED], proves=False)
async def an_argument_of_columnar_copy_is_accepted(at: Site, option: str) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    await at.run(at.copy("x", more=option))
    assert await at.rows("SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, "y")]


@check("4", [(f, f) for f in ("FORMAT AS PARQUET", "FORMAT PARQUET", "PARQUET")], proves=False)
async def the_format_is_said_in_three_ways(at: Site, said: str) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    await at.run(at.copy("x").replace("FORMAT AS PARQUET", said))
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("4d")
async def an_option_twice_is_refused(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x", more="STATUPDATE ON STATUPDATE OFF"))
    assert (error.sqlstate, error.message) == ("42601", "conflicting or redundant options")


MISSPELT = [
    ("a word", "NONSENSE", "NONSENSE"),
    ("a number for a switch", "FILLRECORD 5", "5"),
    ("a word for a number", "MAXERROR many", "many"),
    ("no region", "REGION", "REGION"),
]


@check("4s", MISSPELT)
async def what_is_no_option_is_a_syntax_error(at: Site, option: str, near: str) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x", more=option))
    assert error.sqlstate == "42601"
    assert error.message.startswith(f'syntax error at or near "{near}"')


FORMATS = ["ORC", "CSV", "JSON 'auto'", "AVRO 'auto'", "SHAPEFILE", "FIXEDWIDTH 'a:1'"]


@check("stand-in", [(f, f) for f in FORMATS], only_here="a cluster loads these formats")
async def another_format_is_refused_by_name(at: Site, given: str) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x").replace("PARQUET", given))
    assert error.sqlstate == "0A000"
    assert f"does not emulate COPY of {given.split(maxsplit=1)[0]}" in error.message


@check("stand-in", only_here="a cluster loads delimited text, and from elsewhere")
async def delimited_text_and_other_sources_are_refused_by_name(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    error = await at.fails(at.copy("x").replace("FORMAT AS PARQUET", "DELIMITER '|'"))
    assert "does not emulate COPY of DELIMITER" in error.message
    error = await at.fails(at.copy("x").replace("FORMAT AS PARQUET", ""))
    assert "does not emulate COPY of delimited text" in error.message
    error = await at.fails(at.copy("x").replace("s3://", "dynamodb://"))
    assert "does not emulate COPY from anything but S3" in error.message
