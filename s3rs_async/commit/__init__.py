"""The commit protocol as pure functions: values in, a decision or a new state out.

One state object per table, replaced whole by compare-and-swap, is the only commit point of an
extraction; one ledger per target, written in the load's own transaction, is the only commit point
of a load. Everything here may be called with stale values: each function checks what it rests on
and refuses, so a zombie that acts on an old view can waste work but never lose or double a row.

What would break it: taking a new ETag without asking `committed` again (a lost row), loading
without `judge` under the ledger's lock (a doubled one), or deleting anything on an error path.
"""

from __future__ import annotations

from .admission import MAX_PENDING, check_clock, check_errand, check_going, check_room
from .extraction import claimed, committed, idled, is_committed, released
from .ledger import (
    Ruling,
    Verdict,
    diverged,
    judge,
    judge_chain,
    settled,
    stopped,
    way_out,
)
from .order import WATERMARK_IDLE_STEP, is_below, is_long_idle, moves_on
from .overrides import (
    MANUAL,
    NO_CONSENT,
    Consent,
    Edit,
    adopts,
    audited,
    full_refreshed,
    is_applied,
    reconciled,
    restored,
    window_due,
    with_watermark,
)
from .state import (
    AUDITED,
    FIRST_GENERATION,
    Audit,
    Claim,
    Counted,
    LedgerHead,
    Loaded,
    Override,
    Pending,
    RowCounts,
    State,
    check_feeder,
)
from .steps import Step, next_step
from .window import mode_of, owes_rest

__all__ = [
    "AUDITED",
    "FIRST_GENERATION",
    "MANUAL",
    "MAX_PENDING",
    "NO_CONSENT",
    "WATERMARK_IDLE_STEP",
    "Audit",
    "Claim",
    "Consent",
    "Counted",
    "Edit",
    "LedgerHead",
    "Loaded",
    "Override",
    "Pending",
    "RowCounts",
    "Ruling",
    "State",
    "Step",
    "Verdict",
    "adopts",
    "audited",
    "check_clock",
    "check_errand",
    "check_feeder",
    "check_going",
    "check_room",
    "claimed",
    "committed",
    "diverged",
    "full_refreshed",
    "idled",
    "is_applied",
    "is_below",
    "is_committed",
    "is_long_idle",
    "judge",
    "judge_chain",
    "mode_of",
    "moves_on",
    "next_step",
    "owes_rest",
    "reconciled",
    "released",
    "restored",
    "settled",
    "stopped",
    "way_out",
    "window_due",
    "with_watermark",
]
