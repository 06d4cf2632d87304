"""Which Redshift type a canonical column gets, decided by its Arrow type's text alone.

COPY from parquet takes a file's column only where the table's type is the one and only match of the
parquet type (INT32 never enters BIGINT, a decimal must have the same precision and scale, and a
VARCHAR counts bytes), so this map and the writer's casts are two halves of one rule. What has no
match is refused here, before a file is written; nothing is ever mapped to "something wide enough".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ..errors import DataError
from ..model import Column, TableSchema

MAX_VARCHAR: Final = 65_535
MAX_PRECISION: Final = 38
MAX_SCALE: Final = 37

_FIXED: Final = {
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE PRECISION",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}
_DECIMAL: Final = re.compile(r"decimal128\((\d+), (\d+)\)")


def redshift_type(column: Column) -> str:
    """The type of `column` in Redshift; DataError where it has none."""
    if column.arrow in _FIXED:
        return _FIXED[column.arrow]
    if column.arrow == "string":
        octets = MAX_VARCHAR if column.octets is None else column.octets
        return f"VARCHAR({min(max(octets, 1), MAX_VARCHAR)})"
    if column.arrow == "binary" and column.octets is not None:
        return f"VARBYTE({column.octets})"
    if match := _DECIMAL.fullmatch(column.arrow):
        return _decimal(column, int(match[1]), int(match[2]))
    raise DataError(
        "the column has no type in redshift",
        where="redshift",
        column=column.name,
        source_type=column.source_type,
        arrow=column.arrow,
        hint="leave the column out, or cast it in the source's query",
    )


def _decimal(column: Column, precision: int, scale: int) -> str:
    if 1 <= precision <= MAX_PRECISION and scale <= min(MAX_SCALE, precision):
        return f"DECIMAL({precision},{scale})"
    raise DataError(
        "the decimal is wider than redshift can hold",
        where="redshift",
        column=column.name,
        source_type=column.source_type,
        limit=f"DECIMAL({MAX_PRECISION},{MAX_SCALE})",
        hint="leave the column out, or cast it in the source's query",
    )


def with_types(schema: TableSchema) -> tuple[Column, ...]:
    """The table's columns, each with its Redshift type filled in."""
    return tuple(replace(column, redshift=redshift_type(column)) for column in schema.columns)
