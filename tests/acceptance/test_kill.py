"""SIGKILL at every step of a sync, for a merged and for a replaced table; then the same sync again.

The steps are met by holding the very request or statement that the step consists of, and what lies
in S3, in the state and in the ledger at that moment is looked at from outside before the process is
killed. Afterwards the rows must be those of the source and the chain whole. Last, kills at any
moment, while others write.
"""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
import pytest

from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql, redshift
from tests.acceptance.gate import Gate, Request
from tests.acceptance.ledger import Place, Sight
from tests.acceptance.running import Call, Commands, config, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3rs_async.sandbox import Box

ROWS = 5_000
STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"
COLUMNS = """
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, revision INT NOT NULL, name VARCHAR(80) NOT NULL,
  amount DECIMAL(15,4), weight FLOAT, ratio DOUBLE, born DATE, at DATETIME(6), note TEXT,
  kind ENUM('new','on way','zurück') NOT NULL, flags BIT(10), raw VARBINARY(20), big BIGINT"""
MADE = """n, 0, CONCAT('Zoë 田 ', n), IF(n % 7 = 0, NULL, n / 16), n / 3, n / 7.7,
  '2020-02-29' + INTERVAL n DAY, '2021-01-01' + INTERVAL n MICROSECOND,
  IF(n % 3 = 0, NULL, REPEAT(MD5(n), 1 + n % 6)), 1 + n % 3, n % 1024, UNHEX(SHA1(n)), -n"""

pytestmark = pytest.mark.crash


@dataclass
class Town:
    """One table that is synced again and again, and all that is needed to catch it at it."""

    box: Box
    commands: Commands
    gate: Gate
    place: Place
    environment: dict[str, str]
    next_id: int = ROWS + 1

    @property
    def table(self) -> str:
        return self.place.table

    def begin(self) -> Call:
        return self.commands.start("-t", self.table, environment=self.environment)

    def synced(self, why: str) -> None:
        """The same sync again comes through, and everything is as it must be."""
        self.commands.sync("-t", self.table, environment=self.environment)
        assert_equal(self.box, self.table, key=("id",), why=why)
        ledger.check(self.place, why=why)

    def changed(self) -> None:
        """Rows changed, added and, where that can be seen, removed."""
        first, self.next_id = self.next_id, self.next_id + 500
        statements = [
            f"UPDATE {self.table} SET revision = revision + 1, name = 'é' WHERE id % 3 = 0",
            fill(self.table, first, first + 499),
        ]
        if self.place.table.endswith(".whole"):
            statements.append(f"DELETE FROM {self.table} WHERE id % 997 = {first % 997}")
        for statement in statements:
            mysql(self.box.mysql.url, statement)

    def source_print(self) -> tuple[int, int]:
        return tuple(map(int, mysql(self.box.mysql.url, f"SELECT {_PRINT} FROM {self.table}")[0]))

    def target_print(self) -> tuple[int, int]:
        return tuple(
            map(int, redshift(self.box.redshift.url, f"SELECT {_PRINT} FROM {self.table}")[0])
        )


_PRINT = "COUNT(*), COALESCE(SUM(id * (revision + 1)), 0)"


def fill(table: str, first: int, last: int) -> str:
    database = table.partition(".")[0]
    names = "id, revision, name, amount, weight, ratio, born, at, note, kind, flags, raw, big"
    return (
        f"INSERT INTO {table} ({names}) SELECT {MADE}"
        f" FROM (SELECT seq AS n FROM {database}.seq_{first}_to_{last}) AS numbers"
    )


def ddl(table: str) -> str:
    """`merged` is found by its server-set stamp, `whole` has none that tells of changes."""
    if table.endswith(".whole"):
        return f"CREATE TABLE {table} ({COLUMNS}, made {STAMP}) CHARSET=utf8mb4"
    stamp = f"changed {STAMP} ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed)"
    return f"CREATE TABLE {table} ({COLUMNS}, {stamp}) CHARSET=utf8mb4"


@pytest.fixture(scope="module")
def commands(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("kills")
    commands = Commands(folder, {**box.environment, "XDG_CACHE_HOME": str(folder)})
    yield commands
    commands.stop()


@pytest.fixture(scope="module")
def gate(box: Box) -> Iterator[Gate]:
    with Gate(box.s3.url) as gate:
        yield gate


@contextlib.contextmanager
def home(box: Box) -> Iterator[str]:
    """A database at the source, and the schema of the same name that the syncs make."""
    name = f"t_{secrets.token_hex(6)}"
    mysql(box.mysql.url, f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        mysql(box.mysql.url, f"DROP DATABASE {name}")
        redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture(scope="module", params=["merged", "whole"])
def town(
    request: pytest.FixtureRequest,
    box: Box,
    commands: Commands,
    gate: Gate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Town]:
    environment = config(box, tmp_path_factory.mktemp("gated"), s3={"endpoint": gate.url})
    with home(box) as database:
        table = f"{database}.{request.param}"
        mysql(box.mysql.url, fill(table, 1, ROWS), script=(ddl(table),))
        town = Town(box, commands, gate, Place(box, table), environment)
        town.synced("first sync")
        yield town


@dataclass(frozen=True)
class Moment:
    """A step to be killed in.

    `armed` stops the process there and says whether it has come; `met` says whether what is seen
    from outside, before and now, is that situation; `loaded`: the rows are in the target by then.
    """

    name: str
    armed: Callable[[Town, Sight], contextlib.AbstractContextManager[Callable[[], bool]]]
    met: Callable[[Sight, Sight], bool]
    loaded: bool = False


def requests(wanted: Callable[[Request, Sight], bool], *, answered: bool = False) -> Any:
    """Stopped at the first request to S3 that is wanted."""

    @contextlib.contextmanager
    def armed(town: Town, before: Sight) -> Iterator[Callable[[], bool]]:
        home = town.place.layout.home
        with town.gate.holding(
            lambda request: home in request.path and wanted(request, before), answered=answered
        ) as hold:
            yield lambda: hold.reached

    return armed


def state_of(request: Request) -> dict[str, Any] | None:
    """The state that a request would write; None for any other request."""
    if request.method != "PUT" or not request.path.endswith("/state.json"):
        return None
    found: dict[str, Any] = json.loads(request.body)
    return found


def claims(request: Request, before: Sight) -> bool:
    state = state_of(request)
    return state is not None and state["epoch"] > before.epoch


def commits(request: Request, before: Sight) -> bool:
    state = state_of(request)
    return state is not None and state["last_batch"] != before.last_batch


def releases(request: Request, before: Sight) -> bool:
    state = state_of(request)
    return state is not None and state["claim"]["released"] and commits(request, before)


def settles(request: Request, before: Sight) -> bool:
    state = state_of(request)
    return state is not None and not state["pending"] and commits(request, before)


@contextlib.contextmanager
def source_locked(town: Town, _: Sight) -> Iterator[Callable[[], bool]]:
    """The table can't be read: stopped in its plan, with a connection to MySQL open."""
    with pymysql_to(town.box) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {town.table} WRITE")

        def waits() -> bool:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist"
                f" WHERE state LIKE 'Waiting for table%' AND info LIKE '%{town.table[:14]}%'"
            )
            return cursor.fetchone() != (0,)

        yield waits


@contextlib.contextmanager
def target_locked(town: Town, _: Sight) -> Iterator[Callable[[], bool]]:
    """The target can't be changed: stopped in the load, inside its transaction."""
    with psycopg.connect(town.box.redshift.url) as connection:
        connection.execute(f"LOCK {town.table}".encode())
        pid = connection.info.backend_pid

        def waits() -> bool:
            return bool(
                redshift(
                    town.box.redshift.url,
                    "SELECT 1 FROM svv_transactions WHERE NOT granted"
                    f" AND pid <> {pid} AND relation = '{town.table}'::regclass::oid",
                )
            )

        yield waits
        connection.rollback()


@contextlib.contextmanager
def pymysql_to(box: Box) -> Iterator[pymysql.Connection[Any]]:
    server = box.mysql
    with pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        autocommit=True,
    ) as connection:
        yield connection


def untouched(before: Sight, now: Sight) -> bool:
    return (now.state, now.batches, now.uploads, now.lines) == (
        before.state,
        before.batches,
        before.uploads,
        before.lines,
    )


def attempt(before: Sight, now: Sight) -> set[str]:
    """The files of the one attempt that was not there before."""
    new = [files for folder, files in now.batches.items() if folder not in before.batches]
    assert len(new) <= 1
    return new[0] if new else set()


def uncommitted(before: Sight, now: Sight) -> bool:
    return now.epoch == before.epoch + 1 and (now.last_batch, now.pending) == (
        before.last_batch,
        [],
    )


def committed(before: Sight, now: Sight) -> bool:
    return now.last_batch != before.last_batch and now.pending == [now.last_batch]


def claimed(before: Sight, now: Sight) -> bool:
    return uncommitted(before, now) and not attempt(before, now) and now.uploads == before.uploads


def uploading(before: Sight, now: Sight) -> bool:
    opened = len(now.uploads) - len(before.uploads)
    return uncommitted(before, now) and opened == 1 and not attempt(before, now)


def uploaded(before: Sight, now: Sight) -> bool:
    return uncommitted(before, now) and attempt(before, now) == {"part-00000.parquet"}


def half_sealed(before: Sight, now: Sight) -> bool:
    files = {"part-00000.parquet", "copy.manifest"}
    return uncommitted(before, now) and attempt(before, now) == files


def sealed(before: Sight, now: Sight) -> bool:
    files = {"part-00000.parquet", "copy.manifest", "batch.json"}
    return uncommitted(before, now) and attempt(before, now) == files


def pending(before: Sight, now: Sight) -> bool:
    return committed(before, now) and now.lines == before.lines and not now.held


def loading(before: Sight, now: Sight) -> bool:
    return committed(before, now) and now.lines == before.lines and now.held


def loaded(before: Sight, now: Sight) -> bool:
    return committed(before, now) and now.lines == [*before.lines, now.last_batch]


def settled(before: Sight, now: Sight) -> bool:
    fresh = now.last_batch != before.last_batch
    return fresh and not now.pending and now.lines == [*before.lines, now.last_batch]


def part(request: Request, _: Sight) -> bool:
    return request.method == "PUT" and "partNumber=" in request.query


def completion(request: Request, _: Sight) -> bool:
    return request.method == "POST" and "uploadId=" in request.query


def named(name: str) -> Callable[[Request, Sight], bool]:
    return lambda request, _: request.method == "PUT" and request.path.endswith(name)


MOMENTS = (
    Moment("in the plan", source_locked, untouched),
    Moment("before the claim", requests(claims), untouched),
    Moment("the claim's answer lost", requests(claims, answered=True), claimed),
    Moment("in mid-upload", requests(part), uploading),
    Moment("the file's answer lost", requests(completion, answered=True), uploaded),
    Moment("before batch.json", requests(named("/batch.json")), half_sealed),
    Moment("batch.json there, state not", requests(commits), sealed),
    Moment("the commit's answer lost", requests(commits, answered=True), pending),
    Moment("before the load", requests(releases, answered=True), pending),
    Moment("in mid-load", target_locked, loading),
    Moment("loaded, not settled", requests(settles), loaded, loaded=True),
    Moment("settled, answer lost", requests(settles, answered=True), settled, loaded=True),
)


def caught(town: Town, moment: Moment) -> None:
    """Kill a sync in that moment, having seen that it is that moment."""
    before = ledger.look(town.place)
    with moment.armed(town, before) as come:
        call = town.begin()
        until(lambda: come() or call.poll() is not None, f"{moment.name} has come")
        assert call.poll() is None, f"ended before {moment.name}:\n{call.told[-2000:]}"
        now = ledger.look(town.place)
        assert moment.met(before, now), f"not {moment.name}: {before}\n{now}"
        call.killed()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name.replace(" ", "-"))
def test_a_sync_killed_at_any_step_is_made_good_by_the_next(town: Town, moment: Moment) -> None:
    held = town.target_print()
    town.changed()
    changed = town.source_print()
    caught(town, moment)
    assert town.target_print() == (changed if moment.loaded else held)
    town.synced(moment.name)


def test_a_commit_that_arrives_after_its_sender_was_followed_is_refused(town: Town) -> None:
    town.changed()
    before = ledger.look(town.place)
    home = town.place.layout.home
    with town.gate.holding(lambda r: home in r.path and commits(r, before)) as hold:
        call = town.begin()
        until(lambda: hold.reached or call.poll() is not None, "the commit is sent")
        call.killed()
        town.synced("while the commit is under way")
        now = ledger.state(town.place)
        assert hold.pass_on() == 412
    assert ledger.state(town.place) == now
    town.changed()
    town.synced("after the late commit")


def test_a_commit_that_arrives_after_its_sender_died_counts(town: Town) -> None:
    town.changed()
    before = ledger.look(town.place)
    home = town.place.layout.home
    with town.gate.holding(lambda r: home in r.path and commits(r, before)) as hold:
        call = town.begin()
        until(lambda: hold.reached or call.poll() is not None, "the commit is sent")
        call.killed()
        assert hold.pass_on() == 200
    assert pending(before, ledger.look(town.place))
    town.synced("after the late commit")


def test_killed_at_random_while_others_write_nothing_is_lost_or_doubled(
    box: Box, commands: Commands
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - told by pytest when it fails
    dice = random.Random(seed)
    with home(box) as database:
        tables = [f"{database}.merged", f"{database}.whole"]
        for table in tables:
            mysql(box.mysql.url, fill(table, 1, 2_000), script=(ddl(table),))
        kills = 0
        asked = [part for table in tables for part in ("-t", table)]
        with writing(box, tables, seed):
            for _ in range(13):
                call = commands.start(*asked)
                time.sleep(dice.uniform(0.1, 2.2))
                kills += call.killed_if_running()
                assert call.code in (0, -9), f"seed {seed}:\n{call.told[-3000:]}"
        commands.sync(*asked)
        for table in tables:
            assert_equal(box, table, key=("id",), why=f"seed {seed}")
            ledger.check(Place(box, table), why=f"seed {seed}")
    assert kills >= 6, f"only {kills} of 13 were killed in time, seed {seed}"


@contextlib.contextmanager
def writing(box: Box, tables: list[str], seed: int) -> Iterator[None]:
    """Two applications that insert and update all the time; they must have come to something."""
    dice = random.Random(seed + 1)

    def insert(table: str, number: int) -> str:
        return fill(table, 10_000 + 20 * number, 10_019 + 20 * number)

    def update(table: str, _: int) -> str:
        low = dice.randrange(1, 2_000)
        return (
            f"UPDATE {table} SET revision = revision + 1, amount = revision"
            f" WHERE id BETWEEN {low} AND {low + 30}"
        )

    stop = threading.Event()
    writers = [Writer(box, tables, made, stop) for made in (insert, update)]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [writer.failed for writer in writers] == [None, None]
    assert min(writer.number for writer in writers) > 50


class Writer(threading.Thread):
    """An application: one statement after the other, each its own transaction."""

    def __init__(
        self,
        box: Box,
        tables: list[str],
        made: Callable[[str, int], str],
        stop: threading.Event,
    ) -> None:
        super().__init__()
        self.box, self.tables, self.made, self.told_to_stop = box, tables, made, stop
        self.number = 0
        self.failed: pymysql.Error | None = None

    def run(self) -> None:
        try:
            with pymysql_to(self.box) as connection, connection.cursor() as cursor:
                while not self.told_to_stop.wait(0.02):
                    for table in self.tables:
                        cursor.execute(self.made(table, self.number))
                    self.number += 1
        except pymysql.Error as error:
            self.failed = error
