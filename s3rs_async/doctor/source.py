"""A source: the way there, what its user may do, its clock and zone, and then its tables.

Nothing is written: the session is read-only like every other. What is told here holds for all of
the source's tables; what a pipeline asks of one of them is `source_table`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .. import clock
from ..config import SourceConfig
from ..errors import ConfigError
from ..mysql import sql, zone
from ..mysql.connection import Session, open_source
from ..tunnel import Bastions
from . import skew, way
from .check import Sheet, Tell
from .source_table import Reader, Wanted, examine_table, tells_its_clock

_NO_PRIVILEGE = 1227
_SMALL_PACKET = 16 << 20


@dataclass(frozen=True, slots=True)
class _Visit:
    """A session at the source: its settings and, as MySQL writes it, the account we came in as."""

    sheet: Sheet
    config: SourceConfig
    session: Session
    account: str


@dataclass(frozen=True, slots=True)
class Spring:
    """A source under examination: its name, its settings, the tables that are read from it."""

    name: str
    config: SourceConfig
    tables: Sequence[Wanted]


async def examine_source(spring: Spring, bastions: Bastions, tell: Tell) -> None:
    """Every line about the source and the tables that are read from it."""
    sheet, config = Sheet(f"source {spring.name}", tell), spring.config
    if config.tunnel is not None:
        bastion = partial(way.through, sheet, bastions, config.tunnel, config.host, config.port)
        if not await sheet.take([("bastion", bastion)], whole=True):
            return
    await sheet.take([("connect", partial(_opened, spring, bastions, sheet))])


async def _opened(spring: Spring, bastions: Bastions, sheet: Sheet) -> None:
    async with (
        open_source(spring.name, spring.config, bastions) as source,
        source.session(purpose="doctor") as session,
    ):
        ((version, user),) = await session.query("SELECT VERSION(), CURRENT_USER()")
        visit = _Visit(sheet, spring.config, session, _account(user or ""))
        sheet.ok("connect", f"{session.family} {version} as {visit.account}")
        there = await sheet.take(
            [
                ("tls", partial(_tls, visit)),
                ("transactions", partial(_transactions, visit)),
                ("clock", partial(_clock, visit)),
                ("time zone", partial(_time_zone, visit)),
                ("packets", partial(_packets, visit)),
                ("replica", partial(_replica, visit, spring.tables)),
            ]
        )
        reader = Reader(session, spring.config.cursor_time_zone, visit.account)
        for wanted in spring.tables if there else ():
            there = there and await examine_table(reader, wanted, sheet.tell)


def _account(user: str) -> str:
    name, _, host = user.rpartition("@")
    return f"'{name}'@'{host}'"


async def _tls(visit: _Visit) -> None:
    found = await visit.session.query("SHOW SESSION STATUS LIKE 'Ssl_%'")
    facts = {row[0]: row[1] for row in found}
    spoken = " ".join(filter(None, (facts.get("Ssl_version"), facts.get("Ssl_cipher"))))
    way.tell_tls(visit.sheet, visit.config, spoken)


async def _transactions(visit: _Visit) -> None:
    """The same question that the bound asks."""
    try:
        await visit.session.query(sql.TRANSACTIONS)
    except ConfigError as error:
        if error.context.get("code") != _NO_PRIVILEGE:
            raise
        found = "no PROCESS privilege: bounds lag behind the clock and prove nothing"
        visit.sheet.warn("transactions", found, f"GRANT PROCESS ON *.* TO {visit.account}")
        return
    visit.sheet.ok("transactions", "can be seen: bounds can be proven")


async def _clock(visit: _Visit) -> None:
    before = clock.utc_now()
    ((now,),) = await visit.session.query("SELECT UTC_TIMESTAMP(6)")
    after = clock.utc_now()
    theirs = dt.datetime.fromisoformat(now or "").replace(tzinfo=dt.UTC)
    skew.tell(visit.sheet, skew.Asked(before, theirs, after), "the source")


async def _time_zone(visit: _Visit) -> None:
    """By which clock a DATETIME is read: the one that is set, or else the server's own."""
    asked = visit.config.cursor_time_zone
    if asked is not None:
        zone.named(asked)
        visit.sheet.ok("time zone", f"DATETIME cursors are read as {asked}, as set")
        return
    ((own, system),) = await visit.session.query("SELECT @@GLOBAL.time_zone, @@system_time_zone")
    name = f"{own} ({system})" if own == "SYSTEM" else own
    if await tells_its_clock(visit.session):
        visit.sheet.ok("time zone", f"DATETIME cursors are read by the server's own: {name}")
        return
    found = f"the server's tables of time zones do not know its own: {name}"
    mend = "mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql, or set cursor_time_zone"
    visit.sheet.warn("time zone", found, f"{mend} to an offset such as +02:00 or an IANA name")


async def _packets(visit: _Visit) -> None:
    ((packet, wait),) = await visit.session.query(
        "SELECT @@max_allowed_packet, @@GLOBAL.wait_timeout"
    )
    found = f"max_allowed_packet {packet}, wait_timeout {wait} s (our sessions set their own)"
    if int(packet or 0) >= _SMALL_PACKET:
        visit.sheet.ok("packets", found)
        return
    mend = "SET GLOBAL max_allowed_packet = 67108864, and the same in the server's option file"
    visit.sheet.warn("packets", f"{found}: a longer value or row cannot be read", mend)


async def _replica(visit: _Visit, tables: Sequence[Wanted]) -> None:
    """What a replica receives late carries old stamps, and its applier holds no bound back."""
    ((closed,),) = await visit.session.query("SELECT @@GLOBAL.read_only")
    applying = await visit.session.query("SHOW GLOBAL STATUS LIKE 'Slave_running'")
    if closed == "0" and not any(value == "ON" for _, value in applying):
        visit.sheet.ok("replica", "no: it takes writes of its own")
        return
    if (primary := visit.config.replica_of) is not None:
        visit.sheet.ok("replica", f"of {primary}: that tells the bound, and this is waited for")
        return
    found = "it is a replica, or closed to writes: rows may arrive late, under stamps already read"
    if tables and all(wanted.spec.lookback for wanted in tables):
        visit.sheet.ok("replica", "it may be one, and every table is read with a lookback")
        return
    mend = "name its primary with replica_of, or give each table a lookback above its lag"
    visit.sheet.warn("replica", found, mend)
