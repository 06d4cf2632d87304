"""The private MariaDB that is read, and the discarding S3 server: their life and their CPU.

Both are started in one den, so nothing outlives the benchmark. The buffer pool is a quarter of the
machine's memory, 4 GiB at most: where it holds the table, rows come as fast as a server can send
them, which is the hardest case for a reader. After a table is made the server is given time to
settle, since it goes on writing and purging for a while.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reading.run import HERE
from reading.tables import create, create_huge
from s3rs_async.demo.compare import connect
from s3rs_async.demo.tables import DemoTable
from s3rs_async.sandbox import mariadb
from s3rs_async.sandbox.process import Den, Process, Program

_TICKS = os.sysconf("SC_CLK_TCK")
_LARGEST_POOL = 4 << 30
_IDLE_SHARE, _LOOK_SECONDS, _SETTLE_SECONDS = 0.03, 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What a contestant works with."""

    den: Den
    mysql: mariadb.MySQL
    version: str
    pool: int

    def fill(self, table: DemoTable, rows: int) -> None:
        """The table anew, and the server at rest."""
        with connect(self.mysql.url) as connection, connection.cursor() as cursor:
            create(cursor, table, rows)
        self.settle()

    def fill_huge(self) -> None:
        """The table with the row of 64 MiB."""
        with connect(self.mysql.url) as connection, connection.cursor() as cursor:
            create_huge(cursor)

    def settle(self) -> None:
        """Wait until the server does next to nothing, for a minute at most."""
        until = time.perf_counter() + _SETTLE_SECONDS
        busy = 1.0
        while busy > _IDLE_SHARE and time.perf_counter() < until:
            before = cpu_seconds(self.mysql.process.pid)
            time.sleep(_LOOK_SECONDS)
            busy = (cpu_seconds(self.mysql.process.pid) - before) / _LOOK_SECONDS

    def endpoint(self, *arguments: str) -> Endpoint:
        """A discarding S3 server of its own."""
        command = [sys.executable, str(HERE / "endpoint.py"), *arguments]
        process = self.den.start(Program("discarding s3", command))
        port = asyncio.run(process.ready(r"listening on (\d+)"))[1]
        return Endpoint(process, f"http://127.0.0.1:{port}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running discarding S3 server."""

    process: Process
    url: str


@contextmanager
def servers() -> Iterator[Servers]:
    """A MariaDB for the time of the block."""
    den = Den()
    try:
        pool = min(_LARGEST_POOL, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4)
        flags = (f"--innodb-buffer-pool-size={pool}", "--max-allowed-packet=256M")
        mysql = asyncio.run(mariadb.start(den, flags=flags))
        with connect(mysql.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone() or ("",)
        yield Servers(den, mysql, str(version), pool)
    finally:
        asyncio.run(den.close())


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; not a number where there is no /proc."""
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return math.nan
    words = file.read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS
