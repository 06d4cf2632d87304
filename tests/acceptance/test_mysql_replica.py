"""A replica whose primary cannot tell what it has committed; the pairs that can: `tests/loss`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.feed import Feed
from s3rs_async.mysql.sql import applied
from tests.acceptance.source import Run, configured, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box


async def test_a_primary_that_writes_no_binlog_is_refused_by_name(
    box: Box, source: Source, run: Run
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY)")
    primary = Source("primary", configured(box.mysql))
    feed = Feed(source, primary=primary)

    with pytest.raises(ConfigError, match="shows no ids") as caught:
        await feed.bound(await plan_of(source))

    assert caught.value.context["source"] == "primary"
    assert "log_bin" in caught.value.hint


def test_the_wait_is_each_familys_own_and_its_ids_are_a_text() -> None:
    ids = "0-1-9'"

    assert applied("mariadb", ids, 60.0) == "SELECT MASTER_GTID_WAIT(_utf8mb4'0-1-9''', 60)"
    assert applied("mysql", ids, 0.5).startswith("SELECT WAIT_FOR_EXECUTED_GTID_SET(_utf8mb4'0-1")
