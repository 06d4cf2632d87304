"""Comparing, without servers: what differs, how long ranges are, how long texts may be."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.canon import Cell, Form, grouped
from s3rs_async.verify.finding import (
    Kind,
    SourceRow,
    Tally,
    differences,
    not_due,
    unequal_buckets,
)
from s3rs_async.verify.stretch import Pace

KEYS = st.integers(0, 9).map(lambda number: (str(number),))
DIGESTS = st.integers(0, 3)
SOURCE = st.dictionaries(KEYS, st.builds(SourceRow, DIGESTS, st.booleans()))
TARGET = st.dictionaries(KEYS, st.lists(DIGESTS, min_size=1, max_size=3))


def test_each_kind_is_told() -> None:
    source = {(key,): SourceRow(1, due=True) for key in "abcd"}
    target = {("a",): [1], ("b",): [2], ("c",): [1, 1], ("e",): [1]}

    assert dict(differences(source, target, versions=False)) == {
        ("b",): Kind.STALE,
        ("c",): Kind.DOUBLED,
        ("d",): Kind.MISSING,
        ("e",): Kind.EXTRA,
    }
    assert ("c",) not in dict(differences(source, target, versions=True))


@given(SOURCE, TARGET, st.booleans())
def test_no_key_is_told_that_is_equal_or_not_due_and_no_other_is_left_out(
    source: dict[tuple[str, ...], SourceRow],
    target: dict[tuple[str, ...], list[int]],
    versions: bool,
) -> None:
    told = dict(differences(source, target, versions=versions))

    for key in source.keys() | target.keys():
        row, held = source.get(key), target.get(key, [])
        equal = row is not None and row.digest in held and (versions or len(held) == 1)
        waits = row is not None and not row.due and row.digest not in held
        assert (key in told) == (not equal and not waits), (key, row, held)
    assert not_due(source, target) == sum(
        not row.due and row.digest not in target.get(key, []) for key, row in source.items()
    )


@given(
    st.lists(st.tuples(st.integers(0, 4), DIGESTS)), st.lists(st.tuples(st.integers(0, 4), DIGESTS))
)
def test_a_bucket_is_equal_if_it_has_as_many_rows_and_the_same_sum(
    ours: list[tuple[int, int]], theirs: list[tuple[int, int]]
) -> None:
    sides = []
    for rows in (ours, theirs):
        side: dict[int, Tally] = {}
        for bucket, digest in rows:
            side[bucket] = side.get(bucket, Tally()) + Tally(1, digest)
        sides.append(side)

    unequal = set(unequal_buckets(*sides))

    for bucket in range(5):
        mine, other = ([d for b, d in rows if b == bucket] for rows in (ours, theirs))
        assert (bucket in unequal) == ((len(mine), sum(mine)) != (len(other), sum(other)))


def test_a_row_that_is_there_twice_is_not_added_away() -> None:
    once, twice = Tally(1, 5), Tally(1, 5) + Tally(1, 5)
    assert unequal_buckets({1: once}, {1: twice}) == [1]
    assert twice == Tally(2, 10)


def test_ranges_grow_while_they_are_fast_and_shrink_while_they_are_slow() -> None:
    pace = Pace()
    lengths = []
    for seconds in (0.1, 1.9, 3.0, 5.9, 7.0, *[0.1] * 9):
        pace.took(seconds)
        lengths.append(pace.rows)
    assert lengths[:5] == [500_000, 1_000_000, 1_000_000, 1_000_000, 500_000]
    assert lengths[-1] == 4_000_000
    for _ in range(20):
        pace.took(60.0)
    assert pace.rows >= 10_000


@given(
    st.lists(st.builds(Cell, st.just("c"), st.sampled_from(Form), octets=st.integers(1, 65_535)))
)
def test_texts_that_are_joined_are_never_longer_than_redshift_takes(cells: list[Cell]) -> None:
    groups = list(grouped(cells))

    assert [cell for group in groups for cell in group] == cells
    assert all(sum(cell.width for cell in group) <= 65_535 for group in groups)
    assert Counter(map(bool, groups)).keys() <= {True}
