"""Who asks what gets which answer, and how late a loop is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from s3rs_async import clock
from s3rs_async.errors import ConfigError
from s3rs_async.health import DEFAULT_LISTEN, serving, split
from s3rs_async.health.answer import Answer, Answers, Pulse
from s3rs_async.metrics import Metrics


async def answer(
    path: str, method: str = "GET", *, accept: str = "", reasons: Sequence[str] = ()
) -> Answer:
    with Pulse() as pulse, Answers(pulse, Metrics(), lambda: reasons) as answers:
        return await answers.answer(method, path, accept)


def stall(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The loop stood still for so long: what its next turn finds."""
    before = clock.seconds
    monkeypatch.setattr(clock, "seconds", lambda: before() + seconds)


async def test_a_loop_that_turns_is_alive() -> None:
    assert await answer("/healthz") == Answer(200, b"ok\n")


async def test_ready_is_said_when_nothing_speaks_against_it() -> None:
    assert await answer("/readyz") == Answer(200, b"ready\n")


async def test_each_reason_against_being_ready_is_one_line() -> None:
    told = await answer("/readyz", reasons=["mysql1: no route\nto host", "no pipeline is loaded"])

    assert told == Answer(503, b"mysql1: no route to host\nno pipeline is loaded\n")


async def test_a_scrape_gets_the_text_it_accepts() -> None:
    plain = await answer("/metrics")
    opened = await answer("/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert opened.content_type.startswith("application/openmetrics-text")
    assert b"s3rs_build_info" in plain.body


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metrics/../etc/passwd", "*", ""])
async def test_another_path_is_told_the_three(path: str) -> None:
    told = await answer(path)

    assert told.status == 404
    assert all(known in told.body for known in (b"/healthz", b"/readyz", b"/metrics"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
async def test_nothing_but_reading_is_allowed(method: str) -> None:
    assert (await answer("/metrics", method)).status == 405


async def test_a_scrape_is_written_beside_the_loop() -> None:
    class Slow(Metrics):
        def expose(self, accept: str | None = None) -> tuple[bytes, str]:
            time.sleep(0.2)
            return super().expose(accept)

    turns = 0
    with Pulse() as pulse, Answers(pulse, Slow(), list) as answers:
        async with asyncio.TaskGroup() as tasks:
            scrape = tasks.create_task(answers.answer("GET", "/metrics", ""))
            while not scrape.done():
                turns += 1
                await asyncio.sleep(0)

    assert turns > 10


async def test_a_turning_loop_is_never_late() -> None:
    with Pulse() as pulse:
        for _ in range(10):
            await asyncio.sleep(7.3)

            assert pulse.late() == pytest.approx(0, abs=1e-6)


async def test_a_loop_that_stands_is_late_by_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pulse() as pulse, Answers(pulse, Metrics(), list) as answers:
        await asyncio.sleep(5)
        stall(monkeypatch, 20)
        near = await answers.answer("GET", "/healthz", "")
        stall(monkeypatch, 20)
        far = await answers.answer("GET", "/healthz", "")

    assert near == Answer(200, b"ok\n")
    assert far == Answer(503, b"the loop is 39 s late\n")


async def test_a_thrashing_loop_is_late_even_right_after_its_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pulse() as pulse:
        stall(monkeypatch, 40)
        await asyncio.sleep(1.1)

        assert pulse.late() == pytest.approx(40)


async def test_a_single_stall_is_forgotten_with_the_next_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pulse() as pulse:
        stall(monkeypatch, 40)
        await asyncio.sleep(2.1)

        assert pulse.late() == pytest.approx(0, abs=1e-6)


async def test_a_pulse_leaves_no_timer() -> None:
    with Pulse():
        await asyncio.sleep(3)
    left = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]

    assert left == []


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        (DEFAULT_LISTEN, "127.0.0.1", 8080),
        (":0", "127.0.0.1", 0),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:9464", "::1", 9464),
        ("localhost:9464", "localhost", 9464),
    ],
)
def test_an_address_is_a_host_and_a_port(listen: str, host: str, port: int) -> None:
    assert split(listen) == (host, port)


@pytest.mark.parametrize(
    "listen", ["", "9464", "localhost", "a:b", ":65536", ":-1", "::1:80", "[::1]", ":٣", "Off"]
)
def test_what_is_no_address_is_refused_with_its_option(listen: str) -> None:
    with pytest.raises(ConfigError, match="not an address") as refused:
        split(listen)

    assert "--listen" in refused.value.hint


async def test_off_serves_nothing() -> None:
    async with serving("off", Metrics(), list) as address:
        assert address is None


def test_who_serves_nothing_loads_no_server() -> None:
    code = "import sys, s3rs_async.health; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
