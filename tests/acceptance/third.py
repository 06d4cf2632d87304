"""The third reader of MySQL: aiomysql's own cursor, unbuffered, and what its values are in ours.

It reads the text protocol by code that is none of ours. What it gives differs from what we give in
these ways, by rule and not by chance; each is written down here once:

- FLOAT: the server shows six digits of it, or as many as were declared, and it takes what is shown.
- dates that no calendar has: it hands out their text; NULL in ours.
- TIME: a timedelta; microseconds in ours.
- DECIMAL of more than 38 digits: a Decimal; its text in ours.
- BIT: big-endian bytes; a number in ours.
- BINARY and BLOB: bytes; hexadecimal in ours.
- geometries: SRID and WKB; EWKB in hexadecimal in ours.
- VECTOR: it takes the bytes for ASCII; so it is asked for them in hexadecimal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiomysql

if TYPE_CHECKING:
    from s3rs_async.sandbox.mariadb import MySQL

Change = Callable[[Any], Any]
_MICRO = dt.timedelta(microseconds=1)


async def rows(server: MySQL, database: str, statement: str) -> list[tuple[Any, ...]]:
    """All rows of a statement, as the driver converts them."""
    connection = await aiomysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        db=database,
        charset="utf8mb4",
        init_command="SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES'",
    )
    try:
        async with connection.cursor(aiomysql.SSCursor) as cursor:
            await cursor.execute(statement)
            found: list[tuple[Any, ...]] = await cursor.fetchall()
            return found
    finally:
        connection.close()


def columns(kinds: list[str]) -> str:
    """What it is asked for: columns `c0` and so on of these types."""
    return ", ".join(
        f"LOWER(HEX(c{at}))" if kind.startswith("VECTOR") else f"c{at}"
        for at, kind in enumerate(kinds)
    )


def as_ours(kind: str) -> Change:
    """What one of its values is in ours."""
    word = kind.partition(" ")[0].partition("(")[0]
    if kind == "DECIMAL(65,30)":
        return lambda value: f"{value:f}"
    if word.endswith(("BINARY", "BLOB")):
        return bytes.hex
    return _CHANGES.get(word, _same)


def as_shown(kind: str) -> Change:
    """What is left of one of ours where the server shows less than there is."""
    if not kind.startswith("FLOAT"):
        return _same
    digits, _, _ = kind.partition(",")[2].partition(")")
    form = f".{digits}f" if digits else ".6g"
    return lambda value: float(f"{value:{form}}")


def _same(value: Any) -> Any:
    return value


def _ewkb(value: bytes) -> str:
    srid, kind, rest = value[:4], value[5:9], value[9:]
    if not any(srid):
        return value[4:].hex()
    return (value[4:5] + kind[:3] + bytes([kind[3] | 0x20]) + srid + rest).hex()


def _possible(value: Any) -> Any:
    return None if isinstance(value, str) else value


_CHANGES: dict[str, Change] = {
    "DATE": _possible,
    "DATETIME": _possible,
    "TIMESTAMP": _possible,
    "TIME": lambda value: value // _MICRO,
    **dict.fromkeys(("GEOMETRY", "POINT", "LINESTRING", "GEOMETRYCOLLECTION"), _ewkb),
    "BIT": lambda value: int.from_bytes(value, "big"),
}
