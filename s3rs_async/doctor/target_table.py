"""One table of a target, as a pipeline feeds it: it may be written, and nobody else feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from ..model import SourceId, TargetId
from ..redshift import ledger
from ..redshift.sql import LEDGER_SCHEMA, TABLES_PRESENT, fold, ledger_names
from .check import Sheet, Tell
from .rights import Rights

_TARGET: Final = ("SELECT", "INSERT", "DELETE")
_LEDGER: Final = ("SELECT", "INSERT")
_HEAD: Final = ("SELECT", "INSERT", "UPDATE")


@dataclass(frozen=True, slots=True)
class Fed:
    """A table that a pipeline feeds, and from where; `marks`: rows that are gone are marked."""

    pipeline: str
    source: SourceId
    target: TargetId
    marks: bool = False


async def examine_table(rights: Rights, fed: Fed, tell: Tell) -> bool:
    """Every line about the table in its target; whether the target was still there at the end."""
    sheet = Sheet(f"pipeline {fed.pipeline}: {fed.target}", tell)
    return await sheet.take(
        [
            ("rights", partial(_rights, rights, fed, sheet)),
            ("ledger", partial(_feeder, rights, fed, sheet)),
        ]
    )


async def _rights(rights: Rights, fed: Fed, sheet: Sheet) -> None:
    names, table = ledger_names(fed.target), fed.target.table
    ledgers = (LEDGER_SCHEMA, names.ledger.name, names.head.name)
    folded = (fold(table.schema), fold(table.name))
    present = set(await rights.session.fetch(TABLES_PRESENT, *folded, *ledgers))
    used = (*_TARGET, "UPDATE") if fed.marks else _TARGET
    wanted = {table: used, names.ledger: _LEDGER, names.head: _HEAD}
    grants: list[str] = []
    for name, needed in wanted.items():
        if (fold(name.schema), fold(name.name)) in present:
            grants += await rights.to_use(name, needed)
        else:
            grants += await rights.to_make_in(name.schema)
    if grants:
        mend = "; ".join(dict.fromkeys(grants))
        sheet.fail("rights", "the user may not write the table or its ledger", mend)
        return
    there = folded in present
    sheet.ok("rights", "the user may write the table" if there else "the user may make the table")


async def _feeder(rights: Rights, fed: Fed, sheet: Sheet) -> None:
    """What a load would find: another feeder, or rows that nobody accounts for, is an error."""
    head = await ledger.ready(
        rights.session, fed.target, pipeline=fed.pipeline, source=str(fed.source)
    )
    if head is None or not head.batch:
        sheet.ok("ledger", "nothing was loaded yet")
    else:
        sheet.ok("ledger", f"this pipeline has loaded {head.rows_total} rows, seq {head.seq}")
