"""A server of either family, the product opened on it, and a table that many ways read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_async.config import load_connections
from s3rs_async.mysql import feed, lookout
from tests.acceptance.compare import redshift
from tests.acceptance.conftest import chosen, real_mysql
from tests.acceptance.running import config
from tests.acceptance.source import application, own_database
from tests.loss import naive
from tests.loss.engine import Engine
from tests.loss.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL

__all__ = ["real_mysql"]

SOURCE = "shop"


@pytest.fixture(
    params=["mariadb", pytest.param("mysql", marks=[pytest.mark.mysql, pytest.mark.thorough])]
)
def server(request: pytest.FixtureRequest) -> MySQL:
    """The sandbox's MariaDB, then a real MySQL."""
    return chosen(request)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass waits a second for who still writes, and the running watch looks as when waited for.

    Neither makes a bound any safer: both only make it come, or be given up, sooner.
    """
    monkeypatch.setattr(feed, "_BOUND_SECONDS", 1.0)
    monkeypatch.setattr(feed, "_VOUCHED_SECONDS", 1.0)
    monkeypatch.setattr(lookout, "POLL_SECONDS", lookout.HURRY_SECONDS)


@pytest.fixture
def settled(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's keys in the environment, where AWS's tools look for them."""
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def scene(box: Box, server: MySQL, settled: None, tmp_path: Path) -> Iterator[Scene]:
    """A database of the test's own on that server, and the readers of its table `a`."""
    config(box, tmp_path, sources={SOURCE: source_of(server)})
    with (
        own_database(server) as database,
        application(server, database) as run,
        application(server, database) as reading,
        Engine(load_connections(tmp_path, {}), SOURCE) as engine,
    ):
        try:
            yield Scene(box, server, database, engine, run, naive.all_of(reading))
        finally:
            redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


def source_of(server: MySQL, **other: str) -> dict[str, object]:
    """The settings of a source that is this server."""
    login = {"user": server.user, "password": server.password}
    return {"host": server.host, "port": server.port, "tls": "off", **login, **other}
