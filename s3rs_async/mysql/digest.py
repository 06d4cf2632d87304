"""Rows by their digests, at the source: which columns have a text that the target has too; pure.

A column is left out, and told, where no exact text of its values is known to both sides: floats,
geometries, bytes kept as bytes, and texts that a policy may have changed on their way.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..canon import Cell, Comparison, Form, grouped
from ..model import LongText, Position
from . import sql
from .chunk import ReadPlan
from .sql import Mark, Page, identifier
from .types import Cast, Literal, Rule

_BY_CAST = {
    Cast.FLAG: Form.TRUTH,
    Cast.LONG: Form.WHOLE,
    Cast.DATE: Form.DATE,
    Cast.MOMENT: Form.MOMENT,
    Cast.SPAN: Form.SPAN,
    Cast.TEXT: Form.TEXT,
    Cast.HEX: Form.HEX,
}
_IN_ORDER = frozenset({Form.WHOLE, Form.DECIMAL, Form.DATE, Form.MOMENT, Form.HEX})


def comparison(plan: ReadPlan) -> Comparison:
    """Which of a table's columns are compared, and how far its keys can be."""
    told = {rule.name: _cell(rule) for rule in plan.rules}
    key = [told[rule.name] for rule in key_rules(plan)]
    known = tuple(each for each in key if each is not None and _names(each))
    names_all = len(known) == len(key)
    return Comparison(
        compared=tuple(each for each in told.values() if each is not None),
        left_out=tuple(name for name, each in told.items() if each is None),
        key=known if names_all else (),
        ordered=bool(known) and names_all and all(each.form in _IN_ORDER for each in known),
    )


def key_rules(plan: ReadPlan) -> tuple[Rule, ...]:
    """The rules of the columns that rows are known by at the target."""
    by_name = {rule.name: rule for rule in plan.rules}
    return tuple(by_name[name] for name in plan.key)


def _cell(rule: Rule) -> Cell | None:
    """The column as both sides can tell it; None where they cannot."""
    changed = rule.strips or rule.long_text is not LongText.FAIL
    if changed or rule.geometry or rule.arrow in {"double", "float", "binary"}:
        return None
    form = _BY_CAST.get(rule.cast)
    if form is Form.TEXT and rule.literal is Literal.NUMBER and rule.select != "{}":
        return None  # a decimal too wide for one, kept as text: here without its ZEROFILL
    if form is None:
        form = Form.DECIMAL if rule.arrow.startswith("decimal") else Form.WHOLE
    return Cell(rule.name, form, rule.octets or 0, rule.fraction)


def _names(cell: Cell) -> bool:
    """Whether a key's text is the same on both sides and in a position."""
    return cell.form is not Form.SPAN and not cell.long


def total(page: Page, compared: Sequence[Cell]) -> str:
    """The statement that counts a page's rows and adds up their digests."""
    return f"SELECT COUNT(*), SUM({row(compared)}) FROM {_from(page)}"


def count(page: Page, due: str) -> str:
    """The statement that counts them, and those of them that are due."""
    return f"SELECT COUNT(*), SUM({due}) FROM {_from(page)}"


def by_bucket(page: Page, compared: Sequence[Cell], key: Sequence[Cell], buckets: int) -> str:
    """The same for each bucket of keys, of which a key's digest says which is its own."""
    bucket = f"{row(key)} MOD {int(buckets)}"
    return f"SELECT {bucket}, COUNT(*), SUM({row(compared)}) FROM {_from(page)} GROUP BY 1"


def rows(
    page: Page,
    compared: Sequence[Cell],
    key: Sequence[Cell],
    due: str,
    among: tuple[int, Sequence[int]] | None = None,
) -> str:
    """The statement that tells of each row whether it is due, its digest and its key.

    `among` are a number of buckets and those of them that are wanted.
    """
    shown = ", ".join([f"({due})", row(compared), *(_key_text(each) for each in key)])
    if among is None:
        return f"SELECT {shown} FROM {_from(page)}"
    buckets, wanted = among
    named = ", ".join(str(int(each)) for each in wanted)
    return f"SELECT {shown} FROM {_from(page, f'{row(key)} MOD {int(buckets)} IN ({named})')}"


def due(plan: ReadPlan, position: Position | None) -> str:
    """The condition that a row was there to be read by a pass that ended at this position."""
    if plan.whole or position is None:
        return "TRUE"
    if plan.cursor is None:
        return _behind(plan, plan.order, position.key or (), inclusive=True)
    values = (*filter(None, (position.cursor,)), *(position.key or ()))
    seen = _behind(plan, plan.order, values, inclusive=position.key is not None)
    column = plan.cursor_column
    if column is None or not column.nullable:
        return seen
    first = sql.first_of(plan.cursors)
    return f"IF({first} IS NULL, {_null_due(plan, position)}, {seen})"


def _null_due(plan: ReadPlan, position: Position) -> str:
    """The same for a row without a cursor: by its key, where keys grow; else all were read."""
    if not plan.growing:
        return "TRUE"
    return _behind(plan, plan.order[1:], position.nulls or (), inclusive=True)


def _behind(
    plan: ReadPlan, order: Sequence[Rule], values: Sequence[str], *, inclusive: bool
) -> str:
    if not values:
        return "FALSE"
    return sql.conditions(Page(plan.source.name, (), behind=Mark(order, values, inclusive)))


def row(compared: Sequence[Cell]) -> str:
    """60 bits of a row's digest, as a whole number."""
    parts = [f"CONCAT({', '.join(_part(each) for each in group)})" for group in grouped(compared)]
    whole = parts[0] if len(parts) == 1 else f"CONCAT({', '.join(_digest(part) for part in parts)})"
    return f"CAST(CONV(LEFT({_digest(whole)}, 15), 16, 10) AS UNSIGNED)"


def _digest(text: str) -> str:
    return f"SHA2({text}, 256)"


def _from(page: Page, more: str = "") -> str:
    index = f" FORCE INDEX ({identifier(page.index)})" if page.index is not None else ""
    where = " AND ".join(filter(None, (sql.conditions(page), more)))
    return f"{sql.table(page.table)}{index}" + (f" WHERE {where}" if where else "")


def _part(told: Cell) -> str:
    """A column in its row's text: NULL by a mark, every other value with its end."""
    text = _text(told)
    if told.long:
        return f"COALESCE({_digest(text)}, '-')"
    if told.form is Form.TEXT:
        return f"COALESCE(CONCAT(LENGTH({text}), ':', {text}), '-')"
    return f"COALESCE(CONCAT({text}, ','), '-')"


def _text(told: Cell) -> str:
    name = identifier(told.name)
    match told.form:
        case Form.WHOLE | Form.TRUTH | Form.DECIMAL:  # + 0: without what ZEROFILL puts before it
            return f"CAST({name}+0 AS CHAR)"
        case Form.DATE:
            return _of_calendar(name, "%Y-%m-%d")
        case Form.MOMENT:
            return _of_calendar(name, "%Y-%m-%d %H:%i:%s.%f")
        case Form.SPAN:
            micros = f"FLOOR(ABS(TIME_TO_SEC({name}))) * 1000000 + MICROSECOND({name})"
            return f"CAST(IF({name} < 0, -1, 1) * ({micros}) AS CHAR)"
        case Form.TEXT:
            return f"CAST({name} AS CHAR CHARACTER SET utf8mb4)"
        case Form.HEX:
            return f"LOWER(HEX({name}))"


def _of_calendar(name: str, form: str) -> str:
    """A date's text; what no calendar has becomes NULL, as it did on its way."""
    known = f"DAY({name}) BETWEEN 1 AND DAY(LAST_DAY({name})) AND YEAR({name}) > 0"
    return f"IF({known}, DATE_FORMAT({name}, '{form}'), NULL)"


def _key_text(told: Cell) -> str:
    """A key's column as a position has it."""
    if told.form in {Form.DATE, Form.MOMENT}:
        return f"CAST({identifier(told.name)} AS CHAR)"
    return _text(told)
