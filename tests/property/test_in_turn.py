"""Items of producers side by side come out turn by turn, within a bound, and nobody waits for ever.

Producers take turns as they get to them, as the connections that read a table do, and pause as
they are told, and the loop runs what is ready in the order that a seed gives. Its time is virtual:
who waits for ever fails at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.flow import InTurn, Turn, together
from tests.simulation.calm import alone

Sizes = list[list[tuple[int, int]]]
TURNS = st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=6), max_size=9)


@dataclass
class Work:
    """Turns of items, each with its size and the pause before it."""

    turns: Sizes
    channel: InTurn[tuple[int, int]]
    taken: int = 0
    closed: bool = False

    async def produce(self) -> None:
        while self.taken < len(self.turns):
            number, self.taken = self.taken, self.taken + 1
            turn: Turn[tuple[int, int]] = self.channel.open()
            for index, (size, pause) in enumerate(self.turns[number]):
                await asyncio.sleep(pause)
                await self.channel.put(turn, (number, index), size)
            await self.channel.end(turn)
        if not self.closed:
            self.closed = True
            await self.channel.close()


async def told(work: Work, producers: int, pauses: list[int]) -> list[tuple[int, int]]:
    """All items as the consumer gets them, which now and then is slow."""
    found: list[tuple[int, int]] = []
    largest = max((size for turn in work.turns for size, _ in turn), default=0)
    async with together() as tasks:
        for _ in range(producers):
            tasks.create_task(work.produce())
        while (item := await work.channel.get()) is not None:
            assert 0 <= work.channel.held <= work.channel.limit + largest
            found.append(item)
            await asyncio.sleep(pauses[len(found) % len(pauses)])
    return found


@settings(max_examples=100, deadline=None)
@given(
    turns=TURNS,
    limit=st.integers(1, 60),
    producers=st.integers(1, 5),
    pauses=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_items_come_out_turn_by_turn_and_within_the_bound(
    turns: Sizes, limit: int, producers: int, pauses: list[int], seed: int
) -> None:
    work = Work(turns, InTurn(limit))

    found = alone(lambda _: told(work, producers, pauses), seed)

    assert found == [(n, index) for n, turn in enumerate(turns) for index in range(len(turn))]
    assert work.channel.held == 0
