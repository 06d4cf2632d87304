"""The whole job: the product's own `s3rs sync --s3-only`, from MySQL to a discarding S3 server.

It is the command line that anybody runs, with the settings that it comes with: a first full sync of
the table, in a prefix of its own, so that every run begins from nothing. Its seconds are the
table's in its own report, from the plan to the commit; the start of Python, the imports and the
opening of both ends stand besides, as with every contestant, and are in `process_seconds` and in
its CPU. Passwords come by the environment.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass, field

import yaml

from reading.run import Run, run
from reading.server import Endpoint, Servers
from reading.tables import DATABASE

_NUMBERS = itertools.count(1)
BUCKET = "bench"


@dataclass(slots=True)
class Job:
    """Ends to work with; `last_prefix` is where the last run wrote."""

    servers: Servers
    endpoint: Endpoint
    last_prefix: str = field(default="")

    def run(self, table: str, connections: int = 1) -> Run:
        """Sync a table from nothing, by so many connections."""
        number = next(_NUMBERS)
        self.last_prefix = f"run-{number}"
        room = self.servers.den.room(f"job-{number}")
        (room / "pipelines").mkdir()
        (room / "connections.yml").write_text(yaml.safe_dump(self._connections()))
        (room / "pipelines" / "bench.yml").write_text(yaml.safe_dump(_pipeline(table, connections)))
        command = [sys.executable, "-m", "s3rs_async", "sync", "-p", "bench", "--s3-only", "-q"]
        environment = {
            "S3RS_CONFIG": str(room),
            "BENCH_PASSWORD": self.servers.mysql.password,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "XDG_CACHE_HOME": str(room),
        }
        return run([*command, "--json-output"], environment, _told)

    def _connections(self) -> dict[str, object]:
        mysql = self.servers.mysql
        source = {"host": mysql.host, "port": mysql.port, "user": mysql.user, "tls": "off"}
        nowhere = {"host": "localhost", "database": "none", "user": "none", "password": "none"}
        return {
            "sources": {"bench": {**source, "password": "${BENCH_PASSWORD}"}},
            "targets": {"none": {**nowhere, "iam_role": "arn:aws:iam::123456789012:role/none"}},
            "s3": {"bucket": BUCKET, "prefix": self.last_prefix, "endpoint": self.endpoint.url},
        }


def _pipeline(table: str, connections: int) -> dict[str, object]:
    tables = {f"{DATABASE}.{table}": {"cdc_strategy": "full_sync", "connections": connections}}
    return {"source": "bench", "target": "none", "tables": tables}


def _told(words: str) -> dict[str, object]:
    report = json.loads(words)
    (table,) = report["table_results"].values()
    stages = "  ".join(f"{name} {took:.2f}" for name, took in table["seconds_by_stage"].items())
    return {
        "rows": table["rows_processed"],
        "seconds": table["duration_seconds"],
        "bytes": table["bytes_stored"],
        "note": f"{stages} s",
    }
