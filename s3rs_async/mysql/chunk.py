"""How a table is read: strategy, cursor and key, chosen from what the table is; pure.

Without a word from the user: `hybrid` where there is a primary key and a time that the server
itself sets on every change, else `full_sync`. `hybrid` finds changes by the cursor and must know
rows by a unique NOT NULL key, or chunks would lose rows that share a tick. What is chosen says why,
and warns of what will be slow or surprising.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..model import Strategy, TableSchema
from . import types
from .table import SourceColumn, SourceTable
from .types import Literal, Rule

_CURSOR_TYPES = frozenset({"date", "datetime", "timestamp"})


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A choice made.

    `rules` are in the order of `schema.columns`. `order` are the rules rows are sorted by: cursor,
    then what is in the key besides; the key alone without a cursor; nothing without either.
    `growing` says that the key is one number which the server hands out in ascending order.
    """

    schema: TableSchema
    strategy: Strategy
    cursor: str | None
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    order: tuple[Rule, ...]
    reason: str
    warnings: tuple[str, ...]
    source: SourceTable
    growing: bool

    @property
    def cursor_column(self) -> SourceColumn | None:
        """The cursor's own facts."""
        return None if self.cursor is None else self.source.column(self.cursor)

    @property
    def key_rules(self) -> tuple[Rule, ...]:
        """The rules of the key's columns besides the cursor."""
        return self.order[1:] if self.cursor is not None else self.order

    @property
    def index(self) -> str | None:
        """The index that has the rows in the order in which they are read."""
        if any(rule.order != "{}" for rule in self.order):
            return None
        return self.source.index_for(tuple(rule.name for rule in self.order))


def choose(
    table: SourceTable,
    *,
    strategy: Strategy | None = None,
    cursor: str | None = None,
    key: tuple[str, ...] | None = None,
) -> ReadPlan:
    """The plan for a table; ConfigError where what was asked for cannot be done."""
    rules = tuple(types.rule(table.name, column) for column in table.columns)
    chosen_key = _key(table, key)
    if strategy is Strategy.FULL_SYNC:
        return _plan(table, rules, None, chosen_key, "asked for")
    if strategy is Strategy.HYBRID or cursor is not None:
        return _plan(table, rules, _cursor(table, cursor), _needed(table, chosen_key), "asked for")
    stamp = _stamp(table)
    if stamp is None:
        return _plan(table, rules, None, chosen_key, "no column is stamped by the server on change")
    if not table.primary:
        return _plan(table, rules, None, chosen_key, "the table has no primary key")
    reason = f"it has a primary key, and the server stamps {stamp.name} on every change"
    return _plan(table, rules, stamp, chosen_key, reason)


def _key(table: SourceTable, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    if not asked:
        return table.keys[0] if table.keys else ()
    names = tuple(table.column(name).name for name in asked)
    if not any(set(key) <= set(names) for key in table.keys):
        raise ConfigError(
            "the key is not unique and NOT NULL",
            table=str(table.name),
            key=", ".join(names),
            hint=f"unique keys of the table: {_told(table.keys)}",
        )
    return names


def _told(keys: tuple[tuple[str, ...], ...]) -> str:
    return "; ".join(f"({', '.join(key)})" for key in keys) or "none"


def _needed(table: SourceTable, key: tuple[str, ...]) -> tuple[str, ...]:
    if key:
        return key
    raise ConfigError(
        "hybrid needs a unique key of columns that are NOT NULL",
        table=str(table.name),
        hint="add a primary key, or use strategy: full_sync",
    )


def _cursor(table: SourceTable, asked: str | None) -> SourceColumn:
    column = table.column(asked) if asked else _stamp(table)
    if column is None:
        raise ConfigError(
            "hybrid needs a cursor, and no column is stamped by the server on change",
            table=str(table.name),
            hint="name one with `cursor`, or use strategy: full_sync",
        )
    if column.data_type not in _CURSOR_TYPES:
        raise ConfigError(
            "not a type that a cursor can have",
            table=str(table.name),
            column=column.name,
            type=column.column_type,
            hint="a cursor is a TIMESTAMP, DATETIME or DATE column",
        )
    return column


def _stamp(table: SourceTable) -> SourceColumn | None:
    """The best column that the server stamps on INSERT and UPDATE: one an index leads with."""
    stamps = [column for column in table.columns if column.own_stamp and column.born_stamped]
    return min(
        stamps,
        key=lambda column: (not table.leads(column.name), column.nullable),
        default=None,
    )


def _plan(
    table: SourceTable,
    rules: tuple[Rule, ...],
    cursor: SourceColumn | None,
    key: tuple[str, ...],
    reason: str,
) -> ReadPlan:
    by_name = {rule.name: rule for rule in rules}
    first = () if cursor is None else (cursor.name,)
    order = (*first, *(name for name in key if name not in first))
    one = table.column(key[0]) if len(key) == 1 else None
    return ReadPlan(
        schema=TableSchema(table.name, tuple(rule.column for rule in rules), key),
        strategy=Strategy.FULL_SYNC if cursor is None else Strategy.HYBRID,
        cursor=None if cursor is None else cursor.name,
        key=key,
        rules=rules,
        order=tuple(by_name[name] for name in order),
        reason=reason,
        warnings=tuple(_warnings(table, cursor, [by_name[name] for name in key], order)),
        source=table,
        growing=one is not None
        and one.auto_increment
        and by_name[one.name].literal is Literal.NUMBER,
    )


def _warnings(
    table: SourceTable, cursor: SourceColumn | None, key: list[Rule], order: tuple[str, ...]
) -> list[str]:
    found = []
    if not key:
        found.append("the table has no unique key: it is read in one stream that cannot be resumed")
    elif table.index_for(order) is None:
        found.append(f"no index has the rows by ({', '.join(order)}): every chunk sorts the table")
    if cursor is not None:
        found += _cursor_warnings(cursor)
    for rule in key:
        collation = table.column(rule.name).collation or ""
        if collation.endswith("_ci"):
            found.append(
                f"key column {rule.name} is compared as {collation}: values that differ in case "
                "alone are one key at the source and two at the target"
            )
        if rule.order != "{}":
            found.append(f"key column {rule.name} is an enumeration: every chunk sorts the table")
    return found


def _cursor_warnings(cursor: SourceColumn) -> list[str]:
    found = []
    if not cursor.own_stamp:
        found.append(
            f"the server does not stamp {cursor.name} on change: what the application forgets to "
            "stamp is not seen"
        )
    elif not cursor.born_stamped:
        found.append(f"an INSERT that leaves out {cursor.name} stores no time: it is not seen")
    if cursor.nullable:
        found.append(f"{cursor.name} can be NULL: such rows are read by a leg of their own")
    return found
