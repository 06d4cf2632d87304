"""The tables of a pipeline: what is written of each, over what is written for all.

A table's own value wins over the default, and a null of its own takes the default away. What
contradicts itself is refused here, where it is written, and not in the night when the table is
read. Tables are a mapping, or a list of names and of single keys with settings (v1's habit).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from ..document import Document, Fault, Loc, Plain
from ..model import (
    CursorFormat,
    Deletes,
    Mode,
    Policies,
    Sizes,
    Strategy,
    TableKeys,
    TableName,
    TableSpec,
)
from .policies import PolicySettings, of_column, policies
from .strict import Strict, dotted, faults, parse
from .values import (
    BatchSize,
    BatchTime,
    Columns,
    Duration,
    FileSize,
    Interval,
    TargetName,
    Text,
    Zone,
    table_name,
)
from .words import ELSEWHERE, translate

_EVERY = 15 * 60.0
_FORMATS = {
    "datetime": CursorFormat.COLUMN,
    "unix": CursorFormat.UNIX,
    "unix_ms": CursorFormat.UNIX_MS,
}
_TABLES_OWN = dict.fromkeys(
    ("target_name", "keys", "columns", "custom_sql"), "this is a table's own: write it there"
)
_USELESS: Mapping[str, frozenset[Strategy]] = {
    "cdc_timestamp_column": frozenset({Strategy.ID_ONLY, Strategy.FULL_SYNC}),
    "timestamp_format": frozenset({Strategy.ID_ONLY, Strategy.FULL_SYNC}),
    "cdc_id_column": frozenset({Strategy.FULL_SYNC}),
    "lookback": frozenset({Strategy.ID_ONLY}),
    "additional_where": frozenset({Strategy.CUSTOM_SQL}),
}

_REPLACING = frozenset({None, Strategy.FULL_SYNC, Strategy.CUSTOM_SQL})


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of a pipeline, and how many seconds lie between the starts of two passes."""

    spec: TableSpec
    every: float


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a document as far as they are read; with faults, some may be missing."""

    document: Document
    entries: list[Entry] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notices: list[Fault] = field(default_factory=list)


class Settings(PolicySettings):
    """What may be written for several tables at once."""

    every: Interval | None = None
    apply: Literal["append", "merge", "replace"] | None = None
    cdc_strategy: Strategy | None = None
    cdc_timestamp_column: Columns | None = None
    cdc_id_column: Text | None = None
    timestamp_format: Literal["datetime", "unix", "unix_ms"] | None = None
    additional_where: Text | None = None
    copy_column: Text | None = None
    primary_key: Columns | None = None
    lookback: Duration | None = None
    cursor_time_zone: Zone | None = None
    connections: int | None = Field(default=None, ge=1, le=16)
    compression: Literal["zstd", "snappy"] | None = None
    batch_size: BatchSize | None = None
    batch_time: BatchTime | None = None
    file_size: FileSize | None = None
    scans: Literal["refuse", "allow"] | None = None
    deletes: Deletes | None = None


class KeySettings(Strict):
    """How the target lays the table out."""

    distkey: Text | None = None
    sortkey: Columns | None = None


class TableSettings(Settings):
    """What may be written for one table."""

    target_name: TargetName | None = None
    custom_sql: Text | None = None
    keys: KeySettings | None = None
    columns: dict[Text, PolicySettings] | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """Settings as they stand at `loc`, and the words that stand there for ours."""

    loc: Loc = ()
    settings: Settings = field(default_factory=Settings)
    words: Mapping[str, str] = field(default_factory=dict)

    def at(self, name: str) -> Loc | None:
        """Where the setting stands here, if it does."""
        known = name in self.settings.model_fields_set
        return (*self.loc, self.words.get(name, name)) if known else None


def read_tables(document: Document, defaults: Plain, tables: Plain) -> Tables:
    """Every table of the document with its settings, and every mistake in them."""
    read = Tables(document)
    common = _settings(read, Settings, ("defaults",), defaults)
    named = list(_named(read, tables))
    if not tables and isinstance(document.value, dict) and ("tables",) not in document.unset:
        _fault(read, ("tables",), "no tables", "name one: shop.orders: {}")
    for loc, table, written in named:
        inherited = common.settings.cdc_strategy if common is not None else None
        own = _settings(read, TableSettings, loc, written, inherited)
        if own is not None and common is not None:
            _add(read, table, common, own)
    return read


def _fault(read: Tables, loc: Loc, message: str, hint: str, **facts: str) -> None:
    fault = read.document.fault(loc, message, hint, **facts)
    if fault not in read.faults:  # of defaults, every table tells the same
        read.faults.append(fault)


def _named(read: Tables, tables: Plain) -> Iterator[tuple[Loc, TableName, Plain]]:
    for loc, text, written in _listed(read, tables):
        table = table_name(text)
        if table is None:
            hint = "write it as schema.table, e.g. shop.orders"
            hint = "name every table by itself" if "*" in text else hint
            _fault(read, loc, "not a table name", hint)
        elif str(table) in read.places:
            line, column = read.places[str(table)]
            first = f"{read.document.path}:{line}:{column}"
            _fault(read, loc, "a table stands twice", "keep one of them", first=first)
        else:
            read.places[str(table)] = read.document.line_column(loc)
            yield loc, table, written


def _listed(read: Tables, tables: Plain) -> Iterator[tuple[Loc, str, Plain]]:
    if isinstance(tables, dict):
        for name, written in tables.items():
            yield ("tables", name), name, written
    elif isinstance(tables, list):
        for index, item in enumerate(tables):
            yield from _item(read, ("tables", index), item)
    elif tables is not None:
        hint = "write schema.table: {} below it"
        _fault(read, ("tables",), "tables are keys or a list", hint)


def _item(read: Tables, loc: Loc, item: Plain) -> Iterator[tuple[Loc, str, Plain]]:
    if isinstance(item, str):
        yield loc, item, None
    elif isinstance(item, dict) and len(item) == 1:
        ((name, written),) = item.items()
        yield (*loc, name), name, written
    elif loc not in read.document.unset:
        hint = "write schema.table, and its settings indented below it"
        _fault(read, loc, "not a table", hint)


def _settings(
    read: Tables,
    model: type[Settings],
    loc: Loc,
    written: Plain,
    inherited: Strategy | None = None,
) -> _Written | None:
    if written is not None and not isinstance(written, dict):
        hint = "indent its settings below it, or write them in braces"
        _fault(read, loc, "wrong value: keys with values belong here", hint, key=dotted(loc))
        return None
    said = translate(read.document, loc, written or {}, inherited)
    elsewhere = ELSEWHERE if model is TableSettings else {**ELSEWHERE, **_TABLES_OWN}
    settings, mistakes = parse(model, said.value, elsewhere)
    told = [*said.faults, *faults(mistakes, read.document, loc, said.written)]
    read.faults.extend(told)
    read.notices.extend(said.notices)
    return None if settings is None or told else _Written(loc, settings, said.written)


def _add(read: Tables, table: TableName, common: _Written, own: _Written) -> None:
    asked = TableSettings.model_construct(
        **{
            name: getattr(written.settings, name)
            for written in (common, own)
            for name in written.settings.model_fields_set
        }
    )
    for name, other, message, instead in _contradictions(asked):
        loc = own.at(name) or own.at(other) or common.at(name) or own.loc
        away = f"take {name} away"
        if own.at(name) is None:
            away = f"write {name}: null, which takes the default away"
        _fault(read, loc, message, f"{away}, or write {instead}")
    read.entries.append(Entry(_spec(table, asked), asked.every or _EVERY))


def _contradictions(asked: TableSettings) -> Iterator[tuple[str, str, str, str]]:
    """The setting that can't be, the one that forbids it, why, and what to write instead."""
    strategy = asked.cdc_strategy
    if asked.lookback and asked.apply == "append":
        message = "what lookback reads again would be appended again"
        yield "lookback", "apply", message, "apply: merge"
    if asked.apply == "replace" and strategy not in _REPLACING:
        message = "only a table that is read whole can be replaced"
        yield "apply", "cdc_strategy", message, "cdc_strategy: full_sync"
    if asked.custom_sql and strategy is not Strategy.CUSTOM_SQL:
        message = "a query is read by custom_sql alone"
        yield "custom_sql", "cdc_strategy", message, "cdc_strategy: custom_sql"
    if strategy is Strategy.CUSTOM_SQL and not asked.custom_sql:
        message = "there is no query to read"
        yield "cdc_strategy", "cdc_strategy", message, "custom_sql: SELECT ..."
    yield from _copies(asked)
    if asked.deletes not in {None, Deletes.REPORT} and (asked.custom_sql or asked.copy_column):
        message = "rows of a query or of dated copies cannot be told to be gone"
        yield "deletes", "cdc_strategy", message, "deletes: report"
    for name, strategies in _USELESS.items():
        if strategy in strategies and getattr(asked, name):
            message = f"{strategy} has no use for {name}"
            yield name, "cdc_strategy", message, "another cdc_strategy"


def _copies(asked: TableSettings) -> Iterator[tuple[str, str, str, str]]:
    """The same of dated copies: each is a whole table, and appended."""
    whole, appended = asked.cdc_strategy is Strategy.FULL_SYNC, asked.apply == "append"
    if whole and appended and not asked.copy_column:
        message = "every pass would add the whole table again"
        yield "apply", "cdc_strategy", message, "copy_column: a name for the time of each copy"
    if asked.copy_column and not (whole and appended):
        message = "copies are taken of a whole table, and appended"
        instead = "cdc_strategy: full_sync and apply: append"
        yield "copy_column", "cdc_strategy", message, instead


def _sizes(asked: TableSettings) -> Sizes:
    usual = Sizes()
    return Sizes(
        asked.batch_size or usual.batch,
        asked.batch_time or usual.batch_seconds,
        asked.file_size or usual.file,
    )


def _spec(table: TableName, asked: TableSettings) -> TableSpec:
    keys, common = asked.keys or KeySettings(), policies(Policies(), asked)
    cursors = asked.cdc_timestamp_column or ()
    return TableSpec(
        table=table,
        target=asked.target_name,
        strategy=asked.cdc_strategy,
        cursor=cursors[0] if cursors else None,
        cursor_else=cursors[1:],
        id=asked.cdc_id_column,
        format=_FORMATS[asked.timestamp_format or "datetime"],
        key=asked.primary_key,
        mode=Mode(asked.apply) if asked.apply is not None else None,
        where=asked.additional_where,
        sql=asked.custom_sql,
        copy_column=asked.copy_column,
        lookback=asked.lookback or 0.0,
        cursor_time_zone=asked.cursor_time_zone,
        keys=TableKeys(keys.distkey, keys.sortkey or ()),
        connections=asked.connections or 1,
        compression=asked.compression or "zstd",
        sizes=_sizes(asked),
        policies=common,
        columns=tuple(
            (name, of_column(common, own)) for name, own in (asked.columns or {}).items()
        ),
        may_scan=asked.scans == "allow",
        deletes=asked.deletes or Deletes.REPORT,
    )
