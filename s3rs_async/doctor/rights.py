"""What the target's user may do, and the very grants that it lacks.

Only what a load would do is asked for: a table that is there is written, one that is not is made,
and a schema that is not there too. So a user with rights on ready-made tables needs none to create.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..config import TargetConfig
from ..model import TableName
from ..redshift.connection import Session
from ..redshift.sql import SCHEMAS_PRESENT, fold
from . import sql


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of the session's user; every answer is a list of grants that are missing."""

    session: Session
    config: TargetConfig

    async def to_stage(self) -> list[str]:
        """To make the temporary table that COPY fills."""
        return [] if (await self._of_database())[1] else [self._on_database("TEMP")]

    async def to_make_in(self, schema: str) -> list[str]:
        """To make a table in the schema, and the schema where there is none."""
        if not await self._is_there(schema):
            return [] if (await self._of_database())[0] else [self._on_database("CREATE")]
        return await self._on_schema(schema, ("USAGE", "CREATE"))

    async def to_use(self, table: TableName, rights: Sequence[str]) -> list[str]:
        """To do these things with a table that is there."""
        found = await self._on_schema(table.schema, ("USAGE",))
        (held,) = await self.session.fetch(sql.table_rights(table, rights))
        lacking = [right for right, has in zip(rights, held, strict=True) if not has]
        if lacking:
            found.append(sql.grant(lacking, sql.on_table(table), self.config.user))
        return found

    async def _is_there(self, schema: str) -> bool:
        return (fold(schema),) in await self.session.fetch(SCHEMAS_PRESENT)

    async def _on_schema(self, schema: str, rights: Sequence[str]) -> list[str]:
        ((usage, create),) = await self.session.fetch(sql.schema_rights(schema))
        held = {"USAGE": usage, "CREATE": create}
        lacking = [right for right in rights if not held[right]]
        return [sql.grant(lacking, sql.on_schema(schema), self.config.user)] if lacking else []

    async def _of_database(self) -> tuple[bool, bool]:
        ((create, temp),) = await self.session.fetch(sql.DATABASE_RIGHTS)
        return create, temp

    def _on_database(self, right: str) -> str:
        database = f"DATABASE {sql.shown(self.config.database)}"
        return sql.grant((right,), database, self.config.user)
