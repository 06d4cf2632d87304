"""What is kept between uses: few, not for long, the last one first."""

from __future__ import annotations

import asyncio

from s3rs_async.mysql.idle import Idle


def idle(most: int = 2) -> tuple[Idle[str], list[str]]:
    left: list[str] = []
    return Idle(left.append, most=most, seconds=60.0), left


async def test_the_one_given_back_last_is_taken_first() -> None:
    kept, left = idle()
    kept.keep("a")
    kept.keep("b")
    assert [kept.take(), kept.take(), kept.take()] == ["b", "a", None]
    await asyncio.sleep(100)
    assert left == []


async def test_who_is_too_many_is_let_go_at_once() -> None:
    kept, left = idle()
    for name in "abc":
        kept.keep(name)
    assert left == ["c"]


async def test_who_is_not_taken_in_time_is_let_go() -> None:
    kept, left = idle()
    kept.keep("a")
    await asyncio.sleep(59)
    kept.keep("b")
    await asyncio.sleep(2)
    assert left == ["a"]
    assert kept.take() == "b"


async def test_a_closed_one_keeps_nothing() -> None:
    kept, left = idle()
    kept.keep("a")
    kept.close()
    kept.keep("b")
    assert left == ["a", "b"]
    assert kept.take() is None
