"""What a pass would do is decided before it does anything; a mistake in it says where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.line import Line
from s3rs_async.model import Policies, TableName, TableSpec
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.planning import plan_table

NOTES = TableName("shop", "notes")


class Feed:
    """A source of one table."""

    name = "shop"

    async def table(self, table: TableName) -> tuple[SourceTable, str]:
        columns = (SourceColumn("id", "int", "int", nullable=False),)
        keys = (("id",),)
        return SourceTable(table, columns, keys, primary=True, indexes=(), engine="InnoDB"), "s"


async def test_a_mistake_in_a_plan_names_the_pipeline() -> None:
    nothing: Any = None
    line = Line("nightly", Feed(), *[nothing] * 7)
    spec = TableSpec(NOTES, columns=(("id", Policies(own=frozenset({"dates"}))),))
    with pytest.raises(ConfigError, match="means nothing") as caught:
        await plan_table(line, spec)
    told = {"pipeline": "nightly", "table": "shop.notes", "column": "id", "type": "int"}
    assert told.items() <= caught.value.context.items()
