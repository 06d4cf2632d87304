"""One look at a server: its clock, what is under way there, its wall clock, and what it bears.

The order of the three reads is what makes a bound of them (`watch`): the clock first, then the
statements, then the open transactions.
"""

from __future__ import annotations

import datetime as dt

from ..config import LimitsConfig
from ..errors import ConfigError, Error
from . import sql
from .connection import Session
from .governor import Load
from .watch import Poll, Thread, Transaction

_NO_PRIVILEGE = 1227
_SYNTAX = 1064
_LAG = frozenset({"Seconds_Behind_Source", "Seconds_Behind_Master"})


async def now(session: Session) -> dt.datetime:
    """The server's clock."""
    ((shown,),) = await session.query(sql.NOW)
    return moment(shown)


def moment(shown: str | None) -> dt.datetime:
    """A moment as the server's clock tells it."""
    return dt.datetime.fromisoformat(shown or "").replace(tzinfo=dt.UTC)


async def work(session: Session, at: dt.datetime) -> Poll | None:
    """What is under way, seen after the clock was read; None without the privilege to see it.

    The server shows a hundred bytes of each statement and cuts them as they fall.
    """
    threads = [
        Thread(int(row[0] or 0), row[1] or "", row[4] or "", _count(row[5]))
        for row in await session.query("SHOW PROCESSLIST", torn=True)
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
    return Poll(at, tuple(threads), tuple(transactions))


async def walls(session: Session, instants: list[dt.datetime]) -> list[dt.datetime]:
    """What the clock of the server's global zone shows at each moment."""
    (shown,) = await session.query(sql.wall_clocks([at.replace(tzinfo=None) for at in instants]))
    if any(wall is None for wall in shown):
        raise ConfigError(
            "the source cannot tell what its own clock shows",
            hint="set cursor_time_zone to the zone by whose clock the rows are written",
        )
    return [dt.datetime.fromisoformat(wall or "") for wall in shown]


async def load(session: Session, limits: LimitsConfig) -> Load:
    """What the server bears, as far as there is a limit to it."""
    threads = history = None
    if limits.threads_running is not None:
        ((_, threads),) = await session.query(sql.THREADS_RUNNING)
    if limits.history_length is not None:
        ((history,),) = await session.query(sql.HISTORY_LENGTH)
    lag = await _replica_lag(session) if limits.replica_lag is not None else None
    return Load(
        threads_running=None if threads is None else int(threads),
        history_length=None if history is None else int(history),
        replica_lag=lag,
    )


async def _replica_lag(session: Session) -> float | None:
    """Seconds behind the primary; None where there is none, endless where nothing is replicated."""
    known, older = sql.REPLICA_STATUS
    try:
        rows = await session.query(known)
    except Error as error:
        if error.context.get("code") != _SYNTAX:
            raise
        rows = await session.query(older)
    names = [field.name for field in session.fields]
    lags = [row[names.index(name)] for row in rows for name in _LAG & set(names)]
    return max((float("inf") if lag is None else float(lag) for lag in lags), default=None)


def _count(text: str | None) -> int:
    return int(text) if text else 0
