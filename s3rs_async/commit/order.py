"""Where positions lie to each other; pure.

Numbers are compared as numbers; other cursor texts of one column have one length and order as text
does. Keys are ordered by the server alone, which hands out only those above the position: another
key of one cursor, or another id, lies beyond.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

from ..model import Position

WATERMARK_IDLE_STEP = dt.timedelta(hours=24)

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def moves_on(before: Position | None, after: Position | None) -> bool:
    """Whether `after` lies beyond `before`: a greater cursor, else another key, else other nulls.

    A cursor once had is never given up.
    """
    if after is None or after == before:
        return False
    if before is None:
        return True
    if before.cursor is None:
        return before.key is None or (after.cursor is None and after.key is not None)
    if after.cursor is None:
        return False
    if before.cursor == after.cursor:
        return before.key != after.key or before.nulls != after.nulls
    return is_below(before.cursor, after.cursor)


def is_below(one: str, other: str) -> bool:
    """Whether a cursor's text lies before another one's."""
    return _order(one) < _order(other)


def is_long_idle(before: Position | None, after: Position | None) -> bool:
    """Whether a window without rows is so long that the position should move over it alone."""
    if before is None or after is None or before.cursor is None or after.cursor is None:
        return False
    if _NUMBER.fullmatch(after.cursor):
        return False  # a number has no span that we could judge, though it may look like a date
    try:
        idle = dt.datetime.fromisoformat(after.cursor) - dt.datetime.fromisoformat(before.cursor)
    except ValueError:
        return False  # MySQL's dates need not be dates
    return idle > WATERMARK_IDLE_STEP


def _order(cursor: str) -> tuple[int, Decimal, str]:
    if _NUMBER.fullmatch(cursor):
        return 0, Decimal(cursor), ""
    return 1, Decimal(), cursor
