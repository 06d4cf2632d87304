"""Batches that are in S3 already, loaded once more: which of them, as what, and whether they may.

The chain is walked back from the state's last batch. `goes_on` says how far: over what was
extracted after the date to which the watermark was set by hand, told by each batch's bound, which
is in the cursor's own frame; never past a batch that replaced everything. What was replayed before
lies in the chain twice, its copy after it; the copy is taken.

`turned` makes each a new batch that follows the last one. It keeps its columns, its rows and the
positions between which they were read, so that the ledger, whose head is the second copy of the
truth, never claims more than the target holds. The state's position does not move. A merge is done
again as it was: in the original order, and as far as the chain's end, so that the newest version of
a row comes last. An append becomes the window that it has read, by the rule of `window`: it ends at
its last cursor and holds it; it begins with its first, or behind it where the batch before has
replaced that and goes with it. So a walk may not end inside one cursor, and goes on to where it
begins. Rows whose cursor is NULL lie in no window: a batch that has some is refused.

A target that holds nothing of this ledger any more (`anew`) gets a new generation, whose first
batch replaces whatever is there; what is pending is then among the copies, or it would be lost.

`replayed` enters them all at once or none: half of a replay would be a target that has gone back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile

from ..errors import ConfigError, ConflictError, DataError, FencedError
from ..model import Manifest, Mode, Position, Window
from .admission import MAX_PENDING, check_going
from .extraction import is_committed
from .order import is_below
from .overrides import MANUAL
from .state import Pending, State

_APPENDS = (Mode.APPEND, Mode.REPLACE_WINDOW)


@dataclass(frozen=True, slots=True)
class Copy:
    """A batch of a replay as it lies in S3: its manifest, where that is, and its digest."""

    manifest: Manifest
    key: str
    sha256: str


def check_replay(state: State) -> None:
    """Refuse where the target is about to be replaced anyway, or the table is stopped."""
    check_going(state)
    if state.replace_pending:
        raise ConfigError(
            "a full refresh of the table is due, so nothing in S3 is loaded once more",
            table=state.table,
            hint="let it come: s3rs sync without --redshift-only",
        )


def goes_on(taken: Sequence[Manifest], found: Manifest, state: State, *, anew: bool) -> bool:
    """Whether the walk takes `found` too, the batch before those `taken` (the newest first)."""
    if taken and taken[-1].mode is Mode.REPLACE:
        return False
    if _is_after(found, state.position):
        return True
    if anew and any(pending.batch == found.batch for pending in state.pending):
        return True
    return bool(taken) and taken[-1].mode in _APPENDS and _begins_inside(taken[-1])


def is_enough(taken: Sequence[Manifest], state: State) -> bool:
    """Whether the walk may end where the batch before those `taken` is gone from S3."""
    if not taken:
        return False
    first = taken[-1]
    if first.mode is Mode.REPLACE:
        return True
    if first.mode in _APPENDS and _begins_inside(first):
        return False
    since, begun = _cursor(state.position), _cursor(first.before)
    return since is not None and begun is not None and not is_below(since, begun)


def without_twins(taken: Sequence[Manifest]) -> list[Manifest]:
    """The batches in the order of the chain, of an extraction that is there twice its last copy."""
    seen: set[object] = set()
    kept: list[Manifest] = []
    for found in taken:
        extraction = (found.extracted_at, found.bound, found.before, found.after, found.rows)
        if extraction not in seen:
            kept.append(found)
        seen.add(extraction)
    return kept[::-1]


def beginning(chain: Sequence[Manifest]) -> list[Manifest]:
    """The chain for a target that holds nothing: none of its rows can be gone."""
    return list(dropwhile(lambda found: not found.mode.brings, chain))


def turned(chain: Sequence[Manifest], state: State, *, anew: bool) -> list[Manifest]:
    """The chain, oldest first, as batches that follow the state's last one; ids are the caller's.

    Their parts still are the originals', and `batch` and `parent` those that they had.
    """
    made: list[Manifest] = []
    for number, found in enumerate(chain):
        before = chain[number - 1] if number else None
        follows = replace(
            _applied(found, before, replaces=anew and not number),
            generation=state.generation + anew,
            epoch=state.epoch,
            seq=state.next_seq + number,
            moves_watermark=False,
        )
        made.append(follows)
    return made


def replayed(state: State, copies: Sequence[Copy], position: Position | None) -> State:
    """The state with all the copies pending, or the reason why they may not enter.

    `position` is the watermark at which they were chosen. Safe to ask again after a lost
    compare-and-swap: copies that are in already leave the state as it is.
    """
    first, last = copies[0].manifest, copies[-1].manifest
    if is_committed(state, last.batch):
        return state
    check_replay(state)
    facts = {"table": state.table, "batch": first.batch}
    if state.epoch != first.epoch:
        raise FencedError("another writer has taken the table", holder=str(state.claim), **facts)
    chained = (first.parent, first.seq) == (state.last_batch, state.next_seq)
    anew = first.generation == state.generation + 1
    by_hand = (state.position, state.backup_strategy) == (position, MANUAL)
    if not (chained and by_hand and (anew or first.generation == state.generation)):
        raise ConflictError("the state has moved on since the batches were chosen", **facts)
    pending = (*(() if anew else state.pending), *(_pending(each) for each in copies))
    check_size(state, len(pending))
    return replace(
        state,
        generation=first.generation,
        last_batch=last.batch,
        next_seq=last.seq + 1,
        pending=pending,
        backup_strategy="sequential",
    )


def check_size(state: State, pending: int) -> None:
    """Refuse more than the state can name."""
    if pending > MAX_PENDING:
        raise DataError(
            "too many batches in S3 would be loaded once more",
            table=state.table,
            pending=pending,
            limit=MAX_PENDING,
            hint="set the watermark to a later date, or load the table anew: s3rs watermark"
            " force-reset",
        )


def _pending(copy: Copy) -> Pending:
    made = copy.manifest
    return Pending(
        made.seq, made.batch, made.parent, copy.key, copy.sha256, made.rows, made.session
    )


def _is_after(found: Manifest, since: Position | None) -> bool:
    """Whether a batch was extracted after the date; ids have none, but a greatest one."""
    mark, reached = _cursor(since), found.bound.hi
    if mark is None and since is not None and since.key is not None:
        mark, reached = since.key[0], found.bound.key_to
    return mark is None or reached is None or is_below(mark, reached)


def _begins_inside(found: Manifest) -> bool:
    """Whether some rows of the batch's first cursor came with the one before it."""
    return found.before is not None and found.before.key is not None


def _applied(found: Manifest, before: Manifest | None, *, replaces: bool) -> Manifest:
    """The batch as it meets the target the second time."""
    if replaces and found.mode in _APPENDS:  # an append target may hold several of one key
        return replace(found, mode=Mode.REPLACE, window=None, merge_key=())
    if replaces:
        return replace(found, mode=Mode.REPLACE, window=None)
    if found.mode not in _APPENDS:
        return found
    return replace(found, mode=Mode.REPLACE_WINDOW, window=_window(found, before))


def _window(found: Manifest, before: Manifest | None) -> Window:
    at, to = found.before or Position(), found.after or Position()
    if found.cursor is None or to.cursor is None or at.nulls != to.nulls:
        raise _unwindowed(found, "some of its rows have no cursor by which they could be replaced")
    if at.key is None:
        return Window(at.cursor, to.cursor)
    if before is None or before.after != found.before:
        raise _unwindowed(found, "it begins inside a cursor whose other rows do not come with it")
    return Window(at.cursor, to.cursor, open_lo=True)


def _unwindowed(found: Manifest, reason: str) -> DataError:
    return DataError(
        "a batch cannot be appended once more without its rows being there twice",
        table=str(found.source.table),
        batch=found.batch,
        reason=reason,
        hint="set the watermark to a later date, or load the table anew: s3rs watermark"
        " force-reset",
    )


def _cursor(position: Position | None) -> str | None:
    return position.cursor if position is not None else None
