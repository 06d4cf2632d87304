"""A sync under a fault, and what must hold after it: it succeeds or says so, and nothing is lost.

The rows change before each sync, so each has something to lose. One that failed is followed by a
clean one. The state of the target is looked at after either: it is the source's, row by row, and
the ledger's chain is whole.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal
from tests.crash.town import Call, Table, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3rs_async.sandbox.faults import Proxy, Way

CODES = {2, 3, 4, 5, 6}
"""2 as well: keys that expire and a server that does not want TLS look like a wrong setting."""


@dataclass
class Tally:
    """How the syncs of a test ended."""

    succeeded: int = 0
    failed: int = 0

    @property
    def syncs(self) -> int:
        return self.succeeded + self.failed


async def survive(table: Table, tally: Tally, why: str, arm: Callable[[], object]) -> Call:
    """Change rows, sync with the fault armed, then cleanly where that one failed; all is equal."""
    table.mysql(*table.change())
    arm()
    call = table.begin()
    code = await ended(call)
    await table.town.heal()
    if code:
        tally.failed += 1
        assert code in CODES, f"{why}: exit code {code}\n{call.told[-3000:]}"
        assert "Error: " in call.told, f"{why}: not a word\n{call.told[-3000:]}"
        assert "internal error" not in call.told, f"{why}:\n{call.told[-3000:]}"
        await table.synced()
    else:
        tally.succeeded += 1
    await asyncio.to_thread(equal, table, why)
    return call


async def clean(table: Table, proxy: Proxy, way: Way) -> tuple[int, int]:
    """What a sync of new rows takes where nothing is wrong: bytes that way, and connections."""
    table.mysql(*table.change())
    passed, connections = proxy.passed[way], proxy.connections
    await table.synced()
    return proxy.passed[way] - passed, proxy.connections - connections


def equal(table: Table, why: str) -> int:
    rows = assert_equal(table.town.box, table.name, key=("id",), why=why)
    ledger.check(table.place, why=why)
    return rows
