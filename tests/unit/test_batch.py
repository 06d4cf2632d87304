"""What Redshift would refuse is found before it is written, and its row is named."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from s3rs_async.batch import check, dated
from s3rs_async.errors import DataError
from s3rs_async.model import Column, TableName

TABLE = TableName("shop", "orders")
ID = Column("id", "int", "int32", nullable=False)
NAME = Column("name", "varchar(4)", "string", nullable=True, octets=6)


def rows(names: list[str | None], ids: list[int | None] | None = None) -> pa.RecordBatch:
    numbers = pa.array(ids or list(range(len(names))), pa.int32())
    return pa.record_batch([numbers, pa.array(names, pa.string())], ["id", "name"])


def test_ordinary_rows_pass() -> None:
    assert check(rows(["", None, "aé漢", "x"]), [ID, NAME], TABLE, ["id"]) is None


def test_lengths_are_counted_in_bytes() -> None:
    with pytest.raises(DataError, match="text of 9 bytes") as caught:
        check(rows(["ok", "漢漢漢"]), [ID, NAME], TABLE, ["id"])

    assert caught.value.context == {"table": "shop.orders", "column": "name", "row": "id=1"}
    assert caught.value.hint


def test_a_date_stands_in_every_row_behind_its_columns() -> None:
    moment = dt.datetime(2026, 11, 23, 4, 5, 6, 789, tzinfo=dt.UTC)

    found = dated(rows(["a", None]), "at", moment)

    assert found.schema.names == ["id", "name", "at"]
    assert found.column("at").to_pylist() == [moment.replace(tzinfo=None)] * 2
    assert not found.schema.field("at").nullable
    assert dated(rows([]), "at", moment).num_rows == 0


def test_a_nul_character_is_found_in_its_row() -> None:
    with pytest.raises(DataError, match="NUL") as caught:
        check(rows(["a", "b", "c\0d"]), [ID, NAME], TABLE, ["id"])

    assert caught.value.context["row"] == "id=2"


def test_a_nul_outside_the_slice_is_not_this_batchs() -> None:
    part = rows(["a\0", "b"]).slice(1)

    assert check(part, [ID, NAME], TABLE, ["id"]) is None


def test_a_null_where_none_may_be_is_found() -> None:
    with pytest.raises(DataError, match="NULL") as caught:
        check(rows(["a", "b"], [1, None]), [ID, NAME], TABLE, [])

    assert caught.value.context == {"table": "shop.orders", "column": "id"}


def test_bytes_may_be_any_but_not_too_many() -> None:
    raw = Column("raw", "varbinary(2)", "binary", nullable=True, octets=2)
    batch = pa.record_batch([pa.array([b"\0\0", None, b"abc"])], ["raw"])

    assert check(batch.slice(0, 2), [raw], TABLE, []) is None
    with pytest.raises(DataError, match="value of 3 bytes, 2 is the greatest") as caught:
        check(batch, [raw], TABLE, [])

    assert "long_text: truncate or null" in caught.value.hint


def test_an_empty_batch_passes() -> None:
    assert check(rows([]), [ID, NAME], TABLE, ["id"]) is None
