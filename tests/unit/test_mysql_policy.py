"""What policies make of values, by bytes written by hand, in both protocols alike."""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymysql.constants import FIELD_TYPE, FLAG

from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import (
    BigintUnsigned,
    Binary,
    Change,
    Changes,
    Column,
    Dates,
    LongText,
    Mode,
    NulBytes,
    Policies,
    TableName,
    TableSpec,
    TinyInt1,
)
from s3rs_async.mysql import arrays, policy
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.chunk import choose
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.field import Field
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.types import Rule, rule
from s3rs_async.mysql.wire import PAD, Packets

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = TableName("shop", "notes")
MOST = 65_535
TEXT = SourceColumn("c", "longtext", "longtext", nullable=False, characters=2**32 - 1)
BLOB = SourceColumn("c", "blob", "blob", nullable=False, octets=MOST)
BYTES = Field("c", FIELD_TYPE.BLOB, 0, 0, 255, 0)
ID = Field("id", FIELD_TYPE.LONG, 0, 0, 63, 0)
KEY = rule(TABLE, SourceColumn("id", "int", "int", nullable=False), key=True)


def of(column: SourceColumn, **asked: Any) -> Rule:
    return rule(TABLE, column, Policies(**asked))


def packets(rows: list[bytes]) -> Packets:
    wire = [len(row).to_bytes(3, "little") + b"\3" + row for row in rows]
    starts = np.cumsum([0, *map(len, wire)])
    data = np.frombuffer(b"".join(wire) + bytes(PAD), np.uint8)
    return Packets(data, starts[:-1].astype(np.int64), int(starts[-1]))


def behind_length(value: bytes) -> bytes:
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    return b"\xfd" + size.to_bytes(3, "little") + value


def text_row(at: int, value: bytes | None) -> bytes:
    return behind_length(str(at).encode()) + (b"\xfb" if value is None else behind_length(value))


def binary_row(at: int, value: bytes | None) -> bytes:
    null = 0 if value is not None else 0b1000
    return bytes([0, null]) + at.to_bytes(4, "little") + (value or b"")


def by_text(rule: Rule, field: Field, *values: bytes | None) -> tuple[pa.RecordBatch, Changes]:
    rows = [text_row(at, value) for at, value in enumerate(values)]
    decoded = TextDecoder([KEY, rule], [ID, field]).decode(packets(rows))
    decoded.batch.validate(full=True)
    return decoded.batch, decoded.changed


def by_binary(rule: Rule, field: Field, *values: bytes | None) -> tuple[pa.RecordBatch, Changes]:
    """The values as the binary protocol has them, length and all."""
    rows = [binary_row(at, value) for at, value in enumerate(values)]
    decoded = BinaryDecoder([KEY, rule], [ID, field]).decode(packets(rows))
    decoded.batch.validate(full=True)
    return decoded.batch, decoded.changed


def read(rule: Rule, *values: bytes | None, field: Field = BYTES) -> tuple[Any, ...]:
    """What values behind their length become: them, what says which was cut, what was changed."""
    batch, changed = by_text(rule, field, *values)
    wired = [None if value is None else behind_length(value) for value in values]
    assert by_binary(rule, field, *wired) == (batch, changed)
    cut = batch[rule.flag].to_pylist() if rule.flag is not None else None
    return batch["c"].to_pylist(), cut, {change: count for (change, _), count in changed.items()}


def test_a_long_text_is_cut_behind_a_whole_character_and_the_row_says_so() -> None:
    cut = of(TEXT, long_text=LongText.TRUNCATE)
    whole = "漢" * (MOST // 3)
    texts = ["", whole, whole + "漢", "a" + whole, "ab" + "é" * MOST, "abc" + "🙂" * MOST, None]

    found, flags, changed = read(cut, *[None if t is None else t.encode() for t in texts])

    assert found[:2] == ["", whole]
    assert found[2:4] == [whole, "a" + whole[:-1]]
    assert found[4] == "ab" + "é" * ((MOST - 2) // 2)
    assert found[5] == "abc" + "🙂" * ((MOST - 3) // 4)
    assert found[6] is None
    assert flags == [False, False, True, True, True, True, False]
    assert changed == {Change.TRUNCATED: 4}


def test_what_may_be_cut_has_a_column_that_says_so() -> None:
    cut = of(TEXT, long_text=LongText.TRUNCATE)

    assert cut.columns == (
        Column("c", "longtext", "string", nullable=False, octets=MOST),
        Column("c__truncated", "boolean", "bool", nullable=False),
    )
    assert read(cut, b"short", None)[1:] == ([False, False], {})


def test_a_long_text_becomes_null_and_is_counted() -> None:
    nulled = of(TEXT, long_text=LongText.NULL)

    assert nulled.columns[0].nullable
    found = read(nulled, b"a" * MOST, b"a" * (MOST + 1), None, b"b" * (MOST + 1), b"c")
    assert found == (["a" * MOST, None, None, None, "c"], None, {Change.NULLED: 2})


@pytest.mark.parametrize(
    ("column", "long"),
    [
        (SourceColumn("c", "varchar", "varchar(9)", nullable=True, characters=9), False),
        (
            SourceColumn(
                "c", "text", "text", nullable=True, characters=MOST, octets=MOST, charset="utf8mb4"
            ),
            False,
        ),
        (
            SourceColumn(
                "c", "text", "text", nullable=True, characters=MOST, octets=MOST, charset="latin1"
            ),
            True,
        ),
        (SourceColumn("c", "json", "json", nullable=True), True),
        (SourceColumn("c", "polygon", "polygon", nullable=True), True),
        (SourceColumn("c", "varbinary", "varbinary(9)", nullable=True, octets=9), False),
        (BLOB, True),
        (SourceColumn("c", "int", "int", nullable=True), False),
    ],
)
def test_only_what_can_be_too_long_is_ever_cut(column: SourceColumn, long: bool) -> None:
    cut = of(column, long_text=LongText.TRUNCATE)
    assert (cut.long, cut.flag is not None) == (long, long)


def test_nul_characters_are_taken_out_before_a_text_is_measured() -> None:
    asked = of(TEXT, nul_bytes=NulBytes.STRIP, long_text=LongText.TRUNCATE)
    values = [b"a\0b\0", b"plain", None, b"x" * MOST + b"\0", b"\0"]

    found = read(asked, *values)

    assert found[0] == ["ab", "plain", None, "x" * MOST, ""]
    assert found[1:] == ([False] * 5, {Change.STRIPPED: 3})


def test_a_policy_whose_case_does_not_occur_leaves_the_array_alone() -> None:
    asked = of(TEXT, nul_bytes=NulBytes.STRIP, long_text=LongText.NULL)
    data = np.frombuffer(b"abcd" + bytes(PAD), np.uint8)
    values = arrays.Values(data, np.array([0, 2]), np.array([2, 4]), None)
    array = arrays.shown(asked, values)

    assert policy._stripped(array) == (array, 0)
    assert policy._fitted(asked, array).array is array


def test_bytes_are_hex_digits_cut_behind_a_whole_byte() -> None:
    cut = of(BLOB, long_text=LongText.TRUNCATE)
    found = read(cut, b"\xff" * 32_767, b"\xfe" * 32_768, None)
    assert found[0] == ["ff" * 32_767, "fe" * 32_767, None]
    assert found[1:] == ([False, True, False], {Change.TRUNCATED: 1})


def test_bytes_are_bytes_where_varbyte_is_asked_for() -> None:
    asked = of(BLOB, binary=Binary.VARBYTE)
    assert asked.columns == (Column("c", "blob", "binary", nullable=False, octets=MOST),)
    assert read(asked, b"", b"\0\xff", None)[0] == [b"", b"\0\xff", None]
    longest = SourceColumn("c", "longblob", "longblob", nullable=True, octets=2**32 - 1)
    assert of(longest, binary=Binary.VARBYTE).octets == 4_000_000


DAYS = [dt.date(2024, 2, 29), None]
DATE = SourceColumn("c", "date", "date", nullable=False)
DATE_FIELD = Field("c", FIELD_TYPE.DATE, 0, 0, 63, 0)


def test_an_impossible_date_ends_the_run_where_that_is_asked_for() -> None:
    asked = of(DATE, dates=Dates.FAIL)
    day, zero = b"\4\xe8\7\2\x1d", b"\0"
    assert not asked.nullable
    assert by_text(asked, DATE_FIELD, b"2024-02-29", None)[0]["c"].to_pylist() == DAYS
    assert by_binary(asked, DATE_FIELD, day, None)[0]["c"].to_pylist() == DAYS
    for decode, values in (
        (by_text, [b"2024-02-29", b"0000-00-00", b"2023-02-31"]),
        (by_binary, [day, zero, zero]),
    ):
        with pytest.raises(DataError, match="no calendar has") as caught:
            decode(asked, DATE_FIELD, *values)
        told = {"table": "shop.notes", "column": "c", "type": "date", "row": "id=1"}
        assert caught.value.context == told
        assert "dates: null or text" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "fraction", "octets"),
    [("date", None, 10), ("datetime", 0, 19), ("timestamp", 6, 26), ("datetime", 1, 21)],
)
def test_dates_as_text_are_the_servers_own(kind: str, fraction: int | None, octets: int) -> None:
    column = SourceColumn("c", kind, kind, nullable=False, fraction=fraction)
    asked = of(column, dates=Dates.TEXT)
    assert asked.select == "CAST({} AS CHAR)"
    assert asked.columns == (Column("c", kind, "string", nullable=False, octets=octets),)


TINY = SourceColumn("c", "tinyint", "tinyint(1)", nullable=True)
TINY_FIELD = Field("c", FIELD_TYPE.TINY, 0, 1, 63, 0)


def test_tinyint1_is_believed_only_where_it_is_0_or_1() -> None:
    asked = of(TINY, tinyint1=TinyInt1.BOOL)
    truths = [False, True, None, True]
    assert by_text(asked, TINY_FIELD, b"0", b"1", None, b"1")[0]["c"].to_pylist() == truths
    wired = by_binary(asked, TINY_FIELD, b"\0", b"\1", None, b"\1")
    assert wired[0]["c"].to_pylist() == truths
    for value in (b"5", b"-1", b"11", b"9"):
        with pytest.raises(DataError, match=r"neither 0 nor 1.*row=id=2"):
            by_text(asked, TINY_FIELD, b"0", None, value)
    for value in (b"\5", b"\xff"):
        with pytest.raises(DataError, match=r"neither 0 nor 1.*row=id=2"):
            by_binary(asked, TINY_FIELD, b"\0", None, value)


def test_another_tinyint_stays_a_number() -> None:
    for spelled in ("tinyint(4)", "tinyint", "tinyint unsigned", "tinyint(1) unsigned"):
        column = SourceColumn("c", "tinyint", spelled, nullable=True)
        assert of(column, tinyint1=TinyInt1.BOOL).arrow == "int16"


def test_bigint_unsigned_may_be_a_bigint_where_it_fits() -> None:
    column = SourceColumn("c", "bigint", "bigint(20) unsigned", nullable=True)
    asked = of(column, bigint_unsigned=BigintUnsigned.BIGINT)
    field = Field("c", FIELD_TYPE.LONGLONG, FLAG.UNSIGNED, 20, 63, 0)
    most, wide = 2**63 - 1, 2**63
    found = by_text(asked, field, b"0", None, str(most).encode())[0]
    assert found["c"].to_pylist() == [0, None, most]
    packed = [struct.pack("<Q", 0), None, struct.pack("<Q", most)]
    assert by_binary(asked, field, *packed)[0] == found
    with pytest.raises(DataError, match=r"above 9223372036854775807.*row=id=1"):
        by_text(asked, field, b"1", str(wide).encode())
    with pytest.raises(DataError, match=r"above 9223372036854775807.*row=id=1"):
        by_binary(asked, field, struct.pack("<Q", 1), struct.pack("<Q", wide))


POINT = bytes.fromhex("0101000000") + struct.pack("<dd", 1.5, -2.0)
WITHIN = bytes.fromhex("0107000000 01000000") + POINT
SHAPE = SourceColumn("c", "geometry", "geometry", nullable=True)
SHAPE_FIELD = Field("c", FIELD_TYPE.GEOMETRY, 0, 0, 63, 0)


def test_a_geometry_is_ewkb_with_its_srid_at_the_outermost() -> None:
    at_4326, nowhere = (4326).to_bytes(4, "little"), bytes(4)
    found = read(
        of(SHAPE),
        nowhere + POINT,
        at_4326 + POINT,
        None,
        at_4326 + WITHIN,
        nowhere + WITHIN,
        field=SHAPE_FIELD,
    )
    assert found[0] == [
        POINT.hex(),
        "0101000020e6100000" + POINT[5:].hex(),
        None,
        "0107000020e6100000" + WITHIN[5:].hex(),
        WITHIN.hex(),
    ]


@pytest.mark.parametrize("value", [b"", bytes(8), bytes(4) + b"\0" + POINT[1:]])
def test_what_is_no_geometry_is_refused(value: bytes) -> None:
    with pytest.raises(DataError, match="column=c"):
        by_text(of(SHAPE), SHAPE_FIELD, bytes(4) + POINT, value)


def test_a_vector_is_the_hex_of_its_floats() -> None:
    column = SourceColumn("c", "vector", "vector(2)", nullable=True)
    found = read(of(column), struct.pack("<2f", 1, -2), None, field=Field("c", 242, 0, 0, 63, 0))
    assert of(column).octets == 16
    assert found[0] == ["0000803f000000c0", None]


def notes(*columns: SourceColumn) -> SourceTable:
    keys = (("d",),)
    return SourceTable(TABLE, columns, keys, primary=True, indexes=(), engine="InnoDB")


DAY = SourceColumn("d", "date", "date", nullable=False)
KEYED = notes(DAY, TEXT)


def test_a_column_s_own_policies_win() -> None:
    own = (("C", Policies(long_text=LongText.TRUNCATE)),)
    spec = TableSpec(TABLE, policies=Policies(dates=Dates.TEXT), columns=own)
    plan = choose(KEYED, spec)
    assert [column.name for column in plan.schema.columns] == ["d", "c", "c__truncated"]
    assert [rule.arrow for rule in plan.rules] == ["string", "string"]


def test_a_policy_for_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="unknown column") as caught:
        choose(KEYED, TableSpec(TABLE, columns=(("cc", Policies()),)))
    assert "columns: c" in caught.value.hint


USES = {
    "dates": {"date", "datetime", "timestamp"},
    "long_text": {"varchar", "json", "enum", "blob", "varbinary", "point", "geometry", "vector"},
    "nul_bytes": {"varchar", "json", "enum"},
    "binary": {"blob", "varbinary"},
    "tinyint1": {"tinyint(1)"},
    "bigint_unsigned": {"bigint unsigned"},
}
OTHERS = {"tinyint", "int", "int unsigned", "bigint", "decimal", "float", "bit", "year", "time"}


@pytest.mark.parametrize("setting", USES)
@pytest.mark.parametrize("kind", sorted(set().union(*USES.values(), OTHERS, {"uuid", "inet6"})))
def test_a_policy_named_for_a_column_must_mean_something_to_it(setting: str, kind: str) -> None:
    data_type = kind.partition(" ")[0].partition("(")[0]
    column = SourceColumn("c", data_type, kind, nullable=True, characters=9, octets=36, precision=9)
    for everyone in (Policies(), Policies(dates=Dates.TEXT, binary=Binary.VARBYTE)):
        assert rule(TABLE, column, everyone)
    named = Policies(own=frozenset({setting}))
    if kind in USES[setting]:
        assert rule(TABLE, column, named)
        return
    with pytest.raises(ConfigError, match="means nothing") as caught:
        choose(notes(DAY, column), TableSpec(TABLE, columns=(("c", named),)))
    facts = {"table": str(TABLE), "column": "c", "type": kind, "setting": setting}
    assert caught.value.context == facts
    assert caught.value.hint.startswith(f"{setting} is for ")


def test_what_rows_are_merged_by_is_never_changed() -> None:
    asked = Policies(long_text=LongText.NULL, nul_bytes=NulBytes.STRIP)
    merged = choose(KEYED, TableSpec(TABLE, policies=asked, mode=Mode.MERGE))
    assert merged.rules[0].policies == Policies(dates=Dates.FAIL)
    assert not merged.rules[0].nullable
    replaced = choose(KEYED, TableSpec(TABLE, policies=asked, mode=Mode.REPLACE))
    assert replaced.rules[0].policies == asked
