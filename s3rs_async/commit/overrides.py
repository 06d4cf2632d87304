"""What a person does to a table's state: each override as a new state, or the reason against it.

All of them raise the epoch and void the claim, so that an extraction under way commits nothing more
on what it believed; and all leave word in `audit`, by which an override that was applied already is
known and not applied again.

A watermark is set without touching the target. Backwards, rows come a second time: a merge target
takes them, an append target only if the span loaded before is replaced (`replace_window`) or if
twice is what is wanted. Forward, rows are skipped, which must be said; but not where the watermark
has just been reset, since that is how one begins at a date. A full refresh replaces the target by
the first batch of a new generation, never apart from it. `reconciled` takes the ledger's word for
where a table stands: what it does not hold is read again.

What would break it: a window whose low end lies below where reading goes on (rows deleted and never
read), or one that ends below what has been loaded (rows twice).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..errors import ConfigError, DataError
from ..model import Mode, Position, Window
from .admission import check_going
from .order import is_below
from .state import AUDITED, FIRST_GENERATION, Audit, LedgerHead, Loaded, State

MANUAL: Final = "manual_cli"
_WIDTH: Final = 300


@dataclass(frozen=True, slots=True)
class Edit:
    """One override by one person; asked again, its id says that it is the same one."""

    id: str
    at: str
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person has agreed to, when setting a watermark."""

    skip_rows: bool = False
    replace_window: bool = False
    allow_duplicates: bool = False


NO_CONSENT: Final = Consent()


def is_applied(state: State, edit: Edit) -> bool:
    """Whether the state remembers this very edit."""
    return any(known.id == edit.id for known in state.audit)


def audited(before: State, after: State, edit: Edit) -> State:
    """The state with word of the edit that made it, the newest `AUDITED` of them."""
    word = Audit(edit.id, edit.at, edit.who, edit.what, _marks(before), _marks(after))
    return replace(after, audit=(*before.audit, word)[-AUDITED:])


def with_watermark(
    state: State,
    position: Position | None,
    edit: Edit,
    *,
    mode: Mode,
    consent: Consent = NO_CONSENT,
) -> State:
    """The state to be read on from `position` (None: the beginning), where that is allowed.

    `mode` is how the table's batches meet the target. What was read of the rows whose cursor is
    NULL stays read, except where a merge target or one that may have rows twice is read anew. Where
    a window is replaced, reading goes on at the beginning of the position's cursor: the target can
    tell the rows of one cursor from no other, so all of them go and come again.
    """
    if is_applied(state, edit):
        return state
    check_going(state)
    if mode is Mode.REPLACE:
        raise ConfigError(
            "the table is read whole each time, it has no watermark to set",
            table=state.table,
            hint="a full_sync table is brought up to date by every sync",
        )
    appends = mode is not Mode.MERGE
    wanted = _with_nulls(state, position, keep=appends and not consent.allow_duplicates)
    _check_forward(state, wanted, consent)
    window = _window(state, wanted, consent) if appends else None
    if wanted is not None and window is not None:
        wanted = replace(wanted, key=None)
    after = _voided(
        replace(
            state,
            position=wanted,
            replace_window=window,
            last_mysql_data_timestamp=wanted.cursor if wanted is not None else None,
            backup_strategy=MANUAL,
        )
    )
    return audited(state, after, edit)


def full_refreshed(state: State, edit: Edit) -> State:
    """The state of a table whose next batch replaces the target, from the beginning."""
    if is_applied(state, edit):
        return state
    check_going(state)
    after = replace(
        state,
        generation=state.generation + 1,
        replace_pending=True,
        position=None,
        pending=(),
        replace_window=None,
        last_mysql_data_timestamp=None,
        rows=replace(state.rows, override=None),
        last_failure=None,
        imported=False,
    )
    return audited(state, _voided(after), edit)


def reconciled(
    state: State,
    head: LedgerHead | None,
    position: Position | None,
    edit: Edit,
    *,
    window: Window | None = None,
) -> State:
    """The state as the ledger has it: what it does not hold is forgotten here, and read again.

    `position` is the head's, `window` what is left of one (`window_due`). For a lost state the
    birth, with the greatest epoch seen in any key, is the state to be reconciled.
    """
    if is_applied(state, edit):
        return state
    if state.imported and (head is None or not head.batch):
        raise DataError(
            "the ledger is empty: only the state knows up to where another tool has loaded",
            table=state.table,
            hint="bring a copy of the state back: s3rs watermark restore --s3-only",
        )
    held = head if head is not None and head.batch else None
    after = replace(
        state,
        generation=head.generation if head is not None else FIRST_GENERATION,
        replace_pending=False,
        next_seq=(head.seq if head is not None else 0) + 1,
        last_batch=head.batch if head is not None else "",
        position=position,
        last_mysql_data_timestamp=position.cursor if position is not None else None,
        pending=(),
        loaded=Loaded(held.batch, held.seq, held.generation, edit.at) if held else None,
        rows=replace(state.rows, loaded=head.rows_total if head is not None else 0),
        last_failure=None,
        backup_strategy="sequential",
        stop=None,
        replace_window=window,
    )
    return audited(state, _voided(after), edit)


def restored(copy: State, edit: Edit, *, epoch: int) -> State:
    """An older state put back: its own words, under an epoch above every one that was seen."""
    return audited(copy, _voided(replace(copy, epoch=max(epoch, copy.epoch))), edit)


def adopts(state: State) -> bool:
    """Whether the first load takes over what another tool has loaded, up to an imported mark."""
    return state.imported and state.loaded is None


def window_due(chain: Iterable[tuple[Mode, Position | None]]) -> Window | None:
    """What the ledger's batches, in their order, leave of a window that they were replacing.

    It reaches up to the greatest cursor loaded since the target was last replaced as a whole.
    """
    top: str | None = None
    last: tuple[Mode, str | None] = (Mode.REPLACE, None)
    for mode, position in chain:
        cursor = position.cursor if position is not None else None
        top = _greatest(None if mode is Mode.REPLACE else top, cursor)
        last = (mode, cursor)
    mode, cursor = last
    if mode is not Mode.REPLACE_WINDOW or cursor is None or top is None:
        return None
    return Window(cursor, top, open_lo=True) if is_below(cursor, top) else None


def _voided(state: State) -> State:
    return replace(state, epoch=state.epoch + 1, claim=None)


def _with_nulls(state: State, position: Position | None, *, keep: bool) -> Position | None:
    nulls = state.position.nulls if state.position is not None else None
    if nulls is None or (position is None and not keep):
        return position
    return replace(position or Position(), nulls=nulls)


def _check_forward(state: State, wanted: Position | None, consent: Consent) -> None:
    old = state.position
    if _is_unbegun(old) or consent.skip_rows or not _may_pass(old, wanted):
        return
    raise ConfigError(
        "rows between the watermark and the new one would never be read",
        table=state.table,
        watermark=_spot(old),
        wanted=_spot(wanted),
        hint="say --skip-rows if that is meant; to begin at a date, reset the watermark first",
    )


def _window(state: State, wanted: Position | None, consent: Consent) -> Window | None:
    """What has to be replaced of an append target, if rows come a second time."""
    old, left = state.position, state.replace_window
    if left is None and (_is_unbegun(old) or not _may_pass(wanted, old)):
        return None
    if consent.allow_duplicates:
        return None
    top = _greatest(left.hi if left is not None else None, old.cursor if old is not None else None)
    if left is None and not consent.replace_window:
        raise ConfigError(
            "rows would be appended a second time",
            table=state.table,
            watermark=_spot(old),
            wanted=_spot(wanted),
            hint="say --replace-window to replace what was loaded from there on, or"
            " --allow-duplicates to have rows twice",
        )
    if top is None:
        raise ConfigError(
            "the table has no cursor by which a window of it could be replaced",
            table=state.table,
            hint="load it anew: s3rs watermark force-reset; or say --allow-duplicates",
        )
    lo = wanted.cursor if wanted is not None else None
    return Window(lo, top) if lo is None or not is_below(top, lo) else None


def _is_unbegun(position: Position | None) -> bool:
    return position is None or (position.cursor is None and position.key is None)


def _may_pass(one: Position | None, other: Position | None) -> bool:
    """Whether rows may lie between `one` and a later `other`.

    The order of keys is the server's: those that are no numbers may lie either way.
    """
    if other is None or _is_unbegun(other):
        return False
    if one is None or _is_unbegun(one):
        return True
    if one.cursor != other.cursor:
        return one.cursor is None or other.cursor is None or is_below(one.cursor, other.cursor)
    return _key_may_pass(one.key, other.key)


def _key_may_pass(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    if one == other or other is None:
        return False
    if one is None:
        return True
    if len(one) == len(other) == 1 and all(_is_number(key[0]) for key in (one, other)):
        return int(one[0]) < int(other[0])
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal()


def _greatest(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return other if one is None else one
    return other if is_below(one, other) else one


def _spot(position: Position | None) -> str:
    """A position in a few words."""
    if position is None or _is_unbegun(position):
        return "the beginning"
    key = f"({', '.join(position.key)})" if position.key is not None else ""
    return " ".join(filter(None, (position.cursor, key)))


def _marks(state: State) -> str:
    """Where a state stands, in one short line."""
    loads = f"generation {state.generation}, next {state.next_seq}, {len(state.pending)} waiting"
    rows = state.rows
    count = f", counted {rows.counted}" if rows.override is not None else ""
    return f"{_spot(state.position)}; {loads}{count}"[:_WIDTH]
