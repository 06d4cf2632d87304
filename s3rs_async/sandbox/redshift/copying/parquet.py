"""The files of a COPY: schemas checked before any row is loaded, then rows, batch by batch.

A file is read by ranges, one row group at a time, so memory follows the row group and not the file.
`pre_buffer` fetches a row group's columns in a few large requests; it is asked for one group at a
time, because the reader keeps what it has fetched until the next request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..faults import RedshiftError
from ..rules import holds
from . import scan
from .columns import Column, Stored, refused_by
from .pgcopy import Ends, pieces, rows_of
from .values import Source, loaded

BATCH_ROWS = 16_384
ROW_LIMIT = 4 << 20
_LENGTH = 4
_UNSIGNED = "UINT_"
_LOGICAL = {"DATE": "DATE", "TIME": "TIME", "STRING": "TEXT", "UNKNOWN": "NULL"}
_PLAIN = {"BYTE_ARRAY": "BYTES", "FIXED_LEN_BYTE_ARRAY": "FIXED"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the files go: columns in load order, and the options that change a rule."""

    columns: tuple[Column, ...]
    options: frozenset[str]
    region: str
    replacement: str = "?"


def _form(leaf: pq.ColumnSchema) -> str:
    """How Parquet stores a column, in the words of the table of types."""
    physical, logical = str(leaf.physical_type), str(leaf.logical_type.type)
    if logical == "INT" or leaf.converted_type.startswith(_UNSIGNED):
        return "UNSIGNED" if leaf.converted_type.startswith(_UNSIGNED) else physical
    if logical == "DECIMAL":
        return "DECIMAL32" if physical == "INT32" else "DECIMAL"
    if logical == "TIMESTAMP":
        unit = json.loads(leaf.logical_type.to_json())["timeUnit"]
        return "NANOS" if unit == "nanoseconds" else "TIMESTAMP"
    return _LOGICAL.get(logical, _PLAIN.get(physical, physical))


def _stored(field: pa.Field, leaf: pq.ColumnSchema | None, index: int) -> Stored:
    need = "optional" if field.nullable else "required"
    depth = leaf.max_definition_level if leaf is not None else 1
    kind = leaf.physical_type.lower() if leaf is not None else "group"
    shape = f"{need} {kind} {field.name} [i:{index} d:{depth} r:0]"
    if leaf is None:
        return Stored(field.name, "NESTED", shape)
    return Stored(field.name, _form(leaf), shape, (leaf.precision, leaf.scale), leaf.length)


def _columns(parquet: pq.ParquetFile) -> Iterator[Stored]:
    schema = parquet.schema
    leaves = {leaf.path: leaf for leaf in (schema.column(at) for at in range(len(schema)))}
    for index, field in enumerate(parquet.schema_arrow):
        yield _stored(field, leaves.get(field.name), index)


def check_schema(parquet: pq.ParquetFile, target: Target, uri: str) -> None:
    """Number and types of a file's columns against the target's, by position."""
    found, wanted = len(parquet.schema_arrow), len(target.columns)
    filled = "FILLRECORD" in target.options and found < wanted
    if found != wanted and not filled and holds("3"):
        raise scan.count_mismatch(wanted, found, uri, target.region)
    for column, stored in zip(target.columns, _columns(parquet), strict=False):
        if column.type == "jsonb" and "SERIALIZETOJSON" not in target.options and holds("12"):
            message = "SUPER column in COPY query requires SERIALIZETOJSON option"
            raise RedshiftError(message, "0A000", rule="12")
        if rule := refused_by(column, stored):
            raise scan.refused(rule, column, stored, uri, target.region)


def _values(target: Target, batch: pa.RecordBatch, source: Source) -> list[pa.Array]:
    missing = len(target.columns) - batch.num_columns
    filled = [*batch.columns, *(pa.nulls(batch.num_rows) for _ in range(missing))]
    pairs = zip(target.columns, filled, strict=False)  # a file has more where rule 3 is off
    return [loaded(column, array, source) for column, array in pairs]


def _check_rows(ends: Ends, target: Target, uri: str) -> None:
    """No row is larger than the limit; a batch below it holds none that is."""
    if ends[-1] - ends[0] <= ROW_LIMIT:
        return
    size = int(np.diff(ends).max()) - 2 - _LENGTH * len(target.columns)
    if size > ROW_LIMIT:
        raise scan.row_too_large(uri, target.region, size)


def chunks(parquet: pq.ParquetFile, target: Target, uri: str) -> Iterator[tuple[int, memoryview]]:
    """A file as (rows, binary COPY data), in pieces of bounded size."""
    columns = list(target.columns)
    character = target.replacement if "ACCEPTINVCHARS" in target.options else ""
    source = Source(uri, target.region, character)
    limited = holds("16")
    for group in range(parquet.num_row_groups):
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group]):
            for part in pieces(_values(target, batch, source)):
                data, ends = rows_of(columns, part)
                if limited:
                    _check_rows(ends, target, uri)
                yield len(part[0]), data


def open_file(source: pa.NativeFile, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """A Parquet file, its timestamps in microseconds."""
    return pq.ParquetFile(
        source, metadata=metadata, pre_buffer=True, coerce_int96_timestamp_unit="us"
    )
