"""How far another clock is from ours, told from one question to it; pure.

Its answer lies somewhere between our sending and our receiving, so the midpoint is off by half the
round trip at most, and by what the clock's own resolution hides. Only what is beyond that is skew.
No rule of the protocol rests on a clock of ours; people and signatures do.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .check import Sheet

OK_SECONDS = 5.0
FAIL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A look at another clock: ours before, its answer, ours after."""

    before: dt.datetime
    theirs: dt.datetime
    after: dt.datetime
    resolution: float = 0.0

    @property
    def ahead(self) -> float:
        """Seconds by which the other clock is ahead of ours."""
        midpoint = self.before + (self.after - self.before) / 2
        return (self.theirs - midpoint).total_seconds() + self.resolution / 2

    @property
    def doubt(self) -> float:
        """Seconds by which that can be wrong."""
        return ((self.after - self.before).total_seconds() + self.resolution) / 2


def tell(sheet: Sheet, asked: Asked, whose: str, fail: float = FAIL_SECONDS) -> None:
    """The line about a clock."""
    off = abs(asked.ahead)
    side = "ahead of" if asked.ahead > 0 else "behind"
    found = f"{off:.1f} s {side} this machine's (± {asked.doubt:.1f} s)"
    mend = f"set the clock of {whose} or of this machine by NTP"
    if off <= OK_SECONDS + asked.doubt:
        sheet.ok("clock", found)
    elif off <= fail + asked.doubt:
        sheet.warn("clock", found, mend)
    else:
        sheet.fail("clock", found, mend)
