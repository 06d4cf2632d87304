"""`s3rs sync` in a process of its own, awaited, watched, or killed where it hurts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from ..clock import sleep
from ..errors import Error, UnavailableError

_LOOK_SECONDS = 0.01
_PATIENCE_SECONDS = 60.0
_SYNC_SECONDS = 600.0

Json = dict[str, object]


async def sync(tables: list[str], environment: Mapping[str, str], folder: Path) -> Json:
    """Sync the tables to their end; the JSON report. Error with the tail of stderr if it fails."""
    return await run(_named(tables), environment, folder)


async def run(arguments: list[str], environment: Mapping[str, str], folder: Path) -> Json:
    """The same for whatever a sync may be told."""
    report = folder / "report.json"
    async with _running(arguments, environment, report) as process:
        async with asyncio.timeout(_SYNC_SECONDS):
            code = await _ended(process)
        if code:
            raise Error("a sync failed", exit_code=code, stderr=_tail(report))
    document: Json = json.loads(report.read_text())
    return document


async def sync_killed(
    tables: list[str],
    environment: Mapping[str, str],
    folder: Path,
    moment: Callable[[], Awaitable[bool]],
) -> None:
    """Run a sync and SIGKILL it when `moment` has come; Error if it ends before."""
    report = folder / "killed.json"
    async with _running(_named(tables), environment, report) as process:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await moment():
                if process.poll() is not None:
                    raise UnavailableError(
                        "the sync ended before it could be killed", stderr=_tail(report)
                    )
                await sleep(_LOOK_SECONDS)
        process.kill()
        code = await _ended(process)
    if code != -signal.SIGKILL:
        raise Error("the sync was to die by SIGKILL", exit_code=code)


def _named(tables: list[str]) -> list[str]:
    return [part for table in tables for part in ("-t", table)]


@contextlib.asynccontextmanager
async def _running(
    arguments: list[str], environment: Mapping[str, str], report: Path
) -> AsyncIterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "s3rs_async", "sync", *arguments]
    with report.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - forking takes a millisecond
            [*command, "--json-output", str(report)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def _ended(process: subprocess.Popen[bytes]) -> int:
    while (code := process.poll()) is None:
        await sleep(_LOOK_SECONDS)
    return code


def _tail(report: Path) -> str:
    return report.with_suffix(".log").read_text(errors="replace")[-2000:]
