"""What a server says of a statement, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.model import Bound, Position, Proof, Strategy, TableName, TableSpec
from s3rs_async.mysql.care import (
    FEW_ROWS,
    Access,
    Explained,
    Fault,
    Statement,
    judge,
    mend,
    refusal,
    warnings,
)
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.explain import statements
from s3rs_async.mysql.table import SourceColumn, SourceTable

NAME = TableName("shop", "or`ders")
ID = SourceColumn("id", "int", "int(11)", nullable=False, auto_increment=True)
AT = SourceColumn("at", "datetime", "datetime", nullable=True, own_stamp=True, born_stamped=True)
KIND = SourceColumn("kind", "enum", "enum('a','b')", nullable=False, characters=1, charset="latin1")
BOUND = Bound("2026-01-01 00:00:00", Proof.PROVEN, "2026-01-01T00:00:00", key_to="9")

FIRST = Statement("first", "SELECT 1", begins=True)
LATER = Statement("later", "SELECT 2")
MANY = FEW_ROWS
FILESORT = "Using where; Using filesort"


def plan(
    strategy: Strategy = Strategy.HYBRID,
    *,
    indexed: bool = False,
    key: tuple[str, ...] = ("id",),
    engine: str = "InnoDB",
    spec: TableSpec | None = None,
) -> ReadPlan:
    indexes: tuple[tuple[str, tuple[str | None, ...]], ...] = (("PRIMARY", key),)
    if indexed:
        indexes = (*indexes, ("by_at", ("at",)))
    table = SourceTable(NAME, (ID, AT, KIND), (key,), True, indexes, engine, 7 * MANY)
    return choose(table, replace(spec or TableSpec(NAME), strategy=strategy))


def said(
    statement: Statement, kind: str | None, rows: int = MANY, extra: str = "", key: str = "k"
) -> Explained:
    return Explained(statement, (Access(kind, key, rows, extra),))


def test_what_a_server_says_is_found_by_name_wherever_it_stands() -> None:
    row = {"extra": None, "filtered": "100.00", "rows": "12", "key": "by_at", "type": "range"}

    access = Access.told(row)

    assert access == Access("range", "by_at", 12, "")
    assert str(access) == "range by by_at, about 12 rows"
    assert str(Access(None, None, 0, "No tables used")) == "no tables used"


@pytest.mark.parametrize(
    ("strategy", "explained", "fault"),
    [
        (Strategy.HYBRID, said(FIRST, "index"), None),
        (Strategy.HYBRID, said(FIRST, "ALL"), Fault.SCANS),
        (Strategy.HYBRID, said(FIRST, "ALL", extra=FILESORT), Fault.SORTS),
        (Strategy.HYBRID, said(LATER, "range"), None),
        (Strategy.HYBRID, said(LATER, "range", extra="Using temporary"), Fault.SORTS),
        (Strategy.HYBRID, said(LATER, "ref"), None),
        (Strategy.HYBRID, said(LATER, None), None),
        (Strategy.HYBRID, said(LATER, "index"), Fault.SCANS),
        (Strategy.ID_ONLY, said(LATER, "ALL"), Fault.SCANS),
        (Strategy.FULL_SYNC, said(FIRST, "ALL"), None),
        (Strategy.FULL_SYNC, said(FIRST, "ALL", extra=FILESORT), Fault.SORTS),
        (Strategy.FULL_SYNC, said(LATER, "ALL"), Fault.SCANS),
    ],
)
def test_a_sort_is_a_fault_and_a_scan_where_it_was_not_asked_for(
    strategy: Strategy, explained: Explained, fault: Fault | None
) -> None:
    found = judge(plan(strategy), [explained])
    assert [each.fault for each in found] == ([] if fault is None else [fault])


def test_a_great_table_is_refused_with_the_index_that_mends_it() -> None:
    asked = plan()
    found = judge(asked, [said(FIRST, "ALL", extra=FILESORT), said(LATER, "ALL", 3)])
    error = refusal(asked, found)
    assert error is not None
    assert error.context == {
        "table": str(NAME),
        "strategy": Strategy.HYBRID,
        "statement": "first",
        "rows": MANY,
        "setting": "scans",
    }
    assert "ALTER TABLE `shop`.`or``ders` ADD INDEX (`at`)" in error.hint
    assert "scans: allow" in error.hint


def test_a_small_table_and_one_that_is_allowed_by_name_are_only_told() -> None:
    few = judge(plan(), [said(FIRST, "ALL", MANY - 1, FILESORT)])
    assert refusal(plan(), few) is None
    (told,) = warnings(plan(), few)
    assert told.startswith("first: the server sorts about 99,999 rows: ALTER TABLE ")
    allowed = plan(spec=TableSpec(NAME, may_scan=True))
    many = judge(allowed, [said(FIRST, "ALL", extra=FILESORT)])
    assert refusal(allowed, many) is None
    assert list(warnings(allowed, many))
    assert not list(warnings(allowed, ()))


def test_along_an_index_the_tables_own_size_counts() -> None:
    (found,) = judge(plan(), [said(LATER, "index", 500)])
    assert found.rows == 7 * MANY


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (plan(), "ADD INDEX (`at`)"),
        (plan(engine="MyISAM"), "ADD INDEX (`at`, `id`)"),
        (plan(indexed=True), "ANALYZE TABLE `shop`.`or``ders`"),
        (plan(Strategy.FULL_SYNC, key=("kind",)), "an enumeration"),
    ],
)
def test_the_mend_is_the_shortest_index_or_what_else_there_is_to_do(
    asked: ReadPlan, words: str
) -> None:
    assert words in mend(asked)


def test_all_that_a_pass_sends_is_explained() -> None:
    spec = TableSpec(NAME, lookback=60.0, connections=2)
    found = list(statements(plan(indexed=True, spec=spec), None, BOUND, ("2025-01-01", "4"), 10))
    assert [(each.name, each.begins) for each in found] == [
        ("greatest values", True),
        ("rows without a cursor value, first chunk", False),
        ("rows without a cursor value, a chunk after a row", False),
        ("rows by cursor, first chunk", False),
        ("rows by cursor, the end of a page", False),
        ("rows by cursor, a page up to a row", False),
        ("rows by cursor, a chunk after a row", False),
        ("rows read again, first chunk", False),
        ("rows read again, a chunk after a row", False),
    ]
    assert all("LIMIT 10" in each.text for each in found if "chunk" in each.name)


def test_a_pass_from_a_position_begins_there() -> None:
    at = Position("2025-06-01 00:00:00", ("3",))
    texts = [s.text for s in statements(plan(indexed=True), at, BOUND, ("2025-01-01", "4"))]
    assert any("`at` > '2025-06-01 00:00:00'" in text for text in texts)
