"""What of a table's objects in S3 may go: s3clean's decisions, pure.

Rested on are three looks, taken in this order: the listing, then the state, then the ledger. So
whatever the state names was named after it had been listed; and a batch that has left `pending`
between the two is in the ledger by the third. An attempt is judged as a whole, by its youngest
object, and may go only when nothing can ever name it again:

    it is not pending, and either the ledger has it, and it is older than `loaded`,
    or no ledger has it, its epoch is below the state's, and it is older than `grace`.

The epoch does the work: a writer whose epoch is over can never commit again, one whose epoch is the
state's may yet. Age is only a margin, and no clock of ours is in it. What would break it: taking
"not named by the state" for garbage (a batch still being written goes, and is then committed); a
ledger that was asked before the state (a batch just loaded looks like one that never was).

A table whose marks disagree is refused whole: `refusal` says why. Where the state was rebuilt, put
back or edited, nobody can say from here what still is needed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from .ledger import way_out
from .overrides import Edit, audited, is_applied
from .state import State

HISTORY_KEPT = 50
"""The newest copies of the state, which never go."""


class Reason(StrEnum):
    """Why something stays or goes."""

    PENDING = "pending"
    LIVE = "its writer may still commit"
    LOADED = "loaded"
    LOADED_LATELY = "loaded, within retention"
    ORPHAN = "orphan"
    ORPHAN_LATELY = "orphan, within grace"
    NEWEST_COPY = "one of the newest copies of the state"
    LATE_COPY = "copy of the state, within retention"
    OLD_COPY = "old copy of the state"
    UNKNOWN = "not ours"
    UNASKED = "not asked for"

    @property
    def goes(self) -> bool:
        """Whether this is a reason to delete."""
        return self in {Reason.LOADED, Reason.ORPHAN, Reason.OLD_COPY}


@dataclass(frozen=True, slots=True)
class Terms:
    """How old things must be before they go; `pattern` keeps all but the batches it names."""

    loaded: dt.timedelta = dt.timedelta(days=7)
    grace: dt.timedelta = dt.timedelta(hours=24)
    pattern: str | None = None


def refusal(state: State, ledger: Collection[str] | None) -> tuple[str, str] | None:
    """Why nothing of the table may be deleted, and what mends it; None where all is in order.

    `ledger` are the batches in the target's ledger, None for a table that is only kept in S3.
    """
    mends = way_out(state.pipeline, state.table)
    if state.stop is not None:
        return f"the table is stopped: {state.stop}", mends
    if state.loaded is None:
        return None
    if ledger is None:
        return (
            "the table was loaded, so its ledger must be asked",
            "leave --s3-only out: it is for tables that are never loaded",
        )
    if state.loaded.batch not in ledger:
        return f"the ledger has no batch {state.loaded.batch}, which the state calls loaded", mends
    return None


def judge_attempt(
    state: State, ledger: Collection[str], batch: str, epoch: int, age: dt.timedelta, terms: Terms
) -> Reason:
    """Whether one attempt's objects may go; `age` is that of its youngest."""
    if any(pending.batch == batch for pending in state.pending):
        return Reason.PENDING
    if batch in ledger:
        return Reason.LOADED if age >= terms.loaded else Reason.LOADED_LATELY
    if epoch >= state.epoch:
        return Reason.LIVE
    return Reason.ORPHAN if age >= terms.grace else Reason.ORPHAN_LATELY


def judge_upload(
    state: State, batch: str, epoch: int, age: dt.timedelta, grace: dt.timedelta
) -> Reason:
    """Whether an open upload may be aborted: what it would make can be in no ledger."""
    if any(pending.batch == batch for pending in state.pending):
        return Reason.PENDING
    if epoch >= state.epoch:
        return Reason.LIVE
    return Reason.ORPHAN if age >= grace else Reason.ORPHAN_LATELY


def judge_copy(newer: int, age: dt.timedelta, retention: dt.timedelta) -> Reason:
    """Whether a kept copy of a state may go, of which `newer` others are newer."""
    if newer < HISTORY_KEPT:
        return Reason.NEWEST_COPY
    return Reason.OLD_COPY if age >= retention else Reason.LATE_COPY


def sealed(state: State, edit: Edit) -> State:
    """The state under a new epoch: whoever was extracting is fenced, and its attempts may go."""
    if is_applied(state, edit):
        return state
    return audited(state, replace(state, epoch=state.epoch + 1, claim=None), edit)
