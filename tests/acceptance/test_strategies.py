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
    from collections.abc import Iterator

    from s3rs_async.sandbox import Box

STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
LONG_AGO = "'2024-03-31 01:30:00' + INTERVAL {} SECOND"
BEHIND = 3.6
"""Seconds after which a row lies below the bound of a pass on an idle server."""


@dataclass
class Way:
    """One table `a`, and how it is asked for."""

    box: Box
    name: str

    @property
    def table(self) -> str:
        return f"{self.name}.a"

    def run(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        script = ("SET time_zone = '+00:00'", f"USE {self.name}", *statements[:-1])
        return mysql(self.box.mysql.url, statements[-1], script=script)

    def sync(self, limit: int | None = None, **asked: Any) -> int:
        """One pass; the rows that it read."""
        meter = self.report(limit, **asked)
        ledger.check(Place(self.box, self.table))
        return meter.rows_read  # type: ignore[no-any-return]

    def report(self, limit: int | None = None, **asked: Any) -> Any:
        connections = load_connections(self.box.config, {})
        ends = Place(self.box, self.table)
        entry = Entry(TableSpec(TableName(self.name, "a"), **asked), every=60.0)
        name = f"adhoc.{ends.source}.{ends.target}"
        pipeline = Pipeline(name, ends.source, ends.target, (entry,), Path("a.yml"))
        end = asyncio.run(service.sync(connections, service.Ask(pipeline=pipeline, limit=limit)))
        (table,) = end.report.tables
        if table.error is not None:
            raise table.error
        return table.meter

    def target(self, columns: str) -> list[tuple[Any, ...]]:
        return redshift(self.box.redshift.url, f"SELECT {columns} FROM {self.table} ORDER BY 1, 2")

    def equal(self) -> int:
        return assert_equal(self.box, self.table)


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
    "big numbers": ("BIGINT UNSIGNED PRIMARY KEY", "18446744073709551000 + {}"),
    "texts": (
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
        "CONCAT(IF({0} % 2, 'k', 'K'), LPAD({0}, 5, '0'))",
    ),
    "dates": ("DATE PRIMARY KEY", "'1999-12-31' + INTERVAL {} DAY"),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_are_read_once_each_in_the_servers_order(kind: str, way: Way) -> None:
    column, made = IDS[kind]
    insert = f"INSERT INTO a SELECT {made.format('seq')}, seq FROM seq_{{}}_to_{{}}"
    way.run(f"CREATE TABLE a (k {column}, v INT)", insert.format(1, 25))
    assert [way.sync(11, strategy=Strategy.ID_ONLY) for _ in range(4)] == [11, 11, 3, 0]
    way.run(insert.format(26, 30))
    assert [way.sync(strategy=Strategy.ID_ONLY) for _ in range(2)] == [5, 0]
    assert way.equal() == 30
    way.run("UPDATE a SET v = -1 WHERE v = 3")
    assert way.sync(strategy=Strategy.ID_ONLY) == 0
    assert (3, 3) in way.target("v, v")


def test_ids_of_an_empty_table_and_merged_ones(way: Way) -> None:
    way.run("CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    asked = {"id": "id", "mode": Mode.MERGE}
    assert way.report(**asked).rows_read == 0
    way.run("INSERT INTO a (v) VALUES (1), (2)")
    assert way.sync(**asked) == 2
    assert way.equal() == 2


@pytest.mark.parametrize(
    ("kind", "unit", "cursor"),
    [
        (CursorFormat.UNIX, 1, "INT UNSIGNED"),
        (CursorFormat.UNIX_MS, 1000, "BIGINT"),
        (CursorFormat.UNIX_MS, 1000, "DECIMAL(20, 0)"),
    ],
)
def test_seconds_and_milliseconds_since_1970_find_what_changed(
    kind: CursorFormat, unit: int, cursor: str, way: Way
) -> None:
    turn = 1_000_000_000 * unit  # one digit more than the numbers below
    way.run(
        f"CREATE TABLE a (id INT PRIMARY KEY, v INT, t {cursor} NOT NULL, KEY (t))",
        f"INSERT INTO a SELECT seq, 0, {turn} - 13 + seq DIV 2 FROM seq_1_to_40",
    )
    asked = {"cursor": "t", "format": kind}
    assert [way.sync(25, **asked) for _ in range(3)] == [25, 15, 0]
    now = f"FLOOR(UNIX_TIMESTAMP(NOW(6)) * {unit})"
    way.run(f"UPDATE a SET v = 1, t = {now} WHERE id % 10 = 0")
    assert way.sync(**asked) == 4
    assert way.equal() == 40
    time.sleep(BEHIND)
    way.sync(**asked)
    assert way.sync(**asked) == 0
    assert way.equal() == 40


def test_a_whole_number_that_counts_in_another_unit_is_refused(way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, t BIGINT NOT NULL, KEY (t))",
        "INSERT INTO a VALUES (1, UNIX_TIMESTAMP() * 1000)",
    )
    with pytest.raises(ConfigError) as caught:
        way.report(cursor="t", format=CursorFormat.UNIX)
    assert "timestamp_format" in caught.value.hint


@pytest.mark.parametrize("lookback", [0.0, 3600.0])
def test_a_late_row_is_found_by_looking_back_and_only_then(lookback: float, way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT, t DATETIME(3) NOT NULL, KEY (t))",
        f"INSERT INTO a SELECT seq, 0, {LONG_AGO.format('seq * 60')} FROM seq_1_to_100",
    )
    asked = {"cursor": "t", "lookback": lookback}
    assert way.sync(100, **asked) == 100
    before = ledger.position(Place(way.box, way.table))
    assert before["key"] == ["100"]
    late, too_late = LONG_AGO.format("50 * 60"), LONG_AGO.format("30 * 60")
    way.run(f"INSERT INTO a VALUES (200, 0, {late}), (201, 0, {too_late})")
    assert way.report(**asked).rows_read == (62 if lookback else 0)
    found = {key for key, _ in way.target("id, v")}
    assert (200 in found, 201 in found) == (bool(lookback), False)
    assert ledger.position(Place(way.box, way.table))["cursor"] > before["cursor"]


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


CONDITION = "region = 'it''s -- one' OR v > 5"


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"strategy": Strategy.FULL_SYNC}, 12),
        ({"cursor": "t"}, 12),
        ({"cursor": "t", "mode": Mode.APPEND}, 12),
        ({"strategy": Strategy.ID_ONLY}, 12),
    ],
)
def test_a_condition_holds_in_every_page(asked: dict[str, Any], wanted: int, way: Way) -> None:
    way.run(
        "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT, region VARCHAR(20),"
        " t DATETIME NOT NULL, KEY (t))",
        "INSERT INTO a SELECT seq, seq % 10, IF(seq % 10 = 1, 'it''s -- one', 'two'),"
        f" {LONG_AGO.format('seq DIV 4')} FROM seq_1_to_24",
    )
    matching = way.run(f"SELECT id, v FROM a WHERE {CONDITION} ORDER BY 1")
    limit = None if asked.get("strategy") is Strategy.FULL_SYNC else 5
    while way.sync(limit, where=CONDITION, **asked) and limit:
        pass
    assert way.target("id, v") == list(matching)
    assert len(matching) > wanted - 2
    way.run("UPDATE a SET v = 0, region = 'two'")
    way.sync(where=CONDITION, **asked)
    held = 0 if limit is None else len(matching)
    assert len(way.target("id, v")) == held


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
