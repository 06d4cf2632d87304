"""A position as text: what the ledger keeps beside its head, and only equality is asked of it."""

from __future__ import annotations

from ..errors import DataError
from ..model import Position
from .codec import dumps, loads, pack, unpack


def write_position(position: Position | None) -> str:
    """The canonical text of a position; `null` where nothing has been read."""
    return dumps(pack(position))


def read_position(text: str) -> Position | None:
    """The position that a text stands for."""
    try:
        raw = loads(text)
        return None if raw is None else unpack(Position, raw)
    except ValueError as reason:
        raise DataError(
            "a position cannot be read",
            reason=str(reason),
            hint="it was not written by s3rs; look at the ledger's head row",
        ) from reason
