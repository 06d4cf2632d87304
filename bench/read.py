"""Reading MySQL, side by side: raw drain, our reader, our whole job, and its peers, in one run.

    ./dev bench read [--table narrow|wide|wild] [--rows N] [--runs 5] [--only NAME...]
    ./dev bench read --memory [--table ...] [--rows N]
    ./dev bench read --only job --table narrow --rows 20000000 [--stall 90]

Against one private MariaDB, round robin: each contestant once in each round, one at a time, in a
process of its own; a first round is not counted; medians. The server shares the machine's cores
with the client, and so does, for the whole job, a discarding S3 server. T is from the query's start
to the last batch; CPU is user and system time of the client's process, imports included; peak is
its greatest resident set. Slow ones take a tenth of the rows, as the table shows. A contestant that
can't run here is told with the reason; other counts of rows than the table's end the run. Results:
a table and the goals on stdout, `bench/results/read-TABLE.json` and `.png`.

`--memory` is the whole job's peak for N rows and for ten times as many, and the reader's for one
row of 64 MiB. `--stall` lets the S3 server stand still in mid-stream, for so many seconds, keeps
the parts then and compares them with the table.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path

from reading import memory, tell
from reading.contestants import CONTESTANTS, JOB, Figure, figure
from reading.goals import goals
from reading.robin import Robin
from reading.server import Servers, servers
from reading.tables import TABLES_BY_NAME
from reading.whole import kept_rows

_USUAL_ROWS = {"narrow": 5_000_000, "wide": 1_000_000, "wild": 1_000_000}


def main(given: argparse.Namespace) -> int:
    """0; 1 where a contestant of ours failed or rows were lost."""
    with servers() as running:
        print(f"{given.rows:,} rows, table {given.table}: being made", flush=True)
        if given.memory:
            return memory.measure(running, given.table, given.rows, given.results)
        running.fill(TABLES_BY_NAME[given.table], given.rows)
        if given.stall:
            return kept_rows(running, given.table, given.rows, given.stall)
        return _compare(running, given)


def _compare(running: Servers, given: argparse.Namespace) -> int:
    wanted = [each for each in CONTESTANTS if given.only is None or each.name in given.only]
    robin = Robin(running, given.table, given.rows, wanted)
    runs = robin.rounds(given.runs)
    figures = {name: figure(robin.contestant(name), found) for name, found in runs.items()}
    floor = figures.get("drain-binary")
    row_bytes = floor.run.bytes / floor.run.rows if floor is not None else math.nan
    print(f"\n{given.table}, {given.rows:,} rows, medians of {given.runs}, {running.version}")
    print(tell.table(figures, row_bytes))
    start = robin.start() if JOB in runs else None
    if start is not None:
        print(
            f"starting the job (it reads one row): CPU {start.cpu_seconds:.2f} s,"
            f" peak {start.peak_bytes / tell.MIB:.0f} MiB, process {start.process_seconds:.2f} s"
        )
    held = goals(figures, given.table) if given.only is None else []
    print(*(["", *held] if held else []), sep="\n")
    content = {
        "table": given.table,
        "rows": given.rows,
        "columns": len(TABLES_BY_NAME[given.table].columns),
        "binary_bytes_per_row": None if math.isnan(row_bytes) else row_bytes,
        "machine": tell.machine(running.version, running.pool),
        "versions": tell.versions(wanted),
        "goals": tell.told(held),
        "start_of_the_job": None if start is None else asdict(start),
        "contestants": tell.document(figures, runs),
    }
    if given.only is None or given.results is not None:
        _keep(content, figures, given)
    return 0


def _keep(
    content: dict[str, object], figures: dict[str, Figure], given: argparse.Namespace
) -> None:
    from reading import plot

    file = tell.write(f"read-{given.table}", content, given.results)
    machine = content["machine"]
    assert isinstance(machine, dict)
    title = f"MySQL → client: {given.rows:,} rows of {content['columns']} columns"
    below = (
        f"{machine['cores']} cores shared with the server, {machine['processor']};"
        f" MariaDB {machine['server']}; medians of {given.runs}"
    )
    plot.speeds(figures, title, below, file.with_suffix(".png"))
    print(f"\n{file}\n{file.with_suffix('.png')}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=tuple(TABLES_BY_NAME), default="wide")
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=None, choices=[c.name for c in CONTESTANTS])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--results", type=Path, default=None, help="another folder for them")
    given = parser.parse_args()
    given.rows = given.rows or _USUAL_ROWS[given.table]
    return given


if __name__ == "__main__":
    sys.exit(main(_arguments()))
