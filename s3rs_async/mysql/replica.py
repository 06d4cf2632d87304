"""A source that is a replica: read only once it has all that its primary's bound vouches for.

What is under way can be seen at the primary alone; a replica's own transactions are those of its
applier, and say nothing of when rows were stamped. So the bound is the primary's. All that lies
below it has been committed there by then, and so is in the set of global transaction ids that the
primary shows afterwards: the bound first, the ids second. The replica is waited for until it has
applied them, and only then is read. Seconds behind, as a server tells them, prove nothing.
"""

from __future__ import annotations

from typing import Final

from ..errors import ConfigError, UnavailableError
from . import sql
from .connection import Source

_IDS_HINT: Final = "let the primary write a binlog with global transaction ids: log_bin, gtid_mode"


async def catch_up(primary: Source, replica: Source, seconds: float) -> None:
    """Wait until the replica has applied what the primary had committed when this was called."""
    async with primary.session(purpose="bound") as session:
        ((ids,),) = await session.query(sql.COMMITTED[session.family])
    if not ids:
        raise ConfigError("the primary shows no ids", source=primary.name, hint=_IDS_HINT)
    async with replica.session(purpose="bound") as session:
        ((left,),) = await session.query(sql.applied(session.family, ids, seconds))
    if left != "0":
        raise UnavailableError(
            "the replica has not applied what its primary had committed",
            where="mysql",
            source=replica.name,
            replica_of=primary.name,
            seconds=seconds,
            hint="see what holds its replication up; nothing was read, the next pass looks again",
        )
