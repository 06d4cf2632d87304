"""Every statement's text: the one place where names and literals become SQL.

A name is folded to lower case (Redshift does that even inside double quotes, PostgreSQL does not;
folding here makes both agree), refused when Redshift would cut it, and always quoted. A value goes
as a bound parameter; the few that the server takes only as literals (COPY's, SET's) have their
quotes and backslashes doubled, because Redshift reads a backslash as an escape.

The same input gives the same text, byte for byte. Nothing here knows in which order statements
run: that is `loader.py`'s, and which of them change the target is `apply.py`'s.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError, DataError
from ..model import TableKeys, TableName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..model import Column, TargetId

MAX_NAME: Final = 127
NO_KEYS: Final = TableKeys()
LEDGER_SCHEMA: Final = "s3rs_meta"

BEGIN: Final = "BEGIN"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
BACKEND_PID: Final = "SELECT pg_backend_pid()"
LAST_COPY_COUNT: Final = "SELECT pg_last_copy_count()"
TERMINATE: Final = "SELECT pg_terminate_backend($1)"

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLD: Final = str.maketrans(_UPPER, _UPPER.lower())


def fold(name: str) -> str:
    """The name as Redshift keeps it: its ASCII letters in lower case."""
    return name.translate(_FOLD)


def quote(name: str) -> str:
    """A name as an identifier; DataError where Redshift would refuse or cut it."""
    if not name or "\0" in name:
        raise DataError(
            "not a name that redshift can hold",
            where="redshift",
            name=name.replace("\0", "\\0"),
            hint="give the column or table another name at the source",
        )
    if len(name.encode()) > MAX_NAME:
        raise DataError(
            "the name is longer than redshift keeps",
            where="redshift",
            name=name,
            bytes=len(name.encode()),
            limit=MAX_NAME,
            hint="redshift would cut it in silence; give it a shorter name at the source",
        )
    return '"' + fold(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a string literal, for the statements that take no parameters."""
    if "\0" in text:
        raise DataError("a literal cannot hold a NUL character", where="redshift")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def number(text: str) -> str:
    """A number as a literal."""
    if not _NUMBER.fullmatch(text):
        raise DataError("not a number", where="redshift", value=text)
    return text


def qualified(table: TableName) -> str:
    """A table's name with its schema."""
    return f"{quote(table.schema)}.{quote(table.name)}"


def names(columns: Iterable[str]) -> str:
    """A list of column names."""
    return ", ".join(quote(column) for column in columns)


def first_of(columns: Sequence[str]) -> str:
    """The first of the columns' values that is not NULL."""
    return quote(columns[0]) if len(columns) == 1 else f"COALESCE({names(columns)})"


def check_names(columns: Sequence[Column]) -> None:
    """Refuse two columns that Redshift could not tell apart."""
    seen: dict[str, str] = {}
    for column in columns:
        name = fold(column.name)
        if name in seen:
            raise DataError(
                "two columns have one name in redshift, which ignores case",
                where="redshift",
                first=seen[name],
                second=column.name,
                hint="rename one of them at the source, or leave it out",
            )
        seen[name] = column.name


def create_schema(schema: str) -> str:
    """The schema, if it is not there."""
    return f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"


def create_table(table: TableName, columns: Sequence[Column], keys: TableKeys = NO_KEYS) -> str:
    """The target table, if it is not there; laid out by `keys`, and without a primary key.

    Redshift would believe a primary key and not check it.
    """
    return (
        f"CREATE TABLE IF NOT EXISTS {qualified(table)} ({_definitions(columns)})"
        f"{_layout(table, columns, keys)}"
    )


def _layout(table: TableName, columns: Sequence[Column], keys: TableKeys) -> str:
    present = {fold(column.name): column.name for column in columns}
    asked = [("keys.distkey", keys.distkey)] if keys.distkey is not None else []
    asked += [("keys.sortkey", name) for name in keys.sortkey]
    for setting, name in asked:
        if fold(name) not in present:
            raise _no_such_column(table, setting, name, present)
    if len({fold(name) for name in keys.sortkey}) != len(keys.sortkey):
        raise ConfigError(
            "a column is in the sort key twice",
            table=str(table),
            setting="keys.sortkey",
            hint="keys.sortkey: name each column once",
        )
    distributed = "" if keys.distkey is None else f" DISTSTYLE KEY DISTKEY({quote(keys.distkey)})"
    return distributed + (f" COMPOUND SORTKEY({names(keys.sortkey)})" if keys.sortkey else "")


def _no_such_column(
    table: TableName, setting: str, name: str, present: dict[str, str]
) -> ConfigError:
    near = difflib.get_close_matches(fold(name), present, n=1, cutoff=0.5)
    return ConfigError(
        "unknown column",
        table=str(table),
        column=name,
        setting=setting,
        hint=f"the nearest name is {present[near[0]]}: {setting}: {present[near[0]]}"
        if near
        else "it has " + ", ".join(present.values()),
    )


def stage_name(batch: str) -> str:
    """The name of a batch's stage."""
    return f"st_{fold(batch)}"


def create_stage(batch: str, columns: Sequence[Column]) -> str:
    """The batch's temporary table, by the batch's own columns: never LIKE the target's."""
    return f"CREATE TEMP TABLE {quote(stage_name(batch))} ({_definitions(columns)})"


def _definitions(columns: Sequence[Column]) -> str:
    check_names(columns)
    return ", ".join(
        f"{quote(column.name)} {column.redshift}{'' if column.nullable else ' NOT NULL'}"
        for column in columns
    )


def copy(batch: str, columns: Sequence[Column], manifest_url: str, iam_role: str) -> str:
    """COPY into the stage: the file's columns by position, so they are listed in file order."""
    role = "default" if iam_role == "default" else literal(iam_role)
    return (
        f"COPY {quote(stage_name(batch))} ({names(column.name for column in columns)})"
        f" FROM {literal(manifest_url)} IAM_ROLE {role} FORMAT AS PARQUET MANIFEST"
    )


def count(relation: str) -> str:
    """How many rows a relation (already quoted) has."""
    return f"SELECT COUNT(*) FROM {relation}"


def any_row(table: TableName) -> str:
    """One row if the table has any."""
    return f"SELECT 1 FROM {qualified(table)} LIMIT 1"


def set_query_group(run: str) -> str:
    """Mark the session's queries with the run, for the operator."""
    return f"SET query_group TO {literal(f's3rs:{run}')}"


def set_statement_timeout(seconds: float) -> str:
    """Let the server itself end a statement that takes longer."""
    return f"SET statement_timeout TO {max(1, round(seconds * 1000))}"


@dataclass(frozen=True, slots=True)
class LedgerNames:
    """The two tables of a target's ledger."""

    ledger: TableName
    head: TableName


def ledger_names(target: TargetId) -> LedgerNames:
    """The target's ledger, named by the target alone: two feeders meet at one lock."""
    key = fold(f"{target.database}.{target.table.schema}.{target.table.name}")
    name = f"led_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    return LedgerNames(TableName(LEDGER_SCHEMA, name), TableName(LEDGER_SCHEMA, f"{name}_head"))


def create_ledger(target: TargetId) -> tuple[str, str]:
    """Ledger and head, if they are not there."""
    tables = ledger_names(target)
    ledger = (
        f"CREATE TABLE IF NOT EXISTS {qualified(tables.ledger)} ("
        "pipeline VARCHAR(256), source VARCHAR(512), generation BIGINT, seq BIGINT,"
        " batch_id VARCHAR(32), parent_id VARCHAR(32), manifest_sha256 CHAR(64), mode VARCHAR(16),"
        " rows_copied BIGINT, rows_deleted BIGINT, position VARCHAR(65535), epoch BIGINT,"
        " session_id VARCHAR(64), writer VARCHAR(256), loaded_at TIMESTAMP DEFAULT GETDATE())"
        " SORTKEY(generation, seq)"
    )
    head = (
        f"CREATE TABLE IF NOT EXISTS {qualified(tables.head)} ("
        "pipeline VARCHAR(256), source VARCHAR(512), generation BIGINT, seq BIGINT,"
        " batch_id VARCHAR(32), position VARCHAR(65535), rows_total BIGINT)"
    )
    return ledger, head


def lock_head(target: TargetId) -> str:
    """Y3: the first statement of the transaction, before any snapshot is taken."""
    return f"LOCK {qualified(ledger_names(target).head)}"


def read_head(target: TargetId) -> str:
    """Every row of the head: there is one, or none before the first load."""
    return (
        "SELECT pipeline, source, generation, seq, batch_id, position, rows_total"
        f" FROM {qualified(ledger_names(target).head)}"
    )


def insert_head(target: TargetId) -> str:
    """The head's first row: generation 1, seq 0, no batch. Parameters: pipeline, source, rows."""
    return (
        f"INSERT INTO {qualified(ledger_names(target).head)}"
        " (pipeline, source, generation, seq, batch_id, position, rows_total)"
        " VALUES ($1, $2, 1, 0, '', '', $3)"
    )


def update_head(target: TargetId) -> str:
    """Y10: move the head on from where it was read; anything but one row is a second writer.

    Parameters: generation, seq, batch, position, rows_total, then the old generation and batch.
    """
    return (
        f"UPDATE {qualified(ledger_names(target).head)} SET generation = $1, seq = $2,"
        " batch_id = $3, position = $4, rows_total = $5 WHERE generation = $6 AND batch_id = $7"
    )


def recorded(target: TargetId, count: int) -> str:
    """Y4: the digests under which batches were loaded. Parameters: so many batches."""
    listed = ", ".join(f"${number}" for number in range(1, count + 1))
    return (
        f"SELECT batch_id, manifest_sha256 FROM {qualified(ledger_names(target).ledger)}"
        f" WHERE batch_id IN ({listed})"
    )


def read_chain(target: TargetId) -> str:
    """Every line of the ledger in the order of its chain."""
    return (
        "SELECT generation, seq, batch_id, parent_id, mode, rows_copied, rows_deleted, position,"
        f" loaded_at FROM {qualified(ledger_names(target).ledger)} ORDER BY generation, seq"
    )


def read_batches(target: TargetId) -> str:
    """The batches that were ever loaded."""
    return f"SELECT batch_id FROM {qualified(ledger_names(target).ledger)}"


def insert_ledger(target: TargetId) -> str:
    """Y9: the batch's line, in the load's own transaction. Fourteen parameters, as listed."""
    return (
        f"INSERT INTO {qualified(ledger_names(target).ledger)}"
        " (pipeline, source, generation, seq, batch_id, parent_id, manifest_sha256, mode,"
        " rows_copied, rows_deleted, position, epoch, session_id, writer)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    )


SCHEMAS_PRESENT: Final = "SELECT nspname FROM pg_namespace"

TABLES_PRESENT: Final = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE (n.nspname = $1 AND c.relname = $2) OR (n.nspname = $3 AND c.relname IN ($4, $5))"
)

TABLE_COLUMNS: Final = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum"
)

LOCK_HOLDERS: Final = (
    "SELECT t.pid, t.txn_owner, t.txn_start FROM svv_transactions t"
    " JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND c.relname = $2 AND t.granted"
)
