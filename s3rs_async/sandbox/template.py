"""A data folder made once and copied ever after.

Initialising a database takes most of its start. So the first sandbox of a machine keeps a copy of
the folder it has just initialised, before any server has run on it, under a key that names
everything the content depends on (the program's own file, the arguments, the user). The copy is
made beside its final name and renamed onto it: another process sees all of it or nothing, and of
two that make it at the same time one is thrown away. Where the cache cannot be written or read,
every start initialises afresh; nothing else changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UnavailableError
from .process import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .process import Account, Den


async def filled(
    den: Den,
    folder: Path,
    key: str,
    account: Account | None,
    make: Callable[[], Awaitable[None]],
) -> None:
    """Fill the folder from the template, or make its content and keep it as the template."""
    kept = _cache() / key
    if _usable(kept):
        await _copy(den, kept, folder, account)
        return
    await make()
    with contextlib.suppress(OSError, UnavailableError):
        await _keep(den, folder, kept)


def key_of(name: str, program: Path, parts: Sequence[str]) -> str:
    """The template's name: one for each build of the program, each set of arguments, each user."""
    real = program.resolve()
    stat = real.stat()
    facts = [str(real), str(stat.st_size), str(stat.st_mtime_ns), str(os.geteuid()), *parts]
    return f"{name}-{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}"


def _cache() -> Path:
    """The user's own cache folder; a relative or unknown one is no folder at all."""
    try:
        named = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        named = Path(os.devnull)
    return (named if named.is_absolute() else Path(os.devnull)) / "s3rs-sandbox"


def _usable(kept: Path) -> bool:
    try:
        return kept.is_dir() and os.access(kept, os.R_OK | os.X_OK)
    except OSError:
        return False


async def _keep(den: Den, folder: Path, kept: Path) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    den.leave_no(beside)
    try:
        beside.mkdir(mode=0o700)
        await _copy(den, folder, beside, None)
        beside.rename(kept)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


async def _copy(den: Den, source: Path, target: Path, account: Account | None) -> None:
    """Copy the content with owners and holes, sharing blocks where the file system can."""
    share = ["--reflink=auto"] if sys.platform == "linux" else []
    command: list[str | Path] = ["cp", "-a", *share, f"{source}/.", target]
    await den.start(Program("copy", command)).done()
    if account:
        os.chown(target, account.uid, account.gid)
