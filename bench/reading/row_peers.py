"""Drivers that give rows of Python objects, turned into Arrow a few thousand at a time."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from reading.child import Task, Told

_ROWS = 10_000


def aiomysql_rows(task: Task) -> Told:
    """aiomysql's unbuffered cursor."""
    import aiomysql

    return asyncio.run(_read(task, aiomysql.connect, aiomysql.SSCursor))


def asyncmy_rows(task: Task) -> Told:
    """asyncmy's unbuffered cursor."""
    import asyncmy
    from asyncmy.cursors import SSCursor

    return asyncio.run(_read(task, asyncmy.connect, SSCursor))


async def _read(task: Task, connect: Any, kind: Any) -> Told:  # noqa: ANN401 - untyped drivers
    parts = urlsplit(task.url)
    connection = await connect(
        host=parts.hostname,
        port=parts.port,
        user=unquote(str(parts.username)),
        password=unquote(str(parts.password)),
        charset="utf8mb4",
    )
    began = time.perf_counter()
    rows, types = 0, None
    try:
        async with connection.cursor(kind) as cursor:
            await cursor.execute(task.query)
            while found := await cursor.fetchmany(_ROWS):
                batch, types = _batch(found, types)
                rows += batch.num_rows
        return Told(rows, time.perf_counter() - began)
    finally:
        connection.close()


def _batch(
    rows: list[tuple[object, ...]], types: list[pa.DataType] | None
) -> tuple[pa.RecordBatch, list[pa.DataType]]:
    """The rows as Arrow; the types are found in the first ones, since that is quicker."""
    columns = list(zip(*rows, strict=True))
    wanted = types or [None] * len(columns)
    arrays = [_array(cells, kind) for cells, kind in zip(columns, wanted, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, [str(place) for place in range(len(arrays))])
    return batch, [None if pa.types.is_null(array.type) else array.type for array in arrays]


def _array(cells: tuple[object, ...], kind: pa.DataType | None) -> pa.Array:
    try:
        return pa.array(cells, kind)
    except OverflowError:
        return pa.array(cells, pa.uint64())  # which is never guessed
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # A longer decimal than the first ones, or dates that no calendar has, which come as text.
        return pa.array([None if isinstance(cell, str) else cell for cell in cells])
