"""A stand-in with all behind it: private PostgreSQL, an S3 server, the front as a process.

Started once for a test process and ended with it, by the session fixtures `standin` and
`standin_tls` of conftest.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from s3rs_async.sandbox import postgres as private_postgres
from s3rs_async.sandbox.process import Den

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, DATABASE = "awsuser", "Secret-1", "dev"
BUCKET = "bkt"
ROLE = "arn:aws:iam::123456789012:role/load"


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
    """A running stand-in."""

    port: int
    pid: int
    sockets: Path
    endpoint: str
    s3: Any
    certificate: Path | None = None

    @property
    def login(self) -> dict[str, Any]:
        """How asyncpg logs in."""
        tls = {"ssl": False} if self.certificate is None else {}
        login = {"user": USER, "password": PASSWORD, "database": DATABASE}
        return {"host": "127.0.0.1", "port": self.port, **login, **tls}


@contextmanager
def front(sockets: Path, endpoint: str, *more: str) -> Iterator[StandIn]:
    secrets = {
        "S3RS_STANDIN_PASSWORD": PASSWORD,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    args = [sys.executable, "-m", "s3rs_async.sandbox.redshift", "--pg-socket", str(sockets)]
    args += ["--s3-endpoint", endpoint, "--user", USER, "--iam-role", ROLE, *more]
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
            client.create_bucket(Bucket=BUCKET)
        yield StandIn(int(line[1]), child.pid, sockets, endpoint, client)
        client.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=cluster.example.redshift.test"]
    files = ["-keyout", str(key), "-out", str(cert)]
    names = ["-addext", "subjectAltName=DNS:cluster.example.redshift.test"]
    subprocess.run([*command.split(), *subject, *names, *files], check=True, capture_output=True)
    return cert, key
