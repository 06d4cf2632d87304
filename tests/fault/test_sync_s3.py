"""Each request that a sync makes of S3 fails once, in each way that a request can fail.

The ordinary run takes another way at each request; `-m fault` takes all of them at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from s3rs_async.sandbox.faults import (
    CONFLICT,
    EXPIRED,
    FAILED_AFTER,
    FULL,
    SLOW_DOWN,
    STALE,
    Answer,
    Armed,
    Drop,
    Fault,
    Late,
    Match,
    Retag,
    Truncate,
)
from tests.acceptance import ledger
from tests.crash.town import Table, Town
from tests.fault.faulty import Tally, equal, survive

if TYPE_CHECKING:
    from collections.abc import Sequence

WAYS: dict[str, Fault] = {
    "lost": Drop(applied=True),
    "never-sent": Drop(applied=False),
    "failed-after": FAILED_AFTER,
    "slow-down": SLOW_DOWN,
    "slow-down-after": Answer(503, "SlowDown", applied=True),
    "conflict": CONFLICT,
    "stale": STALE,
    "expired": EXPIRED,
    "full": FULL,
    "truncated": Truncate(7),
    "retagged": Retag(),
    "late": Late(),
    "late-and-silent": Late(None),
}
REQUESTS = 24
"""Of one sync that brings a table forward."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def faulty(town: Town, table: Table, ways: Sequence[str], nth: int, tally: Tally) -> bool:
    """The nth request of a sync fails in each of these ways; False where there is no nth."""
    for way in ways:
        armed: Armed | None = None

        def arm(way: str = way) -> None:
            nonlocal armed
            town.s3.seen.clear()
            armed = town.s3.put(Match(key=f"/{table.pipeline}/", nth=nth), WAYS[way])

        await survive(table, tally, f"request {nth} {way}", arm)
        assert armed is not None
        if not armed.requests:
            return False
    return True


@pytest.mark.parametrize("part", [0, 1])
async def test_a_sync_survives_a_failure_of_its_requests(town: Town, part: int) -> None:
    table, tally, names = town.table("merge", 9), Tally(), list(WAYS)
    await table.synced()
    for nth in range(1 + part, REQUESTS + 1, 4):
        assert await faulty(town, table, [names[(nth * 5 + part) % len(names)]], nth, tally)
    assert tally.syncs == REQUESTS // 4


async def test_a_failure_inside_of_a_good_answer_is_seen(town: Town) -> None:
    """The one request that S3 may answer 200 before it knows whether it will succeed."""
    table, tally = town.table("merge", 9), Tally()
    await table.synced()
    fault = Match("POST", f"/{table.pipeline}/", "complete")
    armed = []
    failing = Answer(200, "InternalError")
    await survive(table, tally, "200", lambda: armed.append(town.s3.put(fault, failing)))
    assert armed[0].met.is_set(), "no upload was completed"


@pytest.mark.fault
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("way", WAYS)
async def test_a_sync_survives_each_failure_of_each_request(town: Town, way: str) -> None:
    table, tally, nth = town.table("merge", 9), Tally(), 1
    await table.synced()
    while await faulty(town, table, [way], nth, tally):
        nth += 1
    assert nth >= REQUESTS - 4, tally


@pytest.mark.parametrize("status", [503, None])
async def test_a_commit_that_arrives_late_is_refused_or_is_the_one(
    town: Town, status: int | None
) -> None:
    """Its sender has sent it again by then, or given up: it changes nothing that was read since."""
    table, tally = town.table("append", 9), Tally()
    await table.synced()
    for nth in (1, 2):
        table.mysql(*table.change())
        late = town.s3.put(
            Match("PUT", f"/{table.pipeline}/.*/state[.]json$", nth=nth), Late(status)
        )
        await table.synced()
        before = await asyncio.to_thread(ledger.state, table.place)
        assert await late.deliver() == 412
        tally.succeeded += 1
        assert await asyncio.to_thread(ledger.state, table.place) == before
        town.s3.heal()
        await asyncio.to_thread(equal, table, f"late {nth}")
    assert tally.syncs == 2
