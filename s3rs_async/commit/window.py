"""The window that a watermark set back on an append target has to replace, batch by batch; pure.

Rows above the new watermark come a second time, and the target has no key to tell them by. So the
state names the window of cursors that was loaded before, and every batch that moves the cursor
deletes, in its own load, what the target holds of the span that it has read: gaps included, since a
row that has left the source left one. The spans tile the window: the first begins at its low end,
each later one where the one before ended, and a window is done with when the cursor has reached its
high end.

A position (x, k) says that all rows below x were read, and of those at x the ones up to k (none,
where k is None). So a span ends at x and holds x itself: what was loaded before at x goes. The rows
at x beyond k come with the next batch, whose span is open at x and leaves those up to k alone. Its
span is empty where all of it lies at x, and then nothing is deleted and its rows are added.

What would break it: a span that ends below the last row read (that row twice), or one that begins
at x again (the rows of the batch before lost). A batch that does not move the cursor, of rows whose
cursor is NULL, has no part in it.
"""

from __future__ import annotations

from dataclasses import replace

from ..model import Manifest, Mode, Position, Window
from .order import is_below
from .state import State


def mode_of(state: State, planned: Mode, after: Position | None) -> tuple[Mode, Window | None]:
    """How the next batch, read up to `after`, meets the target, and the window that it replaces."""
    if state.replace_pending:
        return Mode.REPLACE, None
    if planned not in {Mode.APPEND, Mode.REPLACE_WINDOW}:
        return planned, None
    cursor = _moved_to(state.position, after)
    if cursor is None or state.replace_window is None:
        return Mode.APPEND, None
    return Mode.REPLACE_WINDOW, _span(state.replace_window, cursor)


def owes_rest(state: State, after: Position | None) -> bool:
    """Whether a read that found nothing and ended at `after` has to be a batch all the same."""
    return state.replace_window is not None and _moved_to(state.position, after) is not None


def narrowed(state: State, manifest: Manifest) -> Window | None:
    """What is left of the state's window after this batch."""
    window = state.replace_window
    if window is None or manifest.mode is Mode.REPLACE:
        return None
    cursor = _moved_to(state.position, manifest.after)
    if cursor is None:
        return window
    return replace(window, lo=cursor, open_lo=True) if is_below(cursor, window.hi) else None


def _moved_to(before: Position | None, after: Position | None) -> str | None:
    """The cursor up to which was read, if any of it is new."""
    at = before or Position()
    if after is None or (after.cursor, after.key) == (at.cursor, at.key):
        return None
    return after.cursor


def _span(window: Window, cursor: str) -> Window:
    return replace(window, hi=cursor) if is_below(cursor, window.hi) else window
