"""Rows of one batch into parquet objects in the stage, uploaded while they grow.

Record batches are gathered into row groups, encoded on a thread, and sent as multipart parts, a few
at a time; a file that is large enough is completed and the next begun. Memory is bounded by the
channel before, one row group, and the parts under way. A failure or cancellation leaves no upload
open and completes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from . import memory
from .errors import ConfigError
from .failpoint import step
from .flow import together
from .model import Part
from .parquet import Form, ParquetFile
from .report import Meter

MIB = 1 << 20
_LEAST_SHARE = 32 * MIB
_LARGE_SHARE = 96 * MIB
_ROW_GROUP_BYTES = 32 * MIB
_TRIMMED_BYTES = 96 * MIB  # of rows let go, after which what lies free is given back


@dataclass(frozen=True, slots=True)
class Share:
    """One table's part of the memory for rows under way, in bytes.

    `channel` is what may wait between reader and encoder: a `row_group` (of Arrow memory) and half
    of one more, which comes while the first is encoded; `uploads` multipart parts of `part` bytes
    are sent at once. S3 takes no part below 5 MiB, which is why a share has a least size. `ahead`
    is for what several connections read of the table before its turn has come.
    """

    channel: int
    row_group: int
    part: int
    uploads: int
    ahead: int = 0


def share(budget: int, tables: int) -> Share:
    """`budget` split evenly among as many tables as may be under way; ConfigError if too little.

    Evenly and beforehand, because tables that wait for each other's bytes in the middle of a row
    group would wait for ever.
    """
    each = budget // tables
    if each < _LEAST_SHARE:
        raise ConfigError(
            "too little memory for so many tables side by side",
            memory=f"{budget // MIB} MiB",
            tables=tables,
            hint=f"give --max-memory {tables * _LEAST_SHARE // MIB}MiB, or lower --parallel",
        )
    group = min(each // 4, _ROW_GROUP_BYTES)
    large = each >= _LARGE_SHARE
    part, uploads = (8 if large else 5) * MIB, 3 if large else 2
    channel = 3 * group // 2
    rest = each - channel - part * uploads
    return Share(channel, group, part, uploads, min(each // 4, rest))


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

    `key_of` names the n-th file, which ends where it has `file_bytes`; `check` raises for a value
    that must not be written; `release` is told the bytes of rows that are no longer held.
    """

    upload: Callable[[str], AbstractAsyncContextManager[Upload]]
    key_of: Callable[[int], str]
    form: Form
    check: Callable[[pa.RecordBatch], None]
    release: Callable[[int], Awaitable[None]]
    share: Share
    file_bytes: int
    meter: Meter


async def write_parts(rows: AsyncIterator[SizedRows], to: Destination) -> tuple[Part, ...]:
    """Every row, in as many objects as it takes; none for no rows."""
    parts: list[Part] = []
    async with aclosing(_row_groups(rows, to.share.row_group)) as groups:
        while (first := await anext(groups, None)) is not None:
            parts.append(await _file(to.key_of(len(parts)), first, groups, to))
            to.meter.files += 1
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _RowGroup:
    batches: list[pa.RecordBatch]
    size: int


async def _row_groups(
    rows: AsyncIterator[SizedRows], enough: int
) -> AsyncGenerator[_RowGroup, None]:
    group = _RowGroup([], 0)
    async for batch, size in rows:
        group = _RowGroup([*group.batches, batch], group.size + size)
        if group.size >= enough:
            yield group
            group = _RowGroup([], 0)
    if group.batches:
        yield group


async def _file(
    key: str, first: _RowGroup, groups: AsyncGenerator[_RowGroup, None], to: Destination
) -> Part:
    """One object, from its first row group until it is large enough or the rows end."""
    file = ParquetFile(first.batches[0].schema, to.form)
    async with to.upload(key) as upload:
        async with together() as tasks:
            sender = _Sender(upload, tasks, asyncio.Semaphore(to.share.uploads), to.meter)
            group: _RowGroup | None = first
            while group is not None:
                await _encode(file, group, to)
                await sender.send(file.take(to.share.part))
                full = file.size >= to.file_bytes
                group = None if full else await anext(groups, None)
            await asyncio.to_thread(_finish, file)
            await sender.send(file.take(to.share.part))
            await sender.send(file.rest())
        async with step("X5"):
            etag = await upload.complete()
    return Part(key, file.size, etag, file.rows)


async def _encode(file: ParquetFile, group: _RowGroup, to: Destination) -> None:
    count = sum(rows.num_rows for rows in group.batches)
    await asyncio.to_thread(_write_checked, file, group.batches, to.check)
    to.meter.rows_read += count
    before = to.meter.bytes_read
    to.meter.bytes_read += group.size
    await to.release(group.size)
    if to.meter.bytes_read // _TRIMMED_BYTES > before // _TRIMMED_BYTES:
        await asyncio.to_thread(memory.trim)


def _write_checked(
    file: ParquetFile, batches: list[pa.RecordBatch], check: Callable[[pa.RecordBatch], None]
) -> None:
    for rows in batches:
        check(rows)
    file.write(batches)
    batches.clear()  # whoever still has the group no longer has its rows


def _finish(file: ParquetFile) -> None:
    file.finish()
    memory.trim()


@dataclass(slots=True)
class _Sender:
    """Numbered upload parts, at most `slots` of them under way."""

    upload: Upload
    tasks: asyncio.TaskGroup
    slots: asyncio.Semaphore
    meter: Meter
    number: int = 0

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
