"""What a walk reads next, and which position it gives away."""

from __future__ import annotations

from s3rs_async.model import Bound, Position, Proof, TableName, TableSpec
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.walk import Walk

HI = "2026-01-01 00:00:05"


def plan(*, nullable: bool = False) -> ReadPlan:
    columns = (
        SourceColumn("id", "int", "int", nullable=False, auto_increment=True),
        SourceColumn("t", "datetime", "datetime", nullable=nullable),
    )
    indexes = (("PRIMARY", ("id",)), ("t", ("t",)))
    table = SourceTable(TableName("s", "a"), columns, (("id",),), True, indexes, "InnoDB")
    return choose(table, TableSpec(table.name, cursor="t"))


def walk(position: Position | None, *, nullable: bool = False, hi: str = HI) -> Walk:
    return Walk(plan(nullable=nullable), position, Bound(hi, Proof.PROVEN, ""))


def at(second: int) -> str:
    return f"2026-01-01 00:00:{second:02}"


def test_the_rows_without_a_time_come_first_and_keep_the_position() -> None:
    before = Position(at(3), ("7",), ("4",))
    under_way = walk(before, nullable=True)
    page = under_way.page(2)
    assert page is not None
    assert (page.nulls is not None and page.nulls[1], page.after, page.index) == (True, (), None)
    under_way.took(1, ["9", None], {})
    end = under_way.end(2)
    assert (end.leg, end.last, end.after, end.moves_watermark) == ("nulls", True, None, False)
    page = under_way.page(2)
    assert page is not None
    assert (page.after, page.index) == ((at(3), "7"), "t")
    under_way.took(1, ["8", at(4)], {})
    assert under_way.end(2).after == Position(HI, None, ("4",))
    assert under_way.leg is None


def test_rows_without_a_time_are_read_once_where_keys_grow() -> None:
    bound = Bound(HI, Proof.PROVEN, "", nulls_to="12")
    under_way = Walk(plan(nullable=True), Position(at(3), ("7",), ("4",)), bound)
    page = under_way.page(2)
    assert page is not None
    assert (page.after, page.top) == (("4",), "12")
    under_way.took(1, ["9", None], {})
    end = under_way.end(2)
    assert (end.after, end.moves_watermark) == (Position(at(3), ("7",), ("9",)), True)
    under_way.took(1, ["8", at(4)], {})
    assert under_way.end(2).after == Position(HI, None, ("9",))


def test_a_first_pass_over_rows_without_a_time_leaves_the_cursor_unset() -> None:
    under_way = Walk(plan(nullable=True), None, Bound(HI, Proof.PROVEN, "", nulls_to="12"))
    under_way.took(2, ["9", None], {})
    assert under_way.end(2).after == Position(None, None, ("9",))
    page = under_way.page(2)
    assert page is not None
    assert page.after == ("9",)
    assert under_way.end(2).after is None
    page = under_way.page(2)
    assert page is not None
    assert page.nulls is not None
    assert (page.nulls[1], page.start, page.after) == (False, None, ())


def test_a_position_beyond_the_bound_never_falls() -> None:
    ahead = Position(at(9))
    under_way = walk(ahead)
    page = under_way.page(2)
    assert page is not None
    assert (page.start, page.after) == (at(9), ())
    under_way.took(2, ["8", at(9)], {})
    end = under_way.end(2)
    assert (end.after, end.moves_watermark) == (None, False)
    assert under_way.passed


def test_a_full_chunk_below_the_bound_gives_its_last_row() -> None:
    under_way = walk(None)
    under_way.took(1, ["1", at(4)], {"t": 1})
    under_way.took(1, ["2", at(4)], {"t": 1})
    assert under_way.page(2) is None
    end = under_way.end(2)
    assert (end.rows, end.after, end.moves_watermark) == (2, Position(at(4), ("2",)), True)
    assert end.nulled == {"t": 2}
    assert not under_way.passed


def test_a_row_at_the_bound_is_beyond_it() -> None:
    under_way = walk(None)
    under_way.took(2, ["1", HI], {})
    assert under_way.end(2).after == Position(HI)
    assert under_way.passed
    under_way.took(2, ["2", at(6)], {})
    end = under_way.end(2)
    assert (end.after, end.moves_watermark, end.last) == (None, False, False)


def test_a_part_of_a_chunk_goes_on_after_its_last_row() -> None:
    under_way = walk(None)
    under_way.took(3, ["3", at(1)], {})
    page = under_way.page(10)
    assert page is not None
    assert (page.after, page.limit) == ((at(1), "3"), 7)
