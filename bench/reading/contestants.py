"""Who takes part, in the order of a round, and what the medians of their runs say.

A contestant whose rows are Python objects, or that is as slow, takes one tenth of the rows; its
rows per second are compared, and its share stands beside them. What it costs to start weighs more
then, so it is told as well.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reading.run import Run


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of them; `kind` is floor, ours or peer, and `part` says which part of the rows it takes.

    `distributions` are the packages whose versions are told.
    """

    name: str
    label: str
    kind: str
    part: int = 1
    distributions: tuple[str, ...] = ()

    def limit(self, rows: int) -> int | None:
        """How many rows it takes; None for all."""
        least = min(rows, 20_000)
        return None if self.part == 1 else max(rows // self.part, least)


JOB, JOB_OF_TWO = "job", "job-two"
CONTESTANTS = (
    Contestant("drain-text", "raw drain, text", "floor"),
    Contestant("drain-binary", "raw drain, binary", "floor"),
    Contestant("decode-text", "s3rs: decode, text", "ours"),
    Contestant("decode-binary", "s3rs: decode, binary", "ours"),
    Contestant("parquet", "s3rs: decode + parquet", "ours"),
    Contestant(JOB, "s3rs: whole job to S3", "ours"),
    Contestant(JOB_OF_TWO, "s3rs: whole job, 2 connections", "ours"),
    Contestant("connectorx", "connectorx arrow", "peer", 1, ("connectorx",)),
    Contestant("connectorx-stream", "connectorx arrow_stream", "peer", 1, ("connectorx",)),
    Contestant("polars", "polars read_database_uri", "peer", 1, ("polars",)),
    Contestant("arrow-odbc", "arrow-odbc", "peer", 1, ("arrow-odbc",)),
    Contestant("asyncmy", "asyncmy SSCursor → Arrow", "peer", 10, ("asyncmy",)),
    Contestant("aiomysql", "aiomysql SSCursor → Arrow", "peer", 10, ("aiomysql", "PyMySQL")),
    Contestant("dlt", "dlt + connectorx → parquet", "peer", 1, ("dlt",)),
    Contestant("sling", "sling → parquet", "peer", 10, ("sling-linux-amd64",)),
    Contestant("sling-csv", "sling → CSV", "peer", 10, ("sling-linux-amd64",)),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """The medians of a contestant's runs, but the greatest of its peaks; or why there are none."""

    contestant: Contestant
    run: Run
    runs: int = 0

    @property
    def failure(self) -> str:
        """Why it has no figures."""
        return self.run.failure

    @property
    def rows_per_second(self) -> float:
        """Rows by the seconds from the query's start to the last of them."""
        return self.run.rows / self.run.seconds

    @property
    def cpu_per_million(self) -> float:
        """The client's CPU seconds for a million rows, imports included."""
        return self.run.cpu_seconds / self.run.rows * 1e6


def figure(contestant: Contestant, runs: Sequence[Run]) -> Figure:
    """What its runs say together."""
    if failed := [run for run in runs if run.failure]:
        return Figure(contestant, failed[0])
    medians = {
        name: statistics.median(getattr(run, name) for run in runs)
        for name in (
            "seconds",
            "process_seconds",
            "cpu_seconds",
            "server_cpu_seconds",
            "endpoint_cpu_seconds",
        )
    }
    peak = max(run.peak_bytes for run in runs)
    return Figure(contestant, replace(runs[-1], peak_bytes=peak, **medians), len(runs))
