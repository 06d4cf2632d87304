"""What a walk reads next, and which position it gives away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.model import (
    Bound,
    Change,
    CursorFormat,
    KeyList,
    KeyRange,
    Mode,
    Position,
    Proof,
    Strategy,
    TableName,
    TableSpec,
)
from s3rs_async.mysql import sql
from s3rs_async.mysql.chunk import ReadPlan, choose, on_errand
from s3rs_async.mysql.sql import Page
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.walk import KEYS_AT_ONCE, Walk

HI = "2026-01-01 00:00:05"


def plan(*, nullable: bool = False, kind: str = "datetime", **asked: Any) -> ReadPlan:
    columns = (
        SourceColumn("id", "int", "int", nullable=False, auto_increment=True),
        SourceColumn("t", kind, kind, nullable=nullable),
    )
    indexes = (("PRIMARY", ("id",)), ("t", ("t",)))
    table = SourceTable(TableName("s", "a"), columns, (("id",),), True, indexes, "InnoDB")
    return choose(table, TableSpec(table.name, **({"cursor": "t"} | asked)))


def walk(position: Position | None, *, hi: str = HI, **asked: Any) -> Walk:
    return Walk(plan(**asked), position, Bound(hi, Proof.PROVEN, ""))


def along_ids(position: Position | None, key_to: str | None, mode: Mode | None = None) -> Walk:
    bound = Bound(None, Proof.PROVEN, "", key_to=key_to)
    return Walk(plan(strategy=Strategy.ID_ONLY, cursor=None, mode=mode), position, bound)


def next_page(under_way: Walk, limit: int = 2) -> Page:
    page = under_way.page(limit)
    assert page is not None
    return page


def at(second: int) -> str:
    return f"2026-01-01 00:00:{second:02}"


def test_the_rows_without_a_time_come_first_and_keep_the_position() -> None:
    before = Position(at(3), ("7",), ("4",))
    under_way = walk(before, nullable=True)
    page = under_way.page(2)
    assert page is not None
    assert (page.nulls is not None and page.nulls[1], page.after, page.index) == (True, (), "t")
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
    under_way.took(1, ["1", at(4)], {(Change.NULLED, "t"): 1})
    under_way.took(1, ["2", at(4)], {(Change.NULLED, "t"): 1})
    assert under_way.page(2) is None
    end = under_way.end(2)
    assert (end.rows, end.after, end.moves_watermark) == (2, Position(at(4), ("2",)), True)
    assert end.changed == {(Change.NULLED, "t"): 2}
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


def test_an_idle_pass_is_one_page_and_asks_for_nothing_else() -> None:
    for position in (Position(at(3)), Position(at(3), ("7",)), Position(HI), Position(at(9))):
        under_way = walk(position)
        assert not under_way.passed
        assert under_way.page(2) is not None
        end = under_way.end(2)
        assert (end.rows, end.last, under_way.leg) == (0, True, None)
        assert not under_way.passed
        assert end.after == (Position(HI) if (position.cursor or "") < HI else None)


def test_appended_rows_are_read_up_to_the_bound_and_no_farther() -> None:
    under_way = walk(Position(at(1)), mode=Mode.APPEND)
    page = next_page(under_way)
    assert (page.start, page.below) == (at(1), HI)
    under_way.took(2, ["2", at(4)], {})
    assert under_way.end(2).after == Position(at(4), ("2",))
    assert next_page(under_way).below == HI
    assert under_way.end(2).after == Position(HI)
    assert not walk(Position(HI), mode=Mode.APPEND).passed


def test_rows_without_a_time_are_not_appended_while_it_is_not_known_which_are_there() -> None:
    asked = plan(nullable=True, mode=Mode.APPEND)
    assert Walk(asked, None, Bound(HI, Proof.BOUNDED, "")).legs == ["window"]
    known = Bound(HI, Proof.PROVEN, "", nulls_to="3")
    assert Walk(asked, None, known).legs == ["nulls", "window"]


@pytest.mark.parametrize(
    ("position", "below", "top"),
    [(Position(at(3)), at(3), None), (Position(at(3), ("7",)), None, at(3))],
)
def test_a_look_back_reads_up_to_the_position_and_moves_nothing(
    position: Position, below: str | None, top: str | None
) -> None:
    under_way = walk(position, lookback=2.0)
    page = next_page(under_way)
    assert (page.start, page.after, page.below, page.top) == (at(1), (), below, top)
    under_way.took(2, ["5", at(2)], {})
    end = under_way.end(2)
    assert (end.leg, end.after, end.moves_watermark, end.last) == ("again", None, False, False)
    page = next_page(under_way)
    assert (page.start, page.after, page.below, page.top) == (None, (at(2), "5"), below, top)
    assert not under_way.end(2).last
    page = next_page(under_way)
    assert (under_way.leg, page.below, page.top) == ("window", None, None)
    assert (page.start, page.after) == ((at(3), ()) if below else (None, (at(3), "7")))
    assert under_way.end(2).after == Position(HI)


def test_a_look_back_from_no_position_reads_nothing_twice() -> None:
    assert walk(None, lookback=9.0).legs == ["window"]
    assert walk(Position(None, None, ("4",)), lookback=9.0, nullable=True).legs == [
        "nulls",
        "window",
    ]


def test_a_look_back_below_no_date_begins_at_the_tables_beginning() -> None:
    page = next_page(walk(Position("0000-00-00 00:00:00", ("7",)), lookback=1.0))
    assert (page.start, page.after, page.top) == (None, (), "0000-00-00 00:00:00")


def test_numbers_of_other_lengths_are_told_apart_as_numbers() -> None:
    def numbered(position: str) -> Walk:
        return walk(
            Position(position), hi="1000", kind="bigint", format=CursorFormat.UNIX, lookback=10.5
        )

    under_way = numbered("999")
    assert next_page(under_way).start == "988"
    under_way.end(2)
    under_way.took(2, ["1", "999"], {})
    assert under_way.end(2).after == Position("999", ("1",))
    under_way.took(2, ["2", "10000"], {})
    assert under_way.passed
    assert under_way.end(2).after == Position("1000")
    ahead = numbered("1001")
    ahead.end(2)
    assert ahead.end(2).after is None


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE])
def test_ids_are_read_above_the_position_up_to_the_greatest_that_is_there(mode: Mode) -> None:
    under_way = along_ids(Position(None, ("4",)), "9", mode)
    page = next_page(under_way)
    assert (page.after, page.top, page.index, page.start) == (("4",), "9", "PRIMARY", None)
    under_way.took(2, ["7", at(1)], {})
    end = under_way.end(2)
    assert (end.after, end.moves_watermark, end.last) == (Position(None, ("7",)), True, False)
    assert next_page(under_way).after == ("7",)
    end = under_way.end(2)
    assert (end.after, end.moves_watermark, end.last, under_way.leg) == (None, False, True, None)


def test_without_an_id_that_is_known_to_be_there_nothing_is_read() -> None:
    assert along_ids(None, None).leg is None
    assert next_page(along_ids(None, "9")).after == ()


def several(*, nullable: bool, position: Position | None) -> Walk:
    columns = (
        SourceColumn("id", "int", "int", nullable=False, auto_increment=True),
        SourceColumn("c", "datetime", "datetime", nullable=nullable),
        SourceColumn("u{}", "datetime", "datetime", nullable=True),
    )
    indexes = (("PRIMARY", ("id",)), ("u", ("u{}",)))
    table = SourceTable(TableName("s", "a"), columns, (("id",),), True, indexes, "InnoDB")
    found = choose(table, TableSpec(table.name, cursor="U{}", cursor_else=("C",)))
    assert (found.cursors, found.index) == (("u{}", "c"), None)
    assert any("no index has the first of (u{}, c)" in told for told in found.warnings)
    return Walk(found, position, Bound(HI, Proof.PROVEN, ""))


def test_of_several_cursors_the_first_that_is_set_is_compared_and_kept() -> None:
    under_way = several(nullable=False, position=Position(at(1), ("3",)))
    text = sql.page(next_page(under_way))
    first = "COALESCE(`u{}`, `c`)"
    assert f"({first} > '{at(1)}') OR ({first} = '{at(1)}' AND `id` > 3)" in text
    assert f"ORDER BY {first}, `id`" in text
    under_way.took(1, ["4", at(2), at(3)], {})
    under_way.took(1, ["5", at(4), None], {})
    assert under_way.end(2).after == Position(at(4), ("5",))
    under_way.took(1, ["6", at(2), at(5)], {})
    assert under_way.passed


def test_only_a_row_without_any_of_several_cursors_has_none() -> None:
    under_way = several(nullable=True, position=None)
    assert under_way.leg == "nulls"
    assert "COALESCE(`u{}`, `c`) IS NULL" in sql.page(next_page(under_way))
    assert several(nullable=False, position=None).leg == "window"


def test_a_condition_goes_with_every_page() -> None:
    where = "id % 2 = 1"
    legs = []
    for under_way in (
        walk(Position(at(3)), nullable=True, lookback=1.0, where=where),
        walk(None, strategy=Strategy.FULL_SYNC, where=where),
        Walk(
            plan(strategy=Strategy.ID_ONLY, where=where),
            None,
            Bound(None, Proof.NONE, "", key_to="9"),
        ),
    ):
        while under_way.leg is not None:
            legs.append(under_way.leg)
            assert next_page(under_way).where == where
            under_way.end(2)
    assert legs == ["nulls", "again", "window", "table", "ids"]


ID_ONLY: dict[str, Any] = {"strategy": Strategy.ID_ONLY, "cursor": None}
UNIX: dict[str, Any] = {"kind": "bigint", "format": CursorFormat.UNIX}


@pytest.mark.parametrize(
    ("asked", "position", "fits"),
    [
        ({}, Position(at(1), ("7",)), True),
        ({}, Position(at(1)), True),
        ({"nullable": True}, Position(None, None, ("4",)), True),
        ({}, Position(None, ("7",)), False),
        ({}, Position(at(1), ("7", "8")), False),
        ({}, Position("1700000000"), False),
        (UNIX, Position("1700000000"), True),
        (UNIX, Position(at(1)), False),
        (ID_ONLY, None, True),
        (ID_ONLY, Position(None, ("7",)), True),
        (ID_ONLY, Position(at(1)), False),
        (ID_ONLY, Position(at(1), ("7",)), False),
        (ID_ONLY, Position(None, None, ("7",)), False),
        (ID_ONLY, Position(None, ("7", "8")), False),
        ({"strategy": Strategy.FULL_SYNC}, Position(at(1), ("7", "8")), True),
    ],
)
def test_a_position_of_another_way_of_reading_is_refused(
    asked: dict[str, Any], position: Position | None, fits: bool
) -> None:
    bound = Bound("1800000000" if asked is UNIX else HI, Proof.PROVEN, "", key_to="9")
    if fits:
        Walk(plan(**asked), position, bound)
        return
    with pytest.raises(ConfigError, match="does not fit") as caught:
        Walk(plan(**asked), position, bound)
    assert "another pipeline" in caught.value.hint


def test_several_may_read_the_window_below_the_bound_alone() -> None:
    under_way = walk(Position(at(3), ("7",)))
    page = under_way.shared(2)
    assert page is not None
    assert (page.after, page.below, page.limit, page.index) == ((at(3), "7"), HI, 2, "t")
    under_way.took(2, ["8", at(4)], {})
    assert under_way.shared(2) is None
    end = under_way.closed()
    assert (end.rows, end.after, end.last) == (2, Position(at(4), ("8",)), False)
    under_way.took(1, ["9", at(5)], {})
    assert under_way.shared(2) is None
    assert next_page(under_way).below is None


def test_several_may_read_ids_and_a_whole_table_but_not_what_is_read_again() -> None:
    ids = along_ids(Position(None, ("4",)), "9").shared(2)
    assert ids is not None
    assert (ids.after, ids.top) == (("4",), "9")
    whole = plan(strategy=Strategy.FULL_SYNC, cursor=None)
    page = Walk(whole, None, None).shared(2)
    assert page is not None
    assert (page.after, page.below, page.top) == ((), None, None)
    assert walk(Position(at(3), ("7",)), lookback=5.0).shared(2) is None
    assert walk(None, nullable=True).shared(2) is None


def test_without_an_index_nobody_reads_beside_another() -> None:
    bare = replace(plan(), source=replace(plan().source, indexes=()))
    assert Walk(bare, None, Bound(HI, Proof.PROVEN, "")).shared(2) is None


def test_a_page_all_of_whose_rows_have_gone_has_no_position() -> None:
    under_way = walk(None)
    end = under_way.closed()
    assert (end.rows, end.after, end.moves_watermark, end.last) == (0, None, False, False)
    assert under_way.leg == "window"


def errand(position: Position | None, span: KeyRange | KeyList, **asked: Any) -> Walk:
    bound = Bound(None, Proof.NONE, "")
    return Walk(on_errand(plan(**asked), span), position, bound)


def test_an_errand_reads_its_range_by_the_key_and_moves_nothing() -> None:
    under_way = errand(Position(at(3), ("7",)), KeyRange("4", "6"))
    page = next_page(under_way)
    assert (page.start, page.after, page.top, page.index) == ("4", (), "6", "PRIMARY")
    assert (page.behind, page.below) == (None, None)
    under_way.took(2, ["5", at(1)], {})
    end = under_way.end(2)
    assert (end.leg, end.after, end.moves_watermark, end.last) == ("errand", None, False, False)
    page = next_page(under_way)
    assert (page.start, page.after, page.top) == (None, ("5",), "6")
    under_way.took(1, ["6", at(2)], {})
    assert under_way.end(2).last
    assert under_way.leg is None


@pytest.mark.parametrize(
    ("asked", "position", "values", "inclusive"),
    [
        ({"mode": Mode.APPEND}, Position(at(3), ("7",)), (at(3), "7"), True),
        ({"mode": Mode.APPEND}, Position(at(3)), (at(3),), False),
        (ID_ONLY, Position(None, ("7",)), ("7",), True),
    ],
)
def test_where_rows_are_appended_an_errand_keeps_behind_the_position(
    asked: dict[str, Any], position: Position, values: tuple[str, ...], inclusive: bool
) -> None:
    mark = next_page(errand(position, KeyRange(None, None), **asked)).behind

    assert mark is not None
    assert (mark.values, mark.inclusive) == (values, inclusive)
    assert mark.order[0].name == ("id" if asked is ID_ONLY else "t")


def test_an_errand_is_merged_whatever_the_table_is_read_by() -> None:
    for asked in ({}, {"mode": Mode.APPEND}, ID_ONLY, {"strategy": Strategy.FULL_SYNC}):
        sent = on_errand(plan(**asked), KeyRange("1", None))
        assert (sent.mode, [rule.name for rule in sent.key_rules]) == (Mode.MERGE, ["id"])


def test_keys_that_are_named_are_read_some_hundred_at_a_time_into_one_batch() -> None:
    keys = tuple((str(number),) for number in range(2 * KEYS_AT_ONCE + 1))
    under_way = errand(Position(at(3), ("7",)), KeyList(keys))
    named, ends = [], []
    while under_way.leg is not None:
        assert under_way.shared(2) is None
        page = next_page(under_way, 1000)
        assert (page.start, page.top, page.index) == (None, None, "PRIMARY")
        named.append(page.among)
        under_way.took(len(page.among), [page.among[-1][0], at(1)], {})
        ends.append(under_way.end(1000))

    assert [len(some) for some in named] == [KEYS_AT_ONCE, KEYS_AT_ONCE, 1]
    assert tuple(key for some in named for key in some) == keys
    assert [end.last for end in ends] == [False, False, True]
    assert not any(end.moves_watermark for end in ends)


def test_a_read_that_broke_goes_on_behind_the_last_of_the_keys_it_has() -> None:
    under_way = errand(None, KeyList((("3",), ("5",), ("9",))))
    under_way.took(2, ["5", at(1)], {})

    page = next_page(under_way, 1000)

    assert (page.after, page.among) == (("5",), (("3",), ("5",), ("9",)))


def test_of_keys_that_are_gone_nothing_but_the_key_is_left() -> None:
    sent = on_errand(plan(mode=Mode.APPEND), KeyList((("3",),), gone=True))

    assert (sent.mode, sent.cursor) == (Mode.DELETE, None)
    assert [rule.name for rule in sent.rules] == ["id"]
    assert [column.name for column in sent.schema.columns] == ["id"]


def test_an_end_that_is_no_value_of_the_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a value that the key can have") as caught:
        on_errand(plan(), KeyRange("1", "2 OR 1=1"))
    assert caught.value.context["column"] == "id"
