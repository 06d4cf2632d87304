"""What comes next for a table: a pass asks after each step, and after a crash like at any time."""

from __future__ import annotations

from enum import Enum, auto

from .ledger import unsettled
from .state import LedgerHead, State


class Step(Enum):
    """What comes next for a table."""

    LOAD = auto()
    SETTLE = auto()
    EXTRACT = auto()


def next_step(state: State, head: LedgerHead | None, *, extract: bool, load: bool) -> Step | None:
    """What to do now, given both marks; None when there is nothing left.

    `head` None means that the ledger was not read or is not there. `extract` says whether this
    pass may still read the source, `load` whether it may touch the target.
    """
    if load and head is not None and unsettled(state, head):
        return Step.SETTLE
    if load and state.pending:
        return Step.LOAD
    return Step.EXTRACT if extract else None
