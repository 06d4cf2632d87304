"""A row of the binary protocol as the text protocol spells it; pure.

A position in the state is text as the server wrote it, and a position that one protocol has left
must be the other's too. So numbers, dates and times are written here as MySQL writes them: a moment
with as many digits behind the second as its column has, a year with four, a float with the fewest
digits that mean it and an exponent where MySQL has one. One row at a time, never all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import DataError
from .field import NOT_FIXED, Field, Form
from .floats import fixed, shortest
from .wire import LONGEST_KEY

_RESERVED = 2
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_NO_LENGTHS = (0xFB, 0xFF)
_MICROS = 6
_REALS = {4: struct.Struct("<f"), 8: struct.Struct("<d")}
_DATE = struct.Struct("<HBB")
_MOMENT = struct.Struct("<HBBBBBI")
_SPAN = struct.Struct("<BIBBBI")


@dataclass(slots=True)
class _Row:
    """A row's bytes, and how far they have been read."""

    data: bytes | memoryview
    at: int = 0

    def take(self, count: int) -> bytes:
        begin = self.at
        self.skip(count)
        return bytes(self.data[begin : self.at])

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise _misread()

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def packed(self, shape: struct.Struct) -> tuple[int, ...]:
        """Numbers behind their length, of which those at the end are left out if they are zero."""
        found = self.value()
        if len(found) > shape.size:
            raise _misread()
        return shape.unpack(found.ljust(shape.size, b"\0"))

    def value(self) -> bytes:
        """What is behind its length."""
        return self.take(self.length())

    def length(self) -> int:
        """How long the next value is, which may be more than there is."""
        length = self.number(1)
        if length in _NO_LENGTHS:
            raise _misread()
        return self.number(_LENGTHS[length]) if length in _LENGTHS else length


def spelled(row: bytes | memoryview, fields: Sequence[Field]) -> list[bytes | None]:
    """The row's values as text, None for what is too long for a key; `row` is a packet's body."""
    rest = _Row(row, 1)
    bitmap = rest.number((len(fields) + _RESERVED + 7) // 8) >> _RESERVED
    found = [
        None if bitmap >> index & 1 else _SPELLINGS[field.form](rest, field)
        for index, field in enumerate(fields)
    ]
    if rest.at != len(row):
        raise _misread()
    return found


def _misread() -> DataError:
    return DataError("a row does not end where its packet ends", where="mysql")


def _bytes(row: _Row, _: Field) -> bytes | None:
    length = row.length()
    if length <= LONGEST_KEY:
        return row.take(length)
    row.skip(length)
    return None


def _nothing(_: _Row, __: Field) -> bytes:
    raise _misread()


def _whole(row: _Row, field: Field) -> bytes:
    number = int.from_bytes(row.take(field.width), "little", signed=not field.unsigned)
    return str(number).zfill(field.filled).encode()


def _real(row: _Row, field: Field) -> bytes:
    (number,) = _REALS[field.width].unpack(row.take(field.width))
    decimals = field.decimals
    text = fixed(number, decimals) if decimals < NOT_FIXED else shortest(number)
    return text.zfill(field.filled).encode()


def _date(row: _Row, _: Field) -> bytes:
    year, month, day = row.packed(_DATE)
    return f"{year:04}-{month:02}-{day:02}".encode()


def _moment(row: _Row, field: Field) -> bytes:
    year, month, day, *clock, micros = row.packed(_MOMENT)
    return f"{year:04}-{month:02}-{day:02} {_clock(clock, micros, field)}".encode()


def _span(row: _Row, field: Field) -> bytes:
    minus, days, hours, *rest, micros = row.packed(_SPAN)
    sign = "-" if minus else ""
    return f"{sign}{_clock([days * 24 + hours, *rest], micros, field)}".encode()


def _clock(clock: Sequence[int], micros: int, field: Field) -> str:
    digits = field.fraction
    hours, minutes, seconds = clock
    shown = f"{hours:02}:{minutes:02}:{seconds:02}"
    fraction = f"{micros:0{_MICROS}}"
    if fraction[digits:].strip("0"):
        raise DataError(
            "a time has more digits than its column",
            column=field.name,
            hint="the table was changed since it was described: run it again",
        )
    return f"{shown}.{fraction[:digits]}" if digits else shown


_SPELLINGS: dict[Form, Callable[[_Row, Field], bytes | None]] = {
    Form.WHOLE: _whole,
    Form.REAL: _real,
    Form.DATE: _date,
    Form.MOMENT: _moment,
    Form.SPAN: _span,
    Form.BYTES: _bytes,
    Form.RAW: _bytes,
    Form.NOTHING: _nothing,
}
