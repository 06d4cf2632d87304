"""The load's decisions: what of a chain may enter the target, and what the state owes the ledger.

`judge_chain` is asked under the ledger's lock. What is pending loads in its order and whole: a
later replace makes nothing before it needless here, for the ledger would then name a parent that it
never held, and the chain that proves every load would have a hole.

Where state and ledger do not belong together, or a batch is not what it was, nothing can be right
that is done without a person: `stopped` marks the table, whose word then begins with `diverged`,
`tampered` or `counts`. A stopped table is neither loaded nor extracted until that is mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the ledger says of a chain, and of which of its batches, counted from nought.

    LOAD: from that one to the end. ALREADY_LOADED: all are in. Else: that one may not enter.
    """

    verdict: Verdict
    at: int


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


def judge_chain(
    head: LedgerHead, recorded: Mapping[str, str], chain: Sequence[tuple[Manifest, str]]
) -> Ruling:
    """Y4 for batches that shall enter together, in order, each with its digest.

    Those in the ledger already are passed over, as long as none before them is missing in it and
    its head is not behind them. The first other one must follow the head, and each further one the
    one before it.
    """
    first: int | None = None
    for at, (manifest, sha256) in enumerate(chain):
        verdict = judge(head, recorded.get(manifest.batch), manifest, sha256)
        if verdict is Verdict.ALREADY_LOADED and first is not None:
            return Ruling(Verdict.DIVERGED, at)
        if verdict is Verdict.LOAD:
            first = at if first is None else first
            head = replace(
                head, generation=manifest.generation, seq=manifest.seq, batch=manifest.batch
            )
        elif verdict is not Verdict.ALREADY_LOADED:
            return Ruling(verdict, at)
    if first is not None:
        return Ruling(Verdict.LOAD, first)
    last = chain[-1][0]
    if (head.generation, head.seq) < (last.generation, last.seq):
        return Ruling(Verdict.DIVERGED, len(chain) - 1)
    return Ruling(Verdict.ALREADY_LOADED, len(chain))


def diverged(state: State, head: LedgerHead) -> str | None:
    """Why the state is not the one that fed the ledger, if it is not; None if nothing says so.

    `state` must be read after `head`. Then a head as far as the first pending batch is itself
    pending, or an old state was put back: by its number alone batches would be dropped that were
    never loaded.
    """
    if not unsettled(state, head) or head.batch in {p.batch for p in state.pending}:
        return None
    return (
        f"diverged: the ledger ends at {head.generation}/{head.seq} {head.batch or '-'}, which is"
        f" not pending; the state ends at {state.generation}/{state.next_seq - 1}"
        f" {state.last_batch or '-'}"
    )


def settled(state: State, head: LedgerHead, at: str) -> State:
    """Y12: the state after what the ledger holds has left `pending`; an older head changes nothing.

    Raises DataError where the two have diverged: see there.
    """
    if not unsettled(state, head):
        return state
    if (reason := diverged(state, head)) is not None:
        raise DataError(
            "the state and the ledger do not belong together: an old state was put back",
            table=state.table,
            reason=reason,
            hint=way_out(state.pipeline, state.table),
        )
    return replace(
        state,
        pending=tuple(p for p in state.pending if p.seq > head.seq),
        loaded=Loaded(head.batch, head.seq, head.generation, at),
        rows=replace(state.rows, loaded=head.rows_total),
        last_failure=None,
    )


def stopped(state: State, reason: str) -> State:
    """The state with its table stopped; the first reason stays."""
    return state if state.stop is not None else replace(state, stop=reason)


def way_out(pipeline: str, table: str) -> str:
    """What mends a table whose state and ledger disagree."""
    named = f"-t {table}" if pipeline.startswith("adhoc.") else f"-p {pipeline} -t {table}"
    return (
        f"s3rs watermark reconcile {named} takes the ledger's word: what the target does not hold"
        " is read again"
    )
