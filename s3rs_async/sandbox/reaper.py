"""The watcher that cleans up when we cannot: after `kill -9` no process and no folder stays.

A tiny process, started before everything else and told of a thing before that thing exists. It
waits for one of two signs that we are gone: the pipe on its standard input ends (we hold the only
write end, closed on exec), or its parent is another process (so a child forked from us without
exec, which has a copy of the write end, cannot fool it). Then it ends the process groups it was
told of and removes the folder. After an orderly stop it finds nothing left to do and ends.

A process id is used only while /proc shows the start time it was told, because ids come round
again. It has a session of its own and ignores the terminal's signals, or Ctrl-C would take it
first. It is run as a script, isolated and without site packages, so this file imports the standard
library alone. Nothing watches the watcher: who kills both at once keeps the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PREFIX = "s3rs-sandbox-"
_LOOK = 0.2  # seconds between two looks at our parent
_GRACE = 15  # steps of 0.05 s between a process's own stop signal and SIGKILL
_STEPS = 80  # steps of 0.05 s until it gives up


class Reaper:
    """Our end of the pipe."""

    def __init__(self) -> None:
        reading, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(os.getpid())],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def tell(self, kind: str, *facts: str | int) -> None:
        """One line down the pipe; when the watcher is gone, nobody can be told."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, json.dumps([kind, *facts]).encode() + b"\n")

    def dismiss(self) -> None:
        """Let it end: by now there is nothing left for it to do."""
        os.close(self._pipe)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)


def start_time(pid: int) -> str:
    """When a process began, as the kernel writes it; empty when it is gone (or has no /proc)."""
    fields = _stat(str(pid))
    return fields[19] if fields else ""


def _stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the command's name: state, parent, group and so on."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _living(groups: dict[int, str]) -> set[int]:
    """Those of the process groups that still have a member that is no zombie."""
    if not Path("/proc/self/stat").exists():
        return set(groups)
    living = set()
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names, and thousands of them
        fields = _stat(entry) if entry.isdigit() else []
        if fields and fields[0] not in "ZX" and int(fields[2]) in groups:
            living.add(int(fields[2]))
    return {group for group in living if start_time(group) in ("", groups[group])}


def _send(groups: set[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, number)


class _Estate:
    """What was told: the groups with their signals, and the files and folder to remove."""

    def __init__(self) -> None:
        self.groups: dict[int, str] = {}
        self.signals: dict[int, int] = {}
        self.paths: list[str] = []

    def hear(self, line: str) -> None:
        kind, *facts = json.loads(line)
        if kind == "group":
            pid, self.signals[pid], self.groups[pid] = facts[0], facts[1], facts[2]
        elif kind == "gone":
            self.groups.pop(facts[0], None)
        elif kind == "path":
            self.paths.append(facts[0])

    def settle(self) -> None:
        """End the processes, then remove the files; in this order, or they would write new ones."""
        for group in _living(self.groups):
            _send({group}, self.signals[group])
        for step in range(_STEPS):
            living = _living(self.groups)
            if step >= _GRACE or not Path("/proc").exists():
                _send(living, signal.SIGKILL)
            if not living or step > 2 * _GRACE:
                self._remove()
            if not living and not any(os.path.lexists(path) for path in self.paths):
                return
            time.sleep(0.05)

    def _remove(self) -> None:
        for path in self.paths:
            if Path(path).name.startswith(PREFIX):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(path).unlink()


def _listen(owner: int, estate: _Estate) -> None:
    """Hear everything that is said, until the pipe ends or our parent is another."""
    rest = b""
    while True:
        orphan = os.getppid() != owner  # looked at first: what was said before it is read below
        if not select.select([0], [], [], 0 if orphan else _LOOK)[0]:
            if orphan:
                return
            continue
        heard = os.read(0, 65536)
        if not heard:
            return
        *lines, rest = (rest + heard).split(b"\n")
        for line in lines:
            estate.hear(line.decode())


def main() -> None:
    """The watcher itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    estate = _Estate()
    _listen(int(sys.argv[1]), estate)
    estate.settle()


if __name__ == "__main__":
    main()
