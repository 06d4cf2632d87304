"""The few shapes of SQL that the product sends to its target, as functions on tables in memory.

A statement is parsed once for each shape (its literals and the stage's name taken out) and turned
into a closure; what has no shape here is an error that names it, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol

import sqlglot
from sqlglot import exp

from tests.simulation.expressions import Given, Row, UnknownStatementError, value_of

_STAGE = re.compile(r"\bst_[0-9a-z]{26}\b")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_AGGREGATES: dict[type[exp.Expression], Callable[[list[Any]], Any]] = {
    exp.Count: len,
    exp.Max: lambda values: max(values, default=None),
    exp.Min: lambda values: min(values, default=None),
    exp.Sum: lambda values: sum(values) if values else None,
}


class Tables(Protocol):
    """What a statement may do to tables; rows have identities that outlive their values."""

    def columns(self, name: str) -> Sequence[str]: ...

    def scan(self, name: str) -> dict[int, Row]: ...

    def insert(self, name: str, rows: Sequence[Row]) -> None: ...

    def delete(self, name: str, ids: Sequence[int]) -> None: ...

    def replace(self, name: str, rows: dict[int, Row]) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A statement's tag and rows."""

    tag: str
    rows: Sequence[Row] = ()


Work = Callable[[Tables, Given], Answer]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement understood: the tables that it touches (the first is written), what it does."""

    touched: tuple[str, ...]
    writes: bool
    work: Work
    given: Given


def understood(text: str, args: Sequence[Any]) -> Statement:
    """A SELECT, INSERT, UPDATE or DELETE as something that can be done."""
    shape, literals, stage = _parted(text)
    touched, writes, work = _shaped(shape)
    given = Given(args, literals, stage)
    return Statement(tuple(stage if t == "st_" else t for t in touched), writes, work, given)


@lru_cache(1024)
def _parted(text: str) -> tuple[str, list[str], str]:
    """A statement's shape, its literals, and the stage's name in it."""
    literals: list[str] = []
    stage = _STAGE.search(text)

    def numbered(found: re.Match[str]) -> str:
        literals.append(found[1].replace("''", "'").replace("\\\\", "\\"))
        return f"'@{len(literals) - 1}'"

    shape = _LITERAL.sub(numbered, _STAGE.sub("st_", text))
    return shape, literals, stage[0] if stage else ""


@cache
def _shaped(shape: str) -> tuple[tuple[str, ...], bool, Work]:
    tree = sqlglot.parse_one(shape, read="redshift")
    touched = tuple(dict.fromkeys(_name(table) for table in tree.find_all(exp.Table)))
    makers: dict[type[exp.Expression], Callable[[Any], Work]] = {
        exp.Select: _select,
        exp.Insert: _insert,
        exp.Delete: _delete,
        exp.Update: _update,
    }
    maker = makers.get(type(tree))
    if maker is None:
        raise UnknownStatementError(shape)
    return touched, not isinstance(tree, exp.Select), maker(tree)


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name


def _real(name: str, given: Given) -> str:
    return given.stage if name == "st_" else name


def _rows(tree: Any) -> Callable[[Tables, Given], tuple[list[str], list[Row]]]:
    """What stands behind FROM: a table or another query."""
    if isinstance(tree, exp.Subquery):
        return _query(tree.this)
    if not isinstance(tree, exp.Table):
        raise UnknownStatementError(tree.sql())
    name = _name(tree)

    def scan(tables: Tables, given: Given) -> tuple[list[str], list[Row]]:
        real = _real(name, given)
        return list(tables.columns(real)), list(tables.scan(real).values())

    return scan


def _query(tree: Any) -> Callable[[Tables, Given], tuple[list[str], list[Row]]]:
    _only(tree, {"expressions", "from_", "from", "where", "distinct", "order", "limit", "kind"})
    source = _rows((tree.args.get("from_") or tree.args["from"]).this)
    where = value_of(tree.args["where"].this) if tree.args.get("where") else None
    outputs = [_output(each) for each in tree.expressions]
    order = [(value_of(o.this), bool(o.args.get("desc"))) for o in _ordered(tree)]
    limit = tree.args.get("limit")
    most = int(limit.expression.name) if limit else None

    def run(tables: Tables, given: Given) -> tuple[list[str], list[Row]]:
        names, rows = source(tables, given)
        at = {name: place for place, name in enumerate(names)}
        rows = [row for row in rows if where is None or where(row, at, given)]
        for key, desc in reversed(order):
            rows.sort(key=lambda row: key(row, at, given), reverse=desc)
        columns = [output(rows, at, given) for _, output in outputs]
        found = list(zip(*columns, strict=True))
        if tree.args.get("distinct"):
            found = list(dict.fromkeys(found))
        return [name for name, _ in outputs], found[:most]

    return run


def _ordered(tree: Any) -> list[Any]:
    return tree.args["order"].expressions if tree.args.get("order") else []


def _only(tree: Any, known: set[str]) -> None:
    odd = {name for name, value in tree.args.items() if value} - known
    if odd:
        raise UnknownStatementError(f"{sorted(odd)} in {tree.sql()}")


Output = Callable[[list[Row], dict[str, int], Given], list[Any]]


def _output(tree: Any) -> tuple[str, Output]:
    """A column of a query's result, over all of its rows."""
    if isinstance(tree, exp.Alias):
        return tree.alias, _output(tree.this)[1]
    if isinstance(tree, exp.Window):
        return tree.alias_or_name, _ranked(tree)
    aggregate = _AGGREGATES.get(type(tree))
    if aggregate is None:
        value = value_of(tree)
        return tree.alias_or_name, lambda rows, at, given: [value(row, at, given) for row in rows]
    if isinstance(tree.this, exp.Star):
        return "count", lambda rows, _, __: [len(rows)]
    inner = value_of(tree.this)

    def fold(rows: list[Row], at: dict[str, int], given: Given) -> list[Any]:
        values = [inner(row, at, given) for row in rows]
        return [aggregate([value for value in values if value is not None])]

    return tree.alias_or_name, fold


def _ranked(tree: Any) -> Output:
    """ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)."""
    if not isinstance(tree.this, exp.RowNumber):
        raise UnknownStatementError(tree.sql())
    parts = [value_of(each) for each in tree.args.get("partition_by") or []]
    order = [(value_of(o.this), bool(o.args.get("desc"))) for o in _ordered(tree)]

    def rank(rows: list[Row], at: dict[str, int], given: Given) -> list[int]:
        places = list(range(len(rows)))
        for key, desc in reversed(order):
            places.sort(key=lambda place: key(rows[place], at, given), reverse=desc)
        seen: dict[Row, int] = {}
        ranks = [0] * len(rows)
        for place in places:
            group = tuple(part(rows[place], at, given) for part in parts)
            ranks[place] = seen[group] = seen.get(group, 0) + 1
        return ranks

    return rank


def _select(tree: Any) -> Work:
    query = _query(tree)

    def run(tables: Tables, given: Given) -> Answer:
        rows = query(tables, given)[1]
        return Answer(f"SELECT {len(rows)}", rows)

    return run


def _insert(tree: Any) -> Work:
    target, names = _name(tree.this.this), [each.name for each in tree.this.expressions]
    source = tree.expression
    if isinstance(source, exp.Values):
        lines = [[value_of(cell) for cell in line.expressions] for line in source.expressions]
        query = None
    else:
        lines, query = [], _query(source)

    def run(tables: Tables, given: Given) -> Answer:
        if query is None:
            rows = [tuple(cell((), {}, given) for cell in line) for line in lines]
        else:
            rows = query(tables, given)[1]
        columns = tables.columns(_real(target, given))
        place = {name: names.index(name) for name in names}
        if not place.keys() <= set(columns):
            raise UnknownStatementError(f"no such column of {target}: {names}")
        full = [tuple(row[place[c]] if c in place else None for c in columns) for row in rows]
        tables.insert(_real(target, given), full)
        return Answer(f"INSERT 0 {len(full)}")

    return run


def _delete(tree: Any) -> Work:
    target, where = _name(tree.this), tree.args.get("where")
    if tree.args.get("using"):
        return _delete_using(target, _name(tree.args["using"][0]), where.this)
    test = value_of(where.this) if where else None

    def run(tables: Tables, given: Given) -> Answer:
        at = {name: place for place, name in enumerate(tables.columns(target))}
        rows = tables.scan(target)
        gone = [n for n, row in rows.items() if test is None or test(row, at, given)]
        tables.delete(target, gone)
        return Answer(f"DELETE {len(gone)}")

    return run


def _delete_using(target: str, other: str, where: Any) -> Work:
    """DELETE … USING a stage, by equal keys."""
    mine: list[str] = []
    theirs: list[str] = []
    for pair in where.flatten() if isinstance(where, exp.And) else [where]:
        if not isinstance(pair, exp.EQ):
            raise UnknownStatementError(where.sql())
        left, right = pair.left, pair.right
        if left.table == other:
            left, right = right, left
        mine.append(left.name)
        theirs.append(right.name)

    def run(tables: Tables, given: Given) -> Answer:
        stage = _real(other, given)
        here, there = list(tables.columns(target)), list(tables.columns(stage))
        at, from_ = [here.index(n) for n in mine], [there.index(n) for n in theirs]
        keys = {tuple(row[n] for n in from_) for row in tables.scan(stage).values()}
        rows = tables.scan(target)
        gone = [n for n, row in rows.items() if tuple(row[place] for place in at) in keys]
        tables.delete(target, gone)
        return Answer(f"DELETE {len(gone)}")

    return run


def _update(tree: Any) -> Work:
    target = _name(tree.this)
    sets = [(each.this.name, value_of(each.expression)) for each in tree.expressions]
    where = tree.args.get("where")
    test = value_of(where.this) if where else None

    def run(tables: Tables, given: Given) -> Answer:
        at = {name: place for place, name in enumerate(tables.columns(target))}
        changed: dict[int, Row] = {}
        for number, row in tables.scan(target).items():
            if test is None or test(row, at, given):
                new = list(row)
                for name, value in sets:
                    new[at[name]] = value(row, at, given)
                changed[number] = tuple(new)
        tables.replace(target, changed)
        return Answer(f"UPDATE {len(changed)}")

    return run
