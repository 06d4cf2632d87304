"""`s3rs` as a process of its own that can be stopped and killed, and that starts in milliseconds.

Most of the command's first second is spent on imports. So one process imports it once and forks for
each call: what runs then is the command line itself, with an environment, streams and a pid of its
own. SIGKILL ends it as it would end any other process, and nothing of it survives but what it has
written outside of itself.

Run as a program, this file is that parent: an order comes in as a line of JSON, the answer goes out
as one.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3rs_async.sandbox import Box

_LOOK = 0.005
WITHIN = 60.0
HOST = "TEST_HOST"
"""A variable of a call's environment: the machine that it is to believe it runs on."""

_IMPORTED_ONCE = (
    "asyncssh",
    "orjson",
    "uvloop",
    "s3rs_async.log",
    "s3rs_async.progress",
    "s3rs_async.service",
)
"""For every child."""


@dataclass(eq=False)
class Call:
    """One call of the command line, running or ended."""

    commands: Commands
    pid: int
    log: Path
    report_path: Path = Path("none")
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.code is None:
            self.code = self.commands.ask({"pid": self.pid})["code"]
        return self.code

    def ended(self, within: float = WITHIN) -> int:
        """Wait for its end."""
        return until(self.poll, "the call has ended", within=within, nothing=None)

    def killed(self) -> None:
        """SIGKILL, and be sure that it was that which ended it."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL

    def killed_if_running(self) -> bool:
        """SIGKILL unless it has ended; whether there was one to kill."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        return self.ended() == -signal.SIGKILL

    @property
    def told(self) -> str:
        """All that it wrote to stdout and stderr."""
        return self.log.read_text(errors="replace")

    @property
    def report(self) -> dict[str, Any]:
        """Its JSON report."""
        found: dict[str, Any] = json.loads(self.report_path.read_text())
        return found

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The report's entry of each table."""
        found: dict[str, dict[str, Any]] = self.report["table_results"]
        return found


@dataclass
class Commands:
    """Calls of `s3rs` in a sandbox; `with` it, or stop() it."""

    folder: Path
    environment: Mapping[str, str]
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._one = threading.Lock()
        self._parent = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            text=True,
            bufsize=1,
        )

    def stop(self) -> None:
        """Kill whatever still runs, and the parent."""
        for call in self.calls:
            call.killed_if_running()
        self._parent.communicate()

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Call:
        """Begin `s3rs sync` with these arguments; the environment's additions come last and win."""
        report = self.folder / f"call-{len(self.calls)}.json"
        call = self.begin("sync", *arguments, "--json-output", str(report), environment=environment)
        call.report_path = report
        return call

    def begin(self, *argv: str, environment: Mapping[str, str] | None = None) -> Call:
        """Begin any command of `s3rs`."""
        settings = {**os.environ, **self.environment, **(environment or {})}
        return self.launch(argv, settings, self.folder / f"call-{len(self.calls)}.log")

    def launch(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        errors: Path | None = None,
        folder: Path | None = None,
    ) -> Call:
        """Begin a command with just this environment; stderr goes to the log unless told."""
        order = {"argv": argv, "environment": environment, "log": str(log)}
        order |= {"errors": str(errors or log), "folder": str(folder or Path.cwd())}
        call = Call(self, self.ask(order)["pid"], log)
        self.calls.append(call)
        return call

    def sync(
        self, *arguments: str, environment: Mapping[str, str] | None = None, code: int = 0
    ) -> Call:
        """Run `s3rs sync` to its end, which must be this exit code."""
        call = self.start(*arguments, environment=environment)
        found = call.ended()
        assert found == code, f"exit code {found}, not {code}:\n{call.told[-3000:]}"
        return call

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order to the parent, and its answer."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with self._one:
            self._parent.stdin.write(json.dumps(order) + "\n")
            answer: dict[str, Any] = json.loads(self._parent.stdout.readline())
        return answer


def until(
    come: Callable[[], Any], what: str, *, within: float = WITHIN, nothing: object = False
) -> Any:
    """Wait until `come` gives something else than `nothing`; what it gave."""
    deadline = time.monotonic() + within
    while (found := come()) is nothing:
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(_LOOK)
    return found


def config(box: Box, folder: Path, **changes: Mapping[str, Any]) -> dict[str, str]:
    """The sandbox's connections with some sections changed, in a folder; its environment."""
    document: dict[str, Any] = {**box.connections}
    for section, change in changes.items():
        document[section] = {**document[section], **change} if section == "s3" else change
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "connections.yml").write_text(yaml.safe_dump(document))
    return {"S3RS_CONFIG": str(folder)}


def _serve() -> None:
    from s3rs_async import memory

    memory.give_back()  # as the command does, before it imports anything
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    _read_once()
    from s3rs_async import failpoint

    alive: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "argv" in order:
            pid = os.fork()
            if not pid:
                _run(order, failpoint)
            alive.add(pid)
            answer = {"pid": pid}
        else:
            pid, status = os.waitpid(order["pid"], os.WNOHANG)
            alive.discard(pid)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in alive:  # whoever gave the orders is gone
        os.kill(pid, signal.SIGKILL)


def _read_once() -> None:
    """Have the S3 driver's tables, a megabyte of JSON, in memory for every child."""
    import botocore.session
    from botocore.loaders import JSONFileLoader

    read = JSONFileLoader().load_file
    cached = functools.cache(read)
    JSONFileLoader.load_file = lambda _, path: cached(path)
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    botocore.session.get_session().create_client("s3", region_name="us-east-1", **keys).close()


def _run(order: dict[str, Any], failpoint: ModuleType) -> NoReturn:
    from s3rs_async import cli

    code = 1  # as Python's own
    try:
        os.chdir(order["folder"])
        anew = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        log, null = os.open(order["log"], anew), os.open(os.devnull, os.O_RDONLY)
        errors = log if order["errors"] == order["log"] else os.open(order["errors"], anew)
        for number, stream in enumerate((null, log, errors)):
            os.dup2(stream, number)
        os.environ.clear()
        os.environ.update(order["environment"])
        if host := os.environ.pop(HOST, ""):
            socket.gethostname = lambda: host
        importlib.reload(failpoint)  # it has looked at its parent's environment
        code = cli.run(order["argv"])
    except BaseException:  # noqa: BLE001 - what is not told here is never told
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
