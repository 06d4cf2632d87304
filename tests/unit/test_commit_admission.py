from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.commit import (
    MAX_PENDING,
    Pending,
    State,
    check_clock,
    check_errand,
    check_going,
    check_room,
    committed,
)
from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import Position, Window
from tests.unit.test_commit import MANIFEST, STATE

FULL = tuple(Pending(n, f"B{n}", f"B{n - 1}", "k", "s", 1, "r") for n in range(MAX_PENDING))
READ = replace(
    STATE,
    position=Position("2026-11-22"),
    last_mysql_extraction_time="2026-11-22T10:00:01.000000+00:00",
)
LOADED = replace(READ, last_batch="A")


def test_a_stopped_table_says_why_and_what_mends_it() -> None:
    check_going(STATE)
    with pytest.raises(DataError, match="diverged") as failure:
        check_going(replace(STATE, stop="diverged"))
    assert failure.value.hint.endswith("s3rs watermark reconcile -p shop -t shop.orders")
    with pytest.raises(DataError, match="diverged") as failure:
        check_going(replace(STATE, pipeline="adhoc.a.b", stop="diverged"))
    assert failure.value.hint.endswith("s3rs watermark reconcile -t shop.orders")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (replace(LOADED, last_batch=""), "nothing of the table was read yet"),
        (replace(LOADED, position=Position(nulls=("4",))), "nothing of the table was read yet"),
        (replace(LOADED, replace_pending=True), "is to be replaced"),
        (replace(LOADED, replace_window=Window(None, "2026-11-22")), "is to be replaced"),
        (replace(LOADED, backup_strategy="manual_cli"), "set by hand"),
    ],
)
def test_rows_are_not_read_anew_where_more_of_them_are_due(state: State, reason: str) -> None:
    check_errand(LOADED)
    check_errand(replace(LOADED, position=None))  # a table that is read whole has none
    with pytest.raises(ConfigError, match=reason) as failure:
        check_errand(state)
    assert failure.value.hint == "bring it forward first: s3rs sync -p shop -t shop.orders"


def test_as_many_batches_as_the_state_may_name_and_no_more() -> None:
    check_room(replace(STATE, pending=FULL[:-1]))
    with pytest.raises(DataError, match="too many") as failure:
        check_room(replace(STATE, pending=FULL))
    assert "s3rs sync --redshift-only -p shop -t shop.orders" in failure.value.hint


@pytest.mark.parametrize(
    ("state", "reason"),
    [(replace(STATE, stop="diverged"), "stopped"), (replace(STATE, pending=FULL), "too many")],
)
def test_what_has_come_to_be_true_meanwhile_keeps_a_batch_out(state: State, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        committed(state, MANIFEST, key="k", sha256="s")


def test_a_clock_that_went_back_by_more_than_a_second_is_refused() -> None:
    check_clock(STATE, "2026-11-22T10:00:00.000000+00:00")
    check_clock(READ, "2026-11-22T10:00:00.000000+00:00")
    with pytest.raises(DataError, match=r"seconds=1\.000001|seconds=1\.0") as failure:
        check_clock(READ, "2026-11-22T09:59:59.999999+00:00")
    assert "s3rs watermark set -p shop -t shop.orders" in failure.value.hint


@pytest.mark.parametrize(
    "state", [replace(READ, position=None), replace(READ, backup_strategy="manual_cli")]
)
def test_nothing_rests_on_the_clock_from_the_beginning_or_by_an_operator_s_word(
    state: State,
) -> None:
    check_clock(state, "2026-01-01T00:00:00.000000+00:00")
