"""Framing and decoding of made-up results: what went in comes out, however the bytes are cut."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.errors import DataError, Error, UnavailableError
from s3rs_async.model import Change, TableName
from s3rs_async.mysql import wire
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.field import Field
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import Rule, rule
from s3rs_async.mysql.wire import Cutter
from tests.property.pieces import cut

NAME = TableName("s", "t")
EOF = b"\xfe\0\0\x02\0"


def of(name: str, kind: str, **facts: Any) -> Rule:
    return rule(NAME, SourceColumn(name, kind, kind, nullable=True, **facts))


def fields(rules: list[Rule]) -> list[Field]:
    """What the server says of their columns, as far as the text protocol needs it."""
    return [Field(rule.name, 0, 0, 0, 0, rule.fraction) for rule in rules]


def decoder_of(*rules: Rule) -> TextDecoder:
    return TextDecoder(rules, fields(list(rules)))


def lenenc(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return b"\xfd" + size.to_bytes(3, "little") + value


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number & 255]) + body


def result(rows: list[list[bytes | None]], sequence: int = 3, end: bytes = EOF) -> bytes:
    bodies = [b"".join(lenenc(cell) for cell in row) for row in rows]
    return b"".join(packet(sequence + at, body) for at, body in enumerate([*bodies, end]))


RULES = [
    of("n", "bigint"),
    of("s", "longtext", characters=99),
    of("b", "varbinary", octets=9),
    of("t", "datetime", fraction=6),
    of("d", "date"),
    of("h", "time", fraction=6),
    of("f", "bit", precision=1),
]


def span(micros: int) -> str:
    seconds, fraction = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


LONGEST = (838 * 3600 + 3599) * 1_000_000
ROW = st.tuples(
    *(
        st.none() | values
        for values in (
            st.integers(-(2**63), 2**63 - 1),
            st.text(max_size=300),
            st.binary(max_size=300),
            st.datetimes(),
            st.dates(),
            st.integers(-LONGEST, LONGEST),
            st.booleans(),
        )
    )
)
TEXTS = (
    lambda v: str(v).encode(),
    lambda v: v.encode(),
    lambda v: v,
    lambda v: v.isoformat(sep=" ", timespec="microseconds").encode(),
    lambda v: v.isoformat().encode(),
    lambda v: span(v).encode(),
    lambda v: str(int(v)).encode(),
)


@settings(deadline=None, max_examples=150)
@given(rows=st.lists(ROW, max_size=30), step=st.integers(1, 5000), sequence=st.integers(0, 255))
def test_what_went_in_comes_out(rows: list[tuple[Any, ...]], step: int, sequence: int) -> None:
    wired = [
        [None if v is None else text(v) for text, v in zip(TEXTS, row, strict=True)] for row in rows
    ]
    pieces = cut(result(wired, sequence), step, sequence)
    decoder = decoder_of(*RULES)
    found = []
    for piece in pieces:
        decoded = decoder.decode(piece)
        decoded.batch.validate(full=True)
        assert decoded.changed == {}
        found += [tuple(row.values()) for row in decoded.batch.to_pylist()]
    expected = [(*row[:2], None if row[2] is None else row[2].hex(), *row[3:]) for row in rows]
    assert found == expected
    cells = [
        wire.cells(piece.data.tobytes(), start, end)
        for piece in pieces
        for start, end in zip(
            piece.starts.tolist(), [*piece.starts[1:].tolist(), piece.end], strict=True
        )
    ]
    assert cells == wired


@given(st.integers(0, 9999), st.integers(0, 15), st.integers(0, 39))
def test_a_date_is_null_exactly_if_no_calendar_has_it(year: int, month: int, day: int) -> None:
    try:
        expected = dt.date(year, month, day)
    except ValueError:
        expected = None
    (piece,) = cut(result([[f"{year:04}-{month:02}-{day:02}".encode()]]), 999)
    decoded = decoder_of(of("d", "date")).decode(piece)
    assert decoded.batch.to_pylist() == [{"d": expected}]
    assert decoded.changed == ({(Change.NULLED, "d"): 1} if expected is None else {})


def test_long_values_keep_their_length() -> None:
    rows: list[list[bytes | None]] = [[b"x" * size] for size in (250, 251, 65535, 65536, 3_000_000)]
    pieces = cut(result(rows), 1 << 20)
    decoder = decoder_of(of("s", "longtext", characters=99))
    found = [value for piece in pieces for value in decoder.decode(piece).batch["s"].to_pylist()]
    assert [len(value) for value in found] == [250, 251, 65535, 65536, 3_000_000]


def test_bytes_that_stop_are_a_lost_connection() -> None:
    cutter = Cutter(3)
    cutter.feed(result([[b"1"]])[:-9])
    with pytest.raises(UnavailableError, match="closed the connection"):
        cutter.feed(b"")


def test_an_error_packet_is_the_servers_error_wherever_it_comes() -> None:
    killed = b"\xff" + (1317).to_bytes(2, "little") + b"#70100Query execution was interrupted"
    for rows in ([], [[b"1"]] * 5):
        cutter = Cutter(3)
        with pytest.raises(UnavailableError, match=r"killed.*interrupted"):
            cutter.feed(result(rows, end=killed))
            cutter.walk()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (result([[b"1"]]) + b"x", "behind the end"),
        (result([[b"1"]], sequence=4), "out of sequence"),
        (packet(3, b""), "empty packet"),
    ],
)
def test_what_is_no_result_is_refused(data: bytes, message: str) -> None:
    cutter = Cutter(3)
    with pytest.raises(Error, match=message):
        cutter.feed(data)
        cutter.walk()


@pytest.mark.parametrize("cells", [[b"1"], [b"1", b"2", b"3"]])
def test_a_row_that_does_not_fit_its_packet_is_refused(cells: list[bytes | None]) -> None:
    (piece,) = cut(result([cells]), 999)
    with pytest.raises(DataError, match="does not end"):
        decoder_of(of("a", "int"), of("b", "varchar", characters=9)).decode(piece)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("tinyint", b"40000"), ("int", b"x"), ("longtext", b"\xff\xfe"), ("double", b"")],
)
def test_a_value_that_its_type_cannot_hold_names_the_column(kind: str, value: bytes) -> None:
    (piece,) = cut(result([[b"1"], [value]] if kind != "longtext" else [[value]]), 999)
    with pytest.raises(DataError, match="column=c"):
        decoder_of(of("c", kind)).decode(piece)


@pytest.mark.parametrize(
    ("kind", "fraction", "value"),
    [
        ("date", None, b"2026-2-3"),
        ("date", None, b"2026-02-03 00:00:00"),
        ("datetime", 6, b"2026-02-03 04:05:06.78"),
        ("datetime", 0, b"2026-02-03 04:05:06.78"),
        ("datetime", 3, b""),
        ("time", 6, b"04:05:06.78"),
        ("time", 0, b"-1838:00:00"),
    ],
)
def test_digits_that_are_not_where_they_belong_are_no_value(
    kind: str, fraction: int | None, value: bytes
) -> None:
    (piece,) = cut(result([[None], [value]]), 999)
    with pytest.raises(DataError, match="column=c"):
        decoder_of(of("c", kind, fraction=fraction)).decode(piece)


def test_an_empty_result_is_an_empty_result() -> None:
    assert cut(result([]), 999) == []
