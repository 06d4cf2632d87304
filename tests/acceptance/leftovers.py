"""What a sandbox has left behind in a folder: processes and files."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test's own, with a space in its name, that every user may enter."""
    path = Path("/tmp") / f"s3rs test {secrets.token_hex(3)}"
    path.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield path
    monkeypatch.setattr("tempfile.tempdir", None)
    shutil.rmtree(path)


def living(folder: Path) -> list[str]:
    """The processes that have to do with a folder; a zombie is no process any more."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes() + os.fsencode((entry / "cwd").readlink())
            words += (entry / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            continue
        if state not in "ZX" and os.fsencode(f"{folder}/s3rs-sandbox-") in words:
            found.append(f"{entry.name} {words[:300]!r}")
    return found


def left(place: Path, within: float = 5.0) -> list[str]:
    """What is still there when the time is up."""
    until = time.monotonic() + within
    while (found := [*living(place), *_files(place)]) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _files(place: Path) -> list[str]:
    """All but the file by which `tempfile` tries a folder: a signal may cut that in two."""
    return [str(path) for path in place.iterdir() if not re.fullmatch(r"[a-z0-9_]{8}", path.name)]
