from __future__ import annotations

import pytest

from s3rs_async.errors import DataError
from s3rs_async.model import Column, TableName, TableSchema
from s3rs_async.redshift.types import redshift_type, with_types


def column(arrow: str, octets: int | None = None) -> Column:
    return Column("c", "whatever", arrow, nullable=True, octets=octets)


@pytest.mark.parametrize(
    ("arrow", "octets", "wanted"),
    [
        ("int16", None, "SMALLINT"),
        ("int32", None, "INTEGER"),
        ("int64", None, "BIGINT"),
        ("float", None, "REAL"),
        ("double", None, "DOUBLE PRECISION"),
        ("bool", None, "BOOLEAN"),
        ("date32[day]", None, "DATE"),
        ("timestamp[us]", None, "TIMESTAMP"),
        ("decimal128(20, 0)", None, "DECIMAL(20,0)"),
        ("decimal128(38, 37)", None, "DECIMAL(38,37)"),
        ("string", 144, "VARCHAR(144)"),
        ("string", 0, "VARCHAR(1)"),
        ("string", 4_294_967_295, "VARCHAR(65535)"),
        ("string", None, "VARCHAR(65535)"),
        ("binary", 16, "VARBYTE(16)"),
    ],
)
def test_each_canonical_type_has_one_redshift_type(
    arrow: str, octets: int | None, wanted: str
) -> None:
    assert redshift_type(column(arrow, octets)) == wanted


@pytest.mark.parametrize(
    "arrow",
    [
        "uint64",
        "int8",
        "timestamp[ns]",
        "timestamp[us, tz=UTC]",
        "binary",
        "decimal128(39, 0)",
        "decimal128(38, 38)",
        "decimal128(5, 6)",
        "decimal128(0, 0)",
        "decimal256(10, 2)",
        "large_string",
        "",
    ],
)
def test_a_type_without_a_match_is_refused_by_its_column(arrow: str) -> None:
    with pytest.raises(DataError) as caught:
        redshift_type(column(arrow))
    assert caught.value.context["column"] == "c"
    assert caught.value.hint


def test_with_types_fills_every_column_and_keeps_the_order() -> None:
    schema = TableSchema(
        TableName("shop", "orders"),
        (column("int64"), Column("b", "varchar(3)", "string", nullable=False, octets=12)),
        ("c",),
    )
    typed = with_types(schema)
    assert [c.redshift for c in typed] == ["BIGINT", "VARCHAR(12)"]
    assert [c.name for c in typed] == ["c", "b"]
    assert schema.columns[0].redshift == ""
