"""Every statement that is sent to a source, as text; pure.

Names go through `identifier`, values through `literal`, and through nothing else. A value's text
is checked against what its kind can look like before it becomes part of a statement. Sessions run
without NO_BACKSLASH_ESCAPES and ANSI_QUOTES (`connection` sees to it), so a backslash in a text is
doubled.

A page starts strictly after a row: `a > x OR (a = x AND b > y) …`. The row constructor
`(a, b) > (x, y)` means the same and reads the whole table for it, so it is never used.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import DataError
from ..model import TableName
from .query import Query
from .select import Place
from .types import Literal, Rule

_FORMS = {
    Literal.NUMBER: re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII),
    Literal.BINARY: re.compile(r"([0-9a-f]{2})*", re.ASCII),
    Literal.MOMENT: re.compile(r"-?[0-9][0-9 :.-]*", re.ASCII),
}
_LEAST = {Literal.NUMBER: "-9223372036854775808", Literal.MOMENT: "0000-00-00 00:00:00"}
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "''", "\0": "\\0"})


def identifier(name: str) -> str:
    """A name in backticks."""
    if not name or "\0" in name:
        raise DataError("not a name", name=repr(name))
    return "`" + name.replace("`", "``") + "`"


def table(name: TableName) -> str:
    """A table's full name."""
    return f"{identifier(name.schema)}.{identifier(name.name)}"


def literal(kind: Literal, text: str) -> str:
    """A value as a literal; DataError when the text cannot be a value of that kind."""
    form = _FORMS.get(kind)
    if form is not None and not form.fullmatch(text):
        raise DataError("not a value of this kind", kind=kind.value, value=text)
    if kind is Literal.NUMBER:
        return text
    if kind is Literal.BINARY:
        return f"x'{text}'"
    if kind is Literal.MOMENT:
        return f"'{text}'"
    return f"_utf8mb4'{text.translate(_ESCAPES)}'"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in an order of rows: the row with these values, or, not `inclusive`, before it.

    There may be fewer values than columns.
    """

    order: Sequence[Rule]
    values: Sequence[str]
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One keyset SELECT: `columns` of rows after `after` or from `start`, below `below`, in order.

    `order` are the rules of cursor and key, `after` their values in the last row taken, `upto`
    those of the last row that is wanted. `start` (inclusive), `below` (exclusive) and `top`
    (inclusive) are values of the first of them. `behind` keeps to what lies behind a mark in
    another order, `among` to rows with one of these keys. `nulls` keeps to the rows where that
    column is NULL, or leaves them out. `index` is the one to walk along: left alone, a server would
    rather read and sort the whole table for every page. `where` is a condition in its owner's own
    words, which `condition` has read. `query` is read instead of the table: `start` and `below` are
    its limits for the first of `order`, in which nobody puts its rows.
    """

    table: TableName
    columns: Sequence[Rule]
    order: Sequence[Rule] = ()
    after: Sequence[str] = ()
    upto: Sequence[str] = ()
    start: str | None = None
    below: str | None = None
    nulls: tuple[Rule, bool] | None = None
    top: str | None = None
    index: str | None = None
    limit: int | None = None
    where: str | None = None
    behind: Mark | None = None
    among: Sequence[tuple[str, ...]] = ()
    query: Query | None = None


def page(wanted: Page) -> str:
    """The statement that reads a page."""
    shown = ", ".join(_selected(rule) for rule in wanted.columns)
    if wanted.query is not None:
        return _asked(shown, wanted.query, wanted)
    text = f"SELECT {shown} FROM {table(wanted.table)}"
    if wanted.index is not None:
        text += f" FORCE INDEX ({identifier(wanted.index)})"
    if where := conditions(wanted):
        text += f" WHERE {where}"
    if wanted.order:
        text += " ORDER BY " + ", ".join(_ordered(rule) for rule in wanted.order)
    if wanted.limit is not None:
        text += f" LIMIT {int(wanted.limit)}"
    return text


def description(query: Query) -> str:
    """The statement whose result has a query's columns, and no rows."""
    return _all_of("*", query, "NULL", "NULL") + " LIMIT 0"


def _asked(shown: str, query: Query, wanted: Page) -> str:
    """A query between the limits of a page."""
    if not wanted.order:
        return _all_of(shown, query, None, "NULL")
    kind = wanted.order[0].literal
    least = literal(kind, _LEAST[kind])
    low = None if wanted.start is None else literal(kind, wanted.start)
    return _all_of(shown, query, low, literal(kind, wanted.below or ""), least)


def _all_of(shown: str, query: Query, low: str | None, high: str, least: str = "NULL") -> str:
    """A query as a table of its own, so that its columns are selected as a table's are."""
    between = f"({query.cursor}) < {high}"
    if low is not None:
        between = f"({query.cursor}) >= {low} AND {between}"
    filled = {Place.LOW: low or least, Place.HIGH: high, Place.BETWEEN: f"({between})"}
    values = [filled[place] for place in query.places]
    text = "".join(part + value for part, value in zip(query.parts, [*values, ""], strict=True))
    return f"SELECT {shown} FROM (\n{text}\n) AS {identifier('s3rs_query')}"


def edge(wanted: Page, rows: int) -> str:
    """The statement that finds the row with which so many rows of a page end."""
    return page(replace(wanted, columns=wanted.order, limit=1)) + f" OFFSET {int(rows) - 1}"


# By family: the ids of all that is committed, and the wait until a replica has applied them.
COMMITTED = {
    "mariadb": "SELECT @@GLOBAL.gtid_binlog_pos",
    "mysql": "SELECT @@GLOBAL.gtid_executed",
}
_APPLIED = {"mariadb": "MASTER_GTID_WAIT", "mysql": "WAIT_FOR_EXECUTED_GTID_SET"}


def applied(family: str, ids: str, seconds: float) -> str:
    """0 once a replica has applied these ids, something else when the time is over."""
    return f"SELECT {_APPLIED[family]}({literal(Literal.TEXT, ids)}, {float(seconds):g})"


def first_of(columns: Sequence[str]) -> str:
    """The first of the columns' values that is not NULL."""
    named = [identifier(column) for column in columns]
    return named[0] if len(named) == 1 else f"COALESCE({', '.join(named)})"


def explain(statement: str) -> str:
    """The statement that has another one explained, in the form that every server has."""
    return f"EXPLAIN FORMAT=TRADITIONAL {statement}"


def add_index(name: TableName, columns: Sequence[str]) -> str:
    """The statement by which an owner gives a table an index; nothing of ours sends it."""
    return f"ALTER TABLE {table(name)} ADD INDEX ({', '.join(map(identifier, columns))})"


NOW = "SELECT UTC_TIMESTAMP(6)"
CLOCK = NOW + ", @@GLOBAL.time_zone, @@system_time_zone"


def marks(name: TableName, columns: Sequence[Sequence[str]]) -> str:
    """The server's clock, and the greatest value of each column, or of the first of several."""
    return NOW + _marks(name, columns)


def _marks(name: TableName, columns: Sequence[Sequence[str]]) -> str:
    return "".join(f", ({greatest(name, *each)})" for each in columns)


def greatest(name: TableName, *columns: str) -> str:
    """The greatest value of a column, or of the first of several that is not NULL."""
    return f"SELECT MAX({first_of(columns)}) FROM {table(name)}"


# The server tells trx_started by its system's clock, whatever the session's zone.
TRANSACTIONS = (
    "SELECT trx_mysql_thread_id, trx_id, trx_started, GREATEST(TIMESTAMPDIFF(SECOND, trx_started, "
    "CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')), 0) FROM information_schema.INNODB_TRX"
)


THREADS_RUNNING = "SHOW GLOBAL STATUS LIKE 'Threads_running'"
HISTORY_LENGTH = (
    "SELECT `COUNT` FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'"
)
REPLICA_STATUS = ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
"""As servers know it, and as those know it that do not: MySQL before 8.0.22."""


def wall_clocks(moments: Sequence[dt.datetime]) -> str:
    """What the clock of the server's global zone shows at moments of UTC."""
    shown = ", ".join(
        f"CONVERT_TZ('{moment.isoformat(sep=' ', timespec='microseconds')}', '+00:00', "
        "@@GLOBAL.time_zone)"
        for moment in moments
    )
    return f"SELECT {shown}"


def _selected(rule: Rule) -> str:
    # Without an alias: ORDER BY would take it for the column, and sort what an index has in order.
    return rule.select.format(identifier(rule.name))


def _ordered(rule: Rule) -> str:
    return rule.order.format(identifier(rule.name))


def conditions(wanted: Page) -> str:
    """What rows of a page must meet; empty where that is nothing."""
    return " AND ".join(_conditions(wanted))


def _conditions(wanted: Page) -> list[str]:
    found = []
    if wanted.nulls is not None:
        rule, inside = wanted.nulls
        found.append(f"{_ordered(rule)} IS {'' if inside else 'NOT '}NULL")
    if wanted.after:
        found.append(_on_a_side(wanted.order, wanted.after, ">", ">"))
    elif wanted.start is not None:
        found.append(_compared(wanted.order[0], ">=", wanted.start))
    if wanted.among:
        found.append(_among(wanted.order, wanted.among))
    found += _limits(wanted)
    if wanted.where is not None:
        found.append(f"({wanted.where})")
    return found


def _limits(wanted: Page) -> list[str]:
    """What rows must not lie beyond."""
    found = []
    if wanted.upto:
        found.append(_on_a_side(wanted.order, wanted.upto, "<", "<="))
    if wanted.below is not None:
        found.append(_compared(wanted.order[0], "<", wanted.below))
    if wanted.top is not None:
        found.append(_compared(wanted.order[0], "<=", wanted.top))
    if wanted.behind is not None:
        mark = wanted.behind
        order = mark.order[: len(mark.values)]
        found.append(_on_a_side(order, mark.values, "<", "<=" if mark.inclusive else "<"))
    return found


def _on_a_side(order: Sequence[Rule], values: Sequence[str], sign: str, tied: str) -> str:
    """Rows beyond or before the one that has these values; `tied` is the sign of the last."""
    branches = []
    signs = [sign] * (len(order) - 1) + [tied]
    for depth, (rule, value) in enumerate(zip(order, values, strict=True)):
        equal = [
            _compared(tied_rule, "=", tied_value)
            for tied_rule, tied_value in zip(order[:depth], values[:depth], strict=True)
        ]
        branches.append(" AND ".join([*equal, _compared(rule, signs[depth], value)]))
    if len(branches) == 1:
        return branches[0]
    return "(" + " OR ".join(f"({branch})" for branch in branches) + ")"


def _among(order: Sequence[Rule], keys: Sequence[tuple[str, ...]]) -> str:
    branches = []
    for key in keys:
        pairs = zip(order, key, strict=True)
        branches.append(" AND ".join(_compared(rule, "=", value) for rule, value in pairs))
    return "(" + " OR ".join(f"({branch})" for branch in branches) + ")"


def _compared(rule: Rule, sign: str, value: str) -> str:
    return f"{_ordered(rule)} {sign} {literal(rule.literal, value)}"


def table_facts(name: TableName) -> str:
    """Engine, kind and rough row count of a table; no row if the user cannot see it."""
    return f"SELECT ENGINE, TABLE_TYPE, TABLE_ROWS FROM information_schema.TABLES WHERE {_is(name)}"


def table_names(schema: str) -> str:
    """All tables of a schema that the user can see."""
    return (
        "SELECT TABLE_NAME FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = {literal(Literal.TEXT, schema)} ORDER BY TABLE_NAME LIMIT 10000"
    )


def column_facts(name: TableName) -> str:
    """What is known of each column, in order; invisible and generated ones as well."""
    return _column_facts(name, "")


def column_facts_and_marks(name: TableName, columns: Sequence[Sequence[str]]) -> str:
    """The same, and at the end of every row what `marks` tells: one statement for both."""
    return _column_facts(name, ", UTC_TIMESTAMP(6)" + _marks(name, columns))


def _column_facts(name: TableName, more: str) -> str:
    return (
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, "
        "CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, "
        f"CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_DEFAULT, EXTRA{more} "
        f"FROM information_schema.COLUMNS WHERE {_is(name)} ORDER BY ORDINAL_POSITION"
    )


def index_facts(name: TableName) -> str:
    """Every index column, in order."""
    return (
        "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART "
        f"FROM information_schema.STATISTICS WHERE {_is(name)} ORDER BY INDEX_NAME, SEQ_IN_INDEX"
    )


def _is(name: TableName) -> str:
    schema, table_name = literal(Literal.TEXT, name.schema), literal(Literal.TEXT, name.name)
    return f"TABLE_SCHEMA = {schema} AND TABLE_NAME = {table_name}"
