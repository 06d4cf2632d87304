from __future__ import annotations

import pytest

from s3rs_async.errors import SchemaDriftError
from s3rs_async.model import Column, TableName, TargetId
from s3rs_async.redshift.schema import (
    TargetColumn,
    alterations,
    check,
    differences,
    holds,
    spelled,
)

TARGET = TargetId("dw", "dev", TableName("shop", "orders"))


def ours(name: str, redshift: str, *, nullable: bool = True) -> Column:
    return Column(name, "x", "x", nullable=nullable, redshift=redshift)


def theirs(name: str, kind: str, *, nullable: bool = True) -> TargetColumn:
    return TargetColumn(name, kind, nullable)


@pytest.mark.parametrize(
    ("catalogue", "wanted"),
    [
        ("character varying(12)", "VARCHAR(12)"),
        ("numeric(18,2)", "DECIMAL(18,2)"),
        ("bigint", "BIGINT"),
        ("timestamp without time zone", "TIMESTAMP"),
        ("double precision", "DOUBLE PRECISION"),
        ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("character(3)", "CHARACTER(3)"),
    ],
)
def test_the_catalogues_spelling_becomes_ours(catalogue: str, wanted: str) -> None:
    assert spelled(catalogue) == wanted


@pytest.mark.parametrize(
    ("target", "needed", "fits"),
    [
        ("VARCHAR(20)", "VARCHAR(12)", True),
        ("VARCHAR(12)", "VARCHAR(12)", True),
        ("VARCHAR(11)", "VARCHAR(12)", False),
        ("DECIMAL(20,2)", "DECIMAL(18,2)", True),
        ("DECIMAL(18,4)", "DECIMAL(18,2)", False),
        ("DECIMAL(18,1)", "DECIMAL(18,2)", False),
        ("BIGINT", "INTEGER", False),
        ("VARCHAR(20)", "DECIMAL(18,2)", False),
        ("VARBYTE(20)", "VARBYTE(12)", True),
        ("VARCHAR(20)", "VARBYTE(12)", False),
        ("VARCHAR", "VARCHAR(2)", False),
    ],
)
def test_a_wider_target_holds_a_narrower_batch(target: str, needed: str, fits: bool) -> None:
    assert holds(target, needed) is fits


def test_order_and_case_of_names_are_no_difference() -> None:
    batch = (ours("Id", "BIGINT", nullable=False), ours("note", "VARCHAR(4)"))
    live = (theirs("note", "VARCHAR(400)"), theirs("id", "BIGINT", nullable=False))
    assert differences(batch, live) == []
    check(TARGET, batch, live)


def test_every_kind_of_drift_is_told() -> None:
    batch = (
        ours("new", "INTEGER"),
        ours("wider", "VARCHAR(40)"),
        ours("retyped", "BIGINT"),
        ours("nulls", "DATE"),
    )
    live = (
        theirs("old", "INTEGER"),
        theirs("wider", "VARCHAR(20)"),
        theirs("retyped", "INTEGER"),
        theirs("nulls", "DATE", nullable=False),
    )
    told = differences(batch, live)
    assert [line.split(" ")[0].rstrip(":") for line in told] == [
        "new",
        "old",
        "wider",
        "retyped",
        "nulls",
    ]


def test_a_target_that_allows_null_takes_a_batch_that_has_none() -> None:
    assert differences((ours("a", "DATE", nullable=False),), (theirs("a", "DATE"),)) == []


def test_drift_names_the_columns_and_the_statements_that_mend_it() -> None:
    batch = (ours("id", "BIGINT"), ours("new", "INTEGER"), ours("text", "VARCHAR(40)"))
    live = (theirs("id", "BIGINT"), theirs("text", "VARCHAR(20)"))
    with pytest.raises(SchemaDriftError) as caught:
        check(TARGET, batch, live)
    assert "new INTEGER" in caught.value.context["differences"]
    assert 'ALTER TABLE "shop"."orders" ADD COLUMN "new" INTEGER' in caught.value.hint
    assert 'ALTER COLUMN "text" TYPE VARCHAR(40)' in caught.value.hint
    assert "full refresh" not in caught.value.hint


def test_what_no_alter_can_mend_asks_for_a_rebuild() -> None:
    batch, live = (ours("a", "BIGINT"),), (theirs("a", "INTEGER"),)
    assert alterations(TARGET.table, batch, live) == []
    with pytest.raises(SchemaDriftError, match="same columns") as caught:
        check(TARGET, batch, live)
    assert "full refresh" in caught.value.hint
