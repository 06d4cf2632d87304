"""Two writers, one real S3 server, hundreds of rounds: of each round exactly one swap is in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from s3rs_async import clock
from s3rs_async.commit import State
from s3rs_async.config import S3Config
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.register import LostError, Register, Versioned
from s3rs_async.s3.store import Store, open_store
from s3rs_async.sandbox import s3 as server
from s3rs_async.sandbox.process import Den

ROUNDS = 400
PIPELINES = 4


@pytest.fixture(scope="module")
def s3() -> Iterator[server.S3]:
    den = Den()
    try:
        yield asyncio.run(server.start(den))
    finally:
        asyncio.run(den.close())


@pytest.fixture
async def stores(s3: server.S3) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes' ways to one bucket."""
    config = S3Config(
        bucket=s3.bucket,
        prefix=f"t-{clock.ulid().lower()}",
        endpoint=s3.url,
        access_key=SecretStr(s3.access_key),
        secret_key=SecretStr(s3.secret_key),
    )
    async with open_store(config) as one, open_store(config) as other:
        yield one, other


async def _swapped(register: Register, base: Versioned | None, word: str) -> Versioned | None:
    try:
        return await register.swap(base, lambda state: replace(state, last_failure=word))
    except LostError:
        return None


async def _rounds(stores: tuple[Store, Store], pipeline: str, count: int) -> list[str]:
    """The words of the winners; each round begins with what the one before has left."""
    layout = Layout("s3rs", pipeline, "source", TableName("shop", "orders"))
    birth = State(pipeline, "source", "shop.orders", "dw.public.orders")
    registers = [Register(store, layout, birth) for store in stores]
    base: Versioned | None = None
    words = []
    for number in range(count):
        async with asyncio.TaskGroup() as both:
            tries = [
                both.create_task(_swapped(register, base, f"{number}-{writer}"))
                for writer, register in enumerate(registers)
            ]
        won = [found for each in tries if (found := each.result()) is not None]
        assert len(won) == 1, f"round {number}: {len(won)} winners"
        (base,) = won
        assert base.version == number + 1
        words.append(str(base.state.last_failure))
    assert await registers[0].read() == base
    return words


@pytest.mark.timeout(240)
async def test_of_two_writers_exactly_one_wins_each_round(stores: tuple[Store, Store]) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(_rounds(stores, f"p{number}", ROUNDS // PIPELINES))
            for number in range(PIPELINES)
        ]
    words = [word for each in running for word in each.result()]
    assert len(words) == ROUNDS
    assert {word[-1] for word in words} == {"0", "1"}, "one of them never won: there was no race"
