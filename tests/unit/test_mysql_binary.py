"""The binary protocol's kernels, by bytes written by hand: what a value is, and what is none."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pymysql.constants import FIELD_TYPE, FLAG

from s3rs_async.errors import DataError
from s3rs_async.model import Change, TableName
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.field import NOT_FIXED, Field
from s3rs_async.mysql.floats import shortest
from s3rs_async.mysql.spelling import spelled
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import Rule, rule
from s3rs_async.mysql.wire import PAD, Packets

U = FLAG.UNSIGNED
UTC = dt.UTC


def of(kind: str, column_type: str | None = None, **facts: Any) -> Rule:
    column = SourceColumn("c", kind, column_type or kind, nullable=True, **facts)
    return rule(TableName("s", "t"), column)


def field(code: int, flags: int = 0, length: int = 0, decimals: int = 0) -> Field:
    return Field("c", code, flags, length, 63, decimals)


def packets(rows: list[bytes]) -> Packets:
    wire = [len(row).to_bytes(3, "little") + b"\3" + row for row in rows]
    starts = np.cumsum([0, *map(len, wire)])
    data = np.frombuffer(b"".join(wire) + bytes(PAD), np.uint8)
    return Packets(data, starts[:-1].astype(np.int64), int(starts[-1]))


def row(value: bytes | None) -> bytes:
    return b"\0" + (b"\4" if value is None else b"\0" + value)


def read(rule: Rule, field: Field, *values: bytes | None) -> tuple[list[Any], list[str | None]]:
    """What values become in the batch, and in a position."""
    found = packets([row(value) for value in values])
    decoder = BinaryDecoder([rule], [field])
    decoded = decoder.decode(found)
    decoded.batch.validate(full=True)
    ends = [*found.starts[1:].tolist(), found.end]
    texts = []
    for at, end in enumerate(ends):
        (cell,) = decoder.last(Packets(found.data, found.starts[at : at + 1], end))
        texts.append(None if cell is None else cell.decode())
    return decoded.batch["c"].to_pylist(), texts


WHOLES = [
    ("tinyint", FIELD_TYPE.TINY, "<b", [-128, 127]),
    ("tinyint", FIELD_TYPE.TINY, "<B", [0, 255]),
    ("smallint", FIELD_TYPE.SHORT, "<h", [-32768, 32767]),
    ("smallint unsigned", FIELD_TYPE.SHORT, "<H", [65535]),
    ("mediumint", FIELD_TYPE.INT24, "<i", [-8388608, 8388607]),
    ("mediumint unsigned", FIELD_TYPE.INT24, "<I", [16777215]),
    ("int", FIELD_TYPE.LONG, "<i", [-(2**31), 2**31 - 1]),
    ("int unsigned", FIELD_TYPE.LONG, "<I", [2**32 - 1]),
    ("bigint", FIELD_TYPE.LONGLONG, "<q", [-(2**63), 2**63 - 1]),
    ("bigint unsigned", FIELD_TYPE.LONGLONG, "<Q", [0, 2**64 - 1]),
    ("bigint unsigned", FIELD_TYPE.LONGLONG, "<q", [-1]),
]


@pytest.mark.parametrize(("kind", "code", "shape", "numbers"), WHOLES)
def test_whole_numbers_are_as_wide_as_their_type(
    kind: str, code: int, shape: str, numbers: list[int]
) -> None:
    wired = [struct.pack(shape, number) for number in numbers]
    sent = field(code, U if shape[1].isupper() else 0)
    found = read(of(kind.split(maxsplit=1)[0], kind), sent, *wired, None, wired[0])
    assert found[0] == [*numbers, None, numbers[0]]
    assert found[1] == [*map(str, numbers), None, str(numbers[0])]


def test_a_year_has_two_bytes_and_four_digits() -> None:
    year = field(FIELD_TYPE.YEAR, U | FLAG.ZEROFILL, 4)
    found = read(of("year"), year, b"\0\0", b"\x6d\x07", None)
    assert found == ([0, 1901, None], ["0000", "1901", None])


def test_floats_are_exact() -> None:
    double, single = field(FIELD_TYPE.DOUBLE, decimals=31), field(FIELD_TYPE.FLOAT, decimals=31)
    values = [0.1, -1.7976931348623157e308, 5e-324, -0.0]
    wired = [struct.pack("<d", value) for value in values]
    texts = ["0.1", "-1.7976931348623157e308", "5e-324", "-0", None]
    assert read(of("double"), double, *wired, None) == ([*values, None], texts)
    assert read(of("float"), double, struct.pack("<d", 16777217.0))[0] == [16777216.0]
    assert read(of("float"), single, struct.pack("<f", 0.1))[0] == [0.10000000149011612]


def test_a_float_with_fixed_decimals_shows_them_all() -> None:
    fixed = field(FIELD_TYPE.DOUBLE, decimals=2)
    assert read(of("double"), fixed, struct.pack("<d", -1.5)) == ([-1.5], ["-1.50"])


def test_a_float_with_fixed_decimals_is_the_one_that_is_shown() -> None:
    fixed = field(FIELD_TYPE.DOUBLE, decimals=3)
    beside = 1.9300000000000002
    values = [beside, -beside, 0.0005, 2.0**60, 1e300, None]
    wired = [None if value is None else struct.pack("<d", value) for value in values]
    found, texts = read(of("double"), fixed, *wired)
    assert found == [1.93, -1.93, 0.001, 2.0**60, 1e300, None]
    assert texts[:2] == ["1.930", "-1.930"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (100.0, "100"),
        (1e15, "1e15"),
        (1e14, "100000000000000"),
        (123456789012345.6, "123456789012345.6"),
        (1234567890123456.7, "1234567890123456.8"),
        (0.001, "0.001"),
        (1e-14, "0.00000000000001"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (-1.5e-300, "-1.5e-300"),
        (0.0, "0"),
    ],
)
def test_a_float_has_an_exponent_where_mysql_has_one(number: float, text: str) -> None:
    assert shortest(number) == text
    assert float(text) == number


def test_a_bit_is_a_truth_value() -> None:
    one = field(FIELD_TYPE.LONGLONG, U)
    bits = [struct.pack("<Q", value) for value in (0, 1)]
    assert read(of("bit", precision=1), one, *bits, None)[0] == [False, True, None]
    with pytest.raises(DataError, match="column=c"):
        read(of("bit", precision=1), one, struct.pack("<Q", 2))


DAY, CLOCK = b"\xe8\x07\x02\x1d", b"\x17\x3b\x3b"


def test_dates_have_no_bytes_or_four() -> None:
    wired = [b"\4" + DAY, b"\0", None, b"\4\xea\x07\x02\x1d", b"\4\xea\x07\x02\0"]
    days, texts = read(of("date"), field(FIELD_TYPE.DATE), *wired)
    assert days == [dt.date(2024, 2, 29), None, None, None, None]
    assert texts == ["2024-02-29", "0000-00-00", None, "2026-02-29", "2026-02-00"]


def test_impossible_dates_are_counted_and_null_is_not() -> None:
    found = packets([row(value) for value in (b"\0", None, b"\4" + DAY, b"\4\0\0\1\1")])
    assert BinaryDecoder([of("date")], [field(FIELD_TYPE.DATE)]).decode(found).changed == {
        (Change.NULLED, "c"): 2
    }


def test_moments_leave_out_zeros_at_their_end() -> None:
    stamp = field(FIELD_TYPE.DATETIME, decimals=6)
    micros = (999_999).to_bytes(4, "little")
    wired = [b"\4" + DAY, b"\7" + DAY + CLOCK, b"\x0b" + DAY + CLOCK + micros, b"\0", None]
    moments, texts = read(of("datetime", fraction=6), stamp, *wired)
    day = dt.datetime(2024, 2, 29)
    second = day.replace(hour=23, minute=59, second=59)
    assert moments == [day, second, second.replace(microsecond=999_999), None, None]
    assert texts == [
        "2024-02-29 00:00:00.000000",
        "2024-02-29 23:59:59.000000",
        "2024-02-29 23:59:59.999999",
        "0000-00-00 00:00:00.000000",
        None,
    ]


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0, ""), (1, ".1"), (3, ".120"), (5, ".12000"), (6, ".120000")]
)
def test_a_position_has_the_digits_of_its_column(fraction: int, shown: str) -> None:
    micros = int((shown[1:] or "0").ljust(6, "0"))
    wired = b"\x0b" + DAY + CLOCK + micros.to_bytes(4, "little")
    sent = field(FIELD_TYPE.TIMESTAMP, decimals=fraction)
    _, texts = read(of("timestamp", fraction=fraction), sent, wired)
    assert texts == [f"2024-02-29 23:59:59{shown}"]


def test_a_position_with_more_digits_than_its_column_is_refused() -> None:
    wired = b"\x0b" + DAY + CLOCK + (1).to_bytes(4, "little")
    with pytest.raises(DataError, match="more digits"):
        read(of("datetime", fraction=3), field(FIELD_TYPE.DATETIME, decimals=3), wired)


def test_spans_have_a_sign_and_days() -> None:
    span = field(FIELD_TYPE.TIME, decimals=6)
    tiny = b"\x0c\1" + bytes(7) + (1).to_bytes(4, "little")
    longest = b"\x08\0" + (34).to_bytes(4, "little") + b"\x16\x3b\x3b"
    found, texts = read(of("time", fraction=6), span, tiny, longest, b"\0", None)
    assert found == [-1, (838 * 3600 + 3599) * 1_000_000, 0, None]
    assert texts == ["-00:00:00.000001", "838:59:59.000000", "00:00:00.000000", None]


def test_texts_decimals_and_bytes_are_behind_their_length() -> None:
    long = "ü" * 40_000
    wired = [
        b"\0",
        b"\2\xc3\xbc",
        None,
        b"\xfc\xfb\0" + b"x" * 251,
        b"\xfd" + len(long.encode()).to_bytes(3, "little") + long.encode(),
        b"\xfe" + (1).to_bytes(8, "little") + b"y",
    ]
    texts = ["", "ü", None, "x" * 251, long, "y"]
    sent = field(FIELD_TYPE.VAR_STRING)
    assert read(of("longtext", characters=9), sent, *wired) == (texts, texts)
    number = field(FIELD_TYPE.NEWDECIMAL, decimals=2)
    found = read(of("decimal", precision=5, scale=2), number, b"\7-123.45", None)
    assert found == ([Decimal("-123.45"), None], ["-123.45", None])
    raw = BinaryDecoder([of("blob", octets=9)], [field(FIELD_TYPE.BLOB)])
    one = packets([row(b"\3\xfb\0\xff")])
    assert raw.decode(one).batch["c"].to_pylist() == ["fb00ff"]
    assert raw.last(one) == [b"\xfb\0\xff"]


def test_the_bitmap_says_which_of_many_columns_are_null() -> None:
    rules = [of("tinyint")] * 20
    sent = [field(FIELD_TYPE.TINY)] * 20
    null = {0, 5, 6, 13, 14, 19}
    bitmap = sum(1 << at + 2 for at in null).to_bytes(3, "little")
    body = b"\0" + bitmap + bytes(at for at in range(20) if at not in null)
    decoder = BinaryDecoder(rules, sent)
    found = decoder.decode(packets([body])).batch.columns
    assert [array[0].as_py() for array in found] == [None if at in null else at for at in range(20)]


def test_a_column_that_is_always_null_has_no_bytes() -> None:
    nothing = field(FIELD_TYPE.NULL)
    assert read(of("int"), nothing, None, None) == ([None, None], [None, None])
    with pytest.raises(DataError, match="does not end"):
        read(of("int"), nothing, b"")


TEXT = of("text", characters=9), field(FIELD_TYPE.BLOB)
INT = of("int"), field(FIELD_TYPE.LONG)
STAMP = of("datetime", fraction=6), field(FIELD_TYPE.DATETIME)
SPAN = of("time", fraction=6), field(FIELD_TYPE.TIME)
DATE = of("date"), field(FIELD_TYPE.DATE)


@pytest.mark.parametrize(
    ("column", "body"),
    [
        (TEXT, b""),
        (TEXT, b"\0"),
        (TEXT, b"\0\0"),
        (TEXT, b"\0\0\5abc"),
        (TEXT, b"\0\0\2abc"),
        (TEXT, b"\0\0\xfb"),
        (TEXT, b"\0\0\xff" + b"x" * 255),
        (TEXT, b"\0\0\xfc\xff\xff"),
        (TEXT, b"\0\0\xfd\xff\xff\xff"),
        (TEXT, b"\0\0\xfe" + b"\xff" * 8),
        (TEXT, b"\0\0\xfe" + (2**63).to_bytes(8, "little")),
        (TEXT, b"\0\0\xfe" + (2**31).to_bytes(8, "little")),
        (TEXT, b"\0\4\1x"),
        (TEXT, b"\xfe\0\3abcdefgh"),
        (TEXT, b"\1\0\1x"),
        (INT, b"\0\0\1\2\3"),
        (INT, b"\0\0\1\2\3\4\5"),
        (INT, b"\0\4\1"),
        (STAMP, b"\0\0\7\1\2\3"),
        (DATE, b"\0\0\4"),
    ],
)
def test_a_row_whose_bytes_are_not_its_values_is_refused(column: Any, body: bytes) -> None:
    good = {TEXT: b"\0\0\1x", INT: b"\0\0\1\2\3\4", STAMP: b"\0\0\0", DATE: b"\0\0\0"}[column]
    decoder = BinaryDecoder([column[0]], [column[1]])
    for rows in ([body], [good, body], [body, good], [good, body, good]):
        with pytest.raises(DataError, match="does not end"):
            decoder.decode(packets(rows))


@pytest.mark.parametrize("neighbour", [b"\0\4", b"\0\0\1x"])
def test_the_texts_mark_of_null_is_no_length(neighbour: bytes) -> None:
    decoder = BinaryDecoder([TEXT[0]], [TEXT[1]])
    with pytest.raises(DataError, match="does not end"):
        decoder.decode(packets([neighbour, b"\0\0\xfb" + b"x" * 0xFB]))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (DATE, b"\7" + DAY + CLOCK),
        (DATE, b"\1\0"),
        (STAMP, b"\5" + DAY + b"\0"),
        (STAMP, b"\x0c" + bytes(12)),
        (STAMP, b"\7" + DAY + b"\x18\0\0"),
        (STAMP, b"\7" + DAY + b"\0\x3c\0"),
        (STAMP, b"\7" + DAY + b"\0\0\xff"),
        (STAMP, b"\x0b" + DAY + CLOCK + (1_000_000).to_bytes(4, "little")),
        (SPAN, b"\7" + bytes(7)),
        (SPAN, b"\x08\2" + bytes(7)),
        (SPAN, b"\x08\0" + b"\xff" * 4 + bytes(3)),
        (SPAN, b"\x08\0" + bytes(4) + b"\0\x3c\0"),
        (SPAN, b"\x0c\0" + bytes(7) + b"\xff" * 4),
        (TEXT, b"\2\xff\xfe"),
        ((of("smallint"), field(FIELD_TYPE.LONG)), (40_000).to_bytes(4, "little")),
        ((of("decimal", precision=3, scale=1), field(FIELD_TYPE.NEWDECIMAL)), b"\4-1.x"),
    ],
)
def test_a_value_that_its_type_cannot_hold_names_the_column(column: Any, value: bytes) -> None:
    decoder = BinaryDecoder([column[0]], [column[1]])
    for rows in ([row(value)], [row(None), row(value)]):
        with pytest.raises(DataError, match="column=c"):
            decoder.decode(packets(rows))


@pytest.mark.parametrize(
    ("described", "code"),
    [
        (of("int"), FIELD_TYPE.BIT),
        (of("int"), FIELD_TYPE.DOUBLE),
        (of("int"), FIELD_TYPE.DATE),
        (of("decimal", precision=9, scale=2), FIELD_TYPE.DOUBLE),
        (of("text", characters=9), FIELD_TYPE.LONG),
        (of("date"), FIELD_TYPE.DATETIME),
        (of("datetime"), FIELD_TYPE.VAR_STRING),
        (of("time"), FIELD_TYPE.LONGLONG),
    ],
)
def test_another_type_than_the_described_one_is_refused(described: Rule, code: int) -> None:
    with pytest.raises(DataError, match="another type"):
        BinaryDecoder([described], [field(code)])


def test_as_many_columns_as_were_asked_for_or_none() -> None:
    with pytest.raises(DataError, match="does not end"):
        BinaryDecoder([INT[0]], [INT[1]] * 2)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\0\5ab", b"\0\0\1xy", b"\0\0\xfb"])
def test_a_row_that_is_cut_short_has_no_position(body: bytes) -> None:
    with pytest.raises(DataError):
        spelled(body, [TEXT[1]])


def test_no_rows_are_an_empty_batch() -> None:
    decoder = BinaryDecoder(
        [each[0] for each in (TEXT, STAMP, SPAN)], [each[1] for each in (TEXT, STAMP, SPAN)]
    )
    assert decoder.decode(packets([])).batch.num_rows == 0


def test_a_fixed_number_of_decimals_ends_below_the_servers_mark() -> None:
    assert NOT_FIXED == 31
