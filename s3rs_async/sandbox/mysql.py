"""A private MySQL server, not MariaDB, out of a folder that packages were unpacked into.

Nothing of it is installed, so it is started by its own loader, with its own libraries; paths that
it would look for in the system are given. What is said of the data in `mariadb` holds here too, and
what it starts is the same noun: a server, and the account `s3rs` that may do everything.

It runs as whoever starts it, root too, which it must be told: `nobody` may not enter a cache below
/root, and 290 MB are not copied for that. It listens on 127.0.0.1 alone, and no other account has a
way in through TCP.
"""

from __future__ import annotations

import contextlib
import getpass
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from . import template
from .mariadb import MySQL, listening, private_file
from .process import Den, Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_MADE_WITH = ("--no-defaults", "--secure-file-priv=", "--innodb-redo-log-capacity=8M")
_FLAGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--max-allowed-packet=64M",
    "--net-write-timeout=600",
    "--performance-schema=OFF",
    "--skip-log-bin",
    "--mysqlx=OFF",
)
_OWN_NAME = "auto.cnf"  # a copy would take itself for the server that it was copied from


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """The server's command, as far as it is the same whatever it is to do."""

    server: Path
    command: tuple[str | Path, ...]


@contextlib.asynccontextmanager
async def private(packages: Path, flags: Sequence[str] = ()) -> AsyncIterator[MySQL]:
    """A server of its own, in a den of its own."""
    async with Den() as den:
        yield await start(den, packages, flags=flags)


async def start(
    den: Den, packages: Path, *, name: str = "mysql", flags: Sequence[str] = ()
) -> MySQL:
    """Start the server that lies unpacked below `packages`; the flags come last and win."""
    unpacked = _unpacked(packages)
    room, data = den.room(name), den.room(f"{name}/data")
    await _initialised(den, unpacked, data)
    password = f"p{secrets.token_hex(16)}"  # never a number to a YAML reader
    first = private_file(
        room / "first.sql",
        f"CREATE USER IF NOT EXISTS s3rs@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL PRIVILEGES ON *.* TO s3rs@'%' WITH GRANT OPTION;\n",
    )
    command: list[str | Path] = [
        *(*unpacked.command, *_FLAGS, f"--datadir={data}", f"--socket={room}/socket"),
        *(f"--tmpdir={room}", f"--pid-file={room}/pid", f"--init-file={first}", *flags),
    ]
    process, port = await listening(den, Program(name, command))
    return MySQL(port, password, room / "socket", process, name)


def _unpacked(packages: Path) -> _Unpacked:
    server = packages / "usr/sbin/mysqld"
    loader = next(packages.glob("usr/lib/*/ld-linux*.so.*"), None)
    if loader is None or not server.is_file():
        raise ConfigError("no MySQL server is unpacked here", folder=str(packages))
    command: list[str | Path] = [
        *(loader, "--library-path", loader.parent, server, *_MADE_WITH),
        *(f"--user={getpass.getuser()}", f"--basedir={packages}/usr"),
        f"--lc-messages-dir={packages}/usr/share/mysql",
    ]
    return _Unpacked(server, tuple(command))


async def _initialised(den: Den, unpacked: _Unpacked, data: Path) -> None:
    """The system tables, made or copied."""

    async def make() -> None:
        command = [*unpacked.command, f"--datadir={data}", "--initialize-insecure"]
        await den.start(Program("mysql set-up", command)).done()
        (data / _OWN_NAME).unlink(missing_ok=True)

    key = template.key_of("mysql", unpacked.server, _MADE_WITH)
    await template.filled(den, data, key, None, make)
