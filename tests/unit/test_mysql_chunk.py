"""Types, strategy and key, as they follow from what a table is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import Column, Strategy, TableName, TableSpec
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.types import rule

NAME = TableName("shop", "orders")
ID = SourceColumn("id", "int", "int(11)", nullable=False, auto_increment=True)
STAMP = SourceColumn(
    "updated_at", "timestamp", "timestamp", nullable=False, own_stamp=True, born_stamped=True
)
NOTE = SourceColumn("note", "varchar", "varchar(9)", nullable=True, characters=9)


def table(*columns: SourceColumn, **facts: Any) -> SourceTable:
    settings: dict[str, Any] = {
        "keys": (("id",),),
        "primary": True,
        "indexes": (("PRIMARY", ("id",)), ("u", ("updated_at",))),
        "engine": "InnoDB",
    }
    return SourceTable(NAME, columns, **(settings | facts))


def plan_for(found: SourceTable, **asked: Any) -> ReadPlan:
    return choose(found, TableSpec(NAME, **asked))


@pytest.mark.parametrize(
    ("column", "arrow", "octets"),
    [
        (SourceColumn("c", "tinyint", "tinyint(1)", nullable=True), "int16", None),
        (SourceColumn("c", "smallint", "smallint unsigned", nullable=True), "int32", None),
        (SourceColumn("c", "mediumint", "mediumint unsigned", nullable=True), "int32", None),
        (SourceColumn("c", "int", "int(10) unsigned", nullable=True), "int64", None),
        (SourceColumn("c", "bigint", "bigint unsigned", nullable=True), "decimal128(20, 0)", None),
        (
            SourceColumn("c", "decimal", "decimal(38,9)", nullable=True, precision=38, scale=9),
            "decimal128(38, 9)",
            None,
        ),
        (
            SourceColumn("c", "decimal", "decimal(39,9)", nullable=True, precision=39, scale=9),
            "string",
            42,
        ),
        (SourceColumn("c", "bit", "bit(1)", nullable=True, precision=1), "bool", None),
        (SourceColumn("c", "bit", "bit(63)", nullable=True, precision=63), "int64", None),
        (
            SourceColumn("c", "bit", "bit(64)", nullable=True, precision=64),
            "decimal128(20, 0)",
            None,
        ),
        (SourceColumn("c", "float", "float", nullable=True), "float", None),
        (SourceColumn("c", "time", "time(6)", nullable=True, fraction=6), "int64", None),
        (SourceColumn("c", "year", "year(4)", nullable=True), "int16", None),
        (SourceColumn("c", "varbinary", "varbinary(9)", nullable=True, octets=9), "string", 18),
        (
            SourceColumn("c", "longblob", "longblob", nullable=True, octets=2**32 - 1),
            "string",
            65535,
        ),
        (SourceColumn("c", "json", "json", nullable=True), "string", 65535),
        (SourceColumn("c", "uuid", "uuid", nullable=True), "string", 36),
    ],
)
def test_each_type_has_its_rule(column: SourceColumn, arrow: str, octets: int | None) -> None:
    found = rule(NAME, column)
    assert found.columns == (Column("c", column.column_type, arrow, nullable=True, octets=octets),)


@pytest.mark.parametrize(
    ("charset", "characters", "octets"),
    [
        ("latin1", 100, 400),
        ("ascii", 100, 100),
        ("utf8mb3", 100, 300),
        ("utf8mb4", 100, 400),
        ("utf8mb4", 20_000, 65535),
        ("utf8mb4", 0, 1),
    ],
)
def test_octets_are_what_a_text_can_have_in_utf8(
    charset: str, characters: int, octets: int
) -> None:
    column = SourceColumn(
        "c", "varchar", "varchar", nullable=False, characters=characters, charset=charset
    )
    assert rule(NAME, column).octets == octets


def test_dates_are_nullable_whatever_the_server_says() -> None:
    assert rule(NAME, STAMP).nullable
    assert not rule(NAME, ID).nullable


@pytest.mark.parametrize("kind", ["xml", "row", "sys_refcursor"])
def test_a_type_without_a_rule_is_refused_by_name(kind: str) -> None:
    with pytest.raises(DataError, match=f"column=c, type={kind}"):
        rule(NAME, SourceColumn("c", kind, kind, nullable=True))


def test_a_stamped_table_with_a_primary_key_is_hybrid() -> None:
    plan = plan_for(table(ID, NOTE, STAMP))
    assert (plan.strategy, plan.cursor, plan.key) == (Strategy.HYBRID, "updated_at", ("id",))
    assert [each.name for each in plan.order] == ["updated_at", "id"]
    assert plan.growing
    assert plan.index == "u"
    assert plan.warnings == ()


def test_without_a_stamp_or_a_primary_key_it_is_read_whole() -> None:
    unborn = SourceColumn("u", "timestamp", "timestamp", nullable=False, own_stamp=True)
    assert plan_for(table(ID, unborn)).strategy is Strategy.FULL_SYNC
    unique = plan_for(table(ID, STAMP, primary=False))
    assert (unique.strategy, unique.key) == (Strategy.FULL_SYNC, ("id",))
    bare = plan_for(table(NOTE, keys=(), primary=False))
    assert bare.order == ()
    assert "no unique key" in bare.warnings[0]


def test_hybrid_without_a_key_or_a_cursor_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match="unique key") as caught:
        plan_for(table(NOTE, STAMP, keys=(), primary=False), strategy=Strategy.HYBRID)
    assert "full_sync" in caught.value.hint
    with pytest.raises(ConfigError, match="needs a cursor"):
        plan_for(table(ID, NOTE), strategy=Strategy.HYBRID)
    with pytest.raises(ConfigError, match="cursor can have"):
        plan_for(table(ID, NOTE), cursor="note")
    with pytest.raises(ConfigError, match="unknown column"):
        plan_for(table(ID, NOTE), cursor="nope")
    with pytest.raises(ConfigError, match="not unique"):
        plan_for(table(ID, NOTE, STAMP), key=("note",))


def test_several_cursors_are_the_servers_own_if_it_sets_them_on_every_insert_and_update() -> None:
    made = SourceColumn("made", "timestamp", "timestamp", nullable=False, born_stamped=True)
    own = {
        plan_for(
            table(ID, stamp, replace(made, born_stamped=born)),
            cursor="updated_at",
            cursor_else=("made",),
        ).cursor_column.own_stamp  # type: ignore[union-attr]
        for stamp, born in (
            (replace(STAMP, own_stamp=False), True),
            (replace(STAMP, born_stamped=False), True),
            (STAMP, False),
        )
    }
    assert own == {False}
    sure = plan_for(table(ID, STAMP, made), cursor="updated_at", cursor_else=("made",))
    assert sure.cursor_column is not None
    assert sure.cursor_column.own_stamp


def test_a_stamp_that_an_index_begins_with_is_preferred() -> None:
    other = SourceColumn(
        "a", "datetime", "datetime", nullable=False, own_stamp=True, born_stamped=True
    )
    assert plan_for(table(ID, other, STAMP)).cursor == "updated_at"


def test_what_is_slow_or_surprising_is_told() -> None:
    fold = SourceColumn(
        "id", "varchar", "varchar(9)", nullable=False, characters=9, collation="utf8mb4_general_ci"
    )
    nullable = SourceColumn("t", "datetime", "datetime", nullable=True)
    plan = plan_for(table(fold, nullable), cursor="T")
    told = " / ".join(plan.warnings)
    for words in (
        "no index has the rows by (t, id)",
        "does not stamp t",
        "t can be NULL",
        "differ in case",
    ):
        assert words in told


def test_a_cursor_inside_the_key_is_not_compared_twice() -> None:
    plan = plan_for(table(ID, STAMP, keys=(("updated_at", "id"),)))
    assert [each.name for each in plan.order] == ["updated_at", "id"]


@pytest.mark.parametrize(
    ("columns", "engine", "index"),
    [
        (("updated_at",), "InnoDB", "i"),
        (("updated_at", "id", "note"), "InnoDB", "i"),
        (("updated_at", "note"), "InnoDB", None),
        (("updated_at", None), "InnoDB", None),
        (("note", "updated_at"), "InnoDB", None),
        (("updated_at",), "Aria", None),
        (("updated_at", "id"), "Aria", "i"),
    ],
)
def test_an_index_is_walked_only_if_it_has_the_rows_in_order(
    columns: tuple[str | None, ...], engine: str, index: str | None
) -> None:
    plan = plan_for(table(ID, NOTE, STAMP, indexes=(("i", columns),), engine=engine))
    assert plan.index == index
    assert bool(plan.warnings) is (index is None)


def test_a_type_without_a_rule_is_named() -> None:
    strange = SourceColumn("p", "xmltype", "xmltype", nullable=True)
    with pytest.raises(DataError, match="no rule for this column type") as caught:
        plan_for(table(ID, strange))
    assert caught.value.context["table"] == "shop.orders"
    assert caught.value.context["column"] == "p"
    assert caught.value.context["type"] == "xmltype"
