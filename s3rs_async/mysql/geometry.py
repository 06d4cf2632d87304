"""Geometries as MySQL keeps them → EWKB in hex digits; pure.

A stored value is four bytes of SRID, low byte first, and a WKB: one byte that says low byte first,
four of type, and the rest. EWKB has the SRID behind the type, and a bit in the type that says so.
So the two have the same bytes in another order, and a value without an SRID is its WKB. Geometries
inside of a collection stay as they are: EWKB has one SRID, at the outermost.

Coordinates are kept in the order in which the server stores them, x before y. MySQL 8 shows those
of a geographic system the other way round in its own WKT and WKB; their bytes here are longitude,
latitude.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from .arrays import Ints, Values, hexed, together

_SRID = 4
_HEAD = 9  # SRID, byte order, type
_LOW_FIRST = 1
_HAS_SRID = 0x20  # in the highest byte of the type
_ORDER = np.array([4, 5, 6, 7, 8, 0, 1, 2, 3])


def ewkb(values: Values) -> pa.Array | None:
    """The array of hex digits; None where one of the values is no geometry."""
    null = values.null
    some = np.flatnonzero(~null) if null is not None else np.arange(len(values.start))
    start = values.start.copy()
    length = values.end[some] - start[some]
    if len(some) and int(length.min()) < _HEAD:
        return None
    heads = values.data.take(start[some, None] + np.arange(_HEAD))
    if (heads[:, _SRID] != _LOW_FIRST).any():
        return None
    placed = heads[:, :_SRID].any(axis=1)
    start[some[~placed]] += _SRID
    raw = together(Values(values.data, start, values.end, null))
    if placed.any():
        raw = _turned(raw, some[placed])
    return hexed(raw, null)


def _turned(raw: pa.Array, rows: Ints) -> pa.Array:
    """The bytes with the SRID of these rows behind their type."""
    valid, offsets, data = raw.buffers()
    turned = np.frombuffer(data, np.uint8).copy()
    at = np.frombuffer(offsets, np.int32, len(raw) + 1)[rows].astype(np.int64)
    places = at[:, None] + np.arange(_HEAD)
    heads = turned[places][:, _ORDER]
    heads[:, _SRID] |= _HAS_SRID
    turned[places] = heads
    return pa.Array.from_buffers(raw.type, len(raw), [valid, offsets, pa.py_buffer(turned)])
