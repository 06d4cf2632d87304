"""What goes wrong at a real server ends in a typed error, soon, and leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import aiomysql.connection
import pyarrow as pa
import pymysql
import pytest

from s3rs_async.config import SourceConfig
from s3rs_async.errors import ConfigError, DataError, Error, UnavailableError
from s3rs_async.model import Strategy
from s3rs_async.mysql import dial
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.dial import check_driver
from s3rs_async.mysql.reader import read_pass
from s3rs_async.sandbox import mariadb
from tests.acceptance.source import Run, application, configured, plan_of
from tests.unit.test_mysql_driver import GREETING, packet

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

# About 100 MB, made by the server as it goes.
LONG = "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_100000"


async def gone(run: Run, thread: int) -> bool:
    """Whether the server has stopped working for a connection, within five seconds."""
    for _ in range(100):
        if not any(row[0] == thread and row[4] != "Sleep" for row in run("SHOW PROCESSLIST")):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_time_limit_in_the_middle_of_a_result_is_an_error(source: Source, run: Run) -> None:
    run("CREATE TABLE a AS SELECT seq FROM seq_1_to_1000")
    async with asyncio.timeout(20):
        async with source.session(purpose="test") as session:
            await session.query("SET SESSION max_statement_time=0.5")
            with pytest.raises(UnavailableError, match="code=1969"):
                await session.query(f"SELECT seq, SLEEP(0.01) FROM {source.name}.a")


async def test_a_killed_query_is_an_error(source: Source, run: Run) -> None:
    rows = 0
    async with asyncio.timeout(20):
        async with source.session(purpose="test") as session:
            stream = session.stream(LONG.replace("FROM ", f"FROM {source.name}."))
            rows += (await anext(stream)).rows
            run(f"KILL QUERY {session.connection_id}")
            with pytest.raises(UnavailableError, match="killed"):
                rows += sum([packets.rows async for packets in stream])
    assert 0 < rows < 100_000


async def test_a_refused_statement_leaves_the_session_in_order(source: Source) -> None:
    async with source.session(purpose="test") as session:
        with pytest.raises(ConfigError, match="unknown table"):
            await session.query(f"SELECT * FROM {source.name}.nothing")
        with pytest.raises(Error, match="code=1064"):
            await session.query("SELEKT 1")
        assert await session.query("SELECT 1, NULL, 'é'") == [("1", None, "é")]


async def test_a_cancelled_reader_stops_the_server_and_stays_cancelled(
    source: Source, run: Run
) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def read() -> None:
        async with source.session(purpose="test") as session:
            slow = f"SELECT seq, SLEEP(0.02) FROM {source.name}.seq_1_to_100000"
            async with contextlib.aclosing(session.stream(slow)) as stream:
                started.set_result(session.connection_id)
                async for _ in stream:
                    pass

    reading = asyncio.create_task(read())
    thread = await started
    await asyncio.sleep(0.3)
    assert any(row[0] == thread and row[4] == "Query" for row in run("SHOW PROCESSLIST"))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await gone(run, thread)


async def test_leaving_a_pass_early_stops_the_server(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(1000))")
    run("INSERT INTO a SELECT seq, REPEAT('x', 1000) FROM seq_1_to_50000")
    plan = await plan_of(source)
    async with contextlib.aclosing(read_pass(source, plan, None, None)) as items:
        await anext(items)
        (thread,) = source.own
    assert await gone(run, thread)
    assert not source.own


async def test_a_stalled_consumer_makes_the_server_wait(source: Source, run: Run) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with source.session(purpose="test") as session:
        stream = session.stream(LONG.replace("FROM ", f"FROM {source.name}."))
        first = await anext(stream)
        await asyncio.sleep(1.0)
        states = {row[0]: row[6] for row in run("SHOW FULL PROCESSLIST")}
        assert states[session.connection_id] in ("Writing to net", "Sending data")
        rows = first.rows
        async for packets in stream:
            rows += packets.rows
    assert rows == 100_000
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 32 << 10


async def test_a_connection_lost_inside_a_chunk_costs_no_row(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(1000))")
    run("INSERT INTO a SELECT seq, REPEAT('x', 1000) FROM seq_1_to_30000")
    plan = await plan_of(source)
    seen, ends, kills = [], [], 0
    async with contextlib.aclosing(read_pass(source, plan, None, None, limit=20_000)) as items:
        async for item in items:
            if not isinstance(item, pa.RecordBatch):
                ends.append(item.rows)
                continue
            seen += item.column("id").to_pylist()
            if kills < 3:
                kills += 1
                with contextlib.suppress(pymysql.err.OperationalError):
                    run(f"KILL {next(iter(source.own))}")
    assert seen == list(range(1, 30_001))
    assert ends == [20_000, 10_000]


async def test_without_a_key_a_lost_connection_ends_the_pass(source: Source, run: Run) -> None:
    run("CREATE TABLE a AS SELECT seq, REPEAT('x', 1000) AS t FROM seq_1_to_50000")
    plan = await plan_of(source)
    async with contextlib.aclosing(read_pass(source, plan, None, None)) as items:
        await anext(items)
        run(f"KILL {next(iter(source.own))}")
        with pytest.raises(UnavailableError):
            _ = [item async for item in items]


@pytest.fixture
async def victim() -> AsyncIterator[Any]:
    async with mariadb.private() as server:
        yield server


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
async def test_a_server_that_dies_is_never_the_end_of_the_data(victim: Any, key: str) -> None:
    with application(victim) as run:
        run("CREATE DATABASE t")
        run(f"CREATE TABLE t.a (id INT {key}, t VARCHAR(1000))")
        run("INSERT INTO t.a SELECT seq, REPEAT('x', 1000) FROM t.seq_1_to_50000")
        source = Source("t", configured(victim))
        plan = await plan_of(source, strategy=Strategy.FULL_SYNC)
        rows = 0
        async with contextlib.aclosing(read_pass(source, plan, None, None)) as items:
            rows += (await anext(items)).num_rows
            victim.process.kill()
            with pytest.raises(UnavailableError):
                rows += len([item async for item in items])
        assert rows < 50_000


async def test_wrong_credentials_are_told_without_the_password(box: Box) -> None:
    source = Source("s", configured(box.mysql, password="hunter2hunter2"))
    with pytest.raises(ConfigError, match="refuses the user") as caught:
        async with source.session(purpose="test"):
            pass
    assert "hunter2" not in f"{caught.value} {caught.value!r} {source!r} {source.config!r}"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 1), ("nowhere.invalid", 3306)])
async def test_a_server_that_is_not_there_is_unavailable(box: Box, host: str, port: int) -> None:
    source = Source("s", configured(box.mysql, host=host, port=port))
    with pytest.raises(UnavailableError, match=f"host={host}"):
        async with source.session(purpose="test"):
            pass


async def test_a_table_that_may_not_be_read_is_a_matter_of_grants(
    box: Box, source: Source, run: Run, database: str
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, s INT)")
    run(f"CREATE USER {database} IDENTIFIED BY 'x'")
    try:
        run(f"GRANT SELECT (id) ON {database}.a TO {database}")
        poor = Source(database, configured(box.mysql, user=database, password="x"))
        plan = await plan_of(source)
        with pytest.raises(ConfigError, match="may not read") as caught:
            async for _ in read_pass(poor, plan, None, None):
                pass
        assert "grant" in caught.value.hint
    finally:
        run(f"DROP USER {database}")


async def test_the_session_can_only_read(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    async with source.session(purpose="test") as session:
        with pytest.raises(Error, match="code=1792"):
            await session.query(f"INSERT INTO {source.name}.a VALUES (1)")
        with pytest.raises(Error, match="code=1064"):
            await session.query("SELECT 1; SELECT 2")
        (row,) = await session.query("SELECT @@time_zone, @@max_statement_time, @@autocommit")
        assert row == ("+00:00", "0.000000", "1")


@contextlib.asynccontextmanager
async def impostor(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server without TLS that lets everyone in and gives one answer to everything."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(packet(0, GREETING))
        number = 2
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                heard.append(data)
                writer.write(packet(2, b"\0\0\0\x02\0\0\0") if number == 2 else answer)
                number += 1
        writer.transport.abort()
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard
        async with asyncio.timeout(5):
            await left.wait()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("tls", ["require", "verify"])
async def test_without_tls_nothing_is_said(tls: str) -> None:
    async with impostor(b"") as (port, heard):
        secret = SourceConfig(host="127.0.0.1", port=port, user="u", password="p", tls=tls)
        with pytest.raises(ConfigError, match="offers no TLS"):
            async with Source("s", secret).session(purpose="test"):
                pass
        assert heard == []


async def test_a_server_that_asks_for_a_file_is_refused() -> None:
    async with impostor(packet(1, b"\xfb/etc/passwd")) as (port, heard):
        plain = SourceConfig(host="127.0.0.1", port=port, user="u", password="p", tls="off")
        with pytest.raises(DataError, match="asks for a file"):
            async with Source("s", plain).session(purpose="test"):
                pass
        assert not int.from_bytes(heard[0][4:8], "little") & 0x80  # CLIENT_LOCAL_FILES
        assert not int.from_bytes(heard[0][4:8], "little") & 0x10000  # CLIENT_MULTI_STATEMENTS


async def test_a_certificate_nobody_signed_is_refused_when_it_is_to_be_verified(
    box: Box, tmp_path: Any
) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("nothing")
    source = Source("s", configured(box.mysql, tls="verify", ca=broken))
    with pytest.raises(ConfigError, match="CA file"):
        async with source.session(purpose="test"):
            pass


def test_a_driver_without_a_private_part_that_is_used_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert check_driver() is None
    monkeypatch.delattr(aiomysql.connection.Connection, "_execute_command")
    with pytest.raises(ConfigError, match="aiomysql") as caught:
        check_driver()
    assert caught.value.context["missing"] == "_execute_command"
    assert caught.value.context["version"] == version("aiomysql")


@pytest.mark.parametrize("names", ["_STATE", "_STREAM"])
async def test_a_connection_without_a_private_part_that_is_used_is_refused(
    source: Source, run: Run, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    before = len(run("SHOW PROCESSLIST"))
    monkeypatch.setattr(dial, names, (*getattr(dial, names), "_gone"))
    with pytest.raises(ConfigError, match="aiomysql") as caught:
        async with source.session(purpose="test"):
            pass
    assert caught.value.context["missing"] == "_gone"
    await asyncio.sleep(0.2)
    assert len(run("SHOW PROCESSLIST")) == before
