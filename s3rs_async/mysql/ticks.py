"""A cursor's texts: which of two is later, and which lies some seconds before; pure.

A time's texts in one column have one length, so they order as text does. Whole numbers do not: 999
is less than 1000. Going back is done in whole microseconds and the result is cut down to the
column's precision, so it is never later than asked. A text that is no date (MySQL stores the month
0) has no time before it, and reading begins at the table's beginning instead.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_CEILING, Decimal

from ..model import CursorFormat
from . import zone
from .table import SourceColumn

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_PER_SECOND = {CursorFormat.UNIX: 1, CursorFormat.UNIX_MS: 1000}


def is_of(text: str, kind: CursorFormat) -> bool:
    """Whether a text can be a cursor of that kind."""
    return (_WHOLE.fullmatch(text) is not None) is (kind is not CursorFormat.COLUMN)


def reached(text: str, bound: str, kind: CursorFormat) -> bool:
    """Whether a cursor is at its bound or beyond."""
    if kind is CursorFormat.COLUMN:
        return text >= bound
    return int(text) >= int(bound)


def back(text: str, seconds: float, column: SourceColumn, kind: CursorFormat) -> str | None:
    """The cursor that many seconds earlier, or a little more; None where the text is no time."""
    if kind is not CursorFormat.COLUMN:
        return str(int(text) - _whole(seconds, _PER_SECOND[kind]))
    try:
        wall = dt.datetime.fromisoformat(text)
        earlier = wall - dt.timedelta(microseconds=_whole(seconds, 1_000_000))
    except (ValueError, OverflowError):
        return None
    return zone.text(earlier, column.data_type, column.fraction or 0)


def _whole(seconds: float, per_second: int) -> int:
    return int((Decimal(str(seconds)) * per_second).to_integral_value(ROUND_CEILING))
