"""Row packets → one Arrow record batch, column by column for all rows at once.

Every row's cursor stands at its next value. A column reads the length byte of all rows in one
gather, knows where its values are, makes them an array, and leaves the cursors at their ends. After
the last column each must stand at the start of the next packet: a free proof that no length was
misread. Values become a binary array over the raw buffer (its even elements are the values, its odd
ones what lies between), which Arrow casts; dates and times are computed from their digits.

A date that no calendar has (all zero, a zero month, 31 February) becomes NULL and is counted. Any
other value that its type cannot hold is an error: nothing is rounded, wrapped or cut.

CPU work only: it belongs on a thread, where numpy and Arrow mostly leave the interpreter to others.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError
from . import moments
from .types import Cast, Rule
from .wire import PAD, Packets

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_HEADER = 4
_NULL = 0xFB
_WIDTHS = ((0xFC, 2), (0xFD, 3), (0xFE, 8))
_ONE = ord("1")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record batch, and per column how many impossible dates became NULL (none: not named)."""

    batch: pa.RecordBatch
    nulled: dict[str, int]


@dataclass(frozen=True, slots=True)
class Values:
    """One column's values: where each starts and ends in the data, and which are NULL."""

    data: npt.NDArray[np.uint8]
    start: Ints
    end: Ints
    null: Bools | None


class Decoder:
    """Turns packets into batches of one schema."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self.schema = schema(rules)

    def decode(self, packets: Packets) -> Decoded:
        """All rows of the packets; DataError naming the column that cannot be read."""
        arrays: list[pa.Array] = []
        nulled: dict[str, int] = {}
        at = packets.starts + _HEADER
        for rule in self._rules:
            values = _values(packets.data, at)
            array, impossible = _array(rule, values)
            arrays.append(array)
            if impossible:
                nulled[rule.name] = impossible
            at = values.end
        _check_ends(at, packets)
        return Decoded(pa.RecordBatch.from_arrays(arrays, schema=self.schema), nulled)


def schema(rules: Sequence[Rule]) -> pa.Schema:
    """The Arrow schema that rules give."""
    return pa.schema([pa.field(rule.name, arrow_type(rule.arrow), rule.nullable) for rule in rules])


def arrow_type(text: str) -> pa.DataType:
    """The Arrow type of a canonical name."""
    if text.startswith("decimal128("):
        digits, scale = text.removeprefix("decimal128(").removesuffix(")").split(",")
        return pa.decimal128(int(digits), int(scale))
    return _TYPES[text]


_TYPES = {
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date32[day]": pa.date32(),
    "timestamp[us]": pa.timestamp("us"),
}


def _values(data: npt.NDArray[np.uint8], at: Ints) -> Values:
    if len(at) and int(at.max()) > len(data) - PAD:
        raise _misread()
    first = data.take(at)
    start = at + 1
    length = first.astype(np.int64)
    if not len(at) or int(first.max()) < _NULL:
        return Values(data, start, start + length, None)
    null = first == _NULL
    length[null] = 0
    for code, width in _WIDTHS:
        rows = np.flatnonzero(first == code)
        if len(rows):
            length[rows] = _numbers(data, start[rows], width)
            start[rows] += width
    return Values(data, start, start + length, null if null.any() else None)


def _numbers(data: npt.NDArray[np.uint8], at: Ints, width: int) -> Ints:
    found = np.zeros(len(at), np.int64)
    for index in range(width):
        found |= data.take(at + index).astype(np.int64) << (8 * index)
    return found


def _check_ends(at: Ints, packets: Packets) -> None:
    if len(at) and not (np.array_equal(at[:-1], packets.starts[1:]) and at[-1] == packets.end):
        raise _misread()


def _misread() -> DataError:
    return DataError(
        "a row does not end where its packet ends",
        where="mysql",
        hint="the table was changed while it was read: run it again",
    )


def _array(rule: Rule, values: Values) -> tuple[pa.Array, int]:
    try:
        match rule.cast:
            case Cast.DATE | Cast.MOMENT:
                return _moment(rule, values)
            case Cast.SPAN:
                micros = moments.spans(values.data, values.start, values.end, rule.fraction)
                return _fixed(pa.int64(), micros, values.null), 0
            case Cast.FLAG:
                return _flags(values), 0
            case Cast.HEX:
                return _hex(values), 0
            case Cast.TEXT | Cast.PLAIN:
                return _cast(_text(values), arrow_type(rule.arrow)), 0
    except pa.ArrowInvalid as error:
        raise DataError(
            "a value that its column type cannot hold",
            column=rule.name,
            type=rule.source_type,
            arrow=rule.arrow,
            hint="the table was changed since it was described: run it again",
        ) from error


def _cast(text: pa.Array, to: pa.DataType) -> pa.Array:
    if pa.types.is_float32(to):
        return pc.cast(pc.cast(text, pa.float64()), to, safe=False)  # exact in, nearest out
    return text if pa.types.is_string(to) else pc.cast(text, to)


def _moment(rule: Rule, values: Values) -> tuple[pa.Array, int]:
    found: npt.NDArray[np.generic]
    if rule.cast is Cast.DATE:
        found, bad = moments.dates(values.data, values.start)
    else:
        found, bad = moments.stamps(values.data, values.start, rule.fraction)
    if values.null is not None:
        bad &= ~values.null
    impossible = int(np.count_nonzero(bad))
    null = values.null
    if impossible:
        null = bad if null is None else bad | null
    return _fixed(arrow_type(rule.arrow), found, null), impossible


def _flags(values: Values) -> pa.Array:
    flags = values.data.take(values.end - 1) == _ONE
    return pa.Array.from_buffers(pa.bool_(), len(flags), [_valid(values.null), _bits(flags)])


def _hex(values: Values) -> pa.Array:
    raw = _binary(values)
    _, offsets, data = raw.buffers()
    text = binascii.hexlify(data) if data is not None else b""
    ends = np.frombuffer(offsets, np.int32, len(raw) + 1) * 2
    return pa.Array.from_buffers(
        pa.string(),
        len(raw),
        [_valid(values.null), pa.py_buffer(ends), pa.py_buffer(text)],
    )


def _text(values: Values) -> pa.Array:
    """As UTF-8, checked: a damaged value is found here, not by the target."""
    return pc.cast(_binary(values), pa.string())


def _binary(values: Values) -> pa.Array:
    rows = len(values.start)
    offsets = np.zeros(2 * rows + 1, np.int32)
    offsets[0:-1:2] = values.start
    offsets[1::2] = values.end
    offsets[-1] = values.end[-1] if rows else 0
    both = pa.Array.from_buffers(
        pa.binary(), 2 * rows, [None, pa.py_buffer(offsets), pa.py_buffer(values.data)]
    )
    taken = both.take(pa.array(np.arange(0, 2 * rows, 2, dtype=np.int32)))
    if values.null is None:
        return taken
    _, ends, data = taken.buffers()
    return pa.Array.from_buffers(pa.binary(), rows, [_valid(values.null), ends, data])


def _fixed(kind: pa.DataType, found: npt.NDArray[np.generic], null: Bools | None) -> pa.Array:
    return pa.Array.from_buffers(kind, len(found), [_valid(null), pa.py_buffer(found)])


def _valid(null: Bools | None) -> pa.Buffer | None:
    return None if null is None else _bits(~null)


def _bits(flags: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
