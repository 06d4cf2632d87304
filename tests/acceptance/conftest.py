"""A source of the test's own in the sandbox: the application's hand on it, and ours.

What must hold on MariaDB and on MySQL takes `server`, and runs on both. The second is fetched from
outside (`tests/servers`) and may be missing: then such tests are skipped and say why, but fail
where they were asked for by `-m mysql`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from s3rs_async.mysql.connection import Source
from s3rs_async.sandbox import mysql
from s3rs_async.sandbox.process import Den
from tests.acceptance.running import Commands
from tests.acceptance.source import Run, application, configured, own_database
from tests.servers import debian, figures

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL


@pytest.fixture(scope="session")
def real_mysql() -> Iterator[MySQL | str]:
    """A server that is not MariaDB, or why there is none."""
    try:
        packages = debian.unpacked()
    except debian.NotHadError as error:
        yield f"NOT RUN, no real MySQL server: {error}"
        return
    den = Den()
    try:
        yield asyncio.run(mysql.start(den, packages))
    finally:
        asyncio.run(den.close())


@pytest.fixture(
    params=[
        pytest.param("mariadb", marks=pytest.mark.types),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def server(request: pytest.FixtureRequest) -> MySQL:
    """The sandbox's MariaDB, then a real MySQL."""
    return chosen(request)


def chosen(request: pytest.FixtureRequest) -> MySQL:
    """The server that the parameter names; without it the test is skipped or fails, and says so."""
    if request.param == "mariadb":
        box: Box = request.getfixturevalue("box")
        return box.mysql
    found: MySQL | str = request.getfixturevalue("real_mysql")
    told = found if isinstance(found, str) else f"run against {_version(found)}"
    request.node.user_properties.append(figures.told(told))
    if not isinstance(found, str):
        return found
    asked_for = "mysql" in request.config.option.markexpr.replace("not mysql", "")
    if asked_for:
        pytest.fail(found)
    pytest.skip(found)


def _version(server: MySQL) -> str:
    with application(server) as run:
        ((version, comment),) = run("SELECT VERSION(), @@version_comment")
    assert "mariadb" not in version.lower()
    return f"MySQL {version} {comment}"


@pytest.fixture
def home(server: MySQL) -> Iterator[str]:
    """A database of the test's own on that server."""
    with own_database(server) as name:
        yield name


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The parent of every command that is run to its end."""
    commands = Commands(tmp_path_factory.mktemp("forks"), {})
    yield commands
    commands.stop()


@pytest.fixture
def run(box: Box, database: str) -> Iterator[Run]:
    with application(box.mysql, database, "'+00:00'") as run:
        yield run


@pytest.fixture
def source(box: Box, database: str) -> Source:
    """Named as the database, so that tests need one thing less."""
    return Source(database, configured(box.mysql))
