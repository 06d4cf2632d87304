"""What every test may ask for: one sandbox for the session, names of its own in it, and its loop.

Nothing of the caller's environment reaches a test: what names real AWS accounts, databases or a
configuration is dropped before anything is imported. Only where a real cluster is named for the
suite `real` are the caller's AWS variables kept for it, under other names.

Tests in `tests/unit` run on virtual time: their loop never waits, it moves its clock to the next
timer, so hours pass in milliseconds and a deadlock fails at once instead of by timeout. Work in
threads is the one thing it waits for. All others run on a real loop.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import selectors
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _name in [name for name in os.environ if name.startswith(("S3RS_", "AWS_", "DB_"))]:
    _value = os.environ.pop(_name)
    if _name.startswith("AWS_") and os.environ.get("REAL_REDSHIFT_URL"):
        os.environ[f"REAL_{_name}"] = _value

# A shell's background job is born deaf to Ctrl-C, and its children would be too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import psycopg  # noqa: E402
import pymysql  # noqa: E402
import pytest  # noqa: E402
import uvloop  # noqa: E402
from xdist.scheduler import WorkStealingScheduling  # noqa: E402

from s3rs_async import clock  # noqa: E402
from s3rs_async.sandbox import Box, Sandbox  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_UNIT = Path(__file__).parent / "unit"
_LONG = {"daemon", "race", "simulation"}
"""Folders whose tests wait or calculate most."""
_ASKED_FOR = {"crash", "fault", "model", "protocol", "race", "simulation", "thorough"}
"""What a test names that `-m` alone runs."""
_SUITES = {
    "crash": "crash",
    "fault": "fault",
    "fuzz": "fuzz",
    "loss": "loss",
    "model": "model",
    "race": "race",
    "simulation": "simulation",
}
"""By folder: the suite that has its other tests too, the short ones that every run has."""
_FIGURES = {
    "real": ("the stand-in's rules against a real cluster", "tests.standin.real"),
    "model": ("the protocol's model", "tests.model.figures"),
    "simulation": ("the simulation", "tests.simulation.figures"),
    "crash": ("the crash matrix", "tests.crash.figures"),
    "race": ("the race", "tests.race.figures"),
    "fuzz": ("hostile bytes", "tests.fuzz.figures"),
    "loss": ("interleaved writes and passes", "tests.loss.figures"),
    "servers": ("types, and a real MySQL server", "tests.servers.figures"),
}
_PROTOCOL = {
    "test_claims.py",
    "test_full_refresh.py",
    "test_hand_set.py",
    "test_redshift_chain.py",
    "test_refused_passes.py",
    "test_replay.py",
    "test_s3clean.py",
    "test_stopped.py",
    "test_watermark.py",
    "test_window_replace.py",
}
"""The protocol's commands on real servers, a process for each call."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that moves its clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._in_threads = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._out_of_thread)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self._in_threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._in_threads -= 1

    def _out_of_thread(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    def jump(self, timeout: float | None) -> bool:
        """Move the clock; no, when a thread's work has to be waited for."""
        if self._in_threads:
            return False
        if timeout is None:
            raise RuntimeError("deadlock: every task waits and no timer is set")
        self._now += max(timeout, 0.0)
        return True


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0 or self._loop.jump(timeout):
            return ready
        return super().select(0.01)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for unit tests, the real loop for the others, the product's for some beside."""
    if _UNIT in item.path.parents:
        return {"virtual": VirtualTimeLoop}
    if item.get_closest_marker("uvloop") is not None:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"real": asyncio.new_event_loop}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What waits most goes first, lest it wait alone at the end; what takes long is asked for."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)
    for item in items:
        if item.path.parent.name == "acceptance" and item.path.name in _PROTOCOL:
            item.add_marker("protocol")
    if not config.option.markexpr:
        asked_for = {
            item for item in items if _ASKED_FOR & {each.name for each in item.iter_markers()}
        }
        config.hook.pytest_deselected(items=list(asked_for))
        items[:] = [item for item in items if item not in asked_for]
    for item in items:
        if (suite := _SUITES.get(item.path.parent.name)) is not None:
            item.add_marker(suite)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A cell of the crash matrix waits half of its time: one worker more than processors."""
    return (os.cpu_count() or 1) + 1 if config.option.markexpr == "crash" else None


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WorkStealingScheduling | None:
    """The model's searches share nothing, and the longest are in one file: any worker takes any."""
    return WorkStealingScheduling(config, log) if config.option.markexpr == "model" else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What suites have come to, where they ran: each has a module that reads what tests told."""
    ended = [each for some in terminalreporter.stats.values() for each in some]
    last = [each for each in ended if getattr(each, "when", None) == "call" or _is_kept_back(each)]
    told = [pair for each in last for pair in each.user_properties]
    for suite, (title, place) in _FIGURES.items():
        if suite in {name for name, _ in told}:
            figures = importlib.import_module(place)
            terminalreporter.section(title)
            terminalreporter.write_line(figures.report(figures.read(told)))


def _is_kept_back(report: Any) -> bool:
    return getattr(report, "when", None) == "setup" and not report.passed


@pytest.fixture(autouse=True)
def _one_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On virtual time, `clock.seconds` is the loop's clock too."""

    def seconds() -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return time.monotonic()

    if _UNIT in request.path.parents:
        monkeypatch.setattr(clock, "seconds", seconds)


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    """The session's sandbox. It belongs to no loop, so every test may use its own."""
    sandbox = Sandbox()
    running = asyncio.run(sandbox.start())
    try:
        yield running
    finally:
        asyncio.run(sandbox.stop())


@pytest.fixture
def database(box: Box) -> Iterator[str]:
    """A MySQL database of the test's own."""
    name = f"t_{secrets.token_hex(6)}"
    _mysql(box, f"CREATE DATABASE `{name}`")
    yield name
    _mysql(box, f"DROP DATABASE `{name}`")


@pytest.fixture
def schema(box: Box) -> Iterator[str]:
    """A schema of the test's own in the stand-in."""
    name = f"t_{secrets.token_hex(6)}"
    _redshift(box, f"CREATE SCHEMA {name}")
    yield name
    _redshift(box, f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def prefix() -> str:
    """A prefix of the test's own in the bucket."""
    return f"t-{secrets.token_hex(6)}"


def _mysql(box: Box, statement: str) -> None:
    mysql = box.mysql
    with (
        pymysql.connect(
            host=mysql.host, port=mysql.port, user=mysql.user, password=mysql.password
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def _redshift(box: Box, statement: str) -> None:
    with psycopg.connect(box.redshift.url, autocommit=True) as connection:
        connection.execute(statement.encode())
