"""A MySQL stream and a Redshift load, dropped at the bytes of a grid.

Three bytes in the ordinary run, a grid of 200 bytes by `-m fault`. Each way is dropped from its
first byte on, as far as a whole sync sends any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_async.sandbox.faults import DOWN, UP, Proxy, Reset, Way
from tests.fault.faulty import Tally, clean, survive

if TYPE_CHECKING:
    from tests.crash.town import Town

FINE = 200
FEW, MOST = 3, 40
"""Syncs of a grid, however many bytes one takes."""
WAYS = [
    pytest.param(end, way, id=f"{end}-{way.name.lower()}")
    for end in ("mysql", "redshift")
    for way in (UP, DOWN)
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def dropped(town: Town, end: str, way: Way, most: int) -> Tally:
    """Drop one sync after the other, each some bytes later, as far as a sync goes by itself."""
    proxy: Proxy = getattr(town, end)
    table, tally = town.table("merge", 9), Tally()
    await table.synced()
    size, _ = await clean(table, proxy, way)
    for at in range(0, size, max(FINE, -(-size // most))):
        placed = None

        def arm(at: int = at) -> None:
            nonlocal placed
            placed = proxy.put(Reset(at), way)

        await survive(table, tally, f"{end} {way.name} at {at}", arm)
        assert placed is not None
        assert placed.met.is_set(), f"{end} {way.name} has fewer bytes than {at}"
    return tally


@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_a_sync_dropped_at_any_byte_is_made_good(town: Town, end: str, way: Way) -> None:
    tally = await dropped(town, end, way, FEW)
    assert tally.syncs == FEW, tally


@pytest.mark.fault
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("end", "way"), WAYS)
async def test_a_sync_dropped_at_every_byte_of_a_fine_grid_is_made_good(
    town: Town, end: str, way: Way
) -> None:
    tally = await dropped(town, end, way, MOST)
    assert tally.syncs >= 8, tally
