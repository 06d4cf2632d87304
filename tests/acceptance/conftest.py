"""A source of the test's own in the sandbox: the application's hand on it, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from s3rs_async.mysql.connection import Source
from tests.acceptance.running import Commands
from tests.acceptance.source import Run, application, configured

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box


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
