"""Expressions of SQL over one row, as closures; what has no shape here is an error."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

Row = tuple[Any, ...]
Value = Callable[[Row, dict[str, int], "Given"], Any]

_COMPARED: dict[type[exp.Expression], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}


class UnknownStatementError(AssertionError):
    """The product sends a statement that this warehouse was not taught."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one statement brings beside its shape."""

    args: Sequence[Any]
    literals: Sequence[str]
    stage: str


def value_of(tree: Any) -> Value:
    """An expression over one row."""
    if isinstance(tree, exp.EQ) and isinstance(tree.expression, exp.Any):
        return _any_of(tree)
    if type(tree) in _COMPARED:
        return _compared(tree)
    maker = _VALUES.get(type(tree))
    if maker is None:
        raise UnknownStatementError(tree.sql())
    return maker(tree)


def _column(tree: Any) -> Value:
    name = tree.name
    return lambda row, at, _: row[at[name]]


def _literal(tree: Any) -> Value:
    if not tree.is_string:
        constant = int(tree.name)
        return lambda *_: constant
    number = int(tree.name.removeprefix("@"))
    return lambda _, __, given: given.literals[number]


def _parameter(tree: Any) -> Value:
    place = int(tree.name) - 1
    return lambda _, __, given: given.args[place]


def _negated(tree: Any) -> Value:
    inner = value_of(tree.this)
    return lambda row, at, given: not inner(row, at, given)


def _is_null(tree: Any) -> Value:
    if not isinstance(tree.expression, exp.Null):
        raise UnknownStatementError(tree.sql())
    tested = value_of(tree.this)
    return lambda row, at, given: tested(row, at, given) is None


def _any_of(tree: Any) -> Value:
    left, some = value_of(tree.this), value_of(tree.expression.this)
    return lambda row, at, given: left(row, at, given) in some(row, at, given)


def _coalesced(tree: Any) -> Value:
    parts = [value_of(part) for part in (tree.this, *tree.expressions)]

    def first(row: Row, at: dict[str, int], given: Given) -> Any:
        values = (part(row, at, given) for part in parts)
        return next((value for value in values if value is not None), None)

    return first


def _joined(tree: Any) -> Value:
    left, right = value_of(tree.left), value_of(tree.right)
    if isinstance(tree, exp.And):
        return lambda row, at, given: left(row, at, given) and right(row, at, given)
    return lambda row, at, given: left(row, at, given) or right(row, at, given)


def _within(tree: Any) -> Value:
    if tree.args.get("query"):
        raise UnknownStatementError(tree.sql())
    left, options = value_of(tree.this), [value_of(each) for each in tree.expressions]
    return lambda row, at, given: (
        left(row, at, given) in [option(row, at, given) for option in options]
    )


def _compared(tree: Any) -> Value:
    left, right, holds = value_of(tree.left), value_of(tree.right), _COMPARED[type(tree)]

    def compare(row: Row, at: dict[str, int], given: Given) -> bool:
        a, b = left(row, at, given), right(row, at, given)
        if a is None or b is None:
            return False
        if isinstance(a, dt.datetime) and isinstance(b, str):
            b = dt.datetime.fromisoformat(b)
        return holds(a, b)

    return compare


_VALUES: dict[type[exp.Expression], Callable[[Any], Value]] = {
    exp.Paren: lambda tree: value_of(tree.this),
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Null: lambda _: lambda *_: None,
    exp.Parameter: _parameter,
    exp.And: _joined,
    exp.Or: _joined,
    exp.Not: _negated,
    exp.Is: _is_null,
    exp.In: _within,
    exp.Coalesce: _coalesced,
}
