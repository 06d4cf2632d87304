"""Private server processes in one folder, none of which outlives us.

A `Den` is the folder, the processes started in it and the reaper that ends both when we cannot.
Three things end a process: we do, in order; the kernel does, the moment we die (PR_SET_PDEATHSIG);
the reaper does, for what the kernel has no signal for (grandchildren, other systems).

The kernel's flag is cleared by setuid, so it is set in preexec_fn, which runs after Popen's own
`user=`; and it follows the *thread* that forked, so only the main thread may fork. A parent that
died before the flag was set is looked for in the child. subprocess rather than asyncio's: a started
server belongs to no event loop, and uvloop cannot change the user.

A server gets few environment variables, never ours as a whole: no credentials, no proxies. As root
the servers that refuse root run as `nobody`, and only folders of our own change hands for it. What
a server says goes to a file; its last lines are in the error when it fails, without secrets.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from .. import clock
from ..errors import ConfigError, UnavailableError
from .reaper import PREFIX, Reaper, start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_ORPHANED = 111  # exit code of a child whose parent was gone before it began
_POLL = 0.01
_LONGEST_BASE = 60  # a Unix socket's path has 107 bytes at most, and ours lie up to 46 below
_PASSED = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_SECRET = re.compile("PASSWORD|SECRET|KEY|TOKEN")


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to start, and how it is stopped."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGKILL
    stdin: Path | socket.socket | None = None


class Process:
    """A started server; started again, it is the same one with another pid and log."""

    def __init__(self, program: Program, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = program.name
        self.program = program
        self.begin(popen, log)

    def begin(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        """Be this running program from now on."""
        self.pid = popen.pid
        self.log = log
        self._popen = popen

    def said(self, pattern: str) -> re.Match[str] | None:
        """What its log has of the pattern; an error when it has died instead."""
        code = self._popen.poll()
        found = re.search(pattern, self._words(), re.MULTILINE)
        if not found and code is not None:
            raise UnavailableError(f"{self.name} did not start", hint=self.tail(), exit_code=code)
        return found

    async def ready(self, pattern: str, *, within: float = 30.0) -> re.Match[str]:
        """Wait until its log says so."""
        until = clock.seconds() + within
        while not (found := self.said(pattern)):
            if clock.seconds() > until:
                raise UnavailableError(
                    f"{self.name} is not ready in time", hint=self.tail(), seconds=within
                )
            await clock.sleep(_POLL)
        return found

    async def done(self, *, within: float = 60.0) -> None:
        """Wait for its end; an error unless it ended well."""
        if not await self.ended(within=within) or self._popen.returncode:
            raise UnavailableError(
                f"{self.name} failed", hint=self.tail(), exit_code=self._popen.returncode
            )

    async def ended(self, *, within: float) -> bool:
        """Wait for its end, whatever it was."""
        until = clock.seconds() + within
        while self._popen.poll() is None:
            if clock.seconds() > until:
                return False
            await clock.sleep(_POLL)
        return True

    def signal(self, number: int | None = None) -> None:
        """Send a signal to its group; without a number, the one that stops it."""
        if self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, self.program.stop_signal if number is None else number)

    def kill(self) -> None:
        """End it now and collect it."""
        self.signal(signal.SIGKILL)
        self._popen.kill()  # were it no group of its own, the wait must end all the same
        self._popen.wait()

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log, without its secrets."""
        text = "\n".join(self._words().splitlines()[-lines:])
        for name, value in self.program.environment.items():
            if _SECRET.search(name):
                text = text.replace(value, "***")
        return f"the end of its log:\n{text}" if text else "it said nothing"

    def _words(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""


class Den:
    """One folder, the processes in it, and the reaper that ends both when we cannot."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self._logs = itertools.count()
        base = _base()
        self._reaper = Reaper()
        self.folder = base / f"{PREFIX}{secrets.token_hex(4)}"
        try:
            self._reaper.tell("path", str(self.folder))  # first, so that no moment is left out
            self.folder.mkdir()
            self.folder.chmod(0o711)  # `nobody` must pass, but read nothing
            self.room("log")
            self.room("tmp")
        except BaseException:
            self.raze()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def room(self, name: str, account: Account | None = None) -> Path:
        """A folder of its own in the den, for one user's eyes alone."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        if account:
            os.chown(path, account.uid, account.gid)
        return path

    def start(self, program: Program) -> Process:
        """Start a program in the den."""
        process = Process(program, *self._spawn(program))
        self.processes.append(process)
        return process

    def halt(self, process: Process) -> None:
        """End a process hard; `again` starts it."""
        process.kill()
        self.forget(process.pid)

    def again(self, process: Process, *added: str) -> None:
        """Start a process that was halted, with arguments added to those that it had."""
        command = [*process.program.command, *added]
        process.begin(*self._spawn(replace(process.program, command=command)))

    def fork(
        self,
        command: Sequence[str | Path],
        stop_signal: int,
        **how: Any,  # noqa: ANN401 - Popen's own
    ) -> subprocess.Popen[bytes]:
        """Popen for a child that dies with us, and the process group that it leads with it."""

        def announce(pid: int) -> None:
            self._reaper.tell("group", pid, int(stop_signal), start_time(pid))

        return _forked(command, dying_with_us(stop_signal, announce), how)

    def forget(self, pid: int) -> None:
        """The process group has ended."""
        self._reaper.tell("gone", pid)

    def leave_no(self, path: Path) -> None:
        """A file that a server makes outside of the den goes with it."""
        self._reaper.tell("path", str(path))

    async def stop(self, process: Process, *, within: float = 3.0) -> None:
        """Stop one process."""
        try:
            process.signal()
            await process.ended(within=within)
        finally:
            self._finish(process)

    def _finish(self, process: Process) -> None:
        self.halt(process)
        if process in self.processes:
            self.processes.remove(process)

    async def close(self) -> None:
        """Stop everything and remove the folder; a cancelled close is finished without waiting."""
        try:
            for process in self.processes:
                process.signal()
            for process in self.processes:
                await process.ended(within=3.0)
        finally:
            self.raze()

    def raze(self) -> None:
        """End everything at once."""
        for process in reversed(self.processes[:]):
            self._finish(process)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._reaper.dismiss()

    def _spawn(self, program: Program) -> tuple[subprocess.Popen[bytes], Path]:
        name = f"{program.name.replace(' ', '-')}-{next(self._logs)}.log"
        log = self.folder / "log" / name
        account: dict[str, Any] = {}
        if program.account:
            uid, gid = program.account.uid, program.account.gid
            account = {"user": uid, "group": gid, "extra_groups": []}
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        passed["TMPDIR"] = str(self.folder / "tmp")
        try:
            with log.open("ab") as output, _standard_input(program) as source:
                popen = self.fork(
                    program.command,
                    program.stop_signal,
                    stdin=source,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**passed, **program.environment},
                    cwd=self.folder,
                    start_new_session=True,
                    **account,
                )
        except OSError as error:
            raise UnavailableError(
                f"{program.name} cannot be started",
                program=str(program.command[0]),
                cause=str(error),
            ) from error
        return popen, log


def servant() -> Account | None:
    """Whom a server that refuses root runs as; nobody special where we are an ordinary user."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now. They may be taken by the time they are used."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def program_path(name: str, *, hint: str, beside: Sequence[Path] = ()) -> Path:
    """Where a program is: in the folders named, then on PATH, then where servers lie."""
    folders = [*map(str, beside), *os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if not found:
        raise ConfigError("a program is missing", hint=hint, program=name)
    return Path(found)


def enterable(path: Path) -> bool:
    """Whether every user may pass all the folders above, and read the thing itself."""
    real = path.resolve()
    return real.stat().st_mode & 0o004 != 0 and all(
        folder.stat().st_mode & 0o001 for folder in real.parents
    )


def dying_with_us(stop_signal: int, announce: Callable[[int], None]) -> Callable[[], None]:
    """What a child does before its program: have the kernel end it when we end, and be known.

    The child itself announces its process group. If we did so after the fork, a program that had
    children of its own before we were on again would leave them behind when we are killed then.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def run() -> None:
        if prctl:
            prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getpgrp() == os.getpid():
            announce(os.getpid())
        if os.getppid() != parent:
            os._exit(_ORPHANED)

    return run


def _forked(
    command: Sequence[str | Path], before: Callable[[], None], how: Mapping[str, Any]
) -> subprocess.Popen[bytes]:
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError(
            "only the main thread may start private servers",
            hint="a child dies with the thread that forked it",
        )
    with warnings.catch_warnings():
        # Newer Pythons warn of preexec_fn beside threads; ours takes no lock that they could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(
            [str(part) for part in command],
            preexec_fn=before,  # noqa: PLW1509 - nothing else runs after setuid
            **how,
        )


def _standard_input(program: Program) -> contextlib.AbstractContextManager[IO[bytes] | int]:
    if isinstance(program.stdin, socket.socket):
        return contextlib.nullcontext(program.stdin.fileno())
    return (program.stdin or Path(os.devnull)).open("rb")


def _base() -> Path:
    """The folder for folders: the system's temporary one, if our servers can live in it."""
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - when the first will not do
        fits = len(os.fsencode(base)) <= _LONGEST_BASE
        if fits and (servant() is None or _passable(base)):
            return base
    raise ConfigError(
        "no folder for the sandbox", hint="set TMPDIR to a short path that every user may enter"
    )


def _passable(base: Path) -> bool:
    real = base.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (real, *real.parents))
