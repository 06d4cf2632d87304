"""Record batch → record batch, pure: what must hold of rows before they are written.

COPY from parquet knows neither MAXERROR nor TRUNCATECOLUMNS: one value that it refuses fails the
whole load, hours after it was read. So every such value is found here, while its row can still be
named.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import DataError
from .model import Column, TableName


def check(
    batch: pa.RecordBatch, columns: Sequence[Column], table: TableName, key: Sequence[str]
) -> None:
    """Raise DataError for the first value that Redshift would refuse, its row named by its key."""
    for index, column in enumerate(columns):
        array = batch.column(index)
        if not column.nullable and array.null_count:
            raise _refused(
                "a NULL in a NOT NULL column", batch, pc.is_null(array), table, key, column
            )
        if column.octets is not None:
            _check_text(batch, array, column, table, key)


def _check_text(
    batch: pa.RecordBatch,
    array: pa.Array,
    column: Column,
    table: TableName,
    key: Sequence[str],
) -> None:
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest > (column.octets or 0):
        wrong = pc.greater(pc.binary_length(array), column.octets)
        what = f"a text of {longest} bytes, {column.octets} is the greatest"
        raise _refused(what, batch, wrong, table, key, column)
    if _has_nul(array):
        wrong = pc.match_substring(array, "\0")
        raise _refused("a NUL character in a text", batch, wrong, table, key, column)


def _has_nul(array: pa.Array) -> bool:
    data = array.buffers()[2]
    if data is None or np.frombuffer(data, np.uint8).all():
        return False  # the usual case, at the speed of memory
    return bool(pc.any(pc.match_substring(array, "\0")).as_py())


def _refused(
    what: str,
    batch: pa.RecordBatch,
    wrong: pa.BooleanArray,
    table: TableName,
    key: Sequence[str],
    column: Column,
) -> DataError:
    row = pc.index(wrong, value=True).as_py()
    values = [f"{name}={batch.column(name)[row].as_py()}" for name in key]
    return DataError(
        what,
        table=str(table),
        column=column.name,
        row=" ".join(values) or None,
        hint="mend the value at the source: Redshift would refuse the whole load for it",
    )
