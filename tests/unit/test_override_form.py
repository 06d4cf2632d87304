"""What a person types, as a position of the table that is meant."""

from __future__ import annotations

import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.model import CursorFormat, Mode, Position
from s3rs_async.override import Form

STAMP = Form("shop.orders", Mode.MERGE, "changed", CursorFormat.COLUMN, "timestamp", 3, 1, True)
WALL = Form("shop.orders", Mode.MERGE, "changed", CursorFormat.COLUMN, "datetime", 0, 2, True)
DAY = Form("shop.orders", Mode.MERGE, "day", CursorFormat.COLUMN, "date", 0, 1, False)
UNIX = Form("shop.orders", Mode.MERGE, "at", CursorFormat.UNIX, "int", 0, 1, True)
MILLIS = Form("shop.orders", Mode.MERGE, "at", CursorFormat.UNIX_MS, "bigint", 0, 1, True)
NUMBER = Form("shop.orders", Mode.MERGE, "at", None, "", 0, 1, True)
IDS = Form("shop.orders", Mode.APPEND, None, CursorFormat.COLUMN, "", 0, 1, True)


@pytest.mark.parametrize(
    ("form", "text", "cursor"),
    [
        (STAMP, "2026-11-22", "2026-11-22 00:00:00.000"),
        (STAMP, "2026-11-22T03:10:00.123999", "2026-11-22 03:10:00.123"),
        (STAMP, "2026-11-22 03:10:00+02:00", "2026-11-22 01:10:00.000"),
        (WALL, "2026-11-22 03:10:00.9", "2026-11-22 03:10:00"),
        (DAY, "2026-11-22 03:10", "2026-11-22"),
        (UNIX, "1000", "1000"),
        (UNIX, "1970-01-01 00:01", "60"),
        (UNIX, "1970-01-01T01:01+01:00", "60"),
        (MILLIS, "1970-01-01 00:01", "60000"),
        (NUMBER, "0060", "60"),
    ],
)
def test_a_time_is_written_as_its_column_writes_it(form: Form, text: str, cursor: str) -> None:
    assert form.position(text, None) == Position(cursor)


def test_an_id_stands_beside_a_time_or_alone() -> None:
    assert STAMP.position("2026-11-22", "7") == Position("2026-11-22 00:00:00.000", ("7",))
    assert DAY.position("2026-11-22", "a-7") == Position("2026-11-22", ("a-7",))
    assert IDS.position(None, "7") == Position(None, ("7",))
    assert IDS.position(None, None) is None


@pytest.mark.parametrize(
    ("form", "timestamp", "identity", "message"),
    [
        (STAMP, "soon", None, "not a time"),
        (STAMP, "2026-13-01", None, "not a time"),
        (WALL, "2026-11-22 03:10:00Z", None, "without a zone"),
        (WALL, "2026-11-22", "7", "told apart by 2 columns"),
        (STAMP, None, "7", "an id alone"),
        (STAMP, "2026-11-22", "seven", "not an id"),
        (DAY, "2026-11-22", "", "not an id"),
        (IDS, "2026-11-22", "7", "not read by a time"),
        (NUMBER, "2026-11-22", None, "not a number"),
    ],
)
def test_what_is_no_place_in_the_table_is_refused(
    form: Form, timestamp: str | None, identity: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        form.position(timestamp, identity)
    assert refused.value.hint
    assert refused.value.context["table"] == "shop.orders"
