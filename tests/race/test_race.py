"""Three daemons and two command loops on one pipeline, killed, stopped and woken at random.

When all is quiet again one plain sync must bring both ends to the same rows, each as often, with
every ledger's chain whole and no claim held: so nothing was lost and nothing doubled, whoever died
when. Then, in still weather, it is measured how long a table stays without a holder.

    ./dev test -m race       ten minutes of storm, or TEST_RACE_SECONDS; prints the figures
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.daemon.proof import MARGIN, prove
from tests.daemon.writers import writing
from tests.race import figures
from tests.race.storm import Storm, Succession
from tests.race.track import EVERY, TTL, Machine, Track, ended, internal, track_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3rs_async.sandbox import Box

    Record = Callable[[str, object], None]

AFTER_KILL = TTL + 5.0 + EVERY
AFTER_TERM = 2.0
"""Seconds within which a table is taken over, where passes take none; to each comes one pass, as
long as one takes on this machine at that time: that of the taker, or the last of the one told."""


@dataclass(frozen=True)
class Extent:
    """Seconds of storm, rows at the beginning, and how often each succession is measured."""

    storm: float
    rows: int
    successions: int


SHORT = Extent(storm=60, rows=200, successions=1)
LONG = Extent(storm=float(os.environ.get("TEST_RACE_SECONDS") or 600), rows=1000, successions=10)


@pytest.mark.timeout(300)
async def test_a_short_storm_loses_and_doubles_nothing(box: Box, record_property: Record) -> None:
    with track_in(box, SHORT.rows) as track:
        await _race(track, SHORT, 5, record_property)


@pytest.mark.race
@pytest.mark.timeout(LONG.storm + 600)
async def test_a_long_storm_loses_and_doubles_nothing(box: Box, record_property: Record) -> None:
    with track_in(box, LONG.rows) as track:
        await _race(track, LONG, secrets.randbelow(10**6), record_property)


async def _race(track: Track, extent: Extent, seed: int, record: Record) -> None:
    track.machines = [Machine(track, f"machine-{number}") for number in range(3)]
    for machine in track.machines:
        machine.start()
    storm = Storm(track, seed)
    async with writing(track.tables, rate=3, slow=1.0, seed=seed):
        await storm.rage(extent.storm)
        succession = Succession(track)
        for _ in range(extent.successions):
            await succession.after_term()
            await succession.after_kill()
    rows = await _proven(track)
    record(*figures.told(_told(storm, succession, rows, track)))
    assert max(succession.killed) <= AFTER_KILL + succession.longest_pass
    assert max(succession.told) <= AFTER_TERM + succession.longest_pass


async def _proven(track: Track) -> int:
    """All quiet, one fresh sync, and both ends are equal."""
    for machine in track.machines:
        await machine.terminated()
    track.add_rows(1)
    await asyncio.sleep(MARGIN)
    fresh = track.begin("a fresh machine", "sync")
    assert await ended(fresh, 60) == 0, fresh.told[-3000:]
    for state in track.states():
        assert state["claim"]["released"], state["claim"]
    for call in track.commands.calls:
        assert not internal(call), internal(call)
    return await asyncio.to_thread(prove, track.box, track.tables)


def _told(storm: Storm, succession: Succession, rows: int, track: Track) -> str:
    kills = storm.kills + len(succession.killed)
    lines = [
        (
            f"seed {storm.seed}, {storm.seconds:.0f} s of storm: {kills} kills,"
            f" {storm.stops} stops, {track.take_overs()} take-overs, {track.loads()} batches loaded"
        ),
        f"rows: {rows} on both ends, 0 lost, 0 doubled",
        (
            f"worst take-over: {max(succession.killed):.1f} s after a kill (of {AFTER_KILL:g}),"
            f" {max(succession.told):.1f} s after SIGTERM (of {AFTER_TERM:g}),"
            f" the longest pass {succession.longest_pass:.1f} s"
        ),
        *(f"  {call}, {count} times" for call, count in sorted(storm.calls.items())),
    ]
    return "\n".join(lines)
