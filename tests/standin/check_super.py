"""SUPER: what COPY makes of Parquet values (rules 12 to 12d)."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.standin.checks import check
from tests.standin.site import Site

MAP = pa.map_(pa.string(), pa.int32())


async def load(at: Site, array: pa.Array, more: str = "SERIALIZETOJSON") -> list[Any]:
    """What a column becomes, nulls left out."""
    await at.run("CREATE TABLE t (j SUPER)")
    at.put("x", pa.table({"j": array}))
    await at.run(at.copy("x", more=more))
    found = await at.rows("SELECT JSON_SERIALIZE(j) FROM t WHERE j IS NOT NULL")
    return [json.loads(row[0]) for row in found]


@check("12", [("struct", pa.array([{"k": 1}])), ("text", pa.array(["a"]))])
async def super_needs_serializetojson(at: Site, array: pa.Array) -> None:
    await at.run("CREATE TABLE t (j SUPER)")
    at.put("x", pa.table({"j": array}))
    error = await at.fails(at.copy("x"))
    message = "SUPER column in COPY query requires SERIALIZETOJSON option"
    assert error.message == message
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


JSON = [
    ("a list in a struct", pa.array([{"k": [1, 2]}, None]), [{"k": [1, 2]}]),
    (
        "a struct in a list",
        pa.array([[{"a": True, "b": None}], []]),
        [[{"a": True, "b": None}], []],
    ),
    ("numbers", pa.array([1, None, 2**53], pa.int64()), [1, 2**53]),
    ("fractions", pa.array([1.5, -0.25]), [1.5, -0.25]),
    ("booleans", pa.array([True, None, False]), [True, False]),
    ("an empty text", pa.array(["", None]), [""]),
    ("quotes", pa.array(['"\\\n', "ä"]), ['"\\\n', "ä"]),
    ("nulls", pa.nulls(2), []),
]


@check("12", JSON, proves=False)
async def any_value_becomes_json(at: Site, array: pa.Array, expected: list[Any]) -> None:
    assert await load(at, array) == expected


@check("12", proves=False, only_here="how a decimal, a date and bytes look is not known")
async def numbers_keep_their_digits_and_the_rest_is_text(at: Site) -> None:
    kind = pa.struct(
        [("n", pa.decimal128(20, 2)), ("d", pa.date32()), ("b", pa.binary()), ("f", pa.float64())]
    )
    value = {"n": Decimal("1.50"), "d": dt.date(2024, 2, 29), "b": b"\xff", "f": float("nan")}
    found = await load(at, pa.array([value], kind))
    assert found == [{"n": 1.5, "d": "2024-02-29", "b": "ff", "f": None}]


@check("12a", [("text", pa.string()), ("large text", pa.large_string())])
async def a_text_in_super_has_a_limit(at: Site, kind: Any) -> None:
    await at.run("CREATE TABLE t (j SUPER)")
    at.put("x", pa.table({"j": pa.array(["x" * 65_536], kind)}))
    error = await at.fails(at.copy("x", more="SERIALIZETOJSON"))
    message = "String value exceeds the max size of 65535 bytes"
    assert (error.sqlstate, error.message) == ("XX000", message)
    assert "code:      1224" in error.detail
    assert f"{message} (Hint: set enable_large_strings_opt_in parameter.)" in error.detail


@check("12a", proves=False)
async def a_text_of_the_limit_goes_into_super(at: Site) -> None:
    assert await load(at, pa.array(["x" * 65_535])) == ["x" * 65_535]


@check(
    "12b",
    [
        ("list", "VARCHAR(99)", pa.array([["a"]])),
        ("struct", "VARCHAR(99)", pa.array([{"k": 1}])),
        ("map", "VARCHAR(99)", pa.array([[("k", 1)]], MAP)),
        ("list of numbers", "BIGINT", pa.array([[1]])),
    ],
)
async def nested_data_into_another_type_is_an_assertion(
    at: Site, kind: str, array: pa.Array
) -> None:
    await at.run(f"CREATE TABLE t (a {kind})")
    at.put("x", pa.table({"a": array}))
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Assert")
    assert "Unreachable - Invalid type: 4000\n" in error.detail


@check("12c", [("an object", '{"k": 1}'), ("a number", "17"), ("a word", "true")])
async def a_text_stays_a_text(at: Site, text: str) -> None:
    assert await load(at, pa.array([text])) == [text]


@check("12d")
async def a_map_is_an_object(at: Site) -> None:
    assert await load(at, pa.array([[("k", 1), ("l", None)]], MAP)) == [{"k": 1, "l": None}]


@check("T15", [("text", False), ("in a list", True)], proves=False)
async def what_is_no_utf8_does_not_go_into_super(at: Site, nested: bool) -> None:
    array = pa.array([b"a\xff"]).cast(pa.string(), safe=False)
    await at.run("CREATE TABLE t (j SUPER)")
    cut = pa.array([0, 1], pa.int32())
    at.put("x", pa.table({"j": pa.ListArray.from_arrays(cut, array) if nested else array}))
    error = await at.fails(at.copy("x", more="SERIALIZETOJSON"))
    message = "String contains invalid or unsupported UTF8 codepoints"
    assert (error.sqlstate, error.message) == ("XX000", message)
