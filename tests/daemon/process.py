"""`s3rs daemon` as a process of its own: started, asked, told to end, killed, and looked at.

It is forked by the sandbox's den, so nothing of it outlives the tests. What it logs is kept, one
file for each start, and shown when a test fails.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.daemon.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s3rs_async.sandbox import Box, Sandbox

COMMAND = (sys.executable, "-m", "s3rs_async", "daemon")
_LOOK = 0.05
_SHOWN = 40


@dataclass(eq=False)
class Daemon:
    """One daemon, which may be started several times."""

    sandbox: Sandbox
    box: Box
    config: Path
    pipelines: Sequence[str]
    name: str = "daemon"
    options: Sequence[str] = ()
    command: Sequence[str] = COMMAND
    starts: int = 0
    listen: str = ""
    peak: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """The log of the last start."""
        return self.config.parent / f"{self.name}-{self.starts}.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    async def start(self, *, within: float = 30.0, ready: bool = True) -> None:
        """Start it, and wait until it says that it is ready."""
        assert not self.running, f"{self.name} runs already"
        self.starts += 1
        named = [word for name in self.pipelines for word in ("-p", name)]
        where = ("--config", str(self.config), "--listen", "127.0.0.1:0")
        with self.log.open("wb") as log:
            self._process = self.sandbox.den.fork(
                [*self.command, *named, *where, *self.options],
                signal.SIGKILL,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.config.parent,
                process_group=0,
            )
        self.listen = str((await self.logged("daemon started", within=within))["listen"])
        if ready:
            await self._until(lambda: self._status("/readyz") == 200, "it is ready", within)

    def _environment(self) -> dict[str, str]:
        ours = ("S3RS_", "AWS_", "DB_", "S3_", "REDSHIFT_")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        cache = {"XDG_CACHE_HOME": str(self.config.parent / "cache")}
        return {**outside, **self.box.s3.environment, **cache}

    async def logged(self, event: str, *, within: float = 30.0) -> dict[str, Any]:
        """Wait for a line of that event; the line."""
        found: list[dict[str, Any]] = []

        def come() -> bool:
            found[:] = [line for line in self.logs if line.get("event") == event]
            return bool(found)

        await self._until(come, f"{event!r} is logged", within)
        return found[0]

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The lines of its log that are JSON and whole."""
        lines = self.log.read_text(errors="replace").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    async def scrape(self) -> Figures:
        """What it says of itself now."""
        _, body = await asyncio.to_thread(self._get, "/metrics")
        if self.running:
            self.peak = max(self.peak, self.rss)
        return Figures.parse(body)

    async def terminate(self, *, within: float) -> tuple[int, float]:
        """SIGTERM; its exit code, and the seconds that it took."""
        began = time.monotonic()
        self.process.terminate()
        await self._ended(within)
        return self.process.returncode, time.monotonic() - began

    async def killed(self) -> None:
        """SIGKILL, and be sure that it was that which ended it."""
        assert self.process.poll() is None, self.told(f"it ended with {self.process.returncode}")
        self.process.kill()
        await self._ended(10)
        assert self.process.returncode == -signal.SIGKILL

    def stop(self) -> None:
        """End whatever still runs, and tell its log, which is shown if the test has failed."""
        if self._process is not None:
            if self.running:
                self._process.kill()
            self._process.wait()
            self.sandbox.den.forget(self._process.pid)
            sys.stdout.write(self.told(f"{self.starts} starts, peak {self.peak >> 20} MB"))

    @property
    def rss(self) -> int:
        """Bytes of memory that it has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has used, in its own code and in the kernel's."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def told(self, why: str) -> str:
        """Why, and the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN:]
        return "\n".join([f"--- {self.name}: {why}; the end of {self.log.name}:", *lines, ""])

    async def _ended(self, within: float) -> None:
        deadline = time.monotonic() + within
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.told(f"it has not ended within {within:g} s")
            await asyncio.sleep(_LOOK)

    async def _until(self, come: Callable[[], bool], what: str, within: float) -> None:
        deadline = time.monotonic() + within
        while not await asyncio.to_thread(come):
            code = self.process.poll()
            assert code is None, self.told(f"it ended with {code} before {what}")
            assert time.monotonic() < deadline, self.told(f"not within {within:g} s: {what}")
            await asyncio.sleep(_LOOK)

    def _status(self, path: str) -> int:
        try:
            return self._get(path)[0]
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def _get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://{self.listen}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
