"""A target: the way there, what its user may do, its clock, its COPY, and then its tables.

Nothing stays: the one statement that writes is COPY into a temporary table, rolled back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .. import clock
from ..config import S3Config, TargetConfig
from ..redshift.connection import Session, Target, open_target
from ..redshift.sql import LEDGER_SCHEMA
from ..tunnel import Bastions
from . import skew, sql, way
from .check import Sheet, Tell
from .copying import prove_copy
from .rights import Rights
from .target_table import Fed, examine_table


@dataclass(frozen=True, slots=True)
class Ward:
    """A target under examination: its name, its settings, the bucket it copies from."""

    name: str
    config: TargetConfig
    stage: S3Config
    tables: Sequence[Fed]


async def examine_target(ward: Ward, bastions: Bastions, tell: Tell) -> None:
    """Every line about the target and the tables that are fed in it."""
    sheet, config = Sheet(f"target {ward.name}", tell), ward.config
    if config.tunnel is not None:
        bastion = partial(way.through, sheet, bastions, config.tunnel, config.host, config.port)
        if not await sheet.take([("bastion", bastion)], whole=True):
            return
    await sheet.take([("connect", partial(_opened, ward, bastions, sheet))])


async def _opened(ward: Ward, bastions: Bastions, sheet: Sheet) -> None:
    async with open_target(ward.name, ward.config, bastions) as target:
        async with target.session() as session:
            await _session(ward, session, sheet)
            rights = Rights(session, ward.config)
            await sheet.take(
                [
                    ("rights", partial(_rights, rights, sheet)),
                    ("clock", partial(_clock, session, sheet)),
                ]
            )
        await sheet.take([("copy", partial(prove_copy, target, ward.stage, sheet))])
        if ward.tables:
            await _tables(ward, target, sheet.tell)


async def _tables(ward: Ward, target: Target, tell: Tell) -> None:
    async with target.session() as session:
        rights = Rights(session, ward.config)
        for fed in ward.tables:
            if not await examine_table(rights, fed, tell):
                return


async def _session(ward: Ward, session: Session, sheet: Sheet) -> None:
    version = str(await session.value(sql.VERSION)).rpartition(", ")[2]
    sheet.ok("connect", f"{version}, {ward.config.database} as {ward.config.user}")
    way.tell_tls(sheet, ward.config, "" if ward.config.tls == "off" else "on")


async def _rights(rights: Rights, sheet: Sheet) -> None:
    """What every load needs: a temporary table for its stage, and the ledger's schema."""
    grants = [*await rights.to_stage(), *await rights.to_make_in(LEDGER_SCHEMA)]
    if grants:
        sheet.fail("rights", f"the user may not stage or keep {LEDGER_SCHEMA}", "; ".join(grants))
        return
    sheet.ok("rights", f"the user may make temporary tables and tables in {LEDGER_SCHEMA}")


async def _clock(session: Session, sheet: Sheet) -> None:
    await session.execute(sql.IN_UTC)
    before = clock.utc_now()
    theirs: dt.datetime = await session.value(sql.NOW)
    asked = skew.Asked(before, theirs.replace(tzinfo=dt.UTC), clock.utc_now(), resolution=1.0)
    skew.tell(sheet, asked, "the target")
