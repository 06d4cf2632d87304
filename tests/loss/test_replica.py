"""Reading a replica: rows that it has not applied yet, and transactions that it cannot see.

A primary and its replica, private ones of either family. Beside ours with `replica_of` stand the
naive ways, reading at the replica too, and ours without a word of the primary, which must lose what
they lose: else the setting would be for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from s3rs_async.config import load_connections
from s3rs_async.errors import UnavailableError
from s3rs_async.model import TableName, TableSpec
from s3rs_async.mysql import feed
from s3rs_async.sandbox import mariadb, mysql
from s3rs_async.sandbox.process import Den
from tests.acceptance.compare import redshift
from tests.acceptance.conftest import chosen
from tests.acceptance.running import config
from tests.acceptance.source import application
from tests.loss import naive
from tests.loss.conftest import source_of
from tests.loss.engine import Ask, Engine
from tests.loss.naive import GREATEST_ID, GREATEST_STAMP, LAG, NOW, OLDEST, OVERLAP
from tests.loss.scene import until
from tests.loss.test_late_commits import TABLE
from tests.servers import debian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL
    from tests.acceptance.source import Run

FLAGS = ("--log-bin=log", "--binlog-format=ROW", "--log-slave-updates")
FOLLOWER = (
    "CREATE USER follower IDENTIFIED BY 'of-no-account'",
    "GRANT REPLICATION SLAVE ON *.* TO follower",
)
FLAGS_OF_MYSQL = ("--log-bin=log", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
HOWS = ("", "_watched")
UNTOLD = [f"untold{how}" for how in HOWS]
NOTHING: dict[str, set[int]] = {f"told{how}": set() for how in HOWS}


@dataclass
class Pair:
    """Both servers, and how the replica's applier is stopped and started."""

    primary: MySQL
    replica: MySQL
    stop: str
    start: str


pytestmark = pytest.mark.thorough


@pytest.fixture(params=["mariadb", pytest.param("mysql", marks=pytest.mark.mysql)])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two private servers, of which the second follows the first."""
    chosen(request)  # who is not to be had is told there
    den = Den()
    try:
        yield asyncio.run(_mariadb(den) if request.param == "mariadb" else _mysql(den))
    finally:
        asyncio.run(den.close())


async def _mariadb(den: Den) -> Pair:
    servers = [
        await mariadb.start(den, name=f"server{number}", flags=(*FLAGS, f"--server-id={number}"))
        for number in (1, 2)
    ]
    primary, replica = servers
    with application(primary) as there, application(replica) as here:
        for statement in FOLLOWER:
            there(statement)
        ((position,),) = there("SELECT @@GLOBAL.gtid_binlog_pos")
        here(f"SET GLOBAL gtid_slave_pos = '{position}'")
        here(
            f"CHANGE MASTER TO MASTER_HOST = '{primary.host}', MASTER_PORT = {primary.port},"
            " MASTER_USER = 'follower', MASTER_PASSWORD = 'of-no-account',"
            " MASTER_USE_GTID = slave_pos"
        )
        here("START SLAVE")
    return Pair(primary, replica, "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD")


async def _mysql(den: Den) -> Pair:
    packages = debian.unpacked()
    servers = [
        await mysql.start(
            den,
            packages,
            name=f"server{number}",
            flags=(*FLAGS_OF_MYSQL, f"--server-id={number}"),
        )
        for number in (1, 2)
    ]
    primary, replica = servers
    with application(primary) as there, application(replica) as here:
        for statement in FOLLOWER:
            there(statement)
        here(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{primary.host}',"
            f" SOURCE_PORT = {primary.port}, SOURCE_USER = 'follower',"
            " SOURCE_PASSWORD = 'of-no-account', SOURCE_AUTO_POSITION = 1,"
            " GET_SOURCE_PUBLIC_KEY = 1"
        )
        here("START REPLICA")
    return Pair(primary, replica, "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD")


@dataclass
class Reading:
    """The application's hand at the primary, and all who read at the replica."""

    box: Box
    pair: Pair
    database: str
    at_primary: Run
    at_replica: Run
    readers: dict[str, naive.Naive]
    engines: dict[str, Engine]

    def ours(self, which: str) -> None:
        """A pass by a watch of its own and one by the running watch, into two targets."""
        table = TableName(self.database, "a")
        self.engines[which].sync(
            [
                Ask(f"{which}{how}", TableSpec(table, target=f"a_{which}{how}"), watched=bool(how))
                for how in HOWS
            ]
        )

    def goes_by(self, seconds: float = 4.0) -> None:
        ((end,),) = self.at_primary(f"SELECT CAST(NOW(6) + INTERVAL {seconds} SECOND AS CHAR)")
        until(lambda: self.at_primary(f"SELECT NOW(6) >= '{end}'") == ((1,),), "time goes by")

    def follows(self) -> None:
        """Until the replica has what the primary has."""
        wanted = self.at_primary("SELECT id, v FROM a ORDER BY id")
        until(lambda: self.at_replica("SELECT id, v FROM a ORDER BY id") == wanted, "it follows")

    def lost(self) -> dict[str, set[int]]:
        """What each lacks when the replica has all and all have read again, the naive later on."""
        self.follows()
        for each in self.readers.values():
            each.run("SET timestamp = UNIX_TIMESTAMP() + 60")
            each.read()
        for which in self.engines:
            self.ours(which)
        source = dict(self.at_primary("SELECT id, v FROM a"))
        found = {name: each.lost(source) for name, each in self.readers.items()}
        ours = [f"{which}{how}" for which in self.engines for how in HOWS]
        return found | {which: self._lacking(which, source) for which in ours}

    def _lacking(self, which: str, source: dict[int, int]) -> set[int]:
        rows = redshift(
            self.box.redshift.url, f"SELECT id, v FROM {self.database}.a_{which} ORDER BY id"
        )
        return {key for key, _ in set(rows) ^ set(source.items())}


@pytest.fixture
def reading(box: Box, pair: Pair, settled: None, tmp_path: Path) -> Iterator[Reading]:
    name = f"r_{secrets.token_hex(6)}"
    sources = {
        "primary": source_of(pair.primary),
        "told": source_of(pair.replica, replica_of="primary"),
        "untold": source_of(pair.replica),
    }
    config(box, tmp_path, sources=sources)
    connections = load_connections(tmp_path, {})
    with contextlib.ExitStack() as stack:
        stack.callback(redshift, box.redshift.url, f"DROP SCHEMA IF EXISTS {name} CASCADE")
        with application(pair.primary) as run:
            run(f"CREATE DATABASE {name}")
            run(f"USE {name}")
            run(TABLE)
            run("INSERT INTO a (v) VALUES (1), (1)")
        with application(pair.replica) as run:
            shown = (
                f"SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{name}'"
            )
            until(lambda: bool(run(shown)), "the table is there")
        at_primary = stack.enter_context(application(pair.primary, name))
        at_replica = stack.enter_context(application(pair.replica, name))
        engines = {
            which: stack.enter_context(Engine(connections, which)) for which in ("told", "untold")
        }
        made = Reading(box, pair, name, at_primary, at_replica, naive.all_of(at_replica), engines)
        made.follows()
        for each in made.readers.values():
            each.read()
        for which in engines:
            made.ours(which)
        yield made


def test_rows_that_the_replica_has_not_applied_are_waited_for(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_REPLICA_SECONDS", 0.5)
    reading.at_replica(reading.pair.stop)
    reading.at_primary("INSERT INTO a (v) VALUES (1)")
    reading.goes_by()
    for each in reading.readers.values():
        each.read()
    reading.ours("untold")
    with pytest.raises(UnavailableError, match="has not applied") as caught:
        reading.ours("told")
    reading.at_replica(reading.pair.start)
    monkeypatch.setattr(feed, "_REPLICA_SECONDS", 30.0)
    found = reading.lost()

    assert caught.value.context["replica_of"] == "primary"
    by_clock = {name: {3} for name in (NOW, LAG, OLDEST, *UNTOLD)}
    by_row: dict[str, set[int]] = {name: set() for name in (GREATEST_STAMP, OVERLAP, GREATEST_ID)}
    assert found == by_clock | by_row | NOTHING


def test_a_transaction_open_at_the_primary_holds_the_bound_of_its_replica(
    reading: Reading,
) -> None:
    with application(reading.pair.primary, reading.database) as late:
        late("BEGIN")
        late("INSERT INTO a (v) VALUES (1)")
        reading.goes_by()
        reading.at_primary("INSERT INTO a (v) VALUES (1)")
        reading.follows()
        for each in reading.readers.values():
            each.read()
        for which in reading.engines:
            reading.ours(which)
        late("COMMIT")
    found = reading.lost()

    assert found == {name: {3} for name in (*reading.readers, *UNTOLD)} | NOTHING
