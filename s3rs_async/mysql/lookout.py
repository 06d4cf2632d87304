"""The watch that never ends: a daemon keeps one for each source, and its passes need not wait.

About once a second it looks at the server with a session of its own and feeds what it sees to a
`Chain`; faster while someone waits for a generation to end. It outlives every failure of the
source: what was last known stays a true bound, for all that is stamped before it is there to be
read. Only its age grows, which `lag` shows, and `trouble` says why.

Two things a pass would have to ask for itself are kept here. The greatest key of a table is only
of use once a generation that began after it was read is over: until then the one before holds. And
what the server's own wall clock shows is asked for again only when the clock has left what is
known, or the server's zone was set anew; not at all unless a pass needs it.

A user without the PROCESS privilege sees only itself. Then all is told by a lag behind the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field

import structlog

from .. import clock
from ..errors import ConfigError, Error, UnavailableError
from ..model import TableName
from . import look, sql, zone
from .chain import Chain
from .connection import Session, Source
from .watch import Poll, Verdict

POLL_SECONDS = 1.0
HURRY_SECONDS = 0.3
ANSWER_SECONDS = 30.0
LAG_SECONDS = 60.0
_BLIND_SECONDS = 60.0
_BACK_OFF = (0.5, 5.0)
_STALE_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known: the verdict and the server's clock now.

    What was read before `vouched`, a moment of ours (`clock.seconds`), is vouched for.
    """

    verdict: Verdict
    now: dt.datetime
    vouched: float


@dataclass(slots=True)
class _Key:
    """A table's greatest key: the last one vouched for, and one that is yet to be."""

    vouched: str | None = None
    read: str | None = None
    at: float = float("inf")


@dataclass(slots=True)
class _Walls:
    """What the server's wall clock shows at quarters of an hour, and by which zone."""

    wanted: bool = False
    zone: str = ""
    shown: dict[dt.datetime, dt.datetime] = field(default_factory=dict)


class Lookout:
    """The running watch of one source; `run` keeps it going."""

    def __init__(self, source: Source, *, lag: float = LAG_SECONDS) -> None:
        self.trouble: Error | None = None
        self._source = source
        self._lag = lag
        self._chain = Chain()
        self._keys: dict[tuple[TableName, str], _Key] = {}
        self._walls = _Walls()
        self._clock: tuple[dt.datetime, float] | None = None
        self._blind = False
        self._blind_until = 0.0
        self._waiting = 0
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Look for ever; ends only by cancellation."""
        failures = 0
        while True:
            try:
                async with self._source.session(purpose="watch") as session:
                    self._chain.cut()
                    self._blind_until = 0.0
                    while True:
                        await self._look(session)
                        failures = 0
                        await clock.sleep(HURRY_SECONDS if self._waiting else POLL_SECONDS)
            except Error as error:
                self._tell(error)
            failures += 1
            least, most = _BACK_OFF
            await clock.sleep(min(least * 2 ** min(failures, 10), most) + clock.jitter(least))

    async def sight(self, after: float | None = None, within: float = 30.0) -> Sight:
        """What is known once a generation that began `after` is over, or any where that is None.

        Waits no longer than `within` seconds, nor for a source that is out of reach. Raises what
        is in the way where nothing at all is known by then.
        """
        deadline = asyncio.timeout(within)
        self._waiting += 1
        try:
            async with deadline:
                while not self._suffices(after):
                    await self._looked.wait()
        except TimeoutError:
            if not deadline.expired():
                raise
        finally:
            self._waiting -= 1
        return self._sight()

    def lag(self) -> float | None:
        """Seconds between the server's clock and the safe moment; None while none is known."""
        verdict = self._verdict()
        if verdict is None:
            return None
        return (self._now() - verdict.safe).total_seconds()

    def key_read(self, table: TableName, column: str, key: str | None, at: float) -> None:
        """Remember a greatest key whose reading ended `at`, unless an older one still waits."""
        known = self._keys.setdefault((table, column), _Key())
        self._vouch(known)
        if known.at == float("inf"):
            known.read, known.at = key, at

    def key_vouched(self, table: TableName, column: str, key: str | None) -> None:
        """Remember a greatest key up to which all rows are known to be there."""
        self._keys[(table, column)] = _Key(vouched=key)

    def vouched_key(self, table: TableName, column: str) -> str | None:
        """The last greatest key up to which all rows are known to be there."""
        known = self._keys.get((table, column))
        if known is None:
            return None
        self._vouch(known)
        return known.vouched

    def walls(self, instants: list[dt.datetime]) -> list[dt.datetime] | None:
        """What the server's wall clock shows at each moment; None where it was not asked yet."""
        self._walls.wanted = True
        quarters = [zone.quarter(at) for at in instants]
        if any(each not in self._walls.shown for each in quarters):
            return None
        shown = self._walls.shown
        return [shown[each] + (at - each) for at, each in zip(instants, quarters, strict=True)]

    async def _look(self, session: Session) -> None:
        """Look once: the clock, what is under way, and the wall clock if it is wanted."""
        at, before = clock.seconds(), frozenset(self._source.own)
        poll: Poll | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                ((shown, zone_set, system),) = await session.query(sql.CLOCK)
                now = look.moment(shown)
                if at >= self._blind_until:
                    poll = await look.work(session, now)
                    self._blind = poll is None
                self._clock = (now, clock.seconds())
                if poll is not None:
                    self._chain.see(poll, before | self._source.own, at)
                elif at >= self._blind_until:
                    self._blind_until = at + _BLIND_SECONDS
                await self._ask_walls(session, f"{zone_set} {system}")
        except TimeoutError as error:
            raise UnavailableError("the source does not answer the watch", where="mysql") from error
        self._tell(None)

    async def _ask_walls(self, session: Session, zone_set: str) -> None:
        known, verdict = self._walls, self._verdict()
        if not known.wanted or verdict is None:
            return
        needed = {zone.quarter(at) for at in zone.around(verdict.safe) + zone.around(self._now())}
        if zone_set == known.zone and needed <= known.shown.keys():
            return
        instants = sorted(needed)
        try:
            walls = await look.walls(session, instants)
        except ConfigError:  # for the passes that need it to tell: they ask themselves
            known.wanted = False
            return
        known.zone, known.shown = zone_set, dict(zip(instants, walls, strict=True))

    def _suffices(self, after: float | None) -> bool:
        if after is None or self.trouble is not None:
            return self.trouble is not None or self._blind or self._chain.safe is not None
        return self._vouched() > after

    def _sight(self) -> Sight:
        verdict = self._verdict()
        if verdict is None or self._clock is None:
            raise self._blocked()
        reason = "; ".join(filter(None, [verdict.reason, self._stale()]))
        told = Verdict(verdict.safe, verdict.proven, reason)
        return Sight(told, self._now(), self._vouched())

    def _verdict(self) -> Verdict | None:
        watched = self._chain.verdict()
        if not self._blind or self._clock is None:
            return watched
        lagging = Verdict(
            self._clock[0] - dt.timedelta(seconds=self._lag), proven=False, reason=blind(self._lag)
        )
        return max(filter(None, [watched, lagging]), key=lambda each: each.safe)

    def _vouched(self) -> float:
        """Up to when what was read is vouched for, by the watch or by the lag."""
        if not self._blind or self._clock is None:
            return self._chain.vouched
        return max(self._chain.vouched, self._clock[1] - self._lag)

    def _vouch(self, known: _Key) -> None:
        if known.at < self._vouched():
            known.vouched, known.read, known.at = known.read, None, float("inf")

    def _now(self) -> dt.datetime:
        """The server's clock, as it was at the last look and has gone on since."""
        if self._clock is None:
            raise self._blocked()
        shown, at = self._clock
        return shown + dt.timedelta(seconds=clock.seconds() - at)

    def _stale(self) -> str:
        """Why what is known is no longer of now; empty while it is."""
        age = clock.seconds() - self._clock[1] if self._clock is not None else 0.0
        if age < _STALE_SECONDS:
            return ""
        return f"the watch last saw the source {age:.0f} s ago"

    def _blocked(self) -> Error:
        if (known := self.trouble) is not None:
            return type(known)(known.message, hint=known.hint, **known.context)
        return UnavailableError(
            "the watch has not seen the source yet", where="mysql", source=self._source.name
        )

    def _tell(self, error: Error | None) -> None:
        """Keep what is wrong, log it when it changes, and let those know who wait."""
        before, self.trouble = self.trouble, error
        if error is None and before is not None:
            log.info("watch goes on", source=self._source.name)
        elif error is not None and (before is None or before.message != error.message):
            log.warning(
                "watch interrupted",
                source=self._source.name,
                reason=str(error),
                hint=error.hint,
            )
        self._looked.set()
        self._looked = asyncio.Event()


def blind(lag: float) -> str:
    """Why the bound is a lag."""
    return f"the user has no PROCESS privilege: the bound is {lag:g} s behind the clock"
