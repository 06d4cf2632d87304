"""What can be asked for a table: each choice, each refusal, and what each refusal says."""

from __future__ import annotations

from typing import Any

import pytest

from s3rs_async.errors import ConfigError
from s3rs_async.model import CursorFormat, Mode, Strategy, TableName, TableSpec
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.table import SourceColumn, SourceTable

NAME = TableName("shop", "orders")


def column(name: str, kind: str, *, nullable: bool = False, **facts: Any) -> SourceColumn:
    return SourceColumn(name, kind, facts.pop("full", kind), nullable=nullable, **facts)


ID = column("id", "int", auto_increment=True)
STAMP = column("updated_at", "timestamp", own_stamp=True, born_stamped=True)
COLUMNS = (
    ID,
    STAMP,
    column("day", "date"),
    column("seen", "datetime", nullable=True),
    column("made", "datetime", full="datetime(3)", fraction=3),
    column("at_s", "bigint"),
    column("at_ms", "decimal", precision=20, scale=0),
    column("cents", "decimal", precision=20, scale=2),
    column("long", "decimal", precision=50, scale=0),
    column("code", "varchar", characters=9, collation="utf8mb4_bin"),
    column("ratio", "double"),
    column("raw", "binary", octets=4),
    column("region", "int"),
    column("maybe", "int", nullable=True),
)
KEYED: dict[str, Any] = {
    "keys": (("id",), ("code",), ("raw",), ("ratio",), ("region", "day")),
    "primary": True,
    "indexes": (("PRIMARY", ("id",)), ("u", ("updated_at",)), ("c", ("code",))),
    "engine": "InnoDB",
}


def asked(*columns: SourceColumn, facts: dict[str, Any] | None = None, **spec: Any) -> ReadPlan:
    settings = KEYED | (facts or {})
    table = SourceTable(NAME, columns or COLUMNS, **settings)
    return choose(table, TableSpec(NAME, **spec))


def shape(plan: ReadPlan) -> tuple[str, ...]:
    order = ",".join(rule.name for rule in plan.order)
    return plan.strategy.value, plan.mode.value, order, ",".join(plan.key)


CHOICES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({}, ("hybrid", "merge", "updated_at,id", "id")),
    "a cursor": ({"cursor": "DAY"}, ("hybrid", "merge", "day,id", "id")),
    "an id": ({"id": "CODE"}, ("id_only", "append", "code", "code")),
    "cursor and id": (
        {"cursor": "day", "id": "code"},
        ("hybrid", "merge", "day,code", "id"),
    ),
    "an id that is not unique": (
        {"cursor": "day", "id": "region"},
        ("hybrid", "merge", "day,region,id", "id"),
    ),
    "the id is the cursor": (
        {"cursor": "day", "id": "day"},
        ("hybrid", "merge", "day,id", "id"),
    ),
    "by time alone": (
        {"strategy": Strategy.TIMESTAMP_ONLY},
        ("timestamp_only", "merge", "updated_at,id", "id"),
    ),
    "by time, appended": (
        {"strategy": Strategy.TIMESTAMP_ONLY, "cursor": "day", "mode": Mode.APPEND},
        ("timestamp_only", "append", "day,id", "id"),
    ),
    "by id": ({"strategy": Strategy.ID_ONLY}, ("id_only", "append", "id", "id")),
    "by id, merged": (
        {"strategy": Strategy.ID_ONLY, "mode": Mode.MERGE},
        ("id_only", "merge", "id", "id"),
    ),
    "by id, merged by another key": (
        {"id": "id", "mode": Mode.MERGE, "key": ("code",)},
        ("id_only", "merge", "id", "code"),
    ),
    "all of it": ({"strategy": Strategy.FULL_SYNC}, ("full_sync", "replace", "id", "id")),
    "all of it, merged": (
        {"strategy": Strategy.FULL_SYNC, "mode": Mode.MERGE},
        ("full_sync", "merge", "id", "id"),
    ),
    "a replacement": ({"mode": Mode.REPLACE}, ("full_sync", "replace", "id", "id")),
    "an append": ({"mode": Mode.APPEND}, ("hybrid", "append", "updated_at,id", "id")),
    "another key": ({"key": ("CODE",)}, ("hybrid", "merge", "updated_at,id", "code")),
    "a wider key": (
        {"key": ("region", "id")},
        ("hybrid", "merge", "updated_at,id", "region,id"),
    ),
    "unix seconds": (
        {"cursor": "at_s", "format": CursorFormat.UNIX},
        ("hybrid", "merge", "at_s,id", "id"),
    ),
    "unix milliseconds": (
        {"cursor": "at_ms", "format": CursorFormat.UNIX_MS},
        ("hybrid", "merge", "at_ms,id", "id"),
    ),
    "a look back": ({"lookback": 60.0}, ("hybrid", "merge", "updated_at,id", "id")),
}


@pytest.mark.parametrize("wish", CHOICES)
def test_what_is_asked_for_is_taken(wish: str) -> None:
    spec, wanted = CHOICES[wish]
    plan = asked(**spec)
    assert shape(plan) == wanted
    assert plan.spec == TableSpec(NAME, **spec)
    assert plan.format is (spec.get("format") or CursorFormat.COLUMN)
    assert (plan.id_column is not None) is (plan.strategy is Strategy.ID_ONLY)


ID_ONLY, FULL, TIME = Strategy.ID_ONLY, Strategy.FULL_SYNC, Strategy.TIMESTAMP_ONLY
NO_KEY: dict[str, Any] = {"keys": (), "primary": False}
PAIR: dict[str, Any] = {"keys": (("id", "region"),)}

REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "hybrid without a key": (
        {"strategy": Strategy.HYBRID, "facts": NO_KEY},
        "hybrid needs a unique key",
        "cdc_strategy: full_sync",
    ),
    "a cursor without a key": (
        {"cursor": "day", "facts": NO_KEY},
        "hybrid needs a unique key",
        "add a primary key",
    ),
    "time alone without a key": (
        {"strategy": TIME, "facts": NO_KEY},
        "timestamp_only needs a unique key",
        "rows that share a tick",
    ),
    "no such cursor": (
        {"cursor": "updatedat"},
        "unknown column.*column=updatedat, setting=cdc_timestamp_column",
        "cdc_timestamp_column: updated_at",
    ),
    "no such id": ({"id": "idd"}, "setting=cdc_id_column", "cdc_id_column: id"),
    "no such key": ({"key": ("cod",)}, "setting=primary_key", "primary_key: code"),
    "a cursor of text": (
        {"cursor": "code"},
        "not a type that a cursor can have.*column=code, type=varchar",
        "a TIMESTAMP, DATETIME or DATE",
    ),
    "whole numbers without their format": (
        {"cursor": "at_s"},
        "not a type that a cursor can have.*column=at_s",
        "timestamp_format: unix (seconds) or unix_ms",
    ),
    "a fraction with a format": (
        {"cursor": "cents", "format": CursorFormat.UNIX},
        "for a column of whole numbers.*column=cents.*setting=timestamp_format",
        "leave timestamp_format out",
    ),
    "a number of fifty digits": (
        {"cursor": "long", "format": CursorFormat.UNIX},
        "for a column of whole numbers",
        "timestamp_format",
    ),
    "a time with a format": (
        {"cursor": "day", "format": CursorFormat.UNIX_MS},
        "timestamp_format: unix_ms is for",
        "leave timestamp_format out",
    ),
    "a format for the server's stamp": (
        {"format": CursorFormat.UNIX},
        "column=updated_at",
        "with cdc_timestamp_column",
    ),
    "a tie that can be NULL": ({"cursor": "day", "id": "maybe"}, "can be NULL", "cdc_id_column:"),
    "a tie that is not exact": ({"cursor": "day", "id": "ratio"}, "not exact", "cdc_id_column:"),
    "ids that are not unique": (
        {"id": "region"},
        "unique by itself and NOT NULL.*column=region",
        "which are id, code",
    ),
    "ids without an order": (
        {"strategy": ID_ONLY, "id": "raw"},
        "cannot|not a type that id_only",
        "numbers, dates or text",
    ),
    "ids that are not exact": ({"id": "ratio"}, "not a type that id_only", "cdc_id_column:"),
    "ids of two columns": (
        {"strategy": ID_ONLY, "facts": PAIR},
        "unique by itself, and the primary key is none",
        "cdc_id_column",
    ),
    "ids without a key": (
        {"strategy": ID_ONLY, "facts": NO_KEY},
        "unique by itself",
        "cdc_strategy: full_sync",
    ),
    "a key that is not unique": (
        {"key": ("region",)},
        "not unique and NOT NULL.*key=region, setting=primary_key",
        "(id); (code)",
    ),
    "a key with a column that can be NULL": (
        {"key": ("id", "maybe")},
        "a column of the key can be NULL",
        "primary_key: one of",
    ),
    "a key that names a column twice": ({"key": ("id", "ID")}, "twice", "primary_key: one of"),
    "a merge without a key": (
        {"strategy": FULL, "mode": Mode.MERGE, "facts": NO_KEY},
        "a merge needs a unique key.*setting=apply",
        "apply: replace",
    ),
    "copies on top of copies": (
        {"strategy": FULL, "mode": Mode.APPEND},
        "full_sync cannot append",
        "apply: replace",
    ),
    "an append without a stamp": (
        {"mode": Mode.APPEND, "facts": NO_KEY},
        "full_sync cannot append",
        "another cdc_strategy",
    ),
    "cursors of two types": (
        {"cursor": "seen", "cursor_else": ("updated_at",)},
        "another type than seen has.*column=updated_at.*setting=cdc_timestamp_column",
        "columns that are all datetime",
    ),
    "cursors of two precisions": (
        {"cursor": "seen", "cursor_else": ("made",)},
        "another type than seen has.*column=made",
        "columns that are all datetime",
    ),
    "a cursor that is named twice": (
        {"cursor": "seen", "cursor_else": ("SEEN",)},
        "a column is named twice",
        "cdc_timestamp_column: each once",
    ),
    "a second cursor that is none": (
        {"cursor": "seen", "cursor_else": ("code",)},
        "not a type that a cursor can have.*column=code",
        "cdc_timestamp_column: a TIMESTAMP",
    ),
    "copies of what is new": (
        {"mode": Mode.APPEND, "copy_column": "at"},
        "copies are taken of a whole table.*setting=copy_column",
        "cdc_strategy: full_sync and apply: append",
    ),
    "copies that replace each other": (
        {"strategy": FULL, "copy_column": "at"},
        "copies are taken of a whole table",
        "leave copy_column out",
    ),
    "a copy's time in a column that is there": (
        {"strategy": FULL, "mode": Mode.APPEND, "copy_column": "Region"},
        "has a column of this name.*column=Region",
        "copy_column: a name",
    ),
    "a part for the whole": (
        {"strategy": TIME, "mode": Mode.REPLACE},
        "timestamp_only reads what is new.*setting=apply",
        "cdc_strategy: full_sync, or apply: merge",
    ),
    "some ids for the whole": (
        {"strategy": ID_ONLY, "mode": Mode.REPLACE},
        "id_only reads what is new",
        "cdc_strategy: full_sync",
    ),
    "a look back that is appended": (
        {"mode": Mode.APPEND, "lookback": 1.0},
        "lookback with apply: append.*setting=lookback",
        "apply: merge",
    ),
    "a look back over a whole table": (
        {"strategy": FULL, "lookback": 1.0},
        "full_sync has none",
        "leave lookback out",
    ),
    "a look back along ids": (
        {"strategy": ID_ONLY, "lookback": 1.0, "mode": Mode.MERGE},
        "id_only has none",
        "leave lookback out",
    ),
    "NULLs that would come again": (
        {"cursor": "seen", "mode": Mode.APPEND, "key": ("code",)},
        "rows without a cursor value.*column=seen, setting=apply",
        "apply: merge",
    ),
    "a condition on no column": (
        {"where": "regoin = 1"},
        "unknown column.*setting=additional_where",
        "additional_where: region",
    ),
}


@pytest.mark.parametrize("wish", REFUSALS)
def test_what_cannot_work_is_refused_by_its_setting(wish: str) -> None:
    spec, message, hint = REFUSALS[wish]
    with pytest.raises(ConfigError, match=message) as caught:
        asked(**spec)
    assert hint in caught.value.hint
    assert caught.value.context["table"] == "shop.orders"
    assert caught.value.context["setting"]


WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "appended": ({"mode": Mode.APPEND}, "appended again as another row"),
    "copies": (
        {"strategy": FULL, "mode": Mode.APPEND, "copy_column": "at"},
        "each pass appends the whole table, dated by at",
    ),
    "ids": ({"id": "id"}, "later changes of a row are not seen"),
    "ids of the application": ({"id": "code"}, "does not hand out code in ascending order"),
    "merged whole": ({"strategy": FULL, "mode": Mode.MERGE}, "deleted at the source stay"),
    "a condition": ({"where": "region = 1"}, "no longer match additional_where stay"),
    "a wider key": ({"key": ("region", "id")}, "primary_key has more columns"),
    "a cursor of no use": ({"strategy": FULL, "cursor": "day"}, "cdc_timestamp_column means"),
    "an id of no use": ({"strategy": FULL, "id": "id"}, "cdc_id_column means nothing to full_sync"),
    "a format of no use": (
        {"strategy": ID_ONLY, "format": CursorFormat.UNIX},
        "timestamp_format means nothing to id_only",
    ),
    "numbers of the application": (
        {"cursor": "at_s", "format": CursorFormat.UNIX},
        "does not stamp at_s",
    ),
}


@pytest.mark.parametrize("wish", WARNED)
def test_what_surprises_is_told_and_only_there(wish: str) -> None:
    spec, words = WARNED[wish]
    assert words in " / ".join(asked(**spec).warnings)
    assert words not in " / ".join(asked().warnings)


def test_a_whole_table_with_a_condition_holds_the_part_that_matches() -> None:
    plan = asked(strategy=FULL, where=" region = 1\n")
    assert plan.where == "region = 1"
    assert not any("additional_where" in warning for warning in plan.warnings)


def test_rows_without_a_time_may_be_appended_where_keys_grow() -> None:
    assert asked(cursor="seen", mode=Mode.APPEND).growing
    assert not asked(cursor="seen", key=("region", "id")).growing
    assert not asked(cursor="seen", id="region").growing
