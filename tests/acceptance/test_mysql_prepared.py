"""Rows by prepared statements: what is left at the server, and what happens where it refuses them.

A pass goes on in the other protocol where its first one stopped; which one is read is told once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from s3rs_async.errors import Error, UnavailableError
from s3rs_async.model import Strategy
from s3rs_async.mysql import connection
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.protocol import Protocol
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import Run, configured, plan_of
from tests.acceptance.test_mysql_faults import gone
from tests.acceptance.test_mysql_read import KEYS

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box


@pytest.fixture
def text(box: Box, database: str) -> Source:
    return Source(database, configured(box.mysql, protocol="text"))


@pytest.fixture
def binary(box: Box, database: str) -> Source:
    return Source(database, configured(box.mysql, protocol="binary"))


async def rows_and_ends(source: Source, plan: Any, limit: int, refuse: Any = None) -> Any:
    rows, ends = [], []
    async with contextlib.aclosing(read_pass(source, plan, None, None, limit=limit)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                rows += item.to_pylist()
                continue
            ends.append(item)
            if refuse is not None and len(ends) == 3:
                refuse()
    return rows, ends


@contextlib.contextmanager
def no_room(run: Run) -> Iterator[Any]:
    """A way to let the server have no room for prepared statements."""
    ((before,),) = run("SELECT @@GLOBAL.max_prepared_stmt_count")
    try:
        yield lambda: run("SET GLOBAL max_prepared_stmt_count = 0")
    finally:
        run(f"SET GLOBAL max_prepared_stmt_count = {before}")


@pytest.mark.parametrize("name", KEYS)
async def test_a_pass_goes_on_in_the_other_protocol_after_the_same_row(
    run: Run, source: Source, text: Source, name: str
) -> None:
    columns, key, values = KEYS[name]
    run(f"CREATE TABLE a ({columns}, n INT NOT NULL, PRIMARY KEY ({key}))")
    run(f"INSERT INTO a SELECT {values}, seq FROM seq_1_to_50")
    plan = await plan_of(source, strategy=Strategy.FULL_SYNC)
    expected = await rows_and_ends(text, plan, limit=7)
    with capture_logs() as lines, no_room(run) as refuse:
        found = await rows_and_ends(source, plan, limit=7, refuse=refuse)
    assert found == expected
    assert [line["protocol"] for line in lines] == ["binary", "text"]


def open_statements(run: Run) -> int:
    ((_, count),) = run("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
    return int(count)


def prepared(run: Run) -> int:
    ((_, count),) = run("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")
    return int(count)


async def test_statements_are_closed_and_the_session_stays_in_order(
    run: Run, binary: Source
) -> None:
    before = open_statements(run)
    async with binary.session(purpose="test") as session:
        for _ in range(5):
            found = [p.rows async for p in session.rows(f"SELECT 1 FROM {binary.name}.seq_1_to_9")]
            assert found == [9]
            assert session.protocol is Protocol.BINARY
            assert await session.query("SELECT 'x', NULL") == [("x", None)]
            assert open_statements(run) == before
        with pytest.raises(Error, match="placeholders"):
            _ = [p async for p in session.rows("SELECT ?")]


async def test_a_cancelled_binary_stream_leaves_nothing_at_the_server(
    run: Run, binary: Source
) -> None:
    before = open_statements(run)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def read_on() -> None:
        slow = f"SELECT seq, SLEEP(0.02) FROM {binary.name}.seq_1_to_100000"
        async with (
            binary.session(purpose="test") as session,
            contextlib.aclosing(session.rows(slow)) as stream,
        ):
            started.set_result(session.connection_id)
            async for _ in stream:
                pass

    reading = asyncio.create_task(read_on())
    thread = await started
    await asyncio.sleep(0.3)
    assert open_statements(run) == before + 1
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await gone(run, thread)
    for _ in range(100):
        if open_statements(run) == before:
            break
        await asyncio.sleep(0.05)
    assert open_statements(run) == before


async def test_a_kill_in_the_middle_of_binary_rows_is_an_error(run: Run, binary: Source) -> None:
    rows = 0
    long = f"SELECT seq, REPEAT('x', 1000) FROM {binary.name}.seq_1_to_100000"
    async with asyncio.timeout(20):
        async with binary.session(purpose="test") as session:
            stream = session.rows(long)
            rows += (await anext(stream)).rows
            run(f"KILL QUERY {session.connection_id}")
            with pytest.raises(UnavailableError, match="killed"):
                rows += sum([packets.rows async for packets in stream])
    assert 0 < rows < 100_000


async def test_binary_is_the_default_and_is_told_once(run: Run, box: Box, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    run("INSERT INTO a SELECT seq FROM seq_1_to_20")
    async with open_source(source.name, source.config) as kept:
        plan = await plan_of(kept)
        with capture_logs() as lines:
            for _ in range(2):
                await rows_and_ends(kept, plan, limit=5)
    (line,) = lines
    assert (line["log_level"], line["source"], line["protocol"]) == ("info", source.name, "binary")


async def test_text_prepares_nothing(run: Run, text: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    run("INSERT INTO a VALUES (1)")
    before = prepared(run)
    with capture_logs() as lines:
        assert (await rows_and_ends(text, await plan_of(text), limit=5))[0] == [{"id": 1}]
    assert prepared(run) == before
    assert [line["protocol"] for line in lines] == ["text"]


async def test_where_prepared_statements_are_refused_text_is_read_and_told_once(
    run: Run, source: Source, binary: Source
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    run("INSERT INTO a SELECT seq FROM seq_1_to_20")
    plan = await plan_of(source)
    with no_room(run) as refuse, capture_logs() as lines:
        refuse()
        for _ in range(2):
            rows, _ = await rows_and_ends(source, plan, limit=5)
            assert [row["id"] for row in rows] == list(range(1, 21))
        with pytest.raises(Error, match="code=1461"):
            await rows_and_ends(binary, plan, limit=5)
    (line,) = lines
    assert (line["log_level"], line["protocol"]) == ("warning", "text")
    assert "max_prepared_stmt_count" in line["reason"]


async def test_rows_on_a_connection_that_was_lost_while_idle_come_by_another(
    run: Run, box: Box, binary: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "is_quiet", lambda _: True)
    async with open_source(binary.name, binary.config) as kept:
        async with kept.session(purpose="test") as session:
            assert [p.rows async for p in session.rows("SELECT 1")] == [1]
            lost = session.connection_id
        run(f"KILL {lost}")
        async with kept.session(purpose="test") as session:
            assert [p.rows async for p in session.rows("SELECT 1")] == [1]
            assert session.protocol is Protocol.BINARY
            assert session.connection_id != lost
            assert await session.query("SELECT 2") == [("2",)]


async def test_a_refused_statement_is_the_statements_error_and_not_the_protocols(
    source: Source,
) -> None:
    with capture_logs() as lines:
        async with source.session(purpose="test") as session:
            with pytest.raises(Error, match="code=1064"):
                _ = [p async for p in session.rows("SELECT FROM")]
            _ = [p async for p in session.rows("SELECT 1")]
            assert session.protocol is Protocol.BINARY
    assert [line["protocol"] for line in lines] == ["binary"]
