"""Wall clocks: a bound never lies above a row that is still to be written."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3rs_async.errors import ConfigError
from s3rs_async.mysql import zone

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
FOLD = dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC)  # Berlin's clock goes from 3 back to 2
MOMENTS = st.datetimes(
    dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC)
) | st.timedeltas(dt.timedelta(hours=-4), dt.timedelta(hours=4)).map(lambda gap: FOLD + gap)


def shown(name: str, moment: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    instants = zone.around(moment)
    walls = zone.walls(zone.named(name), instants)
    return zone.least(moment, instants, walls), zone.greatest(moment, instants, walls)


@given(
    name=st.sampled_from(ZONES),
    moment=MOMENTS,
    later=st.timedeltas(dt.timedelta(0), dt.timedelta(hours=9)),
)
@example("Europe/Berlin", FOLD - dt.timedelta(microseconds=1), dt.timedelta(microseconds=1))
def test_no_later_write_is_below_the_bound(
    name: str, moment: dt.datetime, later: dt.timedelta
) -> None:
    least, _ = shown(name, moment)
    written = (moment + later).astimezone(zoneinfo.ZoneInfo(name)).replace(tzinfo=None)
    assert least <= written


@given(
    name=st.sampled_from(ZONES),
    moment=MOMENTS,
    ago=st.timedeltas(dt.timedelta(0), dt.timedelta(hours=9)),
)
def test_no_earlier_write_is_from_the_future(
    name: str, moment: dt.datetime, ago: dt.timedelta
) -> None:
    _, greatest = shown(name, moment)
    written = (moment - ago).astimezone(zoneinfo.ZoneInfo(name)).replace(tzinfo=None)
    assert written <= greatest


def test_the_repeated_hour_holds_the_bound_and_then_lets_it_go() -> None:
    def bound(minutes: int) -> str:
        return str(shown("Europe/Berlin", FOLD + dt.timedelta(minutes=minutes))[0].time())

    assert [bound(at) for at in (-61, -60, -30, -1, 0, 30, 59, 60)] == [
        *("01:59:00", "02:00:00", "02:00:00", "02:00:00", "02:00:00", "02:30:00"),
        *("02:59:00", "03:00:00"),
    ]


def test_an_ordinary_moment_is_what_the_clock_shows() -> None:
    noon = dt.datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
    assert shown("-05:00", noon)[0] == dt.datetime(2026, 7, 1, 7, 0, 0, 123456)
    assert shown("+08:00", noon)[0] == dt.datetime(2026, 7, 1, 20, 0, 0, 123456)


@pytest.mark.parametrize("text", ["CETT", "8", "+8", "../etc/passwd", ""])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="unknown time zone"):
        zone.named(text)


@pytest.mark.parametrize(
    ("kind", "fraction", "text"),
    [
        ("datetime", 0, "2026-01-02 03:04:05"),
        ("datetime", 1, "2026-01-02 03:04:05.9"),
        ("timestamp", 6, "2026-01-02 03:04:05.999999"),
        ("date", 0, "2026-01-02"),
    ],
)
def test_a_bound_is_cut_down_and_never_rounded_up(kind: str, fraction: int, text: str) -> None:
    assert zone.text(dt.datetime(2026, 1, 2, 3, 4, 5, 999999), kind, fraction) == text
