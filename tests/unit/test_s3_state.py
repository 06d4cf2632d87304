from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from s3rs_async.commit import Pending, RowCounts, State
from s3rs_async.errors import DataError, ExitCode
from s3rs_async.model import Position, TableName, Window
from s3rs_async.s3.codec import digest, dumps
from s3rs_async.s3.layout import Attempt, Layout
from s3rs_async.s3.position import read_position, write_position
from s3rs_async.s3.state import LARGEST, Document, decode, encode

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))
A, B = "01A00000000000000000000000", "01B00000000000000000000000"


def pending(seq: int, batch: str, parent: str) -> Pending:
    return Pending(seq, batch, parent, LAYOUT.manifest(Attempt(1, 1, seq, batch)), "5a", 7, "run")


STATE = State(
    "shop",
    "source",
    "shop.orders",
    "dw.public.orders",
    epoch=1,
    next_seq=3,
    last_batch=B,
    position=Position("2026-11-22", ("1", "x")),
    pending=(pending(1, A, ""), pending(2, B, A)),
)


def body(**changes: Any) -> bytes:
    """The state's bytes with top fields changed, and a digest that fits again."""
    raw = json.loads(encode(Document(STATE, 5, "01W"), LAYOUT)) | changes
    raw.pop("body_sha256")
    return dumps(raw | {"body_sha256": digest(raw)}).encode()


def refused(raw: bytes) -> str:
    with pytest.raises(DataError) as failure:
        decode(raw, LAYOUT)
    error = failure.value
    assert error.context["key"] == LAYOUT.state
    assert "the table is stopped" in error.message
    assert error.hint
    assert error.exit_code is ExitCode.DATA
    return str(error)


def test_the_envelope_is_the_one_of_the_protocol() -> None:
    raw = json.loads(body())
    assert (raw["format"], raw["schema"], raw["min_reader"]) == ("s3rs-state", 2, 2)
    assert (raw["version"], raw["write_id"]) == (5, "01W")
    assert raw["pending"][0]["seq"] == 1
    assert decode(body(), LAYOUT) == Document(STATE, 5, "01W")


def test_unknown_fields_at_the_top_are_kept() -> None:
    document = decode(body(later=[{"id": 1, "x": 1.5}]), LAYOUT)
    again = decode(encode(replace(document, version=6), LAYOUT), LAYOUT)
    assert again.unknown == {"later": [{"id": 1, "x": 1.5}]}


def old_body(**changes: Any) -> bytes:
    """The state's bytes as a release of schema 1 wrote them."""
    raw = json.loads(body())
    for name in ("body_sha256", "audit", "imported", "replace_window"):
        del raw[name]
    del raw["rows"]["override"]
    raw |= {"schema": 1, "min_reader": 1} | changes
    return dumps(raw | {"body_sha256": digest(raw)}).encode()


def test_a_state_of_the_schema_before_is_read_and_written_anew() -> None:
    document = decode(old_body(later=5), LAYOUT)
    assert document == Document(STATE, 5, "01W", {"later": 5})
    raw = json.loads(encode(document, LAYOUT))
    assert (raw["schema"], raw["min_reader"], raw["audit"]) == (2, 2, [])
    window = {"lo": "1", "hi": "2", "open_lo": True}
    assert decode(old_body(replace_window=window), LAYOUT).state.replace_window == Window(
        "1", "2", open_lo=True
    )
    assert "State.rows is not an object" in refused(old_body(rows=5))


def test_any_changed_byte_is_noticed() -> None:
    whole = body()
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(DataError):
            decode(damaged, LAYOUT)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "Expecting value"),
        (b"[]", "not an object"),
        (b"\xff", "can't decode"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": NaN}', "NaN is not JSON"),
        (b'{"a": {"b": 1, "b": 1}}', "occurs twice"),
        (b" " * (LARGEST + 1), "more than"),
        (b"{}", "format is not"),
        (body(format="s3rs-batch"), "format is not"),
        (body(version=0), "version is not"),
        (body(version=True), "version is not"),
        (body(version=1.0), "version is not"),
        (body(min_reader="1"), "min_reader is not"),
        (body(write_id=""), "write_id is not"),
        (body(write_id=5), "write_id is not"),
        (body().replace(b'"rows":7', b'"rows":8'), "body_sha256"),
        (body(epoch="1"), "State.epoch is not of type int"),
        (body(replace_pending=0), "State.replace_pending is not of type bool"),
        (body(claim={}), "State.claim has missing or unknown fields"),
        (body(claim=[]), "State.claim is not an object"),
        (body(pending={}), "State.pending is not a list"),
        (
            body(rows={"extracted": 1, "loaded": 1, "override": None, "more": 1}),
            "unknown fields: more",
        ),
        (body(position={"cursor": 1, "key": None, "nulls": None}), "State.position.cursor"),
        (body(epoch=-1), "out of range"),
        (body(generation=0), "out of range"),
        (body(next_seq=0), "out of range"),
        (body(rows={"extracted": 1, "loaded": -1, "override": None}), "below nought"),
        (body(next_seq=4), "does not end at last_batch"),
        (body(last_batch=A), "does not end at last_batch"),
    ],
)
def test_what_is_wrong_is_named_and_stops_the_table(raw: bytes, reason: str) -> None:
    assert reason in refused(raw)


def test_a_missing_field_stops_the_table() -> None:
    raw = json.loads(body())
    del raw["epoch"], raw["body_sha256"]
    assert "epoch" in refused(dumps(raw | {"body_sha256": digest(raw)}).encode())


@pytest.mark.parametrize("newer", [{"schema": 3}, {"min_reader": 3}])
def test_a_newer_release_s_state_is_left_alone(newer: dict[str, int]) -> None:
    assert "newer release" in refused(body(**newer))


@pytest.mark.parametrize(
    "chain",
    [
        (pending(1, A, ""), pending(2, B, "")),
        (pending(0, A, ""), pending(2, B, A)),
        (replace(pending(1, A, ""), manifest="data/batch.json"), pending(2, B, A)),
        (replace(pending(1, A, ""), manifest=pending(2, B, A).manifest), pending(2, B, A)),
        (
            replace(pending(1, A, ""), manifest=LAYOUT.part(Attempt(1, 1, 1, A), 0)),
            pending(2, B, A),
        ),
    ],
)
def test_a_broken_chain_is_neither_read_nor_written(chain: tuple[Pending, ...]) -> None:
    raw = [json.loads(dumps(item)) for item in _plain(chain)]
    refused(body(pending=raw))
    with pytest.raises(DataError):
        encode(Document(replace(STATE, pending=chain), 1, "w"), LAYOUT)


def test_a_state_too_large_to_be_read_is_not_written() -> None:
    with pytest.raises(DataError, match="more than"):
        encode(Document(replace(STATE, last_failure="x" * LARGEST), 1, "w"), LAYOUT)


def test_no_count_below_nought_is_written() -> None:
    with pytest.raises(DataError, match="below nought"):
        encode(Document(replace(STATE, rows=RowCounts(-1, 0)), 1, "w"), LAYOUT)


def test_a_position_has_one_text() -> None:
    text = '{"cursor":"2026-11-22","key":["1","x"],"nulls":null}'
    assert write_position(STATE.position) == text
    assert read_position(text) == STATE.position
    assert write_position(None) == "null"
    assert read_position("null") is None
    with pytest.raises(DataError):
        read_position('{"cursor":1}')


def _plain(chain: tuple[Pending, ...]) -> list[dict[str, Any]]:
    names = ("seq", "batch", "parent", "manifest", "sha256", "rows", "session")
    return [{name: getattr(item, name) for name in names} for item in chain]
