"""What waits in S3 for one table, brought into Redshift: steps Y1 to Y12 of the commit protocol.

The state says what waits, the ledger says what is in. A batch is described by its own `batch.json`
alone, whatever the table looks like today. Several go into one transaction, in the order of their
chain: as many as can be done over without regret when Redshift throws them all out at COMMIT.

What waits is asked again under the ledger's lock, one GET a load: a batch that the state has let go
meanwhile (a reconcile, a full refresh) does not enter, and all is judged anew.

A batch that may not enter stops its table, but only if the state that named it still stands: it is
read again, and where it has changed meanwhile all is judged anew. What Redshift refuses for another
reason stops nothing, it fails this pass and is tried by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Final

import structlog

from . import clock, commit
from .commit import LedgerHead, Pending, State
from .errors import ConflictError, DataError, Error
from .failpoint import step
from .flow import together
from .line import Line
from .model import Column, Manifest, TableSpec
from .redshift import ledger, loader, schema
from .redshift.connection import Session
from .redshift.enter import Order, StopError
from .report import Meter
from .s3 import manifest as manifests
from .s3.layout import copy_manifest_of
from .s3.position import write_position
from .s3.register import LostError, Register, Versioned

MAX_BATCHES: Final = 32
"""Of one transaction: each costs about ten statements, and the others of the target wait."""
MAX_BYTES: Final = 1 << 30
"""Of parquet in one transaction, which all lies in its stages at once; one batch may have more."""
_READERS: Final = 8
_JUDGEMENTS: Final = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loading:
    """One table's loads; `adopt` lets the first go into a target that has rows."""

    line: Line
    spec: TableSpec
    meter: Meter
    adopt: bool = False

    async def head(self) -> LedgerHead | None:
        """The ledger's head as it is now; None where nothing was ever loaded."""
        async with self.line.target.session() as session:
            return await ledger.read_head(session, self.line.target_id(self.spec))

    async def check_columns(
        self, session: Session, columns: tuple[Column, ...], *, whole: bool = True
    ) -> None:
        """Raise unless the target, where there is one, can take these columns."""
        target = self.line.target_id(self.spec)
        live = await schema.read_columns(session, target.table)
        if live is not None:
            schema.check(target, columns, live, whole=whole)

    async def load_pending(self, base: Versioned, register: Register) -> LedgerHead:
        """Load what waits, as much as one transaction takes; the ledger's head as it is then.

        Raises what the table was stopped for, where the ledger and the state `base` disagree.
        """
        for _ in range(_JUDGEMENTS):
            commit.check_going(base.state)
            orders = await self._orders(base.state)
            try:
                still = partial(self._still, register)
                head = await loader.load(self.line.target, orders, self._terms(), still)
            except loader.OvertakenError as overtaken:
                base = await self._now(register, overtaken)
                if not base.state.pending:
                    return overtaken.head
            except StopError as reason:
                base = await self._stop(base, register, reason)
                if not base.state.pending:
                    return reason.head
            else:
                self._tell(orders, head)
                return head
        raise ConflictError(
            "the state changes faster than its batches can be judged", table=str(self.spec.table)
        )

    async def settle(self, register: Register, head: LedgerHead) -> Versioned:
        """Y12: let the state owe no longer what the ledger holds; an error if they disagree."""
        change = partial(_settled, head=head, at=clock.iso_now())
        async with step("Y12"):
            settled = await register.change(change)
        commit.check_going(settled.state)
        return settled

    def _terms(self) -> loader.LoadTerms:
        line, config = self.line, self.line.target.config
        return loader.LoadTerms(
            line.run,
            line.claim.writer,
            ghost_timeout=config.ghost_timeout,
            load_timeout=config.load_timeout,
            adopt=self.adopt,
            keys=self.spec.keys,
        )

    async def _orders(self, state: State) -> Sequence[Order]:
        """The first batches of the chain, up to one that cannot be read; its error if none can."""
        chosen = state.pending[:MAX_BATCHES]
        gate = asyncio.Semaphore(_READERS)
        async with together() as group:
            reading = [group.create_task(self._read(each, gate)) for each in chosen]
        chain: list[Manifest] = []
        for task in reading:
            found = task.result()
            if isinstance(found, Error):
                if not chain:
                    raise found
                break
            chain.append(found)
        fitting = _fitting(chain, state)
        return [self._order(*each) for each in zip(chosen, fitting, strict=False)]

    async def _still(self, register: Register, orders: Sequence[Order]) -> Sequence[Order]:
        """Those of the batches, from the first on, that are pending in the state as it is now."""
        now = await register.read()
        waiting = {each.batch for each in now.state.pending} if now is not None else set()
        return list(takewhile(lambda order: order.manifest.batch in waiting, orders))

    async def _now(self, register: Register, reason: Error) -> Versioned:
        now = await register.read()
        if now is None:
            raise _vanished(self.spec) from reason
        return now

    async def _read(self, pending: Pending, gate: asyncio.Semaphore) -> Manifest | Error:
        async with gate:
            try:
                return await manifests.read(self.line.stage, pending.manifest, pending.sha256)
            except Error as error:
                return error

    def _order(self, pending: Pending, manifest: Manifest) -> Order:
        copy = f"s3://{self.line.stage.bucket}/{copy_manifest_of(pending.manifest)}"
        return Order(
            manifest,
            pending.sha256,
            write_position(manifest.after),
            copy if manifest.parts else None,
        )

    async def _stop(self, base: Versioned, register: Register, reason: StopError) -> Versioned:
        """Stop the table, if its state still is `base`, and raise; else the state as it is now."""
        now = await self._now(register, reason)
        if now.write_id != base.write_id:
            return now
        try:
            await register.swap(now, partial(commit.stopped, reason=reason.reason))
        except LostError:
            return await register.read() or now
        raise reason

    def _tell(self, orders: Sequence[Order], head: LedgerHead) -> None:
        """Count and log what came in, as far as the ledger goes."""
        batches = [order.manifest.batch for order in orders]
        last = batches.index(head.batch) if head.batch in batches else len(batches) - 1
        for order in orders[: last + 1]:
            manifest = order.manifest
            self.meter.rows_loaded += manifest.rows
            log.info(
                "batch loaded",
                table=str(self.spec.table),
                batch=manifest.batch,
                seq=manifest.seq,
                mode=manifest.mode,
                rows=manifest.rows,
                target_rows=head.rows_total,
            )


def _fitting(chain: Sequence[Manifest], state: State) -> Sequence[Manifest]:
    """As many of the chain as one transaction should take, the first in any case."""
    first, taken, size = chain[0], 0, 0
    if first.generation != state.generation:
        raise DataError(
            "a batch of another generation waits: the state was edited",
            table=state.table,
            batch=first.batch,
            generation=first.generation,
            wanted=state.generation,
            hint=commit.way_out(state.pipeline, state.table),
        )
    for manifest in chain:
        size += sum(part.size for part in manifest.parts)
        if taken and (size > MAX_BYTES or manifest.target != first.target):
            break
        taken += 1
    return chain[:taken]


def _settled(state: State, head: LedgerHead, at: str) -> State:
    """The state settled, or stopped where it is not the one that fed the ledger."""
    if state.stop is not None:
        return state
    reason = commit.diverged(state, head)
    return commit.settled(state, head, at) if reason is None else commit.stopped(state, reason)


def _vanished(spec: TableSpec) -> DataError:
    return DataError(
        "the state object has vanished",
        table=str(spec.table),
        hint=f"s3rs watermark reconcile -t {spec.table} makes it anew from the ledger",
    )
