"""Dates and times computed from their digits, for all rows at once; pure.

MySQL writes a date in 10 characters and a moment in 19, or 20 and its fraction's digits; a span
(TIME) has a sign and two or three digits of hours. So every digit's place is known, from the front
or from the end. Rows that are NULL give junk, which their caller masks.

A date is possible if a calendar has it: years 1 to 9999, proleptic Gregorian as both sides count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ZERO = ord("0")
_MINUS = ord("-")
_MICROS = 6
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_YEARS = 10_000
_MONTHS = 16  # a power of two above twelve; what is no month has no days


def _calendar() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Per year and month: the day number before its first day, and how many days it has."""
    first = np.zeros((_YEARS + 1, _MONTHS), np.int32)
    days = np.zeros((_YEARS, _MONTHS), np.int32)
    months = np.arange("0000-01", "10000-02", dtype="datetime64[M]")
    starts = months.astype("datetime64[D]").astype(np.int64).astype(np.int32)
    first[:-1, 1:13] = starts[:-1].reshape(_YEARS, 12) - 1
    days[1:, 1:13] = np.diff(starts).reshape(_YEARS, 12)[1:]
    return first[:-1].ravel(), days.ravel()


_FIRST, _DAYS = _calendar()


def dates(data: Bytes, start: Ints) -> tuple[npt.NDArray[np.int32], Bools]:
    """Days since 1970, and which rows hold a date that no calendar has."""
    return _days(_digits(data, start, 10))


def stamps(data: Bytes, start: Ints, fraction: int) -> tuple[Ints, Bools]:
    """Microseconds since 1970, and which rows hold a date that no calendar has."""
    width = 19 if not fraction else 20 + fraction
    digits = _digits(data, start, width)
    days, bad = _days(digits)
    micros = days.astype(np.int64) * _DAY
    micros += _clock(digits, 11) * _SECOND
    if fraction:
        micros += _number(digits, 20, fraction) * 10 ** (_MICROS - fraction)
    return micros, bad


def spans(data: Bytes, start: Ints, end: Ints, fraction: int) -> Ints:
    """Signed microseconds; the digits are found from the end, since hours have two or three."""
    behind = fraction + 1 if fraction else 0
    first = end - behind - 8
    digits = _digits(data, np.maximum(first, 0), 8 + behind)
    seconds = _clock(digits, 0)
    minus = data.take(start) == _MINUS
    hundreds = first - start - minus > 0
    seconds += (
        np.where(hundreds, data.take(np.maximum(first - 1, 0)) - np.int64(_ZERO), 0) * 360_000
    )
    micros = seconds * _SECOND
    if fraction:
        micros += _number(digits, 9, fraction) * 10 ** (_MICROS - fraction)
    return np.where(minus, -micros, micros)


def _digits(data: Bytes, start: Ints, width: int) -> Bytes:
    """The `width` bytes from each start on, less '0'; a view gathers each row's in one move."""
    rows = np.ndarray((max(len(data) - width + 1, 0),), f"V{width}", data, 0, (1,))
    # A NULL value in the last row may begin beyond the last whole window: any window is as good.
    safe = np.minimum(start, len(rows) - 1)
    found = rows[safe].view(np.uint8).reshape(-1, width)
    return found - np.uint8(_ZERO)


def _number(digits: Bytes, at: int, count: int) -> Ints:
    found = digits[:, at].astype(np.int64)
    for index in range(at + 1, at + count):
        found *= 10
        found += digits[:, index]
    return found


def _clock(digits: Bytes, at: int) -> Ints:
    """Seconds of an `hh:mm:ss`."""
    seconds = _number(digits, at, 2) * 3600
    seconds += _number(digits, at + 3, 2) * 60
    seconds += _number(digits, at + 6, 2)
    return seconds


def _days(digits: Bytes) -> tuple[npt.NDArray[np.int32], Bools]:
    year, month, day = _number(digits, 0, 4), _number(digits, 5, 2), _number(digits, 8, 2)
    place = year * _MONTHS + np.minimum(month, _MONTHS - 1)
    bad = (day < 1) | (day > _DAYS.take(place, mode="clip"))
    found = (_FIRST.take(place, mode="clip") + day).astype(np.int32)
    return found, bad
