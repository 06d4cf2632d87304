"""The commit protocol as pure functions: values in, a decision or a new state out.

One state object per table, replaced whole by compare-and-swap, is the only commit point of an
extraction; one ledger per target, written in the load's own transaction, is the only commit point
of a load. Everything here may be called with stale values: each function checks what it rests on
and refuses, so a zombie that acts on an old view can waste work but never lose or double a row.

What would break it: taking a new ETag without asking `committed` again (a lost row), loading
without `judge` under the ledger's lock (a doubled one), or deleting anything on an error path.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum, auto

from .errors import ConflictError, DataError, FencedError
from .model import Manifest, Mode, Position

FIRST_GENERATION = 1
WATERMARK_IDLE_STEP = dt.timedelta(hours=24)

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds the extraction role: a process, told apart from a later one with its pid."""

    writer: str
    host: str
    boot: str
    pid: int
    started: str
    released: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, writer {self.writer}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A batch that is in S3 for good and not yet known to be in Redshift."""

    seq: int
    batch: str
    parent: str
    manifest: str
    sha256: str
    rows: int
    session: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The last batch that the ledger was seen to hold."""

    batch: str
    seq: int
    generation: int
    at: str


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows committed to S3 and rows in Redshift, each changed in one place only."""

    extracted: int = 0
    loaded: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """`state.json` without its envelope (format, version, write id, digest): the register's."""

    pipeline: str
    source: str
    table: str
    target: str
    epoch: int = 0
    claim: Claim | None = None
    generation: int = FIRST_GENERATION
    replace_pending: bool = False
    next_seq: int = 1
    last_batch: str = ""
    position: Position | None = None
    last_mysql_data_timestamp: str | None = None
    last_mysql_extraction_time: str | None = None
    pending: tuple[Pending, ...] = ()
    loaded: Loaded | None = None
    rows: RowCounts = field(default_factory=RowCounts)
    last_failure: str | None = None
    backup_strategy: str = "sequential"
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The one row of a target's ledger head: the last batch loaded, whatever the state says."""

    pipeline: str
    source: str
    generation: int
    seq: int
    batch: str
    position: str
    rows_total: int


class Step(Enum):
    """What comes next for a table."""

    LOAD = auto()
    SETTLE = auto()
    EXTRACT = auto()


class Verdict(Enum):
    """What the ledger says of a batch, asked under its lock."""

    LOAD = auto()
    ALREADY_LOADED = auto()
    TAMPERED = auto()
    DIVERGED = auto()
    FOREIGN = auto()


def next_step(state: State, head: LedgerHead | None, *, extract: bool, load: bool) -> Step | None:
    """What to do now, given both marks; None when there is nothing left.

    `head` None means that the ledger was not read or is not there. `extract` says whether this
    pass may still read the source, `load` whether it may touch the target.
    """
    if load and head is not None and _unsettled(state, head):
        return Step.SETTLE
    if load and state.pending:
        return Step.LOAD
    return Step.EXTRACT if extract else None


def _unsettled(state: State, head: LedgerHead) -> bool:
    """Whether the ledger is as far as the first pending batch, or farther."""
    first = state.pending[:1]
    return any((head.generation, head.seq) >= (state.generation, p.seq) for p in first)


def claimed(state: State, claim: Claim) -> State:
    """The state with the extraction role taken by `claim`: a new epoch fences the old one."""
    return replace(state, epoch=state.epoch + 1, claim=claim)


def released(state: State, claim: Claim, failure: str | None = None) -> State:
    """The state with our claim given back and word of what failed; unchanged if it isn't ours."""
    if state.claim is None or state.claim.writer != claim.writer:
        return state
    return replace(
        state,
        claim=replace(state.claim, released=True),
        last_failure=failure if failure is not None else state.last_failure,
    )


def is_long_idle(before: Position | None, after: Position | None) -> bool:
    """Whether a window without rows is so long that the position should move over it alone."""
    if before is None or after is None or before.cursor is None or after.cursor is None:
        return False
    if _NUMBER.fullmatch(after.cursor):
        return False  # a number has no span that we could judge, though it may look like a date
    try:
        idle = dt.datetime.fromisoformat(after.cursor) - dt.datetime.fromisoformat(before.cursor)
    except ValueError:
        return False  # MySQL's dates need not be dates
    return idle > WATERMARK_IDLE_STEP


def idled(state: State, *, claim: Claim, before: Position | None, after: Position) -> State:
    """The state with its position moved over a window in which nothing was found."""
    if state.claim is None or state.claim.writer != claim.writer:
        raise FencedError("another writer has taken the table", table=state.table)
    if state.position != before:
        raise ConflictError("the state has moved on since the window was read", table=state.table)
    return replace(state, position=after)


def is_committed(state: State, batch: str) -> bool:
    """Whether the state already names this batch, whoever wrote it there."""
    return state.last_batch == batch or any(p.batch == batch for p in state.pending)


def committed(state: State, manifest: Manifest, *, key: str, sha256: str) -> State:
    """The state with the batch in it, or the reason why it may not enter (X8's preconditions).

    Raises FencedError when the epoch is no longer ours, ConflictError when the chain, the
    generation or the position has moved. Safe to ask again after a lost compare-and-swap: a batch
    that is already in leaves the state as it is.
    """
    if is_committed(state, manifest.batch):
        return state
    _check_commit(state, manifest)
    pending = Pending(
        manifest.seq,
        manifest.batch,
        manifest.parent,
        key,
        sha256,
        manifest.rows,
        manifest.session,
    )
    moved = manifest.after if manifest.moves_watermark else state.position
    stamp = (moved and moved.cursor) or state.last_mysql_data_timestamp
    return replace(
        state,
        last_batch=manifest.batch,
        next_seq=state.next_seq + 1,
        position=moved,
        last_mysql_data_timestamp=stamp,
        last_mysql_extraction_time=manifest.bound.server_time,
        pending=(*state.pending, pending),
        rows=replace(state.rows, extracted=state.rows.extracted + manifest.rows),
        replace_pending=False,
        last_failure=None,
    )


def _check_commit(state: State, manifest: Manifest) -> None:
    facts = {"table": state.table, "batch": manifest.batch}
    if state.stop is not None:
        raise ConflictError("the table is stopped", reason=state.stop, **facts)
    if state.epoch != manifest.epoch:
        raise FencedError(
            "another writer has taken the table",
            holder=str(state.claim),
            hint="nothing is lost: its next pass goes on from the committed position",
            **facts,
        )
    chained = (
        manifest.parent == state.last_batch
        and manifest.seq == state.next_seq
        and manifest.generation == state.generation
    )
    if not chained or manifest.before != state.position:
        raise ConflictError("the state has moved on since this batch was begun", **facts)
    if state.replace_pending and manifest.mode is not Mode.REPLACE:
        raise ConflictError("the first batch of a generation must replace", **facts)
    if manifest.moves_watermark and not moves_on(manifest.before, manifest.after):
        raise ConflictError("the batch does not move the position on", **facts)


def moves_on(before: Position | None, after: Position | None) -> bool:
    """Whether `after` lies beyond `before`: a greater cursor, else another key, else other nulls.

    A cursor once had is never given up. Numbers are compared as numbers; other cursor texts of one
    column have one length and order as text does. Keys are ordered by the server alone, which hands
    out only those above the position: another key of one cursor, or another id, lies beyond.
    """
    if after is None or after == before:
        return False
    if before is None:
        return True
    if before.cursor is None:
        return before.key is None or (after.cursor is None and after.key is not None)
    if after.cursor is None:
        return False
    if before.cursor == after.cursor:
        return before.key != after.key or before.nulls != after.nulls
    return _order(before.cursor) < _order(after.cursor)


def _order(cursor: str) -> tuple[int, Decimal, str]:
    if _NUMBER.fullmatch(cursor):
        return 0, Decimal(cursor), ""
    return 1, Decimal(), cursor


def judge(head: LedgerHead, recorded: str | None, manifest: Manifest, sha256: str) -> Verdict:
    """Y4: may this batch be loaded now? `recorded` is its digest in the ledger, None if absent.

    Asked under the ledger's lock, by values read under it, or not at all.
    """
    if head.pipeline != manifest.pipeline or head.source != str(manifest.source):
        return Verdict.FOREIGN
    if recorded is not None:
        return Verdict.ALREADY_LOADED if recorded == sha256 else Verdict.TAMPERED
    if manifest.generation == head.generation and manifest.parent == head.batch:
        return Verdict.LOAD
    if manifest.generation > head.generation and manifest.mode is Mode.REPLACE:
        return Verdict.LOAD
    return Verdict.DIVERGED


def settled(state: State, head: LedgerHead, at: str) -> State:
    """Y12: the state after what the ledger holds has left `pending`.

    `state` must be read after `head`. Then a head as far as the first pending batch is itself
    pending, or the state is not the one that fed the ledger (an old one put back): by its number
    alone batches would be dropped that were never loaded. An older head changes nothing.
    """
    if not _unsettled(state, head):
        return state
    if head.batch not in {p.batch for p in state.pending}:
        raise DataError(
            "the state and the ledger do not belong together: an old state was put back",
            table=state.table,
            ledger=f"{head.generation}/{head.seq} {head.batch}",
            state=f"{state.generation}/{state.next_seq - 1} {state.last_batch}",
            hint="put the state object's newest copy from hist/ back",
        )
    return replace(
        state,
        pending=tuple(p for p in state.pending if p.seq > head.seq),
        loaded=Loaded(head.batch, head.seq, head.generation, at),
        rows=replace(state.rows, loaded=head.rows_total),
        last_failure=None,
    )


def check_feeder(state: State, *, pipeline: str, source: str, table: str, target: str) -> None:
    """Refuse a state object that is not this pipeline's, table's and target's."""
    found = (state.pipeline, state.source, state.table, state.target)
    if found != (pipeline, source, table, target):
        raise DataError(
            "the state object belongs to another table or target",
            found=" ".join(found),
            wanted=f"{pipeline} {source} {table} {target}",
            hint="give the pipeline another name, or point it back at the target it fed",
        )
