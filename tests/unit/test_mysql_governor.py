"""How much is read a second, and when a source is spared."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async import clock
from s3rs_async.config import LimitsConfig
from s3rs_async.mysql.governor import SPARED_SECONDS, Governor, Load, Rate

BUSY = Load(threads_running=9)


def governor(**limits: int) -> Governor:
    return Governor("shop", LimitsConfig(**limits))  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 500)), max_size=50),
    st.floats(1, 1000),
)
def test_never_more_is_taken_than_the_rate_and_what_may_come_at_once(
    steps: list[tuple[float, int]], per_second: float
) -> None:
    rate, now, taken = Rate(per_second), 1000.0, 0.0
    begun = now
    for pause, amount in steps:
        now += pause
        taken += amount
        now += rate.taken(amount, now)
        assert taken <= per_second * (now - begun + 1.0) * (1 + 1e-9) + 1e-6


def test_who_takes_less_does_not_wait() -> None:
    rate = Rate(100)

    waits = [rate.taken(50, now) for now in (10.0, 10.5, 11.0, 11.5)]

    assert waits == [0.0, 0.0, 0.0, 0.0]


async def test_tables_share_the_rate() -> None:
    ours = governor(rows_per_second=100)
    begun = clock.seconds()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(_takes(ours, rows=300))

    assert clock.seconds() - begun == pytest.approx(5.0)


async def test_bytes_count_as_rows_do() -> None:
    ours = governor(bytes_per_second=1000)
    begun = clock.seconds()

    await ours.took(1, 4000)

    assert clock.seconds() - begun == pytest.approx(3.0)


async def _takes(ours: Governor, rows: int) -> None:
    for _ in range(rows // 10):
        await ours.took(10, 0)


async def test_so_many_connections_read_at_once_and_no_more() -> None:
    ours, reading, most = governor(connections=2), 0, 0

    async def reads() -> None:
        nonlocal reading, most
        async with ours.place():
            reading += 1
            most = max(most, reading)
            await asyncio.sleep(1)
            reading -= 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(reads())

    assert most == 2


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (Load(), ""),
        (Load(threads_running=8, history_length=100, replica_lag=5.0), ""),
        (Load(threads_running=9), "threads_running 9 of 8"),
        (Load(history_length=101), "history_length 101 of 100"),
        (Load(replica_lag=float("inf")), "replica_lag inf of 5"),
        (
            Load(9, 101, 6.0),
            "threads_running 9 of 8, history_length 101 of 100, replica_lag 6 of 5",
        ),
    ],
)
def test_a_load_is_too_much_beyond_its_limit(load: Load, reason: str) -> None:
    limits = LimitsConfig(threads_running=8, history_length=100, replica_lag=5)

    assert load.beyond(limits) == reason
    assert not load.beyond(LimitsConfig())


async def test_a_source_that_is_busy_for_a_while_is_not_asked_meanwhile() -> None:
    ours = governor(threads_running=8)
    ours.seen(BUSY)
    begun = clock.seconds()
    asyncio.get_running_loop().call_later(7, ours.seen, Load(threads_running=8))

    await ours.spared()

    assert clock.seconds() - begun == pytest.approx(7.0)


async def test_a_source_that_is_always_busy_is_read_slowly() -> None:
    ours = governor(threads_running=8)
    ours.seen(BUSY)
    begun = clock.seconds()

    await ours.spared()
    await ours.spared()

    assert clock.seconds() - begun == pytest.approx(2 * SPARED_SECONDS)


async def test_what_nobody_looks_at_any_more_holds_nobody_back() -> None:
    ours = governor(threads_running=8)
    ours.seen(BUSY)
    ours.unseen()
    begun = clock.seconds()

    await ours.spared()

    assert clock.seconds() == begun
    assert not ours.reason


async def test_who_waits_for_a_place_or_is_held_back_can_be_cancelled() -> None:
    ours = governor(connections=1, threads_running=8)
    ours.seen(BUSY)
    async with ours.place():
        waiting = asyncio.get_running_loop().create_task(_placed(ours))
        held = asyncio.get_running_loop().create_task(ours.spared())
        await asyncio.sleep(1)
        waiting.cancel()
        held.cancel()
        await asyncio.wait([waiting, held])

    assert waiting.cancelled()
    assert held.cancelled()
    await _placed(ours)  # nobody has kept the place


async def _placed(ours: Governor) -> None:
    async with ours.place():
        pass
