"""Files carry the columns, Redshift's physical types and our keys, and nothing else."""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_async.parquet import Form, ParquetFile

SCHEMA = pa.schema(
    [
        pa.field("n", pa.int16(), nullable=False),
        ("amount", pa.decimal128(20, 4)),
        ("at", pa.timestamp("us")),
        ("name", pa.string()),
    ],
    metadata={"pandas": "leaks"},
)


def batch(start: int, count: int) -> pa.RecordBatch:
    numbers = range(start, start + count)
    columns = [
        [n % 1000 for n in numbers],
        [Decimal(n) / 4 for n in numbers],
        [dt.datetime(2024, 1, 1) + dt.timedelta(microseconds=n) for n in numbers],
        [None if n % 3 == 0 else f"näme {n}" for n in numbers],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def written(file: ParquetFile, size: int = 1000) -> bytes:
    file.finish()
    return b"".join([*file.take(size), *file.rest()])


@pytest.fixture
def file() -> ParquetFile:
    return ParquetFile(SCHEMA, Form({"s3rs.batch": "B"}, sought=("n", "at")))


def test_what_is_taken_piece_by_piece_is_the_whole_file(file: ParquetFile) -> None:
    pieces = []
    for start in range(0, 5000, 1000):
        file.write([batch(start, 500), batch(start + 500, 500)])
        pieces += file.take(4096)
    data = b"".join(pieces) + written(file, 4096)

    assert pieces
    assert {len(piece) for piece in pieces} == {4096}
    assert len(data) == file.size
    table = pq.read_table(io.BytesIO(data))
    assert table.num_rows == file.rows == 5000
    assert table.to_pylist() == pa.Table.from_batches([batch(0, 5000)]).to_pylist()


def test_each_write_is_one_row_group(file: ParquetFile) -> None:
    file.write([batch(0, 10), batch(10, 20)])
    file.write([batch(30, 5)])

    found = pq.ParquetFile(io.BytesIO(written(file))).metadata
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [30, 5]


def test_no_metadata_but_ours(file: ParquetFile) -> None:
    file.write([batch(0, 1)])

    assert pq.ParquetFile(io.BytesIO(written(file))).metadata.metadata == {b"s3rs.batch": b"B"}


def test_physical_types_are_those_that_copy_takes(file: ParquetFile) -> None:
    file.write([batch(0, 1)])

    schema = pq.ParquetFile(io.BytesIO(written(file))).schema
    kinds = [schema.column(i).physical_type for i in range(len(SCHEMA))]
    assert kinds == ["INT32", "FIXED_LEN_BYTE_ARRAY", "INT64", "BYTE_ARRAY"]
    assert '"timeUnit":"microseconds"' in schema.column(2).logical_type.to_json()


def test_a_decimal_has_as_many_bytes_as_its_digits_need_and_is_never_an_integer() -> None:
    digits = range(1, 39)
    schema = pa.schema([(f"d{n}", pa.decimal128(n, n // 2)) for n in digits])
    file = ParquetFile(schema, Form())
    file.write([pa.record_batch([pa.nulls(1, field.type) for field in schema], schema=schema)])

    found = pq.ParquetFile(io.BytesIO(written(file))).schema
    for n, column in zip(digits, (found.column(i) for i in range(len(digits))), strict=True):
        assert column.physical_type == "FIXED_LEN_BYTE_ARRAY"
        assert 2 ** (8 * column.length - 1) > 10**n - 1 >= 2 ** (8 * column.length - 9)
        assert (column.precision, column.scale) == (n, n // 2)


def test_only_what_rows_are_looked_for_by_has_statistics(file: ParquetFile) -> None:
    file.write([batch(7, 100)])

    group = pq.ParquetFile(io.BytesIO(written(file))).metadata.row_group(0)
    chunks = {name: group.column(i) for i, name in enumerate(SCHEMA.names)}
    assert [name for name, chunk in chunks.items() if chunk.is_stats_set] == ["n", "at"]
    assert (chunks["n"].statistics.min, chunks["n"].statistics.max) == (7, 106)


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_files_are_packed_as_was_asked(compression: str) -> None:
    file = ParquetFile(SCHEMA, Form(compression=compression))
    file.write([batch(0, 1000)])

    data = written(file)
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    assert {group.column(i).compression for i in range(4)} == {compression.upper()}
    assert pq.read_table(io.BytesIO(data)).num_rows == 1000


def test_a_long_file_never_sits_whole_in_memory() -> None:
    noise = np.random.default_rng(1).integers(0, 1 << 60, (24, 100_000))
    table = [pa.record_batch([numbers], ["n"]) for numbers in noise]
    file = ParquetFile(table[0].schema, Form())
    file.write(table[:1])
    tracemalloc.start()
    for each in table:
        file.write([each])
        file.take(1 << 18)
    file.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert file.size > 16 << 20
    assert most < 3 << 20


def test_only_text_has_a_dictionary(file: ParquetFile) -> None:
    file.write([batch(0, 1000)])

    group = pq.ParquetFile(io.BytesIO(written(file))).metadata.row_group(0)
    chunks = [group.column(i) for i in range(len(SCHEMA))]
    assert [chunk.has_dictionary_page for chunk in chunks] == [False, False, False, True]


def test_a_dictionary_of_what_does_not_repeat_is_given_up_early() -> None:
    rows = 50_000
    digits = np.random.default_rng(1).bytes(16 * rows).hex()
    unique = [digits[at : at + 32] for at in range(0, len(digits), 32)]
    table = pa.table({"unique": unique, "few": [text[:2] for text in unique]})
    file = ParquetFile(table.schema, Form())
    file.write(table.to_batches())

    group = pq.ParquetFile(io.BytesIO(written(file))).metadata.row_group(0)
    unlike, alike = group.column(0), group.column(1)
    assert unlike.data_page_offset - unlike.dictionary_page_offset < 128 << 10
    assert alike.total_uncompressed_size < rows * 1.1
    assert unlike.total_uncompressed_size < rows * 36 + (128 << 10)
