from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from s3rs_async.errors import DataError
from s3rs_async.model import (
    Bound,
    Column,
    Manifest,
    Mode,
    Part,
    Proof,
    SourceId,
    TableName,
    TargetId,
)
from s3rs_async.redshift.apply import application

Names = tuple[str, ...]
Columns = tuple[Column, ...]

COLUMNS = (
    Column("id", "bigint", "int64", nullable=False, redshift="BIGINT"),
    Column("part", "int", "int32", nullable=False, redshift="INTEGER"),
    Column("note", "varchar(3)", "string", nullable=True, octets=12, redshift="VARCHAR(12)"),
    Column("changed", "datetime(6)", "timestamp[us]", nullable=True, redshift="TIMESTAMP"),
)


def manifest(
    mode: Mode, *, key: Names = ("id",), cursor: str | None = "changed", columns: Columns = COLUMNS
) -> Manifest:
    return Manifest(
        pipeline="p",
        source=SourceId("m", "server", TableName("shop", "orders")),
        target=TargetId("dw", "dev", TableName("shop", "orders")),
        columns=columns,
        merge_key=key,
        cursor=cursor,
        generation=1,
        epoch=1,
        seq=1,
        batch="01KB",
        parent="",
        before=None,
        after=None,
        bound=Bound(None, Proof.NONE, "2026-01-01T00:00:00+00:00"),
        mode=mode,
        moves_watermark=True,
        parts=(Part("k", 1, "e", 1),),
        session="s",
        extracted_at="2026-01-01T00:00:00+00:00",
    )


ALL = [
    manifest(mode, key=key, cursor=cursor)
    for mode in Mode
    for key in ((), ("id",), ("id", "part"))
    for cursor in (None, "changed")
    if key or mode is not Mode.MERGE
]


@pytest.mark.parametrize("batch", ALL)
def test_every_statement_parses_and_names_every_column(batch: Manifest) -> None:
    work = application(batch)
    for text in (*work.statements, work.insert_all, work.expected):
        parsed = sqlglot.parse_one(text, read="redshift")
        assert not isinstance(parsed, exp.Command)
    insert = sqlglot.parse_one(work.insert, read="redshift")
    assert [c.name for c in insert.this.expressions] == [c.name for c in COLUMNS]
    assert [c.name for c in insert.expression.expressions] == [c.name for c in COLUMNS]


@pytest.mark.parametrize("batch", ALL)
def test_nothing_truncates(batch: Manifest) -> None:
    assert "TRUNCATE" not in " ".join(application(batch).statements).upper()


def test_an_append_deletes_nothing_and_keeps_every_row() -> None:
    work = application(manifest(Mode.APPEND))
    assert work.delete is None
    assert "ROW_NUMBER" not in work.insert
    assert work.expected == 'SELECT COUNT(*) FROM "st_01kb"'
    assert work.statements == (work.insert,) == (work.insert_all,)


def test_a_merge_deletes_by_the_whole_key_and_keeps_the_latest_version() -> None:
    work = application(manifest(Mode.MERGE, key=("id", "part")))
    assert work.delete == (
        'DELETE FROM "shop"."orders" USING "st_01kb" WHERE "orders"."id" = "st_01kb"."id"'
        ' AND "orders"."part" = "st_01kb"."part"'
    )
    assert (
        'ROW_NUMBER() OVER (PARTITION BY "id", "part" ORDER BY "changed" DESC NULLS LAST)'
        in work.insert
    )
    assert "DISTINCT" in work.expected


@pytest.mark.parametrize("key", [(), ("id",)])
def test_a_replace_deletes_all_and_dedupes_only_by_a_key(key: Names) -> None:
    work = application(manifest(Mode.REPLACE, key=key))
    assert work.delete == 'DELETE FROM "shop"."orders"'
    assert ("ROW_NUMBER" in work.insert) == bool(key)


def test_a_merge_without_a_key_is_refused() -> None:
    with pytest.raises(DataError):
        application(manifest(Mode.MERGE, key=()))


@pytest.mark.parametrize(("key", "cursor"), [(("gone",), "changed"), (("id",), "gone")])
def test_a_key_or_cursor_that_the_batch_lacks_is_refused(key: Names, cursor: str) -> None:
    with pytest.raises(DataError) as caught:
        application(manifest(Mode.MERGE, key=key, cursor=cursor))
    assert caught.value.context["column"] == "gone"


def test_the_rank_never_takes_a_columns_name() -> None:
    rank = Column("S3RS_rank", "int", "int32", nullable=True, redshift="INTEGER")
    work = application(manifest(Mode.MERGE, columns=(*COLUMNS, rank)))
    assert '"s3rs_rank_" = 1' in work.insert
