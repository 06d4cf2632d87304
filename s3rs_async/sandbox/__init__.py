"""The servers, private and real: MariaDB, an S3 server, the Redshift stand-in, a bastion.

    async with Sandbox() as box:
        ...  # box.environment is what `s3rs` needs to work in it

One folder holds everything, ports are free ones on 127.0.0.1, passwords and keys are new each
time, and nothing outlives the process that started it, whatever ends that one (`process`,
`reaper`). Tests, benchmarks, the demo and `s3rs sandbox` all use this.

The stand-in is reached as in production: `connections.yml` knows it by a name that only the
bastion can resolve, with TLS verified against the sandbox's own CA. Tests that look at it from
outside take the straight URL. There may be several MySQL servers (`mysql`, `mysql2`, …); those that
are `tunnelled` are reached like the stand-in. The servers start side by side; only the stand-in
waits, for the PostgreSQL behind it. While the sandbox runs, a part of it can be halted as by a
crash and resumed (`outage`).

A started sandbox belongs to no event loop: it may be started in one and stopped in another. It can
be started once.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import TYPE_CHECKING

import yaml

from ..errors import ConfigError, Error, UnavailableError
from . import mariadb, postgres, s3, tls
from .box import HOST, IAM_ROLE, MYSQL_PORT, PORT, Bastion, Box, Redshift, mysql_host
from .outage import READY, Outages
from .process import Den, Program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Box", "Sandbox"]


class Sandbox:
    """The servers' life: `async with`, or start() and stop()."""

    def __init__(
        self,
        s3: str = "moto",
        *,
        mysql: int = 1,
        tunnelled: tuple[str, ...] = (),
        mysql_flags: tuple[str, ...] = (),
        mysql_timezone: str | None = None,
    ) -> None:
        self._s3 = s3
        self._mysqls = _names(mysql, tunnelled)
        self._tunnelled = tunnelled
        self._mysql_flags = mysql_flags
        self._mysql_timezone = mysql_timezone
        self._den: Den | None = None
        self._outages: Outages | None = None

    async def __aenter__(self) -> Box:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def den(self) -> Den:
        """The folder and processes of a started sandbox."""
        if not self._den:
            raise ConfigError("the sandbox is not running")
        return self._den

    async def start(self) -> Box:
        """Start everything; when one server fails, all stop, and that one's error is raised."""
        if self._den:
            raise ConfigError("the sandbox is running already")
        self._den = Den()
        try:
            return await self._started(self._den)
        except BaseExceptionGroup as group:
            await self.stop()
            raise _first(group) from group
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything and remove the folder; nothing when it does not run."""
        if self._outages:
            self._outages.close()
        if self._den:
            den, self._den, self._outages = self._den, None, None
            await den.close()

    async def halt(self, part: str) -> None:
        """End a part as a crash would: `mysql`, `mysql2`, …, `bastion`, `redshift` or `s3`."""
        self._breaking().halt(part)

    async def resume(self, part: str) -> None:
        """Start a halted part again: same port, same data; from the main thread only."""
        await self._breaking().resume(part)

    def _breaking(self) -> Outages:
        if not self._outages:
            raise ConfigError("the sandbox is not running")
        return self._outages

    async def _started(self, den: Den) -> Box:
        config, keys, routes = den.room("config"), den.room("keys"), den.room("routes")
        async with asyncio.TaskGroup() as group:
            mysqls = [group.create_task(self._mysql(den, routes, name)) for name in self._mysqls]
            store = s3.launch(den, self._s3)
            group.create_task(s3.ready(store))
            bastion = group.create_task(_bastion(den, keys, routes))
            redshift = await _standin(den, keys, store)
            _write(routes / f"{HOST}:{PORT}", str(redshift.port))
        servers = tuple(task.result() for task in mysqls)
        box = Box(den.folder, config, servers, store, redshift, bastion.result(), self._tunnelled)
        _write(config / "connections.yml", yaml.safe_dump(box.connections, sort_keys=False))
        self._outages = Outages(den, box)
        return box

    async def _mysql(self, den: Den, routes: Path, name: str) -> mariadb.MySQL:
        host = mysql_host(name)
        server = await mariadb.start(
            den,
            name=name,
            flags=self._mysql_flags,
            timezone=self._mysql_timezone,
            host=host if name in self._tunnelled else None,
        )
        _write(routes / f"{host}:{MYSQL_PORT}", str(server.port))
        return server


def _names(count: int, tunnelled: tuple[str, ...]) -> tuple[str, ...]:
    """What the MySQL servers are called; ConfigError where one is tunnelled that there is not."""
    names = ("mysql", *(f"mysql{number}" for number in range(2, count + 1)))
    if unknown := set(tunnelled) - set(names):
        raise ConfigError(
            "no such MySQL server in the sandbox",
            names=", ".join(sorted(unknown)),
            hint=f"there are: {', '.join(names)}",
        )
    return names


async def _standin(den: Den, keys: Path, store: s3.S3) -> Redshift:
    certificate = tls.certificate(keys, HOST)
    engine = await postgres.start(den)
    password = f"p{secrets.token_hex(16)}"  # never a number to a YAML reader
    command: list[str | Path] = [
        *(sys.executable, "-m", "s3rs_async.sandbox.redshift", "--port", "0"),
        *("--pg-socket", engine.socket_folder, "--s3-endpoint", store.url),
        *("--tls-cert", certificate.certificate, "--tls-key", certificate.key),
        *("--user", "awsuser", "--database", "dev", "--iam-role", IAM_ROLE),
    ]
    environment = {**store.environment, "S3RS_STANDIN_PASSWORD": password}
    process = den.start(Program("redshift stand-in", command, environment))
    found = await process.ready(READY)
    return Redshift(int(found[1]), password, certificate.ca, engine, process)


async def _bastion(den: Den, keys: Path, routes: Path) -> Bastion:
    host, client = tls.key_pair(keys / "host_ed25519"), tls.key_pair(keys / "id_ed25519")
    command: list[str | Path] = [
        *(sys.executable, "-m", "s3rs_async.sandbox.bastion", "--host-key", host.private),
        *("--client-key", client.public, "--routes", routes),
    ]
    process = den.start(Program("bastion", command))
    port = int((await process.ready(READY))[1])
    known_hosts = _write(keys / "known_hosts", f"[127.0.0.1]:{port} {host.line}\n")
    return Bastion(port, client.private, known_hosts, process)


def _write(path: Path, text: str) -> Path:
    """A file for our eyes alone, there as a whole or not at all."""
    beside = path.with_name(f".{path.name}")
    beside.touch(mode=0o600)
    beside.write_text(text)
    return beside.rename(path)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one that tells: a foreseen error before any other."""
    for error in _leaves(group):
        if isinstance(error, Error):
            return error
    return next(iter(_leaves(group)), UnavailableError("the sandbox did not start"))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
