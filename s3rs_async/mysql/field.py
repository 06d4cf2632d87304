"""What the server says of one column of a result, and what its values are in the binary protocol.

In the text protocol every value is a text behind its length. In the binary one the column's type
decides: numbers are as wide as their type, dates and times are packed behind one byte of length,
and everything else is what it is in the text protocol. No IO.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from pymysql.constants import FIELD_TYPE, FLAG

_MICROS = 6
NOT_FIXED = 31
"""From this number of decimals on, a float has as many as it needs."""


class Form(StrEnum):
    """What a value is made of in the binary protocol."""

    WHOLE = auto()
    REAL = auto()
    DATE = auto()
    MOMENT = auto()
    SPAN = auto()
    BYTES = auto()  # behind their length, as in the text protocol
    RAW = auto()  # the same, but the text protocol's are no text either
    NOTHING = auto()  # always NULL


_FORMS = {
    FIELD_TYPE.TINY: Form.WHOLE,
    FIELD_TYPE.SHORT: Form.WHOLE,
    FIELD_TYPE.YEAR: Form.WHOLE,
    FIELD_TYPE.INT24: Form.WHOLE,
    FIELD_TYPE.LONG: Form.WHOLE,
    FIELD_TYPE.LONGLONG: Form.WHOLE,
    FIELD_TYPE.FLOAT: Form.REAL,
    FIELD_TYPE.DOUBLE: Form.REAL,
    FIELD_TYPE.DATE: Form.DATE,
    FIELD_TYPE.NEWDATE: Form.DATE,
    FIELD_TYPE.DATETIME: Form.MOMENT,
    FIELD_TYPE.TIMESTAMP: Form.MOMENT,
    FIELD_TYPE.TIME: Form.SPAN,
    FIELD_TYPE.BIT: Form.RAW,
    FIELD_TYPE.GEOMETRY: Form.RAW,
    FIELD_TYPE.NULL: Form.NOTHING,
}
_WIDTHS = {
    FIELD_TYPE.TINY: 1,
    FIELD_TYPE.SHORT: 2,
    FIELD_TYPE.YEAR: 2,
    FIELD_TYPE.INT24: 4,
    FIELD_TYPE.LONG: 4,
    FIELD_TYPE.LONGLONG: 8,
    FIELD_TYPE.FLOAT: 4,
    FIELD_TYPE.DOUBLE: 8,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result; equal as long as the table is unchanged."""

    name: str
    type_code: int
    flags: int
    length: int
    charset: int
    decimals: int

    @property
    def form(self) -> Form:
        """What its values are made of."""
        return _FORMS.get(self.type_code, Form.BYTES)

    @property
    def width(self) -> int:
        """How many bytes a number takes; 0 for what is no number."""
        return _WIDTHS.get(self.type_code, 0)

    @property
    def unsigned(self) -> bool:
        """Whether a whole number has no sign."""
        return bool(self.flags & FLAG.UNSIGNED)

    @property
    def fraction(self) -> int:
        """How many digits a time of day has behind the second."""
        return self.decimals if self.decimals <= _MICROS else 0

    @property
    def filled(self) -> int:
        """The least number of digits that the text protocol shows."""
        return self.length if self.flags & FLAG.ZEROFILL else 0
