"""An S3 server that stands still in mid-stream, and afterwards the parts against the table.

The parts are kept here, as files. Their footers say how many rows they hold, and their keys are all
looked at: each number of the table's once, and none besides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from reading.goals import MIB
from reading.job import Job
from reading.server import Servers

_AFTER = 4 * MIB


def kept_rows(servers: Servers, table: str, rows: int, seconds: float) -> int:
    """0 if every row arrived once; 1 and what differs otherwise."""
    folder = servers.den.room("kept")
    stall = ("--stall", str(seconds), "--after", str(_AFTER))
    job = Job(servers, servers.endpoint("--keep", str(folder), *stall))
    found = job.run(table)
    if found.failure:
        print(f"the job: {found.failure}")
        return 1
    files = sorted((folder / job.last_prefix).rglob("*.parquet"))
    stood = "going on" in job.endpoint.process.log.read_text()
    footers = sum(pq.read_metadata(file).num_rows for file in files)
    keys = _keys(files)
    print(
        f"stood still: {stood}; {found.seconds:.1f} s, peak {found.peak_bytes / MIB:.0f} MiB,"
        f" CPU {found.cpu_seconds:.1f} s ({found.note})\n"
        f"rows: table {rows:,}, told {found.rows:,}, {len(files)} files' footers {footers:,}"
    )
    once = np.array_equal(keys, np.arange(1, rows + 1))
    whole = found.rows == footers == rows and once and stood
    print("nothing is lost: each key is there once" if whole else "NOT equal")
    return 0 if whole else 1


def _keys(files: list[Path]) -> np.ndarray:
    """The keys of all rows, in order."""
    columns = [pq.read_table(file, columns=["id"]).column(0).cast("int64") for file in files]
    return np.sort(np.concatenate([column.to_numpy() for column in columns] or [np.zeros(0)]))
