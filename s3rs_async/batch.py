"""Record batch → record batch, pure: what must hold of rows before they are written, and a date.

COPY from parquet knows neither MAXERROR nor TRUNCATECOLUMNS: one value that it refuses fails the
whole load, hours after it was read. So every such value is found here, while its row can still be
named.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import DataError
from .model import Column, TableName

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What is wrong with some rows of a column, and the setting that would let them pass."""

    what: str
    rows: pa.BooleanArray
    setting: str = ""


def check(
    batch: pa.RecordBatch, columns: Sequence[Column], table: TableName, key: Sequence[str]
) -> None:
    """Raise DataError for the first value that Redshift would refuse, its row named by its key."""
    for index, column in enumerate(columns):
        wrong = _wrong(batch.column(index), column)
        if wrong is not None:
            raise _refused(wrong, batch, table, key, column)


def dated(batch: pa.RecordBatch, name: str, moment: dt.datetime) -> pa.RecordBatch:
    """The rows with a column more that has the moment (in UTC) in each of them."""
    micros = np.full(batch.num_rows, (moment - _EPOCH) // dt.timedelta(microseconds=1), np.int64)
    field = pa.field(name, pa.timestamp("us"), nullable=False)
    return batch.append_column(field, pa.array(micros).view(field.type))


def undated(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """The rows with a column more for a moment that none of them has."""
    field = pa.field(name, pa.timestamp("us"))
    return batch.append_column(field, pa.nulls(batch.num_rows, field.type))


def _wrong(array: pa.Array, column: Column) -> _Wrong | None:
    if not column.nullable and array.null_count:
        return _Wrong("a NULL in a NOT NULL column", pc.is_null(array))
    if column.octets is not None and (longest := _longest(array)) > column.octets:
        kind = "text" if column.arrow == "string" else "value"
        what = f"a {kind} of {longest} bytes, {column.octets} is the greatest"
        rows = pc.greater(pc.binary_length(array), column.octets)
        return _Wrong(what, rows, "long_text: truncate or null")
    if column.arrow == "string" and _has_nul(array):
        rows = pc.match_substring(array, "\0")
        return _Wrong("a NUL character in a text", rows, "nul_bytes: strip")
    return None


def _longest(array: pa.Array) -> int:
    return pc.max(pc.binary_length(array)).as_py() or 0


def _has_nul(array: pa.Array) -> bool:
    data = array.buffers()[2]
    if data is None or np.frombuffer(data, np.uint8).all():
        return False  # the usual case, at the speed of memory
    return bool(pc.any(pc.match_substring(array, "\0")).as_py())


def _refused(
    wrong: _Wrong, batch: pa.RecordBatch, table: TableName, key: Sequence[str], column: Column
) -> DataError:
    row = pc.index(wrong.rows, value=True).as_py()
    values = [f"{name}={batch.column(name)[row].as_py()}" for name in key]
    allowing = f", or set {wrong.setting} for the column" if wrong.setting else ""
    return DataError(
        wrong.what,
        table=str(table),
        column=column.name,
        row=" ".join(values) or None,
        hint=f"Redshift would refuse the whole load for it: mend it at the source{allowing}",
    )
