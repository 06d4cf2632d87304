"""The walk in lanes finds what the plain walk finds, whatever the bytes are."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3rs_async.mysql import lanes

BODY = st.integers(1, 400)


def packets(lengths: list[int], sequence: int, seed: int) -> bytearray:
    chance = np.random.default_rng(seed)
    out = bytearray()
    for number, length in enumerate(lengths):
        # Bytes that look like headers are likely, so that guesses go wrong.
        body = chance.choice([0, 0, 1, 2, 5, 251, 254, 255], size=length).astype(np.uint8)
        body[0] = chance.integers(0, 252)
        out += length.to_bytes(3, "little") + bytes([(sequence + number) & 255]) + body.tobytes()
    return out


def same(data: bytearray, at: int, sequence: int, lengths: list[int]) -> bool:
    plain = lanes.walk_plainly(data, at, sequence)
    found = lanes.walk_in_lanes(data, at, sequence, np.array(lengths, np.int64))
    if found is None:
        return False
    assert found[:2] == plain[:2]
    assert np.array_equal(found[2], plain[2])
    return True


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(BODY, min_size=800, max_size=2500),
    sequence=st.integers(0, 255),
    seed=st.integers(0, 1000),
    cut=st.integers(0, 500),
    flaw=st.one_of(st.none(), st.tuples(st.integers(0, 1 << 20), st.integers(0, 255))),
)
@example(lengths=[9] * 1000, sequence=250, seed=1, cut=0, flaw=None)
@example(lengths=[1] * 2000, sequence=250, seed=1, cut=3, flaw=None)
def test_lanes_equal_the_plain_walk_or_give_up(
    lengths: list[int], sequence: int, seed: int, cut: int, flaw: tuple[int, int] | None
) -> None:
    data = packets(lengths, sequence, seed)
    if flaw is not None:
        data[flaw[0] % len(data)] = flaw[1]
    del data[len(data) - cut :]
    same(data, 0, sequence, lengths[:64])


def test_lanes_do_not_give_up_on_ordinary_rows() -> None:
    chance = np.random.default_rng(7)
    lengths = [int(n) for n in chance.integers(40, 90, size=20_000)]
    data = packets(lengths, 3, 5)
    assert same(data, 0, 3, lengths[:64])
    found = lanes.walk(data, 0, 3)
    assert found[0] == len(data)
    assert len(found[2]) == 20_000


def test_lanes_do_not_give_up_on_rows_of_very_different_lengths() -> None:
    chance = np.random.default_rng(11)
    lengths = [int(n) for n in chance.integers(20, 700, size=8_000)]
    assert same(packets(lengths, 9, 6), 0, 9, lengths[:64])


def test_an_end_or_an_error_among_the_rows_stops_the_walk() -> None:
    for first, length in ((0xFE, 5), (0xFF, 60), (0x00, 0)):
        data = packets([60] * 9000, 0, 1)
        at = 64 * 7000
        data[at : at + 3] = length.to_bytes(3, "little")
        data[at + 4] = first
        assert lanes.walk(data, 0, 0)[0] == at


def test_a_row_that_begins_with_the_end_marker_and_is_long_is_a_row() -> None:
    data = packets([60] * 9000, 0, 1)
    data[64 * 7000 + 4] = 0xFE
    assert lanes.walk(data, 0, 0)[0] == len(data)
