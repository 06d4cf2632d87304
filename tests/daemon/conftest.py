"""A sandbox of three MySQL servers, the second behind the bastion, for the tests of one file."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from s3rs_async.sandbox import Box, Sandbox
from tests.acceptance.compare import mysql, redshift
from tests.daemon.process import Daemon
from tests.daemon.tables import Table, make_tables, write_pipelines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Town:
    """The sandbox, a test's own tables in it, and the daemons that it starts."""

    sandbox: Sandbox
    box: Box
    folder: Path
    token: str
    tables: tuple[Table, ...] = ()
    pipelines: list[str] = field(default_factory=list)
    daemons: list[Daemon] = field(default_factory=list)

    def settle(self, count: int, *, rows: int, every: str) -> None:
        """Make the tables, and the configuration that has them brought forward."""
        self.tables = make_tables(self.box.mysqls, count, rows=rows, token=self.token)
        self.pipelines = write_pipelines(self.box, self.tables, self.folder / "config", every=every)

    def daemon(self, name: str, *options: str) -> Daemon:
        """A daemon for all pipelines, which is not started yet."""
        config = self.folder / "config"
        made = Daemon(self.sandbox, self.box, config, self.pipelines, name, options)
        self.daemons.append(made)
        return made

    def leave(self) -> None:
        """End the daemons, and take the databases and schemas away."""
        with contextlib.ExitStack() as stack:
            for server in self.box.mysqls:
                name = f"{self.token}_{server.name}"
                stack.callback(
                    redshift, self.box.redshift.url, f"DROP SCHEMA IF EXISTS {name} CASCADE"
                )
                stack.callback(mysql, server.url, f"DROP DATABASE IF EXISTS {name}")
            for daemon in self.daemons:
                stack.callback(daemon.stop)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Sandbox, Box]]:
    sandbox = Sandbox(mysql=3, tunnelled=("mysql2",))
    box = asyncio.run(sandbox.start())
    try:
        yield sandbox, box
    finally:
        asyncio.run(sandbox.stop())


@pytest.fixture
def town(running: tuple[Sandbox, Box], tmp_path: Path) -> Iterator[Town]:
    made = Town(*running, tmp_path, f"t_{secrets.token_hex(4)}")
    try:
        yield made
    finally:
        made.leave()
