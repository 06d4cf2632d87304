"""A target column, and which Parquet column fits it (rules T1 to T13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A target column, as the backend's catalogue has it."""

    name: str
    type: str
    typmod: int
    not_null: bool
    octets: int = 0

    @property
    def decimal(self) -> tuple[int, int]:
        """Precision and scale."""
        return ((self.typmod - 4) >> 16) & 0xFFFF, (self.typmod - 4) & 0xFFFF

    @property
    def length(self) -> int:
        """Declared length in bytes, 0 when there is none."""
        return self.octets or (max(self.typmod - 4, 0) if self.type in ("varchar", "bpchar") else 0)

    @property
    def title(self) -> str:
        """The type as an error names it."""
        if self.type == "numeric":
            return "DECIMAL({}, {})".format(*self.decimal)
        return _TITLES.get(self.type, self.type.upper())


_TITLES = {
    "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "bool": "BOOLEAN", "bpchar": "CHAR", "bytea": "VARBYTE", "jsonb": "SUPER",
}  # fmt: skip


def _signed(physical: str) -> Callable[[Column, str, pa.DataType], bool]:
    return lambda _, stored, kind: stored == physical and pa.types.is_signed_integer(kind)


def _stored(physical: str) -> Callable[[Column, str, pa.DataType], bool]:
    return lambda _, stored, __: stored == physical


def _timestamp(_: Column, stored: str, kind: pa.DataType) -> bool:
    if not pa.types.is_timestamp(kind):
        return False
    return stored == "INT96" or (stored == "INT64" and kind.unit != "ns")


def _decimal(column: Column, stored: str, kind: pa.DataType) -> bool:
    if not pa.types.is_decimal(kind) or stored == "INT32":
        return False
    return bool((kind.precision, kind.scale) == column.decimal)


def _text(_: Column, __: str, kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _bytes(_: Column, stored: str, __: pa.DataType) -> bool:
    return stored in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


FITS: dict[str, tuple[str, Callable[[Column, str, pa.DataType], bool]]] = {
    "int2": ("T1", _signed("INT32")),
    "int4": ("T1", _signed("INT32")),
    "int8": ("T2", _signed("INT64")),
    "float4": ("T4", _stored("FLOAT")),
    "float8": ("T4", _stored("DOUBLE")),
    "numeric": ("T5", _decimal),
    "bool": ("T6", _stored("BOOLEAN")),
    "date": ("T7", lambda _, __, kind: bool(pa.types.is_date32(kind))),
    "timestamp": ("T8", _timestamp),
    "timestamptz": ("T9", _timestamp),
    "time": ("T10", lambda _, __, ___: False),
    "timetz": ("T10", lambda _, __, ___: False),
    "varchar": ("T11", _text),
    "bpchar": ("T12", _text),
    "bytea": ("T13", _bytes),
}
