"""Rows become objects of bounded size; a failure anywhere completes nothing."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_async.errors import ConfigError, DataError
from s3rs_async.parquet import Form
from s3rs_async.report import Meter
from s3rs_async.staging import MIB, Destination, Share, share, write_parts

ROWS = 1000


@dataclass
class Shelf:
    """An object store in memory, with a hand on each upload."""

    objects: dict[str, bytes] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    under_way: int = 0
    most: int = 0
    fail_at: int = 0
    hang: bool = False

    @asynccontextmanager
    async def upload(self, key: str) -> AsyncIterator[_Upload]:
        self.open.add(key)
        try:
            yield _Upload(self, key)
        finally:
            self.open.discard(key)


@dataclass
class _Upload:
    shelf: Shelf
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)

    async def part(self, number: int, data: bytes) -> None:
        self.shelf.under_way += 1
        self.shelf.most = max(self.shelf.most, self.shelf.under_way)
        try:
            await asyncio.sleep(3600 if self.shelf.hang else 1)
        finally:
            self.shelf.under_way -= 1
        if self.shelf.fail_at == number:
            raise OSError("the line is cut")
        self.parts[number] = data

    async def complete(self) -> str:
        self.shelf.objects[self.key] = b"".join(self.parts[n] for n in sorted(self.parts))
        return f"etag of {self.key}"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


SMALL = Share(channel=32_000, row_group=16_000, part=4_000, uploads=3)


def noise(start: int) -> pa.RecordBatch:
    numbers = np.random.default_rng(start).integers(0, 1 << 60, ROWS)
    return pa.record_batch([pa.array(numbers)], ["n"])


async def batches(count: int) -> AsyncIterator[tuple[pa.RecordBatch, int]]:
    for number in range(count):
        yield noise(number), noise(number).nbytes


def destination(shelf: Shelf, released: list[int] | None = None) -> Destination:
    async def release(size: int) -> None:
        if released is not None:
            released.append(size)

    def check(rows: pa.RecordBatch) -> None:
        if rows.column(0)[0] == noise(7).column(0)[0]:
            raise DataError("the seventh is not wanted")

    form = Form({"s3rs.batch": "B"}, sought=("n",))
    return Destination(shelf.upload, "part-{}".format, form, check, release, SMALL, 40_000, Meter())


async def test_every_row_is_in_one_object_or_another(shelf: Shelf) -> None:
    released: list[int] = []
    to = destination(shelf, released)

    parts = await write_parts(batches(7), to)

    tables = [pq.read_table(io.BytesIO(shelf.objects[part.key])) for part in parts]
    whole = pa.concat_tables(tables)
    assert whole.column("n").to_pylist() == [
        n for number in range(7) for n in noise(number).column(0).to_pylist()
    ]
    assert [part.rows for part in parts] == [table.num_rows for table in tables]
    assert [part.size for part in parts] == [len(shelf.objects[part.key]) for part in parts]
    assert [part.etag for part in parts] == [f"etag of part-{n}" for n in range(len(parts))]
    assert len(parts) > 1
    assert sum(released) == 7 * noise(0).nbytes
    assert (to.meter.rows_read, to.meter.files) == (7 * ROWS, len(parts))
    assert to.meter.bytes_stored == sum(part.size for part in parts)


async def test_all_files_of_a_batch_have_one_schema_and_one_form(shelf: Shelf) -> None:
    await write_parts(batches(7), destination(shelf))

    files = [pq.ParquetFile(io.BytesIO(data)) for data in shelf.objects.values()]
    told = {
        (
            str(file.schema).partition("\n")[2],
            file.schema_arrow.serialize().to_pybytes(),
            *(file.metadata.created_by, file.metadata.format_version),
            str(file.metadata.metadata),
            str([file.metadata.row_group(0).column(0).encodings, file.metadata.num_columns]),
            file.metadata.row_group(0).column(0).is_stats_set,
        )
        for file in files
    }
    assert len(files) > 1
    assert len(told) == 1


async def test_no_rows_make_no_object(shelf: Shelf) -> None:
    assert await write_parts(batches(0), destination(shelf)) == ()
    assert shelf.objects == {}


async def test_few_parts_are_under_way_at_once(shelf: Shelf) -> None:
    await write_parts(batches(7), destination(shelf))

    assert shelf.most == SMALL.uploads


async def test_a_part_that_fails_completes_nothing(shelf: Shelf) -> None:
    shelf.fail_at = 2
    with pytest.raises(OSError, match="cut"):
        await write_parts(batches(3), destination(shelf))

    assert (shelf.objects, shelf.open, shelf.under_way) == ({}, set(), 0)


async def test_a_row_that_must_not_be_written_completes_nothing(shelf: Shelf) -> None:
    with pytest.raises(DataError, match="seventh"):
        await write_parts(batches(8), destination(shelf))

    assert "part-2" not in shelf.objects
    assert shelf.open == set()


async def test_cancellation_in_mid_upload_leaves_nothing_open(shelf: Shelf) -> None:
    shelf.hang = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await write_parts(batches(7), destination(shelf))

    assert (shelf.objects, shelf.open, shelf.under_way) == ({}, set(), 0)


@pytest.mark.parametrize("memory", [32, 64, 128, 512, 4096])
@pytest.mark.parametrize("tables", [1, 3, 10])
def test_a_share_keeps_within_its_part_of_the_memory(memory: int, tables: int) -> None:
    if memory // tables < 32:
        with pytest.raises(ConfigError, match="too little memory") as told:
            share(memory * MIB, tables)
        assert f"{32 * tables}MiB" in told.value.hint
        return
    found = share(memory * MIB, tables)

    held = found.channel + found.part * found.uploads + found.ahead
    assert held <= memory * MIB // tables
    assert found.ahead >= 6 * MIB
    assert found.row_group * 3 // 2 == found.channel
    assert found.part >= 5 * MIB
