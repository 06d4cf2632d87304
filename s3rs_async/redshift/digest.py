"""Rows by their digests, at the target: the same texts as the source's, in Redshift's SQL; pure.

A key is told in the spelling that a position has of it, so that it can be looked for at the source.
Ranges of keys are compared by the target's own order, which is the source's for the forms that a
range is asked for at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..canon import Cell, Form, grouped
from ..model import TableName
from . import sql

_MOMENT = "'YYYY-MM-DD HH24:MI:SS.US'"
_TO_THE_POINT = 20
"""Characters of a moment's text up to its point, and with it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows whose key lies behind `after` and not behind `upto`; empty: from or to the end."""

    key: tuple[Cell, ...]
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
    shown = ", ".join([row(compared), *(_key_text(each) for each in span.key)])
    named = ", ".join(str(int(each)) for each in wanted)
    joined = "AND" if span.after or span.upto else "WHERE"
    return (
        f"SELECT {shown} FROM {_from(table, span)}"
        f" {joined} MOD({row(span.key)}, {int(buckets)}) IN ({named})"
    )


def named(
    table: TableName, key: Sequence[Cell], compared: Sequence[Cell], keys: Sequence[tuple[str, ...]]
) -> str:
    """The digest and the key of the rows with these keys."""
    shown = ", ".join([row(compared), *(_key_text(each) for each in key)])
    branches = [
        " AND ".join(_compared(each, "=", value) for each, value in zip(key, values, strict=True))
        for values in keys
    ]
    any_of = " OR ".join(f"({branch})" for branch in branches)
    return f"SELECT {shown} FROM {sql.qualified(table)} WHERE {any_of}"


def row(compared: Sequence[Cell]) -> str:
    """60 bits of a row's digest, as a whole number."""
    parts = [" || ".join(_part(each) for each in group) for group in grouped(compared)]
    whole = parts[0] if len(parts) == 1 else " || ".join(_digest(part) for part in parts)
    return f"STRTOL(SUBSTRING({_digest(whole)}, 1, 15), 16)"


def _digest(text: str) -> str:
    return f"SHA2({text}, 256)"


def _from(table: TableName, span: Span) -> str:
    conditions = []
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
    name, text = sql.quote(told.name), _text(told)
    if told.long:
        text = _digest(text)
    elif told.form is Form.TEXT:
        text = f"CAST(OCTET_LENGTH({name}) AS VARCHAR(8)) || ':' || {text}"
    else:
        text = f"{text} || ','"
    return f"CASE WHEN {name} IS NULL THEN '-' ELSE {text} END"


def _text(told: Cell) -> str:
    name = sql.quote(told.name)
    match told.form:
        case Form.WHOLE | Form.DECIMAL | Form.SPAN:
            return f"CAST({name} AS VARCHAR(64))"
        case Form.TRUTH:
            return f"CASE WHEN {name} THEN '1' ELSE '0' END"
        case Form.DATE:
            return f"TO_CHAR({name}, 'YYYY-MM-DD')"
        case Form.MOMENT:
            return f"TO_CHAR({name}, {_MOMENT})"
        case Form.TEXT | Form.HEX:
            return name


def _key_text(told: Cell) -> str:
    """A key's column as a position has it."""
    if told.form is not Form.MOMENT:
        return _text(told)
    digits = _TO_THE_POINT + told.fraction if told.fraction else _TO_THE_POINT - 1
    return f"LEFT({_text(told)}, {digits})"
