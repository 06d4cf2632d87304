"""What a line makes of the exit code, when a subject ends, and how a clock is judged."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from s3rs_async.doctor.check import Check, Level, Sheet, exit_code
from s3rs_async.doctor.skew import Asked, tell
from s3rs_async.doctor.way import is_loopback
from s3rs_async.errors import ConfigError, DataError, ExitCode, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def line(level: Level, *, unreachable: bool = False) -> Check:
    return Check("s3", "bucket", level, "found", unreachable=unreachable)


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([], ExitCode.OK),
        ([line(Level.OK), line(Level.WARN)], ExitCode.OK),
        ([line(Level.WARN), line(Level.FAIL)], ExitCode.USAGE),
        ([line(Level.FAIL, unreachable=True)], ExitCode.UNAVAILABLE),
        ([line(Level.FAIL, unreachable=True), line(Level.FAIL)], ExitCode.USAGE),
    ],
)
def test_the_exit_code_says_who_must_act(checks: list[Check], code: ExitCode) -> None:
    assert exit_code(checks) is code


def raising(error: Exception | None) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        if error is not None:
            raise error

    return step


async def test_a_subject_goes_on_after_a_failure_and_ends_where_the_way_is_gone() -> None:
    told: list[Check] = []
    sheet = Sheet("source", told.append)
    refused = ConfigError("refused", hint="grant it", where="mysql")
    steps = [
        ("one", raising(refused)),
        ("two", raising(DataError("odd"))),
        ("three", raising(UnavailableError("gone"))),
        ("four", raising(ConfigError("never asked"))),
    ]

    assert not await sheet.take(steps)

    assert [(c.name, c.unreachable) for c in told] == [
        ("one", False),
        ("two", False),
        ("three", True),
    ]
    assert told[0].found == "refused (where=mysql)"
    assert told[0].mend == "grant it"


async def test_what_is_no_error_of_ours_is_not_made_a_line() -> None:
    with pytest.raises(ZeroDivisionError):
        await Sheet("source", lambda _: None).take([("one", raising(ZeroDivisionError()))])


async def test_a_step_that_must_hold_ends_what_rests_on_it() -> None:
    sheet = Sheet("source", lambda _: None)
    steps = [("one", raising(ConfigError("unknown host key")))]
    assert await sheet.take(steps)
    assert not await sheet.take(steps, whole=True)
    assert await sheet.take([("one", raising(None))], whole=True)


@pytest.mark.parametrize(
    ("ahead", "trip", "level"),
    [
        (0, 0, Level.OK),
        (5, 0, Level.OK),
        (-5.1, 0, Level.WARN),
        (7, 4, Level.OK),
        (7.1, 4, Level.WARN),
        (300, 0, Level.WARN),
        (-301, 0, Level.FAIL),
    ],
)
def test_a_clock_is_judged_by_what_the_round_trip_leaves_certain(
    ahead: float, trip: float, level: Level
) -> None:
    told: list[Check] = []
    theirs = NOON + dt.timedelta(seconds=ahead + trip / 2)
    tell(Sheet("s3", told.append), Asked(NOON, theirs, NOON + dt.timedelta(seconds=trip)), "it")
    assert [check.level for check in told] == [level]
    assert bool(told[0].mend) is (level is not Level.OK)
    assert (("ahead" if ahead > 0 else "behind") in told[0].found) or not ahead


def test_only_this_machine_is_loopback() -> None:
    assert [h for h in ("localhost", "127.0.0.9", "::1", "10.0.0.1", "db") if is_loopback(h)] == [
        "localhost",
        "127.0.0.9",
        "::1",
    ]
