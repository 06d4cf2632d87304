"""Peak memory: of the whole job for N rows and ten times as many, and of the reader for a huge row.

Redshift takes no row of 64 MiB, so there it is the reader alone. Where the reader refuses it, that
is what is told.
"""

from __future__ import annotations

from pathlib import Path

from reading import tell
from reading.goals import MIB, Goal, growth, huge_row
from reading.job import Job
from reading.robin import child
from reading.run import Run
from reading.server import Servers
from reading.tables import HUGE, HUGE_BYTES, TABLES_BY_NAME

_RUNS = 3
_TIMES = 10


def measure(servers: Servers, table: str, rows: int, folder: Path | None) -> int:
    """Measure, tell and write it down; 0."""
    job = Job(servers, servers.endpoint())
    small = _peak(servers, job, table, rows)
    large = _peak(servers, job, table, rows * _TIMES)
    servers.fill_huge()
    huge = child(servers, "huge", HUGE, 2)
    print(f"  one row of 64 MiB: {huge.failure or _mib(huge)}", flush=True)
    held = [
        growth(small.peak_bytes, large.peak_bytes),
        _bound(table, large),
        huge_row(None if huge.failure else huge.peak_bytes, HUGE_BYTES, huge.failure),
    ]
    print("", *held, sep="\n")
    content = {
        "table": table,
        "machine": tell.machine(servers.version, servers.pool),
        "job": [
            {"rows": run.rows, "peak_bytes": run.peak_bytes, "seconds": run.seconds}
            for run in (small, large)
        ],
        "row_of_64_mib": {"peak_bytes": huge.peak_bytes, "failure": huge.failure or None},
        "goals": tell.told(held),
    }
    print(f"\n{tell.write(f'memory-{table}', content, folder)}")
    return 0


def _peak(servers: Servers, job: Job, table: str, rows: int) -> Run:
    """The run with the greatest peak."""
    servers.fill(TABLES_BY_NAME[table], rows)
    runs = [job.run(table) for _ in range(_RUNS)]
    for found in runs:
        if found.failure or found.rows != rows:
            raise SystemExit(f"the job: {found.failure or f'{found.rows:,} rows'}")
        print(f"  {rows:,} rows: {_mib(found)}, {found.seconds:.1f} s", flush=True)
    return max(runs, key=lambda found: found.peak_bytes)


def _bound(table: str, found: Run) -> Goal:
    wanted = 280.0 if table == "narrow" else 450.0
    measured = found.peak_bytes / MIB
    return Goal("peak RSS of the job in MiB", wanted, at_least=False, measured=measured)


def _mib(found: Run) -> str:
    return f"{found.peak_bytes / MIB:,.0f} MiB"
