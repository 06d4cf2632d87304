"""A real server's rows of 16 MiB and more, in both protocols, and the memory that one takes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from s3rs_async.mysql.connection import Source
from s3rs_async.sandbox import mariadb
from tests.acceptance.source import application, configured, plan_of
from tests.acceptance.test_mysql_read import read

PACKET = 0xFFFFFF
LARGE = 64 << 20
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
