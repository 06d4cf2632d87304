"""One contestant in a process of its own: `python -m reading.child NAME`.

What to read comes by the environment, since URLs hold passwords and process lists are for all eyes:
BENCH_URL, BENCH_TABLE (with its database), BENCH_ROWS, BENCH_LIMIT (empty: all rows) and
BENCH_FOLDER (for what a contestant has to write). The answer is one JSON line, the last on stdout:
`rows`, `seconds` from the query's start to the last batch, and `bytes` where it counts any; or
`refused`, the reason why it can't run here.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_PLACES = {
    "drain-text": ("drain", "text"),
    "drain-binary": ("drain", "binary"),
    "decode-text": ("ours", "decode_text"),
    "decode-binary": ("ours", "decode_binary"),
    "parquet": ("ours", "parquet"),
    "huge": ("ours", "huge"),
    "connectorx": ("arrow_peers", "connectorx_arrow"),
    "connectorx-stream": ("arrow_peers", "connectorx_stream"),
    "polars": ("arrow_peers", "polars_uri"),
    "arrow-odbc": ("arrow_peers", "arrow_odbc"),
    "aiomysql": ("row_peers", "aiomysql_rows"),
    "asyncmy": ("row_peers", "asyncmy_rows"),
    "dlt": ("whole_peers", "dlt_connectorx"),
    "sling": ("whole_peers", "sling_parquet"),
    "sling-csv": ("whole_peers", "sling_csv"),
}


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be read."""

    url: str
    table: str
    rows: int
    limit: int | None
    folder: Path

    @property
    def query(self) -> str:
        """All rows, or the first ones."""
        limit = "" if self.limit is None else f" LIMIT {self.limit}"
        return f"SELECT * FROM {self.table}{limit}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a contestant says of its run."""

    rows: int
    seconds: float
    bytes: int = 0
    note: str = ""


class RefusedError(Exception):
    """The contestant can't run here; the reason is its message."""


def task() -> Task:
    """What the environment says."""
    given = os.environ
    limit = given["BENCH_LIMIT"]
    return Task(
        given["BENCH_URL"],
        given["BENCH_TABLE"],
        int(given["BENCH_ROWS"]),
        int(limit) if limit else None,
        Path(given["BENCH_FOLDER"]),
    )


def main(name: str) -> int:
    """Run the contestant and say what it did."""
    module, function = _PLACES[name]
    try:
        told = getattr(importlib.import_module(f"reading.{module}"), function)(task())
    except (RefusedError, ModuleNotFoundError) as reason:
        print(json.dumps({"refused": str(reason)}), flush=True)
        return 0
    answer = {"rows": told.rows, "seconds": told.seconds, "bytes": told.bytes, "note": told.note}
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    # The module's second self would have another RefusedError than the contestants' one.
    from reading.child import main as run

    sys.exit(run(sys.argv[1]))
