"""The statements that a pass will send, and what the server says of each.

They come from the walk itself, which is led through all of its legs by a row that it is told it has
taken: what is explained is what will be sent. The row is the table's own first one where an index
finds it at once, else one that lies before any other.

Servers have several forms of EXPLAIN, and each another one by default; the traditional one all of
them have. A view whose tables the user may not see is explained to nobody, and that is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..errors import Error
from ..model import Bound, Position
from . import sql
from .bound import home, marked
from .care import Access, Explained, Statement
from .chunk import ReadPlan
from .connection import Session
from .piece import Results
from .sql import Page
from .types import Literal, Rule
from .walk import LegName, Walk

ROWS = 50_000
"""Of a chunk, as the first one of a pass is; its LIMIT is part of what a server decides by."""

_LEGS: dict[LegName, str] = {
    "nulls": "rows without a cursor value",
    "again": "rows read again",
    "window": "rows by cursor",
    "ids": "rows by id",
    "table": "the whole table",
    "query": "the query",
}
_WITHHELD = 1345
_EARLY = {Literal.NUMBER: "0", Literal.TEXT: "", Literal.BINARY: ""}
_EARLY_MOMENTS = {"date": "1970-01-02", "time": "00:00:00"}


async def explain(
    session: Session, plan: ReadPlan, position: Position | None, bound: Bound
) -> tuple[Explained, ...]:
    """All that a pass from this position will send, explained."""
    row = await _row(session, plan)
    return tuple(
        [await _explained(session, each) for each in statements(plan, position, bound, row)]
    )


async def _explained(session: Session, statement: Statement) -> Explained:
    try:
        rows = await session.query(sql.explain(statement.text))
    except Error as error:
        if error.context.get("code") != _WITHHELD:
            raise
        return Explained(statement, (), "the server explains it to nobody who may not see the view")
    names = [field.name.lower() for field in session.fields]
    accesses = tuple(Access.told(dict(zip(names, row, strict=True))) for row in rows)
    return Explained(statement, accesses)


async def _row(session: Session, plan: ReadPlan) -> tuple[str, ...]:
    """The order's values in the table's first row, or in one that would lie before it."""
    found = None
    if plan.index is not None:
        cursor = plan.cursor_column
        nulls = (plan.order[0], False) if cursor is not None and cursor.nullable else None
        page = Page(plan.source.name, (), plan.order, nulls=nulls, index=plan.index)
        found = await Results(plan).edge(session, page, 1)
    return found or tuple(_early(plan, rule) for rule in plan.order)


def _early(plan: ReadPlan, rule: Rule) -> str:
    if rule.literal is not Literal.MOMENT:
        return _EARLY[rule.literal]
    kind = plan.source.column(rule.name).data_type
    return _EARLY_MOMENTS.get(kind, "1970-01-02 00:00:00")


def statements(
    plan: ReadPlan, position: Position | None, bound: Bound, row: tuple[str, ...], rows: int = ROWS
) -> Iterator[Statement]:
    """Every kind of statement of a pass from this position, which takes this row on its way."""
    if names := marked(plan):
        yield Statement("greatest values", sql.marks(home(plan), names), begins=True)
    yield from _walked(Walk(plan, position, bound), row, rows)
    if position is None and plan.cursor is not None and plan.spec.lookback:
        later = Walk(plan, Position(row[0], row[1:]), bound)
        later.legs = ["again"]
        yield from _walked(later, row, rows)


def _walked(walk: Walk, row: tuple[str, ...], rows: int) -> Iterator[Statement]:
    plan = walk.plan
    values = dict(zip([rule.name for rule in plan.order], row, strict=True))
    last = [values.get(rule.name) for rule in plan.rules]
    while (leg := walk.leg) is not None:
        name = _LEGS[leg]
        first = walk.page(rows)
        if first is not None:
            yield Statement(f"{name}, first chunk", sql.page(first), begins=_begins(first))
        yield from _shared(walk, row, rows)
        if plan.order:
            walk.took(rows, last, {})
            walk.end(rows)
            later = walk.page(rows)
            if later is not None:
                yield Statement(f"{name}, a chunk after a row", sql.page(later))
        walk.end(rows)


def _begins(page: Page) -> bool:
    """Whether nothing says where to begin; NULL has a place of its own in an index."""
    return page.nulls is None and not page.after and page.start is None


def _shared(walk: Walk, row: tuple[str, ...], rows: int) -> Iterator[Statement]:
    """What several connections send: where a page ends, and the page up to there."""
    page = walk.shared(rows) if walk.plan.spec.connections > 1 else None
    if page is None or walk.leg is None:
        return
    name, begins = _LEGS[walk.leg], _begins(page)
    yield Statement(f"{name}, the end of a page", sql.edge(page, rows), begins=begins)
    upto = row if walk.plan.cursor is None or walk.leg == "window" else row[1:]
    between = replace(page, upto=upto, limit=None)
    yield Statement(f"{name}, a page up to a row", sql.page(between), begins=begins)
