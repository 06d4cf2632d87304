"""What the stage asks of a store, asked of two servers, and of a faulty way to each of them.

The way is a proxy that may carry a request out and drop the answer, answer 500 after it was carried
out, answer 403, 409 or 503 instead of carrying it out, or take the conditions off.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import yarl
from aiobotocore.session import get_session
from aiohttp import web
from pydantic import SecretStr

from s3rs_async import clock
from s3rs_async.commit import State
from s3rs_async.config import S3Config
from s3rs_async.errors import ConfigError, ExitCode, UnavailableError, UnknownOutcomeError
from s3rs_async.model import TableName
from s3rs_async.s3 import canary
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.object import MissingError, StaleError
from s3rs_async.s3.register import LostError, Register
from s3rs_async.s3.store import Store, open_store
from s3rs_async.sandbox import s3 as server
from s3rs_async.sandbox.process import Den

MIB = 1 << 20


@pytest.fixture(scope="module", params=["moto", "ministack"])
def s3(request: pytest.FixtureRequest) -> Iterator[server.S3]:
    den = Den()
    try:
        yield asyncio.run(server.start(den, request.param))
    finally:
        asyncio.run(den.close())


@pytest.fixture
def config(s3: server.S3) -> S3Config:
    return S3Config(
        bucket=s3.bucket,
        prefix=f"t-{clock.ulid().lower()}",
        endpoint=s3.url,
        access_key=SecretStr(s3.access_key),
        secret_key=SecretStr(s3.secret_key),
    )


@pytest.fixture
async def store(config: S3Config) -> AsyncIterator[Store]:
    async with open_store(config) as opened:
        yield opened


def layout_of(config: S3Config) -> Layout:
    return Layout(config.prefix, "shop", "source", TableName("shop", "orders"))


def register_of(store: Store, config: S3Config) -> Register:
    birth = State("shop", "source", "shop.orders", "dw.public.orders")
    return Register(store, layout_of(config), birth)


def next_epoch(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)


async def test_what_was_put_is_got_headed_and_listed(store: Store, config: S3Config) -> None:
    key = f"{config.prefix}/a%2F b+é.txt"

    etag = await store.put(key, b"one")

    found = await store.get(key)
    assert found is not None
    assert (found.body, found.etag) == (b"one", etag)
    stat = await store.head(key)
    assert stat is not None
    assert (stat.size, stat.etag) == (3, etag)
    assert [entry.key async for entry in store.list(config.prefix)] == [key]
    assert await store.get(f"{key}-not") is None
    assert await store.head(f"{key}-not") is None


async def test_a_condition_that_does_not_hold_writes_nothing(
    store: Store, config: S3Config
) -> None:
    key = f"{config.prefix}/object"
    first = await store.put_if(key, b"one", None)
    with pytest.raises(StaleError):
        await store.put_if(key, b"two", None)
    second = await store.put_if(key, b"three", first)

    with pytest.raises(StaleError):
        await store.put_if(key, b"four", first)
    with pytest.raises(MissingError):
        await store.put_if(f"{key}-not", b"five", first)

    found = await store.get(key)
    assert found is not None
    assert (found.body, found.etag) == (b"three", second)


async def test_of_many_creators_exactly_one_wins(store: Store, config: S3Config) -> None:
    async def create(number: int) -> bool:
        try:
            await store.put_if(f"{config.prefix}/{number % 5}", b"%d" % number, None)
        except StaleError:
            return False
        return True

    async with asyncio.TaskGroup() as tasks:
        races = [tasks.create_task(create(number)) for number in range(100)]

    for key in range(5):
        winners = [n for n, race in enumerate(races) if race.result() and n % 5 == key]
        found = await store.get(f"{config.prefix}/{key}")
        assert found is not None
        assert [b"%d" % number for number in winners] == [found.body]


async def test_no_change_of_many_writers_is_lost(store: Store, config: S3Config) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(12):
            tasks.create_task(register_of(store, config).change(next_epoch))

    final = await register_of(store, config).read()
    assert final is not None
    assert (final.state.epoch, final.version) == (12, 12)
    copies = [entry.key async for entry in store.list(f"{layout_of(config).home}hist/")]
    assert len(copies) == 12


async def test_a_swap_on_an_old_base_is_lost(store: Store, config: S3Config) -> None:
    register = register_of(store, config)
    base = await register.swap(None, next_epoch)
    await register.swap(base, next_epoch)

    with pytest.raises(LostError):
        await register.swap(base, next_epoch)
    with pytest.raises(LostError):
        await register.swap(None, next_epoch)


async def test_a_good_store_passes_the_canary_again_and_again(
    store: Store, config: S3Config
) -> None:
    for _ in range(2):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(canary.prove(store, f"{config.prefix}/canary"))


async def test_a_multipart_upload_is_whole_and_in_order(store: Store, config: S3Config) -> None:
    first, second, last = b"a" * 5 * MIB, b"b" * 6 * MIB, b"c"

    async with store.upload(f"{config.prefix}/part") as upload:
        async with asyncio.TaskGroup() as tasks:
            for number, data in ((3, last), (2, second), (1, first)):
                tasks.create_task(upload.part(number, data))
        etag = await upload.complete()

    found = await store.get(f"{config.prefix}/part")
    assert found is not None
    assert found.body == first + second + last
    assert found.etag == etag
    assert await open_uploads(config) == []


async def test_a_part_is_sent_from_where_it_lies(store: Store, config: S3Config) -> None:
    part = b"a" * 8 * MIB
    async with store.upload(f"{config.prefix}/part") as upload:
        await upload.part(1, b"b" * 5 * MIB)  # what is made once is there
        tracemalloc.start()
        try:
            await upload.part(2, part)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await upload.complete()
    assert peak < 4 * MIB


async def test_an_upload_left_by_an_error_is_taken_back(store: Store, config: S3Config) -> None:
    async def fail() -> None:
        async with store.upload(f"{config.prefix}/part") as upload:
            await upload.part(1, b"a" * 5 * MIB)
            assert await open_uploads(config) == [f"{config.prefix}/part"]
            raise ValueError("of the block's own")

    with pytest.raises(ValueError, match="of the block's own"):
        await fail()

    assert await open_uploads(config) == []
    assert await store.head(f"{config.prefix}/part") is None


@pytest.mark.parametrize("after", [0.0, 0.01, 0.05, 0.2])
async def test_an_upload_cancelled_in_mid_part_is_taken_back(
    store: Store, config: S3Config, after: float
) -> None:
    begun = asyncio.Event()

    async def send() -> None:
        async with store.upload(f"{config.prefix}/part") as upload:
            begun.set()
            async with asyncio.TaskGroup() as tasks:
                for number in (1, 2, 3):
                    tasks.create_task(upload.part(number, b"a" * 8 * MIB))
            await asyncio.sleep(60)

    task = asyncio.ensure_future(send())
    await begun.wait()
    await asyncio.sleep(after)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await open_uploads(config) == []


async def test_a_missing_bucket_is_the_configuration_s_fault(config: S3Config) -> None:
    async with open_store(config.model_copy(update={"bucket": "not-there"})) as store:
        for call in (store.get("a"), store.put("a", b""), store.put_if("a", b"", None)):
            with pytest.raises(ConfigError, match="not-there") as failure:
                await call
            assert "create the bucket" in failure.value.hint
            assert failure.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("fault", ["drop", "500", "403", "503", "409", "lose"])
async def test_a_lost_answer_is_resolved_by_reading(config: S3Config, fault: str) -> None:
    async with faulty(config) as (way, store):
        register = register_of(store, config)
        for etag in ("none", "some"):
            way.faults[:] = [fault]

            won = await register.change(next_epoch)

            assert way.faults == []
            now = await register.read()
            assert now == won, etag
    assert won.state.epoch == 2
    assert won.version == 2


@pytest.mark.parametrize("fault", ["drop", "500"])
async def test_put_if_itself_does_not_guess(config: S3Config, fault: str) -> None:
    async with faulty(config) as (way, store):
        way.faults[:] = [fault, fault]
        with pytest.raises(UnknownOutcomeError):
            await store.put_if(f"{config.prefix}/a", b"one", None)
        assert await store.get(f"{config.prefix}/a") is not None


async def test_a_store_that_ignores_conditions_is_refused(config: S3Config, tmp_path: Any) -> None:
    async with faulty(config) as (way, store):
        way.blind = True
        with pytest.raises(ConfigError, match="does not honour conditional writes") as failure:
            await canary.ensure_conditions(store, config, tmp_path)
        assert failure.value.exit_code == 2
        assert list(tmp_path.iterdir()) == []

        way.blind = False
        await canary.ensure_conditions(store, config, tmp_path)
        way.blind = True
        await canary.ensure_conditions(store, config, tmp_path)  # remembered: asks nothing


@pytest.mark.parametrize("fault", ["drop", "500", "503", "lose"])
async def test_a_completion_without_an_answer_is_found_out(config: S3Config, fault: str) -> None:
    async with faulty(config) as (way, store):
        async with store.upload(f"{config.prefix}/part") as upload:
            await upload.part(1, b"abc")
            way.faults[:] = [fault]
            etag = await upload.complete()
        stat = await store.head(f"{config.prefix}/part")
    assert stat is not None
    assert (stat.size, stat.etag) == (3, etag)


async def test_another_object_at_our_key_is_not_taken_for_ours(
    store: Store, config: S3Config
) -> None:
    async with store.upload(f"{config.prefix}/part") as upload:
        await upload.part(1, b"abc")
        await store.put(f"{config.prefix}/part", b"xyz")
        with pytest.raises(UnavailableError, match="lost at its end"):
            await upload.complete()

    found = await store.get(f"{config.prefix}/part")
    assert found is not None
    assert found.body == b"xyz"
    assert await open_uploads(config) == []


async def test_a_page_tells_when_it_was_given(store: Store, config: S3Config) -> None:
    before = await store.clock()
    for number in range(3):
        await store.put(f"{config.prefix}/{number}", b"abc")

    pages = [page async for page in store.pages(f"{config.prefix}/")]

    assert [entry.key for page in pages for entry in page.entries] == [
        f"{config.prefix}/{number}" for number in range(3)
    ]
    for page in pages:
        assert before <= page.date <= await store.clock()
        assert all(before <= entry.modified for entry in page.entries)
        assert all(entry.modified.replace(microsecond=0) <= page.date for entry in page.entries)
    (empty,) = [page async for page in store.pages(f"{config.prefix}-none/")]
    assert empty.entries == ()


async def test_what_is_deleted_is_gone_and_nothing_else(store: Store, config: S3Config) -> None:
    keys = [f"{config.prefix}/a%2F b+é/{number:04d}" for number in range(5)]
    for key in keys:
        await store.put(key, b"abc")

    assert await store.delete([*keys[:3], f"{config.prefix}/never-there"]) == []

    assert [entry.key async for entry in store.list(config.prefix)] == keys[3:]
    with pytest.raises(ValueError, match="1001 keys"):
        await store.delete(["a"] * 1001)


async def test_a_copy_is_of_what_was_meant_or_is_none(
    store: Store, config: S3Config, request: pytest.FixtureRequest
) -> None:
    source, copy = f"{config.prefix}/a%2F b+é", f"{config.prefix}/copy"
    etag = await store.put(source, b"one")

    made = await store.copy(source, copy, etag)

    found = await store.get(copy)
    assert found is not None
    assert (found.body, found.etag) == (b"one", made)
    await store.put(source, b"two")
    if server_of(request) != "moto":  # which does not ask for the condition of a copy
        with pytest.raises(StaleError):
            await store.copy(source, f"{copy}-2", etag)
    with pytest.raises(MissingError):
        await store.copy(f"{source}-not", f"{copy}-2", etag)
    assert await store.head(f"{copy}-2") is None


async def test_an_upload_left_behind_is_found_and_taken_back(
    store: Store, config: S3Config, request: pytest.FixtureRequest
) -> None:
    before = await store.clock()
    async with store.upload(f"{config.prefix}/data/part") as upload:
        await upload.part(1, b"a" * 5 * MIB)
        (left,) = [each async for each in store.open_uploads(f"{config.prefix}/data/")]
        assert left.key == f"{config.prefix}/data/part"
        assert left.begun.replace(microsecond=0) <= left.date
        if server_of(request) != "moto":  # where every upload was begun in 2010
            assert before <= left.begun
        assert [each async for each in store.open_uploads(f"{config.prefix}/other/")] == []

        await store.abort(left.key, left.upload_id)
        await store.abort(left.key, left.upload_id)

        assert await open_uploads(config) == []
        with pytest.raises(UnavailableError):
            await upload.complete()
    assert await store.head(f"{config.prefix}/data/part") is None


async def test_a_right_that_is_missing_is_told_by_its_name(config: S3Config) -> None:
    async with faulty(config) as (way, store):
        way.denied = True
        with pytest.raises(ConfigError, match="does not allow") as failure:
            await store.delete([f"{config.prefix}/a"])
        assert "s3:DeleteObject" in failure.value.hint
        with pytest.raises(ConfigError) as failure:
            await store.abort(f"{config.prefix}/a", "some")
        assert "s3:AbortMultipartUpload" in failure.value.hint
        with pytest.raises(ConfigError) as failure:
            [each async for each in store.open_uploads(config.prefix)]
        assert "s3:ListBucketMultipartUploads" in failure.value.hint


def server_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["s3"])


async def open_uploads(config: S3Config) -> list[str]:
    assert config.access_key is not None
    assert config.secret_key is not None
    async with get_session().create_client(
        "s3",
        region_name=config.region,
        endpoint_url=config.endpoint,
        aws_access_key_id=config.access_key.get_secret_value(),
        aws_secret_access_key=config.secret_key.get_secret_value(),
    ) as client:
        answer = await client.list_multipart_uploads(Bucket=config.bucket, Prefix=config.prefix)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


class Way:
    """A proxy; each decisive request (a conditional PUT, a Complete) takes the next fault."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self.upstream = upstream
        self.session = session
        self.faults: list[str] = []
        self.blind = False
        self.denied = False

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        if self.denied:
            return web.Response(status=403)
        headers = request.headers.copy()
        decisive = "If-Match" in headers or "If-None-Match" in headers
        if self.blind:
            for name in ("If-Match", "If-None-Match"):
                headers.pop(name, None)
        fault = self.faults.pop(0) if decisive and self.faults else ""
        if fault in ("403", "409", "503"):
            return web.Response(status=int(fault))
        body = await request.read()
        if fault != "lose":
            answer = await self.forward(request, headers, body)
        if fault in ("drop", "lose"):
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=500) if fault == "500" else answer

    async def forward(self, request: web.Request, headers: Any, body: bytes) -> web.Response:
        url = yarl.URL(self.upstream + request.raw_path, encoded=True)
        async with self.session.request(
            request.method, url, headers=headers, data=body, auto_decompress=False
        ) as answer:
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() in ("etag", "last-modified", "content-type")
                or name.lower().startswith("x-amz-")
            }
            if request.method == "HEAD" and answer.ok:
                kept["Content-Length"] = answer.headers["Content-Length"]
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


@asynccontextmanager
async def faulty(config: S3Config) -> AsyncIterator[tuple[Way, Store]]:
    async with aiohttp.ClientSession() as session:
        way = Way(config.endpoint or "", session)
        app = web.Application(client_max_size=64 * MIB)
        app.router.add_route("*", "/{path:.*}", way.pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            url = f"http://127.0.0.1:{port}"
            async with open_store(config.model_copy(update={"endpoint": url})) as store:
                yield way, store
        finally:
            await runner.cleanup()
