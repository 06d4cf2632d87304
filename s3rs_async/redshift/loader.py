"""A batch enters its target: Y1 to Y11 of the commit protocol, one transaction, all or nothing.

Order is everything: lock the ledger's head first, then read it, then judge; copy into a stage of
the batch's own columns; count; apply; write the ledger; COMMIT. Counting comes before anything
touches the target, and again after: what COPY reports, what the stage holds and what the target
took must each be what the manifest says, else the transaction is rolled back and nothing happened.

A lost answer to COMMIT is resolved by asking again from the start: the lock waits for the ghost,
then the ledger tells whether the batch is in. So a batch may be handed to `load` any number of
times, by any number of processes. Every other failure is clean and is the caller's to try again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .. import clock
from ..commit import LedgerHead, Verdict, judge
from ..errors import DataError, Error, UnavailableError, UnknownOutcomeError
from ..model import Mode
from . import ledger, sql
from .apply import application

if TYPE_CHECKING:
    from ..model import Manifest, TableKeys
    from .connection import Session, Target

ANSWER_GRACE_SECONDS: Final = 60
PAUSE_SECONDS: Final = 2.0
MAX_LOCK_WAITS: Final = 3


@dataclass(frozen=True, slots=True)
class LoadTerms:
    """Whose load it is and how long it may take.

    `ghost_timeout` bounds the wait for the ledger's lock, and for the truth after a lost answer;
    `load_timeout` bounds each statement of the load itself. `adopt` lets a first load go into a
    target that has rows. `keys` lay the target out if this load makes it.
    """

    run: str
    writer: str
    ghost_timeout: float = 600.0
    load_timeout: float = 14_400.0
    adopt: bool = False
    keys: TableKeys = sql.NO_KEYS


@dataclass(frozen=True, slots=True)
class Order:
    """One batch to load: its manifest, digest and position as text, and COPY's own manifest."""

    manifest: Manifest
    sha256: str
    position: str
    copy_manifest_url: str | None


async def load(target: Target, order: Order, terms: LoadTerms) -> LedgerHead:
    """Load the batch, or find that it is loaded; the ledger's head as it is then."""
    deadline = clock.seconds() + terms.ghost_timeout
    doubt: UnknownOutcomeError | None = None
    waits = 0
    while True:
        try:
            return await _attempt(target, order, terms)
        except UnknownOutcomeError as error:
            doubt = error
        except ledger.LockedError as error:
            waits += 1
            await _free_the_lock(target, order, waits, error)
            deadline = clock.seconds() + terms.ghost_timeout
        except UnavailableError:
            if doubt is None:
                raise
        if doubt is not None and clock.seconds() > deadline:
            raise doubt
        await clock.sleep(clock.jitter(PAUSE_SECONDS))


async def _free_the_lock(
    target: Target, order: Order, waits: int, error: ledger.LockedError
) -> None:
    """End the ghosts that hold the lock; an error that names the holder if it is not one."""
    holder = await ledger.end_ghost(target, order.manifest.target)
    if holder is not None or waits >= MAX_LOCK_WAITS:
        raise ledger.LockedError(order.manifest.target, error.waited, holder) from error


async def _attempt(target: Target, order: Order, terms: LoadTerms) -> LedgerHead:
    manifest = order.manifest
    async with target.session() as session:
        await session.execute(sql.set_query_group(terms.run))
        await session.execute(sql.set_statement_timeout(terms.ghost_timeout))
        await ledger.born(session, manifest, terms.keys)
        async with session.transaction():
            await ledger.lock(session, manifest.target, terms.ghost_timeout)
            await session.execute(sql.set_statement_timeout(terms.load_timeout))
            head = await ledger.head_under_lock(session, manifest, adopt=terms.adopt)
            if await _is_loaded(session, order, head):
                await session.rollback()
                return head
            loaded = await _load(session, order, head, terms)
            await session.commit()
    return loaded


async def _is_loaded(session: Session, order: Order, head: LedgerHead) -> bool:
    """Y4: whether the batch is in already; an error where it may not enter."""
    found = await ledger.recorded(session, order.manifest)
    verdict = judge(head, found, order.manifest, order.sha256)
    if verdict in {Verdict.LOAD, Verdict.ALREADY_LOADED}:
        return verdict is Verdict.ALREADY_LOADED
    raise _refusal(verdict, order.manifest, head)


def _refusal(verdict: Verdict, manifest: Manifest, head: LedgerHead) -> Error:
    facts = {
        "where": "redshift",
        "table": str(manifest.target),
        "batch": manifest.batch,
        "verdict": verdict.name.lower(),
    }
    if verdict is Verdict.FOREIGN:
        return ledger.another_feeder(head, manifest.target)
    if verdict is Verdict.TAMPERED:
        return DataError(
            "the ledger holds this batch under another digest",
            hint="its batch.json was changed after it was loaded: bring it back from the bucket's"
            " versions",
            **facts,
        )
    return DataError(
        "the batch does not follow what the target holds",
        head=head.batch or "none",
        parent=manifest.parent or "none",
        hint="the state object was rolled back or edited: put its newest copy from hist/ back",
        **facts,
    )


async def _load(session: Session, order: Order, head: LedgerHead, terms: LoadTerms) -> LedgerHead:
    """Y5 to Y10, under the lock and after the verdict."""
    manifest = order.manifest
    wait = terms.load_timeout + ANSWER_GRACE_SECONDS
    await _stage(session, order, wait)
    deleted, inserted = await _apply(session, manifest, wait)
    to = LedgerHead(
        head.pipeline,
        head.source,
        manifest.generation,
        manifest.seq,
        manifest.batch,
        order.position,
        inserted if manifest.mode is Mode.REPLACE else head.rows_total + inserted - deleted,
    )
    await ledger.write(session, manifest, _line(order, deleted, terms), head, to)
    return to


def _line(order: Order, deleted: int, terms: LoadTerms) -> tuple[object, ...]:
    manifest = order.manifest
    return (
        manifest.pipeline,
        str(manifest.source),
        manifest.generation,
        manifest.seq,
        manifest.batch,
        manifest.parent,
        order.sha256,
        manifest.mode.value,
        manifest.rows,
        deleted,
        order.position,
        manifest.epoch,
        manifest.session,
        terms.writer,
    )


async def _stage(session: Session, order: Order, wait: float) -> None:
    """Y5 and Y6: the batch's rows in a stage of its own columns, counted twice."""
    manifest = order.manifest
    await session.execute(sql.create_stage(manifest.batch, manifest.columns))
    if not manifest.rows:
        return
    if order.copy_manifest_url is None:
        raise DataError(
            "a batch with rows has no copy manifest",
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
        )
    role = session.config.iam_role
    await session.execute(
        sql.copy(manifest.batch, manifest.columns, order.copy_manifest_url, role), timeout=wait
    )
    copied = int(await session.value(sql.LAST_COPY_COUNT))
    staged = int(await session.value(sql.count(sql.quote(sql.stage_name(manifest.batch)))))
    for name, found in (("copy_count", copied), ("stage", staged)):
        _check_count(manifest, name, found, manifest.rows)


async def _apply(session: Session, manifest: Manifest, wait: float) -> tuple[int, int]:
    """Y7 and Y8, proved: how many rows went and came."""
    work = application(manifest)
    expected = int(await session.value(work.expected))
    deleted = 0 if work.delete is None else await session.execute(work.delete, timeout=wait)
    insert = work.insert_all if expected == manifest.rows else work.insert
    inserted = await session.execute(insert, timeout=wait)
    _check_count(manifest, "inserted", inserted, expected)
    if manifest.mode is Mode.REPLACE:
        left = int(await session.value(sql.count(sql.qualified(manifest.target.table))))
        _check_count(manifest, "target", left, expected)
    return deleted, inserted


def _check_count(manifest: Manifest, name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise DataError(
            "redshift counts other rows than the batch has; nothing was loaded",
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
            counted=name,
            found=found,
            wanted=wanted,
            hint="a part in s3 was changed: bring it back from the bucket's versions, run again",
        )
