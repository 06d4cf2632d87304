from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.commit import (
    Audit,
    Claim,
    Counted,
    Loaded,
    Override,
    Pending,
    RowCounts,
    State,
    moves_on,
)
from s3rs_async.errors import DataError
from s3rs_async.model import Position, TableName, Window
from s3rs_async.s3.layout import Attempt, Layout, copy_manifest_of, encode_name, tkey
from s3rs_async.s3.position import read_position, write_position
from s3rs_async.s3.state import Document, decode, encode

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))

texts = st.text(max_size=12)
maybe = st.none() | texts
counts = st.integers(0, 2**63)
ulids = st.text(string.ascii_uppercase + string.digits, min_size=26, max_size=26)
keys = st.none() | st.lists(texts, max_size=3).map(tuple)
positions = st.builds(Position, cursor=maybe, key=keys, nulls=keys)
attempts = st.builds(Attempt, counts, counts, counts, ulids)
counted = st.lists(st.builds(Counted, texts, counts), max_size=2).map(tuple)
overrides = st.builds(Override, counts, counts, counted)
audits = st.builds(Audit, *(texts for _ in range(6)))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def states(draw: st.DrawFn) -> State:
    first = draw(st.integers(1, 10**12))
    chain = draw(st.lists(ulids, max_size=5, unique=True))
    parent = draw(st.just("") | ulids)
    pending = []
    for number, batch in enumerate(chain):
        attempt = Attempt(1, draw(counts), first + number, batch)
        at = LAYOUT.manifest(attempt)
        pending.append(
            Pending(attempt.seq, batch, parent, at, draw(texts), draw(counts), draw(texts))
        )
        parent = batch
    return State(
        *(draw(texts) for _ in range(4)),
        epoch=draw(counts),
        claim=draw(
            st.none() | st.builds(Claim, texts, texts, texts, counts, texts, released=st.booleans())
        ),
        generation=draw(st.integers(1, 10**9)),
        replace_pending=draw(st.booleans()),
        next_seq=first + len(chain),
        last_batch=parent,
        position=draw(st.none() | positions),
        last_mysql_data_timestamp=draw(maybe),
        last_mysql_extraction_time=draw(maybe),
        pending=tuple(pending),
        loaded=draw(st.none() | st.builds(Loaded, texts, counts, counts, texts)),
        rows=draw(st.builds(RowCounts, counts, counts, st.none() | overrides)),
        last_failure=draw(maybe),
        backup_strategy=draw(texts),
        stop=draw(maybe),
        replace_window=draw(st.none() | st.builds(Window, maybe, texts, st.booleans())),
        imported=draw(st.booleans()),
        audit=tuple(draw(st.lists(audits, max_size=3))),
    )


own = set(State.__slots__) | {
    "format", "schema", "min_reader", "version", "write_id", "body_sha256",
}  # fmt: skip
unknown = st.dictionaries(texts.filter(lambda name: name not in own), json_values, max_size=3)
documents = st.builds(Document, states(), st.integers(1, 2**53), ulids, unknown)


@settings(max_examples=200)
@given(documents)
def test_a_state_is_read_as_it_was_written(document: Document) -> None:
    body = encode(document, LAYOUT)
    assert decode(body, LAYOUT) == document
    assert encode(decode(body, LAYOUT), LAYOUT) == body


@given(st.binary(max_size=64) | json_values.map(lambda value: str(value).encode()))
def test_anything_else_is_refused_in_our_own_words(body: bytes) -> None:
    with pytest.raises(DataError):
        decode(body, LAYOUT)


@given(documents, st.data())
def test_a_state_cut_or_changed_anywhere_is_refused(
    document: Document, data: st.DataObject
) -> None:
    body = encode(document, LAYOUT)
    at = data.draw(st.integers(0, len(body) - 1))
    flip = data.draw(st.integers(1, 255))
    for damaged in (body[:at], body[:at] + bytes([body[at] ^ flip]) + body[at + 1 :]):
        with pytest.raises(DataError):
            decode(damaged, LAYOUT)


@given(positions | st.none())
def test_a_position_is_read_as_it_was_written(position: Position | None) -> None:
    assert read_position(write_position(position)) == position


names = st.text(max_size=80) | st.text("aA%./_-\\", max_size=8)


@settings(max_examples=500)
@given(names, names)
def test_two_names_never_share_a_path_even_where_case_is_folded(one: str, two: str) -> None:
    first, second = encode_name(one), encode_name(two)
    assert (first.casefold() == second.casefold()) == (one == two)
    for encoded in (first, second):
        assert set(encoded) <= set(string.ascii_letters + string.digits + "_-%.")
        assert encoded.count(".") == 1
        assert len(encoded) <= 173


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_two_tables_never_share_a_path(
    one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    first, second = (tkey(c, TableName(s, t)) for c, s, t in (one, two))
    assert (first == second) == (one == two)
    assert first.count("/") == 2
    assert not first.startswith(second + "/")


@given(attempts, st.integers(0, 10**6))
def test_a_data_key_says_what_it_belongs_to(attempt: Attempt, number: int) -> None:
    part = LAYOUT.parse(LAYOUT.part(attempt, number))
    assert part is not None
    assert (part.attempt, part.part) == (attempt, number)
    for key in (LAYOUT.manifest(attempt), copy_manifest_of(LAYOUT.manifest(attempt))):
        found = LAYOUT.parse(key)
        assert found is not None
        assert (found.attempt, found.part) == (attempt, None)


@given(st.integers(), st.integers())
def test_numbers_move_on_as_numbers_do(one: int, two: int) -> None:
    assert moves_on(Position(str(one)), Position(str(two))) == (one < two)


@given(st.datetimes(), st.datetimes())
def test_times_move_on_as_times_do(one: Any, two: Any) -> None:
    before, after = (Position(moment.isoformat(" ", "microseconds")) for moment in (one, two))
    assert moves_on(before, after) == (one < two)


@given(st.none() | positions, st.none() | positions)
def test_no_two_positions_each_move_on_to_the_other_unless_one_cursor_holds_both(
    one: Position | None, two: Position | None
) -> None:
    if moves_on(one, two) and moves_on(two, one):
        assert one is not None
        assert two is not None
        assert one.cursor == two.cursor
    assert not moves_on(one, one)
