"""A real server's rows of 16 MiB and more, in both protocols, and the memory that one takes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async.errors import DataError
from s3rs_async.mysql.connection import Source
from tests.acceptance.source import Run, application, configured, plan_of
from tests.acceptance.test_mysql_read import read

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

PACKET = 0xFFFFFF
LARGE = 64 << 20
CHILD = """
import asyncio, contextlib, json, resource, sys
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
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)

asyncio.run(main(*json.loads(sys.argv[1])))
"""


@pytest.fixture
def large(run: Run) -> Iterator[Run]:
    ((before,),) = run("SELECT @@GLOBAL.max_allowed_packet")
    run(f"SET GLOBAL max_allowed_packet = {2 * LARGE}")
    run("CREATE TABLE a (id INT PRIMARY KEY, t LONGTEXT)")
    yield run
    run(f"SET GLOBAL max_allowed_packet = {before}")


def fill(box: Box, name: str, sizes: dict[int, int]) -> None:
    """A connection of its own, since one keeps the greatest packet that it began with."""
    with application(box.mysql, name) as run:
        for key, size in sizes.items():
            run(f"INSERT INTO a SELECT {key}, REPEAT('x', {size})")


@pytest.mark.parametrize("protocol", ["text", "binary"])
@pytest.mark.usefixtures("large")
async def test_rows_of_16_mib_and_more_are_read(box: Box, database: str, protocol: Any) -> None:
    around = [PACKET + shift for shift in range(-12, 3)]
    sizes = dict(enumerate([1, *around, 2, 2 * PACKET, 3]))
    fill(box, database, sizes)
    source = Source(database, configured(box.mysql, protocol=protocol))
    rows, _ = await read(source, await plan_of(source))
    assert {row["id"]: len(row["t"]) for row in rows} == sizes


@pytest.mark.usefixtures("large")
async def test_a_row_that_is_longer_than_is_allowed_is_refused(box: Box, database: str) -> None:
    fill(box, database, {1: 1, 2: PACKET})
    source = Source(database, configured(box.mysql, max_row_bytes=8 << 20))
    with pytest.raises(DataError, match="longer than is allowed"):
        await read(source, await plan_of(source))


@pytest.mark.parametrize("protocol", ["text", "binary"])
@pytest.mark.usefixtures("large")
async def test_a_row_of_64_mib_takes_less_than_four_times_its_memory(
    box: Box, database: str, protocol: Any
) -> None:
    fill(box, database, {1: LARGE})
    config = configured(box.mysql, protocol=protocol).model_dump()
    config["password"] = box.mysql.password
    asked = json.dumps([database, config])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, asked, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    size, peak = (int(line) for line in out.split()[-2:])
    assert size >= LARGE
    assert peak <= 4 * LARGE
