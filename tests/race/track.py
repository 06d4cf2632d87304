"""Where the race is run: three tables of one pipeline, and machines that work on it.

The tables are the three ways to a target: merged by key, appended, replaced whole. A machine is a
name that its processes give for their host: so a process on another one that falls silent can only
be watched, never looked up by its pid, as it is between real replicas.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml

from tests.acceptance import ledger
from tests.acceptance.compare import mysql, redshift
from tests.acceptance.running import HOST, Call, Commands
from tests.acceptance.source import application
from tests.daemon.tables import SHAPES, Shape, Table, write_pipelines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3rs_async.sandbox import Box

TTL = 2.0
EVERY = 1.0
DRAIN = 10.0
_LOOK = 0.02
_ENDS_WITHIN = DRAIN + 10.0
_WHOLE = Shape(
    "whole",
    "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, revision INT NOT NULL, name VARCHAR(60)",
    (("revision", "0"), ("name", "IF(n % 4 = 0, NULL, CONCAT('Möbel ', n))")),
    ("id",),
    "revision = revision + 1, name = CONCAT('again ', revision)",
    {"cdc_strategy": "full_sync"},
)
_BY_NAME = {shape.name: shape for shape in SHAPES}
_RACED = (_BY_NAME["orders"], _BY_NAME["events"], _WHOLE)


@dataclass
class Machine:
    """One machine with a daemon on it, which may be started any number of times."""

    track: Track
    name: str
    call: Call | None = None

    def start(self) -> None:
        """Start its daemon."""
        listen = ("--listen", "off", "--drain", f"{DRAIN:g}s")
        self.call = self.track.begin(self.name, "daemon", *listen)

    @property
    def daemon(self) -> Call:
        """The daemon that was started last."""
        assert self.call is not None
        return self.call

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it must still be there."""
        code = self.daemon.poll()
        assert code is None, f"{self.name} ended with {code}:\n{self.daemon.told[-3000:]}"
        os.kill(self.daemon.pid, number)

    async def killed(self) -> None:
        """SIGKILL, and be sure that it was that which ended it."""
        self.signal(signal.SIGKILL)
        assert await ended(self.daemon) == -signal.SIGKILL

    async def terminated(self) -> None:
        """SIGTERM; it ends well, or had not yet begun to listen."""
        self.signal(signal.SIGTERM)
        code = await ended(self.daemon)
        unborn = code == -signal.SIGTERM and not told(self.daemon)
        assert code == 0 or unborn, f"{self.name} ended with {code}:\n{self.daemon.told[-3000:]}"


@dataclass
class Track:
    """The pipeline `mysql` with its tables, and what runs on it."""

    box: Box
    folder: Path
    commands: Commands
    tables: tuple[Table, ...] = ()
    machines: list[Machine] = field(default_factory=list)

    def begin(self, machine: str, command: str, *options: str) -> Call:
        """Begin a command for the pipeline, on a machine."""
        return self.commands.begin(
            command, "-p", self.box.mysql.name, *options, environment={HOST: machine}
        )

    def states(self) -> list[dict[str, Any]]:
        """The tables' states now; without those that have none yet."""
        found = [ledger.state(table.place(self.box)) for table in self.tables]
        return [state for state in found if state is not None]

    def lay(self, token: str, rows: int) -> None:
        """Make the tables and the configuration."""
        server = self.box.mysql
        schema = f"{token}_{server.name}"
        self.tables = tuple(Table(server, f"{schema}.{shape.name}", shape) for shape in _RACED)
        with application(server, None, "'+00:00'") as run:
            run(f"CREATE DATABASE {schema}")
            for table in self.tables:
                run(table.ddl)
                run(table.insert(1, rows))
        config = self.folder / "config"
        write_pipelines(self.box, self.tables, config, every=f"{EVERY:g}s")
        (config / "connections.yml").write_text(yaml.safe_dump(self._connections()))

    def _connections(self) -> dict[str, Any]:
        """The box's ends, the target straight and in plain text, which costs less."""
        document: dict[str, Any] = {**self.box.connections}
        document["s3"] = {**document["s3"], "claim_ttl": TTL}
        target = {**document["targets"]["standin"], "tls": "off"}
        target |= {"host": self.box.redshift.host, "port": self.box.redshift.port}
        document["targets"] = {"standin": {k: target[k] for k in target.keys() - {"ca", "tunnel"}}}
        return document

    def add_rows(self, count: int) -> None:
        """So many new rows in each table."""
        for table in self.tables:
            ((top,),) = mysql(table.server.url, table.top)
            mysql(table.server.url, table.insert(int(top) + 1, int(top) + count))

    def loads(self) -> int:
        """How many batches the ledgers hold."""
        return sum(len(ledger._lines(table.place(self.box))) for table in self.tables)

    def take_overs(self) -> int:
        """How often a table was taken from a holder that had not let go, as the copies tell."""
        return sum(self._take_overs(table) for table in self.tables)

    def _take_overs(self, table: Table) -> int:
        place = table.place(self.box)
        kept = [ledger.get(place, key) for key in _keys(place, f"{place.layout.home}hist/")]
        claims = [json.loads(body)["claim"] for body in kept if body is not None]
        pairs = pairwise(claims)
        return sum(
            before is not None and not before["released"] and before["writer"] != after["writer"]
            for before, after in pairs
        )


def _keys(place: ledger.Place, prefix: str) -> Iterator[str]:
    after = ""
    while True:
        query = {"list-type": "2", "prefix": prefix, "start-after": after}
        text = ledger._asked(place, f"?{urlencode(query)}").decode()
        found = re.findall("<Key>([^<]*)</Key>", text)
        yield from found
        if "<IsTruncated>true" not in text:
            return
        after = found[-1]


@contextlib.contextmanager
def track_in(box: Box, rows: int) -> Iterator[Track]:
    """A track in a running sandbox; what was made at the ends goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="s3rs-race-"))
    token = f"t_{secrets.token_hex(4)}"
    environment = {
        **box.s3.environment,
        "S3RS_CONFIG": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    made = Track(box, folder, Commands(folder, environment))
    try:
        made.lay(token, rows)
        yield made
    finally:
        made.commands.stop()
        schema = f"{token}_{box.mysql.name}"
        redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        mysql(box.mysql.url, f"DROP DATABASE IF EXISTS {schema}")
        shutil.rmtree(folder)


async def ended(call: Call, within: float = _ENDS_WITHIN) -> int:
    """Wait for a call's end; its exit code."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while (code := call.poll()) is None:
        assert loop.time() < deadline, f"not ended within {within:g} s:\n{call.told[-3000:]}"
        await asyncio.sleep(_LOOK)
    return code


def told(call: Call) -> str:
    """All that a call wrote; nothing where it was killed before it could say a word."""
    return call.told if call.log.exists() else ""


def internal(call: Call) -> str:
    """What a call told of a failure that nobody foresaw; nothing where there is none."""
    found = re.search(r"Traceback \(most recent call last\).*", told(call), re.DOTALL)
    return found[0][-3000:] if found else ""
