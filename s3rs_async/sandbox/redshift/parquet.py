"""The files of a COPY: schemas checked before any row is loaded, values checked batch by batch.

A file is read by ranges, one row group at a time, so memory follows the row group and not the file.
`pre_buffer` fetches a row group's columns in a few large requests; it is asked for one group at a
time, because the reader keeps what it has fetched until the next request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import scan
from .columns import FITS, Column
from .faults import RedshiftError, Report
from .pgcopy import encode, pieces

BATCH_ROWS = 16_384
_SUPER_LIMIT = 65_535
_SHOWN = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where the files go: columns in load order, and the options that change a rule."""

    columns: tuple[Column, ...]
    options: frozenset[str]
    region: str


def _shape(field: pa.Field, leaf: pq.ColumnSchema | None, index: int) -> str:
    depth = leaf.max_definition_level if leaf is not None else 1
    kind = leaf.physical_type.lower() if leaf is not None else "group"
    need = "optional" if field.nullable else "required"
    return f"{need} {kind} {field.name} [i:{index} d:{depth} r:0]"


def _leaves(schema: pq.ParquetSchema) -> dict[str, pq.ColumnSchema]:
    columns = (schema.column(index) for index in range(len(schema)))
    return {column.path: column for column in columns}


def _fits(column: Column, leaf: pq.ColumnSchema | None, kind: pa.DataType) -> bool:
    rule = FITS.get(column.type)
    return rule is not None and leaf is not None and rule[1](column, leaf.physical_type, kind)


def check_schema(parquet: pq.ParquetFile, target: Target, uri: str) -> None:
    """Number and types of a file's columns against the target's, by position."""
    schema, columns = parquet.schema_arrow, target.columns
    found, wanted = len(schema), len(columns)
    if found != wanted and not ("FILLRECORD" in target.options and found < wanted):
        raise scan.count_mismatch(wanted, found, uri, target.region)
    leaves = _leaves(parquet.schema)
    for index, (column, field) in enumerate(zip(columns, schema, strict=False)):
        if column.type == "jsonb":
            if "SERIALIZETOJSON" not in target.options:
                message = "SUPER column in COPY query requires SERIALIZETOJSON option"
                raise RedshiftError(message, "0A000", rule="12")
            continue
        leaf = None if pa.types.is_nested(field.type) else leaves[field.name]
        if not _fits(column, leaf, field.type):
            shape = _shape(field, leaf, index)
            raise scan.type_mismatch(column, uri, target.region, shape)


def _longest(array: pa.Array, limit: int) -> tuple[int, str] | None:
    sizes = pc.binary_length(array)
    longest = pc.max(sizes).as_py() or 0
    if longest <= limit:
        return None
    value = array[pc.index(sizes, longest).as_py()].as_py()
    shown = value if isinstance(value, str) else value.hex()
    return longest, shown[:_SHOWN]


def _text(column: Column, array: pa.Array, uri: str, region: str) -> pa.Array:
    if column.length and (found := _longest(array, column.length)):
        raise scan.too_long(column, found[0], uri, region, found[1])
    if column.type == "bpchar":
        wide = pc.not_equal(pc.binary_length(array), pc.utf8_length(array))
        if pc.any(wide).as_py():
            raise scan.multibyte(column, uri, array.filter(wide)[0].as_py()[:_SHOWN])
    return array


def _super(column: Column, array: pa.Array, uri: str) -> pa.Array:
    if pa.types.is_string(array.type) and _longest(array, _SUPER_LIMIT):
        raise scan.super_too_long(column, uri)
    values = array.to_pylist()
    texts = [None if v is None else b"\x01" + json.dumps(v, default=str).encode() for v in values]
    return pa.array(texts, pa.binary())


def _value(column: Column, array: pa.Array, uri: str, region: str) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    if column.type in ("varchar", "bpchar"):
        return _text(column, array, uri, region)
    if column.type == "jsonb":
        return _super(column, array, uri)
    if column.type in ("timestamp", "timestamptz"):
        return array.cast(pa.timestamp("us", array.type.tz), safe=False)
    if column.type == "bytea":
        return _text(column, array.cast(pa.binary()), uri, region)
    return array.cast(pa.int16()) if column.type == "int2" else array


def _values(target: Target, batch: pa.RecordBatch, uri: str) -> list[pa.Array]:
    arrays = []
    missing = len(target.columns) - batch.num_columns
    filled = [*batch.columns, *(pa.nulls(batch.num_rows) for _ in range(missing))]
    for column, array in zip(target.columns, filled, strict=True):
        if column.not_null and array.null_count:
            raise scan.null_value(column, uri)
        absent = pa.types.is_null(array.type)
        arrays.append(array if absent else _value(column, array, uri, target.region))
    return arrays


def chunks(parquet: pq.ParquetFile, target: Target, uri: str) -> Iterator[tuple[int, memoryview]]:
    """A file as (rows, binary COPY data), in pieces of bounded size."""
    columns = list(target.columns)
    for group in range(parquet.num_row_groups):
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group]):
            for part in pieces(_values(target, batch, uri)):
                yield len(part[0]), encode(columns, part)


def open_file(source: pa.NativeFile, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """A Parquet file; one that is none fails as the scanner says."""
    try:
        return pq.ParquetFile(source, metadata=metadata, pre_buffer=True)
    except (pa.ArrowException, OSError) as error:
        message = f"Spectrum Scan Error: {error}"
        raise RedshiftError(message, rule="3", report=Report(15001, str(error))) from error
