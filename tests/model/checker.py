"""One configuration of the model through spin, gcc and pan, to a verdict that cannot flatter.

`CAUGHT` is a violated assertion or a process that hangs, and nothing else. `SAFE` is a search of
the whole state space without either. All that lies between, such as memory or time that ran out, a
depth that was too small or a compiler that failed, is `UNDECIDED`, which no test expects.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.model.configurations import Configuration

MODEL = Path(__file__).with_name("s3rs.pml")
TOOLS = ("spin", "gcc")
MEGABYTES = 3000
"""What one search may use, so that two at a time fit a small machine."""
DEPTH = 200_000
_SLOTS = 26
"""A large search's table of states, as a power of two: long chains in it are slow."""
_BUILD = ("-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=4096", f"-DMEMLIM={MEGABYTES}")

_STORED = re.compile(r"^ *(\S+) states, stored", re.MULTILINE)
_ERRORS = re.compile(r"errors: (\d+)")
_BROKEN = re.compile(r"^pan:\d+: (assertion violated .*|invalid end state .*)$", re.MULTILINE)
_CUT = re.compile(
    r"max search depth too small|out of memory|reached -DMEMLIM|Search not completed"
    r"|interrupted|VECTORSZ is too small",
    re.IGNORECASE,
)


class Verdict(StrEnum):
    """What a search has shown."""

    SAFE = "safe"
    CAUGHT = "caught"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A search's verdict, what it rests on, and its size; seconds are of the processor."""

    verdict: Verdict
    reason: str
    states: int
    seconds: float
    build_seconds: float
    megabytes: int


def need_tools(path: str | None = None) -> None:
    """Fail where spin or a C compiler is missing: a proof not run is not a proof that passed."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        pytest.fail(
            f"not found: {', '.join(missing)}; run once:  apt-get install spin gcc libc6-dev",
            pytrace=False,
        )


def judged(said: str, code: int) -> tuple[Verdict, str]:
    """The verdict on what pan has said and how it ended."""
    broken = _BROKEN.search(said)
    if broken:
        return Verdict.CAUGHT, broken[1]
    cut = _CUT.search(said)
    if cut:
        return Verdict.UNDECIDED, cut[0]
    errors = _ERRORS.search(said)
    if code == 0 and errors and errors[1] == "0":
        return Verdict.SAFE, "whole state space"
    return Verdict.UNDECIDED, f"ended by {code}: {said[-2000:]}"


def check(configuration: Configuration, folder: Path) -> Outcome:
    """Build the configuration's checker in the folder and let it search."""
    flags = [f"-D{flag}" for flag in configuration.flags]
    started = _children()
    for command in (
        ["spin", "-a", *flags, str(MODEL)],
        ["gcc", "-O2" if configuration.thorough else "-O0", *_BUILD, "-o", "pan", "pan.c"],
    ):
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if made.returncode:
            said = (made.stdout + made.stderr)[-2000:]
            return Outcome(Verdict.UNDECIDED, f"{command[0]}: {said}", 0, 0, 0, 0)
    built = _children()
    said, code = _search(folder, configuration)
    verdict, reason = judged(said, code)
    stored = _STORED.search(said)
    used = re.search(r"([\d.]+)\s+total actual memory usage", said)
    return Outcome(
        verdict,
        reason,
        int(float(stored[1])) if stored else 0,
        _children() - built,
        built - started,
        int(float(used[1])) if used else 0,
    )


def _search(folder: Path, configuration: Configuration) -> tuple[str, int]:
    """What pan says, and how it ended; a limit of processor time is the same on a busy machine."""
    slots = f" -w{_SLOTS}" if configuration.thorough else ""
    ran = subprocess.run(
        ["sh", "-c", f"ulimit -t {configuration.limit} && exec ./pan -m{DEPTH}{slots}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr, ran.returncode


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
