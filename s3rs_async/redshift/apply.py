"""How a staged batch meets its target: append, merge, delete, replace and so on, as statements.

The statements run inside the load's transaction, after the stage has been counted and before the
ledger's row. DELETE, never TRUNCATE, which would commit half a load. Rows are assigned by name and
never cast here: an explicit cast to VARCHAR(n) cuts a text in silence, an assignment refuses it.

Redshift enforces no key. So wherever there is a merge key, replace included, only one version of
each key enters: the one with the greatest cursor, which is the one that was read last. Key columns
are NOT NULL (the source's schema says so), hence plain equality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import DataError
from ..model import DELETED_AT, Mode, TableName
from . import sql

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..model import Manifest


@dataclass(frozen=True, slots=True)
class Application:
    """Y7 and Y8: what makes room, what brings the rows, and how many rows must have come.

    `expected` counts, from the stage alone, the rows that must have come. Where that is every row
    of the stage, `insert_all` brings them; `insert` brings one version of each key, and sorts. What
    only deletes brings none, and has neither. `mark` changes rows where they are.
    """

    delete: str | None
    insert: str | None
    insert_all: str | None
    expected: str
    mark: str | None = None

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements that change the target, in order."""
        return tuple(filter(None, (self.delete, self.mark, self.insert)))


def application(manifest: Manifest) -> Application:
    """The statements that apply the batch; DataError where its mode and its columns disagree."""
    _check(manifest)
    target, stage = manifest.target.table, sql.quote(sql.stage_name(manifest.batch))
    brings = manifest.mode.brings
    return Application(
        delete=_delete(manifest, target, stage),
        insert=_insert(manifest, target, stage) if brings else None,
        insert_all=_insert_all(manifest, target, stage) if brings else None,
        expected=_expected(manifest, stage),
        mark=_mark(manifest, target, stage) if manifest.mode is Mode.MARK else None,
    )


def _check(manifest: Manifest) -> None:
    present = {sql.fold(column.name) for column in manifest.columns}
    facts = {"where": "redshift", "table": str(manifest.target), "batch": manifest.batch}
    keyed = manifest.mode is Mode.MERGE or not manifest.mode.brings
    if keyed and not manifest.merge_key:
        raise DataError(
            f"a {manifest.mode} needs a key",
            hint="give the table a merge key, or load it by append or replace",
            **facts,
        )
    mark = (DELETED_AT,) if manifest.mode is Mode.MARK else ()
    for name in (*manifest.merge_key, *manifest.cursors, *mark):
        if sql.fold(name) not in present:
            raise DataError(
                "the batch lacks a column that its merge rests on",
                column=name,
                hint="keep key and cursor among the table's columns",
                **facts,
            )


def _delete(manifest: Manifest, target: TableName, stage: str) -> str | None:
    match manifest.mode:
        case Mode.APPEND | Mode.MARK:
            return None
        case Mode.REPLACE:
            return f"DELETE FROM {sql.qualified(target)}"
        case Mode.MERGE | Mode.DELETE:
            equal = _equal(manifest, target, stage)
            return f"DELETE FROM {sql.qualified(target)} USING {stage} WHERE {equal}"
        case Mode.REPLACE_WINDOW:
            return f"DELETE FROM {sql.qualified(target)} WHERE {_span(manifest)}"


def _equal(manifest: Manifest, target: TableName, stage: str) -> str:
    """The rows of the target whose key the stage has."""
    here = sql.quote(target.name)
    return " AND ".join(
        f"{here}.{sql.quote(name)} = {stage}.{sql.quote(name)}" for name in manifest.merge_key
    )


def _mark(manifest: Manifest, target: TableName, stage: str) -> str:
    """Rows that are marked already keep the moment that they have."""
    here, since = sql.quote(target.name), sql.quote(DELETED_AT)
    return (
        f"UPDATE {sql.qualified(target)} SET {since} = {stage}.{since} FROM {stage}"
        f" WHERE {_equal(manifest, target, stage)} AND {here}.{since} IS NULL"
    )


def _span(manifest: Manifest) -> str:
    """The rows of the target whose cursor lies in the batch's window."""
    window = manifest.window
    if window is None or manifest.cursor is None:
        raise DataError(
            "a window is replaced by its cursor, and the batch has none",
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
        )
    cursor = sql.first_of(manifest.cursors)
    below = f"{cursor} <= {sql.literal(window.hi)}"
    if window.lo is None:
        return below
    sign = ">" if window.open_lo else ">="
    return f"{cursor} {sign} {sql.literal(window.lo)} AND {below}"


def _deduplicates(manifest: Manifest) -> bool:
    return bool(manifest.merge_key) and manifest.mode in {Mode.MERGE, Mode.REPLACE}


def _insert_all(manifest: Manifest, target: TableName, stage: str) -> str:
    columns = sql.names(column.name for column in manifest.columns)
    return f"INSERT INTO {sql.qualified(target)} ({columns}) SELECT {columns} FROM {stage}"


def _insert(manifest: Manifest, target: TableName, stage: str) -> str:
    if not _deduplicates(manifest):
        return _insert_all(manifest, target, stage)
    columns = sql.names(column.name for column in manifest.columns)
    key = sql.names(manifest.merge_key)
    order = f"{sql.first_of(manifest.cursors)} DESC NULLS LAST" if manifest.cursor else key
    rank = sql.quote(_unused("s3rs_rank", {sql.fold(c.name) for c in manifest.columns}))
    return (
        f"INSERT INTO {sql.qualified(target)} ({columns})"
        f" SELECT {columns} FROM (SELECT {columns},"
        f" ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {order}) AS {rank}"
        f" FROM {stage}) AS latest WHERE {rank} = 1"
    )


def _unused(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _expected(manifest: Manifest, stage: str) -> str:
    if not _deduplicates(manifest):
        return sql.count(stage)
    return sql.count(f"(SELECT DISTINCT {sql.names(manifest.merge_key)} FROM {stage}) AS keys")
