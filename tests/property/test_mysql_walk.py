"""A walk over a table that is written to meanwhile: nothing is lost, and nothing goes back.

The server is a dictionary that answers pages by their meaning. Writers act between any two pages,
and a pass may end at any chunk's end, as a crash would end it; the next one goes on from the
position that was committed. Some passes read by several connections: whose pages end where they
were found to end, and are read in the worst order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.commit import moves_on
from s3rs_async.model import (
    Bound,
    CursorFormat,
    Mode,
    Position,
    Proof,
    Strategy,
    TableName,
    TableSpec,
)
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.sql import Page
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.types import Literal, Rule
from s3rs_async.mysql.walk import ChunkEnd, Walk

BIRTH = 95  # whole numbers soon have one digit more
LOOK_BACK = 3
READ_ON = 4


@dataclass(frozen=True)
class Row:
    id: int
    at: int | None
    version: int = 1


@dataclass
class Table:
    """Rows by id, a clock that ticks when told, and what writers may do."""

    plan: ReadPlan
    now: int = BIRTH
    rows: dict[int, Row] = field(default_factory=dict)
    last_id: int = 0
    held: list[int] = field(default_factory=list)

    def act(self, what: str, number: int) -> None:
        known = sorted(self.rows)
        if what == "tick":
            self.now += 1 + number % 2
        elif what == "insert":
            self._put(Row(self._id(), self.now))
        elif what == "late":
            self._put(Row(self._id(), self.now - number % (LOOK_BACK + 1)))
        elif what == "unstamped":
            self._put(Row(self._id(), None))
        elif what == "hold":
            self.held.append(self._id())
        elif what == "let go":
            self.let_go(number)
        elif known:
            row = self.rows[known[number % len(known)]]
            self._put(replace(row, at=self.now, version=row.version + 1))

    def let_go(self, number: int = 0) -> None:
        """Commit a row whose id was handed out some time ago."""
        if self.held:
            self._put(Row(self.held.pop(number % len(self.held)), self.now))

    def _id(self) -> int:
        self.last_id += 1
        return self.last_id

    def _put(self, row: Row) -> None:
        self.rows[row.id] = row

    def shown(self, moment: int | None) -> str | None:
        if moment is None or self.plan.format is not CursorFormat.COLUMN:
            return None if moment is None else str(moment)
        return f"2026-01-01 00:{moment // 60:02}:{moment % 60:02}"

    def values(self, row: Row) -> dict[str, str | None]:
        return {"id": str(row.id), "t": self.shown(row.at)}

    def read(self, page: Page) -> list[Row]:
        def key(row: Row) -> tuple[Any, ...]:
            shown = self.values(row)
            return tuple(_comparable(rule, shown[rule.name] or "0") for rule in page.order)

        def fits(row: Row) -> bool:
            first, shown = page.order[0], self.values(row)
            value = shown[first.name]
            ends = (page.start, page.below, page.top, page.after or None, page.upto or None)
            bounded = ends != (None,) * 5
            if page.nulls is not None:
                rule, inside = page.nulls
                if (shown[rule.name] is None) is not inside:
                    return False
            if value is None:
                return not bounded
            at = _comparable(first, value)
            after = tuple(
                _comparable(rule, text) for rule, text in zip(page.order, page.after, strict=False)
            )
            upto = tuple(
                _comparable(rule, text) for rule, text in zip(page.order, page.upto, strict=False)
            )
            return (
                (not after or key(row) > after)
                and (not upto or key(row) <= upto)
                and (page.start is None or at >= _comparable(first, page.start))
                and (page.below is None or at < _comparable(first, page.below))
                and (page.top is None or at <= _comparable(first, page.top))
            )

        found = sorted((row for row in self.rows.values() if fits(row)), key=key)
        return found[: page.limit]

    def edge(self, page: Page, rows: int) -> tuple[str, ...] | None:
        found = self.read(replace(page, limit=rows))
        if len(found) < rows:
            return None
        shown = self.values(found[-1])
        return tuple(shown[rule.name] or "" for rule in page.order)

    def bound(self) -> Bound:
        there = [each for each in self.rows if each < min(self.held, default=each + 1)]
        greatest = str(max(there)) if there else None
        return Bound(self.shown(self.now), Proof.PROVEN, "", nulls_to=greatest, key_to=greatest)


def _comparable(rule: Rule, text: str) -> Any:
    return int(text) if rule.literal is Literal.NUMBER else text


@dataclass
class Target:
    """What has arrived, in order, and how far the table is read."""

    arrived: list[Row] = field(default_factory=list)
    position: Position | None = None
    pages: int = 0

    def merged(self) -> dict[int, Row]:
        return {row.id: row for row in self.arrived}

    def run(
        self, table: Table, meanwhile: Callable[[], None], limit: int, connections: int = 1
    ) -> Iterator[None]:
        """One pass, which may end at any of its chunks."""
        walk = Walk(table.plan, self.position, table.bound())
        self.pages, left = 0, None
        while walk.leg is not None:
            first = walk.shared(limit) if connections > 1 and walk.leg != left else None
            if first is not None:
                left = walk.leg
                for found in self._ahead(table, meanwhile, first, connections):
                    self._take(table, walk, found)
                    yield self._end(walk.closed())
                continue
            if walk.passed and walk.stop is None:
                walk.stop = table.shown(table.now + READ_ON)
            page = walk.page(limit)
            assert page is not None
            self.pages += 1
            self._take(table, walk, table.read(page))
            meanwhile()
            yield self._end(walk.end(limit))

    def _ahead(
        self, table: Table, meanwhile: Callable[[], None], first: Page, connections: int
    ) -> Iterator[list[Row]]:
        """Pages in their order; of those that are open at once the last is read first."""
        page, upto, limit = first, table.edge(first, first.limit or 0), first.limit or 0
        while upto is not None:
            opened: list[Page] = []
            while upto is not None and len(opened) < connections:
                opened.append(replace(page, upto=upto, limit=None))
                page = replace(page, after=upto, start=None, nulls=None)
                meanwhile()
                upto = table.edge(page, limit)
            found: list[list[Row]] = []
            for each in reversed(opened):
                found.insert(0, table.read(each))
                meanwhile()
            yield from found

    def _take(self, table: Table, walk: Walk, found: list[Row]) -> None:
        if found:
            shown = table.values(found[-1])
            walk.took(len(found), [shown[rule.name] for rule in table.plan.rules], {})
        self.arrived += found

    def _end(self, end: ChunkEnd) -> None:
        assert end.moves_watermark is (end.after is not None)
        if end.moves_watermark:
            assert moves_on(self.position, end.after), "a position goes on and never back"
            self.position = end.after


def plan(kind: str = "datetime", *, nullable: bool = False, **asked: Any) -> ReadPlan:
    columns = (
        SourceColumn("id", "int", "int", nullable=False, auto_increment=True),
        SourceColumn("t", kind, kind, nullable=nullable),
    )
    indexes = (("PRIMARY", ("id",)), ("t", ("t",)))
    table = SourceTable(TableName("s", "a"), columns, (("id",),), True, indexes, "InnoDB")
    return choose(table, TableSpec(table.name, **({"cursor": "t"} | asked)))


WRITES = ["tick", "insert", "update"]
IDS = ["tick", "insert", "insert", "hold", "let go"]
MERGED: dict[str, tuple[ReadPlan, list[str]]] = {
    "hybrid": (plan(), WRITES),
    "unix": (plan("bigint", format=CursorFormat.UNIX), WRITES),
    "nullable": (plan(nullable=True), [*WRITES, "unstamped"]),
    "look back": (plan(lookback=float(LOOK_BACK)), [*WRITES, "late"]),
    "unix look back": (
        plan("bigint", format=CursorFormat.UNIX, lookback=float(LOOK_BACK)),
        [*WRITES, "late"],
    ),
    "nullable look back": (
        plan(nullable=True, lookback=float(LOOK_BACK)),
        [*WRITES, "late", "unstamped"],
    ),
    "ids": (plan(strategy=Strategy.ID_ONLY, mode=Mode.MERGE), IDS),
}
APPENDED: dict[str, tuple[ReadPlan, list[str]]] = {
    "appended by time": (plan(strategy=Strategy.TIMESTAMP_ONLY, mode=Mode.APPEND), WRITES),
    "unix, appended": (plan("bigint", format=CursorFormat.UNIX, mode=Mode.APPEND), WRITES),
    "nullable, appended": (plan(nullable=True, mode=Mode.APPEND), [*WRITES, "unstamped"]),
    "ids, appended": (plan(strategy=Strategy.ID_ONLY), IDS),
}


def _is_due(table: Table, row: Row, bound: Bound, hi: int) -> bool:
    if table.plan.cursor is None or row.at is None:
        return row.id <= int(bound.key_to or 0)
    return row.at < hi


class Story:
    """Passes over a table, with writers at work between any two pages."""

    def __init__(self, data: st.DataObject, chosen: ReadPlan, writes: list[str]) -> None:
        acts = st.tuples(st.sampled_from(writes), st.integers(0, 99))
        self.table, self.target = Table(chosen), Target()
        self.acts = data.draw(st.lists(acts, max_size=40), label="acts")
        self.pauses = data.draw(st.lists(st.integers(0, 4), max_size=30), label="acts a page")
        self.passes = data.draw(
            st.lists(
                st.tuples(st.integers(1, 4), st.none() | st.integers(0, 3), st.integers(1, 3)),
                max_size=6,
            ),
            label="limit, when it dies, connections",
        )

    def meanwhile(self) -> None:
        for _ in range(self.pauses.pop() if self.pauses else 0):
            if self.acts:
                self.table.act(*self.acts.pop(0))

    def check_pass(self, limit: int, dies_after: int | None, connections: int = 1) -> None:
        before, hi, bound = dict(self.table.rows), self.table.now, self.table.bound()
        chunks = self.target.run(self.table, self.meanwhile, limit, connections)
        for _ in islice(chunks, dies_after):
            pass
        if dies_after is not None:
            return
        arrived = set(self.target.arrived)
        for row in before.values():
            if _is_due(self.table, row, bound, hi) and self.table.rows[row.id] == row:
                assert row in arrived, "a row below the bound is there when the pass has ended"

    def play(self) -> None:
        for limit, dies_after, connections in self.passes:
            self.meanwhile()
            self.check_pass(limit, dies_after, connections)
        while self.acts:
            self.table.act(*self.acts.pop(0))
        while self.table.held:
            self.table.let_go()
        self.table.now += 9
        self.check_pass(3, None)
        self.check_rest()

    def check_rest(self) -> None:
        """A pass over a table at rest is one page for each leg."""
        chosen, arrived = self.table.plan, len(self.target.arrived)
        self.check_pass(1000, None)
        column = chosen.cursor_column
        nulls = column is not None and column.nullable
        legs = 1 + bool(chosen.spec.lookback) + nulls
        assert self.target.pages <= legs
        assert len(self.target.arrived) == arrived or chosen.spec.lookback


@pytest.mark.parametrize("way", MERGED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_merged_rows_end_as_the_source_has_them(way: str, data: st.DataObject) -> None:
    story = Story(data, *MERGED[way])
    story.play()
    assert story.target.merged() == story.table.rows
    versions: dict[int, int] = {}
    for row in story.target.arrived:
        assert versions.get(row.id, 0) <= row.version, "an older version came after a newer one"
        versions[row.id] = row.version


@pytest.mark.parametrize("way", APPENDED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_appended_rows_arrive_once_each(way: str, data: st.DataObject) -> None:
    story = Story(data, *APPENDED[way])
    story.play()
    assert len(set(story.target.arrived)) == len(story.target.arrived)
    assert story.target.merged() == story.table.rows
