"""Cursors' texts: their order, and the way back."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.model import CursorFormat
from s3rs_async.mysql import ticks
from s3rs_async.mysql.table import SourceColumn

COLUMN, UNIX, UNIX_MS = CursorFormat.COLUMN, CursorFormat.UNIX, CursorFormat.UNIX_MS


def of(kind: str, fraction: int | None = None) -> SourceColumn:
    return SourceColumn("t", kind, kind, nullable=False, fraction=fraction)


@pytest.mark.parametrize(
    ("text", "seconds", "column", "kind", "wanted"),
    [
        ("2026-03-01 00:00:00", 1.0, of("timestamp"), COLUMN, "2026-02-28 23:59:59"),
        ("2026-03-01 00:00:00", 0.001, of("datetime"), COLUMN, "2026-02-28 23:59:59"),
        ("2026-03-01 00:00:00.500", 0.25, of("datetime", 3), COLUMN, "2026-03-01 00:00:00.250"),
        ("2026-03-01 00:00:00.1", 0.05, of("datetime", 1), COLUMN, "2026-03-01 00:00:00.0"),
        ("2026-03-01", 1.0, of("date"), COLUMN, "2026-02-28"),
        ("2026-03-01", 86400.0, of("date"), COLUMN, "2026-02-28"),
        ("0001-01-01 00:00:00", 1.0, of("datetime"), COLUMN, None),
        ("0000-00-00 00:00:00", 1.0, of("datetime"), COLUMN, None),
        ("2026-00-31", 1.0, of("date"), COLUMN, None),
        ("1767225600", 3600.0, of("bigint"), UNIX, "1767222000"),
        ("1767225600", 0.1, of("bigint"), UNIX, "1767225599"),
        ("1767225600000", 0.1, of("bigint"), UNIX_MS, "1767225599900"),
        ("5", 60.0, of("int"), UNIX, "-55"),
    ],
)
def test_the_way_back_ends_at_a_tick_and_never_later(
    text: str, seconds: float, column: SourceColumn, kind: CursorFormat, wanted: str | None
) -> None:
    assert ticks.back(text, seconds, column, kind) == wanted


@settings(deadline=None)
@given(st.datetimes(dt.datetime(1000, 1, 1)), st.integers(1, 10**15), st.sampled_from(range(7)))
def test_what_is_read_again_begins_at_most_a_tick_too_early(
    moment: dt.datetime, micros: int, fraction: int
) -> None:
    shown = moment.isoformat(sep=" ", timespec="microseconds")
    text = shown[: 20 + fraction] if fraction else shown[:19]
    found = ticks.back(text, micros / 1_000_000, of("datetime", fraction), COLUMN)
    at = dt.datetime.fromisoformat(text)
    if found is None:
        assert (at - dt.datetime.min) // dt.timedelta(microseconds=1) < micros + 1
        return
    early = at - dt.timedelta(microseconds=micros) - dt.datetime.fromisoformat(found)
    assert dt.timedelta(0) <= early < dt.timedelta(microseconds=10 ** (6 - fraction))
    assert len(found) == len(text)


@settings(deadline=None)
@given(st.integers(), st.integers())
def test_numbers_are_compared_as_numbers(one: int, other: int) -> None:
    assert ticks.reached(str(one), str(other), UNIX) is (one >= other)
    assert ticks.is_of(str(one), UNIX_MS)
    assert not ticks.is_of(str(one), COLUMN)


def test_times_are_compared_as_text() -> None:
    assert ticks.reached("2026-01-01", "2026-01-01", COLUMN)
    assert not ticks.reached("2025-12-31", "2026-01-01", COLUMN)
    assert ticks.is_of("2026-01-01 00:00:00", COLUMN)
    assert not ticks.is_of("2026-01-01", UNIX)
