"""How long and how large the daemon's tests are.

In short, as in every run, they take under a minute each. With TEST_DAEMON_SECONDS in the
environment they run in full, that many seconds of writing each, 180 as a rule:

    TEST_DAEMON_SECONDS=180 ./dev test -m daemon -n0 -s

Full means 20 tables of 20,000 rows, passes every 10 s, outages and kills spread over the time; a
test then takes a few minutes more than its seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """The measures of one run.

    `seconds` of writing; outages of `outage` seconds; a daemon killed every `kill_every`; `rows` in
    each table at the beginning, `rate` transactions a second at each.
    """

    seconds: float
    outage: float
    kill_every: float
    every: int
    tables: int
    rows: int
    rate: float

    @property
    def limit(self) -> float:
        """Seconds after which a test has gone wrong."""
        return 5 * self.seconds + 240


_ASKED = float(os.environ.get("TEST_DAEMON_SECONDS") or 0)
SHORT = Extent(16, outage=5, kill_every=5, every=2, tables=6, rows=300, rate=3)
FULL = Extent(
    _ASKED,
    outage=min(30.0, _ASKED / 5),
    kill_every=20,
    every=10,
    tables=20,
    rows=20_000,
    rate=4,
)
EXTENT = FULL if _ASKED else SHORT
