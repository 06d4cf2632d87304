"""The whole way, MySQL to the Redshift stand-in: seconds, MB and rows/s of each stage.

    ./dev bench sync [--rows 300000] [--runs 3] [--batch SIZE] [--results FOLDER]

A first sync of the demo's 53 columns by the real command line, a table of its own for each run, in
batches of SIZE (by default a fourth of the rows, as they are in memory): each is loaded while the
next is read.
`extract` is reading, encoding and upload at once; `load` is the transaction in the target, of which
COPY's part is what the target's own log says (the rest is counting and applying). `overlapped` is
how much longer the stages took together than the run: nought where they came one after the other.
All servers are private and share this machine's cores with the client, so figures are those of the
whole box. Results: the medians on stdout, `bench/results/sync.json` with every run, and `sync.png`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path

import asyncpg
import yaml
from reading import plot, tell

from s3rs_async.config.values import size_of
from s3rs_async.demo.command import run
from s3rs_async.demo.compare import connect
from s3rs_async.demo.tables import DATABASE, TABLES
from s3rs_async.sandbox import Box, Sandbox

WIDE = TABLES[0]
_STAGES = ("plan", "extract", "commit", "load", "copy", "settle")
_MOVED = {"extract", "load", "copy"}
"""Stages through which all rows go; `copy` is a part of `load`."""

_ROW_BYTES, _BATCHES = 600, 4
"""Of a row in memory, about; and how many batches are wanted unless their size is given.

A batch ends with a piece of 100,000 rows, so there are fewer of a small table.
"""

Figures = dict[str, float]


async def main(asked: argparse.Namespace) -> None:
    """A fresh first sync of the 53-column table, `runs` times."""
    rows, runs, batch = asked.rows, asked.runs, asked.batch or asked.rows * _ROW_BYTES // _BATCHES
    async with Sandbox() as box:
        figures = [await _run(box, f"run_{number}", rows, batch) for number in range(runs)]
        with connect(box.mysql.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION(), @@innodb_buffer_pool_size")
            version, pool = cursor.fetchone() or ("", 0)
    median = {name: statistics.median(run[name] for run in figures) for name in figures[0]}
    machine = tell.machine(str(version), int(pool))
    print(f"median of {runs} on {machine['cores']} cores, {rows:,} rows x {len(WIDE.columns)}:")
    _show(median, rows)
    content = {
        "rows": rows,
        "batch_bytes": batch,
        "columns": len(WIDE.columns),
        "machine": machine,
        "median": median,
    }
    file = tell.write("sync", {**content, "runs": figures}, asked.results)
    below = (
        f"{machine['cores']} cores shared by all servers, {machine['processor']}; medians of {runs}"
    )
    title = f"MySQL → S3 → Redshift stand-in: {rows:,} rows of {len(WIDE.columns)} columns"
    plot.bars(_bars(median, rows), title, below, file.with_suffix(".png"))
    print(file, file.with_suffix(".png"), sep="\n")


async def _run(box: Box, name: str, rows: int, batch: int) -> Figures:
    pipelines = box.config / "pipelines"
    pipelines.mkdir(exist_ok=True)
    table = {f"{DATABASE}.{name}": {"batch_size": batch}}
    asked = {"source": "mysql", "target": "standin", "tables": table}
    (pipelines / f"{name}.yml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    with connect(box.mysql.url) as source, source.cursor() as cursor:
        cursor.execute(
            "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION', optimizer_switch = 'derived_merge=off'"
        )
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        cursor.execute(WIDE.ddl.replace(WIDE.name, name))
        cursor.execute(WIDE.fill(1, rows, old=True).replace(WIDE.name, name))
        source.commit()
        before = await _copy_seconds(box)
        report = await run(["-p", name], box.environment, box.folder)
        found = _figures(report, rows, await _copy_seconds(box) - before)
        cursor.execute(f"DROP TABLE {DATABASE}.{name}")
    print(f"{name}:")
    _show(found, rows)
    return found


async def _copy_seconds(box: Box) -> float:
    """How long COPY has taken so far, by the target's log."""
    target = await asyncpg.connect(box.redshift.url, ssl=False, statement_cache_size=0)
    try:
        spent = await target.fetchval("SELECT SUM(duration) FROM sys_load_history")
    finally:
        await target.close()
    return float(spent or 0) / 1e6


def _figures(report: dict[str, object], rows: int, copying: float) -> Figures:
    (table,) = report["table_results"].values()  # type: ignore[attr-defined]
    if table["rows_loaded"] != rows or table["target_rows"] != rows:
        raise SystemExit(f"{table['target_rows']} of {rows} rows were loaded")
    stages = table["seconds_by_stage"]
    whole = table["duration_seconds"]
    return {
        **{f"{name}_s": stages.get(name, 0.0) for name in _STAGES},
        "copy_s": copying,
        "whole_s": whole,
        "overlapped_s": max(0.0, sum(stages.values()) - whole),
        "stored_mb": table["bytes_stored"] / 1e6,
        "batches": table["batches"],
        "files": table["files_created"],
    }


def _show(found: Figures, rows: int) -> None:
    for name in (*_STAGES, "whole"):
        label = f"{'    of it ' if name == 'copy' else '  '}{name}"
        print(f"{label:<18}{found[f'{name}_s']:9.2f} s  {_pace(found, name, rows)}")
    said = f"{found['overlapped_s']:.2f} s" if found["overlapped_s"] else "nothing"
    print(f"  overlapped: {said}; batches: {found['batches']:.0f}, files: {found['files']:.0f}")


def _pace(found: Figures, name: str, rows: int) -> str:
    seconds = found[f"{name}_s"]
    if name not in {*_MOVED, "whole"} or not seconds:
        return ""
    megabytes = found["stored_mb"]
    return f"{megabytes:,.0f} MB, {megabytes / seconds:,.1f} MB/s, {rows / seconds:,.0f} rows/s"


def _bars(median: Figures, rows: int) -> list[tuple[str, float, str]]:
    labels = {"extract": "read, encode, upload", "copy": "of it COPY", "whole": "whole"}
    told = {name: (median[f"{name}_s"], _pace(median, name, rows)) for name in (*_STAGES, "whole")}
    return [
        (labels.get(name, name), seconds, f"{seconds:.2f} s  {pace}")
        for name, (seconds, pace) in told.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=size_of, default=None, metavar="SIZE")
    parser.add_argument("--results", type=Path, default=None, help="another folder for them")
    asyncio.run(main(parser.parse_args()))
