"""When the next pass begins, after success and after every kind of failure."""

from __future__ import annotations

import pytest

from s3rs_async.errors import (
    ConfigError,
    DataError,
    UnavailableError,
    UnknownOutcomeError,
)
from s3rs_async.scheduler import first_start, next_start, retry_start, rival_start

EVERY = [1.0, 10.0, 60.0, 900.0]
CHANCES = [0.0, 0.5, 1.0]


@pytest.mark.parametrize("every", EVERY)
def test_first_passes_are_spread_over_the_interval_and_never_wait_long(every: float) -> None:
    assert first_start(every, 0.0) == 0.0
    assert 0 < first_start(every, 1.0) <= min(every, 30.0)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("chance", CHANCES)
def test_starts_are_an_interval_apart_however_long_a_pass_took(every: float, chance: float) -> None:
    for spent in (0.0, every / 2, every):
        between = spent + next_start(every, spent, chance)
        assert every <= between <= every + min(0.05 * every, 5.0)


def test_a_pass_that_took_longer_than_its_interval_is_followed_at_once() -> None:
    assert next_start(10.0, 500.0, 0.0) == 0.0
    assert next_start(10.0, 500.0, 1.0) <= 0.5


@pytest.mark.parametrize("kind", [UnavailableError, UnknownOutcomeError])
@pytest.mark.parametrize("every", EVERY)
def test_what_may_pass_is_tried_soon_and_at_least_once_a_minute(
    kind: type[Exception], every: float
) -> None:
    waits = [retry_start(every, n, kind("away"), 0.0) for n in range(1, 40)]
    assert waits[0] == min(every, 5.0)
    assert waits == sorted(waits)
    assert waits[-1] == max(every, 60.0)


@pytest.mark.parametrize("kind", [ConfigError, DataError, ValueError])
@pytest.mark.parametrize("every", EVERY)
def test_what_must_be_mended_is_tried_less_and_less_often(
    kind: type[Exception], every: float
) -> None:
    waits = [retry_start(every, n, kind("wrong"), 0.0) for n in range(1, 40)]
    assert waits[0] == every
    assert waits == sorted(waits)
    assert waits[-1] == max(every, 600.0)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("chance", CHANCES)
def test_a_table_that_another_process_has_is_tried_when_that_one_would_be_dead(
    every: float, chance: float
) -> None:
    for left in (0.5, 35.0):
        assert min(every, left) <= rival_start(every, left, chance) <= left + 0.05
    assert min(every, 5.0) <= rival_start(every, 0.0, chance) <= 10.0
    assert rival_start(every, 1e9, chance) == next_start(every, 0.0, chance)


def test_very_many_failures_are_no_overflow() -> None:
    assert retry_start(10.0, 10**6, UnavailableError("away"), 1.0) <= 63.0
