"""That nothing is lost, doubled or late, once the writers have stopped.

A table is settled when it has had two more successes: the second of them began after the first had
ended, and so after the last commit. Then both sides hold the same rows, typed and each as often,
and the ledger's chain is whole.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s3rs_async.sandbox import Box
    from tests.daemon.figures import Figures
    from tests.daemon.process import Daemon
    from tests.daemon.tables import Table

MARGIN = 4.0
"""Seconds by which the newest stamps are left for the next pass, and a little."""
_LOOK = 0.5


async def seen(
    daemons: Sequence[Daemon],
    holds: Callable[[list[Figures]], bool],
    what: str,
    *,
    within: float,
) -> list[Figures]:
    """Scrape all daemons until what is looked for is there; the scrapes."""
    deadline = time.monotonic() + within
    while not holds(found := [await daemon.scrape() for daemon in daemons]):
        told = "\n".join(daemon.told("so far") for daemon in daemons)
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{told}"
        await asyncio.sleep(_LOOK)
    return found


async def settled(daemons: Sequence[Daemon], tables: Sequence[Table], *, within: float) -> float:
    """Wait until every table has been read after the last commit; the seconds that it took."""
    began = time.monotonic()
    await asyncio.sleep(MARGIN)
    base = successes([await daemon.scrape() for daemon in daemons], tables)

    def twice(found: list[Figures]) -> bool:
        now = successes(found, tables)
        return all(now[table.name] >= base[table.name] + 2 for table in tables)

    await seen(daemons, twice, "two more successes of each table", within=within)
    return time.monotonic() - began


def successes(scrapes: Sequence[Figures], tables: Sequence[Table]) -> dict[str, float]:
    """The successes of each table, of all processes together."""
    return {table.name: sum(each.successes(table) for each in scrapes) for table in tables}


def prove(box: Box, tables: Sequence[Table]) -> int:
    """Assert that both ends are equal and every chain is whole; the number of rows."""
    rows = 0
    for table in tables:
        name, server = table.name, table.server.url
        rows += assert_equal(box, name, source=server, key=table.shape.key, why=table.shape.name)
        assert ledger.check(table.place(box), drained=True) > 0, f"{name} was never loaded"
    return rows
