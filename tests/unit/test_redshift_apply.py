from __future__ import annotations

from dataclasses import replace

import pytest
import sqlglot
from sqlglot import exp

from s3rs_async.errors import DataError
from s3rs_async.model import (
    DELETED_AT,
    Bound,
    Column,
    Manifest,
    Mode,
    Part,
    Proof,
    SourceId,
    TableName,
    TargetId,
    Window,
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


WINDOW = Window("2026-01-01 00:00:00", "2026-01-02 00:00:00")


def manifest(
    mode: Mode, *, key: Names = ("id",), cursor: str | None = "changed", columns: Columns = COLUMNS
) -> Manifest:
    window = WINDOW if mode is Mode.REPLACE_WINDOW else None
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
        window=window,
    )


GONE = Column(DELETED_AT, "timestamp(6)", "timestamp[us]", nullable=False, redshift="TIMESTAMP")
ALL = [
    manifest(
        mode,
        key=key,
        cursor=cursor,
        columns=(*COLUMNS, GONE) if mode is Mode.MARK else COLUMNS,
    )
    for mode in Mode
    for key in ((), ("id",), ("id", "part"))
    for cursor in (None, "changed")
    if (key or mode not in {Mode.MERGE, Mode.DELETE, Mode.MARK})
    and (cursor or mode is not Mode.REPLACE_WINDOW)
]


@pytest.mark.parametrize("batch", ALL)
def test_every_statement_parses_and_names_every_column(batch: Manifest) -> None:
    work = application(batch)
    for text in filter(None, (*work.statements, work.insert_all, work.expected)):
        parsed = sqlglot.parse_one(text, read="redshift")
        assert not isinstance(parsed, exp.Command)
    if not batch.mode.brings:
        return
    assert work.insert is not None
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


def test_what_deletes_needs_the_key_alone_and_brings_nothing() -> None:
    keys = manifest(Mode.DELETE, key=("id", "part"), cursor=None, columns=COLUMNS[:2])
    work = application(keys)

    assert work.statements == (application(manifest(Mode.MERGE, key=("id", "part"))).delete,)
    assert (work.insert, work.insert_all) == (None, None)
    with pytest.raises(DataError, match="a delete needs a key"):
        application(manifest(Mode.DELETE, key=()))


def test_what_marks_changes_rows_that_are_there_and_not_yet_marked() -> None:
    keys = manifest(Mode.MARK, key=("id", "part"), cursor=None, columns=(*COLUMNS[:2], GONE))
    work = application(keys)

    (statement,) = work.statements
    assert statement == (
        'UPDATE "shop"."orders" SET "s3rs_deleted_at" = "st_01kb"."s3rs_deleted_at" FROM "st_01kb"'
        ' WHERE "orders"."id" = "st_01kb"."id" AND "orders"."part" = "st_01kb"."part"'
        ' AND "orders"."s3rs_deleted_at" IS NULL'
    )
    assert (work.insert, work.insert_all) == (None, None)
    with pytest.raises(DataError, match="s3rs_deleted_at"):
        application(manifest(Mode.MARK, columns=COLUMNS))


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


def test_of_several_cursors_the_first_that_is_set_orders_versions_and_windows() -> None:
    merged = application(replace(manifest(Mode.MERGE, cursor="changed"), cursor_else=("part",)))
    window = application(replace(manifest(Mode.REPLACE_WINDOW), cursor_else=("part",)))
    assert 'ORDER BY COALESCE("changed", "part") DESC NULLS LAST' in merged.insert
    assert f"""WHERE COALESCE("changed", "part") >= '{WINDOW.lo}'""" in str(window.delete)
    with pytest.raises(DataError, match="lacks a column"):
        application(replace(manifest(Mode.MERGE), cursor_else=("gone",)))


@pytest.mark.parametrize("key", [(), ("id",)])
def test_a_replace_deletes_all_and_dedupes_only_by_a_key(key: Names) -> None:
    work = application(manifest(Mode.REPLACE, key=key))
    assert work.delete == 'DELETE FROM "shop"."orders"'
    assert ("ROW_NUMBER" in work.insert) == bool(key)


SPANS = {
    WINDOW: "\"changed\" >= '2026-01-01 00:00:00' AND \"changed\" <= '2026-01-02 00:00:00'",
    Window("1", "2", open_lo=True): "\"changed\" > '1' AND \"changed\" <= '2'",
    Window(None, "2"): "\"changed\" <= '2'",
    Window(None, "2", open_lo=True): "\"changed\" <= '2'",
}


@pytest.mark.parametrize("window", SPANS)
def test_a_window_is_deleted_by_the_cursor_with_its_ends(window: Window) -> None:
    work = application(replace(manifest(Mode.REPLACE_WINDOW), window=window))
    assert work.delete == f'DELETE FROM "shop"."orders" WHERE {SPANS[window]}'
    assert "ROW_NUMBER" not in work.insert
    assert work.statements == (work.delete, work.insert)


@pytest.mark.parametrize("end", ["' OR ''='", "\\' OR 1=1 --", "'; DROP TABLE t; --", "\n--"])
def test_the_ends_of_a_window_stay_values(end: str) -> None:
    work = application(replace(manifest(Mode.REPLACE_WINDOW), window=Window(end, end)))
    parsed = sqlglot.parse(str(work.delete), read="redshift")
    assert len(parsed) == 1
    (delete,) = parsed
    assert isinstance(delete, exp.Delete)
    assert [type(each) for each in delete.args["where"].this.flatten()] == [exp.GTE, exp.LTE]
    assert [each.this for each in delete.find_all(exp.Literal)] == [end, end]


@pytest.mark.parametrize("window", SPANS)
def test_a_row_without_a_cursor_lies_in_no_window(window: Window) -> None:
    """NULL is neither above nor below: each end is asked plainly, by AND, and nothing else is."""
    deleted = str(application(replace(manifest(Mode.REPLACE_WINDOW), window=window)).delete)
    where = sqlglot.parse_one(deleted, read="redshift").args["where"].this
    ends = list(where.flatten()) if isinstance(where, exp.And) else [where]
    assert {type(end) for end in ends} <= {exp.GT, exp.GTE, exp.LTE}
    assert not list(where.find_all(exp.Is, exp.Or, exp.Not, exp.Coalesce))


@pytest.mark.parametrize("missing", [{"window": None}, {"cursor": None}])
def test_a_window_needs_its_ends_and_a_cursor(missing: dict[str, None]) -> None:
    with pytest.raises(DataError, match="window"):
        application(replace(manifest(Mode.REPLACE_WINDOW), **missing))


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
