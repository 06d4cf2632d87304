"""A stand-in with all behind it: private PostgreSQL, an S3 server, the front as a process."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import boto3
import pyarrow.parquet as pq
import pytest
from botocore.config import Config

from s3rs_async.sandbox import postgres as private_postgres
from s3rs_async.sandbox.process import Den

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

USER, PASSWORD, DATABASE = "awsuser", "Secret-1", "dev"
ROLE = "IAM_ROLE 'arn:aws:iam::123456789012:role/load'"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait(check: Any, what: str) -> None:
    import time

    for _ in range(1000):
        if check():
            return
        time.sleep(0.01)
    message = f"{what} did not start"
    raise RuntimeError(message)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


@contextmanager
def process(args: list[str], stop: int = signal.SIGTERM, **options: Any) -> Iterator[Any]:
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.send_signal(stop)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()


@contextmanager
def postgres() -> Iterator[Path]:
    """The sandbox's own PostgreSQL; the folder of its socket."""
    den = Den()
    try:
        yield asyncio.run(private_postgres.start(den)).socket_folder
    finally:
        asyncio.run(den.close())


@contextmanager
def s3_server() -> Iterator[str]:
    port = free_port()
    args = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with process(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        _wait(lambda: _answers(port), "moto")
        yield f"http://127.0.0.1:{port}"


@dataclass
class StandIn:
    port: int
    pid: int
    s3: Any
    certificate: Path | None = None

    async def connect(self, **options: Any) -> Any:
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "database": DATABASE,
            "ssl": False,
            "statement_cache_size": 0,
        }
        return await asyncpg.connect(**{**settings, **options})

    def put(self, key: str, table: Any, **options: Any) -> int:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **options)
        self.s3.put_object(Bucket="bkt", Key=key, Body=buffer.getvalue())
        return len(buffer.getvalue())

    def manifest(self, key: str, *entries: dict[str, Any]) -> str:
        body = json.dumps({"entries": list(entries)})
        self.s3.put_object(Bucket="bkt", Key=key, Body=body)
        return f"s3://bkt/{key}"


def entry(key: str, size: int, *, mandatory: bool = True) -> dict[str, Any]:
    return {"url": f"s3://bkt/{key}", "mandatory": mandatory, "meta": {"content_length": size}}


@contextmanager
def front(sockets: Path, endpoint: str, *more: str) -> Iterator[StandIn]:
    secrets = {
        "S3RS_STANDIN_PASSWORD": PASSWORD,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    args = [sys.executable, "-m", "s3rs_async.sandbox.redshift", "--pg-socket", str(sockets)]
    args += ["--s3-endpoint", endpoint, "--user", USER, "--iam-role", ROLE.split("'")[1], *more]
    with process(args, stdout=subprocess.PIPE, env={**os.environ, **secrets}) as child:
        line = child.stdout.readline().split()
        assert line[:1] == [b"ready"], line
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        if not client.list_buckets()["Buckets"]:
            client.create_bucket(Bucket="bkt")
        yield StandIn(int(line[1]), child.pid, client)
        client.close()


async def failure(awaitable: Any) -> Any:
    """The error that a statement gave; none is a failure of the check."""
    try:
        async with asyncio.timeout(20):
            await awaitable
    except asyncpg.PostgresError as error:
        return error
    message = "the statement was accepted"
    raise AssertionError(message)


class _Shared:
    """One set of servers for all the modules that import the fixture."""

    users = 0
    stack = ExitStack()
    plain: StandIn | None = None
    tls: StandIn | None = None


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=cluster.example.redshift.test"]
    files = ["-keyout", str(key), "-out", str(cert)]
    names = ["-addext", "subjectAltName=DNS:cluster.example.redshift.test"]
    subprocess.run([*command.split(), *subject, *names, *files], check=True, capture_output=True)
    return cert, key


def _start() -> None:
    stack = _Shared.stack
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    sockets, endpoint = stack.enter_context(postgres()), stack.enter_context(s3_server())
    _Shared.plain = stack.enter_context(front(sockets, endpoint))
    cert, key = certificate(folder)
    more = ("--tls-cert", str(cert), "--tls-key", str(key), "--auth", "cleartext")
    _Shared.tls = stack.enter_context(front(sockets, endpoint, *more))
    _Shared.tls.certificate = cert


@contextmanager
def _shared() -> Iterator[None]:
    if not _Shared.users:
        _start()
    _Shared.users += 1
    try:
        yield
    finally:
        _Shared.users -= 1
        if not _Shared.users:
            _Shared.stack.close()


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    with _shared():
        assert _Shared.plain
        yield _Shared.plain


@pytest.fixture(scope="session")
def standin_tls() -> Iterator[StandIn]:
    with _shared():
        assert _Shared.tls
        yield _Shared.tls


_schemas = itertools.count(1)


@pytest.fixture
async def schema(standin: StandIn) -> str:
    name = f"s{next(_schemas)}"
    connection = await standin.connect()
    await connection.execute(f"CREATE SCHEMA {name}")
    await connection.close()
    return name


@pytest.fixture
async def con(standin: StandIn, schema: str) -> AsyncIterator[Any]:
    connection = await standin.connect(server_settings={"search_path": schema})
    yield connection
    await connection.close()


@pytest.fixture
async def other(standin: StandIn, schema: str) -> AsyncIterator[Any]:
    connection = await standin.connect(server_settings={"search_path": schema})
    yield connection
    await connection.close()


class Background:
    """A statement that runs while the test goes on."""

    def __init__(self, awaitable: Any) -> None:
        self._task = asyncio.ensure_future(awaitable)

    async def waits(self, seconds: float = 0.2) -> bool:
        await asyncio.sleep(seconds)
        return not self._task.done()

    async def result(self) -> Any:
        async with asyncio.timeout(20):
            return await self._task
