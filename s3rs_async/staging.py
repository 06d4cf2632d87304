"""Rows of one batch into parquet objects in the stage, uploaded while they grow.

Record batches are gathered into row groups, encoded on a thread, and sent as multipart parts, a few
at a time; a file that is large enough is completed and the next begun. Memory is bounded by the
channel before, one row group, and the parts under way. A failure or cancellation leaves no upload
open and completes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import pyarrow as pa

from .flow import together
from .model import Part
from .parquet import ParquetFile
from .report import Meter

MIB = 1 << 20
ROW_GROUP_BYTES = 32 * MIB
"""Of Arrow memory; the channel that feeds us must hold twice as much, or both ends would wait."""
UPLOAD_PART_BYTES = 8 * MIB
UPLOADS = 3
FILE_BYTES = 128 * MIB

SizedRows = tuple[pa.RecordBatch, int]


class Upload(Protocol):
    """A multipart upload under way; left without `complete`, it is aborted."""

    async def part(self, number: int, data: bytes) -> None:
        """Send one part; several may be under way."""

    async def complete(self) -> str:
        """Make the object; its ETag."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a batch's files go and what is asked of their rows.

    `key_of` names the n-th file; `check` raises for a value that must not be written; `release`
    is told the bytes of rows that are no longer held.
    """

    upload: Callable[[str], AbstractAsyncContextManager[Upload]]
    key_of: Callable[[int], str]
    metadata: Mapping[str, str]
    check: Callable[[pa.RecordBatch], None]
    release: Callable[[int], Awaitable[None]]
    meter: Meter


async def write_parts(rows: AsyncIterator[SizedRows], to: Destination) -> tuple[Part, ...]:
    """Every row, in as many objects as it takes; none for no rows."""
    parts: list[Part] = []
    async with aclosing(_row_groups(rows)) as groups:
        while (first := await anext(groups, None)) is not None:
            parts.append(await _file(to.key_of(len(parts)), first, groups, to))
            to.meter.files += 1
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _RowGroup:
    batches: list[pa.RecordBatch]
    size: int


async def _row_groups(rows: AsyncIterator[SizedRows]) -> AsyncGenerator[_RowGroup, None]:
    group = _RowGroup([], 0)
    async for batch, size in rows:
        group = _RowGroup([*group.batches, batch], group.size + size)
        if group.size >= ROW_GROUP_BYTES:
            yield group
            group = _RowGroup([], 0)
    if group.batches:
        yield group


async def _file(
    key: str, first: _RowGroup, groups: AsyncGenerator[_RowGroup, None], to: Destination
) -> Part:
    """One object, from its first row group until it is large enough or the rows end."""
    file = ParquetFile(first.batches[0].schema, to.metadata)
    async with to.upload(key) as upload:
        async with together() as tasks:
            sender = _Sender(upload, tasks, to.meter)
            group: _RowGroup | None = first
            while group is not None:
                await _encode(file, group, to)
                await sender.send(file.take(UPLOAD_PART_BYTES))
                full = file.size >= FILE_BYTES
                group = None if full else await anext(groups, None)
            await asyncio.to_thread(file.finish)
            await sender.send(file.take(UPLOAD_PART_BYTES))
            await sender.send(file.rest())
        etag = await upload.complete()
    return Part(key, file.size, etag, file.rows)


async def _encode(file: ParquetFile, group: _RowGroup, to: Destination) -> None:
    await asyncio.to_thread(_write_checked, file, group.batches, to.check)
    await to.release(group.size)
    to.meter.rows_read += sum(rows.num_rows for rows in group.batches)
    to.meter.bytes_read += group.size


def _write_checked(
    file: ParquetFile, batches: list[pa.RecordBatch], check: Callable[[pa.RecordBatch], None]
) -> None:
    for rows in batches:
        check(rows)
    file.write(batches)


@dataclass(slots=True)
class _Sender:
    """Numbered upload parts, at most UPLOADS of them under way."""

    upload: Upload
    tasks: asyncio.TaskGroup
    meter: Meter
    number: int = 0
    slots: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, UPLOADS))

    async def send(self, pieces: list[bytes]) -> None:
        """Start the upload of each piece as soon as a slot is free."""
        for data in pieces:
            self.number += 1
            await self.slots.acquire()
            self.tasks.create_task(self._one(self.number, data), name=f"part {self.number}")

    async def _one(self, number: int, data: bytes) -> None:
        try:
            await self.upload.part(number, data)
            self.meter.bytes_stored += len(data)
        finally:
            self.slots.release()
