"""The simulation's store answers as the real one does, asked the same by the same calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr

from s3rs_async import clock
from s3rs_async.config import S3Config
from s3rs_async.s3.object import MissingError, StaleError
from s3rs_async.s3.store import open_store
from s3rs_async.sandbox import Box
from tests.simulation.calm import alone
from tests.simulation.stage import Disk, Stage
from tests.simulation.world import World

Case: TypeAlias = Callable[[Any, str], Coroutine[Any, Any, None]]
Ask: TypeAlias = Callable[[Case], None]


@pytest.fixture(params=["simulated", "real"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Put a case to one of the two, under a prefix of its own."""
    if request.param == "simulated":
        return _simulated
    box: Box = request.getfixturevalue("box")
    return lambda case: asyncio.run(_real(box, case))


def _simulated(case: Case) -> None:
    async def run(world: World) -> None:
        await case(Stage(world, Disk(world)), "t")

    alone(run)


async def _real(box: Box, case: Case) -> None:
    config = S3Config(
        bucket=box.s3.bucket,
        endpoint=box.s3.url,
        access_key=SecretStr(box.s3.access_key),
        secret_key=SecretStr(box.s3.secret_key),
    )
    async with open_store(config) as store:
        await case(store, f"t-{clock.ulid().lower()}")


def test_what_is_not_there_is_none(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        assert await store.get(f"{at}/a") is None
        assert await store.head(f"{at}/a") is None
        assert [line async for line in store.list(f"{at}/")] == []

    ask(case)


def test_what_was_written_is_got_with_its_etag(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        etag = await store.put(f"{at}/a", b"one")
        found, seen = await store.get(f"{at}/a"), await store.head(f"{at}/a")
        assert (found.body, found.etag) == (b"one", etag)
        assert (seen.size, seen.etag, seen.upload) == (3, etag, "")

    ask(case)


def test_only_the_first_creator_wins(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        await store.put_if(f"{at}/a", b"one", None)
        with pytest.raises(StaleError):
            await store.put_if(f"{at}/a", b"two", None)
        assert (await store.get(f"{at}/a")).body == b"one"

    ask(case)


def test_an_etag_of_the_past_writes_nothing(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        old = await store.put_if(f"{at}/a", b"one", None)
        new = await store.put_if(f"{at}/a", b"two", old)
        with pytest.raises(StaleError):
            await store.put_if(f"{at}/a", b"three", old)
        found = await store.get(f"{at}/a")
        assert (found.body, found.etag) == (b"two", new)

    ask(case)


def test_the_same_bytes_bring_the_old_etag_back(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        first = await store.put(f"{at}/a", b"one")
        await store.put(f"{at}/a", b"two")
        assert await store.put(f"{at}/a", b"one") == first
        await store.put_if(f"{at}/a", b"three", first)

    ask(case)


def test_nothing_is_made_where_an_etag_was_expected(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        etag = await store.put(f"{at}/a", b"one")
        with pytest.raises(MissingError):
            await store.put_if(f"{at}/b", b"two", etag)
        assert await store.get(f"{at}/b") is None

    ask(case)


def test_a_listing_is_in_order_with_sizes_etags_and_times(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        etags = {
            name: await store.put(f"{at}/{name}", name.encode()) for name in ("b/2", "a", "b/1")
        }
        lines = [line async for line in store.list(f"{at}/")]
        assert [line.key for line in lines] == [f"{at}/a", f"{at}/b/1", f"{at}/b/2"]
        assert [line.size for line in lines] == [1, 3, 3]
        assert [line.etag for line in lines] == [etags["a"], etags["b/1"], etags["b/2"]]
        assert all(line.modified.tzinfo is not None for line in lines)

    ask(case)


def test_folders_are_told_once_each(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        for name in ("b/2", "a", "b/1", "c/d/e"):
            await store.put(f"{at}/{name}", b"")
        assert [name async for name in store.folders(f"{at}/")] == [f"{at}/b/", f"{at}/c/"]

    ask(case)


def test_an_upload_is_one_object_when_it_is_completed(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        async with store.upload(f"{at}/a") as upload:
            await upload.part(2, b"two")
            await upload.part(1, b"1" * 5 * 1024 * 1024)
            assert await store.get(f"{at}/a") is None
            etag = await upload.complete()
        found, seen = await store.get(f"{at}/a"), await store.head(f"{at}/a")
        assert found.body == b"1" * 5 * 1024 * 1024 + b"two"
        assert found.etag == etag
        assert seen.upload

    ask(case)


def test_an_upload_that_is_left_leaves_nothing(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        with pytest.raises(KeyError):
            async with store.upload(f"{at}/a") as upload:
                await upload.part(1, b"one")
                raise KeyError
        assert await store.get(f"{at}/a") is None

    ask(case)


def test_what_was_deleted_is_gone_and_what_was_not_there_counts(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        await store.put(f"{at}/a", b"one")
        await store.put(f"{at}/b", b"two")
        assert list(await store.delete([f"{at}/a", f"{at}/c"])) == []
        assert [line.key async for line in store.list(f"{at}/")] == [f"{at}/b"]

    ask(case)


def test_a_copy_is_made_of_what_is_there(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        new = await store.put(f"{at}/a", b"two")
        await store.copy(f"{at}/a", f"{at}/b", new)
        assert (await store.get(f"{at}/b")).body == b"two"
        with pytest.raises(MissingError):
            await store.copy(f"{at}/c", f"{at}/b", new)

    ask(case)


def test_open_uploads_are_told_until_they_are_aborted(ask: Ask) -> None:
    async def case(store: Any, at: str) -> None:
        async with store.upload(f"{at}/a") as upload:
            await upload.part(1, b"one")
            [left] = [line async for line in store.open_uploads(f"{at}/")]
            assert left.key == f"{at}/a"
            await store.abort(left.key, left.upload_id)
            assert [line async for line in store.open_uploads(f"{at}/")] == []
            await store.abort(left.key, left.upload_id)

    ask(case)
