"""The daemon's answers over real sockets, and what a bad neighbour cannot do to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog
import uvloop

from s3rs_async import clock
from s3rs_async.errors import ConfigError
from s3rs_async.health import server, serving
from s3rs_async.metrics import Metrics

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


async def status(address: str, path: str = "/healthz") -> int:
    async with client() as session, session.get(f"http://{address}{path}") as response:
        return response.status


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def raw(address: str, sent: bytes) -> bytes:
    """What comes back, to the connection's end."""
    reader, writer = await connect(address)
    writer.write(sent)
    async with asyncio.timeout(5):
        received = await reader.read()
    writer.close()
    return received


async def is_refused(address: str) -> bool:
    try:
        _, writer = await connect(address)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


class Wide(Metrics):
    """More text than the kernel holds for a client that does not read."""

    def expose(self, accept: str | None = None) -> tuple[bytes, str]:
        return b"x" * 16_000_000, accept or "text/plain"


def broken() -> Sequence[str]:
    raise ZeroDivisionError("secret 4711")


async def test_a_client_reads_all_three() -> None:
    metrics = Metrics()
    metrics.running(3)
    reasons = ["source mysql1 is away"]
    async with serving(":0", metrics, lambda: reasons) as address, client() as session:
        at = f"http://{address}"
        async with session.get(f"{at}/healthz") as alive:
            assert (alive.status, await alive.text()) == (200, "ok\n")
        async with session.get(f"{at}/readyz") as away:
            assert (away.status, await away.text()) == (503, "source mysql1 is away\n")
        reasons.clear()
        async with session.get(f"{at}/readyz") as ready:
            assert (ready.status, await ready.text()) == (200, "ready\n")
        async with session.get(f"{at}/metrics") as scrape:
            assert "\ns3rs_tables_running 3.0\n" in await scrape.text()
            assert scrape.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with session.get(f"{at}/metrics", headers=wanted) as scrape:
            assert (await scrape.text()).endswith("# EOF\n")


async def test_a_head_has_the_length_and_no_body() -> None:
    async with serving(":0", Metrics(), list) as address:
        head, body = (await raw(address, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).split(
            b"\r\n\r\n", 1
        )

    assert b"Content-Length: 3" in head
    assert body == b""


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc", b"405"),
        (b"rubbish\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100 + b"\r\n", b"400"),
    ],
)
async def test_whatever_is_sent_is_answered_shortly_and_tells_no_version(
    sent: bytes, code: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(":0", Metrics(), list) as address:
        received = await raw(address, sent)

    assert received.split(b" ")[1] == code
    assert received.count(b"Server: ") == received.count(b"Server: s3rs\r\n") == 1
    assert b"ython" not in received
    assert len(received) < 500
    assert capfd.readouterr() == ("", "")


async def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(":0", Metrics(), list) as address:
        await raw(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_a_bug_is_logged_and_not_shown() -> None:
    with structlog.testing.capture_logs() as told:
        async with serving(":0", Metrics(), broken) as address:
            received = await raw(address, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert b" 500 " in received
    assert b"4711" not in received
    assert [(line["path"], repr(line["exc_info"])) for line in told] == [
        ("/readyz", "ZeroDivisionError('secret 4711')")
    ]


async def test_a_late_loop_says_so_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = clock.seconds
    async with serving(":0", Metrics(), list) as address:
        monkeypatch.setattr(clock, "seconds", lambda: real() + 45)
        assert await status(address) == 503

        await asyncio.sleep(2.2)  # one beat finds the gap, the next is in time

        assert await status(address) == 200


async def test_a_second_daemon_on_the_port_is_told_the_option() -> None:
    async with serving(":0", Metrics(), list) as address:
        with pytest.raises(ConfigError, match="address already in use") as refused:
            async with serving(address, Metrics(), list):
                pass

        assert "--listen" in refused.value.hint
        assert await status(address) == 200


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "no-such-host.invalid:0", "a..b:0"])
async def test_an_address_of_no_one_here_is_a_request_to_correct(listen: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        async with serving(listen, Metrics(), list):
            pass


async def test_the_port_is_free_again_at_once() -> None:
    async with serving(":0", Metrics(), list) as address:
        assert await status(address) == 200
    async with serving(address, Metrics(), list) as again:
        assert again == address
        assert await status(again) == 200


async def hang_half_sent(address: str) -> asyncio.StreamWriter:
    _, writer = await connect(address)
    writer.write(HALF)
    return writer


async def hang_unread(address: str) -> asyncio.StreamWriter:
    _, writer = await connect(address)
    writer.transport.pause_reading()
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    return writer


async def hang_bodiless(address: str) -> asyncio.StreamWriter:
    _, writer = await connect(address)
    writer.write(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    return writer


HANGING = [hang_half_sent, hang_unread, hang_bodiless]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("hang", HANGING)
def test_a_hanging_client_does_not_hold_the_end_up(hang: Callable, loop: str) -> None:
    async def main() -> tuple[float, bool, int]:
        async with serving(":0", Wide(), list) as address:
            writer = await hang(address)
            await asyncio.sleep(0.3)
            since = time.monotonic()
        spent = time.monotonic() - since
        refused = await is_refused(address)
        left = sum(not task.done() for task in asyncio.all_tasks()) - 1
        writer.transport.abort()
        return spent, refused, left

    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        spent, refused, left = runner.run(main())

    assert spent < 2
    assert refused
    assert left == 0


async def test_nothing_is_sent_on_after_the_end() -> None:
    async with serving(":0", Wide(), list) as address:
        reader, writer = await connect(address)
        writer.transport.pause_reading()
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.3)
    writer.transport.resume_reading()

    received = 0
    async with asyncio.timeout(10):
        while chunk := await reader.read(1_000_000):
            received += len(chunk)
    writer.close()

    assert received < 16_000_000  # what the kernel held, and no more


async def test_scrapes_that_nobody_waits_for_are_not_written() -> None:
    class Slow(Metrics):
        written = 0

        def expose(self, accept: str | None = None) -> tuple[bytes, str]:
            Slow.written += 1
            time.sleep(0.2)
            return super().expose(accept)

    async with serving(":0", Slow(), list) as address:
        writers = []
        for _ in range(20):
            _, writer = await connect(address)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            writers.append(writer)
        await asyncio.sleep(0.1)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert await status(address, "/metrics") == 200

    assert Slow.written <= 4


@pytest.mark.parametrize("hang", HANGING)
async def test_a_hanging_client_is_cut(hang: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LIFETIME", 0.3)
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    async with serving(":0", Wide(), list) as address:
        writer = await hang(address)
        assert await raw(address, HALF) == b""  # the hanging one takes the only place

        await asyncio.sleep(0.5)
        answered = await raw(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.transport.abort()

    assert answered.startswith(b"HTTP/1.1 200")


async def test_no_more_than_so_many_are_let_in() -> None:
    async with serving(":0", Metrics(), list) as address:
        held = [await hang_half_sent(address) for _ in range(server.MOST_CONNECTIONS)]
        await asyncio.sleep(0.2)
        assert await raw(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""

        held[0].transport.abort()
        await asyncio.sleep(0.2)
        assert await status(address) == 200
        for writer in held:
            writer.transport.abort()


async def serve(metrics: Metrics, bound: asyncio.Future[str]) -> None:
    async with serving(":0", metrics, list) as address:
        bound.set_result(str(address))
        await asyncio.Event().wait()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_cancelling_leaves_no_listener(loop: str) -> None:
    async def main() -> bool:
        bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(serve(Metrics(), bound))
            address = await bound
            task.cancel()
        return await is_refused(address)

    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main())


async def test_cancelling_twice_cuts_what_hangs() -> None:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve(Wide(), bound))
        writer = await hang_unread(await bound)
        await asyncio.sleep(0.3)
        since = time.monotonic()
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
    writer.transport.abort()

    assert time.monotonic() - since < 0.4
    assert await is_refused(bound.result())
