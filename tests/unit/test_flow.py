"""The channel is bounded, never deadlocks by its own rule, and tasks fail as one."""

from __future__ import annotations

import asyncio

import pytest

from s3rs_async.flow import Channel, together, unless


async def test_items_come_out_in_order_and_then_it_ends() -> None:
    channel: Channel[int] = Channel(10)
    for number in range(3):
        await channel.put(number, 1)
    await channel.close()

    got = [await channel.get() for _ in range(4)]

    assert got == [(0, 1), (1, 1), (2, 1), None]


async def test_a_producer_waits_until_bytes_are_released_not_until_they_are_taken() -> None:
    channel: Channel[str] = Channel(15)
    for item in "abc":
        await channel.put(item, 5)
    async with asyncio.TaskGroup() as tasks:
        fourth = tasks.create_task(channel.put("d", 1))
        assert await channel.get() == ("a", 5)
        await asyncio.sleep(3600)
        assert not fourth.done()
        await channel.release(5)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert fourth.done()


async def test_an_item_larger_than_the_channel_passes_and_counts_for_a_third() -> None:
    channel: Channel[str] = Channel(15)
    await channel.put("small", 10)

    await channel.put("huge", 1000)

    await channel.get()
    assert await channel.get() == ("huge", 5)


@pytest.mark.parametrize("group", [6, 7, 8, 9])
async def test_a_consumer_that_gathers_two_thirds_never_starves_the_producer(group: int) -> None:
    channel: Channel[int] = Channel(3 * group // 2)
    seen = 0

    async def produce() -> None:
        for number in range(100):
            await channel.put(number, 1 + number % 9)
        await channel.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(produce())
        held = 0
        while (taken := await channel.get()) is not None:
            seen += 1
            held += taken[1]
            if held >= group:
                await channel.release(held)
                held = 0

    assert seen == 100


async def test_a_cancelled_producer_leaves_the_channel_usable() -> None:
    channel: Channel[int] = Channel(3)
    for number in range(3):
        await channel.put(number, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await channel.put(3, 1)

    await channel.get()
    await channel.release(1)
    await channel.put(4, 1)
    for _ in range(2):
        await channel.get()

    assert await channel.get() == (4, 1)


async def test_the_first_failure_is_the_one_that_is_told() -> None:
    async def fail(after: float, error: Exception) -> None:
        try:
            await asyncio.sleep(after)
        except asyncio.CancelledError:
            raise ValueError("follows from the first") from None
        raise error

    with pytest.raises(LookupError, match="first") as caught:
        async with together() as tasks:
            tasks.create_task(fail(1, LookupError("the first")))
            tasks.create_task(fail(2, OSError("the second")))

    assert any("follows" in note for note in caught.value.__notes__)


async def test_the_bodys_own_failure_cancels_its_tasks() -> None:
    with pytest.raises(KeyError):
        async with together() as tasks:
            sleeper = tasks.create_task(asyncio.sleep(3600))
            raise KeyError("body")

    assert sleeper.cancelled()


async def test_cancellation_from_outside_stays_a_cancellation() -> None:
    async def body() -> None:
        async with together() as tasks:
            tasks.create_task(asyncio.sleep(3600))
            await asyncio.sleep(3600)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await body()


async def test_work_is_done_unless_the_event_comes_first() -> None:
    stop, ends = asyncio.Event(), []

    async def work(seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        finally:
            ends.append(asyncio.get_running_loop().time())
        return "done"

    assert await unless(stop, work(1)) == "done"
    asyncio.get_running_loop().call_later(1, stop.set)
    assert await unless(stop, work(9)) is None
    assert await unless(stop, work(9)) is None
    assert ends == [1, 2, 2]


async def test_what_fails_in_it_is_raised_as_itself_and_a_cancellation_ends_it() -> None:
    async def fails() -> None:
        raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        await unless(asyncio.Event(), fails())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await unless(asyncio.Event(), asyncio.sleep(9))
