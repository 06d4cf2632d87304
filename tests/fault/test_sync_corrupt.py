"""One byte turned on its way under TLS, to MySQL or to Redshift: never loaded, always noticed.

But for the good-bye: whoever has all that was asked for does not care what becomes of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from s3rs_async.sandbox import Sandbox
from s3rs_async.sandbox.faults import DOWN, UP, Corrupt, Placed, Proxy, Way
from tests.crash.town import Table, Town, town_in
from tests.fault.faulty import Tally, clean, survive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD_BYE = {UP: 27 + 24, DOWN: 24}
"""Bytes of the records, in TLS 1.3, of a five byte command to quit and of the alert at the end."""
MOST = 24
"""Syncs of a grid, however many bytes one takes."""
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


async def turned(table: Table, proxy: Proxy, way: Way, at: int, usual: int) -> bool:
    """One byte of a sync is turned; False where it sent fewer.

    A sync that came through nevertheless has made more than its `usual` connections.
    """
    tally, placed = Tally(), None

    def arm() -> None:
        nonlocal placed
        placed = proxy.put(Corrupt(at), way)

    before = proxy.connections
    call = await survive(table, tally, f"{way.name} at {at}", arm)
    assert isinstance(placed, Placed)
    if placed.met.is_set() and tally.succeeded and placed.after >= GOOD_BYE[way]:
        found = f"not noticed at {at}, {placed.after} bytes before the end"
        assert proxy.connections - before > usual, f"{found}:\n{call.told}"
    return placed.met.is_set()


@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_a_turned_byte_is_noticed_and_never_loaded(town: Town, end: str, way: Way) -> None:
    proxy: Proxy = getattr(town, end)
    table = town.table("merge", 9, tunnelled=True)
    await table.synced()
    size, usual = await clean(table, proxy, way)
    assert await turned(table, proxy, way, size * 6 // 10, usual)


@pytest.mark.fault
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_any_turned_byte_is_noticed(town: Town, end: str, way: Way) -> None:
    proxy: Proxy = getattr(town, end)
    table = town.table("merge", 9, tunnelled=True)
    await table.synced()
    size, usual = await clean(table, proxy, way)
    for at in range(0, size, max(397, size // MOST)):
        assert await turned(table, proxy, way, at, usual), f"fewer bytes than {at}"
