"""Decimals by their digits: what Arrow reads from the same characters, or nothing at all."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.mysql import digits
from s3rs_async.mysql.wire import PAD

BETWEEN = b"\x0c7.-"
"""What may stand before a value: its length, and what another column has left."""


@st.composite
def columns(draw: st.DrawFn) -> tuple[int, int, list[str | None]]:
    """A column's digits, those of them behind the point, and values as a server writes them."""
    precision = draw(st.integers(1, digits.MOST_DIGITS))
    scale = draw(st.integers(0, min(precision, digits.MOST_BEHIND)))
    number = st.integers(1 - 10**precision, 10**precision - 1)
    written = number.map(lambda found: f"{Decimal(found).scaleb(-scale):.{scale}f}")
    return precision, scale, draw(st.lists(st.none() | written, min_size=1, max_size=8))


def laid(
    values: list[bytes | None], between: bytes
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.uint8]],
    np.ndarray[tuple[int], np.dtype[np.int64]],
    np.ndarray[tuple[int], np.dtype[np.int64]],
    np.ndarray[tuple[int], np.dtype[np.bool_]] | None,
]:
    data, starts, ends = b"", [], []
    for value in values:
        data += between
        starts.append(len(data))
        data += value or b""
        ends.append(len(data))
    null = np.array([value is None for value in values])
    bytes_ = np.frombuffer(data + bytes(PAD), np.uint8)
    return bytes_, np.array(starts), np.array(ends), null if null.any() else None


@given(columns(), st.sampled_from([b"\5", BETWEEN, b"123456789012345678901234"]))
def test_digits_are_the_number_that_they_write(
    column: tuple[int, int, list[str | None]], between: bytes
) -> None:
    precision, scale, written = column
    raw = [None if value is None else value.encode() for value in written]
    data, start, end, null = laid(raw, between)
    found = digits.decimals(data, start, end, null, precision, scale)
    assert found is not None
    told = [
        None if value is None else Decimal(number).scaleb(-scale)
        for value, number in zip(written, found.tolist(), strict=True)
    ]
    assert told == [None if value is None else Decimal(value) for value in written]


@given(columns(), st.integers(0, 30), st.integers(0, 255))
def test_what_is_not_written_as_usual_is_left_to_arrow(
    column: tuple[int, int, list[str | None]], at: int, byte: int
) -> None:
    precision, scale, written = column
    raw = [None if value is None else bytearray(value.encode()) for value in written]
    first = next((value for value in raw if value is not None), bytearray(b"0"))
    first[at % len(first)] = byte
    values = [None if value is None else bytes(value) for value in raw]
    data, start, end, null = laid(values, BETWEEN)
    found = digits.decimals(data, start, end, null, precision, scale)
    if found is None:
        return
    kind = pa.decimal128(precision, scale)
    arrow = pc.cast(pa.array(values, pa.binary()).cast(pa.string()), kind)
    ours = [None if v is None else n for v, n in zip(values, found.tolist(), strict=True)]
    theirs = [None if v is None else int(v.scaleb(scale)) for v in arrow.to_pylist()]
    assert ours == theirs


def test_a_value_of_more_digits_than_its_column_has_is_left_to_arrow() -> None:
    data, start, end, null = laid([b"123.45"], b"\6")
    assert digits.decimals(data, start, end, null, 5, 2) is not None
    assert digits.decimals(data, start, end, null, 4, 2) is None
    assert digits.decimals(data, start, end, null, 19, 2) is None
    assert digits.decimals(data, start, end, null, 18, 8) is None
    assert digits.decimals(data, start, end, null, 18, 3) is None
    data, start, end, null = laid([b"1.23"], b"\4")
    assert digits.decimals(data, start, end, null, 2, 2) is None
