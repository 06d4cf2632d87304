"""One run of one contestant, in a process of its own, and what came of it.

`launch.py` starts it and writes down what it used; the last line that it prints says what it read.
Where it fails, the reason is the one line of its words that tells, without paths or passwords.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_SECONDS = 3600.0
_TELLING = re.compile(r"panicked at|terminate called|double free|Error\b|error:", re.IGNORECASE)
_LONGEST = 160

Reading = Callable[[str], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Run:
    """What a contestant did and used; `failure` says why it did nothing."""

    rows: int = 0
    seconds: float = 0.0
    process_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    server_cpu_seconds: float = 0.0
    endpoint_cpu_seconds: float = 0.0
    bytes: int = 0
    note: str = ""
    failure: str = ""


def run(command: list[str], environment: Mapping[str, str], told: Reading) -> Run:
    """Run it to its end; `told` reads what it printed. Its scratch folder is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        return _run(command, {**environment, "BENCH_FOLDER": str(folder)}, told, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def last_line(words: str) -> dict[str, object]:
    """What `child` printed."""
    found: dict[str, object] = json.loads(words.strip().rpartition("\n")[2])
    return found


def _run(command: list[str], environment: Mapping[str, str], told: Reading, folder: Path) -> Run:
    used, said, errors = folder / "used", folder / "stdout", folder / "stderr"
    launched = [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(used), *command]
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            launched,
            env={**_inherited(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            process.wait(_SECONDS)
        finally:
            _end(process)
    figures = json.loads(used.read_text())
    code = figures.pop("exit_code")
    if code:
        return Run(**figures, failure=_reason(code, errors.read_text(errors="replace")))
    answer = told(said.read_text(errors="replace"))
    if "refused" in answer:
        return Run(**figures, failure=str(answer["refused"]))
    return Run(**figures, **answer)  # type: ignore[arg-type]


def _inherited() -> dict[str, str]:
    """Our environment, but modules are compiled once, in the warm-up, and not by every run."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """What is left of it: it leads a session of its own, which a Ctrl-C does not reach."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _reason(code: int, words: str) -> str:
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = [place for place, line in enumerate(lines) if _TELLING.search(line)]
    if not telling:
        return how
    place = telling[0] if "panicked" in lines[telling[0]] else telling[-1]
    if "panicked" in lines[place] and place + 1 < len(lines):
        place += 1  # Rust says where, and then what
    line = re.sub(r"(/[\w.+-]+){2,}", "…", lines[place])
    return f"{how}: {line[:_LONGEST]}"
