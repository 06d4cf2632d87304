"""Floats as MySQL shows them; pure.

A DOUBLE has the fewest digits that are read as the same number, and an exponent where it is very
great or small. A DOUBLE(M,D) has D decimals, whatever its bits are: the server computes them from
the number's two halves and is often one bit beside the float that the shown number is. Shown is
what its owners see and compare, so `rounded` makes the one of the other, for all rows at once.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PLACES = 15
"""Beyond so many places before or behind the point a float has an exponent."""
_EXACT_POWER = 22  # the greatest power of ten that a float holds
_SAFE = float(1 << 50)
_NEAR_HALF = 0.499


def fixed(number: float, decimals: int) -> str:
    """A float as MySQL writes it with so many decimals: zeros follow the digits that it needs."""
    needed = Decimal(repr(number))
    exponent = needed.as_tuple().exponent
    enough = isinstance(exponent, int) and -exponent <= decimals
    return f"{needed:.{decimals}f}" if enough else f"{number:.{decimals}f}"


def shortest(number: float) -> str:
    """A float as MySQL writes it: with the fewest digits that are read as the same number."""
    mantissa, _, power = f"{number!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    before, _, behind = mantissa.lstrip("-").partition(".")
    digits = (before + behind).lstrip("0")
    point = len(before) + int(power or 0) - (len(before + behind) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    if point > -_PLACES and (point <= _PLACES or len(digits) > point):
        return sign + _with_point(digits, point)
    return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1}"


def _with_point(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if len(digits) <= point:
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def rounded(found: Floats, decimals: int, null: Bools | None) -> Floats:
    """The floats that are read from what is shown with so many decimals."""
    power = 10.0**decimals
    with np.errstate(all="ignore"):  # rows that are NULL have any bits
        scaled = found * power
        whole = np.rint(scaled)
        quick = (np.abs(scaled) < _SAFE) & (np.abs(scaled - whole) < _NEAR_HALF)
        near = whole / power
    by_digits = ~quick if decimals <= _EXACT_POWER else np.ones(len(found), np.bool_)
    if null is not None:
        by_digits &= ~null
    for row in np.flatnonzero(by_digits).tolist():
        near[row] = float(fixed(float(found[row]), decimals))
    return near
