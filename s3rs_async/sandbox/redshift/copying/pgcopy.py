"""Arrow columns to the backend's binary COPY format, a batch at a time and without a Python loop.

A row is: the number of fields, then for each field its length and its bytes. What has a fixed width
is written side by side into one array of records; runs of records and the columns whose width
varies are joined by one `binary_join_element_wise`, whose data buffer is the stream itself. A null
is a length of -1 and no bytes, so a fixed-width column with nulls is joined like a text. Every type
has such an encoder, so one DECIMAL(20,0) does not slow a whole table down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .columns import Column

Bytes: TypeAlias = npt.NDArray[np.uint8]
Bools: TypeAlias = npt.NDArray[np.bool_]
Ends: TypeAlias = npt.NDArray[np.int32]
Field: TypeAlias = tuple[str, Any]  # how the backend stores it; one value for all rows, or each's
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
CHUNK_LIMIT = 32 << 20
_EPOCHS = {
    "date": pa.scalar(10_957, pa.int32()),
    "timestamp": pa.scalar(946_684_800_000_000, pa.int64()),
    "timestamptz": pa.scalar(946_684_800_000_000, pa.int64()),
}
_EMPTY = pa.scalar(b"", pa.binary())
_FIXED = {
    "int2": ">i2", "int4": ">i4", "int8": ">i8", "float4": ">f4", "float8": ">f8", "bool": "u1",
    "date": ">i4", "timestamp": ">i8", "timestamptz": ">i8", "time": ">i8", "timetz": ">i8",
}  # fmt: skip
_FAST_DIGITS = 18
_NEGATIVE = 0x4000
_NO_ZONE = (">i4", 0)


def _records(rows: int, fields: list[Field]) -> Bytes:
    """Fields side by side, a record for each row."""
    layout = np.dtype([(str(at), kind) for at, (kind, _) in enumerate(fields)])
    records = np.empty(rows, layout)
    for at, (_, values) in enumerate(fields):
        records[str(at)] = values
    return records.view(np.uint8).reshape(rows, layout.itemsize)


def _binary(rows: int, offsets: Ends, data: Bytes | pa.Buffer, start: int = 0) -> pa.Array:
    return pa.Array.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)], offset=start
    )


def _record_array(rows: int, fields: list[Field]) -> pa.Array:
    records = _records(rows, fields)
    width = records.shape[1]
    return _binary(rows, np.arange(0, (rows + 1) * width, width, dtype=np.int32), records)


def _some_records(present: Bools, fields: list[Field]) -> pa.Array:
    """Records of those rows that have a value; nothing for the others."""
    kept = [(kind, values if np.isscalar(values) else values[present]) for kind, values in fields]
    offsets = np.zeros(len(present) + 1, np.int32)
    np.cumsum(present, out=offsets[1:])
    records = _records(int(offsets[-1]), kept)
    return _binary(len(present), offsets * np.int32(records.shape[1]), records)


def _fast_groups(value: npt.NDArray[np.int64], before: int, scale: int) -> Iterator[Any]:
    whole, part = value // 10**scale, value % 10**scale * 10 ** (-scale % 4)
    for at in range(before - 1, -1, -1):
        yield whole // 10 ** (4 * at) % 10_000
    for at in range(-(-scale // 4) - 1, -1, -1):
        yield part // 10 ** (4 * at) % 10_000


def _limbs(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64], shift: int) -> list[Any]:
    """A 128-bit number times 10**shift as five 32-bit limbs, the greatest first."""
    mask = np.uint64(0xFFFFFFFF)
    factor, carry, limbs = np.uint64(10**shift), np.zeros_like(low), []
    for limb in (low & mask, low >> np.uint64(32), high & mask, high >> np.uint64(32)):
        product = limb * factor + carry
        limbs.append(product & mask)
        carry = product >> np.uint64(32)
    return [carry, *reversed(limbs)]


def _slow_groups(limbs: list[Any], count: int) -> list[Any]:
    """Base-10000 digits by long division, the greatest first; two of them at each pass."""
    groups: list[Any] = []
    pair, base = np.uint64(100_000_000), np.uint64(10_000)
    while len(groups) < count:
        rest = np.zeros_like(limbs[0])
        for at, limb in enumerate(limbs):
            value = (rest << np.uint64(32)) | limb
            limbs[at] = value // pair
            rest = value - limbs[at] * pair
        high = rest // base
        groups += [rest - high * base, high]
    return groups[:count][::-1]


def _words(array: pa.Array) -> npt.NDArray[np.int64]:
    """The two 64-bit words of each decimal, low and high; nulls hold whatever they hold."""
    words = np.frombuffer(array.buffers()[1], np.int64)
    return words.reshape(-1, 2)[array.offset : array.offset + len(array)]


def _decimal(array: pa.Array, column: Column) -> list[Field]:
    precision, scale = column.decimal
    before, after = max(1, -(-(precision - scale) // 4)), -(-scale // 4)
    words = _words(array)
    negative = words[:, 1] < 0
    if precision <= _FAST_DIGITS and scale + (-scale % 4) <= _FAST_DIGITS:
        groups: Any = _fast_groups(np.abs(words[:, 0]), before, scale)
    else:
        low, high = words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)
        flipped = ~low + np.uint64(1)
        low, high = (
            np.where(negative, flipped, low),
            np.where(negative, ~high + (flipped == 0).astype(np.uint64), high),
        )
        groups = _slow_groups(_limbs(low, high, -scale % 4), before + after)
    sign = negative.astype(np.int16) * np.int16(_NEGATIVE)
    head = (before + after, before - 1, sign, scale)
    return [(">i2", values) for values in (*head, *groups)]


def _fixed(array: pa.Array, column: Column) -> list[Field]:
    if column.type == "bool":
        array = array.cast(pa.uint8())
    elif epoch := _EPOCHS.get(column.type):
        array = pc.subtract_checked(array.view(epoch.type), epoch)
    kind = _FIXED[column.type]
    stored = np.frombuffer(array.buffers()[1], np.dtype(kind).newbyteorder("="))
    field = (kind, stored[array.offset : array.offset + len(array)])
    return [field, _NO_ZONE] if column.type == "timetz" else [field]


def _ends(array: pa.Array) -> Ends:
    """Where each value of a varying width begins and ends."""
    ends: Ends = np.frombuffer(array.buffers()[1], np.int32)
    return ends[array.offset : array.offset + len(array) + 1]


def _present(array: pa.Array) -> Bools:
    """Which values there are."""
    present: Bools = array.is_valid().to_numpy(zero_copy_only=False)
    return present


class _Row:
    """Gathers fields that stand side by side; the rest are arrays to be joined."""

    def __init__(self, rows: int, fields: int) -> None:
        self._rows = rows
        self._run: list[Field] = [(">i2", fields)]
        self.parts: list[pa.Array] = []

    def fixed(self, fields: list[Field], array: pa.Array) -> None:
        """A column of fixed width, of whose values some may be null."""
        width = sum(np.dtype(kind).itemsize for kind, _ in fields)
        if not array.null_count:
            self._run += [(">i4", width), *fields]
            return
        present = _present(array)
        self._run.append((">i4", np.where(present, np.int32(width), np.int32(-1))))
        self._then(_some_records(present, fields))

    def varying(self, array: pa.Array) -> None:
        """A column whose values have lengths of their own."""
        sizes = np.diff(_ends(array))
        if array.null_count:
            absent = ~_present(array)
            if sizes[absent].any():
                array = pc.fill_null(array, pa.scalar("").cast(array.type))
            sizes[absent] = -1
        self._run.append((">i4", sizes))
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, np.int32)
        self._then(_binary(len(array), ends, data or b"", array.offset))

    def _then(self, array: pa.Array) -> None:
        self.flush()
        self.parts.append(array)

    def absent(self) -> None:
        """A column of nulls."""
        self._run.append((">i4", -1))

    def flush(self) -> None:
        """End a run."""
        if self._run:
            self.parts.append(_record_array(self._rows, self._run))
            self._run = []


def _add(row: _Row, column: Column, array: pa.Array) -> None:
    if pa.types.is_null(array.type):
        row.absent()
    elif column.type == "numeric":
        row.fixed(_decimal(array, column), array)
    elif column.type in _FIXED:
        row.fixed(_fixed(array, column), array)
    else:
        row.varying(array)


def rows_of(columns: list[Column], arrays: list[pa.Array]) -> tuple[memoryview, Ends]:
    """The rows of a batch as binary COPY data, and where each begins and ends within it."""
    rows = len(arrays[0])
    row = _Row(rows, len(columns))
    for column, array in zip(columns, arrays, strict=True):
        _add(row, column, array)
    row.flush()
    joined = pc.binary_join_element_wise(*row.parts, _EMPTY)
    _, offsets, data = joined.buffers()
    ends = np.frombuffer(offsets, np.int32)[joined.offset : joined.offset + rows + 1]
    return memoryview(data)[ends[0] : ends[-1]], ends


def encode(columns: list[Column], arrays: list[pa.Array]) -> memoryview:
    """The rows of a batch as binary COPY data, without header and trailer."""
    return rows_of(columns, arrays)[0]


def pieces(arrays: list[pa.Array]) -> Iterator[list[pa.Array]]:
    """A batch in parts small enough for one join and for the memory of a small machine."""
    rows = len(arrays[0])
    size = sum(array.nbytes for array in arrays) + rows * 4 * len(arrays)
    step = max(1, rows * CHUNK_LIMIT // max(size, 1))
    for start in range(0, rows, step):
        yield [array.slice(start, step) for array in arrays]
