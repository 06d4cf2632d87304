"""A private MariaDB: the source of the sandbox, and any other one a test wants.

The data are thrown away, so nothing is synced and SIGKILL is how it stops. They outlive that one
all the same, since a test may halt a server and start it again: what is committed has been written,
and a page that was cut in two is whole in the doublewrite buffer. The system tables are
made by `mariadbd --bootstrap` from the server's own SQL files, without the install script: that
one forks servers nobody would end, and as root changes owners outside of our folder. It listens on
127.0.0.1 alone. `root` has no password and comes in through the socket only, in a folder that is
ours; host names are never looked up, so a TCP client can never be `root`@`localhost`.

`s3rs` may do everything, so that tests can make databases and accounts of their own; what the
pipeline may do is for its caller to grant. The account is made by --init-file, before the first
client: when the log says "ready for connections", it is there.

A server that is given a host name has a certificate for it, and TLS that can be verified.

A named time zone becomes the server process's own TZ (time_zone=SYSTEM), which needs no tables.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, UnavailableError
from . import template, tls
from .process import Den, Process, Program, free_ports, program_path, servant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .process import Account

_HINT = "apt-get install --no-install-recommends mariadb-server-core mariadb-client-core"
_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)
_BEFORE = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
_AFTER = (
    "\nDELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n"
)
_MADE_WITH = ("--no-defaults", "--innodb-log-file-size=16M", "--skip-log-bin")
_FLAGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--max-allowed-packet=64M",
    "--net-write-timeout=600",
    "--performance-schema=OFF",
)
_OFFSET = re.compile(r"[+-]\d\d:\d\d")
_TAKEN = "Address already in use"
_TRIES = 3
READY = r"ready for connections"


@dataclass(frozen=True, slots=True)
class MySQL:
    """A running server, and the account that may do everything."""

    port: int
    password: str = field(repr=False)
    socket: Path
    process: Process = field(repr=False, compare=False)
    name: str = "mysql"
    ca: Path | None = None
    host: str = "127.0.0.1"
    user: str = "s3rs"

    @property
    def url(self) -> str:
        """Where it is, with its password."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/"


@contextlib.asynccontextmanager
async def private(flags: Sequence[str] = (), timezone: str | None = None) -> AsyncIterator[MySQL]:
    """A server of its own, in a den of its own."""
    async with Den() as den:
        yield await start(den, flags=flags, timezone=timezone)


async def start(
    den: Den,
    *,
    name: str = "mysql",
    flags: Sequence[str] = (),
    timezone: str | None = None,
    host: str | None = None,
) -> MySQL:
    """Start a server in the den, its certificate for that host; the flags come last and win."""
    server = program_path("mariadbd", hint=_HINT)
    account = servant()
    room = den.room(name, account)
    data = den.room(f"{name}/data", account)
    await _initialised(den, server, room, data)
    password = f"p{secrets.token_hex(16)}"  # never a number to a YAML reader
    first = private_file(
        room / "first.sql",
        f"CREATE OR REPLACE USER s3rs@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL PRIVILEGES ON *.* TO s3rs@'%' WITH GRANT OPTION;\n",
    )
    zone, environment = _zone(timezone)
    ca, secured = _secured(room, host, account)
    command: list[str | Path] = [
        *(server, *_MADE_WITH, *_FLAGS, f"--datadir={data}", f"--socket={room}/socket"),
        *(f"--tmpdir={room}", f"--pid-file={room}/pid", f"--init-file={first}", *secured),
        *(*zone, *flags),
    ]
    program = Program(name, command, environment, account=account)
    process, port = await listening(den, program)
    return MySQL(port, password, room / "socket", process, name, ca)


async def listening(den: Den, program: Program) -> tuple[Process, int]:
    """Start it on a free port, and on another one when that was taken in between."""
    tries = _TRIES
    while True:
        tries -= 1
        (port,) = free_ports(1)
        process = den.start(replace(program, command=[*program.command, f"--port={port}"]))
        try:
            await process.ready(READY)
        except UnavailableError:
            if not tries or _TAKEN not in process.tail(100):
                raise
        else:
            return process, port


async def _initialised(den: Den, server: Path, room: Path, data: Path) -> None:
    """The system tables, made or copied."""
    tables = _system_tables(server)

    async def make() -> None:
        folders = (f"--datadir={data}", f"--tmpdir={room}")
        command: list[str | Path] = [server, *_MADE_WITH, "--bootstrap", *folders]
        source = private_file(room / "tables.sql", tables)
        program = Program("mysql set-up", command, account=servant(), stdin=source)
        await den.start(program).done()

    key = template.key_of("mariadb", server, [*_MADE_WITH, tables])
    await template.filled(den, data, key, servant(), make)


def _system_tables(server: Path) -> str:
    """The SQL that makes the system tables, from the files that came with the server."""
    prefix = server.resolve().parent.parent
    for folder in (prefix / "share/mysql", prefix / "share/mariadb"):
        files = [folder / name for name in _TABLES]
        if all(file.is_file() for file in files):
            return _BEFORE + "\n".join(file.read_text() for file in files) + _AFTER
    raise ConfigError("MariaDB's system tables are missing", hint=_HINT, beside=str(server))


def _secured(
    room: Path, host: str | None, account: Account | None
) -> tuple[Path | None, list[str]]:
    """The CA of a new certificate for the host, and the flags with which a server shows it."""
    if host is None:
        return None, []
    files = tls.certificate(room, host)
    if account:
        os.chown(files.key, account.uid, account.gid)
    return files.ca, [f"--ssl-cert={files.certificate}", f"--ssl-key={files.key}"]


def _zone(timezone: str | None) -> tuple[list[str], dict[str, str]]:
    if timezone is None or timezone == "SYSTEM":
        return [], {}
    if _OFFSET.fullmatch(timezone):
        return [f"--default-time-zone={timezone}"], {}
    return [], {"TZ": timezone}


def private_file(path: Path, text: str) -> Path:
    """A file for the server's eyes and ours; its folder keeps all others out."""
    path.write_text(text)
    path.chmod(0o644)
    return path
