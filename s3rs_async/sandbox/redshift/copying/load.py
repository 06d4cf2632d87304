"""One COPY from first rule to last row.

Order: lock the table, read its columns, take the role, list the files, check every file's schema,
only then load. The lock comes first because it takes no snapshot. While one piece goes to the
backend the next is decoded in a thread. A wrong value, an error of the backend, a cancel request
and a vanished client all stop it at once; in each case the client's transaction loses every row.

The load begins once the files are known: from there on its query id is the session's last COPY id,
whether or not it ends well, unless a transaction block that holds it is rolled back (rules 14 to
14c). The backend keeps that id, as a setting that follows the transaction. What a COPY in a
transaction of its own has to leave behind although it failed is in `late`, for the session to run
when the transaction is over.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ..catalog import CopyLog, File, Load
from ..dialect.tokens import dotted, quoted
from ..faults import BackendError, Fields, RedshiftError, error_fields
from ..rules import holds
from ..wire import cstrings
from . import parquet
from .pgcopy import HEADER, TRAILER
from .scan import cancelled, no_parquet, unreadable_file
from .target import columns_sql, fillable, nonexistent

if TYPE_CHECKING:
    from ..takeover import Row, TakeOver
    from .copy import CopyStatement
    from .store import Store

_COUNT_SQL = (
    "SELECT set_config('rs.last_copy_count', '{}', false),"
    " set_config('rs.last_copy_id', '{}', false)"
)
_FOOTER = 8
_AHEAD = 3  # pieces: one is being decoded, the others even out how long each takes
_NO_TABLE = "42P01"


def _forget(future: asyncio.Future[tuple[int, memoryview] | None]) -> None:
    if not future.cancelled():
        future.exception()


def answers(load: Load) -> Iterator[tuple[bytes, bytes]]:
    """What a client is told of a COPY that went well (rules 13 and 13a)."""
    if holds("13"):
        done = f"completed, {load.rows} record(s) loaded successfully."
        text = f"Load into table '{load.table}' {done}"
        yield b"N", Fields({"S": "INFO", "V": "INFO", "C": "00000", "M": text}).body()
    yield b"C", cstrings("COPY" if holds("13a") else f"COPY {load.rows}")


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the load, with what its footer says."""

    uri: str
    size: int
    head: pq.FileMetaData


@dataclass(slots=True)
class Loader:
    """What a COPY needs besides its statement."""

    own: TakeOver
    store: Store
    query: int
    stop: asyncio.Event
    log: CopyLog
    late: str = ""

    async def load(self, statement: CopyStatement, *, in_block: bool) -> Load:
        """Carry out a COPY on the client's backend session."""
        table = dotted(statement.table)
        rows = await self._table(statement, in_block=in_block)
        target = _target(rows, statement, self.store.region)
        self.store.admit(statement.credentials, statement.source)
        if rows:
            await self.log.begun(statement.table[-1], int(rows[0][8] or 0), int(rows[0][9] or 0))
        self._remember(0, "14b")
        uris = await self.store.files(statement.source, manifest=statement.manifest)
        self._remember(0, "14a")
        target = await self._named(target, uris)
        sources = [source for uri in uris if (source := await self._checked(uri, target))]
        count, size = await self._stream(table, target, self._pieces(sources, target))
        await self._loaded(count, in_block=in_block)
        files = tuple(File(each.uri, each.size, each.head.num_rows) for each in sources)
        return Load(statement.table[-1], count, size, files)

    async def _table(self, statement: CopyStatement, *, in_block: bool) -> list[Row]:
        """The target's columns, after it has been locked."""
        table = dotted(statement.table)
        try:
            await self.own.lock((table,), in_block=in_block)
            return (await self.own.run(columns_sql(table))).rows
        except BackendError as said:
            if said.fields.get("C") != _NO_TABLE or not holds("1a"):
                raise
            error = nonexistent(statement.table[-1])
            raise BackendError(error_fields(error, self.query)) from said

    def _remember(self, count: int, rule: str) -> None:
        """Keep for later what the session's last COPY was; only 14a is what Redshift does."""
        if holds("14") and holds(rule) is (rule == "14a"):
            self.late = _COUNT_SQL.format(count, self.query)

    async def _loaded(self, count: int, *, in_block: bool) -> None:
        self.late = ""
        if holds("14"):
            await self.own.run(_COUNT_SQL.format(count, self.query))
        self._remember(count, "14c")
        if in_block and not holds("15"):
            await self.own.run("COMMIT AND CHAIN")

    async def _named(self, target: parquet.Target, uris: list[str]) -> parquet.Target:
        """The target as it is; without rule 1 in the order of the first file's names."""
        if holds("1") or not uris:
            return target
        file = await asyncio.to_thread(self._open, uris[0], None)
        names = {name: at for at, name in enumerate(file.schema_arrow.names)}
        order = sorted(target.columns, key=lambda column: names.get(column.name, len(names)))
        return replace(target, columns=tuple(order))

    async def _checked(self, uri: str, target: parquet.Target) -> _Source | None:
        """A file, after its schema has passed; without rule 7b what is no file is left out."""
        self._go_on()
        try:
            size, file = await asyncio.to_thread(self._sized, uri)
        except RedshiftError as error:
            if holds(error.rule):
                raise
            return None
        parquet.check_schema(file, target, uri)
        return _Source(uri, size, file.metadata)

    def _sized(self, uri: str) -> tuple[int, pq.ParquetFile]:
        with self.store.open(uri) as source:
            size = int(source.size())
        return size, self._open(uri, None)

    def _open(self, uri: str, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
        source = self.store.open(uri)
        try:
            return parquet.open_file(source, metadata)
        except pa.ArrowInvalid as error:
            tail = _tail(source)
            if tail.endswith("PAR1"):
                raise unreadable_file(uri, str(error)) from error
            raise no_parquet(uri, self.store.region, tail) from error
        except (pa.ArrowException, OSError) as error:
            raise unreadable_file(uri, str(error)) from error

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise cancelled(self.query)

    def _pieces(
        self, sources: list[_Source], target: parquet.Target
    ) -> Iterator[tuple[int, memoryview]]:
        for source in sources:
            try:
                yield from parquet.chunks(self._open(source.uri, source.head), target, source.uri)
            except (pa.ArrowException, OSError) as error:
                raise unreadable_file(source.uri, str(error)) from error

    async def _ahead(
        self, pieces: Iterator[tuple[int, memoryview]]
    ) -> AsyncIterator[tuple[int, memoryview]]:
        """The pieces, decoded in a thread of their own while those before are being sent."""
        loop = asyncio.get_running_loop()
        session = contextvars.copy_context()  # its switches hold in the thread too

        def following() -> tuple[int, memoryview] | None:
            return session.run(lambda: next(pieces, None))

        def ask() -> asyncio.Future[tuple[int, memoryview] | None]:
            future = loop.run_in_executor(thread, following)
            future.add_done_callback(_forget)
            return future

        thread = ThreadPoolExecutor(1)
        try:
            coming = deque(ask() for _ in range(_AHEAD))
            while (piece := await coming.popleft()) is not None:
                coming.append(ask())
                yield piece
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

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
            if holds("15b"):
                await self.own.copy_fail(error, self.query)
        await self.own.copy_data(TRAILER)
        await self.own.copy_done()
        return count, size


def _target(rows: list[Row], statement: CopyStatement, region: str) -> parquet.Target:
    options = statement.options if holds("11") else statement.options - {"FILLRECORD"}
    return parquet.Target(fillable(rows, statement), options, region, statement.replacement)


def _tail(source: pa.NativeFile) -> str:
    """What stands where a Parquet file has its magic number."""
    size = source.size()
    source.seek(max(0, size - _FOOTER // 2))
    return str(source.read(_FOOTER // 2).decode("ascii", "replace"))
