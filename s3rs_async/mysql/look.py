"""One look at a server: its clock, what is under way there, and what its wall clock shows.

The order of the three reads is what makes a bound of them (`watch`): the clock first, then the
statements, then the open transactions.
"""

from __future__ import annotations

import datetime as dt

from ..errors import ConfigError
from . import sql
from .connection import Session
from .watch import Poll, Thread, Transaction

_NO_PRIVILEGE = 1227


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


def _count(text: str | None) -> int:
    return int(text) if text else 0
