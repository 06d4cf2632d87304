"""Dates and times computed from their digits or packed numbers, for all rows at once; pure.

In the text protocol MySQL writes a date in 10 characters and a moment in 19, or 20 and its
fraction's digits; a span (TIME) has a sign and two or three digits of hours. So every digit's place
is known, from the front or from the end. In the binary protocol a value ends where only zeros would
follow: a date has 0 or 4 bytes, a moment 0, 4, 7 or 11, a span 0, 8 or 12. What is packed in
another length, or tells an hour that no clock has, is not a value, and `None` says so. Rows that
are NULL give junk, which their caller masks.

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


DATE_WIDTH = 10
_CLOCK_WIDTH = 8
_SIGN_AND_HUNDREDS = 2


def stamp_width(fraction: int) -> int:
    """How many characters a moment has."""
    return DATE_WIDTH + 1 + _CLOCK_WIDTH + _behind(fraction)


def span_widths(fraction: int) -> tuple[int, int]:
    """How many characters a span has at least and at most."""
    least = _CLOCK_WIDTH + _behind(fraction)
    return least, least + _SIGN_AND_HUNDREDS


def _behind(fraction: int) -> int:
    """The point and the digits behind it."""
    return fraction + 1 if fraction else 0


def dates(data: Bytes, start: Ints) -> tuple[npt.NDArray[np.int32], Bools]:
    """Days since 1970, and which rows hold a date that no calendar has."""
    return _days(_digits(data, start, DATE_WIDTH))


def stamps(data: Bytes, start: Ints, fraction: int) -> tuple[Ints, Bools]:
    """Microseconds since 1970, and which rows hold a date that no calendar has."""
    digits = _digits(data, start, stamp_width(fraction))
    days, bad = _days(digits)
    micros = days.astype(np.int64) * _DAY
    micros += _clock(digits, 11) * _SECOND
    if fraction:
        micros += _number(digits, 20, fraction) * 10 ** (_MICROS - fraction)
    return micros, bad


def spans(data: Bytes, start: Ints, end: Ints, fraction: int) -> Ints:
    """Signed microseconds; the digits are found from the end, since hours have two or three."""
    width, _ = span_widths(fraction)
    first = end - width
    digits = _digits(data, np.maximum(first, 0), width)
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
    return _calendar_days(_number(digits, 0, 4), _number(digits, 5, 2), _number(digits, 8, 2))


def _calendar_days(year: Ints, month: Ints, day: Ints) -> tuple[npt.NDArray[np.int32], Bools]:
    place = year * _MONTHS + np.minimum(month, _MONTHS - 1)
    bad = (day < 1) | (day > _DAYS.take(place, mode="clip"))
    found = (_FIRST.take(place, mode="clip") + day).astype(np.int32)
    return found, bad


def packed_dates(data: Bytes, start: Ints, length: Ints) -> Dates | None:
    """Days since 1970, and which rows hold a date that no calendar has."""
    span = _extent(length, _DATE_LENGTHS)
    return None if span is None else _packed_days(_dated(data, start, length, span))


def packed_stamps(data: Bytes, start: Ints, length: Ints) -> Stamps | None:
    """Microseconds since 1970, and which rows hold a date that no calendar has."""
    span = _extent(length, _STAMP_LENGTHS)
    if span is None:
        return None
    word = _dated(data, start, length, span)
    days, bad = _packed_days(word)
    micros = _packed_clock(word >> _DAY_BITS, _LAST_HOUR)
    if micros is None or not _add_micros(micros, data, start + 7, _which(length, span, 11)):
        return None
    micros += days * np.int64(_DAY)
    return micros, bad


def packed_spans(data: Bytes, start: Ints, length: Ints) -> Ints | None:
    """Signed microseconds."""
    span = _extent(length, _SPAN_LENGTHS)
    if span is None:
        return None
    word = _words(data, start, _WORD)
    if not span[0]:
        word[length == 0] = 0
    minus, days = word & _BYTE, (word >> _BYTE_BITS & _HALF_MASK).view(np.int64)
    micros = _packed_clock(word >> _SIGNED_DAYS_BITS, _LONGEST_SPAN)
    if micros is None or _most(days) > _LONGEST_SPAN or _most(minus) > 1:
        return None
    if not _add_micros(micros, data, start + 8, _which(length, span, 12)):
        return None
    micros += days * np.int64(_DAY)
    return np.where(minus != 0, -micros, micros)


Dates = tuple[npt.NDArray[np.int32], Bools]
Stamps = tuple[Ints, Bools]
Words = npt.NDArray[np.uint64]

_DATE_LENGTHS = (0, 4)
_STAMP_LENGTHS = (0, 4, 7, 11)
_SPAN_LENGTHS = (0, 8, 12)
_LAST_HOUR, _LONGEST_SPAN, _SIXTY = 23, 838, 60
_WORD, _HALF = np.dtype("<u8"), np.dtype("<u4")
_BYTE, _HALF_MASK, _YEAR_MASK = np.uint64(0xFF), np.uint64(0xFFFFFFFF), np.uint64(0xFFFF)
_BYTE_BITS, _MONTH_BITS, _MONTH_DAY_BITS = np.uint64(8), np.uint64(16), np.uint64(24)
_DAY_BITS, _SIGNED_DAYS_BITS = np.uint64(32), np.uint64(40)
# What of the first eight bytes belongs to a date or moment, by its length.
_MASKS = np.array([(1 << 8 * min(length, 7)) - 1 for length in range(12)], np.uint64)


def _extent(length: Ints, allowed: tuple[int, ...]) -> tuple[int, int] | None:
    """The least and the greatest length; None where some are not allowed."""
    if not len(length):
        return allowed[0], allowed[0]
    least, most = int(length.min()), int(length.max())
    if least == most or allowed == (least, most):
        return (least, most) if least in allowed else None
    table = np.zeros(allowed[-1] + 1, np.bool_)
    table[list(allowed)] = True
    return (least, most) if most < len(table) and table.take(length).all() else None


def _which(length: Ints, span: tuple[int, int], longest: int) -> Bools | None:
    """Which rows have the greatest length that is allowed; None for none."""
    return length == longest if span[1] == longest else None


def _dated(data: Bytes, start: Ints, length: Ints, span: tuple[int, int]) -> Words:
    """The bytes of a date and the clock behind it, zero where a value has none of them."""
    word = _words(data, start, _WORD)
    word &= _MASKS[span[0]] if span[0] == span[1] else _MASKS.take(length)
    return word


def _words(data: Bytes, at: Ints, kind: np.dtype[np.unsignedinteger]) -> Words:
    """The numbers that begin at each cursor; unaligned, so a view gathers them in one move."""
    return np.ndarray((len(data) - kind.itemsize + 1,), kind, data, 0, (1,))[at]


def _most(found: npt.NDArray[np.integer]) -> int:
    return int(found.max()) if len(found) else 0


def _packed_days(word: Words) -> Dates:
    year = (word & _YEAR_MASK).view(np.int64)
    month = (word >> _MONTH_BITS & _BYTE).view(np.int64)
    return _calendar_days(year, month, (word >> _MONTH_DAY_BITS & _BYTE).view(np.int64))


def _packed_clock(word: Words, last: int) -> Ints | None:
    """Microseconds of the hour, minute and second in the lowest three bytes; None for no clock."""
    hours, minutes = word & _BYTE, word >> _BYTE_BITS & _BYTE
    seconds = word >> _MONTH_BITS & _BYTE
    if _most(hours) > last or _most(minutes) >= _SIXTY or _most(seconds) >= _SIXTY:
        return None
    hours *= np.uint64(_SIXTY)
    hours += minutes
    hours *= np.uint64(_SIXTY)
    hours += seconds
    hours *= np.uint64(_SECOND)
    return hours.view(np.int64)


def _add_micros(to: Ints, data: Bytes, at: Ints, has: Bools | None) -> bool:
    """Add what is behind the second, where there is something; False for a second or more."""
    if has is None:
        return True
    found = _words(data, at, _HALF).astype(np.int64)
    if not has.all():
        found[~has] = 0
    to += found
    return _most(found) < _SECOND
