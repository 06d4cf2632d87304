"""Our reader by itself: rows to record batches, and these to parquet that is counted, not stored.

The product's own parts in the product's own order: `read_pass` by the plan of a full sync, and for
parquet a channel bounded in bytes between it and the encoder, as an extraction has. What an
extraction does besides (state, claim, uploads) is for the whole job to show. Memory is had as the
command has it, which says so before it imports anything.
"""

# ruff: noqa: E402

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from s3rs_async import memory

memory.give_back()

import pyarrow as pa

from reading.child import RefusedError, Task, Told
from s3rs_async.config.connections import SourceConfig
from s3rs_async.errors import Error
from s3rs_async.flow import Channel, together
from s3rs_async.model import Sizes, Strategy, TableName, TableSpec
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.reader import read_pass
from s3rs_async.mysql.schema import read_table
from s3rs_async.parquet import Form, ParquetFile
from s3rs_async.staging import share

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from s3rs_async.config.connections import WantedProtocol

memory.imported()

MEMORY = 512 << 20
_MOST_ROW_BYTES = 256 << 20


def decode_text(task: Task) -> Told:
    """To record batches, by the text protocol."""
    return asyncio.run(_read(task, "text", _counted))


def decode_binary(task: Task) -> Told:
    """To record batches, by the binary protocol."""
    return asyncio.run(_read(task, "binary", _counted))


def parquet(task: Task) -> Told:
    """To parquet files, by the binary protocol."""
    return asyncio.run(_read(task, "binary", _encoded))


def huge(task: Task) -> Told:
    """The same as `decode_binary`, of rows as long as our settings let them be."""
    try:
        return asyncio.run(_read(task, "binary", _counted))
    except Error as error:
        raise RefusedError(f"{error} ({error.hint})") from error


async def _read(
    task: Task,
    protocol: WantedProtocol,
    use: Callable[[AsyncGenerator[pa.RecordBatch, None]], Awaitable[tuple[int, int]]],
) -> Told:
    async with open_source("bench", _config(task.url, protocol)) as source:
        plan = await _plan(source, task.table)
        began = time.perf_counter()
        async with contextlib.aclosing(_batches(source, plan, task.limit)) as batches:
            rows, size = await use(batches)
        return Told(rows, time.perf_counter() - began, size)


def _config(url: str, protocol: WantedProtocol) -> SourceConfig:
    parts = urlsplit(url)
    given: dict[str, object] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(str(parts.username)),
        "password": unquote(str(parts.password)),
        "tls": "off",
        "protocol": protocol,
    }
    if "max_row_bytes" in SourceConfig.model_fields:
        given["max_row_bytes"] = _MOST_ROW_BYTES
    return SourceConfig.model_validate(given)


async def _plan(source: Source, name: str) -> ReadPlan:
    table = TableName(*name.split("."))
    async with source.session(purpose="plan") as session:
        found = await read_table(session, table)
    return choose(found, TableSpec(table, strategy=Strategy.FULL_SYNC))


async def _batches(
    source: Source, plan: ReadPlan, limit: int | None
) -> AsyncGenerator[pa.RecordBatch, None]:
    stream = read_pass(source, plan, None, None, limit=limit)
    async with contextlib.aclosing(stream) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                yield item
            elif limit is not None:
                return


async def _counted(batches: AsyncGenerator[pa.RecordBatch, None]) -> tuple[int, int]:
    rows = size = 0
    async for batch in batches:
        rows += batch.num_rows
        size += batch.nbytes
    return rows, size


async def _encoded(batches: AsyncGenerator[pa.RecordBatch, None]) -> tuple[int, int]:
    portion = share(MEMORY, 1)
    channel: Channel[pa.RecordBatch] = Channel(portion.channel)
    files = _Files()
    async with together() as tasks:
        tasks.create_task(_fed(batches, channel), name="read")
        group: list[pa.RecordBatch] = []
        held = 0
        while (taken := await channel.get()) is not None:
            group.append(taken[0])
            held += taken[1]
            if held >= portion.row_group:
                await asyncio.to_thread(files.write, group)
                await channel.release(held)
                group, held = [], 0
        await asyncio.to_thread(files.finish, group)
    return files.rows, files.size


async def _fed(
    batches: AsyncGenerator[pa.RecordBatch, None], channel: Channel[pa.RecordBatch]
) -> None:
    async for batch in batches:
        await channel.put(batch, batch.nbytes)
    await channel.close()


class _Files:
    """Parquet files of the usual size, one after the other, thrown away piece by piece."""

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self._file: ParquetFile | None = None

    def write(self, group: list[pa.RecordBatch]) -> None:
        """One row group more."""
        if self._file is None:
            self._file = ParquetFile(group[0].schema, Form())
        self._file.write(group)
        group.clear()
        self._file.take(1 << 20)
        if self._file.size >= Sizes().file:
            self.finish([])

    def finish(self, group: list[pa.RecordBatch]) -> None:
        """What is left, and the end of the file."""
        if group:
            self.write(group)
        if self._file is not None:
            self._file.finish()
            memory.trim()
            self.rows += self._file.rows
            self.size += self._file.size
            self._file = None
