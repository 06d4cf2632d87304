"""What is read, and when: the promises of a pass, seen at both ends of the whole line."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from s3rs_async import service
from s3rs_async.config import load_connections
from s3rs_async.demo.compare import connect
from s3rs_async.mysql import feed
from s3rs_async.sandbox import mariadb
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql, redshift, target_columns
from tests.acceptance.ledger import Place
from tests.acceptance.running import Call, Commands, config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from s3rs_async.sandbox import Box

STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
BEHIND = 3.6
"""Seconds after which a row lies below the bound of a pass on an idle server."""


@pytest.fixture(scope="module")
def commands(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("capture")
    commands = Commands(folder, {**box.environment, "XDG_CACHE_HOME": str(folder)})
    yield commands
    commands.stop()


@dataclass
class Home:
    """A database of the test's own, whose schema in the target has the same name."""

    box: Box
    commands: Commands
    name: str

    def run(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        return mysql(self.box.mysql.url, statement, script=(f"USE {self.name}",))

    def target(self, statement: str) -> list[tuple[Any, ...]]:
        return redshift(self.box.redshift.url, statement.format(self.name))

    def sync(self, table: str, *more: str, code: int = 0) -> Call:
        return self.commands.sync("-t", f"{self.name}.{table}", *more, code=code)

    def result(self, table: str, *more: str, code: int = 0) -> dict[str, Any]:
        return self.sync(table, *more, code=code).results[f"{self.name}.{table}"]

    def place(self, table: str) -> Place:
        return Place(self.box, f"{self.name}.{table}")

    def equal(self, table: str, why: str = "") -> int:
        count = assert_equal(self.box, f"{self.name}.{table}", why=why)
        ledger.check(self.place(table), why=why)
        return count


@pytest.fixture
def at_home(box: Box, commands: Commands, database: str) -> Iterator[Home]:
    yield Home(box, commands, database)
    redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


@contextlib.contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something that goes on in a thread of its own until the block ends."""
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            work(stop)
        except pymysql.Error as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failed


def test_a_row_that_never_rests_is_as_new_as_the_pass(at_home: Home) -> None:
    at_home.run(f"CREATE TABLE a (id INT PRIMARY KEY, n INT NOT NULL, u {STAMP}, KEY (u))")
    at_home.run("INSERT INTO a (id, n) SELECT seq, 0 FROM seq_1_to_1000")

    def touch(stop: threading.Event) -> None:
        with contextlib.closing(connect(at_home.box.mysql.url)) as connection:
            connection.autocommit(True)
            with connection.cursor() as cursor:
                while not stop.wait(0.3):
                    cursor.execute(f"UPDATE {at_home.name}.a SET n = n + 1 WHERE id = 500")

    seen = []
    with beside(touch):
        for _ in range(3):
            time.sleep(0.7)
            ((before,),) = at_home.run("SELECT n FROM a WHERE id = 500")
            at_home.sync("a")
            ((held,),) = at_home.target("SELECT n FROM {}.a WHERE id = 500")
            assert held >= before > 0
            seen.append(held)
    assert seen == sorted(set(seen))
    at_home.sync("a")
    assert at_home.equal("a") == 1000


ZONES = {"minus5": "-05:00", "plus8": "+08:00", "berlin": "Europe/Berlin"}


async def test_a_cursor_in_the_servers_own_zone_loses_nothing_and_is_never_late(
    box: Box, commands: Commands, tmp_path: Path
) -> None:
    """A server for each zone; a run of each, all of them side by side."""
    async with contextlib.AsyncExitStack() as servers:
        started = {
            zone: await servers.enter_async_context(mariadb.private(timezone=setting))
            for zone, setting in ZONES.items()
        }
        sources = {zone: _source(server) for zone, server in started.items()}
        environment = config(box, tmp_path, sources=sources)
        zones = [Zoned(box, zone, server.url) for zone, server in started.items()]
        try:
            await asyncio.to_thread(_zoned, zones, commands, environment)
        finally:
            for zone in zones:
                redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {zone.name} CASCADE")


def _source(server: Any, **more: str) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "tls": "off",
        **more,
    }


KINDS = {"wall": "DATETIME", "utc": "TIMESTAMP"}


@dataclass
class Zoned:
    """Two tables on a server of another zone, the source of that name."""

    box: Box
    zone: str
    url: str
    name: str = field(default_factory=lambda: f"z_{secrets.token_hex(6)}")

    def run(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        script = (f"USE {self.name}", "SET time_zone = @@global.time_zone")
        return mysql(self.url, statement, script=script)

    def made(self) -> None:
        mysql(self.url, f"CREATE DATABASE {self.name}")
        now = "CURRENT_TIMESTAMP"
        for table, kind in KINDS.items():
            self.run(
                f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL,"
                f" u {kind} NOT NULL DEFAULT {now} ON UPDATE {now}, KEY (u))"
            )
            self.run(f"INSERT INTO {table} (v) VALUES (1), (2), (3)")

    def changed(self) -> None:
        for table in KINDS:
            self.run(f"INSERT INTO {table} (v) VALUES (10), (20)")
            self.run(f"UPDATE {table} SET v = v + 1 WHERE id = 2")

    def asked(self) -> list[str]:
        tables = [part for table in KINDS for part in ("-t", f"{self.name}.{table}")]
        return [*tables, "--source", self.zone]

    def place(self, table: str) -> Place:
        return Place(self.box, f"{self.name}.{table}", source=self.zone)

    def equal(self, why: str) -> None:
        for table in KINDS:
            told = f"{self.zone}: {why}"
            assert_equal(self.box, f"{self.name}.{table}", source=self.url, why=told)
            ledger.check(self.place(table), why=told)

    def position_is_right(self) -> None:
        for table in KINDS:
            at = dt.datetime.fromisoformat(ledger.position(self.place(table))["cursor"])
            clock = "UTC_TIMESTAMP(6)" if table == "utc" else "NOW(6)"
            ((now, newest),) = self.run(f"SELECT {clock}, MAX(u) FROM {table}")
            if table == "utc":
                ((newest,),) = mysql(self.url, f"SELECT MAX(u) FROM {self.name}.{table}")
            told = (self.zone, table, "neither before the last row nor in the future")
            assert newest < at < now, told


def _zoned(zones: list[Zoned], commands: Commands, environment: dict[str, str]) -> None:
    def passed(why: str) -> list[int]:
        calls = [commands.start(*zone.asked(), environment=environment) for zone in zones]
        for zone, call in zip(zones, calls, strict=True):
            assert call.ended() == 0, (zone.zone, why, call.told[-3000:])
        for zone in zones:
            zone.equal(why)
        return [found["rows_processed"] for call in calls for found in call.results.values()]

    for zone in zones:
        zone.made()
    passed("first")
    for zone in zones:
        zone.changed()
    passed("committed just before the pass")
    time.sleep(BEHIND)
    passed("the last read of rows that were read past the bound")
    assert passed("at rest") == [0] * len(KINDS) * len(zones)
    for zone in zones:
        zone.position_is_right()


async def test_a_clock_that_is_ahead_of_its_setting_is_refused_by_name(
    box: Box, commands: Commands, tmp_path: Path
) -> None:
    async with mariadb.private(timezone="+08:00") as server:
        sources = {"plus8": _source(server, cursor_time_zone="+00:00")}
        environment = config(box, tmp_path, sources=sources)
        mysql(server.url, "CREATE DATABASE ahead")
        stamp = "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
        mysql(server.url, f"CREATE TABLE ahead.a (id INT PRIMARY KEY, u {stamp}, KEY (u))")
        mysql(
            server.url,
            "INSERT INTO ahead.a (id) VALUES (1)",
            script=("SET time_zone = @@global.time_zone",),
        )
        call = commands.sync("-t", "ahead.a", environment=environment, code=2)
        assert "cursor_time_zone" in call.results["ahead.a"]["hint"]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Say how long a pass of this process waits for those who are still writing."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(feed, "_BOUND_SECONDS", seconds)

    return set_to


@pytest.fixture
def inside(at_home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Any]:
    """A sync of table `a` inside of this process; its table's report."""
    for name, value in at_home.commands.environment.items():
        monkeypatch.setenv(name, value)

    def run() -> Any:
        connections = load_connections(at_home.box.config, {})
        end = asyncio.run(service.sync(connections, service.Ask((f"{at_home.name}.a",))))
        (table,) = end.report.tables
        assert table.error is None
        return table

    return run


def test_a_late_commit_is_in_the_next_pass_though_others_were_stamped_after_it(
    at_home: Home, inside: Callable[[], Any], waiting: Callable[[float], None]
) -> None:
    at_home.run(f"CREATE TABLE a (id INT PRIMARY KEY, v INT, u {STAMP}, KEY (u))")
    at_home.run("INSERT INTO a (id, v) VALUES (1, 1), (2, 2)")
    waiting(1.0)
    with contextlib.closing(connect(at_home.box.mysql.url)) as late, late.cursor() as cursor:
        cursor.execute(f"INSERT INTO {at_home.name}.a (id, v) VALUES (100, 1)")
        cursor.execute(f"UPDATE {at_home.name}.a SET v = 20 WHERE id = 2")
        time.sleep(BEHIND)
        at_home.run("INSERT INTO a (id, v) VALUES (3, 3)")
        time.sleep(BEHIND)
        since = time.monotonic()
        told = inside()
        assert time.monotonic() - since >= 1.0
        assert at_home.target("SELECT id, v FROM {}.a ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
        assert any("open before the watch began" in note for note in told.meter.notes)
        at = dt.datetime.fromisoformat(ledger.position(at_home.place("a"))["cursor"])
        cursor.execute("SELECT UTC_TIMESTAMP(6)")
        (now,) = cursor.fetchone()
        assert at < now - dt.timedelta(minutes=59)
        late.commit()
    inside()
    assert at_home.equal("a") == 4
    time.sleep(BEHIND)
    inside()
    assert inside().meter.rows_read == 0


def test_a_pass_waits_for_a_transaction_that_ends_in_time(
    at_home: Home, inside: Callable[[], Any], waiting: Callable[[float], None]
) -> None:
    at_home.run(f"CREATE TABLE a (id INT PRIMARY KEY, u {STAMP}, KEY (u))")
    at_home.run("INSERT INTO a (id) VALUES (1)")
    waiting(20.0)
    with contextlib.closing(connect(at_home.box.mysql.url)) as late, late.cursor() as cursor:
        cursor.execute(f"INSERT INTO {at_home.name}.a (id) VALUES (2)")
        timer = threading.Timer(1.5, late.commit)
        timer.start()
        since = time.monotonic()
        told = inside()
        took = time.monotonic() - since
        timer.join()
    assert 1.5 < took < 15
    assert not any("watch" in note for note in told.meter.notes)
    assert at_home.equal("a") == 2


def test_rows_without_a_cursor_value_arrive_and_follow_when_they_get_one(at_home: Home) -> None:
    at_home.run(
        "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT,"
        " u TIMESTAMP(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6), KEY (u))"
    )
    at_home.run("INSERT INTO a (v) SELECT seq FROM seq_1_to_50")
    at_home.sync("a")
    assert at_home.equal("a") == 50
    at_home.run("UPDATE a SET v = -v WHERE id % 5 = 0")
    at_home.run("INSERT INTO a (v) VALUES (51), (52)")
    assert at_home.result("a")["rows_processed"] == 10 + 2  # those still without one come once
    assert at_home.equal("a") == 52


KEYS = {
    "one_number": ("k INT PRIMARY KEY", "n"),
    "two_columns": ("j INT, k VARCHAR(9), PRIMARY KEY (j, k)", "n DIV 10, CONCAT('x', n % 10)"),
    "text_without_case": (
        "k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
        "CONCAT(ELT(1 + n % 4, 'a', 'B', 'É', 'z'), IF(n % 2, 'x', 'X'), n)",
    ),
    "some_bytes": ("k VARBINARY(16) PRIMARY KEY", "UNHEX(LEFT(SHA1(n), 2 + 2 * (n % 15)))"),
    "a_choice": ("k ENUM('z','a','m') , j INT, PRIMARY KEY (k, j)", "1 + n % 3, n"),
}


def test_rows_that_share_a_tick_arrive_once_across_the_ends_of_chunks(at_home: Home) -> None:
    for table, (key, made) in KEYS.items():
        at_home.run(f"CREATE TABLE {table} ({key}, v INT, u {STAMP}, KEY (u))")
        at_home.run(
            f"INSERT INTO {table} SELECT {made}, n, '2024-03-31 01:30:00' + INTERVAL (n DIV 9)"
            " SECOND FROM (SELECT seq AS n FROM seq_1_to_25) AS numbers"
        )
    for wanted in (11, 11, 3, 0):
        call = at_home.commands.sync(*_asked(at_home, KEYS), "--limit", "11")
        read = {name: found["rows_processed"] for name, found in call.results.items()}
        assert read == {f"{at_home.name}.{table}": wanted for table in KEYS}
    for table in KEYS:
        assert at_home.equal(table) == 25


def test_a_table_of_many_chunks_arrives_whole(at_home: Home) -> None:
    at_home.run(
        f"CREATE TABLE a (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, u {STAMP}, KEY (u))"
    )
    at_home.run("CREATE TABLE b (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)")
    made = "CONCAT(IF(n % 2, 'k', 'K'), n)"
    numbers = "FROM (SELECT seq AS n FROM seq_1_to_60000) AS numbers"
    at_home.run(f"INSERT INTO a SELECT {made}, '2024-01-01' + INTERVAL (n % 9) SECOND {numbers}")
    at_home.run(f"INSERT INTO b SELECT {made}, n {numbers}")
    at_home.sync("a", "-t", f"{at_home.name}.b")
    for table in "ab":
        assert at_home.equal(table) == 60_000


def test_a_table_without_a_key_keeps_its_duplicates_and_can_become_empty(at_home: Home) -> None:
    at_home.run("CREATE TABLE a (v INT, w VARCHAR(9))")
    at_home.run("INSERT INTO a SELECT seq % 3, IF(seq % 2, 'x', NULL) FROM seq_1_to_60")
    for number, statement in enumerate(
        (
            "INSERT INTO a VALUES (1, 'x'), (1, 'x')",
            "DELETE FROM a WHERE v = 0",
            "DELETE FROM a",
            "INSERT INTO a VALUES (7, 'again')",
        )
    ):
        at_home.sync("a")
        at_home.equal("a", f"before change {number}")
        at_home.run(statement)
    at_home.sync("a")
    assert at_home.equal("a") == 1


def test_a_table_without_rows_is_no_failure(at_home: Home) -> None:
    tables = {"whole": "", "by_cursor": f", u {STAMP}, KEY (u)"}
    for table, stamp in tables.items():
        at_home.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT{stamp})")
    results = at_home.commands.sync(*_asked(at_home, tables)).results
    read = {name: found["rows_processed"] for name, found in results.items()}
    assert read == {f"{at_home.name}.{table}": 0 for table in tables}
    for table in tables:
        at_home.run(f"INSERT INTO {table} (id, v) VALUES (1, NULL)")
    at_home.commands.sync(*_asked(at_home, tables))
    assert [at_home.equal(table) for table in tables] == [1, 1]


DRIFTS = {
    "added": ("ADD COLUMN extra VARCHAR(5)", "extra"),
    "dropped": ("DROP COLUMN w", "w"),
    "renamed": ("CHANGE w better INT", "better"),
}


def test_columns_that_differ_are_told_and_nothing_is_loaded(at_home: Home) -> None:
    ways = {"whole": "", "by_cursor": f", u {STAMP}, KEY (u)"}
    drifts = {f"{drift}_{way}": drift for drift in DRIFTS for way in ways}
    for table, drift in drifts.items():
        stamp = ways[table.removeprefix(f"{drift}_")]
        at_home.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT, w INT{stamp})")
        at_home.run(f"INSERT INTO {table} (id, v, w) SELECT seq, seq, seq FROM seq_1_to_20")
    at_home.commands.sync(*_asked(at_home, drifts))
    before = {table: _held(at_home, table) for table in drifts}
    for table, drift in drifts.items():
        at_home.run(f"ALTER TABLE {table} {DRIFTS[drift][0]}")
        at_home.run(f"UPDATE {table} SET v = v + 1")
    results = at_home.commands.sync(*_asked(at_home, drifts), code=3).results
    for table, drift in drifts.items():
        found = results[f"{at_home.name}.{table}"]
        assert found["error_kind"] == "SchemaDriftError", table
        assert DRIFTS[drift][1] in found["error_message"], table
        assert _held(at_home, table) == before[table], table
    added = [table for table, drift in drifts.items() if drift == "added"]
    for table in added:
        at_home.target(results[f"{at_home.name}.{table}"]["hint"].removeprefix("run "))
        assert "extra" in target_columns(at_home.box, f"{at_home.name}.{table}")
    at_home.commands.sync(*_asked(at_home, added))
    assert [at_home.equal(table) for table in added] == [20, 20]


def _asked(at_home: Home, tables: Iterable[str]) -> list[str]:
    return [part for table in tables for part in ("-t", f"{at_home.name}.{table}")]


def _held(at_home: Home, table: str) -> tuple[object, ...]:
    """All that a sync that loads nothing must leave as it is."""
    now = ledger.look(at_home.place(table))
    rows = at_home.target(f"SELECT * FROM {{}}.{table} ORDER BY id")
    position = ledger.position(at_home.place(table))
    return now.lines, now.batches, now.uploads, now.pending, position, rows
