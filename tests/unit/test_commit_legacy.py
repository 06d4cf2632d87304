"""An old tool's watermark is taken over once, whole, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from s3rs_async.commit import State, adopts
from s3rs_async.commit.legacy import Legacy, imported, read_legacy
from s3rs_async.commit.overrides import Edit
from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import Position

GOOD = {
    "last_mysql_data_timestamp": "2026-01-02T03:04:05",
    "last_processed_id": 41,
    "last_mysql_extraction_time": "2026-01-02T03:05:00Z",
    "mysql_status": "success",
    "redshift_status": "success",
    "backup_strategy": "sequential",
    "metadata": {"any": "thing"},
}
BIRTH = State("shop", "src", "shop.orders", "dw.shop.orders")
EDIT = Edit("e1", "2026-01-01T00:00:00+00:00", "ann", "import --v1")


def body(**change: object) -> bytes:
    raw = {key: value for key, value in (GOOD | change).items() if value != "gone"}
    return json.dumps(raw).encode()


def test_its_time_and_id_are_read_as_text() -> None:
    assert read_legacy(body(), "f") == Legacy("2026-01-02T03:04:05", "41", "2026-01-02T03:05:00Z")
    assert read_legacy(body(last_processed_id="gone", last_id="x"), "f").id == "x"
    assert read_legacy(body(last_mysql_data_timestamp=""), "f").timestamp is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not a watermark"),
        (b"[]", "not an object"),
        (body(colour="red"), "unknown fields: colour"),
        (body(redshift_status="pending"), "did not end well"),
        (body(mysql_status=None), "did not end well"),
        (body(last_id=40), "differ"),
        (body(last_processed_id=True), "neither a text nor a whole number"),
        (body(last_mysql_data_timestamp=None, last_processed_id=None), "neither a timestamp"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_legacy(text, "old/orders.json")

    assert says in str(caught.value)
    assert "old/orders.json" in str(caught.value)


def test_the_first_load_adopts_what_the_old_tool_has_loaded() -> None:
    state = imported(BIRTH, Position("2026-01-02 03:04:05", ("41",)), EDIT)

    assert adopts(state)
    assert (state.epoch, state.backup_strategy) == (1, "manual_cli")
    assert state.audit[0].what == "import --v1"


@pytest.mark.parametrize(
    "state", [replace(BIRTH, last_batch="b"), replace(BIRTH, position=Position("1"))]
)
def test_a_table_with_a_watermark_of_its_own_keeps_it(state: State) -> None:
    with pytest.raises(ConfigError, match="of its own"):
        imported(state, Position("2"), EDIT)
