"""How a table is read: strategy, cursor and key, chosen from what the table is; pure.

Without a word from the user: `hybrid` where there is a primary key and a time that the server
itself sets on every change, else `full_sync`. What is asked for is taken or refused (`wishes`).
`hybrid` and `timestamp_only` find changes by the cursor and break ties by a unique NOT NULL key, or
chunks would lose rows that share a tick; `id_only` reads along one key column and sees new rows
alone. What is chosen says why, and warns of what will be slow or surprising.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import ConfigError, DataError
from ..model import (
    DELETED_AT,
    Column,
    CursorFormat,
    Deletes,
    Errand,
    KeyList,
    KeyRange,
    Mode,
    Strategy,
    TableSchema,
    TableSpec,
)
from . import condition, sql, types, wishes
from .query import Query
from .table import SourceColumn, SourceTable
from .types import Literal, Rule


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A choice made.

    The first of `cursors` that is not NULL is a row's cursor, which `cursor_column` is the facts
    of. `key` are the columns that rows are known by at the target. `rules` are in the order of the
    table's columns; `schema` has more where a rule gives two. `order` are the rules rows are sorted
    by: the cursor, then what breaks its ties; `id_only`'s one column; the unique key alone for a
    whole table; nothing without one. `growing` says that rows are known, and ties broken, by one
    number which the server hands out in ascending order. `where` is the condition that rows must
    meet. `query` is read instead of a table; `source` then says what it gives. An `errand` is read
    instead of what is new, in the order of the key; where rows are only ever appended, it stays
    behind the position in the order of `settled`.
    """

    schema: TableSchema
    strategy: Strategy
    mode: Mode
    spec: TableSpec
    cursor: str | None
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    order: tuple[Rule, ...]
    where: str | None
    reason: str
    warnings: tuple[str, ...]
    source: SourceTable
    growing: bool
    query: Query | None = None
    cursor_column: SourceColumn | None = None
    errand: Errand | None = None
    settled: tuple[Rule, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every pass reads all there is."""
        by_query = self.strategy is Strategy.CUSTOM_SQL and self.cursor is None
        return self.errand is None and (by_query or self.strategy is Strategy.FULL_SYNC)

    @property
    def format(self) -> CursorFormat:
        """How the cursor tells time."""
        if self.query is not None and self.cursor is not None and self.spec.cursor is None:
            return CursorFormat.ID
        return self.spec.format if self.cursor is not None else CursorFormat.COLUMN

    @property
    def cursors(self) -> tuple[str, ...]:
        """The columns of which the first that is not NULL is the cursor."""
        if self.cursor is None:
            return ()
        names = self.spec.cursor_else
        return (self.cursor, *(self.source.column(name).name for name in names))

    @property
    def id_column(self) -> SourceColumn | None:
        """The column that `id_only` reads along."""
        one = self.strategy is Strategy.ID_ONLY
        return self.source.column(self.order[0].name) if one else None

    @property
    def key_rules(self) -> tuple[Rule, ...]:
        """The rules of the order's columns besides the cursor."""
        by_cursor = self.cursor is not None and self.errand is None
        return self.order[1:] if by_cursor else self.order

    @property
    def index(self) -> str | None:
        """The index that has the rows in the order in which they are read."""
        if any(rule.order != "{}" for rule in self.order):
            return None
        return self.source.index_for(tuple(rule.name for rule in self.order))


def choose(table: SourceTable, spec: TableSpec) -> ReadPlan:
    """The plan for a table; ConfigError where what was asked for cannot be done."""
    chosen, reason = wishes.strategy(table, spec)
    key = wishes.merge_key(table, spec)
    cursor = wishes.cursor(table, spec, chosen) if chosen in wishes.BY_CURSOR else None
    order = _order(table, spec, chosen, cursor)
    if chosen is Strategy.ID_ONLY and not spec.key:
        key = order
    mode = wishes.mode(table, spec, chosen, key)
    wishes.check_lookback(table, spec, chosen, mode)
    wishes.check_copies(table, spec, chosen, mode)
    by_name = rules_of(table, spec, key, mode)
    rules = tuple(by_name.values())
    ties = tuple(name for name in order if cursor is None or name != cursor.name)
    growing = ties == key and len(key) == 1 and _grows(table.column(key[0]), by_name[key[0]])
    if cursor is not None:
        wishes.check_nulls(table, cursor, mode, growing=growing)
    plan = ReadPlan(
        schema=TableSchema(table.name, (*columns_of(rules), *_copied(spec), *_deleted(spec)), key),
        strategy=chosen,
        mode=mode,
        spec=spec,
        cursor=None if cursor is None else cursor.name,
        key=key,
        rules=rules,
        order=_ordered(tuple(by_name[name] for name in order), table, spec, cursor),
        where=None if spec.where is None else condition.read(table, spec.where),
        reason=reason,
        warnings=(),
        source=table,
        growing=growing,
        cursor_column=cursor,
    )
    return replace(plan, warnings=tuple(_warnings(plan)))


def on_errand(plan: ReadPlan, errand: Errand) -> ReadPlan:
    """The plan for reading some rows anew, beside the way of the watermark; they are merged.

    Of keys that are gone only the key itself is left, and is deleted, or marked as deleted.
    ConfigError where the table has no key to merge by, or its key is not what the errand says.
    """
    if plan.query is not None or plan.spec.copy_column is not None:
        raise ConfigError(
            "neither a query's rows nor those of dated copies can be read anew by their keys",
            table=str(plan.source.name),
            setting=wishes.STRATEGY,
            hint="read all of it again: s3rs sync --full-refresh",
        )
    if not plan.key:
        raise ConfigError(
            "rows can only be read anew where they have a key",
            table=str(plan.source.name),
            hint=f"give the table a primary key, or read all of it: {wishes.STRATEGY}: full_sync",
        )
    by_name = {rule.name: rule for rule in plan.rules}
    order = tuple(by_name[name] for name in plan.key)
    for rule, value in _named(errand, order):
        _check_value(plan, rule, value)
    if isinstance(errand, KeyList) and errand.gone:
        columns = tuple(column for rule in order for column in rule.columns)
        soft = plan.spec.deletes is Deletes.SOFT
        mode = Mode.MARK if soft else Mode.DELETE
        schema = replace(plan.schema, columns=(*columns, *_deleted(plan.spec, known=True)))
        bare = replace(plan, schema=schema, rules=order, where=None)
        timeless = replace(bare, cursor=None, cursor_column=None)
        return replace(timeless, errand=errand, mode=mode, order=order)
    settled = plan.order if plan.mode is Mode.APPEND else ()
    return replace(plan, errand=errand, mode=Mode.MERGE, order=order, settled=settled)


def _named(errand: Errand, order: tuple[Rule, ...]) -> Iterator[tuple[Rule, str]]:
    """Every value that an errand names, with its column's rule."""
    if isinstance(errand, KeyRange):
        yield from ((order[0], end) for end in (errand.lo, errand.hi) if end is not None)
        return
    for key in errand.keys:
        yield from zip(order, key, strict=True)


def _check_value(plan: ReadPlan, rule: Rule, value: str) -> None:
    try:
        sql.literal(rule.literal, value)
    except DataError as error:
        raise ConfigError(
            "not a value that the key can have",
            table=str(plan.source.name),
            column=rule.name,
            type=rule.source_type,
            value=value,
            hint="give it as the server shows values of that column",
        ) from error


def _order(
    table: SourceTable, spec: TableSpec, chosen: Strategy, cursor: SourceColumn | None
) -> tuple[str, ...]:
    """The columns that rows are read in the order of."""
    if cursor is not None:
        ties = wishes.ties(table, spec, chosen)
        return (cursor.name, *(name for name in ties if name != cursor.name))
    if chosen is Strategy.ID_ONLY:
        return (wishes.id_column(table, spec).name,)
    return table.keys[0] if table.keys else ()


def _ordered(
    order: tuple[Rule, ...], table: SourceTable, spec: TableSpec, cursor: SourceColumn | None
) -> tuple[Rule, ...]:
    """The order, which begins with the first that is set of several cursors."""
    if cursor is None or not spec.cursor_else:
        return order
    names = (cursor.name, *(table.column(name).name for name in spec.cursor_else))
    first = sql.first_of(names).replace("{", "{{").replace("}", "}}")
    return (replace(order[0], order=first), *order[1:])


def rules_of(
    table: SourceTable, spec: TableSpec, key: tuple[str, ...], mode: Mode
) -> dict[str, Rule]:
    """Each column's rule by its name, in the table's order; what rows are merged by is kept."""
    own = {table.column(name, wishes.COLUMNS).name: policies for name, policies in spec.columns}
    rules = {}
    for column in table.columns:
        known_by, policies = column.name in key, own.get(column.name, spec.policies)
        asked = policies.unchanging() if known_by and mode is Mode.MERGE else policies
        rules[column.name] = types.rule(table.name, column, asked, key=known_by)
    return rules


def columns_of(rules: Sequence[Rule]) -> tuple[Column, ...]:
    """The canonical columns of what is read."""
    return tuple(column for rule in rules for column in rule.columns)


def _copied(spec: TableSpec) -> tuple[Column, ...]:
    """The column that says when a copy of the whole table was taken."""
    name = spec.copy_column
    return () if name is None else (Column(name, "timestamp(6)", "timestamp[us]", nullable=False),)


def _deleted(spec: TableSpec, *, known: bool = False) -> tuple[Column, ...]:
    """The column that says since when a row is known to be gone."""
    if spec.deletes is not Deletes.SOFT:
        return ()
    return (Column(DELETED_AT, "timestamp(6)", "timestamp[us]", nullable=not known),)


def _grows(column: SourceColumn, rule: Rule) -> bool:
    return column.auto_increment and rule.literal is Literal.NUMBER


def _warnings(plan: ReadPlan) -> Iterator[str]:
    yield from _order_warnings(plan)
    cursor = plan.cursor_column
    if cursor is not None:
        yield from _cursor_warnings(cursor)
    yield from _key_warnings(plan)
    yield from _mode_warnings(plan)
    yield from _spec_warnings(plan)


def _order_warnings(plan: ReadPlan) -> Iterator[str]:
    order = tuple(rule.name for rule in plan.order)
    if not order:
        yield "the table has no unique key: it is read in one stream that cannot be resumed"
    elif plan.spec.cursor_else and plan.cursor is not None:
        yield f"no index has the first of ({', '.join(plan.cursors)}): every chunk sorts the table"
    elif plan.source.index_for(order) is None:
        yield f"no index has the rows by ({', '.join(order)}): every chunk sorts the table"
    for rule in plan.key_rules:
        if rule.order != "{}":
            yield f"key column {rule.name} is an enumeration: every chunk sorts the table"


def _cursor_warnings(cursor: SourceColumn) -> Iterator[str]:
    if not cursor.own_stamp:
        yield (
            f"the server does not stamp {cursor.name} on change: what the application forgets to "
            "stamp is not seen"
        )
    elif not cursor.born_stamped:
        yield f"an INSERT that leaves out {cursor.name} stores no time: it is not seen"
    if cursor.nullable:
        yield f"{cursor.name} can be NULL: such rows are read by a leg of their own"


def _key_warnings(plan: ReadPlan) -> Iterator[str]:
    for name in plan.key:
        collation = plan.source.column(name).collation or ""
        if collation.endswith("_ci"):
            yield (
                f"key column {name} is compared as {collation}: values that differ in case "
                "alone are one key at the source and two at the target"
            )
    if plan.mode is Mode.MERGE and plan.key not in plan.source.keys:
        yield (
            f"{wishes.KEY} has more columns than a unique key needs: a row in which one of them "
            "changes is another row at the target, and the old one stays"
        )


def _mode_warnings(plan: ReadPlan) -> Iterator[str]:
    column = plan.id_column
    if column is not None:
        yield f"id_only reads each {column.name} once: later changes of a row are not seen"
        if not column.auto_increment:
            yield (
                f"the server does not hand out {column.name} in ascending order: a row that comes "
                "in below one that was read is not seen"
            )
    elif plan.spec.copy_column is not None:
        yield f"each pass appends the whole table, dated by {plan.spec.copy_column}"
    elif plan.mode is Mode.APPEND:
        yield (
            "a row that changes after it was read is appended again as another row, and reading "
            "stops at the bound"
        )
    if plan.spec.deletes is not Deletes.REPORT and plan.mode is Mode.REPLACE:
        yield "deletes means nothing where each pass replaces the target"
    if plan.strategy is Strategy.FULL_SYNC and plan.mode is Mode.MERGE:
        yield "rows that are deleted at the source stay in the target"
    if plan.where is not None and plan.mode is not Mode.REPLACE:
        yield f"rows that no longer match {condition.SETTING} stay in the target"


def _spec_warnings(plan: ReadPlan) -> Iterator[str]:
    """What was asked for and means nothing to the strategy."""
    spec = plan.spec
    unused = {
        wishes.CURSOR: spec.cursor is not None and plan.cursor is None,
        wishes.FORMAT: spec.format is not plan.format,
        wishes.ID: spec.id is not None and plan.strategy is Strategy.FULL_SYNC,
    }
    for setting, is_unused in unused.items():
        if is_unused:
            yield f"{setting} means nothing to {plan.strategy}"
