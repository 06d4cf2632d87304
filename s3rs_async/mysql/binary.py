"""Row packets of the binary protocol → one Arrow record batch, column by column.

A row is a zero byte, a bitmap of what is NULL (its first two bits mean nothing), and the values
that are not. As in the text protocol every row's cursor stands at its next value: a number is
gathered and stepped over by its width, all else by its length, NULL not at all. The proof is the
same: behind the last column each cursor must stand at the start of the next packet.

The batch is the one that the text protocol's rows give (`decode`), with the same schema, counts and
errors; a value that its column cannot hold is an error here too. What the server sends must be what
the column's rule can read: an enumeration where a number was described means that the table has
changed, and bytes are never taken for digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import DataError
from . import arrays, moments, policy
from .arrays import Bools, Bytes, Ints, arrow_type
from .decode import Decoded, schema
from .field import NOT_FIXED, Field, Form
from .floats import rounded
from .policy import Gathered, Kept, Refused, Ruling
from .spelling import spelled
from .types import Cast, Rule
from .wire import Packets

_HEADER = 4
_RESERVED = 2  # bits of the bitmap in front of the first column's
_LONG_DECIMAL = pa.decimal128(20, 0)

_CASTS = {
    Form.WHOLE: {Cast.PLAIN, Cast.FLAG, Cast.LONG},
    Form.REAL: {Cast.PLAIN},
    Form.DATE: {Cast.DATE},
    Form.MOMENT: {Cast.MOMENT},
    Form.SPAN: {Cast.SPAN},
    Form.BYTES: {Cast.PLAIN, Cast.TEXT, Cast.HEX, Cast.LONG},
    Form.RAW: {Cast.HEX},
    Form.NOTHING: set(Cast),
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's cursors on their way: its rule and what the server says of it."""

    rule: Rule
    field: Field
    arrow: pa.DataType


@dataclass(frozen=True, slots=True)
class _Read:
    """A column read, and where the cursors stand now."""

    ruling: Ruling
    at: Ints


class BinaryDecoder:
    """Turns packets of the binary protocol into batches of one schema."""

    def __init__(self, rules: Sequence[Rule], fields: Sequence[Field]) -> None:
        if len(rules) != len(fields):
            raise arrays.misread()
        self._columns = [_column(rule, field) for rule, field in zip(rules, fields, strict=True)]
        self._bitmap = bitmap_bytes(len(fields))
        self.schema = schema(rules)

    def decode(self, packets: Packets) -> Decoded:
        """All rows of the packets; DataError naming the column that cannot be read."""
        data, bitmaps = packets.data, packets.starts + (_HEADER + 1)
        if data.take(bitmaps - 1).any():
            raise arrays.misread()
        gathered = Gathered()
        at = bitmaps + self._bitmap
        arrays.check_inside(data, at)
        for index, column in enumerate(self._columns):
            read = _read(column, data, at, _null(data, bitmaps, index))
            if isinstance(read.ruling, Refused):
                raise self._refusal(read.ruling, column.rule, packets)
            gathered.take(column.rule, read.ruling)
            at = read.at
        arrays.check_ends(at, packets.starts, packets.end)
        batch = pa.RecordBatch.from_arrays(gathered.arrays, schema=self.schema)
        return Decoded(batch, gathered.changed)

    def last(self, packets: Packets) -> list[bytes | None]:
        """The values of the last row as the text protocol would have sent them."""
        return self.row(packets, packets.rows - 1)

    def row(self, packets: Packets, index: int) -> list[bytes | None]:
        """The values of a row as the text protocol would have sent them."""
        start = int(packets.starts[index]) + _HEADER
        end = int(packets.starts[index + 1]) if index + 1 < packets.rows else packets.end
        row = packets.data.data[start:end]
        return spelled(row, [each.field for each in self._columns])

    def _refusal(self, refused: Refused, rule: Rule, packets: Packets) -> DataError:
        rules = [each.rule for each in self._columns]
        return policy.refusal(refused, rule, rules, self.row(packets, refused.row))


def bitmap_bytes(columns: int) -> int:
    """How many bytes say what is NULL."""
    return (columns + _RESERVED + 7) // 8


def _column(rule: Rule, field: Field) -> _Column:
    arrow = arrow_type(rule.arrow)
    fits = rule.cast in _CASTS[field.form]
    if field.form is Form.REAL:
        fits = fits and pa.types.is_floating(arrow)
    if not fits:
        raise DataError(
            "a column is sent in another type than it was described in",
            column=rule.name,
            type=rule.source_type,
            hint="the table was changed since it was described: run it again",
        )
    return _Column(rule, field, arrow)


def _null(data: Bytes, bitmaps: Ints, index: int) -> Bools | None:
    byte, bit = divmod(index + _RESERVED, 8)
    null = (data.take(bitmaps + byte) & np.uint8(1 << bit)) != 0
    return null if null.any() else None


def _read(column: _Column, data: Bytes, at: Ints, null: Bools | None) -> _Read:
    with arrays.fitting(column.rule):
        match column.field.form:
            case Form.WHOLE | Form.REAL:
                return _numbers(column, data, at, null)
            case Form.DATE | Form.MOMENT | Form.SPAN:
                return _times(column, data, at, null)
            case Form.BYTES | Form.RAW:
                values = arrays.behind_known_lengths(data, at, null)
                return _Read(policy.shown(column.rule, values), values.end)
            case Form.NOTHING:
                if len(at) and (null is None or not null.all()):
                    raise arrays.misread()
                return _Read(_nothing(column, len(at)), at)


def _numbers(column: _Column, data: Bytes, at: Ints, null: Bools | None) -> _Read:
    field = column.field
    arrays.check_inside(data, at)
    letter = "f" if field.form is Form.REAL else "u" if field.unsigned else "i"
    kind = np.dtype(f"<{letter}{field.width}")
    found = np.ndarray((len(data) - field.width + 1,), kind, data, 0, (1,))[at]
    after = at + (field.width if null is None else field.width * ~null)
    if field.form is Form.REAL and field.decimals < NOT_FIXED:
        found = rounded(found.astype(np.float64), field.decimals, null)
    match column.rule.cast:
        case Cast.FLAG:
            return _Read(policy.flags(found, null), after)
        case Cast.LONG if found.dtype == np.uint64:
            return _Read(policy.longs(found, null), after)
        case _:
            return _Read(Kept(_number_array(column.arrow, found, null)), after)


def _nothing(column: _Column, rows: int) -> Kept:
    """What is always NULL, and was never cut."""
    cut = None if column.rule.flag is None else arrays.flags(np.zeros(rows, np.bool_), None)
    return Kept(pa.nulls(rows, column.arrow), flag=cut)


def _number_array(to: pa.DataType, found: npt.NDArray[np.generic], null: Bools | None) -> pa.Array:
    """The numbers in the rule's type; ArrowInvalid where one does not fit."""
    if to == _LONG_DECIMAL and found.dtype.itemsize == to.byte_width // 2:
        return arrays.fixed(to, _long_decimals(found), null)
    if pa.types.is_integer(to):
        wanted = to.to_pandas_dtype()
        if np.can_cast(found.dtype, wanted, "safe"):
            return arrays.fixed(to, found.astype(wanted, copy=False), null)
    return arrays.cast(arrays.fixed(pa.from_numpy_dtype(found.dtype), found, null), to)


def _long_decimals(found: npt.NDArray[np.generic]) -> npt.NDArray[np.void]:
    """Numbers of 64 bits as decimals: each behind it has 64 bits that say its sign."""
    pairs = np.zeros((len(found), 2), "<u8")
    pairs[:, 0] = found.view("<u8")
    if found.dtype.kind == "i":
        pairs[:, 1] = (found.view("<i8") >> 63).view("<u8")
    return pairs.view("V16").ravel()


def _times(column: _Column, data: Bytes, at: Ints, null: Bools | None) -> _Read:
    rule = column.rule
    values = arrays.behind_known_lengths(data, at, null)
    length = values.end - values.start
    if rule.cast is Cast.SPAN:
        micros = moments.packed_spans(data, values.start, length)
        if micros is None:
            raise arrays.unfit(rule)
        return _Read(Kept(arrays.fixed(pa.int64(), micros, null)), values.end)
    packed = moments.packed_dates if rule.cast is Cast.DATE else moments.packed_stamps
    found = packed(data, values.start, length)
    if found is None:
        raise arrays.unfit(rule)
    numbers, bad = found
    return _Read(policy.dates(rule, numbers, bad, null), values.end)
