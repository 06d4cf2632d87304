"""What comes next for a table: a pass asks after each step, and after a crash like at any time.

What waits is loaded before anything is read. Batches that are in S3 already are loaded once more
where the watermark was set by hand, after what waits: unless the ledger has lost what the state
knows it held (a new cluster), for then what waits has no place in it, and comes with the rest.
"""

from __future__ import annotations

from enum import Enum, auto

from .ledger import unsettled
from .overrides import MANUAL
from .state import LedgerHead, State


class Step(Enum):
    """What comes next for a table."""

    LOAD = auto()
    SETTLE = auto()
    EXTRACT = auto()
    REPLAY = auto()


def next_step(
    state: State, head: LedgerHead | None, *, extract: bool, load: bool, replay: bool = False
) -> Step | None:
    """What to do now, given both marks; None when there is nothing left.

    `head` None means that the ledger was not read, with nothing pending, or is not there. `extract`
    says whether this pass may still read the source, `load` whether it may touch the target,
    `replay` whether it may load once more what is in S3.
    """
    replays = load and replay and state.backup_strategy == MANUAL
    if replays and head is None and state.loaded is not None:
        return Step.REPLAY
    if load and head is not None and unsettled(state, head):
        return Step.SETTLE
    if load and state.pending:
        return Step.LOAD
    if extract:
        return Step.EXTRACT
    return Step.REPLAY if replays else None
