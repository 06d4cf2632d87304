"""Wall clocks: what a moment reads on the clock by which a DATETIME column was written; pure.

A DATETIME has no zone: it is what the writer's clock showed. So a bound in UTC is told in that
clock's terms. In autumn the clock goes back and an hour comes twice: a bound taken in the first of
the two would lie above rows still to be written in the second. So the bound is the least that the
clock will show from that moment on. It stands still at the hour's start while it comes the first
time, moves on when it comes again, and what lies above it is read again.

Clocks are set at a quarter of an hour of UTC, and by three hours at most.
"""

from __future__ import annotations

import datetime as dt

from ..config.values import zone_of
from ..errors import ConfigError

_QUARTER = dt.timedelta(minutes=15)
_REACH = 12  # quarters: three hours
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def around(moment: dt.datetime) -> list[dt.datetime]:
    """The moment, and every one three hours before and behind at which a clock may be set."""
    first = quarter(moment) - _REACH * _QUARTER
    return [moment, *(first + count * _QUARTER for count in range(2 * _REACH + 2))]


def quarter(moment: dt.datetime) -> dt.datetime:
    """The quarter of an hour in which the moment lies, by its beginning."""
    return _EPOCH + (moment - _EPOCH) // _QUARTER * _QUARTER


def least(
    moment: dt.datetime, instants: list[dt.datetime], walls: list[dt.datetime]
) -> dt.datetime:
    """The least that the clock shows from the moment on."""
    return min(wall for at, wall in zip(instants, walls, strict=True) if at >= moment)


def greatest(
    moment: dt.datetime, instants: list[dt.datetime], walls: list[dt.datetime]
) -> dt.datetime:
    """The most that the clock has shown up to the moment, to a quarter of an hour.

    Just before a clock goes back it showed an hour more than just after.
    """
    shown = [
        wall + min(_QUARTER, moment - at)
        for at, wall in zip(instants, walls, strict=True)
        if at <= moment
    ]
    return max(shown)


def named(text: str) -> dt.tzinfo:
    """A zone by its offset (`+08:00`) or IANA name; ConfigError for anything else."""
    zone = zone_of(text)
    if zone is None:
        raise ConfigError(
            "unknown time zone",
            cursor_time_zone=text,
            hint="an offset such as +08:00, or an IANA name such as Europe/Berlin",
        )
    return zone


def walls(zone: dt.tzinfo, instants: list[dt.datetime]) -> list[dt.datetime]:
    """What the zone's clock shows at each of them, without a zone."""
    return [at.astimezone(zone).replace(tzinfo=None) for at in instants]


def text(wall: dt.datetime, data_type: str, fraction: int) -> str:
    """A wall clock's reading as a column of that type prints it, cut down to its precision."""
    if data_type == "date":
        return wall.date().isoformat()
    shown = wall.isoformat(sep=" ", timespec="microseconds")
    return shown[: 20 + fraction] if fraction else shown[:19]
