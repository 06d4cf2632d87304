"""Rows by their digests, at the target: the same texts as the source's, in Redshift's SQL; pure.

A key's text is the spelling that a position has of it, so that it can be looked for at the source.
Ranges of keys are compared by the target's own order, which is the source's for the forms that a
range is asked for at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..canon import DIGITS, LETTER_DIGITS, LETTERS, Cell, Form, grouped
from ..model import DELETED_AT, TableName
from . import sql

_SECOND = "'YYYY-MM-DD HH24:MI:SS'"
_MICROSECOND = "'YYYY-MM-DD HH24:MI:SS.US'"
_TO_THE_POINT = 20
"""Characters of a moment's text up to its point, and with it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows whose key lies behind `after` and not behind `upto`; empty: from or to the end.

    Those that are `marked` as gone are left out, where there are such marks.
    """

    key: tuple[Cell, ...]
    marked: bool = False
    after: tuple[str, ...] = ()
    upto: tuple[str, ...] = ()


def total(table: TableName, span: Span, compared: Sequence[Cell]) -> str:
    """The statement that counts a span's rows and adds up their digests."""
    return f"SELECT COUNT(*), SUM({row(compared)}) FROM {_from(table, span)}"


def count(table: TableName, span: Span) -> str:
    """The statement that only counts them."""
    return f"SELECT COUNT(*) FROM {_from(table, span)}"


def by_bucket(table: TableName, span: Span, compared: Sequence[Cell], buckets: int) -> str:
    """The same for each bucket of keys."""
    bucket = f"MOD({row(span.key)}, {int(buckets)})"
    return f"SELECT {bucket}, COUNT(*), SUM({row(compared)}) FROM {_from(table, span)} GROUP BY 1"


def rows(
    table: TableName, span: Span, compared: Sequence[Cell], buckets: int, wanted: Sequence[int]
) -> str:
    """The digest and the key of each row in some buckets."""
    shown = ", ".join([row(compared), *(_text(each) for each in span.key)])
    named = ", ".join(str(int(each)) for each in wanted)
    chosen = f"MOD({row(span.key)}, {int(buckets)}) IN ({named})"
    return f"SELECT {shown} FROM {_from(table, span, chosen)}"


def named(
    table: TableName, span: Span, compared: Sequence[Cell], keys: Sequence[tuple[str, ...]]
) -> str:
    """The digest and the key of a span's rows with these keys."""
    shown = ", ".join([row(compared), *(_text(each) for each in span.key)])
    branches = [
        " AND ".join(
            _compared(each, "=", value) for each, value in zip(span.key, values, strict=True)
        )
        for values in keys
    ]
    any_of = " OR ".join(f"({branch})" for branch in branches)
    return f"SELECT {shown} FROM {_from(table, span, f'({any_of})')}"


def row(compared: Sequence[Cell]) -> str:
    """A row's digest, as a whole number."""
    texts = [_joined([_part(each) for each in group]) for group in grouped(compared)]
    whole = texts[0] if len(texts) == 1 else _joined([_digest(text) for text in texts])
    digits = f"SUBSTRING({_digest(whole)}, 1, {DIGITS})"
    return f"CAST(TRANSLATE({digits}, '{LETTERS}', '{LETTER_DIGITS}') AS BIGINT)"


def _joined(texts: Sequence[str]) -> str:
    """Halves of halves: one long chain would copy the row's text once for each column."""
    if len(texts) == 1:
        return texts[0]
    middle = len(texts) // 2
    return f"({_joined(texts[:middle])} || {_joined(texts[middle:])})"


def _digest(text: str) -> str:
    return f"SHA2({text}, 256)"


def _from(table: TableName, span: Span, *more: str) -> str:
    conditions = list(more)
    if span.marked:
        conditions.append(f"{sql.quote(DELETED_AT)} IS NULL")
    if span.after:
        conditions.append(_on_a_side(span.key, span.after, ">", ">"))
    if span.upto:
        conditions.append(_on_a_side(span.key, span.upto, "<", "<="))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{sql.qualified(table)}{where}"


def _on_a_side(key: Sequence[Cell], values: Sequence[str], sign: str, tied: str) -> str:
    branches = []
    signs = [sign] * (len(key) - 1) + [tied]
    for depth, (each, value) in enumerate(zip(key, values, strict=True)):
        equal = [
            _compared(*pair)
            for pair in zip(key[:depth], ["="] * depth, values[:depth], strict=True)
        ]
        branches.append(" AND ".join([*equal, _compared(each, signs[depth], value)]))
    return "(" + " OR ".join(f"({branch})" for branch in branches) + ")"


def _compared(told: Cell, sign: str, value: str) -> str:
    number = told.form in {Form.WHOLE, Form.DECIMAL, Form.SPAN}
    return f"{sql.quote(told.name)} {sign} {sql.number(value) if number else sql.literal(value)}"


def _part(told: Cell) -> str:
    """A column in its row's text: NULL by a mark, every other value with its end."""
    name, text = sql.quote(told.name), _text(told)
    if told.long:
        return f"COALESCE({_digest(text)}, '-') || ','"
    if told.form is Form.TEXT:
        length = f"CAST(OCTET_LENGTH({name}) AS VARCHAR(8))"
        return f"COALESCE({length}, '-') || ':' || COALESCE({text}, '')"
    return f"COALESCE({text}, '-') || ','"


def _text(told: Cell) -> str:
    name = sql.quote(told.name)
    match told.form:
        case Form.WHOLE | Form.DECIMAL | Form.SPAN:
            return f"CAST({name} AS VARCHAR(64))"
        case Form.TRUTH:
            return f"CASE WHEN {name} THEN '1' WHEN NOT {name} THEN '0' END"
        case Form.DATE:
            return f"TO_CHAR({name}, 'YYYY-MM-DD')"
        case Form.MOMENT:
            return _moment(name, told.fraction)
        case Form.TEXT | Form.HEX:
            return name


def _moment(name: str, fraction: int) -> str:
    """With as many digits behind the second as the source's column has."""
    if not fraction:
        return f"TO_CHAR({name}, {_SECOND})"
    return f"LEFT(TO_CHAR({name}, {_MICROSECOND}), {_TO_THE_POINT + fraction})"
