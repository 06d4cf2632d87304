"""Which batches a replay takes and as what; by examples, and by playing windows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.commit import MAX_PENDING, Pending
from s3rs_async.commit.replay import (
    Copy,
    beginning,
    check_replay,
    goes_on,
    is_enough,
    replayed,
    turned,
    without_twins,
)
from s3rs_async.errors import ConfigError, ConflictError, DataError, FencedError
from s3rs_async.model import Bound, Manifest, Mode, Part, Position, Proof, Window
from tests.unit.test_commit import MANIFEST
from tests.unit.test_commit import STATE as BARE

STATE = replace(
    BARE,
    epoch=4,
    next_seq=9,
    last_batch="C",
    position=Position("2026-11-10"),
    backup_strategy="manual_cli",
)


def batch(
    name: str,
    hi: str | None,
    *,
    mode: Mode = Mode.MERGE,
    before: Position | None = None,
    after: Position | None = None,
    rows: int = 3,
    key_to: str | None = None,
) -> Manifest:
    return replace(
        MANIFEST,
        batch=name,
        bound=Bound(hi, Proof.PROVEN, "2026-11-22T10:00:00", key_to=key_to),
        mode=mode,
        before=before,
        after=after,
        extracted_at=f"at {name}",
        parts=(Part(f"{name}/1", 10, "e", rows),),
    )


def at(cursor: str | None, key: str | None = None, nulls: str | None = None) -> Position:
    return Position(cursor, (key,) if key else None, (nulls,) if nulls else None)


def entered(chain: Sequence[Manifest], parent: str = "C") -> list[Copy]:
    copies = []
    for found in chain:
        made = replace(found, batch=f"{found.batch}'", parent=parent)
        copies.append(Copy(made, f"data/{made.batch}", "5a"))
        parent = made.batch
    return copies


def test_the_walk_goes_back_over_what_was_extracted_after_the_date() -> None:
    assert goes_on([], batch("C", "2026-11-11"), STATE, anew=False)
    assert not goes_on([], batch("B", "2026-11-10"), STATE, anew=False)
    assert goes_on([], batch("A", None), STATE, anew=False)
    for nowhere in (None, Position(), at(None, nulls="7")):
        state = replace(STATE, position=nowhere)
        assert goes_on([], batch("B", "2026-11-01"), state, anew=False)


def test_ids_have_no_date_but_a_greatest_one() -> None:
    state = replace(STATE, position=at(None, "100"))
    assert goes_on([], batch("C", None, key_to="200"), state, anew=False)
    assert not goes_on([], batch("C", None, key_to="99"), state, anew=False)


def test_what_replaced_everything_ends_the_walk() -> None:
    whole = batch("C", "2026-11-12", mode=Mode.REPLACE)
    assert goes_on([], whole, STATE, anew=False)
    assert not goes_on([whole], batch("B", "2026-11-12"), STATE, anew=False)
    assert is_enough([whole], STATE)


def test_a_new_generation_leaves_no_pending_batch_behind() -> None:
    waits = Pending(8, "B", "A", "data/B", "5a", 3, "run")
    state = replace(STATE, pending=(waits,))
    early = batch("B", "2026-11-09")
    assert goes_on([], early, state, anew=True)
    assert not goes_on([], early, state, anew=False)
    assert not goes_on([], replace(early, batch="A"), state, anew=True)


def test_an_append_is_taken_from_where_its_first_cursor_begins() -> None:
    inside = batch("C", "2026-11-11", mode=Mode.APPEND, before=at("2026-11-09", "7"))
    clean = replace(inside, before=at("2026-11-09"))
    early = batch("B", "2026-11-09")
    assert goes_on([inside], early, STATE, anew=False)
    assert not goes_on([clean], early, STATE, anew=False)
    assert not goes_on([replace(inside, mode=Mode.MERGE)], early, STATE, anew=False)


def test_what_is_gone_matters_only_where_it_reaches_beyond_the_date() -> None:
    inside = batch("C", "2026-11-11", mode=Mode.APPEND, before=at("2026-11-09", "7"))
    assert not is_enough([], STATE)
    assert not is_enough([inside], STATE)
    assert is_enough([replace(inside, mode=Mode.MERGE)], STATE)
    assert is_enough([replace(inside, before=at("2026-11-10"))], STATE)
    assert not is_enough([replace(inside, before=at("2026-11-10T01"))], STATE)
    assert not is_enough([replace(inside, before=None)], STATE)
    assert not is_enough([replace(inside, before=at("1"))], replace(STATE, position=None))


def test_of_an_extraction_that_was_replayed_before_the_copy_is_taken() -> None:
    first, second, third = batch("A", "1"), batch("B", "2"), batch("X", "3")
    again = replace(second, batch="B'", parent="B")
    taken = [third, again, second, first]
    assert [found.batch for found in without_twins(taken)] == ["A", "B'", "X"]


def test_a_target_that_holds_nothing_has_nothing_to_delete_first() -> None:
    gone, come = batch("D", None, mode=Mode.DELETE), batch("A", "2026-11-12")

    assert beginning([gone, come, gone]) == [come, gone]


def test_a_merge_is_done_again_as_it_was_and_nothing_moves_the_watermark() -> None:
    chain = [batch("A", "1", before=None, after=at("1")), batch("B", "2", after=at("2"))]
    made = turned(chain, STATE, anew=False)
    assert [(m.seq, m.epoch, m.generation, m.mode) for m in made] == [
        (9, 4, 1, Mode.MERGE),
        (10, 4, 1, Mode.MERGE),
    ]
    assert not any(m.moves_watermark for m in made)
    assert [m.after for m in made] == [at("1"), at("2")], "the ledger knows what it holds"

    state = replayed(STATE, entered(made), STATE.position)

    assert state.position == STATE.position
    assert state.rows == STATE.rows
    assert (state.last_batch, state.next_seq, state.generation) == ("B'", 11, 1)
    assert [p.batch for p in state.pending] == ["A'", "B'"]
    assert state.backup_strategy == "sequential"
    assert replayed(state, entered(made), STATE.position) is state


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE_WINDOW])
def test_an_append_becomes_the_window_that_it_has_read(mode: Mode) -> None:
    chain = [
        batch("A", "1", mode=mode, before=None, after=at("3", "7")),
        batch("B", "2", mode=mode, before=at("3", "7"), after=at("5")),
        batch("C", "3", mode=mode, before=at("6"), after=at("8", "1")),
    ]
    assert [(m.mode, m.window) for m in turned(chain, STATE, anew=False)] == [
        (Mode.REPLACE_WINDOW, Window(None, "3")),
        (Mode.REPLACE_WINDOW, Window("3", "5", open_lo=True)),
        (Mode.REPLACE_WINDOW, Window("6", "8")),
    ]


def test_a_lost_target_is_replaced_by_the_first_and_what_was_pending_is_among_the_copies() -> None:
    waits = Pending(8, "C", "B", "data/C", "5a", 3, "run")
    state = replace(STATE, pending=(waits,))
    chain = [
        batch("A", "1", mode=Mode.APPEND, before=at("1", "7"), after=at("3")),
        batch("B", "2", mode=Mode.APPEND, before=at("3"), after=at("5")),
    ]
    made = turned(chain, state, anew=True)
    assert [(m.mode, m.window, m.generation, m.merge_key) for m in made] == [
        (Mode.REPLACE, None, 2, ()),
        (Mode.REPLACE_WINDOW, Window("3", "5"), 2, ("id",)),
    ]
    (merged,) = turned([batch("A", "1")], state, anew=True)
    assert (merged.mode, merged.merge_key) == (Mode.REPLACE, ("id",))

    after = replayed(state, entered(made), state.position)
    assert after.generation == 2
    assert [p.batch for p in after.pending] == ["A'", "B'"]
    kept = replayed(state, entered(turned(chain[1:], state, anew=False)), state.position)
    assert [p.batch for p in kept.pending] == ["C", "B'"]


@pytest.mark.parametrize(
    "refused",
    [
        batch("B", "2", mode=Mode.APPEND, before=at("3", nulls="1"), after=at("5", nulls="2")),
        batch("B", "2", mode=Mode.APPEND, before=at("3"), after=at(None, nulls="2")),
        batch("B", "2", mode=Mode.APPEND, before=at("3"), after=None),
        batch("B", "2", mode=Mode.APPEND, before=at("3", "7"), after=at("5")),
        replace(batch("B", "2", mode=Mode.APPEND, after=at("5")), cursor=None),
    ],
)
def test_an_append_that_has_no_window_is_refused(refused: Manifest) -> None:
    other = batch("A", "1", mode=Mode.APPEND, before=None, after=at("2"))
    for chain in ([refused], [other, refused]):
        with pytest.raises(DataError, match="there twice") as failure:
            turned(chain, STATE, anew=False)
        assert failure.value.context["batch"] == "B"


MADE = entered(turned([batch("A", "1")], STATE, anew=False))


@pytest.mark.parametrize(
    ("moved", "error"),
    [
        ({"epoch": 5}, FencedError),
        ({"last_batch": "D"}, ConflictError),
        ({"next_seq": 10}, ConflictError),
        ({"generation": 2}, ConflictError),
        ({"generation": 0}, ConflictError),
        ({"position": None}, ConflictError),
        ({"backup_strategy": "sequential"}, ConflictError),
        ({"replace_pending": True}, ConfigError),
        ({"stop": "diverged"}, DataError),
    ],
)
def test_a_replay_enters_only_the_state_that_it_was_made_for(
    moved: dict[str, object], error: type[Exception]
) -> None:
    if moved == {"generation": 0}:  # one more than the copies' would be a new one: two is not
        moved = {"generation": -1}
    with pytest.raises(error):
        replayed(replace(STATE, **moved), MADE, STATE.position)  # type: ignore[arg-type]


def test_a_replay_is_no_larger_than_the_state_may_be() -> None:
    waits = Pending(8, "B", "A", "data/B", "5a", 3, "run")
    full = replace(STATE, pending=(waits,) * MAX_PENDING)
    with pytest.raises(DataError, match="too many"):
        replayed(full, MADE, STATE.position)
    check_replay(full)
    anew = entered(turned([batch("A", "1")], full, anew=True))
    assert len(replayed(full, anew, full.position).pending) == 1


@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=8),
    since=st.integers(0, 10),
)
def test_an_append_target_holds_each_row_once_after_a_replay(
    steps: list[tuple[int, int]], since: int
) -> None:
    """Rows are (cursor, key); a pass ends inside a cursor (key k) or at one (none of it read)."""
    everything = {(f"{cursor:02}", key) for cursor in range(30) for key in range(4)}
    position: tuple[int, int | None] = (0, None)
    chain: list[tuple[Manifest, set[tuple[str, int]]]] = []
    for forward, key in steps:
        cursor = position[0] + forward
        after = (cursor, key if key < 3 else None)
        if _place(after) <= _place(position):
            continue
        rows = {r for r in everything if _place(position) < (r[0], r[1]) <= _place(after)}
        made = batch(
            f"B{len(chain)}",
            f"{cursor:02}~",
            mode=Mode.APPEND,
            before=_position(position) if chain else None,
            after=_position(after),
            rows=len(rows),
        )
        chain.append((made, rows))
        position = after
    if not chain:
        return
    held = [row for _, rows in chain for row in sorted(rows)]
    state = replace(STATE, position=Position(f"{since:02}"))
    taken: list[Manifest] = []
    for made, _ in reversed(chain):
        if not goes_on(taken, made, state, anew=False):
            break
        taken.append(made)
    rows_of = {made.batch: rows for made, rows in chain}

    for follows in turned(without_twins(taken), state, anew=False):
        assert follows.window is not None
        held = [row for row in held if not _is_in(follows.window, row[0])]
        held += sorted(rows_of[follows.batch])

    assert sorted(held) == sorted({row for rows in rows_of.values() for row in rows})
    assert all(
        one.seq + 1 == two.seq for one, two in pairwise(turned(taken[::-1], state, anew=False))
    )


def _place(at: tuple[int, int | None]) -> tuple[str, int]:
    """Below every key where none of the cursor was read."""
    return (f"{at[0]:02}", -1 if at[1] is None else at[1])


def _position(at: tuple[int, int | None]) -> Position:
    return Position(f"{at[0]:02}", None if at[1] is None else (str(at[1]),))


def _is_in(window: Window, cursor: str) -> bool:
    low = window.lo is None or (cursor > window.lo if window.open_lo else cursor >= window.lo)
    return low and cursor <= window.hi
