"""Rows by their digests, at the source: which columns have a text that the target has too; pure.

A column is left out, and told, where no exact text of its values is known to both sides: floats,
geometries, bytes kept as bytes, and texts that a policy may have changed on their way.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..canon import DIGITS, LETTER_DIGITS, LETTERS, Cell, Comparison, Form, grouped
from ..model import Dates, Deletes, LongText, Position
from . import sql
from .chunk import ReadPlan
from .sql import Mark, Page, identifier
from .table import SourceColumn
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
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_UTF8 = frozenset({"utf8", "utf8mb3", "utf8mb4"})
_IN_ORDER = frozenset({Form.WHOLE, Form.DECIMAL, Form.DATE, Form.MOMENT, Form.HEX})


def comparison(plan: ReadPlan) -> Comparison:
    """Which of a table's columns are compared, and how far its keys can be."""
    told = {rule.name: _cell(plan.source.column(rule.name), rule) for rule in plan.rules}
    key = [told[rule.name] for rule in key_rules(plan)]
    known = tuple(each for each in key if each is not None and _names(each))
    names_all = len(known) == len(key)
    return Comparison(
        compared=tuple(each for each in told.values() if each is not None),
        left_out=tuple(name for name, each in told.items() if each is None),
        key=known if names_all else (),
        ordered=bool(known) and names_all and all(each.form in _IN_ORDER for each in known),
        marked=plan.spec.deletes is Deletes.SOFT,
    )


def key_rules(plan: ReadPlan) -> tuple[Rule, ...]:
    """The rules of the columns that rows are known by at the target."""
    by_name = {rule.name: rule for rule in plan.rules}
    return tuple(by_name[name] for name in plan.key)


def _cell(column: SourceColumn, rule: Rule) -> Cell | None:
    """The column as both sides can tell it; None where they cannot."""
    changed = rule.strips or rule.long_text is not LongText.FAIL
    if changed or rule.geometry or rule.arrow in {"double", "float", "binary"}:
        return None
    form = _BY_CAST.get(rule.cast)
    if form is Form.TEXT and rule.literal is Literal.NUMBER and rule.select != "{}":
        return None  # a decimal too wide for one, kept as text: here without its ZEROFILL
    if form is None:
        form = Form.DECIMAL if rule.arrow.startswith("decimal") else Form.WHOLE
    return Cell(
        rule.name,
        form,
        nullable=rule.nullable,
        octets=rule.octets or 0,
        fraction=rule.fraction,
        converted=_is_converted(column, rule, form),
        odd_dates=rule.policies.dates is Dates.NULL,
    )


def _is_converted(column: SourceColumn, rule: Rule, form: Form) -> bool:
    if form is Form.TEXT:
        return column.data_type not in _TEXTS or column.charset not in _UTF8
    return rule.select != "{}" or column.data_type == "year"


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
    """A row's digest, as a whole number."""
    texts = [f"CONCAT({', '.join(map(_part, group))})" for group in grouped(compared)]
    whole = texts[0] if len(texts) == 1 else f"CONCAT({', '.join(map(_digest, texts))})"
    digits = f"LEFT({_digest(whole)}, {DIGITS})"
    for letter, digit in zip(LETTERS, LETTER_DIGITS, strict=True):
        digits = f"REPLACE({digits}, '{letter}', '{digit}')"
    return f"CAST({digits} AS UNSIGNED)"


def _digest(text: str) -> str:
    return f"SHA2({text}, 256)"


def _from(page: Page, more: str = "") -> str:
    index = f" FORCE INDEX ({identifier(page.index)})" if page.index is not None else ""
    where = " AND ".join(filter(None, (sql.conditions(page), more)))
    return f"{sql.table(page.table)}{index}" + (f" WHERE {where}" if where else "")


def _part(told: Cell) -> str:
    """A column in its row's text, as arguments of the one CONCAT: each call would cost a copy."""
    text = _text(told)
    if told.long:
        return f"{_or_mark(told, _digest(text))}, ','"
    if told.form is Form.TEXT:
        whole = f"COALESCE({text}, '')" if told.nullable else text
        return f"{_or_mark(told, f'LENGTH({text})')}, ':', {whole}"
    return f"{_or_mark(told, text)}, ','"


def _or_mark(told: Cell, text: str) -> str:
    return f"COALESCE({text}, '-')" if told.nullable else text


def _text(told: Cell) -> str:
    name = identifier(told.name)
    match told.form:
        case Form.WHOLE | Form.TRUTH | Form.DECIMAL:
            return f"{name}+0" if told.converted else name
        case Form.DATE | Form.MOMENT:
            return _of_calendar(name) if told.odd_dates else f"CAST({name} AS CHAR)"
        case Form.SPAN:
            micros = f"FLOOR(ABS(TIME_TO_SEC({name}))) * 1000000 + MICROSECOND({name})"
            return f"CAST(IF({name} < 0, -1, 1) * ({micros}) AS CHAR)"
        case Form.TEXT:
            return f"CAST({name} AS CHAR CHARACTER SET utf8mb4)" if told.converted else name
        case Form.HEX:
            return f"LOWER(HEX({name}))"


def _of_calendar(name: str) -> str:
    """A date's text; what no calendar has becomes NULL, as it did on its way."""
    known = f"DAY({name}) BETWEEN 1 AND DAY(LAST_DAY({name})) AND YEAR({name}) > 0"
    return f"IF({known}, CAST({name} AS CHAR), NULL)"


def _key_text(told: Cell) -> str:
    """A key's column as a position has it."""
    if told.form in {Form.DATE, Form.MOMENT}:
        return f"CAST({identifier(told.name)} AS CHAR)"
    return _text(told)
