"""A sandbox with proxies before its three ends, a table for each cell, and `s3rs` in it.

What the commands are told is the proxies' addresses; what the tests look with goes straight. With
`tunnelled` the target is reached through the bastion and TLS, and the proxy stands behind the
bastion; else in plain text, which costs less.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from s3rs_async.sandbox.box import HOST, MYSQL_PORT, PORT, mysql_host
from s3rs_async.sandbox.faults import Proxy, S3Faults, proxy, s3_faults
from tests.acceptance.compare import mysql, redshift
from tests.acceptance.ledger import Place
from tests.acceptance.running import WITHIN, Call, Commands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from s3rs_async.sandbox import Box
    from tests.crash.matrix import Mode

_LOOK = 0.01
_STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"
_COLUMNS = """
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, revision INT NOT NULL,
  name VARCHAR(40) NOT NULL, amount DECIMAL(15,4), ratio DOUBLE, born DATE, at DATETIME(6),
  note TEXT, raw VARBINARY(20)"""
_MADE = """0, CONCAT('Zoë 田 ', n), IF(n % 7 = 0, NULL, n / 16), n / 7.7,
  '2020-02-29' + INTERVAL n DAY, '2021-01-01' + INTERVAL n MICROSECOND,
  IF(n % 3 = 0, NULL, REPEAT(MD5(n), 1 + n % 3)), UNHEX(SHA1(n))"""
_NAMES = "revision, name, amount, ratio, born, at, note, raw"
_LAST: dict[str, str] = {
    "merge": f", changed {_STAMP} ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed)",
    "append": "",
    "replace": f", made {_STAMP}",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "merge": {},
    "append": {"cdc_strategy": "id_only", "cdc_id_column": "id", "apply": "append"},
    "replace": {"cdc_strategy": "full_sync"},
}


@dataclass(eq=False)
class Failpoint:
    """The other end of a failpoint: it tells when it is reached, and waits for a word."""

    met: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = ""
    _writer: asyncio.StreamWriter | None = None

    async def arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name, self._writer = (await reader.readline()).decode().strip(), writer
        self.met.set()

    def say(self, word: str) -> None:
        """`go`, or what shall be wrong there."""
        assert self._writer is not None
        self._writer.write(f"{word}\n".encode())

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@dataclass
class Table:
    """One cell's table, with a pipeline and a prefix of its own."""

    town: Town
    name: str
    mode: Mode
    environment: dict[str, str]
    rows: int = 0

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]

    @property
    def pipeline(self) -> str:
        return self.name.partition(".")[2]

    @property
    def place(self) -> Place:
        return Place(self.town.box, self.name, prefix=self.pipeline, pipeline=self.pipeline)

    def mysql(self, *statements: str) -> None:
        *script, last = statements
        mysql(self.town.box.mysql.url, last, script=tuple(script))

    def insert(self, count: int) -> str:
        first, self.rows = self.rows + 1, self.rows + count
        numbers = f"(SELECT seq AS n FROM {self.schema}.seq_{first}_to_{self.rows}) AS numbers"
        return f"INSERT INTO {self.name} ({_NAMES}) SELECT {_MADE} FROM {numbers}"

    def change(self) -> list[str]:
        """Rows added and, where that can be seen, changed and removed."""
        changes = [self.insert(7)]
        if self.mode != "append":
            changes.append(f"UPDATE {self.name} SET revision = revision + 1 WHERE id % 4 = 1")
        if self.mode == "replace":
            changes.append(f"DELETE FROM {self.name} WHERE id % 9 = 2")
        return changes

    def begin(self, *options: str, environment: dict[str, str] | None = None) -> Call:
        """Begin a sync of it."""
        return self._run("sync", *options, environment=environment)

    def clean(self, environment: dict[str, str] | None = None) -> Call:
        """Begin to collect all that no one can commit any more, as if all that runs were dead."""
        options = ("-t", self.name, "--grace", "0s", "--seal", "--force")
        return self._run("s3clean", "clean", *options, environment=environment)

    def reconcile(self, environment: dict[str, str] | None = None) -> Call:
        """Begin to rebuild its state from the ledger."""
        options = ("-t", self.name, "--yes")
        return self._run("watermark", "reconcile", *options, environment=environment)

    def orphans(self) -> Call:
        """Begin to look for what could be collected."""
        return self._run("s3clean", "orphans", "-t", self.name, "--grace", "0s")

    def _run(self, *words: str, environment: dict[str, str] | None = None) -> Call:
        together = {**self.environment, **(environment or {})}
        return self.town.commands.begin(*words, "-p", self.pipeline, environment=together)

    async def synced(self, *options: str) -> Call:
        """A sync of it, which must come through."""
        call = self.begin(*options)
        code = await ended(call)
        assert code == 0, f"exit code {code}:\n{call.told[-3000:]}"
        return call


@dataclass
class Town:
    """The sandbox, the proxies, and the parent of all commands."""

    box: Box
    folder: Path
    schema: str
    commands: Commands
    mysql: Proxy
    redshift: Proxy
    s3: S3Faults
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def table(self, mode: Mode, rows: int, *, tunnelled: bool = False) -> Table:
        """A fresh table with rows in it."""
        name = f"{self.schema}.{mode}_{next(self._numbers)}"
        made = Table(self, name, mode, {})
        folder = self.folder / made.pipeline
        made.environment = {"S3RS_CONFIG": str(folder)}
        (folder / "pipelines").mkdir(parents=True)
        self._write(
            folder / "connections.yml", self._connections(made.pipeline, tunnelled=tunnelled)
        )
        pipeline = {"source": "mysql", "target": "standin", "tables": {name: SETTINGS[mode]}}
        self._write(folder / "pipelines" / f"{made.pipeline}.yml", pipeline)
        ddl = f"CREATE TABLE {name} ({_COLUMNS}{_LAST[mode]}) CHARSET=utf8mb4"
        made.mysql(ddl, made.insert(rows))
        return made

    def lead(self, mysql: int, redshift: int) -> None:
        """Have the bastion lead to these ports."""
        routes = self.box.folder / "routes"
        (routes / f"{HOST}:{PORT}").write_text(str(redshift))
        (routes / f"{mysql_host(self.box.mysql.name)}:{MYSQL_PORT}").write_text(str(mysql))

    def _connections(self, prefix: str, *, tunnelled: bool) -> dict[str, Any]:
        document: dict[str, Any] = {**self.box.connections}
        if not self.box.tunnelled:
            source = {**document["sources"]["mysql"], "port": self.mysql.port}
            document["sources"] = {"mysql": source}
        stage = {"endpoint": self.s3.url, "prefix": prefix, "claim_ttl": 1}
        document["s3"] = {**document["s3"], **stage}
        if not tunnelled:
            target = {**document["targets"]["standin"], "tls": "off"}
            target |= {"host": "127.0.0.1", "port": self.redshift.port}
            document["targets"] = {
                "standin": {k: target[k] for k in target.keys() - {"ca", "tunnel"}}
            }
        return document

    def _write(self, path: Path, content: object) -> None:
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    @contextlib.asynccontextmanager
    async def failpoint(self) -> AsyncIterator[tuple[Failpoint, str]]:
        """A failpoint's other end, and where it listens."""
        path = str(self.folder / f"s{next(self._numbers)}")
        made = Failpoint()
        async with await asyncio.start_unix_server(made.arrived, path):
            try:
                yield made, path
            finally:
                made.close()

    def cut(self) -> None:
        """Cut every connection that the commands have."""
        self.mysql.cut()
        self.redshift.cut()
        self.s3.cut()

    async def heal(self) -> None:
        """Nothing is wrong any more."""
        self.mysql.heal()
        self.redshift.heal()
        self.s3.heal()
        await self.box.redshift.turn(fail_copy=None, conflict=None)


@contextlib.asynccontextmanager
async def town_in(box: Box) -> AsyncIterator[Town]:
    """A town in a running sandbox; what it made at the ends goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="s3rs-crash-"))
    schema = f"t_{secrets.token_hex(5)}"
    keys = {**box.s3.environment, "XDG_CACHE_HOME": str(folder / "cache")}
    mysql(box.mysql.url, f"CREATE DATABASE {schema}")
    async with (
        proxy(box.mysql.host, box.mysql.port) as source,
        proxy(box.redshift.host, box.redshift.port) as target,
        s3_faults(box.s3.url) as s3,
    ):
        commands = Commands(folder, keys)
        made = Town(box, folder, schema, commands, source, target, s3)
        made.lead(source.port, target.port)
        try:
            yield made
        finally:
            made.lead(box.mysql.port, box.redshift.port)
            await asyncio.to_thread(commands.stop)
            mysql(box.mysql.url, f"DROP DATABASE {schema}")
            redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            shutil.rmtree(folder)


async def ended(call: Call, within: float = WITHIN) -> int:
    """Wait for a call's end."""
    return await until(call.poll, lambda: f"the call has ended:\n{call.told[-2000:]}", within)


async def until(come: Callable[[], Any], what: Callable[[], str], within: float = WITHIN) -> Any:
    """Wait until `come` gives something else than None."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while (found := come()) is None:
        assert loop.time() < deadline, f"not within {within:g} s: {what()}"
        await asyncio.sleep(_LOOK)
    return found


async def killed(call: Call) -> None:
    """SIGKILL, and be sure that it was that which ended it."""
    os.kill(call.pid, signal.SIGKILL)
    assert await ended(call) == -signal.SIGKILL, call.told[-2000:]
