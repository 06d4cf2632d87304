"""The state's commands at work: read the marks, decide by the core, write by compare-and-swap.

R1 reads the state, R2 the ledger where its word counts, R3 is the swap, R4 comes when all is
written. Nothing here opens an end, deletes an object or touches the target. An override is made
once whatever happens to its answer: its edit carries an id by which the state knows it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from . import clock, commit
from .failpoint import reached, step

if TYPE_CHECKING:
    from .s3.register import Change, Register, Versioned


def edit(what: str, who: str) -> commit.Edit:
    """A new override by `who`."""
    return commit.Edit(clock.ulid(), clock.iso_now(), who, what)


async def full_refresh(register: Register, *, who: str, reason: str = "") -> Versioned:
    """Let the next batch replace the target, from the beginning; nothing is wiped before it."""
    made = edit(": ".join(filter(None, ("full-refresh", reason))), who)
    return await _change(register, partial(commit.full_refreshed, edit=made))


async def _change(register: Register, change: Change) -> Versioned:
    async with step("R3"):
        changed = await register.change(change)
    await reached("R4")
    return changed
