"""A real MySQL server: Debian's own packages from sid, unpacked into a cache and never installed.

    python tests/servers/debian.py [--within SECONDS]    # fetch it, or say why it cannot be had

No wheel has a MySQL server, and what Debian has needs a newer libc than its stable release. So the
packages are unpacked with that libc beside them, and the server is started by its own loader. apt
is given a configuration, lists and a status of its own, so any user may run it and nothing of the
machine changes. Signatures are checked as ever.

The folder is laid beside its final name and renamed onto it: it is there as a whole or not at all.
It lies in the user's cache, where clones of the project share it (50 MB come, 330 lie there). sid
moves on, so what has been fetched is kept; whoever wants a newer server removes the folder. Why it
could not be had lies beside it, for the tests to tell. Who has little time (`--within`) does not
try again for a day. Standard library alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGE = "mysql-server-core"
_ARCHIVE = "http://deb.debian.org/debian"
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TOOLS = ("apt-get", "apt-cache", "dpkg")
_WHOLE = (
    *("--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"),
    *("--no-replaces", "--no-enhances"),
)
_HINT = "needs Debian's apt and keys, and a way to its archive"
_PATIENT = 600.0
_AGAIN = 86_400.0


class NotHadError(Exception):
    """There is no server, and why."""


def folder() -> Path:
    """Where the packages lie unpacked, once they do."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "s3rs-sandbox" / "mysql-server"


def unpacked() -> Path:
    """The folder, if it is there; NotHadError with what was said when it was last tried."""
    if folder().is_dir():
        return folder()
    reason = _reason()
    raise NotHadError(reason.read_text() if reason.is_file() else "nobody has fetched it")


def fetch(within: float = _PATIENT) -> Path:
    """The folder, fetched if it is not there; NotHadError if that cannot be done in time."""
    if folder().is_dir() or (within < _PATIENT and _tried_lately()):
        return unpacked()
    folder().parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".mysql-server-", dir=folder().parent) as room:
            _fill(Path(room), time.monotonic() + within)
    except NotHadError as error:
        _reason().write_text(str(error))
        raise
    _reason().unlink(missing_ok=True)
    return unpacked()


def _reason() -> Path:
    return folder().with_suffix(".reason")


def _tried_lately() -> bool:
    return _reason().is_file() and time.time() - _reason().stat().st_mtime < _AGAIN


def _fill(room: Path, until: float) -> None:
    if missing := [tool for tool in _TOOLS if not shutil.which(tool)]:
        raise NotHadError(f"no {', '.join(missing)} here")
    if not _KEYS.is_file():
        raise NotHadError(f"no {_KEYS} here")
    environment = {**os.environ, "APT_CONFIG": str(_configuration(room)), "LC_ALL": "C"}

    def run(*command: str | Path) -> str:
        return _run(room, environment, until, command)

    run("apt-get", "-qq", "update")
    told = run("apt-cache", "depends", *_WHOLE, PACKAGE)
    names = [line for line in told.splitlines() if line[:1] not in ("", " ", "<")]
    run("apt-get", "-qq", "download", *names)
    root = room / "root"
    root.mkdir()
    for package in sorted(room.glob("*.deb")):
        run("dpkg", "-x", package, root)
    if not folder().is_dir():
        root.rename(folder())


def _configuration(room: Path) -> Path:
    """apt's configuration, in which nothing is the machine's but proxies and the like."""
    (room / "sources").write_text(f"deb [signed-by={_KEYS}] {_ARCHIVE} sid main\n")
    (room / "status").touch()
    (room / "lists/partial").mkdir(parents=True)
    (room / "cache/archives/partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": room / "sources",
        "Dir::Etc::sourceparts": "/nonexistent",
        "Dir::State": room,
        "Dir::State::lists": room / "lists",
        "Dir::State::status": room / "status",
        "Dir::Cache": room / "cache",
        "APT::Sandbox::User": "",
        "APT::Update::Post-Invoke-Success": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    path = room / "apt.conf"
    path.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    return path


def _run(
    room: Path, environment: dict[str, str], until: float, command: tuple[str | Path, ...]
) -> str:
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=room,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=max(until - time.monotonic(), 0.1),
        )
    except subprocess.TimeoutExpired:
        raise NotHadError(f"{command[0]} {command[1]} took too long") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotHadError(f"{command[0]} {command[1]}: {said[-1] if said else done.returncode}")
    return done.stdout


def main() -> None:
    """Fetch it, or say why not."""
    reader = argparse.ArgumentParser(description="Debian's MySQL server, unpacked into a cache")
    reader.add_argument("--within", type=float, default=_PATIENT, metavar="SECONDS")
    try:
        fetch(reader.parse_args().within)
    except NotHadError as error:
        sys.exit(f"WARNING: no real MySQL server here: {error} ({_HINT})")


if __name__ == "__main__":
    main()
