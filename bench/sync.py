"""The whole way, MySQL to the Redshift stand-in: seconds, MB and rows/s of each stage.

    ./dev bench sync [--rows 300000] [--runs 3]

Private servers share this machine's cores with the client, so figures are those of the whole box;
quote them beside the machine's core count. Prints one line a run and the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from pathlib import Path

import orjson

from s3rs_async.demo.command import sync
from s3rs_async.demo.compare import connect
from s3rs_async.demo.tables import DATABASE, TABLES
from s3rs_async.sandbox import Sandbox

WIDE = TABLES[0]


async def main(rows: int, runs: int, output: Path | None) -> None:
    """A fresh first sync of the 53-column table, `runs` times."""
    figures = []
    async with Sandbox() as box:
        environment = box.environment
        with connect(box.mysql.url) as source, source.cursor() as cursor:
            cursor.execute(
                "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION', optimizer_switch = 'derived_merge=off'"
            )
            for run in range(runs):
                cursor.execute(f"CREATE DATABASE {DATABASE}" if run == 0 else "SELECT 1")
                cursor.execute(WIDE.ddl.replace(WIDE.name, f"run_{run}"))
                cursor.execute(WIDE.fill(1, rows, old=True).replace(WIDE.name, f"run_{run}"))
                source.commit()
                report = await sync([f"{DATABASE}.run_{run}"], environment, box.folder)
                figures.append(_figures(report, rows))
                print(*(f"{name} {value:,.2f}" for name, value in figures[-1].items()), sep="   ")
                cursor.execute(f"DROP TABLE {DATABASE}.run_{run}")
    median = {name: statistics.median(f[name] for f in figures) for name in figures[0]}
    print(
        f"median of {runs} on {os.cpu_count()} cores, {rows:,} rows x {len(WIDE.columns)} columns:"
    )
    print(*(f"{name} {value:,.2f}" for name, value in median.items()), sep="   ")
    if output is not None:
        data = {"rows": rows, "runs": figures, "median": median, "cores": os.cpu_count()}
        await asyncio.to_thread(output.write_bytes, orjson.dumps(data, option=orjson.OPT_INDENT_2))


def _figures(report: dict[str, object], rows: int) -> dict[str, float]:
    (table,) = report["table_results"].values()  # type: ignore[attr-defined]
    stages = table["seconds_by_stage"]
    return {
        "extract_s": stages["extract"],
        "extract_krows_s": rows / stages["extract"] / 1000,
        "stored_mb": table["bytes_stored"] / 1e6,
        "load_s": stages["load"],
        "load_krows_s": rows / stages["load"] / 1000,
        "whole_s": table["duration_seconds"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rows, arguments.runs, arguments.json))
