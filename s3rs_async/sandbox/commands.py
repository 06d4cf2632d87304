"""`s3rs sandbox up` and `s3rs sandbox exec`: a sandbox for a person, or for one command.

`up` prints the environment for a shell and stays until it is told to stop, which is no failure.
`execute` runs a command in it and answers with that command's exit code, as a shell would: 127
when there is none, 126 when it may not run, 128+n when signal n ended it. The command sees none of
our own AWS or s3rs settings, finds this environment's `s3rs` first, and dies with us.

A command started from a terminal shares our process group, so that it may read from the terminal;
Ctrl-C then reaches it without us. Anywhere else it leads a group of its own, gets the signals we
get, and whatever it leaves behind in that group ends with the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import clock
from . import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .process import Den

_NOT_RUNNABLE, _NOT_FOUND, _SIGNALLED = 126, 127, 128
_OURS = ("S3RS_", "AWS_")
_GRACE = 30.0  # seconds between the signal to end and SIGKILL
_POLL = 0.02


async def up(s3: str, mysql: int = 1) -> int:
    """Start a sandbox, print how to use it, and keep it until a signal comes."""
    stopped = asyncio.Event()
    async with Sandbox(s3, mysql=mysql) as box:
        with _handled(lambda _: stopped.set()):
            for name, value in box.environment.items():
                sys.stdout.write(f"export {name}={_quoted(value)}\n")
            sys.stdout.write(f"# stop it with Ctrl-C, or: kill {os.getpid()}\n")
            sys.stdout.flush()
            await stopped.wait()
    return 0


async def execute(command: tuple[str, ...], s3: str, mysql: int = 1) -> int:
    """Run a command in a sandbox of its own; its exit code."""
    sandbox = Sandbox(s3, mysql=mysql)
    async with sandbox as box:
        return await _run(command, _environment(box.environment), sandbox.den)


async def _run(command: tuple[str, ...], environment: dict[str, str], den: Den) -> int:
    shared = _in_foreground()
    told: list[signal.Signals] = []
    with _handled(told.append):  # before there is a child, or a signal could end us but not it
        try:
            child = den.fork(
                command, signal.SIGKILL, env=environment, process_group=None if shared else 0
            )
        except FileNotFoundError:
            sys.stderr.write(f"{command[0]}: command not found\n")
            return _NOT_FOUND
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            return _NOT_RUNNABLE
        code = await _ended(child, told, shared=shared)
    return code if code >= 0 else _SIGNALLED - code


async def _ended(
    child: subprocess.Popen[bytes], told: list[signal.Signals], *, shared: bool
) -> int:
    """Wait for the command, passing signals on; once told to end it has a bounded time for it."""
    deadline = float("inf")
    try:
        while (code := child.poll()) is None and clock.seconds() < deadline:
            while told:
                deadline = min(deadline, clock.seconds() + _GRACE)
                number = told.pop(0)
                if not (shared and number == signal.SIGINT):  # the terminal has told both of us
                    _send(child, number, shared=shared)
            await clock.sleep(_POLL)
    finally:
        _send(child, signal.SIGKILL, shared=shared)
        child.wait()
    return child.returncode if code is None else code


def _send(child: subprocess.Popen[bytes], number: signal.Signals, *, shared: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if shared:
            child.send_signal(number)
        else:
            os.killpg(child.pid, number)


@contextlib.contextmanager
def _handled(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Take SIGINT, SIGTERM and SIGHUP, and give them back."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _in_foreground() -> bool:
    """Whether we are what the terminal is talking to."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _environment(added: dict[str, str]) -> dict[str, str]:
    """Our environment without our own settings, with the sandbox's, and with its `s3rs` first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, **added}


def _quoted(value: str) -> str:
    escaped = value.replace("'", "'\\''")
    return f"'{escaped}'"
