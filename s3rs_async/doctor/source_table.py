"""One table of a source, as a pipeline wants it: it is there, may be read, and how it will be.

Its columns are selected with LIMIT 0: that asks for every right that reading them needs, and reads
nothing. The plan is the one a sync would make, and what the plan warns of is a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from .. import clock
from ..errors import ConfigError
from ..model import TableSpec
from ..mysql import custom, sql, zone
from ..mysql.chunk import ReadPlan, choose
from ..mysql.connection import Session
from ..mysql.describe import describe
from ..mysql.schema import read_table
from .check import Sheet, Tell
from .sql import every_column

_WALL_CLOCKS = frozenset({"datetime", "date"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table that a pipeline reads."""

    pipeline: str
    spec: TableSpec


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks at the tables: a session, the zone that is set for it, and its account."""

    session: Session
    cursor_time_zone: str | None
    account: str


async def examine_table(reader: Reader, wanted: Wanted, tell: Tell) -> bool:
    """Every line about the table at its source; whether the source was there at the end."""
    spec = wanted.spec
    sheet = Sheet(f"pipeline {wanted.pipeline}: {spec.table}", tell)
    return await sheet.take([("table", partial(_table, reader, spec, sheet))])


async def _table(reader: Reader, spec: TableSpec, sheet: Sheet) -> None:
    if spec.sql is not None:
        plan = custom.choose(await describe(reader.session, spec), spec)
        sheet.ok("select", f"the query gives {len(plan.rules)} columns")
        _plan(plan, sheet)
        await _cursor_clock(reader, spec, plan, sheet)
        return
    grant = f"GRANT SELECT ON {sql.table(spec.table)} TO {reader.account}"
    try:
        found = await read_table(reader.session, spec.table)
    except ConfigError as error:
        sheet.error("table", error, f"{error.hint}; where it is there: {grant}")
        return
    plan = choose(found, spec)
    wanted = sql.Page(spec.table, plan.rules, where=plan.where, limit=0)
    try:
        await reader.session.query(sql.page(wanted))
    except ConfigError as error:
        sheet.error("select", error, grant)
        return
    await _hidden(reader, plan, sheet, grant)
    _plan(plan, sheet)
    await _cursor_clock(reader, spec, plan, sheet)


async def _hidden(reader: Reader, plan: ReadPlan, sheet: Sheet, grant: str) -> None:
    """Columns without a grant look to the user as if they were not there."""
    seen = f"{len(plan.rules)} columns may be read"
    try:
        await reader.session.query(every_column(sql.table(plan.source.name)))
    except ConfigError:
        sheet.warn("select", f"{seen}, the others are hidden from the user and not copied", grant)
        return
    sheet.ok("select", seen)


def _plan(plan: ReadPlan, sheet: Sheet) -> None:
    by = f" by {', else '.join(plan.cursors)}" if plan.cursors else ""
    key = f", key ({', '.join(plan.key)})" if plan.key else ""
    sheet.ok("plan", f"{plan.strategy}{by}{key}: {plan.reason}")
    for warning in plan.warnings:
        sheet.warn("plan", warning, _mend(plan, warning))


def _mend(plan: ReadPlan, warning: str) -> str:
    order = [rule.name for rule in plan.order]
    if order and warning.startswith("no index has"):
        columns = ", ".join(map(sql.identifier, order))
        return f"ALTER TABLE {sql.table(plan.source.name)} ADD INDEX ({columns})"
    return "change the table at the source, or set strategy, cursor or key for it in the pipeline"


async def _cursor_clock(reader: Reader, spec: TableSpec, plan: ReadPlan, sheet: Sheet) -> None:
    """A cursor without a zone needs a clock that somebody can read."""
    column = plan.cursor_column
    if column is None or column.data_type not in _WALL_CLOCKS:
        return
    asked = spec.cursor_time_zone or reader.cursor_time_zone
    if asked is not None:
        zone.named(asked)
    elif _is_made(plan) or not await tells_its_clock(reader.session):
        found = f"nobody can tell by which clock {column.name} is written"
        sheet.fail("cursor", found, "set cursor_time_zone for the table or its source")


def _is_made(plan: ReadPlan) -> bool:
    """Whether the cursor is none of a table's columns but made by a query."""
    return plan.query is not None and plan.query.origin is None


async def tells_its_clock(session: Session) -> bool:
    """Whether the server can say what its own zone's clock shows."""
    now = clock.utc_now().replace(tzinfo=None)
    ((shown,),) = await session.query(sql.wall_clocks([now]))
    return shown is not None
