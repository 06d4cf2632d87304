"""A real server's rows of 16 MiB and more, in both protocols, and the memory that one takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from s3rs_async.errors import DataError
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.wire import BLOCK
from s3rs_async.sandbox import mariadb
from tests.acceptance.source import Run, application, configured, plan_of
from tests.acceptance.test_mysql_read import read

PACKET = 0xFFFFFF
LARGE = 64 << 20
LEAST = 4 << 20  # of what may be the limit
BELOW = 3 << 20
CHILD = """
import asyncio, contextlib, json, sys
import pyarrow as pa
from s3rs_async.config import SourceConfig
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import plan_of

async def main(name, settings):
    source = Source(name, SourceConfig(**settings))
    plan = await plan_of(source)
    async with contextlib.aclosing(read_pass(source, plan, None, None)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                print(item["t"].nbytes)
    with open("/proc/self/status") as status:  # ru_maxrss has the parent's before the exec
        print(next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM")))

asyncio.run(main(*json.loads(sys.argv[1])))
"""


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    """One of our own, since how long a packet may be is a server's and not a session's."""
    async with mariadb.private(flags=[f"--max-allowed-packet={2 * LARGE}"]) as server:
        yield server


def fill(server: Any, sizes: dict[int, int]) -> None:
    with application(server) as run:
        run("CREATE DATABASE t")
        run("CREATE TABLE t.a (id INT PRIMARY KEY, t LONGTEXT)")
        for key, size in sizes.items():
            run(f"INSERT INTO t.a SELECT {key}, REPEAT('x', {size})")


@pytest.mark.parametrize("protocol", ["text", "binary"])
async def test_rows_of_16_mib_and_more_are_read(server: Any, protocol: Any) -> None:
    around = [PACKET - less for less in (11, 10, 6, 5, 0)]  # rows of one packet, and of two
    sizes = dict(enumerate([1, *around, 2, 2 * PACKET, 3]))
    fill(server, sizes)
    source = Source("t", configured(server, protocol=protocol))
    rows, _ = await read(source, await plan_of(source))
    assert {row["id"]: len(row["t"]) for row in rows} == sizes


@pytest.mark.parametrize("protocol", ["text", "binary"])
async def test_a_row_of_64_mib_takes_less_than_four_times_its_memory(
    server: Any, protocol: Any
) -> None:
    fill(server, {1: LARGE})
    config = configured(server, protocol=protocol).model_dump()
    config["password"] = server.password
    asked = json.dumps(["t", config])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, asked, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    size, peak = (int(line) for line in out.split()[-2:])
    assert size >= LARGE
    assert peak <= 4 * LARGE


@pytest.mark.parametrize("protocol", ["text", "binary"])
async def test_a_row_above_the_limit_is_refused_and_one_below_it_is_read(
    source: Source, run: Run, protocol: Any
) -> None:
    assert BLOCK < BELOW < LEAST
    run("CREATE TABLE a (id INT PRIMARY KEY, n INT, t LONGTEXT AS (REPEAT('x', n)) VIRTUAL)")
    run(f"INSERT INTO a (id, n) VALUES (1, {BELOW}), (2, {LEAST})")
    limits = {"max_row_bytes": LEAST, "protocol": protocol}
    limited = Source(source.name, source.config.model_copy(update=limits))
    reading = read_pass(limited, await plan_of(source), None, None, limit=1)
    async with contextlib.aclosing(reading) as items:
        batch, end = await anext(items), await anext(items)
        with pytest.raises(DataError, match="longer than is allowed") as caught:
            await anext(items)
    assert (batch["id"].to_pylist(), len(batch["t"][0].as_py()), end.rows) == ([1], BELOW, 1)
    assert caught.value.context["max_row_bytes"] == LEAST
    assert caught.value.context["table"] == f"{source.name}.a"
    assert "max_row_bytes" in caught.value.hint
    assert not limited.own
