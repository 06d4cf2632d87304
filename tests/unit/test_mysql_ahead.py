"""How many connections there is room for, and how long their pages are."""

from __future__ import annotations

import pytest

from s3rs_async.mysql.ahead import Length, Room
from s3rs_async.staging import MIB, share


@pytest.mark.parametrize(
    ("memory", "tables", "wanted", "given"),
    [(32, 1, 16, 1), (512, 4, 16, 4), (512, 1, 16, 16), (512, 4, 2, 2), (512, 4, 1, 1)],
)
def test_connections_and_what_waits_for_them_fit_into_their_memory(
    memory: int, tables: int, wanted: int, given: int
) -> None:
    ahead = share(memory * MIB, tables).ahead

    room = Room.within(ahead, wanted)

    assert room.connections == given
    assert room.connections * 4 * MIB + room.size <= ahead


def test_pages_become_as_long_as_their_part_of_the_room() -> None:
    length = Length(Room(4, 64 * MIB), None)
    length.learn(1000, 100_000)
    assert length.rows == 16 * MIB // 100
    length.learn(10, 10 * MIB)
    assert length.rows == 1000
    length.learn(0, 0)
    assert length.rows == 1000


def test_a_length_that_is_given_stays() -> None:
    length = Length(Room(4, 64 * MIB), 137)
    length.learn(1000, 100_000)
    assert length.rows == 137
