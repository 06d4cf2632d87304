"""The extraction's decisions: who may commit, what may enter, and how far a position may move."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConflictError, FencedError
from ..model import Manifest, Position
from .admission import check_going, check_room
from .order import moves_on
from .state import Claim, Pending, State
from .window import mode_of, narrowed


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


def idled(state: State, *, claim: Claim, before: Position | None, after: Position) -> State:
    """The state with its position moved over a window in which nothing was found."""
    if state.claim is None or state.claim.writer != claim.writer:
        raise FencedError("another writer has taken the table", table=state.table)
    if state.position != before or state.replace_window is not None:
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
    read = manifest.rows if manifest.mode.brings else 0
    stamp = (moved and moved.cursor) or state.last_mysql_data_timestamp
    return replace(
        state,
        last_batch=manifest.batch,
        next_seq=state.next_seq + 1,
        position=moved,
        last_mysql_data_timestamp=stamp,
        last_mysql_extraction_time=manifest.bound.server_time,
        pending=(*state.pending, pending),
        rows=replace(state.rows, extracted=state.rows.extracted + read),
        replace_pending=False,
        replace_window=narrowed(state, manifest),
        backup_strategy="sequential",
        last_failure=None,
    )


def _check_commit(state: State, manifest: Manifest) -> None:
    facts = {"table": state.table, "batch": manifest.batch}
    check_going(state)
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
    check_room(state)
    if mode_of(state, manifest.mode, manifest.after) != (manifest.mode, manifest.window):
        raise ConflictError("the batch would not replace what the state says is due", **facts)
    if manifest.moves_watermark and not moves_on(manifest.before, manifest.after):
        raise ConflictError("the batch does not move the position on", **facts)
