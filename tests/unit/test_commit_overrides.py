"""What a person may do to a state, what comes of it, and what is refused in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.commit import (
    AUDITED,
    MANUAL,
    NO_CONSENT,
    Claim,
    Consent,
    Counted,
    Edit,
    LedgerHead,
    Loaded,
    Override,
    Pending,
    RowCounts,
    State,
    adopts,
    full_refreshed,
    reconciled,
    restored,
    window_due,
    with_watermark,
)
from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import Mode, Position, Window

ME = Claim("w", "host", "boot", 7, "1")
EDIT = Edit("01E", "2026-11-22", "ann@desk", "set-watermark")
D1, D2, D3, D4 = (f"2026-11-{day:02}" for day in (1, 2, 3, 4))
STATE = State(
    "shop",
    "src",
    "shop.orders",
    "dw.shop.orders",
    epoch=5,
    claim=ME,
    generation=2,
    next_seq=8,
    last_batch="b7",
    position=Position(D3, ("9",)),
    pending=(Pending(7, "b7", "b6", "key", "sha", 5, "run"),),
    loaded=Loaded("b6", 6, 2, "then"),
    rows=RowCounts(50, 45),
    last_failure="x",
)
HEAD = LedgerHead("shop", "src:shop.orders", 2, 6, "b6", "text", 45)
NULLS = ("4",)
WINDOW = Consent(replace_window=True)
TWICE = Consent(allow_duplicates=True)
SKIP = Consent(skip_rows=True)


def set_to(
    position: Position | None,
    mode: Mode = Mode.APPEND,
    consent: Consent = NO_CONSENT,
    state: State = STATE,
) -> State:
    return with_watermark(state, position, EDIT, mode=mode, consent=consent)


def test_every_override_fences_is_signed_and_is_made_once() -> None:
    def ways(state: State) -> list[State]:
        return [
            set_to(Position(D1), Mode.MERGE, state=state),
            full_refreshed(state, EDIT),
            reconciled(state, HEAD, Position(D2), EDIT),
        ]

    for after in ways(STATE):
        assert (after.epoch, after.claim) == (6, None)
        [word] = after.audit
        assert (word.id, word.who, word.at, word.what) == (EDIT.id, EDIT.who, EDIT.at, EDIT.what)
        assert word.before == f"{D3} (9); generation 2, next 8, 1 waiting"
        assert all(again == after for again in ways(after))


def test_only_the_newest_edits_are_remembered() -> None:
    state = STATE
    for number in range(AUDITED + 3):
        state = full_refreshed(state, replace(EDIT, id=str(number)))
    assert [word.id for word in state.audit] == [str(n) for n in range(3, AUDITED + 3)]


@pytest.mark.parametrize("position", [None, Position(D1), Position(D3, ("2",)), Position(D3)])
def test_a_merge_target_may_be_set_back_anywhere(position: Position | None) -> None:
    after = set_to(position, Mode.MERGE)
    assert after.position == position
    assert after.replace_window is None
    assert after.backup_strategy == MANUAL
    assert after.last_mysql_data_timestamp == (position.cursor if position else None)
    kept = ("pending", "last_batch", "next_seq", "generation", "loaded", "rows")
    assert all(getattr(after, name) == getattr(STATE, name) for name in kept)


@pytest.mark.parametrize(
    "position", [None, Position(D1), Position(D3), Position(D3, ("2",)), Position(D3, ("x",))]
)
def test_an_append_target_is_set_back_only_with_consent(position: Position | None) -> None:
    with pytest.raises(ConfigError, match="a second time") as refused:
        set_to(position, consent=SKIP)
    assert "--replace-window" in refused.value.hint
    consent = replace(WINDOW, skip_rows=True)
    after = set_to(position, consent=consent)
    lo = position.cursor if position else None
    assert after.replace_window == Window(lo, D3)
    assert after.position == (Position(lo) if lo else None)
    twice = set_to(position, consent=replace(TWICE, skip_rows=True))
    assert (twice.position, twice.replace_window) == (position, None)


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE])
@pytest.mark.parametrize(
    "position",
    [Position(D4), Position(D3, ("10",)), Position(D3, ("x",)), Position(D3, ("9", "1"))],
)
def test_rows_are_skipped_only_if_that_is_said(mode: Mode, position: Position) -> None:
    consent = TWICE if mode is Mode.APPEND else NO_CONSENT
    with pytest.raises(ConfigError, match="never be read") as refused:
        set_to(position, mode, consent)
    assert "--skip-rows" in refused.value.hint
    after = set_to(position, mode, replace(consent, skip_rows=True))
    assert after.position == position


def test_numbers_are_ordered_as_numbers() -> None:
    old = replace(STATE, position=Position(None, ("9",)))
    assert set_to(Position(None, ("10",)), consent=SKIP, state=old).replace_window is None
    with pytest.raises(ConfigError, match="no cursor by which"):
        set_to(Position(None, ("8",)), consent=WINDOW, state=old)
    assert set_to(Position(None, ("8",)), Mode.MERGE, state=old).position == Position(None, ("8",))
    cursors = replace(STATE, position=Position("999"))
    with pytest.raises(ConfigError, match="never be read"):
        set_to(Position("1000"), state=cursors)


def test_setting_what_is_set_needs_no_consent() -> None:
    after = set_to(STATE.position)
    assert (after.position, after.replace_window) == (STATE.position, None)
    assert set_to(Position(D3, ("9",)), state=replace(STATE, position=None)).position is not None


@pytest.mark.parametrize("empty", [None, Position(), Position(nulls=NULLS)])
def test_after_a_reset_one_begins_at_a_date_without_more_words(empty: Position | None) -> None:
    after = set_to(Position(D4), state=replace(STATE, position=empty))
    assert after.position == Position(D4, None, empty.nulls if empty else None)
    assert after.replace_window is None


def test_a_window_begins_where_reading_goes_on_and_ends_where_loading_did() -> None:
    reset = set_to(None, consent=WINDOW)
    assert reset.replace_window == Window(None, D3)
    again = replace(EDIT, id="01F")
    date = with_watermark(reset, Position(D2, ("4",)), again, mode=Mode.APPEND)
    assert date.replace_window == Window(D2, D3)
    assert date.position == Position(D2)
    beyond = with_watermark(reset, Position(D4), again, mode=Mode.APPEND)
    assert beyond.replace_window is None
    halfway = replace(STATE, position=Position(D2), replace_window=Window(D2, D3, open_lo=True))
    assert set_to(Position(D1), state=halfway).replace_window == Window(D1, D3)
    assert set_to(None, consent=TWICE, state=halfway).replace_window is None


def test_rows_without_a_cursor_are_read_again_only_where_they_may_be() -> None:
    state = replace(STATE, position=Position(D3, ("9",), NULLS))
    assert set_to(Position(D1), Mode.MERGE, state=state).position == Position(D1, None, NULLS)
    assert set_to(None, Mode.MERGE, state=state).position is None
    assert set_to(None, consent=TWICE, state=state).position is None
    assert set_to(None, consent=WINDOW, state=state).position == Position(None, None, NULLS)


def test_a_table_that_is_read_whole_has_no_watermark_to_set() -> None:
    with pytest.raises(ConfigError, match="read whole"):
        set_to(None, Mode.REPLACE)


@pytest.mark.parametrize("whole", [False, True])
def test_a_stopped_table_is_reconciled_first(whole: bool) -> None:
    stopped = replace(STATE, stop="diverged: x")
    with pytest.raises(DataError, match="stopped") as refused:
        full_refreshed(stopped, EDIT) if whole else set_to(None, Mode.MERGE, state=stopped)
    assert "watermark reconcile" in refused.value.hint


def test_a_full_refresh_begins_a_generation_that_replaces() -> None:
    counted = Override(5, 4, (Counted("s", 1),))
    state = replace(
        STATE,
        replace_window=Window(None, D3),
        rows=RowCounts(50, 45, counted),
        imported=True,
    )
    after = full_refreshed(state, EDIT)
    assert (after.generation, after.replace_pending, after.position) == (3, True, None)
    assert (after.pending, after.replace_window, after.last_failure) == ((), None, None)
    assert (after.next_seq, after.last_batch) == (8, "b7")
    assert after.rows == RowCounts(50, 45)
    assert not after.imported
    assert after.audit[0].before.endswith("counted 47")


def test_the_ledger_s_word_takes_the_place_of_the_state_s() -> None:
    state = replace(STATE, stop="diverged", replace_pending=True, backup_strategy=MANUAL)
    window = Window(D2, D3, open_lo=True)
    after = reconciled(state, HEAD, Position(D2), EDIT, window=window)
    assert (after.generation, after.next_seq, after.last_batch) == (2, 7, "b6")
    assert (after.position, after.last_mysql_data_timestamp) == (Position(D2), D2)
    assert (after.pending, after.stop, after.replace_pending) == ((), None, False)
    assert after.loaded == Loaded("b6", 6, 2, EDIT.at)
    assert after.rows == RowCounts(50, 45)
    assert (after.replace_window, after.backup_strategy) == (window, "sequential")


@pytest.mark.parametrize("head", [None, LedgerHead("shop", "src:shop.orders", 1, 0, "", "", 3)])
def test_where_nothing_was_loaded_all_is_read_again(head: LedgerHead | None) -> None:
    after = reconciled(STATE, head, None, EDIT)
    assert (after.generation, after.next_seq, after.last_batch) == (1, 1, "")
    assert (after.position, after.loaded) == (None, None)
    assert after.rows.loaded == (head.rows_total if head else 0)
    with pytest.raises(DataError, match="another tool has loaded"):
        reconciled(replace(STATE, imported=True), head, None, EDIT)


def test_an_imported_watermark_is_taken_over_by_the_first_load_alone() -> None:
    fresh = replace(STATE, imported=True, loaded=None)
    assert adopts(fresh)
    assert not adopts(replace(fresh, loaded=STATE.loaded))
    assert not adopts(replace(fresh, imported=False))
    assert reconciled(fresh, HEAD, Position(D2), EDIT).imported


@pytest.mark.parametrize(("seen", "epoch"), [(3, 6), (9, 10)])
def test_an_older_state_comes_back_above_every_epoch(seen: int, epoch: int) -> None:
    after = restored(STATE, EDIT, epoch=seen)
    assert (after.epoch, after.claim) == (epoch, None)
    assert (after.pending, after.position) == (STATE.pending, STATE.position)
    assert after.audit[-1].what == EDIT.what


APPEND, SPAN, WHOLE = Mode.APPEND, Mode.REPLACE_WINDOW, Mode.REPLACE


@pytest.mark.parametrize(
    ("chain", "due"),
    [
        ([], None),
        ([(APPEND, D3)], None),
        ([(APPEND, D3), (SPAN, D1)], Window(D1, D3, open_lo=True)),
        ([(APPEND, D3), (SPAN, D1), (SPAN, D2)], Window(D2, D3, open_lo=True)),
        ([(APPEND, D3), (SPAN, D3)], None),
        ([(APPEND, D3), (SPAN, D4)], None),
        ([(APPEND, D3), (SPAN, None)], None),
        ([(APPEND, D4), (WHOLE, D1), (APPEND, D2), (SPAN, D1)], Window(D1, D2, open_lo=True)),
        ([(APPEND, D3), (SPAN, D1), (APPEND, D2)], None),
        ([(APPEND, None), (SPAN, D1)], None),
    ],
)
def test_what_is_left_of_a_window_is_known_from_the_ledger(
    chain: list[tuple[Mode, str | None]], due: Window | None
) -> None:
    lines = [(mode, Position(cursor) if cursor else None) for mode, cursor in chain]
    assert window_due(lines) == due
