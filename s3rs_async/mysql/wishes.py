"""What is asked for a table, held against what the table is; pure.

Each function answers one question of the plan: which strategy, cursor, key, order and mode. What
was named is taken or refused, never exchanged for something else; what was not named is decided
here. A refusal names the setting that asked for it and says which value would do.

The order of reading always ends in a unique key whose columns are NOT NULL, whatever key the rows
are merged by: between two rows that share a tick no chunk could end otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError
from ..model import CursorFormat, Mode, Strategy, TableSpec
from .table import SourceColumn, SourceTable

STRATEGY = "cdc_strategy"
CURSOR = "cdc_timestamp_column"
ID = "cdc_id_column"
FORMAT = "timestamp_format"
KEY = "primary_key"
APPLY = "apply"
LOOKBACK = "lookback"
COPIES = "copy_column"
COLUMNS = "columns"

BY_CURSOR = frozenset({Strategy.HYBRID, Strategy.TIMESTAMP_ONLY})

_TIMES = frozenset({"date", "datetime", "timestamp"})
_WHOLE = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_ORDERED = _TIMES | _WHOLE | {"decimal", "year", "char", "varchar"}
_INEXACT = frozenset({"float", "double"})
_DIGITS = 38


def strategy(table: SourceTable, spec: TableSpec) -> tuple[Strategy, str]:
    """The strategy, and why it is this one."""
    if spec.strategy is Strategy.CUSTOM_SQL:
        raise ConfigError(
            "custom_sql reads what a query gives, and there is none",
            table=str(table.name),
            setting=STRATEGY,
            hint="write the query: custom_sql: SELECT ...",
        )
    if spec.strategy is not None:
        return spec.strategy, "asked for"
    if spec.cursor is not None:
        return Strategy.HYBRID, f"{CURSOR} names a cursor"
    if spec.id is not None:
        return Strategy.ID_ONLY, f"{ID} names a column, and no cursor is named"
    if spec.mode is Mode.REPLACE:
        return Strategy.FULL_SYNC, f"{APPLY}: replace takes the whole table"
    return _usual(table)


def _usual(table: SourceTable) -> tuple[Strategy, str]:
    found = stamp(table)
    if found is None:
        return Strategy.FULL_SYNC, "no column is stamped by the server on change"
    if not table.primary:
        return Strategy.FULL_SYNC, "the table has no primary key"
    reason = f"it has a primary key, and the server stamps {found.name} on every change"
    return Strategy.HYBRID, reason


def stamp(table: SourceTable) -> SourceColumn | None:
    """The best column that the server stamps on INSERT and UPDATE: one an index leads with."""
    stamps = [column for column in table.columns if column.own_stamp and column.born_stamped]
    return min(
        stamps,
        key=lambda column: (not table.leads(column.name), column.nullable),
        default=None,
    )


def cursor(table: SourceTable, spec: TableSpec, chosen: Strategy) -> SourceColumn:
    """The column by which change is found; of several, what is true of the first that is set."""
    if spec.cursor_else:
        return _several(table, spec, chosen)
    column = table.column(spec.cursor, CURSOR) if spec.cursor else stamp(table)
    if column is None:
        raise ConfigError(
            f"{chosen} needs a cursor, and no column is stamped by the server on change",
            table=str(table.name),
            setting=CURSOR,
            hint=f"name one with {CURSOR}, or use {STRATEGY}: full_sync",
        )
    if spec.format is not CursorFormat.COLUMN and not is_whole(column):
        raise unfit(
            table,
            column,
            FORMAT,
            f"{FORMAT}: {spec.format} is for a column of whole numbers",
            f"leave {FORMAT} out, or name a column of whole numbers with {CURSOR}",
        )
    if spec.format is CursorFormat.COLUMN and column.data_type not in _TIMES:
        raise unfit(
            table,
            column,
            CURSOR,
            "not a type that a cursor can have",
            f"if it counts since 1970, say {FORMAT}: unix (seconds) or unix_ms (milliseconds)"
            if is_whole(column)
            else f"{CURSOR}: a TIMESTAMP, DATETIME or DATE column, or whole numbers with {FORMAT}",
        )
    return column


def _several(table: SourceTable, spec: TableSpec, chosen: Strategy) -> SourceColumn:
    """The first that is not NULL of several columns, all of which tell time in one way."""
    names = (spec.cursor, *spec.cursor_else)
    columns = [cursor(table, replace(spec, cursor=name, cursor_else=()), chosen) for name in names]
    first = columns[0]
    for column in columns[1:]:
        told = (column.data_type, column.fraction) == (first.data_type, first.fraction)
        if not (told or spec.format is not CursorFormat.COLUMN):
            hint = f"{CURSOR}: columns that are all {first.column_type}"
            what = f"another type than {first.name} has, and cursors are compared as texts"
            raise unfit(table, column, CURSOR, what, hint)
    if len({column.name for column in columns}) < len(columns):
        raise unfit(table, first, CURSOR, "a column is named twice", f"{CURSOR}: each once")
    return replace(
        first,
        nullable=all(column.nullable for column in columns),
        own_stamp=first.own_stamp and all(column.born_stamped for column in columns),
        born_stamped=all(column.born_stamped for column in columns),
    )


def is_whole(column: SourceColumn) -> bool:
    """Whether its values are whole numbers."""
    if column.data_type == "decimal":
        return column.scale == 0 and (column.precision or 0) <= _DIGITS
    return column.data_type in _WHOLE


def unfit(
    table: SourceTable, column: SourceColumn, setting: str, what: str, hint: str
) -> ConfigError:
    """The error that names a column which cannot be what a setting asks of it."""
    return ConfigError(
        what,
        table=str(table.name),
        column=column.name,
        type=column.column_type,
        setting=setting,
        hint=hint,
    )


def merge_key(table: SourceTable, spec: TableSpec) -> tuple[str, ...]:
    """The columns that rows are known by at the target; empty where there are none."""
    if not spec.key:
        return table.keys[0] if table.keys else ()
    columns = [table.column(name, KEY) for name in spec.key]
    names = tuple(column.name for column in columns)
    if len(set(names)) != len(names):
        raise _no_key(table, names, "a column is named twice")
    if not any(set(key) <= set(names) for key in table.keys):
        raise _no_key(table, names, "the key is not unique and NOT NULL")
    if any(column.nullable for column in columns):
        raise _no_key(table, names, "a column of the key can be NULL")
    return names


def _no_key(table: SourceTable, names: tuple[str, ...], what: str) -> ConfigError:
    found = "; ".join(f"({', '.join(key)})" for key in table.keys) or "none"
    return ConfigError(
        what,
        table=str(table.name),
        key=", ".join(names),
        setting=KEY,
        hint=f"{KEY}: one of the table's unique keys, which are {found}",
    )


def ties(table: SourceTable, spec: TableSpec, chosen: Strategy) -> tuple[str, ...]:
    """What orders rows of one tick: the column asked for, and a unique key where that is not."""
    first = () if spec.id is None else (_tie(table, spec.id).name,)
    if first in table.keys:
        return first
    if not table.keys:
        raise ConfigError(
            f"{chosen} needs a unique key of columns that are NOT NULL",
            table=str(table.name),
            setting=STRATEGY,
            hint="rows that share a tick cannot be told apart: add a primary key, or use "
            f"{STRATEGY}: full_sync",
        )
    return (*first, *(name for name in table.keys[0] if name not in first))


def _tie(table: SourceTable, name: str) -> SourceColumn:
    column = table.column(name, ID)
    if column.nullable or column.data_type in _INEXACT:
        what = "can be NULL" if column.nullable else "is not exact"
        raise unfit(
            table, column, ID, f"a column that {what} orders nothing", f"{ID}: a column of a key"
        )
    return column


def id_column(table: SourceTable, spec: TableSpec) -> SourceColumn:
    """The column along which `id_only` reads: unique by itself, and one that has an order."""
    column = table.column(spec.id, ID) if spec.id else _own_id(table)
    if column is None:
        raise ConfigError(
            "id_only needs a column that is unique by itself, and the primary key is none",
            table=str(table.name),
            setting=ID,
            hint=f"name one with {ID}, or use {STRATEGY}: full_sync",
        )
    if (column.name,) not in table.keys:
        single = ", ".join(key[0] for key in table.keys if len(key) == 1) or "none"
        raise unfit(
            table,
            column,
            ID,
            "id_only needs a column that is unique by itself and NOT NULL",
            f"{ID}: one of the columns that are, which are {single}",
        )
    if column.data_type not in _ORDERED:
        raise unfit(
            table,
            column,
            ID,
            "not a type that id_only can read along",
            f"{ID}: a column of numbers, dates or text, or use {STRATEGY}: full_sync",
        )
    return column


def _own_id(table: SourceTable) -> SourceColumn | None:
    if not table.primary or len(table.keys[0]) != 1:
        return None
    return table.column(table.keys[0][0])


def mode(table: SourceTable, spec: TableSpec, chosen: Strategy, key: tuple[str, ...]) -> Mode:
    """How the rows are applied, after what cannot go together is refused."""
    facts = {"table": str(table.name), "setting": APPLY}
    if spec.mode is Mode.MERGE and not key:
        raise ConfigError(
            "a merge needs a unique key of columns that are NOT NULL",
            hint=f"add a primary key, or use {APPLY}: replace",
            **facts,
        )
    if chosen is Strategy.FULL_SYNC:
        if spec.mode is Mode.APPEND and spec.copy_column is None:
            raise ConfigError(
                "full_sync cannot append: every pass would add the whole table again",
                hint=f"use {APPLY}: replace, or another {STRATEGY}; for dated copies name a column "
                f"for their time, e.g. {COPIES}: copied_at",
                **facts,
            )
        return spec.mode or Mode.REPLACE
    if spec.mode is Mode.REPLACE:
        raise ConfigError(
            f"{chosen} reads what is new, and that cannot replace the whole target",
            hint=f"use {STRATEGY}: full_sync, or {APPLY}: {'merge' if key else 'append'}",
            **facts,
        )
    return spec.mode or (Mode.APPEND if chosen is Strategy.ID_ONLY else Mode.MERGE)


def check_copies(table: SourceTable, spec: TableSpec, chosen: Strategy, applied: Mode) -> None:
    """Copies are of the whole table, and their column is none that the table has."""
    name = spec.copy_column
    if name is None:
        return
    facts = {"table": str(table.name), "setting": COPIES}
    if chosen is not Strategy.FULL_SYNC or applied is not Mode.APPEND:
        raise ConfigError(
            "copies are taken of a whole table, and appended",
            hint=f"leave {COPIES} out, or use {STRATEGY}: full_sync and {APPLY}: append",
            **facts,
        )
    if any(column.name.casefold() == name.casefold() for column in table.columns):
        raise ConfigError(
            "the table has a column of this name itself",
            column=name,
            hint=f"{COPIES}: a name that the table does not have",
            **facts,
        )


def check_lookback(table: SourceTable, spec: TableSpec, chosen: Strategy, applied: Mode) -> None:
    """What is read again must be merged, and lies below a cursor."""
    if not spec.lookback:
        return
    facts = {"table": str(table.name), "setting": LOOKBACK}
    if chosen not in BY_CURSOR:
        raise ConfigError(
            f"{LOOKBACK} reads again below a cursor, and {chosen} has none",
            hint=f"leave {LOOKBACK} out, or use {STRATEGY}: hybrid",
            **facts,
        )
    if applied is Mode.APPEND:
        raise ConfigError(
            f"{LOOKBACK} with {APPLY}: append would add the same rows in every pass",
            hint=f"leave {LOOKBACK} out, or use {APPLY}: merge",
            **facts,
        )


def check_nulls(table: SourceTable, column: SourceColumn, applied: Mode, *, growing: bool) -> None:
    """Rows without a cursor value can be appended only if each is known to have been read."""
    if column.nullable and applied is Mode.APPEND and not growing:
        raise ConfigError(
            "rows without a cursor value would be appended again in every pass",
            table=str(table.name),
            column=column.name,
            setting=APPLY,
            hint=f"use {APPLY}: merge, make the column NOT NULL, or give the table an "
            "AUTO_INCREMENT key",
        )
