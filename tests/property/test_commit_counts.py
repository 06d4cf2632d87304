"""A count that is told twice counts once, whatever was told and loaded between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.commit import State
from s3rs_async.commit.counts import CountMode, with_count
from s3rs_async.commit.overrides import Edit
from tests.property.commit_world import BIRTH
from tests.property.examples import thorough


@dataclass(frozen=True)
class Told:
    """One call of the command, which may come any number of times."""

    number: int
    mode: CountMode
    count: int
    session: str

    def to(self, state: State) -> State:
        edit = Edit(f"edit {self.number}", "now", "someone", "count")
        return with_count(state, self.count, self.mode, edit, self.session)


def some(chance: Random, number: int) -> Told:
    mode = chance.choice([*CountMode])
    return Told(number, mode, chance.randrange(1000), chance.choice("abc"))


def loaded(state: State, rows: int) -> State:
    return replace(state, rows=replace(state.rows, loaded=state.rows.loaded + rows))


def expected(acts: Iterable[Told | int]) -> int:
    """The count as a person would keep it on paper: rows loaded are on top of what was told."""
    base, sessions = 0, dict[str, int]()
    for act in acts:
        if isinstance(act, int):
            base += act
        elif act.mode is CountMode.ABSOLUTE:
            base, sessions = act.count, {}
        elif act.mode is CountMode.ADDITIVE:
            base += act.count
        else:
            sessions[act.session] = act.count
    return base + sum(sessions.values())


@thorough
@given(seed=st.integers(0, 2**32), length=st.integers(1, 20))
def test_a_count_told_again_changes_nothing(seed: int, length: int) -> None:
    chance, state = Random(seed), BIRTH
    acts: list[Told | int] = []
    for number in range(length):
        act = chance.choice((some(chance, number), chance.randrange(100)))
        state = loaded(state, act) if isinstance(act, int) else act.to(state)
        acts.append(act)
        told = [each for each in acts if isinstance(each, Told)]
        for again in chance.choices(told, k=2) if told else []:
            assert again.to(state) == state
        assert state.rows.counted == expected(acts)
