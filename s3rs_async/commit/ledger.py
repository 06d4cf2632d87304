"""The load's decisions: may this batch enter the target, and what does the state owe the ledger."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from ..errors import DataError
from ..model import Manifest, Mode
from .state import LedgerHead, Loaded, State


class Verdict(Enum):
    """What the ledger says of a batch, asked under its lock."""

    LOAD = auto()
    ALREADY_LOADED = auto()
    TAMPERED = auto()
    DIVERGED = auto()
    FOREIGN = auto()


def unsettled(state: State, head: LedgerHead) -> bool:
    """Whether the ledger is as far as the first pending batch, or farther."""
    first = state.pending[:1]
    return any((head.generation, head.seq) >= (state.generation, p.seq) for p in first)


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
    if not unsettled(state, head):
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
