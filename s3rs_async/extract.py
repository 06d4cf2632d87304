"""One pass over a table, from MySQL into S3: the steps X3 to X9 of the commit protocol.

Rows stream from the reader through a channel bounded in bytes into parquet files that are uploaded
while they grow; whole chunks make a batch; a batch is sealed by its manifest and enters the table's
state by one compare-and-swap. Nothing is written before the first row is there, and no error path
deletes anything: what a dead attempt leaves is unreferenced and harmless.

What would break it: committing rows of a chunk whose end was not seen, or a claim taken after the
first part was written.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import pyarrow as pa
import structlog

from . import batch, clock, commit
from .errors import ConflictError, Error
from .failpoint import reached, step
from .flow import Channel, together, unless
from .line import Feed, Stage
from .model import (
    DELETED_AT,
    Bound,
    Column,
    Deletes,
    Manifest,
    Mode,
    Part,
    Position,
    SourceId,
    TargetId,
)
from .mysql.chunk import ReadPlan
from .mysql.walk import ChunkEnd
from .parquet import Form
from .report import Meter
from .s3 import manifest as manifests
from .s3.layout import Attempt, Layout
from .s3.ownership import Rivals, heartbeat, release, take
from .s3.register import Register, Versioned
from .staging import Destination, Share, write_parts

log = structlog.get_logger()

_RELEASE_SECONDS = 30.0
_CUT_SECONDS = 2.0
"""For giving a claim back: who is told to stop now does not wait for a store that is away."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Everything that one pass over one table works with.

    `landed` is set when a batch has been committed and rows of another one have come.
    """

    pipeline: str
    feed: Feed
    source_id: SourceId
    target_id: TargetId
    plan: ReadPlan
    columns: tuple[Column, ...]
    bound: Bound
    mode: Mode
    stage: Stage
    register: Register
    layout: Layout
    rivals: Rivals
    steal: bool
    session: str
    share: Share
    limit: int | None
    stop: asyncio.Event
    landed: asyncio.Event
    meter: Meter

    @property
    def whole(self) -> bool:
        """Whether the pass is one batch, which is committed as a whole or not at all."""
        return self.mode is Mode.REPLACE or self.plan.spec.copy_column is not None


class MovedError(ConflictError):
    """The table was brought forward between our reading its state and our taking it."""


async def extract(
    job: Extraction, base: Versioned | None, ready: Callable[[], Awaitable[None]]
) -> bool:
    """Bring one table forward once, from the state `base` (None: there is none yet).

    Returns whether the state was touched; a table without news leaves it as it is.

    `ready` is awaited before the first thing is written: it makes sure that the target can take
    the rows, and raises if not.
    """
    state = base.state if base is not None else job.register.birth
    channel: Channel[pa.RecordBatch | ChunkEnd] = Channel(job.share.channel)
    feed = _Feed(channel, job)
    async with together() as tasks, AsyncExitStack() as held:
        reading = tasks.create_task(_read(job, state.position, channel), name="read")
        owned: Versioned | None = None
        while await _is_due(job, state, feed):
            if owned is not None:
                job.landed.set()
            else:
                async with step("X3b"):
                    await ready()
                    owned = await _claim(job, state.position, held)
            owned = await _batch(job, owned, feed)
            state = owned.state
            if feed.ended or job.stop.is_set():
                break
        reading.cancel()
        after = feed.after
        if owned is None and after is not None and commit.is_long_idle(state.position, after):
            owned = await _claim(job, state.position, held)
            over = partial(commit.idled, claim=job.rivals.here, before=state.position, after=after)
            await job.register.change(over)
    return owned is not None


async def _is_due(job: Extraction, state: commit.State, feed: _Feed) -> bool:
    """Whether a batch is to be written (X3): of rows, or to replace what rows there no longer are.

    A signal ends the waiting for the first of them.
    """
    async with step("X3"):
        found = await unless(job.stop, feed.begin())
    if found is None:
        return False
    if found:
        commit.check_room(state)
        return True
    replaces = (job.mode is Mode.REPLACE or state.replace_pending) and not feed.batches
    return replaces or commit.owes_rest(state, feed.after)


async def _claim(job: Extraction, position: Position | None, held: AsyncExitStack) -> Versioned:
    """The extraction role, given back when the pass ends, however it ends."""
    here = job.rivals.here
    owned = await take(job.register, job.rivals, steal=job.steal)
    held.push_async_exit(partial(_give_back, job))
    beating = heartbeat(job.stage, job.layout.prefix, here, job.rivals.pace)
    await held.enter_async_context(beating)
    if job.plan.errand is not None:  # a refresh that is due would be done with these few rows
        commit.check_errand(owned.state)
    if owned.state.position != position:
        raise MovedError(
            "another process has brought the table forward meanwhile",
            table=str(job.source_id.table),
            hint="nothing is lost: run it again",
        )
    return owned


async def _give_back(
    job: Extraction,
    _: type[BaseException] | None,
    failure: BaseException | None,
    __: TracebackType | None,
) -> None:
    """Let the role go and leave word of what failed; that this fails must not hide what did.

    That another process was first is no failure of the table's.
    """
    failed = isinstance(failure, Error) and not isinstance(failure, ConflictError)
    word = str(failure) if failed else None
    cut = isinstance(failure, asyncio.CancelledError)
    try:
        async with asyncio.timeout(_CUT_SECONDS if cut else _RELEASE_SECONDS):
            await release(job.register, job.rivals.here, word)
    except (Error, TimeoutError) as error:
        reason = str(error) or "timed out"
        log.warning("claim not given back", table=str(job.source_id.table), reason=reason)


async def _read(
    job: Extraction, position: Position | None, channel: Channel[pa.RecordBatch | ChunkEnd]
) -> None:
    stream = job.feed.rows(job.plan, position, job.bound, limit=job.limit)
    async with aclosing(stream) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                rows = _completed(job, item)
                await channel.put(rows, rows.nbytes)
            else:
                await channel.put(item, 0)
    await channel.close()


def _completed(job: Extraction, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with the columns that are ours: when a copy was taken, and since when a row is gone.

    Both are told by the source's clock when the pass began.
    """
    spec, began = job.plan.spec, dt.datetime.fromisoformat(job.bound.server_time)
    if spec.copy_column is not None:
        rows = batch.dated(rows, spec.copy_column, began)
    if job.mode is Mode.MARK:
        return batch.dated(rows, DELETED_AT, began)
    if job.mode.brings and spec.deletes is Deletes.SOFT:
        return batch.undated(rows, DELETED_AT)
    return rows


class _Feed:
    """The pass's rows, cut into batches at chunk ends."""

    def __init__(self, channel: Channel[pa.RecordBatch | ChunkEnd], job: Extraction) -> None:
        self._job = job
        self._channel = channel
        self._ahead: tuple[pa.RecordBatch, int] | None = None
        self._bytes = 0
        self._opened = 0.0
        self.batches = 0
        self.chunk_rows = 0
        self.ended = False
        self.dropped = False
        self.after: Position | None = None
        self.moves_watermark = False

    async def begin(self) -> bool:
        """Read on to the first row of the next batch; False when there is none."""
        self.after, self.moves_watermark = None, False
        self._bytes, self._opened, self.chunk_rows = 0, clock.seconds(), 0
        while (taken := await self._channel.get()) is not None:
            item, size = taken
            if isinstance(item, pa.RecordBatch):
                self._ahead = (item, size)
                return True
            self._note(item)
        self.ended = True
        return False

    async def rows(self) -> AsyncGenerator[tuple[pa.RecordBatch, int], None]:
        """The batch's rows with their bytes, to be released by the caller once written."""
        taken: tuple[pa.RecordBatch | ChunkEnd, int] | None = self._ahead
        self._ahead = None
        while taken is not None:
            item, size = taken
            if isinstance(item, pa.RecordBatch):
                self._bytes += size
                await reached("X4:rows")
                yield item, size
            elif self._closes(item):
                return
            taken = await self._channel.get()

    async def release(self, size: int) -> None:
        """Bytes of rows that are no longer held."""
        await self._channel.release(size)

    def _note(self, end: ChunkEnd) -> None:
        self._job.meter.count_changed(end.changed)
        self.chunk_rows += end.rows
        if end.moves_watermark:
            self.after, self.moves_watermark = end.after, True

    def _closes(self, end: ChunkEnd) -> bool:
        self._note(end)
        if self._job.limit is not None and end.leg not in {"nulls", "again"}:
            self.ended = True
            return True
        if self._job.whole:
            self.dropped = self._job.stop.is_set() and not end.last
            return end.last or self.dropped
        sizes = self._job.plan.spec.sizes
        old = clock.seconds() - self._opened >= sizes.batch_seconds
        return self._bytes >= sizes.batch or old or end.last or self._job.stop.is_set()


async def _batch(job: Extraction, owned: Versioned, feed: _Feed) -> Versioned:
    """Write one batch (X4 to X7) and commit it (X8)."""
    state = owned.state
    attempt = Attempt(state.generation, state.epoch, state.next_seq, clock.ulid())
    with job.meter.timed("extract"):
        async with step("X4"), aclosing(feed.rows()) as rows:
            parts = await write_parts(rows, _destination(job, attempt, feed))
    feed.batches += 1
    if feed.dropped:
        return owned
    async with step("X6"):
        _check_count(job, parts, feed)
    made = _manifest(job, state, attempt, parts, feed)
    with job.meter.timed("commit"):
        sealed = await manifests.seal(job.stage, made, job.layout)
        change = partial(commit.committed, manifest=made, key=sealed.key, sha256=sealed.sha256)
        async with step("X8"):
            committed = await job.register.change(change)
    job.meter.batches += 1
    log.info(
        "batch committed",
        table=str(job.source_id.table),
        batch=made.batch,
        seq=made.seq,
        mode=made.mode,
        rows=made.rows,
        parts=len(parts),
        bytes=sum(part.size for part in parts),
        proof=job.bound.proof,
    )
    return committed


def _manifest(
    job: Extraction, state: commit.State, attempt: Attempt, parts: tuple[Part, ...], feed: _Feed
) -> Manifest:
    """The batch's description: where it begins is the state's word, where it ends the feed's."""
    moves = feed.moves_watermark and not job.plan.whole
    after = feed.after if moves else state.position
    mode, window = commit.mode_of(state, job.mode, after)
    return Manifest(
        pipeline=job.pipeline,
        source=job.source_id,
        target=job.target_id,
        columns=job.columns,
        merge_key=job.plan.key,
        cursor=job.plan.cursor,
        cursor_else=job.plan.cursors[1:],
        generation=state.generation,
        epoch=state.epoch,
        seq=state.next_seq,
        batch=attempt.batch,
        parent=state.last_batch,
        before=state.position,
        after=after,
        bound=job.bound,
        mode=mode,
        moves_watermark=moves,
        parts=parts,
        session=job.session,
        extracted_at=clock.iso_now(),
        window=window,
    )


def _destination(job: Extraction, attempt: Attempt, feed: _Feed) -> Destination:
    table = job.source_id.table
    return Destination(
        upload=job.stage.upload,
        key_of=partial(job.layout.part, attempt),
        form=_form(job, attempt),
        check=partial(batch.check, columns=job.columns, table=table, key=job.plan.key),
        release=feed.release,
        share=job.share,
        file_bytes=job.plan.spec.sizes.file,
        meter=job.meter,
    )


def _form(job: Extraction, attempt: Attempt) -> Form:
    keys = {"s3rs.format": "1", "s3rs.batch": attempt.batch, "s3rs.source": str(job.source_id)}
    sought = (*job.plan.cursors, *job.plan.key)
    return Form(keys, job.plan.spec.compression, sought)


def _check_count(job: Extraction, parts: tuple[Part, ...], feed: _Feed) -> None:
    written = sum(part.rows for part in parts)
    if written != feed.chunk_rows:
        raise Error(
            "rows written and rows read differ: the attempt is dropped",
            table=str(job.source_id.table),
            read=feed.chunk_rows,
            written=written,
        )
