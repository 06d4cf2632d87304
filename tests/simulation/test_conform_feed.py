"""The simulation's source reads as the real one does: the same rows, chunks and positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from s3rs_async.model import Bound, Mode, Position, Proof, Strategy, TableName, TableSpec
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.chunk import choose
from s3rs_async.mysql.connection import open_source
from s3rs_async.mysql.feed import Feed as RealFeed
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.walk import ChunkEnd
from s3rs_async.sandbox import Box
from tests.acceptance.source import application, configured
from tests.simulation.calm import alone
from tests.simulation.source import TABLE, Feed, Row, Source, shown
from tests.simulation.world import EPOCH, World

ALONE = Room()
_SECOND = 1_000_000
_BASE = int(EPOCH) * _SECOND
ROWS = [
    Row(1, 1, _BASE),
    Row(2, 1, _BASE + _SECOND),
    Row(3, 2, _BASE + _SECOND),
    Row(4, 1, _BASE + _SECOND),
    Row(5, 7, _BASE + 5 * _SECOND),
    Row(6, 1, _BASE + 4 * _SECOND),
    Row(9, 1, _BASE + 9 * _SECOND + 1),
]
_DDL = (
    "CREATE TABLE orders (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL,"
    " changed_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),"
    " KEY by_change (changed_at)) ENGINE=InnoDB"
)
BOUND = Bound(shown(_BASE + 5 * _SECOND), Proof.PROVEN, "2026-01-01T00:00:00+00:00", key_to="6")
SPECS: dict[str, dict[str, Any]] = {
    "merge": {},
    "append": {"strategy": Strategy.TIMESTAMP_ONLY, "mode": Mode.APPEND},
    "ids": {"strategy": Strategy.ID_ONLY, "mode": Mode.APPEND},
    "whole": {"strategy": Strategy.FULL_SYNC},
}
BY_TIME = [None, Position(shown(_BASE + _SECOND), ("2",)), Position(shown(_BASE + 4 * _SECOND))]
POSITIONS: dict[str, list[Position | None]] = {
    "merge": BY_TIME,
    "append": BY_TIME,
    "ids": [None, Position(None, ("3",)), Position(None, ("6",))],
    "whole": [None],
}


async def told(items: AsyncGenerator[Any, None]) -> list[Any]:
    """A pass as plain values; how a chunk's rows are cut into batches means nothing."""
    found: list[Any] = []
    async for item in items:
        if isinstance(item, ChunkEnd):
            found.append(item)
        elif found and isinstance(found[-1], list):
            found[-1] += item.to_pylist()
        else:
            found.append([item.schema, *item.to_pylist()])
    return found


async def _real(
    box: Box, database: str, kind: str, at: Position | None, size: int, room: Room = ALONE
) -> list[Any]:
    async with open_source(database, configured(box.mysql)) as source:
        table, _ = await RealFeed(source).table(TableName(database, "orders"))
        plan = choose(table, TableSpec(table.name, **SPECS[kind]))
        return await told(read_pass(source, plan, at, BOUND, limit=size, room=room))


def _simulated(kind: str, at: Position | None, size: int) -> list[Any]:
    async def run(world: World) -> list[Any]:
        source = Source(world, {row.id: row for row in ROWS}, next_id=10)
        plan = choose(TABLE, TableSpec(TABLE.name, **SPECS[kind]))
        return await told(Feed(world, source, 3).rows(plan, at, BOUND, limit=size))

    return alone(run)


@pytest.fixture
def filled(box: Box, database: str) -> str:
    with application(box.mysql, database) as run:
        run(_DDL)
        for row in ROWS:
            run(f"INSERT INTO orders VALUES ({row.id}, {row.v}, '{row.cursor}')")
    return database


def test_the_table_is_the_one_that_the_server_describes(box: Box, filled: str) -> None:
    async def read() -> Any:
        async with open_source(filled, configured(box.mysql)) as source:
            return (await RealFeed(source).table(TableName(filled, "orders")))[0]

    found = asyncio.run(read())
    assert replace(found, name=TABLE.name, estimated_rows=None) == TABLE


@pytest.mark.parametrize("kind", SPECS)
def test_a_pass_gives_the_same_rows_chunks_and_positions(box: Box, filled: str, kind: str) -> None:
    for at in POSITIONS[kind]:
        for size in (1, 2, 3, 50):
            real = asyncio.run(_real(box, filled, kind, at, size))
            assert _simulated(kind, at, size) == real, (at, size)
            several = asyncio.run(_real(box, filled, kind, at, size, Room(3, 1 << 20)))
            assert several == real, (at, size)
