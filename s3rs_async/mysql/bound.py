"""How far a table may be called read: the bound of a pass, fixed before its first row is read.

The watch (`watch`, pure) is fed here: three reads a poll in their one right order, until nothing
from before its start is left or the wait is over. A user without the PROCESS privilege sees only
itself; then the bound is a lag, and says so. The moment is then told in the cursor's own clock
(`zone`, pure): UTC for a TIMESTAMP, the writers' wall clock for a DATETIME. Which clock that is can
be set; the default is the server's global zone, and the server itself is asked what that clock
shows, since the abbreviation by which it calls its system's zone names no zone.

A DATETIME from the future means that the clock is a wrong one, and rows would be lost: refused.
"""

from __future__ import annotations

import datetime as dt

from .. import clock
from ..errors import ConfigError
from ..model import Bound, Proof
from . import sql, zone
from .chunk import ReadPlan
from .connection import Session, Source
from .table import SourceColumn
from .watch import Poll, Thread, Transaction, Verdict, Watch

_POLL_SECONDS = 0.3
_AHEAD = dt.timedelta(minutes=5)
_NO_PRIVILEGE = 1227


async def fix_bound(
    source: Source, plan: ReadPlan, *, wait: float = 30.0, lag: float = 60.0
) -> Bound:
    """The bound for a pass that begins after this call returns."""
    async with source.session(purpose="bound") as session:
        column = plan.cursor_column
        if column is None:
            now = await _now(session)
            reason = "a full read has no bound: each row is a version that existed"
            return Bound(None, Proof.NONE, _told(now), reason)
        now = await _now(session)
        await _refuse_the_future(session, source, plan, column, now)
        greatest = await _greatest_key(session, plan, column)  # before the first poll, or lost
        verdict, now = await _verdict(session, source, wait=wait, lag=lag)
        instants = zone.around(verdict.safe)
        walls = await _walls(session, source, column, instants)
        hi = zone.least(verdict.safe, instants, walls)
        proof, reason = _level(column, verdict)
        return Bound(
            zone.text(hi, column.data_type, column.fraction or 0),
            proof,
            _told(now),
            reason,
            nulls_to=None if verdict.reason else greatest,
        )


async def reading_ends(session: Session, source: Source, plan: ReadPlan, seconds: float) -> str:
    """The cursor's text that far ahead of the server's clock."""
    column = plan.source.column(plan.cursor or "")
    moment = await _now(session) + dt.timedelta(seconds=seconds)
    (wall,) = await _walls(session, source, column, [moment])
    if column.data_type == "date":
        wall += dt.timedelta(days=1)  # exclusive, and a day is the tick
    return zone.text(wall, column.data_type, column.fraction or 0)


async def _greatest_key(session: Session, plan: ReadPlan, column: SourceColumn) -> str | None:
    """Up to where rows with a NULL cursor may be called read; None where keys do not grow."""
    if not (column.nullable and plan.growing):
        return None
    ((greatest,),) = await session.query(sql.greatest(plan.source.name, plan.key[0]))
    return greatest


def _level(column: SourceColumn, verdict: Verdict) -> tuple[Proof, str]:
    if not column.own_stamp:
        return Proof.NONE, f"the application sets {column.name}, no bound can be proven for it"
    return (Proof.PROVEN if verdict.proven else Proof.BOUNDED), verdict.reason


def _told(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


async def _verdict(
    session: Session, source: Source, *, wait: float, lag: float
) -> tuple[Verdict, dt.datetime]:
    first = await _poll(session)
    if first is None:
        now = await _now(session)
        reason = f"the user has no PROCESS privilege: the bound is {lag:g} s behind the clock"
        return Verdict(now - dt.timedelta(seconds=lag), proven=False, reason=reason), now
    watch = Watch(first, frozenset(source.own))
    deadline = clock.seconds() + wait
    while not watch.over and clock.seconds() < deadline:
        await clock.sleep(_POLL_SECONDS)
        poll = await _poll(session)
        if poll is not None:
            watch.see(poll)
    return watch.verdict(), watch.start


async def _poll(session: Session) -> Poll | None:
    """One look: the clock, then statements, then transactions; None without the privilege."""
    now = await _now(session)
    threads = [
        Thread(int(row[0] or 0), row[1] or "", row[4] or "", _count(row[5]))
        for row in await session.query("SHOW PROCESSLIST")
    ]
    try:
        rows = await session.query(sql.TRANSACTIONS)
    except ConfigError as error:
        if error.context.get("code") != _NO_PRIVILEGE:
            raise
        return None
    transactions = [
        Transaction(_count(thread), number or "", started or "", _count(age))
        for thread, number, started, age in rows
    ]
    return Poll(now, tuple(threads), tuple(transactions))


def _count(text: str | None) -> int:
    return int(text) if text else 0


async def _now(session: Session) -> dt.datetime:
    ((now,),) = await session.query("SELECT UTC_TIMESTAMP(6)")
    return dt.datetime.fromisoformat(now or "").replace(tzinfo=dt.UTC)


async def _walls(
    session: Session, source: Source, column: SourceColumn, instants: list[dt.datetime]
) -> list[dt.datetime]:
    """What the clock behind a column shows at each moment."""
    if column.data_type == "timestamp":
        return zone.walls(dt.UTC, instants)
    if source.config.cursor_time_zone is not None:
        return zone.walls(zone.named(source.config.cursor_time_zone), instants)
    (shown,) = await session.query(sql.wall_clocks([at.replace(tzinfo=None) for at in instants]))
    if any(wall is None for wall in shown):
        raise ConfigError(
            "the source cannot tell what its own clock shows",
            hint="set cursor_time_zone to the zone by whose clock the rows are written",
        )
    return [dt.datetime.fromisoformat(wall or "") for wall in shown]


async def _refuse_the_future(
    session: Session, source: Source, plan: ReadPlan, column: SourceColumn, now: dt.datetime
) -> None:
    if column.data_type != "datetime":
        return
    ((newest,),) = await session.query(sql.greatest(plan.source.name, column.name))
    if newest is None:
        return
    instants = zone.around(now)
    latest = zone.greatest(now, instants, await _walls(session, source, column, instants)) + _AHEAD
    if newest > zone.text(latest, column.data_type, column.fraction or 0):
        raise ConfigError(
            "the newest row is from the future",
            table=str(plan.source.name),
            column=column.name,
            newest=newest,
            clock=zone.text(latest - _AHEAD, column.data_type, 0),
            hint="set cursor_time_zone to the zone by whose clock the rows are written",
        )
