"""How a query of the user's is read: what it gives, held against what is asked of it; pure.

A query with placeholders is read between the committed cursor and the bound, in one statement a
pass, and so in one batch: no row of it says which ones it would be read on behind. Without any it
is read whole. What it gives is known from its own result (`described`), which names no key and no
stamp. That the key is unique is taken from the user; a cursor is the server's own stamp only if it
is a column of the one table that the query reads, and any other is one that the application sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..model import Mode, Strategy, TableSchema, TableSpec
from . import chunk, query, wishes
from .chunk import ReadPlan
from .query import Query
from .table import SourceColumn, SourceTable

_STRATEGY = Strategy.CUSTOM_SQL


@dataclass(frozen=True, slots=True)
class Described:
    """A query, and what it gives, as if it were a table; that one has no keys and no indexes."""

    query: Query
    table: SourceTable


def cursor_name(spec: TableSpec) -> str | None:
    """The cursor that is asked for: a time, or an id."""
    if spec.cursor_else:
        raise ConfigError(
            f"{_STRATEGY} is read along one cursor",
            table=str(spec.table),
            setting=wishes.CURSOR,
            hint="let the query make it: COALESCE(first, second) AS changed",
        )
    if spec.cursor is not None and spec.id is not None:
        raise ConfigError(
            f"{_STRATEGY} is read along one cursor",
            table=str(spec.table),
            setting=wishes.ID,
            hint=f"keep {wishes.CURSOR} or {wishes.ID}",
        )
    return spec.cursor or spec.id


def choose(described: Described, spec: TableSpec) -> ReadPlan:
    """The plan for a query; ConfigError where what was asked for cannot be done."""
    table = described.table
    _check_limits(described.query, spec)
    cursor = _cursor(described, spec)
    key = tuple(table.column(name, wishes.KEY).name for name in spec.key or ())
    mode = _mode(described.query, spec, key)
    _check_lookback(spec, mode)
    wishes.check_copies(table, spec, _STRATEGY, mode)
    rules = tuple(chunk.rules_of(table, spec, key, mode).values())
    plan = ReadPlan(
        schema=TableSchema(table.name, chunk.columns_of(rules), key),
        strategy=_STRATEGY,
        mode=mode,
        spec=spec,
        cursor=None if cursor is None else cursor.name,
        key=key,
        rules=rules,
        order=(),
        where=None,
        reason="asked for",
        warnings=(),
        source=table,
        growing=False,
        query=described.query,
        cursor_column=cursor,
    )
    return replace(plan, warnings=tuple(_warnings(plan)))


def _check_limits(asked: Query, spec: TableSpec) -> None:
    """A query has placeholders if, and only if, there is a cursor to fill them in from."""
    name = cursor_name(spec)
    if asked.places and name is None:
        raise ConfigError(
            "a query with placeholders needs a cursor",
            table=str(spec.table),
            setting=wishes.CURSOR,
            hint=f"name one of its columns with {wishes.CURSOR}, or, of whole numbers that grow, "
            f"with {wishes.ID}",
        )
    if name is not None and not asked.places:
        raise ConfigError(
            "a cursor means nothing to a query without placeholders",
            table=str(spec.table),
            setting=wishes.CURSOR if spec.cursor is not None else wishes.ID,
            hint="write WHERE {incremental_where} into the query, or take the cursor away",
        )


def _cursor(described: Described, spec: TableSpec) -> SourceColumn | None:
    table = described.table
    if spec.cursor is not None:
        return wishes.cursor(table, spec, _STRATEGY)
    if spec.id is None:
        return None
    column = table.column(spec.id, wishes.ID)
    if not wishes.is_whole(column):
        hint = f"{wishes.ID}: a column of whole numbers"
        raise wishes.unfit(table, column, wishes.ID, "not a type that ids can have", hint)
    if described.query.origin is None:
        what = "nothing says which table's ids these are, and up to which one they are all there"
        hint = "select it as a plain column, from a table that is written as schema.table"
        raise wishes.unfit(table, column, wishes.ID, what, hint)
    return column


def _mode(asked: Query, spec: TableSpec, key: tuple[str, ...]) -> Mode:
    facts = {"table": str(spec.table), "setting": wishes.APPLY}
    mode = spec.mode or (Mode.MERGE if asked.places else Mode.REPLACE)
    if mode is Mode.MERGE and not key:
        raise ConfigError(
            "a merge needs a key, and a query has none of its own",
            hint=f"name its columns with {wishes.KEY}, or use {wishes.APPLY}: "
            + ("append" if asked.places else "replace"),
            **facts,
        )
    if mode is Mode.REPLACE and asked.places:
        raise ConfigError(
            "a query with placeholders reads what is new, and that cannot replace the whole target",
            hint=f"take the placeholders away, or use {wishes.APPLY}: merge",
            **facts,
        )
    if mode is Mode.APPEND and not asked.closed:
        raise ConfigError(
            "rows would be appended again in every pass: nothing limits the query above and below",
            hint=f"{query.SETTING}: add AND {{incremental_where}} to the outermost WHERE",
            **facts,
        )
    return mode


def _check_lookback(spec: TableSpec, mode: Mode) -> None:
    if spec.lookback and (spec.cursor is None or mode is not Mode.MERGE):
        raise ConfigError(
            f"{wishes.LOOKBACK} reads again below a time, and that must be merged",
            table=str(spec.table),
            setting=wishes.LOOKBACK,
            hint=f"leave {wishes.LOOKBACK} out, or use {wishes.CURSOR} and {wishes.APPLY}: merge",
        )


def _warnings(plan: ReadPlan) -> Iterator[str]:
    cursor = plan.cursor_column
    if cursor is not None:
        if not (cursor.own_stamp or cursor.auto_increment):
            yield (
                f"nothing says that the server sets {cursor.name} on every change of a row: what "
                "comes late or below what was read is not seen"
            )
        yield f"rows whose {cursor.name} is NULL are not read"
    if plan.mode is Mode.MERGE:
        keys = ", ".join(plan.key)
        yield f"{wishes.KEY} is taken at its word: of rows with one ({keys}) the newest stays"
        yield "rows that the query no longer gives stay in the target"
    if plan.mode is Mode.APPEND:
        yield "a row that changes after it was read is appended again as another row"
