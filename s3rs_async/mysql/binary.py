"""Row packets of the binary protocol → one Arrow record batch, column by column.

A row is a zero byte, a bitmap of what is NULL (its first two bits mean nothing), and the values
that are not. As in the text protocol every row's cursor stands at its next value: a number is
gathered and stepped over by its width, all else by its length, NULL not at all. The proof is the
same: behind the last column each cursor must stand at the start of the next packet. What all rows
step over alike moves no cursor: the data that they stand in begins so much later.

The batch is the one that the text protocol's rows give (`decode`), with the same schema, counts and
errors; a value that its column cannot hold is an error here too. What the server sends must be what
the column's rule can read: an enumeration where a number was described means that the table has
changed, and bytes are never taken for digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import DataError
from . import arrays, moments, policy
from .arrays import Bools, Bytes, Ints, Values, arrow_type
from .decode import Decoded, schema
from .field import NOT_FIXED, Field, Form
from .floats import rounded
from .policy import Gathered, Kept, Ruling
from .spelling import spelled
from .types import Cast, Rule
from .wire import PAD, Packets

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
    """A column's rule, what the server says of it, and the numbers that it sends if it does."""

    rule: Rule
    field: Field
    form: Form
    arrow: pa.DataType
    number: np.dtype[Any]


@dataclass(slots=True)
class _Cursors:
    """Where each row's next value begins, counted from the begin of `data`; at most at `most`."""

    data: Bytes
    at: Ints
    most: int

    def values(self, null: Bools | None) -> Values:
        """The values that are behind their lengths; the cursors stand behind them."""
        self._check()
        values = arrays.behind_known_lengths(self.data, self.at, null)
        self.at, self.most = values.end, len(self.data) - PAD
        return values

    def numbers(self, kind: np.dtype[Any], null: Bools | None) -> npt.NDArray[Any]:
        """The values that are as wide as their kind; the cursors stand behind them."""
        self._check()
        width = kind.itemsize
        found = np.ndarray((len(self.data) - width + 1,), kind, self.data, 0, (1,))[self.at]
        if null is None:
            self.data = self.data[width:]
        else:
            self.at = self.at + width * ~null
            self.most += width
        return found

    def _check(self) -> None:
        """All stand inside of the data, so that as much as PAD can be read there."""
        if self.most > len(self.data) - PAD:
            arrays.check_inside(self.data, self.at)
            self.most = len(self.data) - PAD


class _Bitmaps:
    """Which values are NULL; eight columns ask for the same byte of all rows."""

    def __init__(self, data: Bytes, at: Ints) -> None:
        self._data, self._at = data, at
        self._number = -1
        self._found = np.empty(0, np.uint8)
        self._any = 0

    def null(self, column: int) -> Bools | None:
        """The rows in which a column is NULL; None for none."""
        number, bit = divmod(column + _RESERVED, 8)
        if number != self._number:
            self._number = number
            self._found = self._data.take(self._at + number)
            self._any = int(np.bitwise_or.reduce(self._found))
        if not self._any >> bit & 1:
            return None
        null: Bools = (self._found & np.uint8(1 << bit)) != 0
        return null


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
        gathered, nulls = Gathered(), _Bitmaps(data, bitmaps)
        arrays.check_inside(data, bitmaps + self._bitmap)
        cursors = _Cursors(data, bitmaps + self._bitmap, len(data) - PAD)
        for index, column in enumerate(self._columns):
            try:
                ruling = _read(column, cursors, nulls.null(index))
            except pa.ArrowInvalid as error:
                raise arrays.unfit(column.rule) from error
            gathered.take(column.rule, ruling)
        passed = len(data) - len(cursors.data)
        arrays.check_ends(cursors.at + passed, packets.starts, packets.end)
        if gathered.refused is not None:
            rule, refused = gathered.refused
            rules = [each.rule for each in self._columns]
            raise policy.refusal(refused, rule, rules, self.row(packets, refused.row))
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
    letter = "f" if field.form is Form.REAL else "u" if field.unsigned else "i"
    return _Column(rule, field, field.form, arrow, np.dtype(f"<{letter}{field.width or 1}"))


def _read(column: _Column, cursors: _Cursors, null: Bools | None) -> Ruling:
    match column.form:
        case Form.WHOLE | Form.REAL:
            return _numbers(column, cursors, null)
        case Form.DATE | Form.MOMENT | Form.SPAN:
            return _times(column, cursors.values(null))
        case Form.BYTES | Form.RAW:
            return policy.shown(column.rule, cursors.values(null))
        case Form.NOTHING:
            rows = len(cursors.at)
            if rows and (null is None or not null.all()):
                raise arrays.misread()
            return _nothing(column, rows)


def _numbers(column: _Column, cursors: _Cursors, null: Bools | None) -> Ruling:
    field = column.field
    found = cursors.numbers(column.number, null)
    if column.form is Form.REAL and field.decimals < NOT_FIXED:
        found = rounded(found.astype(np.float64), field.decimals, null)
    match column.rule.cast:
        case Cast.FLAG:
            return policy.flags(found, null)
        case Cast.LONG if found.dtype == np.uint64:
            return policy.longs(found, null)
        case _:
            return Kept(_number_array(column.arrow, found, null))


def _nothing(column: _Column, rows: int) -> Kept:
    """What is always NULL, and was never cut."""
    cut = None if column.rule.flag is None else arrays.flags(np.zeros(rows, np.bool_), None)
    return Kept(pa.nulls(rows, column.arrow), flag=cut)


def _number_array(to: pa.DataType, found: npt.NDArray[np.generic], null: Bools | None) -> pa.Array:
    """The numbers in the rule's type; ArrowInvalid where one does not fit."""
    if to == _LONG_DECIMAL and found.dtype.itemsize == to.byte_width // 2:
        return arrays.fixed(to, arrays.long_decimals(found), null)
    if pa.types.is_integer(to):
        wanted = to.to_pandas_dtype()
        if np.can_cast(found.dtype, wanted, "safe"):
            return arrays.fixed(to, found.astype(wanted, copy=False), null)
    return arrays.cast(arrays.fixed(pa.from_numpy_dtype(found.dtype), found, null), to)


def _times(column: _Column, values: Values) -> Ruling:
    rule = column.rule
    length = values.end - values.start
    if rule.cast is Cast.SPAN:
        micros = moments.packed_spans(values.data, values.start, length)
        if micros is None:
            raise arrays.unfit(rule)
        return Kept(arrays.fixed(pa.int64(), micros, values.null))
    packed = moments.packed_dates if rule.cast is Cast.DATE else moments.packed_stamps
    found = packed(values.data, values.start, length)
    if found is None:
        raise arrays.unfit(rule)
    numbers, bad = found
    return policy.dates(rule, numbers, bad, values.null)
