"""Values as a target column takes them.

They are checked by Redshift's rules and leave in the one Arrow type that the encoder knows for
the column.

A batch is checked by whole columns. Only where one fails is a value looked at by itself, to say
which. Whatever a switched-off rule lets by is cast, and what cannot be is Arrow's error, which the
load reports as the scanner's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..rules import holds
from . import scan
from .columns import Column
from .nested import json_text
from .pgcopy import Bytes
from .utf8 import NOBODY_RE2, mended, offence, without_nobodys

_ASCII = 0x7F
_SUPER_LIMIT = 65_535
_TEXTS = frozenset({"varchar", "bpchar"})
_ARROW_TEXTS = (pa.string(), pa.large_string(), pa.string_view())
_ARROW = {
    "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(),
    "float8": pa.float64(), "bool": pa.bool_(), "date": pa.date32(), "time": pa.time64("us"),
    "timetz": pa.time64("us"), "varchar": pa.string(), "bpchar": pa.string(), "bytea": pa.binary(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The file that values come from, and what stands in for wrong bytes there; none: nothing."""

    uri: str
    region: str
    character: str = ""


def _wanted(column: Column, kind: pa.DataType) -> pa.DataType:
    if column.type == "numeric":
        return pa.decimal128(*column.decimal)
    if column.type in ("timestamp", "timestamptz"):
        return pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None)
    return _ARROW[column.type]


def _plain(array: pa.Array) -> pa.Array:
    """The values themselves, however Arrow's schema in the file wraps them."""
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _cast(column: Column, array: pa.Array) -> pa.Array:
    wanted = _wanted(column, array.type)
    if array.type == wanted:
        return array
    options = pc.CastOptions(wanted, allow_time_truncate=True, allow_invalid_utf8=True)
    return pc.cast(array, options=options)


def _data(array: pa.Array) -> Bytes:
    """The bytes of all texts, one after the other."""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)
    if data is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[ends[array.offset] : ends[array.offset + len(array)]]


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _wrong(array: pa.Array) -> bytes:
    """The first text that is no UTF-8."""
    values = array.cast(pa.binary()).drop_null().to_pylist()
    first: bytes = next(value for value in values if offence(value)[1])
    return first


def _mended(array: pa.Array, character: str) -> pa.Array:
    texts = [
        None if data is None else mended(data, character)
        for data in array.cast(pa.binary()).to_pylist()
    ]
    return pa.array(texts, pa.string())


def _utf8(column: Column, array: pa.Array, source: Source) -> pa.Array:
    mends = bool(source.character) and column.type == "varchar" and holds("T15a")
    if not _is_valid(array):
        if mends:
            array = _mended(array, source.character)
        elif holds("T15"):
            raise scan.invalid_utf8(column, source.uri, _wrong(array))
    if mends and holds("T15b") and pc.any(pc.match_substring_regex(array, NOBODY_RE2)).as_py():
        texts = [t and without_nobodys(t, source.character) for t in array.to_pylist()]
        array = pa.array(texts, pa.string())
    return array


def _check_nul(column: Column, array: pa.Array, source: Source) -> None:
    data = _data(array)
    if data.size and not data.min() and holds("T15c"):
        raise scan.nul_byte(column, source.uri)


def _longest(array: pa.Array, limit: int) -> tuple[int, str] | None:
    sizes = pc.binary_length(array)
    longest = pc.max(sizes).as_py() or 0
    if longest <= limit:
        return None
    value = array[pc.index(sizes, longest).as_py()].as_py()
    shown = value if isinstance(value, str) else value.hex()
    return longest, shown[: scan.SHOWN]


def _check_length(column: Column, array: pa.Array, source: Source) -> None:
    rule = scan.TOO_LONG[column.type]
    if column.length and (found := _longest(array, column.length)) and holds(rule):
        raise scan.too_long(column, found[0], source.uri, source.region, found[1])


def _check_single_bytes(column: Column, array: pa.Array, source: Source) -> None:
    data = _data(array)
    if data.size and data.max() > _ASCII and holds("T12"):
        wide = pc.not_equal(pc.binary_length(array), pc.utf8_length(array))
        raise scan.multibyte(column, source.uri, array.filter(wide)[0].as_py()[: scan.SHOWN])


def _text(column: Column, array: pa.Array, source: Source) -> pa.Array:
    array = _utf8(column, array, source)
    _check_nul(column, array, source)
    if column.type == "bpchar":
        _check_single_bytes(column, array, source)
    _check_length(column, array, source)
    return array


def _super(column: Column, array: pa.Array, source: Source) -> pa.Array:
    """JSON, as the backend takes it: a version, then the text."""
    is_text = array.type in _ARROW_TEXTS
    array = array.cast(pa.string(), safe=False) if is_text else array
    if not _is_valid(array):
        raise scan.invalid_utf8(column, source.uri, _wrong(array) if is_text else b"")
    if is_text:
        _check_nul(column, array, source)
    if is_text and _longest(array, _SUPER_LIMIT) and holds("12a"):
        raise scan.super_too_long(column, source.uri)
    values, parsed = array.to_pylist(), is_text and not holds("12c")
    maps, texts = holds("12d"), list[bytes | None]()
    for value in values:
        text = value if parsed else json_text(value, array.type, maps=maps)
        texts.append(None if value is None else b"\x01" + text.encode())
    return pa.array(texts, pa.binary())


def _nested(array: pa.Array) -> pa.Array:
    texts = [None if v is None else json_text(v, array.type) for v in array.to_pylist()]
    return pa.array(texts, pa.string())


def loaded(column: Column, array: pa.Array, source: Source) -> pa.Array:
    """A file's values for a column, or the error of the first rule that they break."""
    if column.not_null and array.null_count and holds("T14"):
        raise scan.null_value(column, source.uri)
    if pa.types.is_null(array.type):
        return array
    array = _plain(array)
    if column.type == "jsonb":
        return _super(column, array, source)
    array = _cast(column, _nested(array) if pa.types.is_nested(array.type) else array)
    if column.type in _TEXTS:
        return _text(column, array, source)
    if column.type == "bytea":
        _check_length(column, array, source)
    return array
