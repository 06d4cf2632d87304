"""Counts told by hand: never doubled, moved along by what is loaded, and each told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.commit import State
from s3rs_async.commit.counts import SESSIONS, CountMode, with_count
from s3rs_async.commit.overrides import Edit
from s3rs_async.errors import ConfigError

BIRTH = State("shop", "src", "shop.orders", "dw.shop.orders")


def edit(number: int) -> Edit:
    return Edit(f"e{number}", "2026-01-01T00:00:00+00:00", "ann", "set-count")


def loaded(state: State, rows: int) -> State:
    return replace(state, rows=replace(state.rows, loaded=rows))


def test_without_a_word_the_ledgers_count_is_the_count() -> None:
    assert loaded(BIRTH, 7).rows.counted == 7


def test_an_absolute_count_moves_along_with_what_is_loaded_later() -> None:
    told = with_count(loaded(BIRTH, 100), 40, CountMode.ABSOLUTE, edit(1))

    assert told.rows.counted == 40
    assert loaded(told, 110).rows.counted == 50
    assert told.rows.loaded == 100


def test_an_additive_count_adds_and_the_same_edit_adds_once() -> None:
    once = with_count(loaded(BIRTH, 100), 5, CountMode.ADDITIVE, edit(1))
    twice = with_count(once, 5, CountMode.ADDITIVE, edit(1))
    more = with_count(once, 5, CountMode.ADDITIVE, edit(2))

    assert twice == once
    assert (once.rows.counted, more.rows.counted) == (105, 110)


def test_a_session_tells_its_count_anew_and_others_add_theirs() -> None:
    state = with_count(BIRTH, 10, CountMode.AUTO, edit(1), "mon")
    state = with_count(state, 5, CountMode.AUTO, edit(2), "tue")
    state = with_count(state, 12, CountMode.AUTO, edit(3), "mon")

    assert state.rows.counted == 17


def test_sessions_that_are_no_longer_known_by_name_stay_counted() -> None:
    state = BIRTH
    for number in range(SESSIONS + 3):
        state = with_count(state, 1, CountMode.AUTO, edit(number), f"s{number}")

    assert state.rows.override is not None
    assert len(state.rows.override.sessions) == SESSIONS
    assert state.rows.counted == SESSIONS + 3


def test_a_count_never_falls_below_nought() -> None:
    told = with_count(loaded(BIRTH, 100), 3, CountMode.ABSOLUTE, edit(1))

    assert loaded(told, 10).rows.counted == 0


def test_every_word_is_kept() -> None:
    (word,) = with_count(BIRTH, 3, CountMode.ABSOLUTE, edit(1)).audit

    assert (word.who, word.what) == ("ann", "set-count")
    assert word.after.endswith("counted 3")


@pytest.mark.parametrize(
    ("count", "mode", "says"),
    [(-1, CountMode.ABSOLUTE, "below nought"), (1, CountMode.AUTO, "needs its session")],
)
def test_a_count_that_means_nothing_is_refused(count: int, mode: CountMode, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        with_count(BIRTH, count, mode, edit(1))
