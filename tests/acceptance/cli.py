"""The command line as its users run it: a process of its own, in the sandbox's environment.

What is `run` to its end is a fork of a process that has imported it all (`running`); what is to be
watched or signalled on its way is `start`ed like any other program.

Every run is looked through for the secrets it knows, whatever the test is about. A `Relay` stands
between the command and the object store, to see, hold, change or answer requests at a given moment.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import botocore.session
import psycopg
import pymysql
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from s3rs_async.sandbox import Box
    from tests.acceptance.running import Call, Commands

COMMAND = [sys.executable, "-m", "s3rs_async"]
AT_ONCE = 3
PATIENCE = 60.0
_NUMBERS = itertools.count(1)

Overrides = dict[str, Any]
"""What differs in connections.yml, by dotted path; None takes a key away."""


@dataclass(frozen=True)
class Ended:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What stderr says besides log lines."""
        return [line for line in self.err.splitlines() if line and not line.startswith("{")]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def fails(self, code: int, *words: str) -> None:
        """It ended with this code, and said so in one line of error and one of hint."""
        assert self.code == code, (self.code, self.out, self.err)
        assert len(self.lines) == 2, self.err
        error, hint = self.lines
        assert error.startswith("Error: "), self.err
        assert hint.startswith("Hint: "), self.err
        assert len(hint) > len("Hint: "), self.err
        for word in words:
            assert word in error + hint, (word, self.err)

    def does(self) -> Ended:
        """It ended well, and stderr has nothing but log lines."""
        assert self.code == 0, (self.code, self.lines, self.out, self.err)
        assert not self.lines, self.err
        return self


@dataclass
class Cli:
    """`s3rs` with a configuration of the test's own, and straight looks at what it works on."""

    box: Box
    forks: Commands
    folder: Path
    database: str
    schema: str
    prefix: str
    secrets: set[str] = field(default_factory=set)
    configs: int = 0

    def __post_init__(self) -> None:
        keys = self.box.s3.environment["AWS_SECRET_ACCESS_KEY"]
        self.secrets |= {self.box.mysql.password, self.box.redshift.password, keys}

    @property
    def environment(self) -> dict[str, str]:
        ours = ("S3RS_", "AWS_", "DB_", "S3_", "REDSHIFT_")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        cache = {"XDG_CACHE_HOME": str(self.folder / "cache")}
        return {**outside, **self.box.s3.environment, **cache}

    def connections(self, overrides: Overrides | None = None) -> dict[str, Any]:
        """The sandbox's connections with this test's schema and prefix, and with what differs."""
        tree: dict[str, Any] = deepcopy(self.box.connections)
        own = {"targets.standin.schema": self.schema, "s3.prefix": self.prefix}
        for path, value in {**own, **(overrides or {})}.items():
            *way, last = path.split(".")
            branch = tree
            for key in way:
                branch = branch.setdefault(key, {})
            branch[last] = value
            if value is None:
                del branch[last]
            elif last == "password":
                self.secrets.add(str(value))
        return tree

    def config(self, overrides: Overrides | None = None) -> Path:
        """A configuration folder of its own."""
        return self.written(yaml.safe_dump(self.connections(overrides), allow_unicode=True))

    def written(self, text: str) -> Path:
        """A configuration folder whose connections.yml has this text."""
        self.configs += 1
        folder = self.folder / f"config-{self.configs}"
        folder.mkdir()
        (folder / "connections.yml").write_text(text, "utf-8")
        return folder

    def pipeline(
        self, tables: Mapping[str, Any], overrides: Overrides | None = None, **more: Any
    ) -> Path:
        """A configuration folder with one pipeline, `shop`, of tables of this test's database."""
        folder = self.config(overrides)
        (folder / "pipelines").mkdir()
        tree = {
            "source": "mysql",
            "target": "standin",
            "tables": {f"{self.database}.{name}": how for name, how in tables.items()},
            **more,
        }
        (folder / "pipelines" / "shop.yml").write_text(yaml.safe_dump(tree, allow_unicode=True))
        return folder

    def start(
        self,
        *args: str,
        overrides: Overrides | None = None,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
        **how: Any,
    ) -> subprocess.Popen[bytes]:
        """Begin a command; its output is for `ended`."""
        environment = self._settings(overrides, config, env)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.folder, **how}
        return subprocess.Popen([*COMMAND, *args], env=environment, **streams)

    def ended(self, process: subprocess.Popen[bytes], timeout: float = PATIENCE) -> Ended:
        """Wait for a command; no secret is in what it said."""
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return self._told(process.returncode, out or b"", err or b"")

    def _told(self, code: int, out: bytes, err: bytes) -> Ended:
        ended = Ended(code, out.decode(), err.decode())
        self.keeps_secrets(ended.out)
        self.keeps_secrets(ended.err)
        return ended

    def _settings(
        self, overrides: Overrides | None, config: Path | None, env: Mapping[str, str] | None
    ) -> dict[str, str]:
        environment = {**self.environment, **(env or {})}
        if "S3RS_CONFIG" not in environment and "DB_HOST" not in environment:
            environment["S3RS_CONFIG"] = str(config or self.config(overrides))
        return environment

    def begin(
        self, *args: str, config: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Call:
        """Begin a command, in a fork of a process that has imported it."""
        log = self.folder / f"run-{next(_NUMBERS)}.log"
        return self.forks.launch(args, self._settings(None, config, env), log, folder=self.folder)

    def run(
        self,
        *args: str,
        overrides: Overrides | None = None,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
        **how: Any,
    ) -> Ended:
        """Run a command to its end: a fork, unless its streams are to be others."""
        if how:
            started = self.start(*args, overrides=overrides, config=config, env=env, **how)
            return self.ended(started)
        number = next(_NUMBERS)
        out, err = (self.folder / f"run-{number}.{end}" for end in ("out", "err"))
        environment = self._settings(overrides, config, env)
        call = self.forks.launch(args, environment, out, errors=err, folder=self.folder)
        try:
            code = call.ended(PATIENCE)
        finally:
            call.killed_if_running()
        return self._told(code, out.read_bytes(), err.read_bytes())

    def sync(self, *tables: str, **how: Any) -> Ended:
        """`s3rs sync` of tables of this test's database; what begins with - is an option."""
        args = [arg for table in tables for arg in self._table(table)]
        return self.run("sync", *args, **how)

    def _table(self, text: str) -> list[str]:
        return [text] if text.startswith("-") else ["-t", f"{self.database}.{text}"]

    def at_once(self, calls: Sequence[Callable[[], Ended]]) -> list[Ended]:
        """Several commands, a few at a time, in their order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [running.result() for running in [pool.submit(call) for call in calls]]

    def keeps_secrets(self, text: str) -> None:
        """No secret that we know is in the text, in any of the forms that it could take."""
        for secret in self.secrets:
            for form in forms(secret):
                assert form not in text, f"a secret got out: {text}"

    def mysql(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Statements at the source; the rows of the last."""
        server = self.box.mysql
        with (
            pymysql.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=database or self.database,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def redshift(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.box.redshift.url, autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return list(found.fetchall()) if found.description else []

    def tables(self) -> set[str]:
        """The tables in this test's schema of the target."""
        found = self.redshift(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{self.schema}'"
        )
        return {name for (name,) in found}

    def is_equal(self, table: str, columns: str = "id, note") -> None:
        """Source and target hold the same rows."""
        there = self.redshift(f'SELECT {columns} FROM {self.schema}."{table}" ORDER BY 1')
        assert there == self.mysql(f"SELECT {columns} FROM `{table}` ORDER BY 1")

    def objects(self) -> dict[str, str]:
        """Key → ETag of everything under this test's prefix, heartbeats and self test aside."""
        return {
            key: etag
            for key, etag in self._listed()
            if "/_canary/" not in key and "/_writers/" not in key
        }

    def _listed(self) -> Iterator[tuple[str, str]]:
        pages = self._store.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.box.s3.bucket, Prefix=f"{self.prefix}/"):
            for item in page.get("Contents", []):
                yield item["Key"], item["ETag"]

    @cached_property
    def _store(self) -> Any:
        store = self.box.s3
        return botocore.session.get_session().create_client(
            "s3",
            region_name=store.region,
            endpoint_url=store.url,
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
        )

    def body(self, key: str) -> str:
        answer = self._store.get_object(Bucket=self.box.s3.bucket, Key=key)
        with answer["Body"] as stream:
            return str(stream.read(), "utf-8", "replace")

    def state(self, table: str) -> dict[str, Any]:
        """The table's state object as it lies in the bucket."""
        own = re.compile(rf".*/{table}\.[0-9a-f]+/state\.json")
        (key,) = filter(own.fullmatch, self.objects())
        found: dict[str, Any] = json.loads(self.body(key))
        return found


def forms(secret: str) -> set[str]:
    """How a secret could look: as it is, percent-encoded, as JSON, in base64 at any offset."""
    encoded = secret.encode()
    shifted = {
        base64.b64encode(b"\0" * shift + encoded).decode()[4 if shift else 0 : -4].rstrip("=")
        for shift in range(3)
    }
    plain = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return {form for form in plain | shifted if len(form) > 5}


@pytest.fixture
def cli(
    box: Box, forks: Commands, database: str, schema: str, prefix: str, tmp_path: Path
) -> Iterator[Cli]:
    """The command line, and at the end a look for secrets in all that it left in the bucket."""
    found = Cli(box, forks, tmp_path, database, schema, prefix)
    yield found
    for key in found.objects():
        found.keeps_secrets(found.body(key))
    if "_store" in vars(found):
        found._store.close()


def make_notes(cli: Cli, table: str = "notes", rows: int = 3) -> None:
    """A table that is read by time and key, its rows too old to be read a second time."""
    cli.mysql(
        f"CREATE TABLE `{table}` (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), changed"
        " TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),"
        " KEY (changed))",
        f"INSERT INTO `{table}` (note, changed) SELECT CONCAT('note ', seq),"
        f" NOW(6) - INTERVAL 1 MINUTE FROM seq_1_to_{rows}",
    )


@dataclass(frozen=True)
class Asked:
    """A request that passes the relay."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Relay:
    """A way to the object store on which `see` meets each request before the store does.

    `see` may wait, raise nothing, and change the headers in place.
    """

    def __init__(self, url: str, see: Callable[[Asked], None]) -> None:
        self.store = urlsplit(url)
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(size))
                see(asked)
                relay._answer(self, asked)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - their names

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        server = http.client.HTTPConnection(self.store.hostname or "", self.store.port)
        with contextlib.closing(server):
            headers = {k: v for k, v in asked.headers.items() if k.lower() != "expect"}
            server.request(asked.method, asked.path, asked.body, headers)
            answer = server.getresponse()
            body = answer.read()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length", "date"}:
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if asked.method == "HEAD" else None
        handler.send_header("Content-Length", length or str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
