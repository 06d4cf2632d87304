"""Of keys that the target has, those that the source has no longer, as rows of a batch.

They are looked for at the source once more, in the pass that has the table: a row that came back
meanwhile is kept, and one that comes back later is found as anything that is new. Keys are told
apart by their texts, byte by byte: where the source holds two spellings for one key, the other
spelling is no key of its own.

A key is a text here; its Arrow values are those that the text protocol's decoder makes of it, so
that no second rule says what a text means.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import sql
from .chunk import ReadPlan
from .connection import Source
from .decode import TextDecoder
from .field import Field
from .piece import Results
from .types import Cast, Rule
from .walk import KEYS_AT_ONCE
from .wire import PAD, Packets

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[str, ...]
_HEADER = b"\0\0\0\0"
_SHORT, _LONG = 251, 1 << 16


async def absent(
    source: Source, plan: ReadPlan, keys: Sequence[Key]
) -> AsyncGenerator[pa.RecordBatch, None]:
    """Batches of the key's columns, for those of the keys that are not at the source."""
    results = Results(plan)
    async with source.reader(plan.source.name) as session:
        for first in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[first : first + KEYS_AT_ONCE]
            page = sql.Page(plan.source.name, plan.order, order=plan.order, among=some)
            there = await results.keys(session, page)
            missing = [key for key in some if key not in there]
            if missing:
                yield batch_of(plan.order, session.fields, missing)


def batch_of(rules: Sequence[Rule], fields: Sequence[Field], keys: Sequence[Key]) -> pa.RecordBatch:
    """Keys as a record batch; `fields` are the columns of a result that has them."""
    rows = [_HEADER + b"".join(map(_cell, rules, key)) for key in keys]
    ends = np.cumsum([len(row) for row in rows])
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    data = np.frombuffer(b"".join(rows) + bytes(PAD), np.uint8)
    return TextDecoder(rules, fields).decode(Packets(data, starts, int(ends[-1]))).batch


def _cell(rule: Rule, text: str) -> bytes:
    """A value behind its length, as a server sends it."""
    value = bytes.fromhex(text) if rule.cast is Cast.HEX else text.encode()
    size = len(value)
    if size < _SHORT:
        return bytes([size]) + value
    width = 2 if size < _LONG else 3
    return bytes([0xFA + width]) + size.to_bytes(width, "little") + value
