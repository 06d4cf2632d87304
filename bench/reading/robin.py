"""The round robin: each contestant once in each round, one at a time, the first round not counted.

A peer that fails has its reason kept and takes no part any more. Ours may not fail; and all must
have read as many rows as they were told to, or the comparison would be of different work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from reading.contestants import JOB, JOB_OF_TWO, Contestant
from reading.job import Job
from reading.run import HERE, Run, last_line, run
from reading.server import Servers, cpu_seconds
from reading.tables import DATABASE, TABLES_BY_NAME


class Robin:
    """Contestants, and the servers that they work with."""

    def __init__(
        self, servers: Servers, table: str, rows: int, contestants: Sequence[Contestant]
    ) -> None:
        self._servers = servers
        self._table = table
        self._rows = rows
        self._contestants = {each.name: each for each in contestants}
        jobs = {JOB, JOB_OF_TWO} & self._contestants.keys()
        self._job = Job(servers, servers.endpoint()) if jobs else None

    def contestant(self, name: str) -> Contestant:
        """One of them."""
        return self._contestants[name]

    def rounds(self, count: int) -> dict[str, list[Run]]:
        """The runs of all; of one that can't run here, the one that says why."""
        runs: dict[str, list[Run]] = {name: [] for name in self._contestants}
        failed: set[str] = set()
        for number in range(count + 1):
            for name, contestant in self._contestants.items():
                if name in failed:
                    continue
                found = self._one(contestant)
                _show(number, contestant, found)
                if found.failure:
                    failed.add(name)
                    runs[name] = [found]
                elif number:
                    runs[name].append(found)
        return runs

    def start(self) -> Run:
        """What the job costs before it reads: a table of one row."""
        assert self._job is not None
        self._servers.fill(replace(TABLES_BY_NAME[self._table], name="one"), 1)
        runs = [self._job.run("one") for _ in range(3)]
        return sorted(runs, key=lambda run: run.cpu_seconds)[1]

    def _one(self, contestant: Contestant) -> Run:
        server = self._servers.mysql.process.pid
        endpoint = self._job.endpoint.process.pid if self._job is not None else server
        before = cpu_seconds(server), cpu_seconds(endpoint)
        found = self._run(contestant)
        after = cpu_seconds(server), cpu_seconds(endpoint)
        wanted = contestant.limit(self._rows) or self._rows
        if found.failure and contestant.kind != "peer":
            raise SystemExit(f"{contestant.label}: {found.failure}")
        if not found.failure and found.rows != wanted:
            raise SystemExit(f"{contestant.label} read {found.rows:,} rows instead of {wanted:,}")
        return replace(
            found,
            server_cpu_seconds=after[0] - before[0],
            endpoint_cpu_seconds=after[1] - before[1]
            if contestant.name in {JOB, JOB_OF_TWO}
            else 0.0,
        )

    def _run(self, contestant: Contestant) -> Run:
        if contestant.name in {JOB, JOB_OF_TWO}:
            assert self._job is not None
            return self._job.run(self._table, 2 if contestant.name == JOB_OF_TWO else 1)
        limit = contestant.limit(self._rows)
        return child(self._servers, contestant.name, self._table, self._rows, limit)


def child(servers: Servers, name: str, table: str, rows: int, limit: int | None = None) -> Run:
    """One run of what `reading.child` knows by that name."""
    environment = {
        "PYTHONPATH": str(HERE.parent),
        "BENCH_URL": servers.mysql.url,
        "BENCH_TABLE": f"{DATABASE}.{table}",
        "BENCH_ROWS": str(rows),
        "BENCH_LIMIT": "" if limit is None else str(limit),
    }
    return run([sys.executable, "-m", "reading.child", name], environment, last_line)


def _show(number: int, contestant: Contestant, found: Run) -> None:
    said = found.failure or f"{found.seconds:.3f} s, CPU {found.cpu_seconds:.2f} s"
    rest = f"  ({found.note})" if found.note else ""
    turn = f"round {number}" if number else "warm-up"
    print(f"{turn:<9}{contestant.label:<32}{said}{rest}", flush=True)
