"""The binary encoder: what was loaded reads back equal, and the images themselves."""

from __future__ import annotations

import datetime as dt
import io
import struct
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3rs_async.sandbox.redshift.copying import parquet
from s3rs_async.sandbox.redshift.copying.columns import Column, decimal_length
from s3rs_async.sandbox.redshift.copying.pgcopy import HEADER, TRAILER, encode, pieces, rows_of
from s3rs_async.sandbox.redshift.copying.values import Source, loaded
from s3rs_async.sandbox.redshift.faults import RedshiftError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.standin
EXACT = Context(prec=60)
DIGITS = [(1, 0), (4, 4), (9, 2), (18, 0), (18, 6), (18, 17), (19, 3), (20, 0)]
DIGITS += [(38, scale) for scale in (0, 1, 10, 18, 37)]


@dataclass(frozen=True)
class Case:
    """A column of the backend's, the Arrow type that a file has for it, and its values."""

    sql: str
    type: str
    kind: pa.DataType
    values: st.SearchStrategy[Any]
    typmod: int = -1


def decimals(precision: int, scale: int) -> Case:
    top = 10**precision - 1
    numbers = st.integers(-top, top) | st.sampled_from([top, -top, 0, 1, -1])
    values = numbers.map(lambda number: Decimal(number).scaleb(-scale, EXACT))
    kind, typmod = pa.decimal128(precision, scale), ((precision << 16) | scale) + 4
    return Case(f"numeric({precision},{scale})", "numeric", kind, values, typmod)


def whole(sql: str, name: str, kind: pa.DataType, bits: int) -> Case:
    return Case(sql, name, kind, st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


MOMENTS = st.datetimes()
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
CASES = [
    whole("smallint", "int2", pa.int16(), 16),
    whole("integer", "int4", pa.int32(), 32),
    whole("bigint", "int8", pa.int64(), 64),
    Case("real", "float4", pa.float32(), st.floats(width=32, allow_nan=False)),
    Case("double precision", "float8", pa.float64(), st.floats(allow_nan=False)),
    Case("boolean", "bool", pa.bool_(), st.booleans()),
    Case("date", "date", pa.date32(), st.dates()),
    Case("timestamp", "timestamp", pa.timestamp("us"), MOMENTS),
    Case("timestamptz", "timestamptz", pa.timestamp("us", "UTC"), st.datetimes(
        min_value=dt.datetime(2, 1, 1), timezones=st.just(dt.UTC))),
    Case("time", "time", pa.time64("us"), st.times()),
    Case("timetz", "timetz", pa.time64("us"), st.times().map(lambda t: t.replace(tzinfo=dt.UTC))),
    Case("varchar", "varchar", pa.string(), TEXTS),
    Case("varchar", "varchar", pa.large_string(), TEXTS),
    Case("varchar", "varchar", pa.dictionary(pa.int32(), pa.string()), TEXTS),
    Case("bytea", "bytea", pa.binary(), st.binary(max_size=30)),
    *(decimals(precision, scale) for precision, scale in DIGITS),
]  # fmt: skip
COLUMNS = [Column(f"c{at}", c.type, c.typmod, not_null=False) for at, c in enumerate(CASES)]


@pytest.fixture(scope="module")
def backend(backing: tuple[Path, str]) -> Iterator[Any]:
    """A session of the backend itself, with a table of every type."""
    with psycopg.connect(host=str(backing[0]), user="postgres", dbname="postgres") as session:
        columns = ", ".join(f"c{at} {case.sql}" for at, case in enumerate(CASES))
        session.execute("SET timezone = 'UTC'")
        session.execute(f"CREATE TEMP TABLE t ({columns})")
        yield session
        session.rollback()


def stored(backend: Any, parts: Iterable[bytes | memoryview]) -> list[tuple[Any, ...]]:
    """What the backend makes of a stream."""
    backend.execute("TRUNCATE t")
    with backend.cursor().copy("COPY t FROM STDIN (FORMAT binary)") as stream:
        for part in (HEADER, *parts, TRAILER):
            stream.write(bytes(part))
    return list(backend.execute("SELECT * FROM t ORDER BY ctid", binary=True).fetchall())


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    row = st.tuples(*(st.none() | case.values for case in CASES))
    some = draw(st.lists(row, min_size=1, max_size=4))
    full = st.tuples(*(case.values for case in CASES))
    return [*some, *draw(st.lists(full, max_size=2))]


def arrays(rows: list[tuple[Any, ...]]) -> list[pa.Array]:
    found = []
    for case, values in zip(CASES, zip(*rows, strict=True), strict=True):
        plain = [
            v.replace(tzinfo=None) if isinstance(v, dt.time) else v for v in values
        ]  # Arrow's times have no zone
        if pa.types.is_dictionary(case.kind):
            found.append(pa.array(plain, pa.string()).dictionary_encode())
        else:
            found.append(pa.array(plain, case.kind))
    return found


MANY = settings(
    max_examples=25, deadline=None, suppress_health_check=[*HealthCheck], print_blob=True
)


@MANY
@given(rows=tables(), before=st.integers(0, 9))
def test_slices_of_columns_read_back_equal(
    backend: Any, rows: list[tuple[Any, ...]], before: int
) -> None:
    whole = arrays([rows[0]] * before + rows + [rows[-1]])
    cut = [array.slice(before, len(rows)) for array in whole]
    source = Source("s3://b/k", "r")
    values = [loaded(column, array, source) for column, array in zip(COLUMNS, cut, strict=True)]
    assert stored(backend, [encode(COLUMNS, values)]) == rows
    later = before % len(rows)
    assert stored(backend, [encode(COLUMNS, [a.slice(later) for a in values])]) == rows[later:]


@MANY
@given(rows=tables(), group=st.integers(1, 4), integers=st.booleans())
def test_files_read_back_equal(
    backend: Any, rows: list[tuple[Any, ...]], group: int, integers: bool
) -> None:
    buffer = io.BytesIO()
    table = pa.table(arrays(rows), names=[column.name for column in COLUMNS])
    pq.write_table(table, buffer, row_group_size=group, store_decimal_as_integer=integers)
    target = parquet.Target(tuple(COLUMNS), frozenset(), "r")
    chunks = list(
        parquet.chunks(parquet.open_file(pa.BufferReader(buffer.getvalue())), target, "u")
    )
    assert [count for count, _ in chunks] == [
        len(rows[at : at + group]) for at in range(0, len(rows), group)
    ]
    assert stored(backend, [data for _, data in chunks]) == rows


@pytest.mark.parametrize(("precision", "scale"), DIGITS)
def test_a_file_has_a_decimal_in_the_fewest_bytes(precision: int, scale: int) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"d": pa.array([None], pa.decimal128(precision, scale))}), buffer)
    assert pq.ParquetFile(buffer).schema.column(0).length == decimal_length(precision)


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_what_is_before_all_time_is_an_error(kind: str) -> None:
    column = Column("d", kind, -1, not_null=False)
    arrow = pa.date32() if kind == "date" else pa.timestamp("us")
    first = -(2**31) if kind == "date" else -(2**63)
    array = pa.array([first], pa.int32() if kind == "date" else pa.int64()).view(arrow)
    with pytest.raises(pa.ArrowInvalid, match="overflow"):
        encode([column], [array])


def value_of(image: bytes) -> Decimal:
    """A number as the backend sends it."""
    count, weight, sign, scale = struct.unpack_from("!hhHh", image)
    groups = struct.unpack_from(f"!{count}h", image, 8)
    assert len(image) == 8 + 2 * count
    total = Decimal(0)
    for at, group in enumerate(groups):
        assert 0 <= group < 10_000
        total = EXACT.add(total, Decimal(group).scaleb(4 * (weight - at), EXACT))
    return EXACT.quantize(total.copy_negate() if sign else total, Decimal(1).scaleb(-scale))


@pytest.mark.parametrize(("precision", "scale"), DIGITS)
def test_decimals_of_every_width_are_encoded_exactly(precision: int, scale: int) -> None:
    top = Decimal(10**precision - 1).scaleb(-scale, EXACT)
    least = Decimal(1).scaleb(-scale)
    values = [top, top.copy_negate(), Decimal(0), None, least, least.copy_negate()]
    kind = pa.decimal128(precision, scale)
    column = Column("d", "numeric", ((precision << 16) | scale) + 4, not_null=False)
    stream = bytes(encode([column], [pa.array([None, *values], kind).slice(1)]))
    found, at = [], 0
    while at < len(stream):
        assert stream[at : at + 2] == b"\0\1"
        (size,) = struct.unpack_from("!i", stream, at + 2)
        found.append(None if size < 0 else value_of(stream[at + 6 : at + 6 + size]))
        at += 6 + max(size, 0)
    assert found == values


def test_rows_of_mixed_columns_are_laid_out_field_by_field() -> None:
    columns = [
        Column("a", "int8", -1, not_null=False),
        Column("b", "varchar", 14, not_null=False),
        Column("c", "date", -1, not_null=False),
        Column("d", "bool", -1, not_null=False),
    ]
    columns_of_two = [
        pa.array([1, None], pa.int64()),
        pa.array([None, "ä"]),
        pa.array([dt.date(2000, 1, 2), None]),
        pa.nulls(2),
    ]
    null = b"\xff\xff\xff\xff"
    first = b"\0\4" + struct.pack("!iq", 8, 1) + null + struct.pack("!ii", 4, 1) + null
    second = b"\0\4" + null + struct.pack("!i", 2) + "ä".encode() + null + null
    data, ends = rows_of(columns, columns_of_two)
    assert bytes(data) == first + second
    assert list(ends - ends[0]) == [0, len(first), len(first + second)]


def test_bytes_below_a_null_are_not_sent() -> None:
    offsets, valid = np.array([0, 2, 4], np.int32), bytes([0b10])
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"noes")]
    array = pa.Array.from_buffers(pa.string(), 2, buffers)
    column = Column("d", "varchar", 14, not_null=False)
    null, text = b"\0\1\xff\xff\xff\xff", b"\0\1\0\0\0\2es"
    assert bytes(encode([column], [array])) == null + text


def test_a_batch_of_long_texts_is_cut_into_pieces() -> None:
    texts = pa.array(["x" * 65_535] * 600)
    parts = [len(piece[0]) for piece in pieces([texts, pa.array(np.arange(600))])]
    assert parts[:-1]
    assert sum(parts) == 600


def table_of_rows(size: int) -> tuple[pq.ParquetFile, parquet.Target]:
    """One row of 70 texts among small ones, with so many bytes."""
    each, rest = divmod(size, 70)
    buffer = io.BytesIO()
    columns = {f"c{at}": ["a", "x" * (each + (rest if at == 0 else 0)), "b"] for at in range(70)}
    pq.write_table(pa.table(columns), buffer)
    wide = tuple(Column(name, "varchar", -1, not_null=False) for name in columns)
    file = parquet.open_file(pa.BufferReader(buffer.getvalue()))
    return file, parquet.Target(wide, frozenset(), "r")


def test_a_row_of_4_mb_is_the_largest() -> None:
    file, target = table_of_rows(4 << 20)
    assert sum(rows for rows, _ in parquet.chunks(file, target, "s3://b/k")) == 3
    file, target = table_of_rows((4 << 20) + 1)
    with pytest.raises(RedshiftError) as error:
        list(parquet.chunks(file, target, "s3://b/k"))
    assert error.value.rule == "16"
    assert error.value.report
    assert "Data: 4194305," in error.value.report.context
