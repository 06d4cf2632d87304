"""The simulation's warehouse answers as the stand-in does, asked the product's own statements.

What the cases hold to is what the ledger rests on: when a snapshot is taken, who waits for whom,
what a second writer is told, and what is left of a session that ends in the middle.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import pyarrow as pa
import pytest
from pydantic import SecretStr

from s3rs_async import clock
from s3rs_async.config import S3Config
from s3rs_async.model import Column, TableName, TargetId
from s3rs_async.parquet import Form, ParquetFile
from s3rs_async.redshift import sql
from s3rs_async.s3.store import open_store
from s3rs_async.sandbox import Box
from tests.simulation.calm import alone
from tests.simulation.driver import Connection
from tests.simulation.stage import BUCKET, Disk
from tests.simulation.warehouse import Warehouse
from tests.simulation.world import World

COLUMNS = (
    Column("id", "bigint", "int64", nullable=False, redshift="BIGINT"),
    Column("v", "int", "int32", nullable=True, redshift="INTEGER"),
)
GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ARROW = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("v", pa.int32())])


@dataclass(frozen=True, slots=True)
class Site:
    """One of the two: how to connect, a schema of our own, and where COPY reads from."""

    connect: Callable[[], Awaitable[Any]]
    put: Callable[[str, bytes], Awaitable[None]]
    target: TargetId
    bucket: str
    prefix: str
    role: str

    @property
    def table(self) -> TableName:
        return self.target.table

    async def born(self) -> Any:
        """A connection, with the target and its ledger made."""
        one = await self.connect()
        for schema in (sql.LEDGER_SCHEMA, self.table.schema):
            await one.execute(sql.create_schema(schema))
        await one.execute(sql.create_table(self.table, COLUMNS))
        for statement in sql.create_ledger(self.target):
            await one.execute(statement)
        return one

    async def stored(self, batch: str, rows: list[tuple[int, int]]) -> str:
        """A batch's parquet and manifest; what COPY is told."""
        file = ParquetFile(ARROW, Form())
        columns = [
            pa.array(list(c), f.type) for c, f in zip(zip(*rows, strict=True), ARROW, strict=True)
        ]
        file.write([pa.RecordBatch.from_arrays(columns, schema=ARROW)])
        file.finish()
        body = b"".join(file.rest())
        key = f"{self.prefix}/{batch}/part"
        await self.put(key, body)
        url = f"s3://{self.bucket}/{key}"
        entry = {"url": url, "mandatory": True, "meta": {"content_length": len(body)}}
        await self.put(f"{self.prefix}/{batch}/copy", json.dumps({"entries": [entry]}).encode())
        return f"s3://{self.bucket}/{self.prefix}/{batch}/copy"


Case: TypeAlias = Callable[[Site], Coroutine[Any, Any, None]]
Ask: TypeAlias = Callable[[Case], None]


@pytest.fixture(params=["simulated", "standin"])
def ask(request: pytest.FixtureRequest) -> Ask:
    if request.param == "simulated":
        return _simulated
    box, schema = request.getfixturevalue("box"), request.getfixturevalue("schema")
    return lambda case: asyncio.run(_real(box, schema, case))


def _simulated(case: Case) -> None:
    async def run(world: World) -> None:
        disk = Disk(world)
        server = Warehouse(world, disk)

        async def connect() -> Connection:
            return Connection(world, server, server.connect())

        async def put(key: str, body: bytes) -> None:
            disk.write(key, body)

        target = TargetId("t", "dw", TableName("s", "orders"))
        await case(Site(connect, put, target, BUCKET, "t", "default"))

    alone(run)


async def _real(box: Box, schema: str, case: Case) -> None:
    config = S3Config(
        bucket=box.s3.bucket,
        endpoint=box.s3.url,
        access_key=SecretStr(box.s3.access_key),
        secret_key=SecretStr(box.s3.secret_key),
    )
    opened: list[Any] = []

    async def connect() -> Any:
        opened.append(await asyncpg.connect(box.redshift.url, ssl=False, statement_cache_size=0))
        return opened[-1]

    async with open_store(config) as store:

        async def put(key: str, body: bytes) -> None:
            await store.put(key, body)

        target = TargetId("t", box.redshift.database, TableName(schema, "orders"))
        role = box.connections["targets"]["standin"]["iam_role"]
        try:
            prefix = f"t-{clock.ulid().lower()}"
            await case(Site(connect, put, target, box.s3.bucket, prefix, role))
        finally:
            for connection in opened:
                connection.terminate()


def insert(at: Site, *keys: int) -> str:
    values = ", ".join(f"({key}, 1)" for key in keys)
    return f"INSERT INTO {sql.qualified(at.table)} (id, v) VALUES {values}"


async def count(at: Site, connection: Any) -> int:
    return int((await connection.fetch(sql.count(sql.qualified(at.table))))[0][0])


async def headed(at: Site, connection: Any) -> None:
    await connection.execute(sql.insert_head(at.target), "p", "s", 0)


async def moved(at: Site, connection: Any, batch: str, before: str) -> str:
    return str(
        await connection.execute(sql.update_head(at.target), 1, 1, batch, "{}", 5, 1, before)
    )


def test_tables_are_told_when_they_are_there(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one = await at.born()
        names = sql.ledger_names(at.target)
        wanted = (at.table.schema, at.table.name, sql.LEDGER_SCHEMA, names.ledger.name, "not_there")
        found = await one.fetch(sql.TABLES_PRESENT, *wanted)
        assert {tuple(row) for row in found} == {
            (at.table.schema, at.table.name),
            (sql.LEDGER_SCHEMA, names.ledger.name),
        }
        columns = await one.fetch(sql.TABLE_COLUMNS, at.table.schema, at.table.name)
        assert [tuple(row) for row in columns] == [
            ("id", "bigint", True, False),
            ("v", "integer", False, False),
        ]
        schemas = {row[0] for row in await one.fetch(sql.SCHEMAS_PRESENT)}
        assert {at.table.schema, sql.LEDGER_SCHEMA} <= schemas

    ask(case)


def test_a_snapshot_is_taken_by_the_first_query_and_not_by_lock(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        await one.execute(sql.BEGIN)
        await one.execute(sql.lock_head(at.target))
        await two.execute(insert(at, 1))
        assert await count(at, one) == 1
        await two.execute(insert(at, 2))
        assert await count(at, one) == 1
        await one.execute(sql.COMMIT)
        assert await count(at, one) == 2

    ask(case)


def test_who_read_before_the_lock_sees_the_past_after_it(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        await two.execute(sql.BEGIN)
        assert await count(at, two) == 0
        await one.execute(sql.BEGIN)
        await one.execute(sql.lock_head(at.target))
        async with asyncio.TaskGroup() as tasks:
            waits = tasks.create_task(two.execute(sql.lock_head(at.target)))
            await asyncio.sleep(0.3)
            assert not waits.done()
            await moved(at, one, "b1", "")
            await one.execute(insert(at, 1))
            await one.execute(sql.COMMIT)
        assert await count(at, two) == 0
        assert [row[4] for row in await two.fetch(sql.read_head(at.target))] == [""]

    ask(case)


def test_a_reader_waits_for_whoever_holds_the_lock(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        await one.execute(sql.BEGIN)
        await one.execute(sql.lock_head(at.target))
        async with asyncio.TaskGroup() as tasks:
            waits = tasks.create_task(two.fetch(sql.read_head(at.target)))
            await asyncio.sleep(0.3)
            assert not waits.done()
            await one.execute(sql.ROLLBACK)
        assert len(waits.result()) == 1

    ask(case)


def test_a_second_update_of_one_row_is_refused_as_1023(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        for each in (one, two):
            await each.execute(sql.BEGIN)
            await each.fetch(sql.read_head(at.target))
        assert await moved(at, one, "b1", "") == "UPDATE 1"
        await one.execute(sql.COMMIT)
        with pytest.raises(asyncpg.PostgresError, match="1023"):
            await moved(at, two, "b2", "")
        assert await two.execute(sql.COMMIT) == "ROLLBACK"

    ask(case)


def test_a_second_writer_waits_and_then_both_have_inserted(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        for each in (one, two):
            await each.execute(sql.BEGIN)
            await count(at, each)
        await one.execute(insert(at, 7))
        async with asyncio.TaskGroup() as tasks:
            waits = tasks.create_task(two.execute(insert(at, 7)))
            await asyncio.sleep(0.3)
            assert not waits.done()
            await one.execute(sql.COMMIT)
        await two.execute(sql.COMMIT)
        assert await count(at, one) == 2

    ask(case)


def test_a_ring_of_waiters_is_refused(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        for each in (one, two):
            await each.execute(sql.BEGIN)
            await each.fetch(sql.read_head(at.target))
        results = []

        async def lock(connection: Any) -> None:
            try:
                results.append(await connection.execute(sql.lock_head(at.target)))
            except asyncpg.PostgresError:
                results.append("refused")
                await connection.execute(sql.ROLLBACK)

        async with asyncio.TaskGroup() as tasks:
            for each in (one, two):
                tasks.create_task(lock(each))
        assert sorted(results) == ["LOCK TABLE", "refused"]

    ask(case)


def test_a_session_that_is_ended_leaves_nothing_and_frees_its_lock(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        pid = (await one.fetch(sql.BACKEND_PID))[0][0]
        await one.execute(sql.BEGIN)
        await one.execute(sql.lock_head(at.target))
        await one.execute(insert(at, 1))
        head = sql.ledger_names(at.target).head
        holders = await two.fetch(sql.LOCK_HOLDERS, head.schema, head.name)
        assert pid in {row[0] for row in holders}
        await two.fetch(sql.TERMINATE, pid)
        await two.execute(sql.BEGIN)
        await two.execute(sql.lock_head(at.target))
        assert await count(at, two) == 0
        with pytest.raises(GONE):
            await one.execute(sql.COMMIT)

    ask(case)


def test_a_lock_that_does_not_come_is_given_up_by_the_server(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one, two = await at.born(), await at.connect()
        await headed(at, one)
        await one.execute(sql.BEGIN)
        await one.execute(sql.lock_head(at.target))
        await two.execute(sql.set_statement_timeout(1))
        await two.execute(sql.BEGIN)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await two.execute(sql.lock_head(at.target))
        assert refused.value.sqlstate == "57014"

    ask(case)


def test_a_failed_transaction_does_nothing_but_roll_back(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one = await at.born()
        await one.execute(sql.BEGIN)
        await one.execute(insert(at, 1))
        with pytest.raises(asyncpg.PostgresError):
            await one.fetch(sql.count('"s3rs_not_there"."at_all"'))
        with pytest.raises(asyncpg.PostgresError) as refused:
            await count(at, one)
        assert refused.value.sqlstate == "25P02"
        await one.execute(sql.ROLLBACK)
        assert await count(at, one) == 0

    ask(case)


def test_a_batch_is_copied_counted_and_merged(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one = await at.born()
        await one.execute(insert(at, 1, 2))
        batch = clock.ulid()
        url = await at.stored(batch, [(2, 20), (3, 30), (3, 31)])
        stage = sql.quote(sql.stage_name(batch))
        await one.execute(sql.BEGIN)
        await one.execute(sql.create_stage(batch, COLUMNS))
        await one.execute(sql.copy(batch, COLUMNS, url, at.role))
        assert (await one.fetch(sql.LAST_COPY_COUNT))[0][0] == 3
        assert (await one.fetch(sql.count(stage)))[0][0] == 3
        table = sql.qualified(at.table)
        gone = f"DELETE FROM {table} USING {stage} WHERE {table.split('.')[1]}.id = {stage}.id"
        assert await one.execute(gone) == "DELETE 1"
        came = (
            f'INSERT INTO {table} ("id", "v") SELECT "id", "v" FROM (SELECT "id", "v", ROW_NUMBER()'
            f' OVER (PARTITION BY "id" ORDER BY "v" DESC NULLS LAST) AS "rank" FROM {stage})'
            ' AS latest WHERE "rank" = 1'
        )
        assert await one.execute(came) == "INSERT 0 2"
        await one.execute(sql.COMMIT)
        found = await one.fetch(f"SELECT id, v FROM {table} ORDER BY id")
        assert [tuple(row) for row in found] == [(1, 1), (2, 20), (3, 31)]

    ask(case)


def test_a_part_that_is_gone_fails_the_copy(ask: Ask) -> None:
    async def case(at: Site) -> None:
        one = await at.born()
        batch = clock.ulid()
        missing = {"url": f"s3://{at.bucket}/{at.prefix}/no", "mandatory": True}
        entry = missing | {"meta": {"content_length": 9}}
        await at.put(f"{at.prefix}/copy", json.dumps({"entries": [entry]}).encode())
        await one.execute(sql.BEGIN)
        await one.execute(sql.create_stage(batch, COLUMNS))
        with pytest.raises(asyncpg.PostgresError):
            await one.execute(
                sql.copy(batch, COLUMNS, f"s3://{at.bucket}/{at.prefix}/copy", at.role)
            )

    ask(case)
