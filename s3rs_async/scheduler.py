"""When a table's next pass begins; pure, all of it in seconds.

A pass begins `every` seconds after the one before began, never while that one runs: one that took
longer is followed at once. Starts are spread: the first over the interval, so that a daemon of two
hundred tables does not begin with two hundred queries, the later ones by a little jitter, so that
they do not meet again.

After a failure the answer depends on its kind. What may pass by itself (a server that is away) is
tried again soon and then less and less often, but at least once a minute, so that a recovery is
not slept through. What somebody must mend is tried less and less often, every ten minutes at last.
A table that another process has is tried again when that one would count as dead, if not before.
"""

from __future__ import annotations

from .errors import UnavailableError, UnknownOutcomeError

_SPREAD = 30.0
_JITTER = 0.05
_MOST_JITTER = 5.0
_SOON = 5.0
_PASSING = 60.0
_LASTING = 600.0
_DOUBLINGS = 20


def first_start(every: float, chance: float) -> float:
    """Seconds until a table's first pass; `chance` is a number from 0 to 1."""
    return min(every, _SPREAD) * chance


def next_start(every: float, spent: float, chance: float) -> float:
    """Seconds from the end of a pass that took `spent` until the next one begins."""
    return max(every - spent, 0.0) + min(every * _JITTER, _MOST_JITTER) * chance


def rival_start(every: float, left: float, chance: float) -> float:
    """Seconds until the next try at a table that another process had; `left` until it is dead.

    Rivals need no spreading: of those that come at once one conditional write lets one in.
    """
    usual = next_start(every, 0.0, chance)
    return min(usual, left + _JITTER * chance if left else _SOON * (1 + chance))


def retry_start(every: float, failures: int, error: BaseException, chance: float) -> float:
    """Seconds until the next try after the given number of failures in a row."""
    soon = min(every, _SOON)
    passing = isinstance(error, UnavailableError | UnknownOutcomeError)
    most = max(every, _PASSING if passing else _LASTING)
    first = soon if passing else every
    wait = min(first * 2.0 ** min(failures - 1, _DOUBLINGS), most)
    return wait * (1 + _JITTER * chance)
