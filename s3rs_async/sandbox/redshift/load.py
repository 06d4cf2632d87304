"""One COPY from first rule to last row.

Order: lock the table, read its columns, take the role, list the files, check every file's schema,
only then load. The lock comes first because it takes no snapshot. While one piece goes to the
backend the next is decoded in a thread. A wrong value, an error of the backend, a cancel request
and a vanished client all stop it at once; in each case the client's transaction loses every row.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from . import parquet
from .catalog import COLUMNS_SQL, CopyLog, File, Load
from .columns import Column
from .faults import RedshiftError, Report, Spot
from .pgcopy import HEADER, TRAILER
from .scan import cancelled
from .tokens import dotted, literal, quoted

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from .copy import CopyStatement
    from .store import Store
    from .takeover import Row, TakeOver

_COUNT_SQL = (
    "SELECT set_config('rs.last_copy_count', '{}', false),"
    " set_config('rs.last_copy_id', '{}', false)"
)


@dataclass(frozen=True, slots=True)
class _Known:
    column: Column
    identity: bool
    has_default: bool


def _known(row: Row) -> _Known:
    name, kind, typmod, not_null, identity, default, octets, *_ = row
    column = Column(name or "", kind or "", int(typmod or -1), not_null == "t", int(octets or 0))
    return _Known(column, identity == "t", default == "t")


def _order(rows: list[Row], statement: CopyStatement) -> tuple[Column, ...]:
    """The target's columns in the order of the file's (rules 1 and 2)."""
    known = {item.column.name: item for item in map(_known, rows)}
    if not statement.columns:
        explicit = "EXPLICIT_IDS" in statement.options
        return tuple(item.column for item in known.values() if explicit or not item.identity)
    for name in statement.columns:
        if name not in known:
            message = f'column "{name}" of relation "{statement.table[-1]}" does not exist'
            raise RedshiftError(message, "42703", rule="2")
    for name, item in known.items():
        if name not in statement.columns and item.column.not_null:
            if item.has_default or item.identity:
                continue
            message = "NOT NULL column without DEFAULT must be included in column list"
            raise RedshiftError(message, "42601", rule="2")
    return tuple(known[name].column for name in statement.columns)


def _forget(future: asyncio.Future[tuple[int, memoryview] | None]) -> None:
    if not future.cancelled():
        future.exception()


@dataclass(frozen=True, slots=True)
class Loader:
    """What a COPY needs besides its statement."""

    own: TakeOver
    store: Store
    query: int
    stop: asyncio.Event
    log: CopyLog

    async def load(self, statement: CopyStatement, *, in_block: bool) -> Load:
        """Carry out a COPY on the client's backend session."""
        table = dotted(statement.table)
        await self.own.lock((table,), in_block=in_block)
        rows = (await self.own.run(COLUMNS_SQL.format(literal(table)))).rows
        target = parquet.Target(_order(rows, statement), statement.options, self.store.region)
        self.store.assume(statement.role)
        if rows:
            await self.log.begun(statement.table[-1], int(rows[0][7] or 0), int(rows[0][8] or 0))
        uris = await self.store.files(statement.source, manifest=statement.manifest)
        heads = [await self._checked(uri, target) for uri in uris]
        sizes = [await asyncio.to_thread(self._size, uri) for uri in uris]
        count, size = await self._stream(table, target, self._pieces(uris, heads, target))
        await self.own.run(_COUNT_SQL.format(count, self.query))
        files = zip(uris, sizes, [head.num_rows for head in heads], strict=True)
        return Load(statement.table[-1], count, size, tuple(File(*file) for file in files))

    async def _checked(self, uri: str, target: parquet.Target) -> pq.FileMetaData:
        """A file's footer, after its schema has passed."""
        self._go_on()
        file = await asyncio.to_thread(self._open, uri, None)
        parquet.check_schema(file, target, uri)
        return file.metadata

    def _open(self, uri: str, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
        return parquet.open_file(self.store.open(uri), metadata)

    def _size(self, uri: str) -> int:
        with self.store.open(uri) as source:
            return int(source.size())

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise cancelled(self.query)

    def _pieces(
        self, uris: list[str], heads: list[pq.FileMetaData], target: parquet.Target
    ) -> Iterator[tuple[int, memoryview]]:
        for uri, head in zip(uris, heads, strict=True):
            try:
                yield from parquet.chunks(self._open(uri, head), target, uri)
            except (pa.ArrowException, OSError) as error:
                message = f"Spectrum Scan Error: {error}"
                report = Report(15001, str(error))
                spot = Spot(uri)
                raise RedshiftError(message, rule="15", report=report, spot=spot) from error

    async def _ahead(
        self, pieces: Iterator[tuple[int, memoryview]]
    ) -> AsyncIterator[tuple[int, memoryview]]:
        """The pieces, each decoded in a thread while the one before is being sent."""
        loop = asyncio.get_running_loop()
        session = contextvars.copy_context()  # its switches hold in the thread too

        def following() -> tuple[int, memoryview] | None:
            return session.run(lambda: next(pieces, None))

        coming = loop.run_in_executor(None, following)
        coming.add_done_callback(_forget)
        while (piece := await coming) is not None:
            coming = loop.run_in_executor(None, following)
            coming.add_done_callback(_forget)
            yield piece

    async def _stream(
        self, table: str, target: parquet.Target, pieces: Iterator[tuple[int, memoryview]]
    ) -> tuple[int, int]:
        names = ", ".join(quoted(column.name) for column in target.columns)
        count = size = 0
        await self.own.copy_in(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)")
        try:
            await self.own.copy_data(HEADER)
            async for rows, data in self._ahead(pieces):
                self._go_on()
                await self.own.copy_data(data)
                count, size = count + rows, size + len(data)
        except RedshiftError as error:
            await self.own.copy_fail(error, self.query)
        await self.own.copy_data(TRAILER)
        await self.own.copy_done()
        return count, size
