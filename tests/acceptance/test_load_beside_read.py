"""What a pass has committed is loaded while the same pass reads on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from s3rs_async import service
from s3rs_async.commit import LedgerHead
from s3rs_async.config import load_connections
from s3rs_async.errors import Error, UnavailableError
from s3rs_async.model import Sizes, TableSpec
from s3rs_async.mysql import feed, reader
from s3rs_async.mysql.walk import ChunkEnd
from s3rs_async.redshift import loader
from s3rs_async.report import TableReport
from s3rs_async.sandbox import Box
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql, redshift
from tests.acceptance.ledger import Place

STAMP = "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
ROWS, CHUNK = 60, 20
Gate = Callable[[], Awaitable[Any]]
Load = Callable[..., Awaitable[LedgerHead]]


@dataclass
class Way:
    """A table of three chunks, each of which is a batch."""

    box: Box
    name: str
    patch: pytest.MonkeyPatch

    @property
    def place(self) -> Place:
        return Place(self.box, f"{self.name}.a")

    def before_the_third(self, gate: Gate) -> None:
        """The third chunk's rows come when the gate lets them."""
        read = feed.read_pass

        async def gated(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            ends = 0
            async with contextlib.aclosing(read(*args, **kwargs)) as items:
                async for item in items:
                    if ends == 2:
                        await gate()
                    ends += isinstance(item, ChunkEnd)
                    yield item

        self.patch.setattr(feed, "read_pass", gated)

    def loads_by(self, instead: Callable[..., Awaitable[LedgerHead]]) -> None:
        """Loads go through this, which is given the way they go otherwise."""
        self.patch.setattr(loader, "load", functools.partial(instead, loader.load))

    def sync(self, **asked: Any) -> TableReport:
        ask = service.Ask(tables=(f"{self.name}.a",), **asked)
        end = asyncio.run(service.sync(load_connections(self.box.config, {}), ask))
        (table,) = end.report.tables
        return table

    async def loaded(self, batches: int) -> None:
        """Wait until the ledger has so many batches."""
        async with asyncio.timeout(30):
            while len(ledger.look(self.place).lines) < batches:  # noqa: ASYNC110 - of the server
                await asyncio.sleep(0.05)


@pytest.fixture
def way(box: Box, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    of_tiny_batches = functools.partial(TableSpec, sizes=Sizes(batch=1))
    monkeypatch.setattr(service, "TableSpec", of_tiny_batches)
    monkeypatch.setattr(reader, "_FIRST_ROWS", CHUNK)
    monkeypatch.setattr(reader, "_MOST_ROWS", CHUNK)
    monkeypatch.setattr(reader, "_LEAST_ROWS", CHUNK)
    mysql(
        box.mysql.url,
        f"INSERT INTO a SELECT seq, '2026-01-01' FROM seq_1_to_{ROWS}",
        script=(
            f"USE {database}",
            f"CREATE TABLE a (id INT PRIMARY KEY, u {STAMP}, KEY (u))",
        ),
    )
    yield Way(box, database, monkeypatch)
    redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


def test_the_first_batch_is_in_the_target_before_the_last_is_read(way: Way) -> None:
    way.before_the_third(lambda: way.loaded(1))
    table = way.sync()
    assert table.error is None
    assert (table.meter.batches, table.target_rows) == (3, ROWS)
    assert assert_equal(way.box, f"{way.name}.a") == ROWS
    ledger.check(way.place, drained=True)


def test_nothing_is_loaded_beside_a_pass_that_only_reads(way: Way) -> None:
    table = way.sync(load=False)
    assert table.error is None
    assert len(ledger.look(way.place).pending) == 3
    assert ledger.look(way.place).lines == []


def test_a_load_that_fails_beside_the_read_is_made_good_when_all_is_read(way: Way) -> None:
    tries: list[int] = []
    tried = asyncio.Event()

    async def fails_once(load: Load, *terms: Any) -> LedgerHead:
        tries.append(len(tries))
        if not tried.is_set():
            tried.set()
            raise UnavailableError("not now")
        return await load(*terms)

    way.loads_by(fails_once)
    way.before_the_third(tried.wait)
    table = way.sync()
    assert table.error is None
    assert len(tries) == 2
    assert assert_equal(way.box, f"{way.name}.a") == ROWS
    ledger.check(way.place, drained=True)


def test_a_read_that_fails_cuts_the_load_beside_it_and_nothing_is_lost(way: Way) -> None:
    begun, cut = asyncio.Event(), asyncio.Event()

    async def hangs_once(load: Load, *terms: Any) -> LedgerHead:
        if begun.is_set():
            return await load(*terms)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        raise AssertionError

    async def fails_once() -> None:
        if not cut.is_set():
            await begun.wait()
            raise Error("the reader fails on purpose")

    way.loads_by(hangs_once)
    way.before_the_third(fails_once)
    table = way.sync()
    assert "the reader fails on purpose" in str(table.error)
    assert cut.is_set()
    assert way.sync().error is None
    assert assert_equal(way.box, f"{way.name}.a") == ROWS
    ledger.check(way.place, drained=True)
