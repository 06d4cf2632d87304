"""Decimals computed from their digits, for all rows at once; pure.

A DECIMAL is written with as many digits behind the point as its column has, in both protocols. So
every digit's place is known from the end: eight characters are gathered as one number, the point is
taken out, and three multiplications add the digits up by pairs, fours and eights (the usual way of
reading digits within a register). Whatever is not written so is told as None, and read by Arrow,
which refuses what is no number. Rows that are NULL give junk, which their caller masks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

MOST_DIGITS = 18
"""More do not fit the numbers that are computed with."""
MOST_BEHIND = 7
"""The point must be among the last eight characters."""

_MINUS, _POINT = ord("-"), np.uint64(ord("."))
_WORD = np.dtype("<u8")
_CHARACTERS = 8
_BYTE = np.uint64(0xFF)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x0606060606060606)
_NO_DIGIT = np.uint64(0xF0F0F0F0F0F0F0F0)
_LAST = np.array([(1 << 64) - (1 << 64 - 8 * count) for count in range(9)], np.uint64)
_FIRST = ~_LAST[::-1]
_TENS, _TEN = np.uint64(8), np.uint64(10)
_PAIRS = np.uint64(0x000000FF000000FF)
"""The first and the third pair of digits, once the pairs are added up."""
_ODD_PAIRS, _EVEN_PAIRS = np.uint64(100 + (1_000_000 << 32)), np.uint64(1 + (10_000 << 32))
_TWO_BYTES, _HALF = np.uint64(16), np.uint64(32)


def decimals(
    data: Bytes, start: Ints, end: Ints, null: Bools | None, precision: int, scale: int
) -> Ints | None:
    """The values times ten to the power of `scale`; None where one is not written as usual.

    They lie in `data` from `start` to `end`, one row behind the other.
    """
    if not len(start) or precision > MOST_DIGITS or scale > MOST_BEHIND:
        return None
    minus = data.take(start) == _MINUS
    digits = end - start
    digits -= minus
    if scale:
        digits -= 1  # the point
    least = int(digits.min() if null is None else np.where(null, _CHARACTERS, digits).min())
    if null is not None:
        digits[null] = 0
    most = int(digits.max())
    if least <= scale or most > max(precision, scale + 1):  # a zero is before the point at least
        return None
    word = _word(data, end, 1)
    if scale:
        closed = _without_point(word, scale, null)
        if closed is None:
            return None
        word = closed
    found = _added(word, MOST_BEHIND if scale else _CHARACTERS, data, end, digits, most)
    if found is None or (most > precision and int(found.max()) >= 10**precision):
        return None
    np.negative(found, out=found, where=minus)
    return found


def _without_point(word: Words, scale: int, null: Bools | None) -> Words | None:
    """The last characters with those before the point moved up to those behind it."""
    before = MOST_BEHIND - scale
    missing = word >> np.uint64(8 * before) & _BYTE != _POINT
    if (missing if null is None else missing & ~null).any():
        return None
    closed: Words = word & _FIRST[before]
    closed <<= _TENS
    word &= _LAST[scale]
    closed |= word
    return closed


def _added(word: Words, taken: int, data: Bytes, end: Ints, digits: Ints, most: int) -> Ints | None:
    """All digits as one number; the last `taken` of them are in the word."""
    total = _number(word, digits if most <= taken else np.minimum(digits, taken))
    eights = 1
    while total is not None and most > taken:
        eights += 1
        left = np.maximum(digits - taken, 0)
        more = _number(_word(data, end, eights), np.minimum(left, _CHARACTERS, out=left))
        if more is None:
            return None
        more *= np.uint64(10**taken)
        total += more
        taken += _CHARACTERS
    return None if total is None else total.view(np.int64)


def _word(data: Bytes, end: Ints, number: int) -> Words:
    """The last eight characters before each end, or those so many eights before; else zeros."""
    at = end - _CHARACTERS * number
    every: Words = np.ndarray((len(data) - _WORD.itemsize + 1,), _WORD, data, 0, (1,))
    if at[0] >= 0:
        return every[at]
    short = np.maximum(-at, 0)  # the data begin with the first row
    found: Words = every[at + short] << (short * 8).astype(np.uint64)
    return found


def _number(word: Words, count: Ints) -> Words | None:
    """The number whose last `count` digits are at the word's end; None where some are none.

    The word is used up.
    """
    word ^= _ZEROS
    word &= _LAST.take(count)
    above = word + _ABOVE_NINE
    above |= word
    if np.bitwise_or.reduce(above) & _NO_DIGIT:
        return None
    tens: Words = np.multiply(word, _TEN, out=above)
    word >>= _TENS
    tens += word
    even = np.right_shift(tens, _TWO_BYTES, out=word)
    even &= _PAIRS
    even *= _EVEN_PAIRS
    tens &= _PAIRS
    tens *= _ODD_PAIRS
    tens += even
    tens >>= _HALF
    return tens
