"""How far a table may be called read: the bound of a pass, fixed before its first row is read.

Which moment is safe says a watch (`watch`, pure): the source's running one (`lookout`), or one of
the pass's own, three reads a poll until nothing from before its start is left or the wait is over.
A user without the PROCESS privilege sees only itself; then the bound is a lag, and says so.

The moment is then told in the cursor's own terms (`zone`, pure): UTC for a TIMESTAMP, the writers'
wall clock for a DATETIME, seconds since 1970 for a whole number. Which wall clock that is can be
set; the default is the server's global zone, and the server itself is asked what that clock shows,
since the abbreviation by which it calls its system's zone names no zone.

Ids have no clock. The greatest one is read before the first poll of the watch that vouches for it,
since an id handed out later may be missing below one handed out before.

A cursor from the future means that the clock is a wrong one, and rows would be lost: refused.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .. import clock
from ..errors import ConfigError, DataError
from ..model import Bound, CursorFormat, Proof, Strategy, TableName
from . import look, sql, zone
from .chunk import ReadPlan
from .connection import Cell, Session, Source
from .lookout import LAG_SECONDS, Lookout, blind
from .schema import columns_of
from .table import SourceColumn
from .watch import Verdict, Watch

_POLL_SECONDS = 0.3
_AHEAD = dt.timedelta(minutes=5)
_PER_SECOND = {CursorFormat.UNIX: 1, CursorFormat.UNIX_MS: 1000}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CHANGED = frozenset({1049, 1054, 1146})


async def fix_bound(
    source: Source,
    plan: ReadPlan,
    *,
    lookout: Lookout | None = None,
    wait: float = 30.0,
    lag: float = LAG_SECONDS,
) -> Bound:
    """The bound for a pass that begins after this call returns.

    With a lookout only a greatest key is waited for, and the last one that held is taken if the
    wait is over; without one the watch takes as long as what is under way, or `wait`.
    """
    terms = _Terms(source, plan, lookout)
    async with source.session(purpose="bound") as session:
        marks = await _marks(session, plan)
        if plan.whole or plan.errand is not None:
            return _unbounded(plan, marks)
        await terms.refuse_the_future(session, marks)
        if lookout is None:
            watched = await _watched(session, source, wait)
            if watched is None:
                return await _blind(session, terms, marks, wait=wait, lag=lag)
            verdict, now = watched
            key = marks.key if not verdict.reason else None
            return await terms.bound(session, verdict, now, key)
    return await _of_lookout(terms, lookout, marks, wait)


async def renew(
    source: Source, plan: ReadPlan, *, lookout: Lookout, wait: float = 30.0
) -> Bound | None:
    """The bound for one more pass by a plan that was made before; None if its table has changed.

    One statement, unless the wall clock of the server is not known to the lookout yet. What a query
    gives is asked anew for each pass.
    """
    if plan.query is not None:
        return None
    terms = _Terms(source, plan, lookout)
    async with source.session(purpose="bound") as session:
        marks = await _marks_of_same(session, plan)
        if marks is None:
            return None
        if plan.whole or plan.errand is not None:
            return _unbounded(plan, marks)
        await terms.refuse_the_future(session, marks)
    return await _of_lookout(terms, lookout, marks, wait)


async def reading_ends(session: Session, source: Source, plan: ReadPlan, seconds: float) -> str:
    """The cursor's text that far ahead of the server's clock."""
    terms = _Terms(source, plan, None)
    moment = await look.now(session) + dt.timedelta(seconds=seconds)
    if plan.format is not CursorFormat.COLUMN:
        return terms.number(moment)
    column = plan.source.column(plan.cursor or "")
    (wall,) = await terms.walls(session, column, [moment])
    if column.data_type == "date":
        wall += dt.timedelta(days=1)  # exclusive, and a day is the tick
    return zone.text(wall, column.data_type, column.fraction or 0)


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a table's newest rows say: its greatest cursor and key, where the bound needs them.

    `now` is the server's clock, `read` the moment of ours at which all this was read.
    """

    now: dt.datetime
    newest: Cell
    key: Cell
    read: float


async def _marks(session: Session, plan: ReadPlan) -> _Marks:
    (row,) = await session.query(sql.marks(home(plan), marked(plan)))
    return _marks_in(plan, row)


async def _marks_of_same(session: Session, plan: ReadPlan) -> _Marks | None:
    """The same, by one statement with the columns; None if they are no longer the plan's."""
    wanted = marked(plan)
    try:
        rows = await session.query(sql.column_facts_and_marks(plan.source.name, wanted))
    except (ConfigError, DataError) as error:
        if error.context.get("code") not in _CHANGED:
            raise
        return None
    if columns_of(rows) != plan.source.columns:
        return None
    return _marks_in(plan, rows[0][-1 - len(wanted) :])


def home(plan: ReadPlan) -> TableName:
    """The table that has the columns whose greatest values are asked for."""
    origin = plan.query.origin if plan.query is not None else None
    return plan.source.name if origin is None else origin[0]


def marked(plan: ReadPlan) -> list[tuple[str, ...]]:
    """The columns whose greatest values the bound needs: those of the cursor, the key."""
    newest, key = _checked(plan), _growing(plan)
    origin = plan.query.origin if plan.query is not None else None
    names = [plan.cursors] if newest is not None else []
    names += [(key.name,)] if key is not None else []
    return names if origin is None else [(origin[1],)] * len(names)


def _marks_in(plan: ReadPlan, row: tuple[Cell, ...]) -> _Marks:
    now, *values = row
    newest = values[0] if _checked(plan) is not None else None
    key = values[-1] if _growing(plan) is not None else None
    return _Marks(look.moment(now), newest, key, clock.seconds())


def _checked(plan: ReadPlan) -> SourceColumn | None:
    """The cursor, where it can be from the future; a query's, where a table has it."""
    column = plan.cursor_column
    if column is None or plan.format is CursorFormat.ID:
        return None
    if plan.format is CursorFormat.COLUMN and column.data_type != "datetime":
        return None
    return None if plan.query is not None and plan.query.origin is None else column


def _growing(plan: ReadPlan) -> SourceColumn | None:
    """The key up to which rows can be called read: the id, or what NULL cursors are read by."""
    if plan.strategy is Strategy.ID_ONLY:
        return plan.id_column
    column = plan.cursor_column
    if plan.format is CursorFormat.ID:
        return column
    if column is None or not (column.nullable and plan.growing):
        return None
    return plan.source.column(plan.key[0])


def _unbounded(plan: ReadPlan, marks: _Marks) -> Bound:
    what = "a full read" if plan.errand is None else "what is read anew"
    reason = f"{what} has no bound: each row is a version that existed"
    return Bound(None, Proof.NONE, _told(marks.now), reason)


async def _of_lookout(terms: _Terms, lookout: Lookout, marks: _Marks, wait: float) -> Bound:
    """The bound as the lookout knows it; a key is waited for only if it is a new one."""
    if _growing(terms.plan) is None:
        sight = await lookout.sight(within=wait)
        return await terms.bound(None, sight.verdict, sight.now, None)
    table, (name,) = home(terms.plan), marked(terms.plan)[-1]
    lookout.key_read(table, name, marks.key, marks.read)
    is_new = marks.key != lookout.vouched_key(table, name)
    sight = await lookout.sight(after=marks.read if is_new else None, within=wait)
    if is_new and sight.vouched > marks.read:
        lookout.key_vouched(table, name, marks.key)
    key = lookout.vouched_key(table, name)
    return await terms.bound(None, sight.verdict, sight.now, key)


async def _watched(
    session: Session, source: Source, wait: float
) -> tuple[Verdict, dt.datetime] | None:
    """What a watch of the pass's own says, and when it began; None without the privilege."""
    first = await look.work(session, await look.now(session))
    if first is None:
        return None
    watch = Watch(first, frozenset(source.own))
    deadline = clock.seconds() + wait
    while not watch.over and clock.seconds() < deadline:
        await clock.sleep(_POLL_SECONDS)
        poll = await look.work(session, await look.now(session))
        if poll is not None:
            watch.see(poll)
    return watch.verdict(), watch.start


async def _blind(
    session: Session, terms: _Terms, marks: _Marks, *, wait: float, lag: float
) -> Bound:
    """The bound where nothing can be watched: a lag behind the clock; ids are let grow old."""
    key, aged = None, lag
    if terms.plan.strategy is Strategy.ID_ONLY or terms.plan.format is CursorFormat.ID:
        key, aged = marks.key, min(wait, lag)
        await clock.sleep(aged)
    safe = marks.now - dt.timedelta(seconds=lag)
    return await terms.bound(
        session, Verdict(safe, proven=False, reason=blind(aged)), marks.now, key
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """In which terms a plan's cursor tells a moment."""

    source: Source
    plan: ReadPlan
    lookout: Lookout | None

    async def bound(
        self, session: Session | None, verdict: Verdict, now: dt.datetime, key: str | None
    ) -> Bound:
        """The verdict as a bound."""
        plan, column = self.plan, self.plan.cursor_column
        if column is None:
            return self._of_ids(verdict, now, key)
        if plan.format is CursorFormat.ID:
            return self._beyond_ids(column, verdict, now, key)
        proof, reason = _level(column, verdict, own=column.own_stamp)
        if plan.format is CursorFormat.COLUMN:
            instants = zone.around(verdict.safe)
            walls = await self.walls(session, column, instants)
            hi = zone.least(verdict.safe, instants, walls)
            text = zone.text(hi, column.data_type, column.fraction or 0)
        else:
            text = self.number(verdict.safe)
        return Bound(text, proof, _told(now), reason, nulls_to=key)

    def _of_ids(self, verdict: Verdict, now: dt.datetime, key: str | None) -> Bound:
        column = self.plan.id_column
        if column is None:
            raise ValueError("a plan without cursor and id has no bound")
        proof, reason = _level(column, verdict, own=column.auto_increment)
        return Bound(None, proof, _told(now), reason, key_to=key)

    def _beyond_ids(
        self, column: SourceColumn, verdict: Verdict, now: dt.datetime, key: str | None
    ) -> Bound:
        """The first id that is not known to be all there."""
        proof, reason = _level(column, verdict, own=column.auto_increment)
        return Bound(None if key is None else str(int(key) + 1), proof, _told(now), reason)

    def number(self, moment: dt.datetime) -> str:
        """The whole number since 1970 for a moment, cut down to its tick."""
        tick = dt.timedelta(seconds=1) / _PER_SECOND[self.plan.format]
        return str((moment - _EPOCH) // tick)

    async def walls(
        self, session: Session | None, column: SourceColumn, instants: list[dt.datetime]
    ) -> list[dt.datetime]:
        """What the clock behind a column shows at each moment; the server's by its own word."""
        if column.data_type == "timestamp":
            return zone.walls(dt.UTC, instants)
        named = self.plan.spec.cursor_time_zone or self.source.config.cursor_time_zone
        if named is not None:
            return zone.walls(zone.named(named), instants)
        self._check_told(column)
        known = self.lookout.walls(instants) if self.lookout is not None else None
        if known is not None:
            return known
        if session is not None:
            return await look.walls(session, instants)
        async with self.source.session(purpose="bound") as own:
            return await look.walls(own, instants)

    def _check_told(self, column: SourceColumn) -> None:
        """What a query makes of several columns may be in any zone: UTC, if they are TIMESTAMPs."""
        query = self.plan.query
        if query is not None and query.origin is None:
            raise ConfigError(
                "nothing says by which clock the query's cursor is told",
                table=str(self.plan.source.name),
                column=column.name,
                type=column.column_type,
                setting="cursor_time_zone",
                hint="set cursor_time_zone for the table: '+00:00' if it is made of TIMESTAMP "
                "columns, else the zone by whose clock the rows are written",
            )

    async def refuse_the_future(self, session: Session, marks: _Marks) -> None:
        """ConfigError where the newest row is more than five minutes ahead of its clock."""
        column = _checked(self.plan)
        if column is None or marks.newest is None:
            return
        if self.plan.format is not CursorFormat.COLUMN:
            latest = self.number(marks.now + _AHEAD)
            ahead, shown = int(marks.newest) > int(latest), self.number(marks.now)
            hint = "set timestamp_format to the unit in which the numbers count since 1970"
        else:
            instants = zone.around(marks.now)
            walls = await self.walls(session, column, instants)
            wall = zone.greatest(marks.now, instants, walls)
            latest = zone.text(wall + _AHEAD, column.data_type, column.fraction or 0)
            ahead, shown = marks.newest > latest, zone.text(wall, column.data_type, 0)
            hint = "set cursor_time_zone to the zone by whose clock the rows are written"
        if ahead:
            raise ConfigError(
                "the newest row is from the future",
                table=str(self.plan.source.name),
                column=column.name,
                newest=marks.newest,
                clock=shown,
                hint=hint,
            )


def _level(column: SourceColumn, verdict: Verdict, *, own: bool) -> tuple[Proof, str]:
    if not own:
        return Proof.NONE, f"the application sets {column.name}, no bound can be proven for it"
    return (Proof.PROVEN if verdict.proven else Proof.BOUNDED), verdict.reason


def _told(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="microseconds")
