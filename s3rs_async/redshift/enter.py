"""One batch enters its target: Y5 to Y9 of the commit protocol, inside the load's transaction.

Copy into a stage of the batch's own columns; count; apply; write the ledger's line. Counting comes
before anything touches the target, and again after: what COPY reports, what the stage holds and
what the target took must each be what the manifest says, else the load is a `StopError`: the files
are not those that were committed, and no second try mends that.

Nothing here locks, judges, moves the head or commits: that is `loader`'s, once for all the batches
of a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..commit import LedgerHead, way_out
from ..errors import DataError, Fact
from ..failpoint import step
from ..model import Mode
from . import ledger, sql
from .apply import application

if TYPE_CHECKING:
    from ..model import Manifest
    from .connection import Session

ANSWER_GRACE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Order:
    """One batch to load: its manifest, digest and position as text, and COPY's own manifest."""

    manifest: Manifest
    sha256: str
    position: str
    copy_manifest_url: str | None


class StopError(DataError):
    """The batch may never enter as it is: `word` is why in short, `head` where the ledger ends."""

    def __init__(
        self, word: str, message: str, manifest: Manifest, head: LedgerHead, **facts: Fact
    ) -> None:
        super().__init__(
            message,
            hint=way_out(manifest.pipeline, str(manifest.source.table)),
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
            verdict=word,
            **facts,
        )
        self.word = word
        self.head = head
        self.reason = f"{word}: " + ", ".join(
            f"{name} {value}" for name, value in {"batch": manifest.batch, **facts}.items()
        )


async def enter(
    session: Session, order: Order, head: LedgerHead, *, writer: str, wait: float
) -> LedgerHead:
    """Bring one batch in after what `head` names; where the ledger is then, but for its head row.

    `wait` is what the server allows each statement.
    """
    manifest, answer = order.manifest, wait + ANSWER_GRACE_SECONDS
    await _stage(session, order, head, answer)
    deleted, inserted = await _apply(session, manifest, head, answer)
    async with step("Y9"):
        await ledger.write(session, manifest.target, _line(order, deleted, writer))
    replaced = manifest.mode is Mode.REPLACE
    return LedgerHead(
        head.pipeline,
        head.source,
        manifest.generation,
        manifest.seq,
        manifest.batch,
        order.position,
        inserted if replaced else head.rows_total + inserted - deleted,
    )


def _line(order: Order, deleted: int, writer: str) -> tuple[object, ...]:
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
        writer,
    )


async def _stage(session: Session, order: Order, head: LedgerHead, wait: float) -> None:
    """Y5 and Y6: the batch's rows in a stage of its own columns, counted twice."""
    manifest = order.manifest
    async with step("Y5"):
        await session.execute(sql.create_stage(manifest.batch, manifest.columns))
        if manifest.rows:
            await session.execute(_copy(session, order), timeout=wait)
    if not manifest.rows:
        return
    async with step("Y6"):
        copied = int(await session.value(sql.LAST_COPY_COUNT))
        staged = int(await session.value(sql.count(sql.quote(sql.stage_name(manifest.batch)))))
        for name, found in (("copy_count", copied), ("stage", staged)):
            _check_count(manifest, head, name, found, manifest.rows)


def _copy(session: Session, order: Order) -> str:
    manifest = order.manifest
    if order.copy_manifest_url is None:
        raise DataError(
            "a batch with rows has no copy manifest",
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
        )
    role = session.config.iam_role
    return sql.copy(manifest.batch, manifest.columns, order.copy_manifest_url, role)


async def _apply(
    session: Session, manifest: Manifest, head: LedgerHead, wait: float
) -> tuple[int, int]:
    """Y7 and Y8, proved: how many rows went and came."""
    work = application(manifest)
    expected = int(await session.value(work.expected))
    async with step("Y7"):
        deleted = 0 if work.delete is None else await session.execute(work.delete, timeout=wait)
        if work.mark is not None:
            await session.execute(work.mark, timeout=wait)
    insert = work.insert_all if expected == manifest.rows else work.insert
    if insert is None:
        return deleted, 0
    async with step("Y8"):
        inserted = await session.execute(insert, timeout=wait)
    _check_count(manifest, head, "inserted", inserted, expected)
    if manifest.mode is Mode.REPLACE:
        left = int(await session.value(sql.count(sql.qualified(manifest.target.table))))
        _check_count(manifest, head, "target", left, expected)
    return deleted, inserted


def _check_count(manifest: Manifest, head: LedgerHead, name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise StopError(
            "counts",
            "redshift counts other rows than the batch has; nothing was loaded",
            manifest,
            head,
            counted=name,
            found=found,
            wanted=wanted,
        )
