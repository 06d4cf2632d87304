"""Two daemons have the same pipelines, and one of them is killed again and again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.daemon.extent import EXTENT
from tests.daemon.figures import Figures, Freshness
from tests.daemon.proof import prove, settled
from tests.daemon.writers import writing

if TYPE_CHECKING:
    from tests.daemon.conftest import Town
    from tests.daemon.process import Daemon

pytestmark = [pytest.mark.daemon, pytest.mark.thorough, pytest.mark.timeout(EXTENT.limit)]
TTL = 30.0
"""Seconds after which a table whose holder says nothing any more is taken over."""
OLDEST = TTL + 5 + EXTENT.every
DRAIN = 20.0
_DEATHS = 2


async def test_two_daemons_share_the_tables_and_one_dies_again_and_again(town: Town) -> None:
    town.settle(EXTENT.tables, rows=EXTENT.rows, every=f"{EXTENT.every}s")
    options = ("--parallel", "4", "--drain", f"{DRAIN:g}s")
    lasting, dying = town.daemon("lasting", *options), town.daemon("dying", *options)
    await lasting.start()
    await dying.start()
    fresh = Freshness(time.time())
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watched(town, fresh, stop))
        async with writing(town.tables, rate=EXTENT.rate, slow=2.0):
            deaths = await _killing(dying)
        await settled([lasting, dying], town.tables, within=OLDEST + 2 * EXTENT.every + 30)
        stop.set()
    for daemon in (lasting, dying):
        code, seconds = await daemon.terminate(within=DRAIN + 5)
        assert (code, seconds < DRAIN) == (0, True), daemon.told(f"{code} after {seconds:.1f} s")
    late = {name: age for name, age in fresh.worst.items() if age > OLDEST}
    assert not late, f"older than {OLDEST:g} s"
    rows = prove(town.box, town.tables)
    print(f"{rows} rows equal, {deaths} deaths, oldest {max(fresh.worst.values()):.1f} s")  # noqa: T201


async def _killing(dying: Daemon) -> int:
    """Kill and start it until the time is up, twice at least; how often."""
    until, deaths = time.monotonic() + EXTENT.seconds, 0
    while deaths < _DEATHS or time.monotonic() + EXTENT.kill_every < until:
        await asyncio.sleep(EXTENT.kill_every)
        await dying.killed()
        await dying.start()
        deaths += 1
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    return deaths


async def _watched(town: Town, fresh: Freshness, stop: asyncio.Event) -> None:
    """Look at all daemons again and again; one that is dead says nothing."""
    while not stop.is_set():
        scrapes = [found for each in town.daemons if (found := await _asked(each))]
        fresh.see(time.time(), town.tables, scrapes)
        await asyncio.sleep(0.5)


async def _asked(daemon: Daemon) -> Figures | None:
    try:
        return await daemon.scrape()
    except OSError:
        return None
