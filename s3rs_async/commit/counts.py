"""How many rows a table counts: what the ledger says, and what a person has set on top of it.

The ledger's own number is never edited. An override stands beside it and moves along with it: rows
loaded after it was set are added, so the count cannot double when something is told twice. Each
change is an edit with an id, and one that was made already changes nothing.

    absolute   the count is this from now on
    additive   so many more
    auto       so many for this session, in place of what the same session said before
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

from ..errors import ConfigError
from .overrides import Edit, audited, is_applied
from .state import Counted, Override, State

SESSIONS: Final = 50
"""Sessions whose counts can be told anew; what older ones said stays counted, for good."""


class CountMode(StrEnum):
    """What is done with a count that is told."""

    ABSOLUTE = "absolute"
    ADDITIVE = "additive"
    AUTO = "auto"


def with_count(state: State, count: int, mode: CountMode, edit: Edit, session: str = "") -> State:
    """The state with a count told by a person; unchanged where it was told by this very edit.

    `count` is in rows, not below nought. Raises ConfigError for a count below nought, or for `auto`
    without a session.
    """
    if is_applied(state, edit):
        return state
    if count < 0:
        raise ConfigError("a count below nought", count=count, hint="count rows, from 0")
    if mode is CountMode.AUTO and not session:
        raise ConfigError(
            "a count to be told anew needs its session", hint="name it with --session"
        )
    after = replace(state, rows=replace(state.rows, override=_told(state, count, mode, session)))
    return audited(state, after, edit)


def _told(state: State, count: int, mode: CountMode, session: str) -> Override:
    loaded = state.rows.loaded
    if mode is CountMode.ABSOLUTE:
        return Override(count, loaded)
    base = state.rows.override or Override(loaded, loaded)
    if mode is CountMode.ADDITIVE:
        return replace(base, rows=base.rows + count)
    others = tuple(each for each in base.sessions if each.session != session)
    return _bounded(replace(base, sessions=(*others, Counted(session, count))))


def _bounded(override: Override) -> Override:
    """No more than the newest sessions by name; what the older ones said is in the base then."""
    old = override.sessions[:-SESSIONS]
    rows = override.rows + sum(each.rows for each in old)
    return replace(override, rows=rows, sessions=override.sessions[-SESSIONS:])
