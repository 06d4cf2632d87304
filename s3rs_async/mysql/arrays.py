"""Values that lie in a raw buffer → Arrow arrays, a column at a time; what both protocols share.

Values become a binary array over the raw buffer (its even elements are the values, its odd ones
what lies between), which Arrow casts. Where a value starts and ends is proven to be inside of the
buffer before Arrow sees it, whatever the lengths on the wire say.

Nothing is rounded, wrapped or cut: what a column's type cannot hold is an error that names it.
"""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError
from . import digits
from .types import Cast, Rule
from .wire import PAD

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_NULL = 0xFB
_NONE = 0xFF
_ASCII_END = 0x80
_CONTINUES, _CONTINUED = np.uint8(0xC0), 0x80
_LARGE = 1 << 20  # bytes
_EVEN = pa.array(np.arange(0, 1 << 17, 2, dtype=np.int32))
_WIDTHS = ((0xFC, 2), (0xFD, 3), (0xFE, 8))


@dataclass(frozen=True, slots=True)
class Values:
    """One column's values: where each starts and ends in the data, and which are NULL."""

    data: Bytes
    start: Ints
    end: Ints
    null: Bools | None


def misread() -> DataError:
    """The lengths in a row do not make up the row."""
    return DataError(
        "a row does not end where its packet ends",
        where="mysql",
        hint="the table was changed while it was read: run it again",
    )


def unfit(rule: Rule) -> DataError:
    """A value that a column cannot have."""
    return DataError(
        "a value that its column type cannot hold",
        column=rule.name,
        type=rule.source_type,
        arrow=rule.arrow,
        hint="the table was changed since it was described: run it again",
    )


@contextlib.contextmanager
def fitting(rule: Rule) -> Iterator[None]:
    """Name the column where Arrow refuses a value."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise unfit(rule) from error


def check_inside(data: Bytes, at: Ints) -> None:
    """Whether cursors stand inside of the data, so that as much as PAD can be read there."""
    if len(at) and int(at.max()) > len(data) - PAD:
        raise misread()


def check_ends(at: Ints, starts: Ints, end: int) -> None:
    """Behind the last column each cursor stands at the start of the next packet."""
    if len(at) and not (np.array_equal(at[:-1], starts[1:]) and at[-1] == end):
        raise misread()


def behind_lengths(data: Bytes, at: Ints) -> Values:
    """The values whose lengths the cursors stand at, which is inside of the data, as it is after.

    NULL is a length of its own.
    """
    first = data.take(at)
    start = at + 1
    length = first.astype(np.int64)
    null = None
    if len(at) and int(first.max()) >= _NULL:
        null = first == _NULL
        length[null] = 0
        _lengthen(data, first, start, length)
    return _within(Values(data, start, start + length, null if _any(null) else None))


def behind_known_lengths(data: Bytes, at: Ints, null: Bools | None) -> Values:
    """The same where it is known which are NULL, and those have not even a length."""
    if null is None:
        values = behind_lengths(data, at)
        if values.null is not None:
            raise misread()
        return values
    first = np.where(null, np.uint8(0), data.take(at))
    start = at + ~null
    length = first.astype(np.int64)
    if len(at) and int(first.max()) >= _NULL:
        if (first == _NULL).any():
            raise misread()
        _lengthen(data, first, start, length)
    return _within(Values(data, start, start + length, null))


def _lengthen(data: Bytes, first: Bytes, start: Ints, length: Ints) -> None:
    """Read the lengths that are longer than a byte, and step over them."""
    if (first == _NONE).any():
        raise misread()
    for code, width in _WIDTHS:
        rows = np.flatnonzero(first == code)
        if len(rows):
            length[rows] = _numbers(data, start[rows], width)
            start[rows] += width


def _numbers(data: Bytes, at: Ints, width: int) -> Ints:
    """Lengths; those beyond any buffer are made the first that is too long for this one."""
    found = np.zeros(len(at), np.uint64)
    for index in range(width):
        found |= data.take(at + index).astype(np.uint64) << np.uint64(8 * index)
    return np.minimum(found, np.uint64(len(data))).astype(np.int64)


def _within(values: Values) -> Values:
    """Values that end inside of the data."""
    check_inside(values.data, values.end)
    return values


def _any(flags: Bools | None) -> bool:
    return flags is not None and bool(flags.any())


def shown(rule: Rule, values: Values) -> pa.Array:
    """The array of values that are texts, or bytes, which only a column of bytes shows as such."""
    match rule.cast:
        case Cast.HEX:
            raw = together(values)
            return raw if rule.arrow == "binary" else hexed(raw, values.null)
        case Cast.TEXT:
            return _text(values)
        case _:
            return _read_as(arrow_type(rule.arrow), values)


def _read_as(to: pa.DataType, values: Values) -> pa.Array:
    """What is written in another type."""
    if pa.types.is_decimal128(to):
        data, null = values.data, values.null
        found = digits.decimals(data, values.start, values.end, null, to.precision, to.scale)
        if found is not None:
            return fixed(to, long_decimals(found), null)
    return cast(together(values).view(pa.string()), to)


def long_decimals(found: npt.NDArray[np.generic]) -> npt.NDArray[np.void]:
    """Numbers of 64 bits as decimals: behind each are 64 bits that say its sign."""
    pairs = np.zeros((len(found), 2), "<u8")
    pairs[:, 0] = found.view("<u8")
    if found.dtype.kind == "i":
        pairs[:, 1] = (found.view("<i8") >> 63).view("<u8")
    return pairs.view("V16").ravel()


def cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    """The array in another type; ArrowInvalid where a value does not fit."""
    if array.type == to:
        return array
    if pa.types.is_float32(to):
        return pc.cast(pc.cast(array, pa.float64()), to, safe=False)  # exact in, nearest out
    return pc.cast(array, to)


def hexed(raw: pa.Array, null: Bools | None) -> pa.Array:
    """Bytes as hex digits."""
    _, offsets, data = raw.buffers()
    digits = binascii.hexlify(data) if data is not None else b""
    ends = np.frombuffer(offsets, np.int32, len(raw) + 1) * 2
    return pa.Array.from_buffers(
        pa.string(),
        len(raw),
        [valid(null), pa.py_buffer(ends), pa.py_buffer(digits)],
    )


def _text(values: Values) -> pa.Array:
    """As UTF-8, checked: a damaged value is found here, not by the target.

    All are checked as one text, which is quicker; that is each of them if none begins within a
    character.
    """
    raw = together(values)
    _, offsets, data = raw.buffers()
    if data is None or not data.size:
        return raw.view(pa.string())
    found = np.frombuffer(data, np.uint8)
    if int(found.max()) >= _ASCII_END:
        begin = np.frombuffer(offsets, np.int32, len(raw))
        within = found.take(begin, mode="clip") & _CONTINUES == _CONTINUED
        if (within & (begin < len(found))).any():
            return pc.cast(raw, pa.string())
        whole = pa.py_buffer(np.array([0, len(found)], np.int32))
        pc.cast(pa.Array.from_buffers(pa.binary(), 1, [None, whole, data]), pa.string())
    return raw.view(pa.string())


def together(values: Values) -> pa.Array:
    """The values alone, one behind the other."""
    rows = len(values.start)
    if rows == 1 and values.end[0] - values.start[0] >= _LARGE:
        return _in_place(values)
    offsets = np.empty(2 * rows + 1, np.int32)
    offsets[0:-1:2] = values.start
    offsets[1::2] = values.end
    offsets[-1] = values.end[-1] if rows else 0
    both = pa.Array.from_buffers(
        pa.binary(), 2 * rows, [None, pa.py_buffer(offsets), pa.py_buffer(values.data)]
    )
    taken = pc.take(both, _even(rows), boundscheck=False)
    if values.null is None:
        return taken
    _, ends, data = taken.buffers()
    return pa.Array.from_buffers(pa.binary(), rows, [valid(values.null), ends, data])


def _even(rows: int) -> pa.Array:
    """So many even numbers."""
    if rows <= len(_EVEN):
        return _EVEN.slice(0, rows)
    return pa.array(np.arange(0, 2 * rows, 2, dtype=np.int32))


def _in_place(values: Values) -> pa.Array:
    """A large value alone where it lies: it may be most of the memory there is."""
    data = values.data[values.start[0] : values.end[0]]
    edges = pa.py_buffer(np.array([0, len(data)], np.int32))
    return pa.Array.from_buffers(pa.binary(), 1, [None, edges, pa.py_buffer(data)])


def flags(found: Bools, null: Bools | None) -> pa.Array:
    """The array of truth values."""
    return pa.Array.from_buffers(pa.bool_(), len(found), [valid(null), _bits(found)])


def fixed(kind: pa.DataType, found: npt.NDArray[np.generic], null: Bools | None) -> pa.Array:
    """The array of numbers that are Arrow's own already."""
    return pa.Array.from_buffers(kind, len(found), [valid(null), pa.py_buffer(found)])


def valid(null: Bools | None) -> pa.Buffer | None:
    """Arrow's bitmap of what is not NULL."""
    return None if null is None else _bits(~null)


def _bits(found: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(found, bitorder="little"))


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a canonical name."""
    if name.startswith("decimal128("):
        digits, scale = name.removeprefix("decimal128(").removesuffix(")").split(",")
        return pa.decimal128(int(digits), int(scale))
    return _TYPES[name]


_TYPES = {
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date32[day]": pa.date32(),
    "timestamp[us]": pa.timestamp("us"),
}
