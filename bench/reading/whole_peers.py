"""Peers that do the whole way from MySQL to files, as their documentation shows it for speed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import time
from pathlib import Path

from reading.child import RefusedError, Task, Told

_WHEELS = (
    ("sling_linux_amd64", "sling-linux-amd64"),
    ("sling_linux_arm64", "sling-linux-arm64"),
)
_WROTE = re.compile(r"(?:wrote|inserted)\D*([\d,]+) rows")
_NO_WAIT = {"DLT_TELEMETRY": "false", "RUNTIME__DLTHUB_TELEMETRY": "false"}


def dlt_connectorx(task: Task) -> Told:
    """dlt: sql_database with ConnectorX into parquet files on the local disk."""
    os.environ.update(_NO_WAIT, DLT_DATA_DIR=str(task.folder / "dlt"))
    import dlt
    from dlt.destinations import filesystem
    from dlt.sources.sql_database import sql_table

    database, _, table = task.table.partition(".")
    scheme, _, rest = f"{task.url}{database}".partition("://")
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(task.folder / "pipelines"),
        destination=filesystem(bucket_url=(task.folder / "files").as_uri()),
        dataset_name="bench",
    )
    began = time.perf_counter()
    source = sql_table(
        credentials=f"{scheme}+pymysql://{rest}",
        table=table,
        backend="connectorx",
        backend_kwargs={"conn": f"{scheme}://{rest}", "protocol": "binary"},
        reflection_level="minimal",
    )
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
    seconds = time.perf_counter() - began
    files = list((task.folder / "files").rglob(f"{table}/*.parquet"))
    return Told(_rows_of(files), seconds, sum(file.stat().st_size for file in files))


def _rows_of(files: list[Path]) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for file in files)


def sling_parquet(task: Task) -> Told:
    """sling: one stream into a parquet file, which a program of DuckDB's writes for it."""
    return _slung(task, "parquet")


def sling_csv(task: Task) -> Told:
    """sling: one stream into a CSV file, its quickest."""
    return _slung(task, "csv")


def _program() -> str:
    """The program that its wheel for this machine holds; the newer ones would download it."""
    for package, name in _WHEELS:
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or []) if found else []:
            program = Path(folder) / "bin" / name
            if program.exists():
                program.chmod(0o755)
                return str(program)
    raise RefusedError("no wheel of it holds a program for this machine")


def _slung(task: Task, ending: str) -> Told:
    file = task.folder / f"out.{ending}"
    given = {
        **os.environ,
        "BENCH": f"{task.url}{task.table.partition('.')[0]}",
        "SLING_HOME_DIR": str(task.folder / "sling"),
        "SLING_SEND_ANON_USAGE": "false",
    }
    command = [_program(), "run", "--src-conn", "BENCH", "--src-stream", task.query]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--tgt-object", file.as_uri()],
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    words = done.stdout + done.stderr
    wrote = _WROTE.search(words)
    if done.returncode or wrote is None:
        fetched = "duckdb" in words and "download" in words
        why = "the DuckDB program that it downloads is not to be had" if fetched else "it failed"
        raise RefusedError(why)
    return Told(int(wrote[1].replace(",", "")), seconds, file.stat().st_size)
