"""The Redshift stand-in's COPY: rows/s and CPU at 7, 30 and 100 columns, and its peak memory.

    ./dev bench standin [--rows 1000000] [--repeat 3]

A private PostgreSQL, an S3 server and the front share this machine's cores, so rows/s are those of
the whole box; the front's CPU seconds for a million rows do not depend on who else is busy. Each
COPY reads a manifest of several files below 128 MB. Peak memory is that of a front of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import os
import secrets
import statistics
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from s3rs_async import clock
from s3rs_async.sandbox import postgres, s3
from s3rs_async.sandbox.outage import READY
from s3rs_async.sandbox.process import Den, Process, Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROLE = "arn:aws:iam::123456789012:role/bench"
GROUP_ROWS = 100_000
TICK = os.sysconf("SC_CLK_TCK")
SEVEN = ("BIGINT", "VARCHAR(40)", "DECIMAL(18,2)", "DATE", "TIMESTAMP", "BOOLEAN", "REAL")
MIX = (
    *("BIGINT", "VARCHAR(40)", "INTEGER", "TIMESTAMP", "DECIMAL(18,2)", "VARCHAR(200)"),
    *("BIGINT", "INTEGER", "VARCHAR(40)", "DATE", "SMALLINT", "VARCHAR(40)", "BOOLEAN"),
    *("DOUBLE PRECISION", "VARCHAR(40)", "TIMESTAMP", "INTEGER", "DECIMAL(20,0)"),
)
_WORDS = pa.array(
    [None, "", "Zürich", *(f"a text of some length, number {n}" for n in range(5000))]
)
_LONG = pa.array([None, *(f"{n} " + "lorem ipsum dolor " * (n % 9) for n in range(2000))])


@dataclass(frozen=True)
class Shape:
    """A table to load."""

    name: str
    columns: tuple[str, ...]
    rows: int

    @property
    def ddl(self) -> str:
        columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(self.columns))
        return f"CREATE TABLE {self.name} ({columns})"


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu: float
    rows: int


def values(kind: str, rows: int, random: np.random.Generator) -> pa.Array:
    """A column; one value in twenty is null where that is cheap to have."""
    if kind.startswith("VARCHAR"):
        source = _LONG if kind == "VARCHAR(200)" else _WORDS
        return source.take(pa.array(random.integers(0, len(source), rows)))
    gone = (
        random.integers(0, 20, rows) == 0
        if kind in ("INTEGER", "TIMESTAMP", "DECIMAL(20,0)")
        else None
    )
    numbers = random.integers(0, 30_000, rows)
    plain = {
        "BIGINT": pa.int64(), "INTEGER": pa.int32(), "SMALLINT": pa.int16(), "DATE": pa.int32(),
        "REAL": pa.float32(), "DOUBLE PRECISION": pa.float64(),
    }  # fmt: skip
    if kind == "BOOLEAN":
        return pa.array(numbers % 2 == 0)
    if kind == "TIMESTAMP":
        return pa.array(1_700_000_000_000_000 + numbers * 12_345_678, pa.timestamp("us"), mask=gone)
    if kind.startswith("DECIMAL"):
        precision, scale = map(int, kind[8:-1].split(","))
        words = np.stack([numbers * 12_345, np.zeros_like(numbers)], axis=1).reshape(-1)
        whole = [None, pa.py_buffer(words)]
        exact = pa.Array.from_buffers(pa.decimal128(precision, scale), rows, whole)
        return exact if gone is None else pa.compute.if_else(pa.array(gone), None, exact)
    array = pa.array(numbers, mask=gone).cast(plain[kind])
    return array.view(pa.date32()) if kind == "DATE" else array


def uploaded(store: s3.S3, shape: Shape, files: int) -> str:
    """Store the files of a table, several of one size; gives their manifest."""
    to = fs.S3FileSystem(
        endpoint_override=store.url.removeprefix("http://"),
        scheme="http",
        access_key=store.access_key,
        secret_key=store.secret_key,
        region=store.region,
    )
    random, entries, each = np.random.default_rng(7), [], shape.rows // files
    for number in range(files):
        buffer = io.BytesIO()
        columns = {f"c{at}": values(kind, each, random) for at, kind in enumerate(shape.columns)}
        pq.write_table(pa.table(columns), buffer, row_group_size=GROUP_ROWS, compression="zstd")
        key = f"{store.bucket}/{shape.name}/{number}.parquet"
        with to.open_output_stream(key) as output:
            output.write(buffer.getbuffer())
        meta = {"content_length": buffer.tell()}
        entries.append({"url": f"s3://{key}", "mandatory": True, "meta": meta})
    with to.open_output_stream(f"{store.bucket}/{shape.name}.manifest") as output:
        output.write(orjson.dumps({"entries": entries}))
    size = sum(entry["meta"]["content_length"] for entry in entries)  # type: ignore[index]
    print(f"{shape.name}: {files} files, {size / files / 1e6:.0f} MB each", file=sys.stderr)
    return f"s3://{store.bucket}/{shape.name}.manifest"


@asynccontextmanager
async def front(den: Den, sockets: Path, store: s3.S3) -> AsyncIterator[tuple[Process, object]]:
    """A front of its own and a client of it."""
    password = f"p{secrets.token_hex(16)}"
    command: list[str | Path] = [
        *(sys.executable, "-m", "s3rs_async.sandbox.redshift", "--pg-socket", sockets),
        *("--s3-endpoint", store.url, "--user", "awsuser", "--iam-role", ROLE),
    ]
    environment = {**store.environment, "S3RS_STANDIN_PASSWORD": password}
    process = den.start(Program("redshift stand-in", command, environment))
    port = int((await process.ready(READY))[1])
    login = {"user": "awsuser", "password": password, "database": "dev", "ssl": False}
    client = await asyncpg.connect(host="127.0.0.1", port=port, statement_cache_size=0, **login)
    try:
        yield process, client
    finally:
        client.terminate()
        await den.stop(process)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def load(process: Process, client: object, shape: Shape, manifest: str) -> Run:
    """One COPY into an empty table."""
    await client.execute(shape.ddl)  # type: ignore[attr-defined]
    cpu, began = cpu_seconds(process.pid), clock.seconds()
    copy = f"COPY {shape.name} FROM '{manifest}' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST"
    await client.execute(copy)  # type: ignore[attr-defined]
    seconds = clock.seconds() - began
    count = await client.fetchval(f"SELECT count(*) FROM {shape.name}")  # type: ignore[attr-defined]
    assert count == shape.rows, (count, shape.rows)
    cpu = cpu_seconds(process.pid) - cpu
    await client.execute(f"DROP TABLE {shape.name}")  # type: ignore[attr-defined]
    return Run(seconds, cpu, shape.rows)


def shapes(rows: int) -> list[Shape]:
    mixed = [(30, rows // 2), (100, rows // 5)]
    wide = [Shape(f"of_{n}", tuple(itertools.islice(itertools.cycle(MIX), n)), r) for n, r in mixed]
    return [Shape("of_7", SEVEN, rows), *wide]


async def speed(den: Den, sockets: Path, store: s3.S3, rows: int, repeat: int) -> None:
    print("columns      rows     rows/s   seconds   CPU s per M rows")
    for shape in shapes(rows):
        manifest = uploaded(store, shape, 4)
        async with front(den, sockets, store) as (process, client):
            runs = [await load(process, client, shape, manifest) for _ in range(repeat)]
        seconds = statistics.median(run.seconds for run in runs)
        cpu = statistics.median(run.cpu for run in runs) / shape.rows * 1e6
        count = len(shape.columns)
        print(f"{count:7} {shape.rows:9,} {shape.rows / seconds:10,.0f} {seconds:9.2f} {cpu:12.2f}")


async def memory(den: Den, sockets: Path, store: s3.S3, rows: int) -> None:
    print("peak memory of a front that has loaded 7 columns")
    for times in (1, 5):
        shape = Shape(f"memory_{times}", SEVEN, rows * times)
        manifest = uploaded(store, shape, 4 * times)
        async with front(den, sockets, store) as (process, client):
            idle = peak_mb(process.pid)
            await load(process, client, shape, manifest)
            print(f"{shape.rows:9,} rows: {peak_mb(process.pid):6.0f} MB ({idle:.0f} MB before)")


async def main(rows: int, repeat: int) -> None:
    async with Den() as den:
        store = await s3.start(den)
        engine = await postgres.start(den)
        print(f"{os.cpu_count()} cores, median of {repeat}, load {os.getloadavg()[0]:.1f}")
        await speed(den, engine.socket_folder, store, rows, repeat)
        await memory(den, engine.socket_folder, store, rows)
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rows, arguments.repeat))
