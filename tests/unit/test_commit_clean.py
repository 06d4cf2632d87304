"""What s3clean may take: by examples, and what it never takes whatever the marks say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.commit import Loaded, Pending
from s3rs_async.commit.clean import (
    HISTORY_KEPT,
    Reason,
    Terms,
    judge_attempt,
    judge_copy,
    judge_upload,
    refusal,
    sealed,
)
from s3rs_async.commit.overrides import Edit
from tests.unit.test_commit import ME
from tests.unit.test_commit import STATE as BARE

DAY = dt.timedelta(days=1)
OLD = 30 * DAY
TERMS = Terms()
WAITS = Pending(7, "P", "L", "data/P", "5a", 3, "run")
STATE = replace(BARE, epoch=5, pending=(WAITS,), loaded=Loaded("L", 6, 1, "then"))
BOOKS = {"L", "K"}


@pytest.mark.parametrize(
    ("batch", "epoch", "age", "reason"),
    [
        ("P", 1, OLD, Reason.PENDING),
        ("K", 4, 7 * DAY, Reason.LOADED),
        ("K", 9, 7 * DAY, Reason.LOADED),
        ("K", 4, 7 * DAY - dt.timedelta(seconds=1), Reason.LOADED_LATELY),
        ("X", 5, OLD, Reason.LIVE),
        ("X", 6, OLD, Reason.LIVE),
        ("X", 4, DAY, Reason.ORPHAN),
        ("X", 4, DAY - dt.timedelta(seconds=1), Reason.ORPHAN_LATELY),
    ],
)
def test_an_attempt_goes_when_it_is_loaded_or_its_epoch_is_over(
    batch: str, epoch: int, age: dt.timedelta, reason: Reason
) -> None:
    assert judge_attempt(STATE, BOOKS, batch, epoch, age, TERMS) is reason
    goes = reason in {Reason.LOADED, Reason.ORPHAN}
    assert reason.goes is goes


@pytest.mark.parametrize(
    ("batch", "epoch", "age", "reason"),
    [
        ("P", 1, OLD, Reason.PENDING),
        ("X", 5, OLD, Reason.LIVE),
        ("X", 4, DAY, Reason.ORPHAN),
        ("K", 4, DAY, Reason.ORPHAN),
        ("X", 4, dt.timedelta(), Reason.ORPHAN_LATELY),
    ],
)
def test_an_open_upload_is_aborted_when_its_epoch_is_over(
    batch: str, epoch: int, age: dt.timedelta, reason: Reason
) -> None:
    assert judge_upload(STATE, batch, epoch, age, TERMS.grace) is reason


def test_the_newest_copies_of_the_state_stay_for_ever() -> None:
    assert judge_copy(HISTORY_KEPT - 1, OLD, DAY) is Reason.NEWEST_COPY
    assert judge_copy(HISTORY_KEPT, OLD, DAY) is Reason.OLD_COPY
    assert judge_copy(HISTORY_KEPT, dt.timedelta(), DAY) is Reason.LATE_COPY
    assert [reason for reason in Reason if reason.goes] == [
        Reason.LOADED,
        Reason.ORPHAN,
        Reason.OLD_COPY,
    ]


def test_a_table_whose_marks_disagree_is_refused() -> None:
    assert refusal(STATE, BOOKS) is None
    assert refusal(replace(STATE, loaded=None), None) is None
    assert refusal(replace(STATE, loaded=None), {"K"}) is None

    stopped = refusal(replace(STATE, stop="diverged: the ledger ends elsewhere"), BOOKS)
    assert stopped is not None
    assert "diverged" in stopped[0]
    assert "reconcile" in stopped[1]
    lacking = refusal(STATE, {"K"})
    assert lacking is not None
    assert "no batch L" in lacking[0]
    unasked = refusal(STATE, None)
    assert unasked is not None
    assert "--s3-only" in unasked[1]


def test_a_seal_ends_every_attempt_under_way_and_is_on_record_once() -> None:
    edit = Edit("01K", "now", "me", "s3clean --seal")
    state = sealed(replace(STATE, claim=ME), edit)
    assert (state.epoch, state.claim) == (6, None)
    assert [word.what for word in state.audit] == ["s3clean --seal"]
    assert sealed(state, edit) is state
    assert judge_attempt(STATE, BOOKS, "X", 5, OLD, TERMS) is Reason.LIVE
    assert judge_attempt(state, BOOKS, "X", 5, OLD, TERMS) is Reason.ORPHAN


names = st.sampled_from("ABCDEF")
ages = st.timedeltas(min_value=-DAY, max_value=OLD)
terms = st.builds(Terms, loaded=st.timedeltas(min_value=dt.timedelta()), grace=ages)


@given(
    epoch=st.integers(0, 9),
    own=st.integers(0, 9),
    pending=st.sets(names),
    books=st.sets(names),
    batch=names,
    age=ages,
    terms=terms,
)
def test_nothing_goes_that_can_still_be_named(
    *,
    epoch: int,
    own: int,
    pending: set[str],
    books: set[str],
    batch: str,
    age: dt.timedelta,
    terms: Terms,
) -> None:
    waiting = tuple(replace(WAITS, batch=name) for name in sorted(pending))
    state = replace(STATE, epoch=epoch, pending=waiting)

    reason = judge_attempt(state, books, batch, own, age, terms)
    upload = judge_upload(state, batch, own, age, terms.grace)

    if reason.goes:
        assert batch not in pending
        assert batch in books or own < epoch, "a writer whose epoch is the state's may yet commit"
        assert age >= (terms.loaded if batch in books else terms.grace)
    if upload.goes:
        assert batch not in pending
        assert own < epoch
        assert age >= terms.grace
