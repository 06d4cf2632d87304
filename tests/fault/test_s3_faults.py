"""The way to S3: each fault is what it says at the server and what it says to the client."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from s3rs_async.config import S3Config
from s3rs_async.s3.store import Store, open_store
from s3rs_async.sandbox.faults import (
    CONFLICT,
    EXPIRED,
    FAILED_AFTER,
    FULL,
    SLOW_DOWN,
    STALE,
    Answer,
    Drop,
    Hold,
    Late,
    Match,
    Retag,
    S3Faults,
    Truncate,
    s3_faults,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from s3rs_async.sandbox import Box


@pytest.fixture
async def s3(box: Box) -> AsyncIterator[S3Faults]:
    async with s3_faults(box.s3.url) as running:
        yield running


def owner() -> dict[str, str]:
    """moto asks who it is that overwrites, and looks at no signature."""
    scope = "Credential=owner/20260101/us-east-1/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature={'0' * 64}"
    return {"Authorization": signed}


@pytest.fixture
async def stores(box: Box, s3: S3Faults) -> AsyncIterator[tuple[Store, Store]]:
    """The product's own client, by the faulty way and straight."""
    keys = {"access_key": box.s3.access_key, "secret_key": box.s3.secret_key}
    common = {"bucket": box.s3.bucket, "region": box.s3.region, **keys}
    faulty = S3Config.model_validate({**common, "endpoint": s3.url})
    straight = S3Config.model_validate({**common, "endpoint": box.s3.url})
    async with open_store(faulty) as one, open_store(straight) as other:
        yield one, other


async def asked(s3: S3Faults, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request, with nothing between us and what we hear; OSError where we hear nothing."""

    def ask() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(s3.url).netloc, timeout=20)
        try:
            connection.request(method, path, body or None, owner())
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def key_of(box: Box, prefix: str, name: str = "a b+c%é") -> tuple[str, str]:
    """A key, and its path as it is written in a request."""
    from urllib.parse import quote

    return f"{prefix}/{name}", f"/{box.s3.bucket}/{prefix}/{quote(name)}"


async def test_without_rules_everything_passes_as_it_is(
    stores: tuple[Store, Store], prefix: str
) -> None:
    faulty, straight = stores
    body = bytes(range(256)) * 9_000
    for number in range(3):
        etag = await faulty.put_if(f"{prefix}/a b+c%é/{number}", body, None)
        found = await straight.get(f"{prefix}/a b+c%é/{number}")
        assert found == await faulty.get(f"{prefix}/a b+c%é/{number}")
        assert found is not None
        assert (found.body, found.etag) == (body, etag)
    head = await faulty.head(f"{prefix}/a b+c%é/1")
    assert head is not None
    assert head.size == len(body)
    assert await faulty.get(f"{prefix}/nothing") is None
    assert len([entry async for entry in faulty.list(prefix)]) == 3
    async with faulty.upload(f"{prefix}/whole") as upload:
        await upload.part(1, b"x" * 6_000_000)
        await upload.complete()
    assert await faulty.head(f"{prefix}/whole") == await straight.head(f"{prefix}/whole")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (FAILED_AFTER, 500),
        (SLOW_DOWN, 503),
        (CONFLICT, 409),
        (STALE, 412),
        (EXPIRED, 403),
        (FULL, 507),
        (Answer(503, "SlowDown", applied=True), 503),
        (Answer(200, "InternalError"), 200),
    ],
)
async def test_an_answer_says_one_thing_and_the_server_has_done_it_or_not(
    s3: S3Faults, box: Box, prefix: str, stores: tuple[Store, Store], fault: Answer, status: int
) -> None:
    key, path = key_of(box, prefix)
    armed = s3.put(Match("PUT", "a b[+]c%é$"), fault)
    heard, body = await asked(s3, "PUT", path, b"body")
    assert heard == status
    assert f"<Code>{fault.code}</Code>".encode() in body
    assert (await stores[1].get(key) is not None) is fault.applied
    assert armed.status == (200 if fault.applied else None)
    assert [request.body for request in armed.requests] == [b"body"]
    assert (await asked(s3, "PUT", path, b"body"))[0] == 200


@pytest.mark.parametrize("applied", [True, False])
async def test_a_drop_is_heard_by_nobody_and_done_or_not(
    s3: S3Faults, box: Box, prefix: str, stores: tuple[Store, Store], applied: bool
) -> None:
    key, path = key_of(box, prefix)
    s3.put(Match("PUT"), Drop(applied=applied))
    with pytest.raises(http.client.RemoteDisconnected):
        await asked(s3, "PUT", path, b"body")
    assert (await stores[1].get(key) is not None) is applied


@pytest.mark.parametrize("status", [503, None])
async def test_a_late_request_fails_now_and_arrives_when_it_is_delivered(
    s3: S3Faults, box: Box, prefix: str, stores: tuple[Store, Store], status: int | None
) -> None:
    key, path = key_of(box, prefix)
    late = s3.put(Match("PUT"), Late(status))
    try:
        assert (await asked(s3, "PUT", path, b"late"))[0] == status
    except http.client.RemoteDisconnected:
        assert status is None
    assert await stores[1].get(key) is None
    assert (await asked(s3, "PUT", path, b"first"))[0] == 200
    assert await late.deliver() == 200
    found = await stores[1].get(key)
    assert found is not None
    assert found.body == b"late"


async def test_a_late_request_that_is_never_delivered_is_never_applied(
    box: Box, prefix: str, stores: tuple[Store, Store]
) -> None:
    key, path = key_of(box, prefix)
    async with s3_faults(box.s3.url) as s3:
        s3.put(Match("PUT"), Late())
        assert (await asked(s3, "PUT", path, b"late"))[0] == 503
    assert await stores[1].get(key) is None


@pytest.mark.parametrize("applied", [True, False])
async def test_a_held_request_waits_on_this_side_of_the_server_or_on_that(
    s3: S3Faults, box: Box, prefix: str, stores: tuple[Store, Store], applied: bool
) -> None:
    key, path = key_of(box, prefix)
    hold = s3.put(Match("PUT"), Hold(applied=applied))
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(asked(s3, "PUT", path, b"held"))
        await hold.met.wait()
        assert (await stores[1].get(key) is not None) is applied
        assert not asking.done()
        assert await hold.deliver() == 200
    assert asking.result()[0] == 200


@pytest.mark.parametrize("applied", [True, False])
async def test_a_held_request_that_is_dropped_is_not_heard_of(
    s3: S3Faults, box: Box, prefix: str, stores: tuple[Store, Store], applied: bool
) -> None:
    key, path = key_of(box, prefix)
    hold = s3.put(Match("PUT"), Hold(applied=applied))
    with pytest.raises(ExceptionGroup) as failure:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asked(s3, "PUT", path, b"held"))
            await hold.met.wait()
            hold.drop()
    assert failure.group_contains(http.client.RemoteDisconnected)
    assert (await stores[1].get(key) is not None) is applied


async def test_a_truncated_body_is_shorter_than_was_announced(
    s3: S3Faults, box: Box, prefix: str
) -> None:
    _, path = key_of(box, prefix)
    await asked(s3, "PUT", path, b"0123456789")
    s3.put(Match("GET"), Truncate(4))
    with pytest.raises(http.client.IncompleteRead) as short:
        await asked(s3, "GET", path)
    assert short.value.partial == b"0123"
    assert await asked(s3, "GET", path) == (200, b"0123456789")


async def test_a_wrong_etag_is_told_once(stores: tuple[Store, Store], s3: S3Faults) -> None:
    faulty, straight = stores
    s3.put(Match("PUT"), Retag('"wrong"'))
    assert await faulty.put("retagged", b"1") == '"wrong"'
    found = await straight.head("retagged")
    assert found is not None
    assert found.etag == await faulty.put("retagged", b"1")


async def test_a_burst_begins_at_the_nth_that_fits_and_ends(
    s3: S3Faults, box: Box, prefix: str
) -> None:
    _, path = key_of(box, prefix)
    armed = s3.put(Match("PUT", prefix, nth=2, times=3), SLOW_DOWN)
    heard = [(await asked(s3, "PUT", path, b"1"))[0] for _ in range(6)]
    assert heard == [200, 503, 503, 503, 200, 200]
    assert len(armed.requests) == 3


async def test_each_step_of_an_upload_is_known(
    stores: tuple[Store, Store], s3: S3Faults, prefix: str
) -> None:
    async with stores[0].upload(f"{prefix}/big") as upload:
        await upload.part(1, b"x" * 6_000_000)
        await upload.complete()
    async with stores[0].upload(f"{prefix}/left"):
        pass
    steps = [step for _, path, step in s3.seen if path.endswith(("/big", "/left"))]
    assert steps == ["create", "part", "complete", "create", "abort", ""]
    armed = s3.put(Match(key="/big$", step="complete"), Drop(applied=False))
    async with stores[0].upload(f"{prefix}/other") as upload:
        await upload.part(1, b"x" * 6_000_000)
        await upload.complete()
    assert not armed.requests


async def test_a_cut_ends_what_is_under_way(s3: S3Faults, box: Box, prefix: str) -> None:
    _, path = key_of(box, prefix)
    hold = s3.put(Match("PUT"), Hold())
    with pytest.raises(ExceptionGroup) as failure:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asked(s3, "PUT", path, b"held"))
            await hold.met.wait()
            assert s3.cut() == 1
    assert failure.group_contains((http.client.RemoteDisconnected, ConnectionResetError))


async def test_a_rule_that_is_lifted_strikes_no_more(s3: S3Faults, box: Box, prefix: str) -> None:
    _, path = key_of(box, prefix)
    armed = s3.put(Match("PUT"), SLOW_DOWN)
    s3.lift(armed)
    assert (await asked(s3, "PUT", path, b"1"))[0] == 200
    assert not armed.requests
