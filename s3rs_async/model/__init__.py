"""The nouns: frozen values that every station speaks, and nothing that acts.

Rows travel as Arrow record batches; everything else travels as one of these. No driver, no Arrow
and no IO here: an Arrow type is named by its text (`decimal128(20, 0)`), so that the command line
can say what a table is without loading what moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..errors import ConfigError
from .policies import (
    PLAIN,
    BigintUnsigned,
    Binary,
    Change,
    Changes,
    Dates,
    LongText,
    NulBytes,
    Policies,
    TinyInt1,
)

__all__ = [
    "DELETED_AT",
    "PLAIN",
    "BigintUnsigned",
    "Binary",
    "Bound",
    "Change",
    "Changes",
    "Column",
    "CursorFormat",
    "Dates",
    "Deletes",
    "Errand",
    "KeyList",
    "KeyRange",
    "LongText",
    "Manifest",
    "Mode",
    "NulBytes",
    "Part",
    "Policies",
    "Position",
    "Proof",
    "Sizes",
    "SourceId",
    "Strategy",
    "TableKeys",
    "TableName",
    "TableSchema",
    "TableSpec",
    "TargetId",
    "TinyInt1",
    "Window",
]


class Strategy(StrEnum):
    """How change is found at the source."""

    HYBRID = "hybrid"
    TIMESTAMP_ONLY = "timestamp_only"
    ID_ONLY = "id_only"
    FULL_SYNC = "full_sync"
    CUSTOM_SQL = "custom_sql"


class CursorFormat(StrEnum):
    """How a cursor tells time: by the column's own type, or as a whole number since 1970.

    An id tells none: it is a whole number that is handed out in ascending order.
    """

    COLUMN = "column"
    UNIX = "unix"
    UNIX_MS = "unix_ms"
    ID = "id"


class Mode(StrEnum):
    """How a batch's rows meet the target; `mark` says of rows there that they are gone."""

    APPEND = "append"
    MERGE = "merge"
    REPLACE = "replace"
    REPLACE_WINDOW = "replace_window"
    DELETE = "delete"
    MARK = "mark"

    @property
    def brings(self) -> bool:
        """Whether its rows become rows of the target; else they name some by their keys."""
        return self not in {Mode.DELETE, Mode.MARK}


class Deletes(StrEnum):
    """What a repair does with rows of the target that the source has no longer.

    Soft ones stay, and DELETED_AT, a column that the target then has, says since when it is known.
    """

    REPORT = "report"
    SOFT = "soft"
    HARD = "hard"


DELETED_AT = "s3rs_deleted_at"


class Proof(StrEnum):
    """How sure the bound is (capture's three levels)."""

    PROVEN = "proven"
    BOUNDED = "bounded"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TableName:
    """A table within its server or database: `schema.table`, as its owner spells it."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """`schema.table` → TableName; ConfigError for anything else."""
        schema, dot, name = text.partition(".")
        if not (dot and schema and name) or "." in name:
            raise ConfigError(
                "not a table name", table=text, hint="write it as schema.table, e.g. shop.orders"
            )
        return cls(schema, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class TableKeys:
    """How the target lays a table out when it is made: by which columns it is cut and sorted."""

    distkey: str | None = None
    sortkey: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Where batches and files end.

    A batch ends with the first chunk behind `batch` bytes of rows, as they are in memory, or behind
    `batch_seconds`; a file with the first row group that brings it to `file` bytes.
    """

    batch: int = 4 << 30
    batch_seconds: float = 900.0
    file: int = 128 << 20


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What is asked for one table. None: decided from what the table is.

    `target` is where its rows go: a table name, with its schema or without. `cursor_else` are the
    columns that count where the cursor is NULL, the first that is not. `key` are the columns that
    rows are merged by, `id` the column that breaks ties of the cursor, or is the cursor of
    `id_only`. `where` is a condition of MySQL's, `sql` the query of `custom_sql`, whose place in S3
    the table's name is; `copy_column` is named where each pass appends the whole table as a copy,
    for the source's time at which it was taken; `lookback` are seconds that are read again below
    the position, `cursor_time_zone` overrides the source's; at most `connections` read the table at
    once. `compression` is that of its files, zstd or snappy. `policies` are those of all its
    columns, `columns` those of some, by name. `may_scan` allows what the source would have to scan
    or sort its table for. `deletes` is what becomes of rows that are found to be gone.
    """

    table: TableName
    target: str | None = None
    strategy: Strategy | None = None
    cursor: str | None = None
    cursor_else: tuple[str, ...] = ()
    id: str | None = None
    format: CursorFormat = CursorFormat.COLUMN
    key: tuple[str, ...] | None = None
    mode: Mode | None = None
    where: str | None = None
    sql: str | None = None
    copy_column: str | None = None
    lookback: float = 0.0
    cursor_time_zone: str | None = None
    keys: TableKeys = TableKeys()
    connections: int = 1
    compression: str = "zstd"
    sizes: Sizes = Sizes()
    policies: Policies = PLAIN
    columns: tuple[tuple[str, Policies], ...] = ()
    may_scan: bool = False
    deletes: Deletes = Deletes.REPORT

    def lands_in(self, schema: str | None) -> TableName:
        """The one rule of where rows go; `schema` is where the target sends all, None: nowhere."""
        own, _, name = (self.target or self.table.name).rpartition(".")
        return TableName(own or schema or self.table.schema, name)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the canonical schema, the same for files, DDL, COPY and checks.

    `octets` is the greatest number of bytes a text (in UTF-8) or binary value can have, None for
    other types.
    `redshift` is empty until the target's type map has spoken.
    """

    name: str
    source_type: str
    arrow: str
    nullable: bool
    octets: int | None = None
    redshift: str = ""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A source table's columns in their order, and the unique NOT NULL key that rows are known by.

    `key` is empty where the table has none.
    """

    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a table has been read.

    With `key` it is the last row written and reading goes on strictly after it; with `key` None it
    is a bound and reading starts at it, inclusive. Every value is MySQL's own text for it, so no
    precision is lost. `nulls` is the last key read of the rows whose cursor is NULL.
    """

    cursor: str | None = None
    key: tuple[str, ...] | None = None
    nulls: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """An errand: the rows whose key's first column lies in a span, both ends in it; None: open."""

    lo: str | None
    hi: str | None


@dataclass(frozen=True, slots=True)
class KeyList:
    """An errand: the rows of these keys, each the texts of its columns as a position has them.

    With `gone` they are those that the target has and the source has no longer: what is still not
    there when they are looked for is deleted from the target.
    """

    keys: tuple[tuple[str, ...], ...]
    gone: bool = False


Errand: TypeAlias = KeyRange | KeyList


@dataclass(frozen=True, slots=True)
class Window:
    """A span of cursors that a batch replaces in an append target, both ends in it.

    `lo` None: from the beginning. With `open_lo` the low end itself is not in it, because the batch
    before has replaced that.
    """

    lo: str | None
    hi: str
    open_lo: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What a pass may call read for good.

    `hi` is in the cursor's own frame and text (exclusive); None where the strategy has no cursor.
    `server_time` is the source's clock when the bound was fixed, ISO 8601 in UTC. `reason` says in
    words why the bound is no better than it is; empty when it is proven. `nulls_to` is the greatest
    key up to which the rows whose cursor is NULL are known to be all there; None where that is not
    known, or the key does not grow. `key_to` is the greatest id known to be all there, for a pass
    that reads along ids; None where there is none.
    """

    hi: str | None
    proof: Proof
    server_time: str
    reason: str = ""
    nulls_to: str | None = None
    key_to: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One parquet object: its key in the bucket, bytes, ETag and rows."""

    key: str
    size: int
    etag: str
    rows: int


@dataclass(frozen=True, slots=True)
class SourceId:
    """Which server and table rows came from."""

    connection: str
    server: str
    table: TableName

    def __str__(self) -> str:
        return f"{self.connection}:{self.table}"


@dataclass(frozen=True, slots=True)
class TargetId:
    """Which table rows go to: a configured target, its database, and the table in it."""

    connection: str
    database: str
    table: TableName

    def __str__(self) -> str:
        return f"{self.connection}.{self.table}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """`batch.json`: the immutable description of one batch; nothing about it is kept elsewhere.

    `cursor_else` are the columns that count where the cursor is NULL, the first that is not.
    """

    pipeline: str
    source: SourceId
    target: TargetId
    columns: tuple[Column, ...]
    merge_key: tuple[str, ...]
    cursor: str | None
    generation: int
    epoch: int
    seq: int
    batch: str
    parent: str
    before: Position | None
    after: Position | None
    bound: Bound
    mode: Mode
    moves_watermark: bool
    parts: tuple[Part, ...]
    session: str
    extracted_at: str
    window: Window | None = None
    cursor_else: tuple[str, ...] = ()

    @property
    def cursors(self) -> tuple[str, ...]:
        """The columns the first of which that is not NULL is a row's cursor."""
        return () if self.cursor is None else (self.cursor, *self.cursor_else)

    @property
    def rows(self) -> int:
        """Rows in all parts together."""
        return sum(part.rows for part in self.parts)
