"""One byte turned on its way under TLS, to MySQL or to Redshift: never loaded, always noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from s3rs_async.sandbox import Sandbox
from s3rs_async.sandbox.faults import DOWN, UP, Corrupt, Placed, Proxy, Way
from tests.crash.town import Table, Town, town_in
from tests.fault.faulty import Tally, survive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS = [
    pytest.param(end, way, id=f"{end}-{way.name.lower()}")
    for end in ("mysql", "redshift")
    for way in (UP, DOWN)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town() -> AsyncIterator[Town]:
    """Both databases behind the bastion, in TLS; the proxies are between the two."""
    async with Sandbox(tunnelled=("mysql",)) as box, town_in(box) as made:
        yield made


async def turned(table: Table, proxy: Proxy, way: Way, at: int) -> bool:
    """One byte of a sync is turned; False where it sent fewer."""
    tally, placed = Tally(), None

    def arm() -> None:
        nonlocal placed
        placed = proxy.put(Corrupt(at), way)

    before = proxy.connections
    call = await survive(table, tally, f"{way.name} at {at}", arm)
    assert isinstance(placed, Placed)
    if placed.met.is_set() and tally.succeeded:
        assert proxy.connections - before > 2, f"not noticed at {at}:\n{call.told}"
    return placed.met.is_set()


@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_a_turned_byte_is_noticed_and_never_loaded(town: Town, end: str, way: Way) -> None:
    proxy: Proxy = getattr(town, end)
    table = town.table("merge", 9, tunnelled=True)
    began = proxy.passed[way]
    await table.synced()
    size = proxy.passed[way] - began
    assert await turned(table, proxy, way, size * 6 // 10)


@pytest.mark.crash
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_any_turned_byte_is_noticed(town: Town, end: str, way: Way) -> None:
    proxy: Proxy = getattr(town, end)
    table, at = town.table("merge", 9, tunnelled=True), 0
    await table.synced()
    while await turned(table, proxy, way, at):
        at += 397
        await asyncio.sleep(0)
    assert at, "not one byte was turned"
