"""Made-up rows in both protocols: the same batch, the same positions, however the bytes are cut."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE, FLAG

from s3rs_async.errors import Error
from s3rs_async.model import Changes, TableName
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.field import Field
from s3rs_async.mysql.floats import fixed, rounded, shortest
from s3rs_async.mysql.spelling import spelled
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import rule
from s3rs_async.mysql.wire import PAD, Packets
from tests.property.pieces import cut

EOF = b"\xfe\0\0\x02\0"


def column(kind: str, code: int, flags: int = 0, decimals: int = 0, **facts: Any) -> Any:
    unsigned = " unsigned" if flags & FLAG.UNSIGNED else ""
    described = SourceColumn(kind, kind, kind + unsigned, nullable=True, **facts)
    return rule(TableName("s", "t"), described), Field(kind, code, flags, 0, 63, decimals)


COLUMNS = [
    column("tinyint", FIELD_TYPE.TINY),
    column("smallint", FIELD_TYPE.SHORT, FLAG.UNSIGNED),
    column("bigint", FIELD_TYPE.LONGLONG),
    column("bigint", FIELD_TYPE.LONGLONG, FLAG.UNSIGNED),
    column("double", FIELD_TYPE.DOUBLE, decimals=31),
    column("decimal", FIELD_TYPE.NEWDECIMAL, decimals=2, precision=20, scale=2),
    column("date", FIELD_TYPE.DATE),
    column("datetime", FIELD_TYPE.DATETIME, decimals=6, fraction=6),
    column("timestamp", FIELD_TYPE.TIMESTAMP, decimals=3, fraction=3),
    column("time", FIELD_TYPE.TIME, decimals=6, fraction=6),
    column("longtext", FIELD_TYPE.BLOB, characters=9),
    column("varbinary", FIELD_TYPE.VAR_STRING, octets=9),
    column("bit", FIELD_TYPE.LONGLONG, FLAG.UNSIGNED, precision=1),
]
RULES = [each[0] for each in COLUMNS]
FIELDS = [each[1] for each in COLUMNS]

DAY = st.tuples(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31))
CLOCK = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
MICROS = st.just(0) | st.integers(0, 999_999)
VALUES = (
    st.integers(-128, 127),
    st.integers(0, 65535),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**17), 10**17, places=2),
    DAY,
    st.tuples(DAY, st.just((0, 0, 0)) | CLOCK, MICROS),
    st.tuples(DAY, CLOCK, MICROS.map(lambda micros: micros // 1000 * 1000)),
    st.tuples(st.booleans(), st.integers(0, 838), CLOCK, MICROS),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.integers(0, 1),
)
ROW = st.tuples(*(st.none() | values for values in VALUES))


def lenenc(value: bytes) -> bytes:
    size = len(value)
    return bytes([size]) + value if size < 251 else b"\xfc" + size.to_bytes(2, "little") + value


def day_text(day: tuple[int, ...]) -> str:
    return "{:04}-{:02}-{:02}".format(*day)


def as_text(kind: str, value: Any) -> bytes:
    match kind, value:
        case "double", _:
            return shortest(value).encode()
        case "date", day:
            return day_text(day).encode()
        case "datetime" | "timestamp", (day, clock, micros):
            digits = f"{micros:06}"[: 6 if kind == "datetime" else 3]
            return f"{day_text(day)} {'{:02}:{:02}:{:02}'.format(*clock)}.{digits}".encode()
        case "time", (minus, hours, (_, minutes, seconds), micros):
            sign = "-" if minus else ""
            return f"{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}".encode()
        case _, bytes():
            return value
        case _:
            return str(value).encode()


def trimmed(packed: bytes, lengths: tuple[int, ...]) -> bytes:
    """The shortest of the lengths behind which only zeros would follow."""
    needed = len(packed.rstrip(b"\0"))
    return lenenc(packed[: next(length for length in lengths if length >= needed)])


def as_binary(kind: str, sent: Field, value: Any) -> bytes:
    match kind, value:
        case "double", _:
            return struct.pack("<d", value)
        case "date", day:
            return trimmed(struct.pack("<HBB", *day), (0, 4))
        case "datetime" | "timestamp", (day, clock, micros):
            return trimmed(struct.pack("<HBBBBBI", *day, *clock, micros), (0, 4, 7, 11))
        case "time", (minus, hours, (_, minutes, seconds), micros):
            rest = (hours // 24, hours % 24, minutes, seconds, micros)
            return trimmed(struct.pack("<BIBBBI", minus, *rest), (0, 8, 12))
        case _, int() if sent.width:
            return value.to_bytes(sent.width, "little", signed=not sent.unsigned)
        case _:
            return lenenc(as_text(kind, value))


def text_row(values: tuple[Any, ...]) -> bytes:
    return b"".join(
        b"\xfb" if value is None else lenenc(as_text(sent.name, value))
        for sent, value in zip(FIELDS, values, strict=True)
    )


def binary_row(values: tuple[Any, ...]) -> bytes:
    bitmap = sum(1 << at + 2 for at, value in enumerate(values) if value is None)
    return (
        b"\0"
        + bitmap.to_bytes((len(values) + 9) // 8, "little")
        + b"".join(
            as_binary(sent.name, sent, value)
            for sent, value in zip(FIELDS, values, strict=True)
            if value is not None
        )
    )


def pieces_of(bodies: list[bytes], step: int) -> list[Packets]:
    wired = (
        len(body).to_bytes(3, "little") + bytes([(3 + at) & 255]) + body
        for at, body in enumerate([*bodies, EOF])
    )
    return cut(b"".join(wired), step)


def batches(decoder: Any, pieces: list[Packets]) -> tuple[list[Any], Changes, list[Any]]:
    """All rows, what was changed, and each row as a position would have it."""
    rows: list[Any] = []
    changed: Changes = {}
    positions = []
    for piece in pieces:
        decoded = decoder.decode(piece)
        decoded.batch.validate(full=True)
        rows += decoded.batch.to_pylist()
        for each, count in decoded.changed.items():
            changed[each] = changed.get(each, 0) + count
        ends = [*piece.starts[1:].tolist(), piece.end]
        positions += [
            decoder.last(Packets(piece.data, piece.starts[at : at + 1], end))
            for at, end in enumerate(ends)
        ]
    return rows, changed, positions


@settings(deadline=None, max_examples=150)
@given(rows=st.lists(ROW, max_size=20), step=st.integers(1, 5000))
def test_both_protocols_give_one_batch_and_one_position(
    rows: list[tuple[Any, ...]], step: int
) -> None:
    text = batches(TextDecoder(RULES, FIELDS), pieces_of([text_row(row) for row in rows], step))
    binary = batches(
        BinaryDecoder(RULES, FIELDS), pieces_of([binary_row(row) for row in rows], step)
    )
    assert binary == text
    assert len(binary[0]) == len(rows)
    assert BinaryDecoder(RULES, FIELDS).schema == TextDecoder(RULES, FIELDS).schema


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_spelled_float_is_the_same_float(number: float) -> None:
    spelled_number = shortest(number)
    assert float(spelled_number) == number
    assert "e+" not in spelled_number
    assert len(spelled_number.replace("-", "").replace(".", "").strip("0").split("e")[0]) <= 17


@settings(max_examples=400)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6), max_size=9),
    st.integers(0, 30),
)
def test_a_rounded_float_is_what_its_shown_digits_are_read_as(
    numbers: list[float], decimals: int
) -> None:
    found = rounded(np.array(numbers, np.float64), decimals, None)
    assert found.tolist() == [float(fixed(number, decimals)) for number in numbers]


def loose(bodies: list[bytes]) -> Packets:
    """Bodies as the cutter would hand them out, whatever is in them."""
    starts = np.cumsum([0, *(len(body) + 4 for body in bodies)]).astype(np.int64)
    wired = b"".join(len(body).to_bytes(3, "little") + b"\3" + body for body in bodies)
    return Packets(np.frombuffer(wired + bytes(PAD), np.uint8), starts[:-1], int(starts[-1]))


FLAW = st.tuples(st.integers(0, 1 << 16), st.sampled_from([0, 1, 4, 11, 0xFA, *range(0xFB, 0x100)]))


@pytest.mark.parametrize("protocol", ["text", "binary"])
@settings(deadline=1000, max_examples=300)
@given(
    rows=st.lists(ROW, min_size=1, max_size=5),
    flaws=st.lists(FLAW, max_size=4),
    drop=st.none() | st.tuples(st.integers(0, 4), st.integers(1, 60)),
)
def test_what_is_flawed_is_an_error_of_ours_or_a_value(
    protocol: str, rows: list[tuple[Any, ...]], flaws: list[tuple[int, int]], drop: Any
) -> None:
    made = [bytearray(text_row(row) if protocol == "text" else binary_row(row)) for row in rows]
    for at, value in flaws:
        body = made[at % len(made)]
        body[at // len(made) % len(body)] = value
    if drop is not None:
        body = made[drop[0] % len(made)]
        del body[-min(drop[1], len(body) - 1) :]
    decoder = TextDecoder(RULES, FIELDS) if protocol == "text" else BinaryDecoder(RULES, FIELDS)
    packets = loose([bytes(body) for body in made])
    try:
        decoded = decoder.decode(packets)
        decoded.batch.validate(full=True)
        decoder.last(packets)
    except Error:
        return
    assert decoded.batch.num_rows == len(rows)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_position_or_an_error_of_ours(body: bytes) -> None:
    with_error = None
    try:
        found = spelled(body, FIELDS)
    except Error as error:
        with_error = error
    else:
        assert len(found) == len(FIELDS)
    assert with_error is None or with_error.message


@settings(max_examples=300, deadline=1000)
@given(st.lists(st.binary(min_size=1, max_size=120), min_size=1, max_size=6))
def test_any_bytes_are_rows_or_an_error_of_ours(bodies: list[bytes]) -> None:
    for decoder in (TextDecoder(RULES, FIELDS), BinaryDecoder(RULES, FIELDS)):
        for made in (bodies, [b"\0" + body for body in bodies]):
            try:
                decoder.decode(loose(made)).batch.validate(full=True)
            except Error:
                continue
