"""The ledger: one small table per target that says, in the load's own transaction, what was loaded.

The head is one row: the last batch, its place in the chain, and the target's row count as these
loads made it. Its lock is the protocol's mutual exclusion and must be the first statement after
BEGIN: a snapshot taken before the lock would show an old head, and a batch would be loaded twice.

Whoever waits for the lock waits for a load that is running, or for the ghost of one whose client is
gone. Only a ghost of this very process is ended, known by its backend's pid and our own user; for
any other holder the wait ends in an error that names it. Nothing here decides what may be loaded:
that is `commit.judge`'s.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..commit import LedgerHead, Verdict
from ..errors import ConfigError, DataError, Error, UnavailableError
from ..model import Mode
from . import faults, sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Manifest, TableKeys, TableName, TargetId
    from .connection import Session, Target

LOCK_GRACE_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One batch as the ledger has it; its position is text, `loaded_at` the target's own clock."""

    generation: int
    seq: int
    batch: str
    parent: str
    mode: str
    rows_copied: int
    rows_deleted: int
    position: str
    loaded_at: dt.datetime


async def read_head(session: Session, target: TargetId) -> LedgerHead | None:
    """The last batch the target holds; None where it was never loaded by us."""
    head = sql.ledger_names(target).head
    if head.name not in {name for _, name in await _present(session, target)}:
        return None
    return await _head(session, target)


async def is_born(session: Session, target: TargetId) -> bool:
    """Whether there is a head to lock: a first load makes it before it begins."""
    return _folded(sql.ledger_names(target).head) in await _present(session, target)


async def chain(session: Session, target: TargetId) -> tuple[LedgerLine, ...]:
    """Every batch that the target was ever given, in order; none where there is no ledger."""
    if not await _has_ledger(session, target):
        return ()
    found = await session.fetch(sql.read_chain(target))
    return tuple(LedgerLine(*row) for row in found)


async def loaded_batches(session: Session, target: TargetId) -> set[str]:
    """The batches in the ledger; none where there is no ledger."""
    if not await _has_ledger(session, target):
        return set()
    return {batch for (batch,) in await session.fetch(sql.read_batches(target))}


async def _has_ledger(session: Session, target: TargetId) -> bool:
    return _folded(sql.ledger_names(target).ledger) in await _present(session, target)


async def ready(
    session: Session, target: TargetId, *, pipeline: str, source: str, adopt: bool = False
) -> LedgerHead | None:
    """What a load will find, asked early: the head, if the target is ours or may become so."""
    present = await _present(session, target)
    if _folded(sql.ledger_names(target).head) in present:
        head = await _head(session, target)
        if head is not None and (head.pipeline, head.source) != (pipeline, source):
            raise another_feeder(head, target)
        if head is not None:
            return head
    if _folded(target.table) in present:
        await _rows_before_us(session, target, adopt=adopt)
    return None


def another_feeder(head: LedgerHead, target: TargetId) -> ConfigError:
    """Why a target that someone else feeds is not touched."""
    return ConfigError(
        "another pipeline feeds this target",
        where="redshift",
        table=str(target),
        feeder=head.pipeline,
        feeder_source=head.source,
        verdict=Verdict.FOREIGN.name.lower(),
        hint="a target has one feeder: give this pipeline another target table",
    )


async def born(session: Session, manifest: Manifest, keys: TableKeys = sql.NO_KEYS) -> None:
    """Target and ledger exist afterwards; in autocommit, and only what is missing is created.

    `keys` lay out a target that is made here, and change nothing of one that is there. So a user
    with rights on ready-made schemas and tables needs none to create them.
    """
    target = manifest.target
    tables = sql.ledger_names(target)
    ledger, head = sql.create_ledger(target)
    statements = {
        _folded(target.table): sql.create_table(target.table, manifest.columns, keys),
        _folded(tables.ledger): ledger,
        _folded(tables.head): head,
    }
    missing = statements.keys() - await _present(session, target)
    if _folded(target.table) in missing and _folded(tables.head) not in missing:
        await _check_target_is_ours_to_make(session, manifest)
    if _folded(target.table) in missing and not manifest.mode.brings:
        raise _target_gone(manifest, None)  # it has not all the columns
    for schema in await _missing_schemas(session, {schema for schema, _ in missing}):
        await session.execute(sql.create_schema(schema))
    for name, statement in statements.items():
        if name in missing:
            await session.execute(statement)


def _folded(table: TableName) -> tuple[str, str]:
    return sql.fold(table.schema), sql.fold(table.name)


async def _missing_schemas(session: Session, wanted: set[str]) -> list[str]:
    if not wanted:
        return []
    found = {name for (name,) in await session.fetch(sql.SCHEMAS_PRESENT)}
    return sorted(wanted - found)


async def _check_target_is_ours_to_make(session: Session, manifest: Manifest) -> None:
    """Refuse to make an empty target where the ledger holds batches; a replace may."""
    head = await _head(session, manifest.target)
    if head is None or not head.batch or manifest.mode is Mode.REPLACE:
        return
    raise _target_gone(manifest, head.rows_total)


def _target_gone(manifest: Manifest, rows: int | None) -> DataError:
    return DataError(
        "the target is gone, but its ledger holds batches"
        if rows is not None
        else "the target is gone, and a batch that deletes cannot make it",
        where="redshift",
        table=str(manifest.target),
        rows=rows,
        hint="someone dropped or renamed it: rename it back or restore it from a snapshot",
    )


async def _present(session: Session, target: TargetId) -> set[tuple[str, str]]:
    tables = sql.ledger_names(target)
    ledger = (sql.LEDGER_SCHEMA, tables.ledger.name, tables.head.name)
    found = await session.fetch(sql.TABLES_PRESENT, *_folded(target.table), *ledger)
    return {(row[0], row[1]) for row in found}


async def _head(session: Session, target: TargetId) -> LedgerHead | None:
    found = await session.fetch(sql.read_head(target))
    if len(found) > 1:
        raise DataError(
            "the ledger's head has more than one row",
            where="redshift",
            table=str(target),
            ledger=str(sql.ledger_names(target).head),
            hint="someone wrote to it by hand: keep the row that the ledger's last line confirms",
        )
    return LedgerHead(*found[0]) if found else None


async def lock(session: Session, target: TargetId, wait: float) -> None:
    """Y3, waiting no longer than the session's statement timeout, which `wait` must equal."""
    try:
        await session.execute(sql.lock_head(target), timeout=wait + LOCK_GRACE_SECONDS)
    except UnavailableError as error:
        if error.context.get("sqlstate") == faults.STATEMENT_TIMEOUT:
            raise LockedError(target, wait) from error
        raise


class LockedError(UnavailableError):
    """The head is still locked by another session after the wait that was allowed."""

    def __init__(self, target: TargetId, waited: float, pid: int | None = None) -> None:
        hint = (
            "a load of the same target is running; if its process is gone, end its session"
            f" with SELECT pg_terminate_backend({'<pid>' if pid is None else pid})"
        )
        super().__init__(
            "the target's ledger is locked by another session",
            hint=hint,
            where="redshift",
            table=str(target),
            waited_s=waited,
            holder_pid=pid,
        )
        self.waited = waited


async def end_ghost(target: Target, table: TargetId) -> int | None:
    """Find who holds the head; end it if it is a ghost of ours, else return its pid.

    None means that the lock is free now, or that the holder could not be seen.
    """
    head = sql.ledger_names(table).head
    async with target.session() as session:
        try:
            holders = await session.fetch(sql.LOCK_HOLDERS, head.schema, head.name)
        except Error:
            return None
        for pid, owner, _ in holders:
            if pid not in target.ghosts or str(owner).strip() != target.config.user:
                return int(pid)
            await session.execute(sql.TERMINATE, pid)
            target.ghosts.remove(pid)
    return None


async def head_under_lock(session: Session, manifest: Manifest, *, adopt: bool) -> LedgerHead:
    """Y4's first half: the head, born here if there is none; only after `lock`."""
    head = await _head(session, manifest.target)
    if head is not None:
        return head
    rows = await _rows_before_us(session, manifest.target, adopt=adopt)
    await session.execute(
        sql.insert_head(manifest.target), manifest.pipeline, str(manifest.source), rows
    )
    return LedgerHead(manifest.pipeline, str(manifest.source), 1, 0, "", "", rows)


async def _rows_before_us(session: Session, target: TargetId, *, adopt: bool) -> int:
    """How many rows were in the target before the first load; refused unless adopted."""
    if adopt:
        return int(await session.value(sql.count(sql.qualified(target.table))))
    if await session.value(sql.any_row(target.table)) is not None:
        raise DataError(
            "the target has rows, and its ledger has none",
            where="redshift",
            table=str(target),
            hint="another tool filled it: empty it, send the table to another schema, or take it"
            " over as it is with --adopt",
        )
    return 0


async def recorded(session: Session, target: TargetId, batches: Sequence[str]) -> dict[str, str]:
    """Y4's second half: those of the batches that were loaded, each with its digest."""
    found = await session.fetch(sql.recorded(target, len(batches)), *batches)
    return {batch: str(sha256).strip() for batch, sha256 in found}


async def write(session: Session, target: TargetId, line: tuple[object, ...]) -> None:
    """Y9: one batch's line."""
    await session.execute(sql.insert_ledger(target), *line)


async def move(session: Session, target: TargetId, head: LedgerHead, to: LedgerHead) -> None:
    """Y10: the head moved on from exactly where it was read."""
    moved = await session.execute(
        sql.update_head(target),
        to.generation,
        to.seq,
        to.batch,
        to.position,
        to.rows_total,
        head.generation,
        head.batch,
    )
    if moved != 1:
        raise DataError(
            "the ledger's head moved under its own lock",
            where="redshift",
            table=str(target),
            rows=moved,
            hint="nothing was loaded; see whether something else writes to the ledger's tables",
        )
