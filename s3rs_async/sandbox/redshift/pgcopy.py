"""Arrow columns to the backend's binary COPY format, a batch at a time and without a Python loop.

A row is: the number of fields, then for each field its length and its bytes. Fixed-width fields are
laid side by side into one matrix; runs of matrices and the variable-width columns between them are
joined by one `binary_join_element_wise`, whose data buffer is the stream itself. Nulls become a
length of -1: through a conditional for fixed widths, through the length column for the others.
Every type has such an encoder, so one DECIMAL(20,0) does not slow a whole table down.
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
Ends: TypeAlias = npt.NDArray[np.int32]
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
CHUNK_LIMIT = 32 << 20
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = 946_684_800_000_000
_NULL = pa.scalar(b"\xff\xff\xff\xff", pa.binary())
_EMPTY = pa.scalar(b"", pa.binary())
_FIXED = {
    "int2": ">i2", "int4": ">i4", "int8": ">i8", "float4": ">f4", "float8": ">f8", "bool": "u1",
    "date": ">i4", "timestamp": ">i8", "timestamptz": ">i8", "time": ">i8", "timetz": ">i8",
}  # fmt: skip
_STORED = {
    "int2": np.int16, "int4": np.int32, "int8": np.int64, "float4": np.float32,
    "float8": np.float64, "date": np.int32, "timestamp": np.int64, "timestamptz": np.int64,
    "time": np.int64, "timetz": np.int64,
}  # fmt: skip
_FAST_DIGITS = 18
_NEGATIVE = 0x4000


def _matrix_array(matrix: Bytes) -> pa.Array:
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), data])


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


def _decimal(array: pa.Array, column: Column) -> Bytes:
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
    digits = np.zeros((len(array), 4 + before + after), ">i2")
    digits[:, 0] = before + after
    digits[:, 1] = before - 1
    digits[:, 2] = np.where(negative, _NEGATIVE, 0)
    digits[:, 3] = scale
    for at, group in enumerate(groups):
        digits[:, 4 + at] = group
    images: Bytes = digits.view(np.uint8).reshape(len(array), -1)
    return images


def _fixed(array: pa.Array, column: Column) -> Bytes:
    if column.type == "bool":
        values: Any = np.asarray(pc.fill_null(array, False))  # noqa: FBT003
    else:
        stored = np.frombuffer(array.buffers()[1], _STORED[column.type])
        values = stored[array.offset : array.offset + len(array)]
    if column.type == "date":
        values = values - np.int32(_EPOCH_DAYS)
    elif column.type in ("timestamp", "timestamptz"):
        values = values - np.int64(_EPOCH_MICROSECONDS)
    images: Bytes = values.astype(_FIXED[column.type]).view(np.uint8).reshape(len(array), -1)
    return images


def _side_by_side(rows: int, parts: list[Bytes]) -> Bytes:
    """Matrices, and constants for every row, as one matrix."""
    matrix = np.empty((rows, sum(part.shape[-1] for part in parts)), np.uint8)
    at = 0
    for part in parts:
        matrix[:, at : at + part.shape[-1]] = part
        at += part.shape[-1]
    return matrix


def _size(payload: Bytes) -> Bytes:
    return np.array([0, 0, 0, payload.shape[1]], np.uint8)


def _lengths(array: pa.Array) -> Bytes:
    sizes: Any = pc.fill_null(pc.binary_length(array), -1).to_numpy(zero_copy_only=False)
    images: Bytes = sizes.astype(">i4").view(np.uint8).reshape(len(array), 4)
    return images


class _Row:
    """Gathers matrices that stand side by side; the rest are arrays to be joined."""

    def __init__(self, rows: int, fields: int) -> None:
        self._rows = rows
        self._run: list[Bytes] = [np.array([fields >> 8, fields & 255], np.uint8)]
        self.parts: list[pa.Array] = []

    def beside(self, *parts: Bytes) -> None:
        self._run += parts

    def then(self, array: pa.Array) -> None:
        self.flush()
        self.parts.append(array)

    def flush(self) -> None:
        if self._run:
            self.parts.append(_matrix_array(_side_by_side(self._rows, self._run)))
            self._run = []


def _add(row: _Row, column: Column, array: pa.Array) -> None:
    if pa.types.is_null(array.type):
        row.beside(np.full(4, 255, np.uint8))
    elif column.type == "numeric" or column.type in _FIXED:
        payload = (_decimal if column.type == "numeric" else _fixed)(array, column)
        if array.null_count:
            field = _side_by_side(len(array), [_size(payload), payload])
            row.then(pc.if_else(array.is_valid(), _matrix_array(field), _NULL))
        else:
            row.beside(_size(payload), payload)
    else:
        row.beside(_lengths(array))
        filled = pc.fill_null(array, "" if pa.types.is_string(array.type) else b"")
        row.then((filled if array.null_count else array).cast(pa.binary()))


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
