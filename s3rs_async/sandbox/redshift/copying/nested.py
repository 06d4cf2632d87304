"""A value of any Parquet type as the JSON text that a SUPER column holds.

Names and texts become strings, numbers stay numbers with all their digits, a map becomes an object,
dates and times become their ISO text, bytes their hexadecimal one. JSON has no NaN: null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import pyarrow as pa

Value: TypeAlias = Any  # whatever Arrow makes of a value of its many types


def _members(pairs: Iterator[tuple[Value, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(str(name))}: {text}" for name, text in pairs) + "}"


def _number(value: Value) -> str:
    if isinstance(value, float):
        return json.dumps(value) if math.isfinite(value) else "null"
    return format(value, "f")


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    return json.dumps(value.hex() if isinstance(value, bytes) else str(value))


def json_text(value: Value, kind: pa.DataType, *, maps: bool = True) -> str:
    """One value as JSON; `maps` says whether a map is an object or a list of pairs."""
    if value is None:
        return "null"
    if pa.types.is_struct(kind):
        return _members((f.name, json_text(value[f.name], f.type, maps=maps)) for f in kind)
    if pa.types.is_map(kind):
        texts = [(key, json_text(item, kind.item_type, maps=maps)) for key, item in value]
        if maps:
            return _members(iter(texts))
        return "[" + ", ".join(f"[{json.dumps(str(key))}, {text}]" for key, text in texts) + "]"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "[" + ", ".join(json_text(v, kind.value_type, maps=maps) for v in value) + "]"
    is_number = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return _number(value) if is_number else _plain(value)
