"""DATETIME cursors by another clock than UTC, and across both changes of a clock.

The server's own clock is told what to show: `init_connect` sets `timestamp` for everybody who comes
in and may not do everything, so that to this server's clerk, and to the product that comes as the
clerk, CURRENT_TIMESTAMP and UTC_TIMESTAMP stand at a moment of the test's. Stamps, zones and bounds
are then the server's, by its own rules for that moment. What it shows of statements and
transactions goes by the machine's clock: nothing is under way here, so that says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from s3rs_async import service
from s3rs_async.config import load_connections
from s3rs_async.sandbox import mariadb
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, redshift
from tests.acceptance.ledger import Place
from tests.acceptance.running import config
from tests.acceptance.source import application
from tests.loss.conftest import source_of
from tests.loss.naive import Naive

if TYPE_CHECKING:
    from pathlib import Path

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL
    from tests.acceptance.source import Run

TABLE = (
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, u DATETIME NOT NULL"
    " DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (u))"
)
READ = dt.timedelta(seconds=10)
"""How long after a row's stamp everybody reads: it lies below all bounds then."""
BOUNDS = {
    "UTC": "UTC_TIMESTAMP(6) - INTERVAL 3 SECOND",
    "the wall clock": "NOW(6) - INTERVAL 3 SECOND",
    "the summer's offset": "UTC_TIMESTAMP(6) + INTERVAL 2 HOUR - INTERVAL 3 SECOND",
}


@dataclass(frozen=True)
class Story:
    """Moments in UTC, in each of which a row is written; it has the moment's number as its key.

    `lost` is what each naive bound never brings over, `late` what it brings over after the story
    alone, when the clock has gone on by a day.
    """

    zone: str
    moments: tuple[str, ...]
    lost: dict[str, set[int]]
    late: dict[str, set[int]]


STORIES = {
    "west": Story(
        "-05:00",
        ("2026-07-01 12:00:00", "2026-07-01 13:00:00", "2026-07-01 14:00:00"),
        lost={"UTC": {2, 3}, "the wall clock": set()},
        late={"UTC": set(), "the wall clock": set()},
    ),
    "east": Story(
        "+08:00",
        ("2026-07-01 12:00:00", "2026-07-01 13:00:00", "2026-07-01 14:00:00"),
        lost={"UTC": set(), "the wall clock": set()},
        late={"UTC": {1, 2, 3}, "the wall clock": set()},
    ),
    "spring": Story(  # at 01:00 UTC 02:00 becomes 03:00
        "Europe/Berlin",
        (
            "2026-03-29 00:30:00",
            "2026-03-29 00:59:45",
            "2026-03-29 01:00:05",
            "2026-03-29 01:30:00",
        ),
        lost={"UTC": set(), "the wall clock": set(), "the summer's offset": {2}},
        late={"UTC": {2, 3, 4}, "the wall clock": set(), "the summer's offset": set()},
    ),
    "autumn": Story(  # at 01:00 UTC 03:00 becomes 02:00
        "Europe/Berlin",
        (
            "2026-10-25 00:10:00",
            "2026-10-25 00:50:00",
            "2026-10-25 01:10:00",
            "2026-10-25 01:50:00",
            "2026-10-25 02:10:00",
        ),
        lost={"UTC": set(), "the wall clock": {3}, "the summer's offset": {3, 4, 5}},
        late={"UTC": {2, 4, 5}, "the wall clock": set(), "the summer's offset": set()},
    ),
}


@dataclass
class Shop:
    """A server of the story's zone, its clerk, and who reads its table."""

    box: Box
    story: Story
    name: str
    server: MySQL
    folder: Path
    database: str = field(default_factory=lambda: f"z_{secrets.token_hex(6)}")

    def __post_init__(self) -> None:
        self.clerk = replace(self.server, user="clerk", password="of-no-account")
        self.readers = {name: Naive(_nobody, bound=BOUNDS[name]) for name in self.story.lost}
        with application(self.server) as run:
            run("CREATE USER clerk IDENTIFIED BY 'of-no-account'")
            run("GRANT SELECT, INSERT, UPDATE, PROCESS ON *.* TO clerk")
            run(f"CREATE DATABASE {self.database}")
            run(f"USE {self.database}")
            run(TABLE)
        config(self.box, self.folder, sources={self.name: source_of(self.clerk)})

    async def tell(self) -> None:
        """The whole story; everybody reads ten seconds after each row."""
        for number, text in enumerate(self.story.moments, 1):
            moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
            with self.at(moment) as run:
                run(f"INSERT INTO a (v) VALUES ({number})")
            with self.at(moment + READ) as run:
                self.all_naive_read(run)
                await self.sync()
        self.found = self.lacking()
        with self.at(moment + dt.timedelta(days=1)) as run:
            self.all_naive_read(run)

    @contextlib.contextmanager
    def at(self, moment: dt.datetime) -> contextlib.Iterator[Run]:
        """The clerk's connection, to whom it is that moment; whoever comes now is told the same."""
        with application(self.server) as run:
            run(f"SET GLOBAL init_connect = 'SET timestamp = {moment.timestamp():.0f}'")
        with application(self.clerk, self.database) as run:
            ((shown,),) = run("SELECT UTC_TIMESTAMP()")
            assert shown.replace(tzinfo=dt.UTC) == moment
            yield run

    def all_naive_read(self, run: Run) -> None:
        for each in self.readers.values():
            each.run = run
            each.read()

    async def sync(self) -> None:
        connections = load_connections(self.folder, {})
        end = await service.sync(connections, service.Ask((f"{self.database}.a",)))
        (table,) = end.report.tables
        if table.error is not None:
            raise table.error

    def lacking(self) -> dict[str, set[int]]:
        """What each naive reader has not brought over by now."""
        every = set(range(1, len(self.story.moments) + 1))
        return {name: every - set(each.held) for name, each in self.readers.items()}

    def ours_has_all(self) -> None:
        table = f"{self.database}.a"
        assert_equal(self.box, table, source=self.server.url, why=self.name)
        ledger.check(Place(self.box, table, source=self.name), why=self.name)

    def leave(self) -> None:
        redshift(self.box.redshift.url, f"DROP SCHEMA IF EXISTS {self.database} CASCADE")


def _nobody(statement: str) -> tuple[()]:
    raise AssertionError(f"nobody is connected: {statement}")


@pytest.mark.thorough
@pytest.mark.usefixtures("settled")
async def test_no_zone_and_no_change_of_the_clock_loses_or_delays_a_row_of_ours(
    box: Box, tmp_path: Path
) -> None:
    """A server for each story, side by side."""
    async with contextlib.AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(mariadb.private(timezone=story.zone))
            for name, story in STORIES.items()
        }
        shops = [
            Shop(box, STORIES[name], name, server, tmp_path / name)
            for name, server in servers.items()
        ]
        for shop in shops:
            stack.callback(shop.leave)
        async with asyncio.TaskGroup() as group:
            for shop in shops:
                group.create_task(shop.tell(), name=shop.name)

        for shop in shops:
            shop.ours_has_all()
            lost = shop.lacking()
            late = {name: shop.found[name] - lost[name] for name in lost}
            assert (shop.name, lost, late) == (shop.name, shop.story.lost, shop.story.late)
