"""Which Parquet column each type takes: rules T1 to T16."""

from __future__ import annotations

import datetime as dt
import io
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.standin.checks import check
from tests.standin.site import Site

US = dt.datetime(2024, 2, 29, 12, 0, 0, 123456)
SECOND = US.replace(microsecond=0)
UTC = US.replace(tzinfo=dt.UTC)
INT = {"int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64()}


def decimals(precision: int, scale: int, *values: str | None) -> pa.Array:
    kind = pa.decimal128(precision, scale)
    return pa.array([None if v is None else Decimal(v) for v in values], kind)


REFUSED = [
    ("T1", "SMALLINT", pa.array([1], INT["int64"]), "SMALLINT", "int64"),
    ("T1", "INTEGER", pa.array([1], INT["int64"]), "INT", "int64"),
    ("T1", "INTEGER", pa.array(["1"]), "INT", "byte_array"),
    ("T1", "INTEGER", pa.array([1.0]), "INT", "double"),
    ("T2", "BIGINT", decimals(18, 0, "1"), "BIGINT", "fixed_len_byte_array"),
    ("T2", "BIGINT", pa.array(["1"]), "BIGINT", "byte_array"),
    ("T2", "BIGINT", pa.array([SECOND], pa.timestamp("us")), "BIGINT", "int64"),
    ("T2a", "BIGINT", pa.array([1], INT["int32"]), "BIGINT", "int32"),
    ("T2a", "BIGINT", pa.array([1], INT["int16"]), "BIGINT", "int32"),
    ("T3", "SMALLINT", pa.array([1], pa.uint8()), "SMALLINT", "int32"),
    ("T3", "INTEGER", pa.array([1], pa.uint16()), "INT", "int32"),
    ("T3", "INTEGER", pa.array([1], pa.uint32()), "INT", "int32"),
    ("T3", "BIGINT", pa.array([1], pa.uint32()), "BIGINT", "int32"),
    ("T3", "BIGINT", pa.array([1], pa.uint64()), "BIGINT", "int64"),
    ("T4", "REAL", pa.array([1.0], pa.float64()), "FLOAT", "double"),
    ("T4", "REAL", pa.array([1], INT["int32"]), "FLOAT", "int32"),
    ("T4a", "DOUBLE PRECISION", pa.array([1.0], pa.float32()), "DOUBLE", "float"),
    ("T4a", "FLOAT8", pa.array([1], INT["int64"]), "DOUBLE", "int64"),
    ("T5", "DECIMAL(10,2)", decimals(10, 3, "1"), "DECIMAL(10, 2)", "fixed_len_byte_array"),
    ("T5", "DECIMAL(10,2)", decimals(11, 2, "1"), "DECIMAL(10, 2)", "fixed_len_byte_array"),
    ("T5", "DECIMAL", decimals(18, 6, "1"), "DECIMAL(18, 0)", "fixed_len_byte_array"),
    ("T5c", "DECIMAL(10,2)", pa.array([1.0]), "DECIMAL(10, 2)", "double"),
    ("T5c", "DECIMAL(10,2)", pa.array(["1"]), "DECIMAL(10, 2)", "byte_array"),
    ("T6", "BOOLEAN", pa.array([1], INT["int32"]), "BOOLEAN", "int32"),
    ("T6", "BOOLEAN", pa.array(["true"]), "BOOLEAN", "byte_array"),
    ("T7", "DATE", pa.array(["2020-01-01"]), "DATE", "byte_array"),
    ("T7", "DATE", pa.array([SECOND], pa.timestamp("us")), "DATE", "int64"),
    ("T7", "DATE", pa.array([1], INT["int32"]), "DATE", "int32"),
    ("T8", "TIMESTAMP", pa.array(["2020-01-01 00:00:00"]), "TIMESTAMP", "byte_array"),
    ("T8", "TIMESTAMP", pa.array([dt.date(2020, 1, 1)]), "TIMESTAMP", "int32"),
    ("T8", "TIMESTAMP", pa.array([1], INT["int64"]), "TIMESTAMP", "int64"),
    ("T8a", "TIMESTAMP", pa.array([1], pa.timestamp("ns")), "TIMESTAMP", "int64"),
    ("T8a", "TIMESTAMPTZ", pa.array([1], pa.timestamp("ns", "UTC")), "TIMESTAMPTZ", "int64"),
    ("T9", "TIMESTAMPTZ", pa.array(["2020-01-01 00:00:00"]), "TIMESTAMPTZ", "byte_array"),
    ("T10", "TIME", pa.array([1], pa.time64("us")), "TIME", "int64"),
    ("T10", "TIME", pa.array([1], pa.time32("ms")), "TIME", "int32"),
    ("T11a", "VARCHAR(9)", pa.array([b"a"]), "VARCHAR", "byte_array"),
    ("T11b", "VARCHAR(9)", pa.array([1], INT["int64"]), "VARCHAR", "int64"),
    ("T11b", "CHAR(9)", pa.array([dt.date(2020, 1, 1)]), "CHAR", "int32"),
    ("T13", "VARBYTE", pa.array([1], INT["int64"]), "VARBYTE", "int64"),
    ("T13", "VARBYTE", pa.array([1], INT["int32"]), "VARBYTE", "int32"),
    ("T16", "VARCHAR(9)", pa.nulls(1), "VARCHAR", "int32"),
    ("T16", "BIGINT", pa.nulls(1), "BIGINT", "int32"),
]


async def is_refused(at: Site, kind: str, array: pa.Array, title: str, physical: str) -> None:
    await at.run(f"CREATE TABLE t (a {kind})")
    at.put("x", pa.table({"col": array}))
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "code:      15007" in error.detail
    assert f"has an incompatible Parquet schema for column '{at.uri('x')}.col'" in error.detail
    said = f"Column type: {title}, Parquet schema:\noptional {physical} col [i:0 d:1 r:0]\n"
    assert said in error.detail
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


for rule in dict.fromkeys(rule for rule, *_ in REFUSED):
    cases = [(f"{c[1]} of {c[2].type}", *c[1:]) for c in REFUSED if c[0] == rule]
    check(rule, cases)(is_refused)


LOADED = [
    ("T1", "SMALLINT", pa.array([-(2**15), None, 2**15 - 1], INT["int16"]), None),
    ("T1", "SMALLINT", pa.array([-128, 127], INT["int8"]), None),
    ("T1", "INTEGER", pa.array([-(2**31), None, 2**31 - 1], INT["int32"]), None),
    ("T1", "INTEGER", pa.array([-(2**15)], INT["int16"]), None),
    ("T2", "BIGINT", pa.array([-(2**63), None, 2**63 - 1], INT["int64"]), None),
    ("T4", "REAL", pa.array([1.5, None, -0.0], pa.float32()), None),
    ("T4a", "DOUBLE PRECISION", pa.array([1e300, None, 5e-324]), None),
    ("T5", "DECIMAL(18,6)", decimals(18, 6, "-1.5", None, "999999999999.999999"), None),
    ("T5", "DECIMAL(20,0)", decimals(20, 0, "18446744073709551615", None), None),
    ("T5", "DECIMAL(38,37)", decimals(38, 37, "-9." + "9" * 37, None), None),
    ("T6", "BOOLEAN", pa.array([True, None, False]), None),
    ("T7", "DATE", pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]), None),
    ("T7", "DATE", pa.array([dt.date(2020, 1, 1)], pa.date64()), None),
    ("T8", "TIMESTAMP", pa.array([US, None, dt.datetime.max], pa.timestamp("us")), None),
    ("T8", "TIMESTAMP", pa.array([SECOND, None], pa.timestamp("ms")), None),
    ("T8", "TIMESTAMP", pa.array([UTC], pa.timestamp("us", "UTC")), [US]),
    ("T9", "TIMESTAMPTZ", pa.array([UTC, None], pa.timestamp("us", "UTC")), None),
    ("T9", "TIMESTAMPTZ", pa.array([US], pa.timestamp("us")), [UTC]),
    ("T9", "TIMESTAMPTZ", pa.array([UTC], pa.timestamp("us", "America/New_York")), None),
    ("T11", "VARCHAR(9)", pa.array(["x", None, ""], pa.large_string()), None),
    ("T11", "VARCHAR(9)", pa.array(["x", "x", None]).dictionary_encode(), None),
    ("T12", "CHAR(3)", pa.array(["abc", "a", None]), ["abc", "a  ", None]),
    ("T16", "INTEGER", pa.nulls(2), [None, None]),
]  # fmt: skip


async def is_loaded(at: Site, kind: str, array: pa.Array, rows: list[Any] | None) -> None:
    expected = array.to_pylist() if rows is None else rows
    await at.run(f"CREATE TABLE t (a {kind}, n INTEGER)")
    numbers = pa.array(range(len(array)), pa.int32())
    at.put("x", pa.table({"a": array, "n": numbers}))
    await at.run(at.copy("x"))
    assert [row[0] for row in await at.rows("SELECT a FROM t ORDER BY n")] == expected


for rule in dict.fromkeys(rule for rule, *_ in LOADED):
    cases = [(f"{c[1]} of {c[2].type}", *c[1:]) for c in LOADED if c[0] == rule]
    check(rule, cases, proves=False)(is_loaded)


@check(
    "T4", [("REAL", "REAL", pa.float32()), ("DOUBLE", "FLOAT8", pa.float64())], proves=False
)  # what equals what is another matter: nothing here compares
async def what_is_no_number_and_what_has_no_end_load(at: Site, kind: str, arrow: Any) -> None:
    await at.run(f"CREATE TABLE t (a {kind}, n INTEGER)")
    values = pa.array([math.nan, math.inf, -math.inf], arrow)
    at.put("x", pa.table({"a": values, "n": pa.array([1, 2, 3], pa.int32())}))
    await at.run(at.copy("x"))
    found = [row[0] for row in await at.rows("SELECT a FROM t ORDER BY n")]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


@check("T5", proves=False)
async def a_decimal_may_be_stored_as_int64(at: Site) -> None:
    await at.run("CREATE TABLE t (a DECIMAL(15,2))")
    table = pa.table({"a": decimals(15, 2, "-1.25")})
    at.put("x", table, store_decimal_as_integer=True)
    await at.run(at.copy("x"))
    assert await at.rows("SELECT a FROM t") == [(Decimal("-1.25"),)]


@check("T5a")
async def a_decimal_stored_as_int32_is_refused(at: Site) -> None:
    await at.run("CREATE TABLE t (a DECIMAL(5,2))")
    at.put("x", pa.table({"a": decimals(5, 2, "1")}), store_decimal_as_integer=True)
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    said = "Column type: DECIMAL(5, 2), Parquet schema:\noptional int32 a [i:0 d:1 r:0]\n"
    assert said in error.detail


@check(
    "T5b",
    [
        ("29 digits for 18", 18, 9, 29, 8, 13),
        ("9 digits for 10", 10, 2, 9, 5, 4),
        ("38 digits for 18", 18, 0, 38, 8, 16),
    ],
)
async def a_decimal_of_another_length_is_refused(
    at: Site, precision: int, scale: int, stored: int, expected: int, found: int
) -> None:
    await at.run(f"CREATE TABLE t (num DECIMAL({precision},{scale}))")
    at.put("x", pa.table({"num": decimals(stored, scale, "1")}))
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "code:      15001" in error.detail
    said = f"column 'num' has an invalid type length. Expecting: {expected} len in file: {found}\n"
    assert said in error.detail


@check("T5b")
async def a_decimal_in_more_bytes_than_its_digits_need_is_refused(at: Site) -> None:
    await at.run("CREATE TABLE t (num DECIMAL(18,9))")
    at.put("x", roomy_decimal(Decimal("1.5")))
    error = await at.fails(at.copy("x"))
    assert "invalid type length. Expecting: 8 len in file: 13\n" in error.detail


def roomy_decimal(value: Decimal) -> bytes:
    """A file with one DECIMAL(18,9) in 13 bytes.

    Arrow writes the fewest bytes only, so this is its file of a DECIMAL(29,9), whose footer then
    says 18 in the two places where a schema has a precision: scale, field, precision, as zigzags.
    """
    buffer = io.BytesIO()
    table = pa.table({"num": pa.array([value], pa.decimal128(29, 9))})
    pq.write_table(table, buffer, store_schema=False)
    written = buffer.getvalue()
    start = len(written) - 8 - int.from_bytes(written[-8:-4], "little")
    footer, digits = written[start:], bytes([0x15, 2 * 9, 0x15, 2 * 29])
    assert footer.count(digits) == 2
    return written[:start] + footer.replace(digits, bytes([0x15, 2 * 9, 0x15, 2 * 18]))


@check("T8", [("2024", US), ("1", dt.datetime(1, 1, 1)), ("9999", dt.datetime.max)], proves=False)
async def int96_is_read_whatever_the_year(at: Site, moment: dt.datetime) -> None:
    await at.run("CREATE TABLE t (a TIMESTAMP)")
    table = pa.table({"a": pa.array([moment], pa.timestamp("us"))})
    at.put("x", table, use_deprecated_int96_timestamps=True)
    await at.run(at.copy("x"))
    assert await at.rows("SELECT a FROM t") == [(moment,)]


@check("T9", proves=False)
async def a_timestamp_is_utc_whatever_the_session_thinks(at: Site) -> None:
    await at.run("CREATE TABLE t (a TIMESTAMPTZ)", "SET timezone TO 'America/New_York'")
    at.put("x", pa.table({"a": pa.array([US], pa.timestamp("us"))}))
    await at.run(at.copy("x"))
    assert await at.rows("SELECT a FROM t") == [(UTC,)]


@check(
    "T13",
    [
        ("BYTE_ARRAY", pa.array([b"ab", b"\0\xff", None])),
        ("FIXED", pa.array([b"ab", b"\0\xff", None], pa.binary(2))),
        ("text", pa.array(["ab", "ä", None])),
    ],
    proves=False,
)
async def varbyte_takes_bytes(at: Site, array: pa.Array) -> None:
    await at.run("CREATE TABLE t (a VARBYTE(3))")
    at.put("x", pa.table({"a": array}))
    await at.run(at.copy("x"))
    assert await at.rows("SELECT count(*) FROM t WHERE a = 'ab'::VARBYTE") == [(1,)]
    assert await at.rows("SELECT OCTET_LENGTH(a) FROM t ORDER BY 1") == [(2,), (2,), (None,)]


@check("T2", proves=False)
async def what_arrow_alone_knows_does_not_matter(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT)")
    at.put("x", pa.table({"a": pa.array(np.array([7]), pa.duration("us"))}))
    await at.run(at.copy("x"))
    assert await at.rows("SELECT a FROM t") == [(7,)]
