"""How long an ALTER waits for a table that we read.

    ./dev bench alter [--rows 1000000] [--repeat 7]

A private MariaDB. A pass reads a table, by one connection or by four; its rows are taken as they
come, or nobody takes any. Then an application adds a column, again and again, each time while rows
flow. What is told is the time that the ALTER took, and for comparison that of one which nobody is
in the way of. That every row was read exactly once is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pyarrow as pa
import pymysql

from s3rs_async import clock
from s3rs_async.config import SourceConfig
from s3rs_async.model import Mode, Strategy, TableName, TableSpec
from s3rs_async.mysql.ahead import Room
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.schema import read_table
from s3rs_async.mysql.sentinel import Sentinel
from s3rs_async.sandbox import mariadb
from s3rs_async.sandbox.process import Den

GOAL_SECONDS = 2.0
TABLE = TableName("bench", "a")
WIDE = "t VARCHAR(500) AS (REPEAT('x', 500)) VIRTUAL"


@dataclass(frozen=True)
class Case:
    """How the table is read when the ALTER comes."""

    name: str
    connections: int
    taken: bool


CASES = (
    Case("one connection, rows are taken", 1, taken=True),
    Case("one connection, no row is taken", 1, taken=False),
    Case("four connections, no row is taken", 4, taken=False),
)


class Application:
    """Who owns the table."""

    def __init__(self, server: mariadb.MySQL) -> None:
        self.connection = pymysql.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            autocommit=True,
        )
        self.columns = 0

    def run(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    async def alters(self) -> float:
        """The seconds that one more column takes."""
        self.columns += 1
        began = clock.seconds()
        await asyncio.to_thread(self.run, f"ALTER TABLE {TABLE} ADD COLUMN c{self.columns} INT")
        return clock.seconds() - began


@contextlib.asynccontextmanager
async def guarded(server: mariadb.MySQL) -> AsyncIterator[Source]:
    config = SourceConfig(
        host=server.host, port=server.port, user=server.user, password=server.password, tls="off"
    )
    async with open_source("bench", config) as source, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(Sentinel(source).run())
        try:
            yield source
        finally:
            looking.cancel()


async def planned(source: Source) -> ReadPlan:
    async with source.session(purpose="plan") as session:
        spec = TableSpec(TABLE, strategy=Strategy.FULL_SYNC, mode=Mode.REPLACE)
        return choose(await read_table(session, TABLE), spec)


async def measured(source: Source, owner: Application, case: Case, rows: int) -> float:
    """One pass, an ALTER in its midst, and all rows there at the end; the ALTER's seconds."""
    plan, seen, waited = await planned(source), 0, None
    room = Room(case.connections, 1 << 20)
    async with contextlib.aclosing(read_pass(source, plan, None, None, room=room)) as items:
        async for item in items:
            if not isinstance(item, pa.RecordBatch):
                continue
            seen += item.num_rows
            if seen > rows // 4 and waited is None and not case.taken:
                waited = await owner.alters()
            elif seen > rows // 4 and waited is None:
                waited = asyncio.get_running_loop().create_task(owner.alters())
                await asyncio.sleep(0)
    found = await waited if isinstance(waited, asyncio.Task) else waited
    assert (seen, found is not None) == (rows, True), (seen, found)
    return found or 0.0


async def main(rows: int, repeat: int) -> None:
    den = Den()
    try:
        server = await mariadb.start(den)
        owner = Application(server)
        owner.run(f"CREATE DATABASE {TABLE.schema}")
        owner.run(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, {WIDE})")
        owner.run(f"INSERT INTO {TABLE} (id) SELECT seq FROM bench.seq_1_to_{rows}")
        alone = [await owner.alters() for _ in range(repeat)]
        print(f"{rows:,} rows; seconds of an ALTER: median and greatest of {repeat}")
        print(f"{'nobody reads':36} {statistics.median(alone):6.3f} {max(alone):6.3f}")
        worst = 0.0
        async with guarded(server) as source:
            for case in CASES:
                found = [await measured(source, owner, case, rows) for _ in range(repeat)]
                worst = max(worst, *found)
                print(f"{case.name:36} {statistics.median(found):6.3f} {max(found):6.3f}")
        met = "met" if worst <= GOAL_SECONDS else "NOT met"
        print(f"\nan ALTER is let through within seconds: ≤ {GOAL_SECONDS:g}  {worst:.2f}  {met}")
    finally:
        await den.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="how long an ALTER waits for our reading")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--repeat", type=int, default=7)
    given = arguments.parse_args()
    asyncio.run(main(given.rows, given.repeat))
