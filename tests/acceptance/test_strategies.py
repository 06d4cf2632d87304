"""Each strategy and each way to apply, from a real table to its target, as a pipeline asks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async import service
from s3rs_async.config import Pipeline, load_connections
from s3rs_async.config.tables import Entry
from s3rs_async.errors import ConfigError
from s3rs_async.model import CursorFormat, Mode, Strategy, TableKeys, TableName, TableSpec
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql, redshift
from tests.acceptance.ledger import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s3rs_async.sandbox import Box

    Asked = Mapping[str, Mapping[str, Any]]
    """What differs from the defaults, by table."""

STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
LONG_AGO = "'2024-03-31 01:30:00' + INTERVAL {} SECOND"
BEHIND = 3.6
"""Seconds after which a row lies below the bound of a pass on an idle server."""


@dataclass
class Way:
    """One table `a`, or several side by side, and how they are asked for."""

    box: Box
    name: str

    @property
    def table(self) -> str:
        return f"{self.name}.a"

    def place(self, table: str) -> Place:
        return Place(self.box, f"{self.name}.{table}")

    def run(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        script = ("SET time_zone = '+00:00'", f"USE {self.name}", *statements[:-1])
        return mysql(self.box.mysql.url, statements[-1], script=script)

    def sync(self, limit: int | None = None, **asked: Any) -> int:
        """One pass; the rows that it read."""
        meter = self.report(limit, **asked)
        ledger.check(Place(self.box, self.table))
        return meter.rows_read  # type: ignore[no-any-return]

    def report(self, limit: int | None = None, **asked: Any) -> Any:
        return self.reports({"a": asked}, limit)["a"]

    def together(self, asked: Asked, limit: int | None = None) -> dict[str, int]:
        """One pass over each of several tables, in one run; the rows that it read of each."""
        meters = self.reports(asked, limit)
        for table in asked:
            ledger.check(self.place(table))
        return {table: meters[table].rows_read for table in asked}

    def reports(self, asked: Asked, limit: int | None = None) -> dict[str, Any]:
        connections = load_connections(self.box.config, {})
        ends = self.place("a")
        entries = tuple(
            Entry(TableSpec(TableName(self.name, table), **how), every=60.0)
            for table, how in asked.items()
        )
        name = f"adhoc.{ends.source}.{ends.target}"
        pipeline = Pipeline(name, ends.source, ends.target, entries, Path("a.yml"))
        end = asyncio.run(service.sync(connections, service.Ask(pipeline=pipeline, limit=limit)))
        found = {each.table.removeprefix(f"{self.name}."): each for each in end.report.tables}
        for table, each in found.items():
            if each.error is not None:
                each.error.add_note(f"of table {table}")
                raise each.error
        assert found.keys() == asked.keys()
        return {table: each.meter for table, each in found.items()}

    def target(self, columns: str, table: str = "a") -> list[tuple[Any, ...]]:
        place = f"{self.name}.{table}"
        return redshift(self.box.redshift.url, f"SELECT {columns} FROM {place} ORDER BY 1, 2")

    def equal(self, table: str = "a") -> int:
        return assert_equal(self.box, f"{self.name}.{table}")

    def all_equal(self, tables: Iterable[str]) -> dict[str, int]:
        return {table: self.equal(table) for table in tables}


@pytest.fixture
def way(box: Box, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    yield Way(box, database)
    redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


def test_rows_read_by_time_are_merged_and_rows_of_one_tick_are_all_there(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, grp INT NOT NULL, t DATETIME NOT NULL, KEY (t))",
        f"INSERT INTO a SELECT seq, seq % 3, {LONG_AGO.format('seq DIV 9')} FROM seq_1_to_25",
    )
    asked = {"strategy": Strategy.TIMESTAMP_ONLY, "cursor": "t", "id": "grp"}
    assert [way.sync(11, **asked) for _ in range(4)] == [11, 11, 3, 0]
    assert way.equal() == 25
    way.run("UPDATE a SET grp = 7, t = NOW() WHERE id = 5")
    assert way.sync(**asked) == 1
    assert way.equal() == 25


def test_appended_rows_arrive_once_and_a_change_is_another_row(way: Way) -> None:
    way.run(
        f"CREATE TABLE a (id INT PRIMARY KEY, v INT, u {STAMP}, KEY (u))",
        f"INSERT INTO a SELECT seq, 0, {LONG_AGO.format('seq DIV 9')} FROM seq_1_to_25",
    )
    asked = {"strategy": Strategy.TIMESTAMP_ONLY, "mode": Mode.APPEND}
    assert [way.sync(11, **asked) for _ in range(4)] == [11, 11, 3, 0]
    assert way.equal() == 25
    way.run("UPDATE a SET v = 1 WHERE id = 5")
    assert way.sync(**asked) == 0, "what is newer than the bound waits"
    time.sleep(BEHIND)
    assert [way.sync(**asked) for _ in range(2)] == [1, 0]
    assert way.target("count(*), count(DISTINCT id)") == [(26, 25)]
    assert (5, 0) in way.target("id, v")
    assert (5, 1) in way.target("id, v")


IDS = {
    "numbers": ("INT AUTO_INCREMENT PRIMARY KEY", "{}"),
    "decimals": ("DECIMAL(30, 2) PRIMARY KEY", "{} * 0.25"),
    "big_numbers": ("BIGINT UNSIGNED PRIMARY KEY", "18446744073709551000 + {}"),
    "texts": (
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
        "CONCAT(IF({0} % 2, 'k', 'K'), LPAD({0}, 5, '0'))",
    ),
    "dates": ("DATE PRIMARY KEY", "'1999-12-31' + INTERVAL {} DAY"),
}


def test_ids_are_read_once_each_in_the_servers_order(way: Way) -> None:
    asked = {kind: {"strategy": Strategy.ID_ONLY} for kind in IDS}

    def insert(first: int, last: int) -> None:
        for kind, (_, made) in IDS.items():
            rows = f"SELECT {made.format('seq')}, seq FROM seq_{first}_to_{last}"
            way.run(f"INSERT INTO {kind} {rows}")

    for kind, (column, _) in IDS.items():
        way.run(f"CREATE TABLE {kind} (k {column}, v INT)")
    insert(1, 25)
    for count in (11, 11, 3, 0):
        assert way.together(asked, limit=11) == dict.fromkeys(IDS, count)
    insert(26, 30)
    for count in (5, 0):
        assert way.together(asked) == dict.fromkeys(IDS, count)
    assert way.all_equal(IDS) == dict.fromkeys(IDS, 30)
    for kind in IDS:
        way.run(f"UPDATE {kind} SET v = -1 WHERE v = 3")
    assert way.together(asked) == dict.fromkeys(IDS, 0)
    for kind in IDS:
        assert (3, 3) in way.target("v, v", kind), kind


def test_ids_of_an_empty_table_and_merged_ones(way: Way) -> None:
    way.run("CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    asked = {"id": "id", "mode": Mode.MERGE}
    assert way.report(**asked).rows_read == 0
    way.run("INSERT INTO a (v) VALUES (1), (2)")
    assert way.sync(**asked) == 2
    assert way.equal() == 2


UNITS = {
    "seconds": (CursorFormat.UNIX, 1, "INT UNSIGNED"),
    "milliseconds": (CursorFormat.UNIX_MS, 1000, "BIGINT"),
    "decimals": (CursorFormat.UNIX_MS, 1000, "DECIMAL(20, 0)"),
}


def test_seconds_and_milliseconds_since_1970_find_what_changed(way: Way) -> None:
    asked = {name: {"cursor": "t", "format": kind} for name, (kind, _, _) in UNITS.items()}
    for name, (_, unit, cursor) in UNITS.items():
        turn = 1_000_000_000 * unit  # one digit more than the numbers below
        way.run(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v INT, t {cursor} NOT NULL, KEY (t))",
            f"INSERT INTO {name} SELECT seq, 0, {turn} - 13 + seq DIV 2 FROM seq_1_to_40",
        )
    for count in (25, 15, 0):
        assert way.together(asked, limit=25) == dict.fromkeys(UNITS, count)
    for name, (_, unit, _) in UNITS.items():
        now = f"FLOOR(UNIX_TIMESTAMP(NOW(6)) * {unit})"
        way.run(f"UPDATE {name} SET v = 1, t = {now} WHERE id % 10 = 0")
    assert way.together(asked) == dict.fromkeys(UNITS, 4)
    assert way.all_equal(UNITS) == dict.fromkeys(UNITS, 40)
    time.sleep(BEHIND)
    way.together(asked)
    assert way.together(asked) == dict.fromkeys(UNITS, 0)
    assert way.all_equal(UNITS) == dict.fromkeys(UNITS, 40)


def test_a_whole_number_that_counts_in_another_unit_is_refused(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, t BIGINT NOT NULL, KEY (t))",
        "INSERT INTO a VALUES (1, UNIX_TIMESTAMP() * 1000)",
    )
    with pytest.raises(ConfigError) as caught:
        way.report(cursor="t", format=CursorFormat.UNIX)
    assert "timestamp_format" in caught.value.hint


def test_a_late_row_is_found_by_looking_back_and_only_then(way: Way) -> None:
    seconds = {"forward": 0.0, "back": 3600.0}
    asked = {table: {"cursor": "t", "lookback": each} for table, each in seconds.items()}
    for table in asked:
        way.run(
            f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT, t DATETIME(3) NOT NULL, KEY (t))",
            f"INSERT INTO {table} SELECT seq, 0, {LONG_AGO.format('seq * 60')} FROM seq_1_to_100",
        )
    assert way.together(asked, limit=100) == dict.fromkeys(asked, 100)
    before = {table: ledger.position(way.place(table)) for table in asked}
    assert [at["key"] for at in before.values()] == [["100"]] * 2
    late, too_late = LONG_AGO.format("50 * 60"), LONG_AGO.format("30 * 60")
    for table in asked:
        way.run(f"INSERT INTO {table} VALUES (200, 0, {late}), (201, 0, {too_late})")
    read = {table: meter.rows_read for table, meter in way.reports(asked).items()}
    assert read == {"forward": 0, "back": 62}
    for table, lookback in seconds.items():
        found = {key for key, _ in way.target("id, v", table)}
        assert (200 in found, 201 in found) == (bool(lookback), False), table
        assert ledger.position(way.place(table))["cursor"] > before[table]["cursor"], table


def test_a_look_back_goes_from_a_number_as_well_and_loads_again_without_harm(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT, t BIGINT NOT NULL, KEY (t))",
        "INSERT INTO a SELECT seq, 0, UNIX_TIMESTAMP() - 100 + seq FROM seq_1_to_90",
    )
    asked = {"cursor": "t", "format": CursorFormat.UNIX, "lookback": 50.0}
    assert way.sync(**asked) == 90
    way.run("UPDATE a SET v = 1 WHERE id = 80")
    positions = []
    for _ in range(2):
        assert 0 < way.sync(**asked) < 60
        assert way.equal() == 90
        positions.append(int(ledger.position(Place(way.box, way.table))["cursor"]))
    assert positions == sorted(positions)


def test_a_whole_table_that_is_merged_keeps_what_the_source_has_deleted(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT seq, 0 FROM seq_1_to_5",
    )
    asked = {"strategy": Strategy.FULL_SYNC, "mode": Mode.MERGE}
    assert way.sync(**asked) == 5
    way.run("DELETE FROM a WHERE id = 1", "UPDATE a SET v = 1 WHERE id = 2")
    assert way.sync(**asked) == 4
    assert way.target("id, v") == [(1, 0), (2, 1), (3, 0), (4, 0), (5, 0)]


def test_the_first_of_several_cursors_that_is_set_finds_each_change(way: Way) -> None:
    stamp = "DATETIME(3) NULL DEFAULT {} ON UPDATE CURRENT_TIMESTAMP(3)".format
    made = "DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3)"
    tables = {"merged": Mode.MERGE, "appended": Mode.APPEND}
    for table in tables:
        way.run(
            f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, v INT, c {made},"
            f" u {stamp('NULL')})",
            f"INSERT INTO {table} (v, c) SELECT seq, {LONG_AGO.format('seq DIV 4')}"
            " FROM seq_1_to_20",
            f"UPDATE {table} SET v = -v, u = {LONG_AGO.format('100 + id DIV 3')} WHERE id < 9",
            f"INSERT INTO {table} (v, c, u) VALUES (99, NULL, NULL)",
        )
    asked = {
        table: {"cursor": "u", "cursor_else": ("c",), "mode": mode}
        for table, mode in tables.items()
    }
    time.sleep(BEHIND)
    read = [way.together(asked, limit=6) for _ in range(5)]
    assert sum(each["appended"] for each in read) == 21
    assert way.all_equal(tables) == dict.fromkeys(tables, 21)
    assert way.together(asked)["appended"] == 0
    for table in tables:
        way.run(
            f"UPDATE {table} SET v = 7 WHERE id IN (3, 15)", f"INSERT INTO {table} (v) VALUES (8)"
        )
    assert way.together(asked)["merged"] == 3
    assert way.equal("merged") == 22
    time.sleep(BEHIND)
    assert way.together(asked)["appended"] == 3
    assert way.target("count(*), count(DISTINCT id)", "appended") == [(24, 22)]
    assert way.together(asked) == {"merged": 0, "appended": 0}


def test_copies_of_a_table_are_appended_each_with_its_time(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT seq, 0 FROM seq_1_to_5",
    )
    asked = {"strategy": Strategy.FULL_SYNC, "mode": Mode.APPEND, "copy_column": "Copied"}
    moments = []
    for read in (5, 4, 0):
        ((before,),) = way.run("SELECT UTC_TIMESTAMP(6)")
        assert way.sync(**asked) == read
        moments.append((before, *way.run("SELECT UTC_TIMESTAMP(6)")[0]))
        way.run("UPDATE a SET v = v + 1", "DELETE FROM a WHERE id = 1 OR v = 2")
    first, second = sorted({copied for copied, _ in way.target("copied, id")})
    assert moments[0][0] <= first <= moments[0][1]
    assert moments[1][0] <= second <= moments[1][1]
    old, new = [(first, key, 0) for key in range(1, 6)], [(second, key, 1) for key in range(2, 6)]
    assert way.target("copied, id, v") == [*old, *new]


def test_a_part_of_a_table_is_no_copy(way: Way) -> None:
    way.run("CREATE TABLE a (id INT PRIMARY KEY, v INT)", "INSERT INTO a VALUES (1, 1), (2, 2)")
    asked = {"strategy": Strategy.FULL_SYNC, "mode": Mode.APPEND, "copy_column": "copied"}
    with pytest.raises(ConfigError, match="as if it were a copy"):
        way.report(1, **asked)
    assert way.sync(**asked) == 2


CONDITION = "region = 'it''s -- one' OR v > 5"


PAGED: dict[str, dict[str, Any]] = {
    "merged": {"cursor": "t"},
    "appended": {"cursor": "t", "mode": Mode.APPEND},
    "by_id": {"strategy": Strategy.ID_ONLY},
}


def test_a_condition_holds_in_every_page(way: Way) -> None:
    paged = {table: {"where": CONDITION, **how} for table, how in PAGED.items()}
    whole = {"whole": {"where": CONDITION, "strategy": Strategy.FULL_SYNC}}
    both = {**paged, **whole}
    for table in both:
        way.run(
            f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, v INT, region VARCHAR(20),"
            " t DATETIME NOT NULL, KEY (t))",
            f"INSERT INTO {table} SELECT seq, seq % 10, IF(seq % 10 = 1, 'it''s -- one', 'two'),"
            f" {LONG_AGO.format('seq DIV 4')} FROM seq_1_to_24",
        )
    matching = list(way.run(f"SELECT id, v FROM whole WHERE {CONDITION} ORDER BY 1"))
    assert len(matching) > 10
    while any(way.together(paged, limit=5).values()):
        pass
    way.together(whole)
    for table in both:
        assert way.target("id, v", table) == matching, table
        way.run(f"UPDATE {table} SET v = 0, region = 'two'")
    way.together(both)
    held = {table: len(way.target("id, v", table)) for table in both}
    assert held == {**dict.fromkeys(paged, len(matching)), "whole": 0}


def test_a_target_is_made_with_its_keys(way: Way) -> None:
    way.run(
        "CREATE TABLE a (Id INT PRIMARY KEY, Region INT, t DATETIME NOT NULL, KEY (t))",
        "INSERT INTO a VALUES (1, 2, '2024-01-01')",
    )
    assert way.sync(cursor="t", keys=TableKeys("REGION", ("t", "id"))) == 1
    shown = redshift(
        way.box.redshift.url,
        "SELECT i.diststyle, i.sortkey1, i.sortkey_num FROM svv_table_info i"
        f" WHERE i.schema = '{way.name}'",
    )
    assert shown == [("KEY(region)", "t", 2)]


def test_a_change_of_the_way_to_read_is_refused_while_a_position_is_there(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, t DATETIME NOT NULL, KEY (t))",
        "INSERT INTO a (t) VALUES ('2024-01-01')",
    )
    way.sync(strategy=Strategy.ID_ONLY)
    with pytest.raises(ConfigError, match="does not fit"):
        way.report(cursor="t")
    assert way.target("id, id") == [(1, 1)]


def test_a_limited_pass_that_looks_back_still_comes_forward(way: Way) -> None:
    way.run(
        f"CREATE TABLE a (id INT PRIMARY KEY, changed {STAMP}, KEY (changed))",
        "INSERT INTO a (id, changed) SELECT seq, NOW(6) - INTERVAL 60 - seq SECOND FROM seq_1_to_9",
    )
    asked = {"lookback": 600.0, "mode": Mode.MERGE}
    for _ in range(8):
        way.sync(limit=2, **asked)
    assert way.equal() == 9


def test_a_whole_table_is_not_appended_to_what_another_way_has_loaded(way: Way) -> None:
    way.run("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT)", "INSERT INTO a VALUES (1), (2)")
    way.sync(strategy=Strategy.FULL_SYNC)
    with pytest.raises(ConfigError, match="would be appended to what the target holds") as told:
        way.sync(strategy=Strategy.ID_ONLY)
    assert "cdc_strategy" in told.value.hint
    assert way.equal() == 2
