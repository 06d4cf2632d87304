"""One source, and later the bastion, go down while applications write: nothing is lost by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.extent import EXTENT
from tests.daemon.proof import prove, seen, settled
from tests.daemon.writers import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.daemon.conftest import Town
    from tests.daemon.figures import Figures
    from tests.daemon.process import Daemon
    from tests.daemon.tables import Table

pytestmark = [pytest.mark.daemon, pytest.mark.thorough, pytest.mark.timeout(EXTENT.limit)]
DRAIN = 20.0
NOTICED = 20.0
RECOVERED = 90.0
"""A minute at most between two tries, and the passes that stand in line."""


async def test_a_source_and_the_bastion_go_down_and_come_back(town: Town) -> None:
    town.settle(EXTENT.tables, rows=EXTENT.rows, every=f"{EXTENT.every}s")
    daemon = town.daemon("daemon", "--parallel", "4", "--drain", f"{DRAIN:g}s")
    await daemon.start()
    down = [table for table in town.tables if table.server.name == "mysql3"]
    others = [table for table in town.tables if table.server.name != "mysql3"]
    quiet = (EXTENT.seconds - 2 * EXTENT.outage) / 3
    async with writing(town.tables, rate=EXTENT.rate, slow=2.0) as writers:
        await _all_passed(daemon, town.tables)
        await asyncio.sleep(quiet)
        await _outage(town, daemon, "mysql3", down, others)
        await asyncio.sleep(quiet)
        await _outage(town, daemon, "bastion", town.tables, ())
        await asyncio.sleep(quiet)
        await writers.stop()
    took = await settled([daemon], town.tables, within=2 * EXTENT.every + RECOVERED)
    used = daemon.cpu
    code, seconds = await daemon.terminate(within=DRAIN + 5)
    assert code == 0
    assert seconds < DRAIN
    assert set(writers.lost) >= {table.name for table in down}
    assert min(writers.committed[table.name] for table in town.tables) > EXTENT.seconds / 4
    rows = prove(town.box, town.tables)
    print(  # noqa: T201 - the figures of a full run
        f"{rows} rows equal, settled in {took:.1f} s, drained in {seconds:.1f} s,"
        f" {used:.1f} s of CPU, {daemon.peak >> 20} MB at most"
    )


async def _all_passed(daemon: Daemon, tables: Sequence[Table]) -> None:
    """The tables' first passes, which read them whole."""

    def holds(found: list[Figures]) -> bool:
        return all(found[0].successes(table) > 0 for table in tables)

    await seen([daemon], holds, "every table's first success", within=60)


async def _outage(
    town: Town, daemon: Daemon, part: str, down: Sequence[Table], others: Sequence[Table]
) -> None:
    """Halt a part: tables behind it fail, and all pass again; the others go on all the time.

    A short outage a pass may sit out, since a read that is cut is tried again a few times.
    """
    before = await daemon.scrape()
    await town.sandbox.halt(part)
    await asyncio.sleep(EXTENT.outage)
    during = await daemon.scrape()
    await town.sandbox.resume(part)
    for table in others:
        assert during.errors(table) == before.errors(table), f"{table.name} failed without {part}"
    passed = [table for table in others if during.successes(table) > before.successes(table)]
    assert others == () or passed, f"nothing went on without {part}"
    assert daemon.running, daemon.told(f"{part} was away")

    def failed(found: list[Figures]) -> bool:
        return any(found[0].errors(table) > before.errors(table) for table in down)

    await seen([daemon], failed, f"errors of what needs {part}", within=NOTICED)
    back = await daemon.scrape()

    def recovered(found: list[Figures]) -> bool:
        (now,) = found
        hurt = [table for table in down if now.errors(table) > before.errors(table)]
        return all(now.successes(table) > back.successes(table) for table in down) and all(
            now.recoveries(table) > before.recoveries(table) for table in hurt
        )

    await seen([daemon], recovered, f"passes of all that needs {part}", within=RECOVERED)
