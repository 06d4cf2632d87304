"""What a watermark that was set back owes an append target, by examples and by playing it out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.commit import State, committed, idled, mode_of, owes_rest
from s3rs_async.errors import ConflictError
from s3rs_async.model import Mode, Position, Window
from tests.unit.test_commit import MANIFEST, ME
from tests.unit.test_commit import STATE as BARE

WINDOW = Window("2026-11-10", "2026-11-20")
BACK = Position("2026-11-10")
STATE = replace(BARE, position=BACK, replace_window=WINDOW, backup_strategy="manual_cli")


def batch(state: State, planned: Mode, after: Position | None) -> State:
    """The state with one more batch, made as a pass makes it."""
    mode, window = mode_of(state, planned, after)
    moves = after is not None and after != state.position
    made = replace(
        MANIFEST,
        generation=state.generation,
        epoch=state.epoch,
        seq=state.next_seq,
        batch=f"B{state.next_seq}",
        parent=state.last_batch,
        before=state.position,
        after=after if moves else state.position,
        mode=mode,
        window=window,
        moves_watermark=moves,
    )
    return committed(state, made, key="data/B", sha256="5a")


@pytest.mark.parametrize(
    ("after", "window", "left"),
    [
        (Position("2026-11-12", ("7",)), replace(WINDOW, hi="2026-11-12"), "2026-11-12"),
        (Position("2026-11-12"), replace(WINDOW, hi="2026-11-12"), "2026-11-12"),
        (Position("2026-11-10", ("7",)), replace(WINDOW, hi="2026-11-10"), "2026-11-10"),
        (Position("2026-11-20", ("7",)), WINDOW, None),
        (Position("2026-11-20"), WINDOW, None),
        (Position("2026-11-30", ("7",)), WINDOW, None),
    ],
)
def test_a_batch_replaces_the_span_that_it_read_and_leaves_the_rest_open_at_its_end(
    after: Position, window: Window, left: str | None
) -> None:
    assert mode_of(STATE, Mode.APPEND, after) == (Mode.REPLACE_WINDOW, window)
    rest = None if left is None else Window(left, WINDOW.hi, open_lo=True)
    assert batch(STATE, Mode.APPEND, after).replace_window == rest


def test_the_rest_is_owed_even_where_nothing_was_found() -> None:
    assert owes_rest(STATE, Position("2026-11-30"))
    assert not owes_rest(STATE, BACK)
    assert not owes_rest(STATE, None)
    assert not owes_rest(replace(STATE, replace_window=None), Position("2026-11-30"))


def test_rows_without_a_cursor_are_appended_and_leave_the_window() -> None:
    nulls = replace(BACK, nulls=("5",))
    assert mode_of(STATE, Mode.APPEND, nulls) == (Mode.APPEND, None)
    assert batch(STATE, Mode.APPEND, nulls).replace_window == WINDOW


def test_a_window_from_the_beginning_has_no_low_end() -> None:
    state = replace(STATE, position=None, replace_window=Window(None, "9"))
    mode, window = mode_of(state, Mode.APPEND, Position("5", ("1",)))
    assert (mode, window) == (Mode.REPLACE_WINDOW, Window(None, "5"))
    assert mode_of(state, Mode.APPEND, Position("10"))[1] == Window(None, "9")


def test_a_target_that_is_merged_or_replaced_needs_no_window() -> None:
    after = Position("2026-11-12")
    assert mode_of(STATE, Mode.MERGE, after) == (Mode.MERGE, None)
    merged = batch(STATE, Mode.MERGE, after)
    assert merged.replace_window == Window("2026-11-12", "2026-11-20", open_lo=True)
    assert batch(STATE, Mode.REPLACE, after).replace_window is None


def test_the_first_batch_of_a_generation_replaces_however_the_table_is_applied() -> None:
    due = replace(BARE, replace_pending=True)
    for planned in (Mode.APPEND, Mode.MERGE, Mode.REPLACE):
        assert mode_of(due, planned, Position("1")) == (Mode.REPLACE, None)
        assert not batch(due, planned, Position("1")).replace_pending


def test_a_hand_set_watermark_is_followed_by_the_next_batch() -> None:
    assert batch(STATE, Mode.APPEND, Position("2026-11-12")).backup_strategy == "sequential"


@pytest.mark.parametrize(
    ("mode", "window"),
    [
        (Mode.APPEND, None),
        (Mode.REPLACE_WINDOW, None),
        (Mode.REPLACE_WINDOW, WINDOW),
        (Mode.REPLACE_WINDOW, Window("2026-11-10", "2026-11-12", open_lo=True)),
        (Mode.MERGE, Window("2026-11-10", "2026-11-12")),
    ],
)
def test_a_batch_that_replaces_another_span_than_it_read_does_not_enter(
    mode: Mode, window: Window | None
) -> None:
    made = replace(MANIFEST, before=BACK, after=Position("2026-11-12"), mode=mode, window=window)
    with pytest.raises(ConflictError, match="is due"):
        committed(STATE, made, key="k", sha256="s")


def test_a_window_that_the_state_does_not_name_is_not_replaced() -> None:
    made = replace(MANIFEST, mode=Mode.REPLACE_WINDOW, window=WINDOW)
    with pytest.raises(ConflictError, match="is due"):
        committed(BARE, made, key="k", sha256="s")


def test_no_idle_window_is_passed_over_while_one_is_to_be_replaced() -> None:
    with pytest.raises(ConflictError, match="moved on"):
        idled(STATE, claim=ME, before=BACK, after=Position("2026-11-30"))


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), unique=True, max_size=20).map(
    sorted
)


@given(loaded=rows, source=rows, cuts=st.sets(st.integers(0, 20)), back=st.integers(0, 9))
def test_played_out_the_target_has_the_window_s_rows_once_whatever_the_batches_are(
    loaded: list[tuple[int, int]],
    source: list[tuple[int, int]],
    cuts: set[int],
    back: int,
) -> None:
    """Rows are (cursor, key); 10 is the old position, exclusive, and the bound of the read."""
    target = list(loaded)
    state = replace(BARE, position=Position(str(back)), replace_window=Window(str(back), "10"))
    wanted = [row for row in source if row[0] >= back]
    ends = sorted(cut for cut in cuts if cut < len(wanted))
    for start, end in pairwise([0, *ends, len(wanted)]):
        if start == end:
            continue
        read, (cursor, key) = wanted[start:end], wanted[end - 1]
        after = Position(str(cursor), (str(key),))
        _, window = mode_of(state, Mode.APPEND, after)
        assert window is not None
        target = [row for row in target if not _within(row, window)] + read
        state = batch(state, Mode.APPEND, after)
    last = Position("10")
    assert owes_rest(state, last)
    _, window = mode_of(state, Mode.APPEND, last)
    assert window is not None
    target = [row for row in target if not _within(row, window)]
    assert batch(state, Mode.APPEND, last).replace_window is None
    assert sorted(target) == sorted([row for row in loaded if row[0] < back] + wanted)


def _within(row: tuple[int, int], window: Window) -> bool:
    low = -1 if window.lo is None else int(window.lo)
    return row[0] <= int(window.hi) and (row[0] > low if window.open_lo else row[0] >= low)
