"""Watches in a chain: the safe moment of a source that is looked at all the time; pure.

Each generation is a `Watch`. When it is over, its start less the margin is safe, and the next one
begins with the very look that ended it. While something holds a generation, the safe moment stays
where the one before left it, or goes on to the oldest statement that was seen to begin; it never
falls. Nothing rests on how often one looks: a gap only makes what is known older.

`vouched` is the reader's own time at which the last generation that is over began: whatever was
read from the source before, and was stamped or numbered by then, is all there to be read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .watch import Poll, Verdict, Watch

_HELD = dt.timedelta(seconds=10)


@dataclass(slots=True)
class Chain:
    """The generations so far; `safe` is None until the first of them has told something."""

    safe: dt.datetime | None = None
    vouched: float = float("-inf")
    _watch: Watch | None = None
    _began: float = float("-inf")
    _latest: dt.datetime | None = None

    def see(self, poll: Poll, own: frozenset[int], at: float) -> None:
        """Take a look into account that began `at` the reader's own time; `own` were ours then."""
        self._latest = poll.clock
        if self._watch is not None:
            self._watch.see(poll)
            if not self._watch.over:
                self._advance(self._watch.verdict())
                return
            self.vouched = self._began
            self._advance(self._watch.verdict())
        self._watch, self._began = Watch(poll, own), at

    def cut(self) -> None:
        """The server may be another one from here on: what is under way is watched anew."""
        self._watch = None

    def verdict(self) -> Verdict | None:
        """What is known now, and what holds it if it has been held for long."""
        if self.safe is not None:
            return Verdict(self.safe, proven=True, reason=self._reason())
        return self._watch.verdict() if self._watch is not None else None

    def _advance(self, verdict: Verdict) -> None:
        if verdict.proven and (self.safe is None or verdict.safe > self.safe):
            self.safe = verdict.safe

    def _reason(self) -> str:
        if self._watch is None or self._latest is None:
            return ""
        held = self._latest - self._watch.start > _HELD
        return self._watch.verdict().reason if held else ""
