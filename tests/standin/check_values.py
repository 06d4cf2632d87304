"""Which values a column takes: lengths, characters, nulls (rules T11 to T15)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tests.standin.checks import check
from tests.standin.site import Site

SCAN = ("XX000", "Spectrum Scan Error")


def texts(*values: bytes) -> pa.Array:
    """Texts of whatever bytes, told to be UTF-8."""
    return pa.array(values, pa.binary()).cast(pa.string(), safe=False)


async def one(at: Site, kind: str, array: pa.Array, more: str = "") -> str:
    """A table of one column and a file for it; gives the COPY."""
    await at.run(f"CREATE TABLE t (d {kind})")
    at.put("k=1/x", pa.table({"d": array}))
    return at.copy("k=1/", more=more)


async def column(at: Site) -> list[Any]:
    return [row[0] for row in await at.rows("SELECT d FROM t")]


async def is_empty(at: Site) -> bool:
    return await at.rows("SELECT count(*) FROM t") == [(0,)]


LONG = [
    ("one byte above", "T11", "VARCHAR(10)", ["x" * 10, "x" * 11], 10, 11),
    ("bytes, not characters", "T11", "VARCHAR(10)", ["ä" * 6], 10, 12),
    ("four bytes a character", "T11", "VARCHAR(7)", ["😀😀"], 7, 8),
    ("the default", "T11", "VARCHAR", ["x" * 257], 256, 257),
    ("the greatest", "T11", "VARCHAR(65535)", ["x" * 65_536], 65_535, 65_536),
    ("the greatest by name", "T11", "VARCHAR(MAX)", ["ä" * 32_768], 65_535, 65_536),
    ("trailing blanks count", "T11", "VARCHAR(2)", ["a  "], 2, 3),
    ("CHAR", "T12a", "CHAR(4)", ["abcde"], 4, 5),
    ("CHAR without a length", "T12a", "CHAR", ["ab"], 1, 2),
    ("VARBYTE", "T13a", "VARBYTE(3)", [b"1234"], 3, 4),
]


async def a_longer_value_fails_the_copy(
    at: Site, kind: str, values: list[Any], limit: int, size: int
) -> None:
    error = await at.fails(await one(at, kind, pa.array(values)))
    assert (error.sqlstate, error.message) == SCAN
    assert "code:      15007" in error.detail
    said = (
        "The length of the data column d is longer than the length defined in the table. "
        f"Table: {limit}, Data: {size}, File name: https://s3."
    )
    assert said in error.detail
    assert "k%3D1/x\n" in error.detail
    assert await is_empty(at)


for rule in ("T11", "T12a", "T13a"):
    check(rule, [(c[0], *c[2:]) for c in LONG if c[1] == rule])(a_longer_value_fails_the_copy)


@check("T11", only_here="a cluster's log lags by seconds")
async def the_log_names_the_value_that_was_too_long(at: Site) -> None:
    await at.fails(await one(at, "VARCHAR(3)", pa.array(["abc", "abcd"])))
    where = f"WHERE file_name = '{at.uri('k=1/x')}'"
    what = "TRIM(column_name), TRIM(column_type), TRIM(column_length), error_code"
    found = await at.rows(f"SELECT {what} FROM sys_load_error_detail {where}")
    assert [(name, kind.lower(), *rest) for name, kind, *rest in found] == [
        ("d", "varchar", "3", 15007)
    ]


@check(
    "T11",
    [
        ("bytes", "VARCHAR(4)", ["ää", None, "", "abcd"]),
        ("the greatest", "VARCHAR(65535)", ["x" * 65_535, "ä" * 32_767]),
        ("blanks stay", "VARCHAR(4)", ["a   ", "  "]),
    ],
    proves=False,
)
async def what_fits_in_bytes_is_loaded(at: Site, kind: str, values: list[Any]) -> None:
    await at.run(await one(at, kind, pa.array(values)))
    assert sorted(map(repr, await column(at))) == sorted(map(repr, values))


@check("T11", proves=False)
async def rows_before_and_after_a_long_value_are_not_loaded(at: Site) -> None:
    values = ["ok"] * 20_000 + ["too long"] + ["ok"] * 20_000
    error = await at.fails(await one(at, "VARCHAR(4)", pa.array(values)))
    assert "Table: 4, Data: 8" in error.detail
    assert await is_empty(at)


@check("T12", [("ä", "ä", "c3 a4"), ("after others", "aé", "c3 a9"), ("€", "€", "e2 82 ac")])
async def char_takes_single_bytes_only(at: Site, value: str, sequence: str) -> None:
    error = await at.fails(await one(at, "CHAR(4)", pa.array(["abcd", None, value])))
    message = "Multibyte character not supported for CHAR"
    assert (error.sqlstate, error.message) == ("XX000", message)
    assert "code:      1220" in error.detail
    assert f"(Hint: Try using VARCHAR). Invalid char: {sequence}\n" in error.detail


@check("T14", only_here="a cluster's log lags by seconds")
async def the_log_names_the_column_that_takes_no_null(at: Site) -> None:
    await at.fails(await one(at, "BIGINT NOT NULL", pa.array([1, None], pa.int64())))
    where = f"WHERE file_name = '{at.uri('k=1/x')}'"
    found = await at.rows(
        f"SELECT TRIM(column_name), error_code FROM sys_load_error_detail {where}"
    )
    assert found == [("d", 8007)]


@check(
    "T14",
    [
        ("BIGINT", "BIGINT NOT NULL", pa.array([1, None], pa.int64())),
        ("VARCHAR", "VARCHAR(5) NOT NULL", pa.array(["a", None])),
        ("a key", "BIGINT PRIMARY KEY", pa.array([None], pa.int64())),
        ("a null type", "INTEGER NOT NULL", pa.nulls(1)),
    ],
    proves=False,
)
async def a_null_in_a_not_null_column_fails(at: Site, kind: str, array: pa.Array) -> None:
    error = await at.fails(await one(at, kind, array))
    message = "Cannot insert a NULL value into column d"
    assert (error.sqlstate, error.message) == ("XX000", message)
    assert "code:      8007" in error.detail
    assert await is_empty(at)


WRONG = [
    ("no start", b"a\xa4", "a4", 3),
    ("a start that is none", b"\xff", "ff", 3),
    ("five bytes", b"\xf8\x88\x80\x80\x80", "f8", 1),
    ("cut", b"abc\xe2\x82", "e2 82", 2),
    ("no continuation", b"\xc3(", "c3 28", 4),
    ("half of a pair", b"\xed\xa0\x80", "ed a0 80", 5),
    ("above the last", b"\xf4\x90\x80\x80", "f4 90 80 80", 8),
    ("longer than need be", b"\xc0\xaf", "c0 af", 9),
]


@check("T15", WRONG)
async def what_is_no_utf8_fails(at: Site, value: bytes, sequence: str, number: int) -> None:
    error = await at.fails(await one(at, "VARCHAR(9)", texts("ä".encode(), value)))
    message = "String contains invalid or unsupported UTF8 codepoints"
    assert (error.sqlstate, error.message) == ("XX000", message)
    assert "code:      1220" in error.detail
    assert f"{message}. Bad UTF8 hex sequence: {sequence} (error {number})\n" in error.detail
    assert await is_empty(at)


@check(
    "T15a",
    [
        ("a question mark", "", b"a\xa4b", "a?b"),
        ("another", "AS '^'", b"\xf4\x90\x80\x80", "^^^^"),
        ("good ones stay", "AS '^'", b"\xc3\xa4\xff\xe2\x82", "ä^^^"),
    ],
)
async def acceptinvchars_replaces_byte_by_byte(
    at: Site, how: str, value: bytes, expected: str
) -> None:
    copy = await one(at, "VARCHAR(9)", texts(value, b"ok"), f"ACCEPTINVCHARS {how}")
    await at.run(copy)
    assert sorted(await column(at)) == sorted([expected, "ok"])


@check("T15a", proves=False)
async def acceptinvchars_is_for_varchar(at: Site) -> None:
    error = await at.fails(await one(at, "CHAR(9)", texts(b"\xa4"), "ACCEPTINVCHARS"))
    assert error.sqlstate == "XX000"


@check("T15b", [("fffe", "\ufffe"), ("fdd0", "\ufdd0"), ("the last", "\U0010ffff")])
async def acceptinvchars_replaces_what_is_nobodys(at: Site, nobody: str) -> None:
    copy = await one(at, "VARCHAR(9)", pa.array([f"a{nobody}ä"]), "ACCEPTINVCHARS")
    await at.run(copy)
    assert await column(at) == ["a" + "?" * len(nobody.encode()) + "ä"]


@check("T15b", proves=False)
async def what_is_nobodys_loads_as_it_is(at: Site) -> None:
    await at.run(await one(at, "VARCHAR(9)", pa.array(["a\ufffe"])))
    assert await column(at) == ["a\ufffe"]


@check("T15c", [("VARCHAR", "VARCHAR(9)"), ("CHAR", "CHAR(9)")])
async def a_nul_byte_is_refused(at: Site, kind: str) -> None:
    error = await at.fails(await one(at, kind, pa.array(["ok", "a\0b"])))
    assert (error.sqlstate, error.message) == ("XX000", "String contains a NUL byte")
    assert "code:      1220" in error.detail
