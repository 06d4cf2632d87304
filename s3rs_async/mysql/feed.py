"""All that a pass asks of a source, behind one small door: its table, a bound, and the rows.

What is read and how far it may be called read is `bound`'s and `reader`'s; here they only meet the
source that they work on, and the lookout that watches it, if one does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ..model import Bound, Position, TableName, TableSpec
from .ahead import Room
from .bound import fix_bound, renew
from .care import Explained
from .chunk import ReadPlan
from .connection import Source
from .custom import Described
from .describe import describe
from .explain import explain
from .lookout import Lookout
from .reader import read_pass
from .replica import catch_up
from .schema import read_table
from .table import SourceTable
from .walk import ChunkEnd

if TYPE_CHECKING:
    import pyarrow as pa

log = structlog.get_logger()

_BOUND_SECONDS = 30.0
_REPLICA_SECONDS = 60.0
_VOUCHED_SECONDS = 5.0
"""For a greatest id that the lookout has yet to vouch for; the one before serves until then."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One source; with a `lookout` its transactions are watched, and no pass waits for them.

    `memory` are the bytes of a table's rows that several connections may read ahead. Of a replica
    the `primary` tells the bound, and the lookout is the primary's.
    """

    source: Source
    lookout: Lookout | None = None
    memory: int = 0
    primary: Source | None = None

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self.source.name

    async def table(self, table: TableName) -> tuple[SourceTable, str]:
        """The table as it is now, and which server has it."""
        async with self.source.session(purpose="plan") as session:
            found = await read_table(session, table)
            return found, session.server_id

    async def described(self, spec: TableSpec) -> tuple[Described, str]:
        """What the query of an entry gives now, and which server gives it."""
        async with self.source.session(purpose="plan") as session:
            return await describe(session, spec), session.server_id

    async def bound(self, plan: ReadPlan) -> Bound:
        """How far a pass that begins after this call may be called read."""
        wait = _BOUND_SECONDS if self.lookout is None else _VOUCHED_SECONDS
        bound = await fix_bound(self._writer, plan, lookout=self.lookout, wait=wait)
        await self._caught_up()
        return bound

    async def renewed(self, plan: ReadPlan) -> Bound | None:
        """The same for one more pass by an old plan; None where a new one must be made."""
        if self.lookout is None:
            return None
        bound = await renew(self._writer, plan, lookout=self.lookout, wait=_VOUCHED_SECONDS)
        if bound is not None:
            await self._caught_up()
        return bound

    @property
    def _writer(self) -> Source:
        """The server that rows are written at."""
        return self.primary or self.source

    async def _caught_up(self) -> None:
        """After the bound: what it vouches for is there to be read."""
        if self.primary is not None:
            await catch_up(self.primary, self.source, _REPLICA_SECONDS)

    async def explained(
        self, plan: ReadPlan, position: Position | None, bound: Bound
    ) -> tuple[Explained, ...]:
        """What the source says of every statement that a pass from this position would send."""
        async with self.source.session(purpose="plan") as session:
            return await explain(session, plan, position, bound)

    def rows(
        self, plan: ReadPlan, position: Position | None, bound: Bound, *, limit: int | None
    ) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """Batches of rows, and after each chunk's batches its end.

        A pass that ends with its first chunk has nothing to read ahead.
        """
        wanted = plan.spec.connections if limit is None else 1
        room = Room.within(self.memory, wanted)
        if room.connections < wanted:
            log.warning(
                "fewer connections than asked for: more memory is needed to read ahead",
                table=str(plan.source.name),
                asked=wanted,
                connections=room.connections,
                hint="raise --max-memory, or lower --parallel",
            )
        return read_pass(self.source, plan, position, bound, limit=limit, room=room)
