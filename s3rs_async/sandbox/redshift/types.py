"""Redshift's column types: how DDL names them, what holds them in the backend, what they encode as.

Defaults that PostgreSQL lacks are the point: TEXT is VARCHAR(256), DECIMAL is (18,0), CHAR is one
byte. Lengths are bytes; the backend counts characters, so `sql/tables.sql` adds a check in octets.
Types that Redshift does not have (json, uuid, arrays, serial, bytea) are refused here, because a
column that only the stand-in accepts would hide the error until the first real cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .faults import RedshiftError, not_emulated

if TYPE_CHECKING:
    from .tokens import Cursor

VARCHAR_LIMIT = 65535
CHAR_LIMIT = 4096
DECIMAL_LIMIT = 38
SCALE_LIMIT = 37

_PLAIN = {
    "SMALLINT": "smallint", "INT2": "smallint", "INTEGER": "integer", "INT": "integer",
    "INT4": "integer", "BIGINT": "bigint", "INT8": "bigint", "REAL": "real", "FLOAT4": "real",
    "FLOAT8": "double precision", "FLOAT": "double precision", "BOOLEAN": "boolean",
    "BOOL": "boolean", "DATE": "date", "TIMESTAMPTZ": "timestamptz", "TIMETZ": "timetz",
    "SUPER": "jsonb",
}  # fmt: skip
_TEXTS = {"VARCHAR": 256, "NVARCHAR": 256, "TEXT": 256, "CHAR": 1, "NCHAR": 1, "BPCHAR": 256}
_KNOWN_MISSING = {"GEOMETRY", "GEOGRAPHY", "HLLSKETCH", "INTERVAL"}
_NUMBERS = frozenset({"smallint", "integer", "bigint", "date", "timestamp", "timestamptz"})
ENCODINGS = frozenset(
    [
        "raw",
        "az64",
        "bytedict",
        "delta",
        "delta32k",
        "lzo",
        "mostly8",
        "mostly16",
        "mostly32",
        "runlength",
        "text255",
        "text32k",
        "zstd",
        "auto",
    ]
)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type in the backend; `octets` is its length in bytes where it has one."""

    sql: str
    octets: int = 0

    def takes(self, encoding: str) -> bool:
        """Whether Redshift has this encoding for the type."""
        kind = self.sql.split("(", maxsplit=1)[0]
        if encoding == "az64":
            return kind in _NUMBERS or kind == "numeric"
        if encoding in ("text255", "text32k"):
            return kind == "varchar"
        return encoding in ENCODINGS


def _length(cursor: Cursor, default: int, limit: int, name: str) -> int:
    if not cursor.accept("("):
        return default
    size = limit if cursor.accept("MAX") else cursor.number()
    cursor.expect(")")
    if not 1 <= size <= limit:
        message = f"length for type {name} must be between 1 and {limit}"
        raise RedshiftError(message, "22023", rule="D1")
    return size


def _text(cursor: Cursor, word: str) -> ColumnType:
    fixed = word in ("CHAR", "NCHAR", "BPCHAR") and not cursor.accept("VARYING")
    limit = CHAR_LIMIT if fixed else VARCHAR_LIMIT
    default = _TEXTS[word] if fixed else 256
    size = default if word == "TEXT" else _length(cursor, default, limit, word.lower())
    return ColumnType(f"{'char' if fixed else 'varchar'}({size})", size)


def _decimal(cursor: Cursor) -> ColumnType:
    precision, scale = 18, 0
    if cursor.accept("("):
        precision = cursor.number()
        scale = cursor.number() if cursor.accept(",") else 0
        cursor.expect(")")
    if not 1 <= precision <= DECIMAL_LIMIT:
        message = f"DECIMAL precision {precision} must be between 1 and {DECIMAL_LIMIT}"
        raise RedshiftError(message, "22023", rule="D1")
    if not 0 <= scale <= min(precision, SCALE_LIMIT):
        message = f"DECIMAL scale {scale} must be between 0 and {min(precision, SCALE_LIMIT)}"
        raise RedshiftError(message, "22023", rule="D1")
    return ColumnType(f"numeric({precision},{scale})")


def _timed(cursor: Cursor, word: str) -> ColumnType:
    base = word.lower()
    if cursor.accept("WITH", "TIME", "ZONE"):
        return ColumnType(base + "tz")
    cursor.accept("WITHOUT", "TIME", "ZONE")
    return ColumnType(base)


def _binary(cursor: Cursor) -> ColumnType:
    return ColumnType("bytea", _length(cursor, 64000, 16_777_216, "varbyte"))


def _plain(word: str) -> ColumnType:
    if word in _KNOWN_MISSING:
        raise not_emulated(f"the type {word}")
    if word not in _PLAIN:
        raise RedshiftError(f'type "{word.lower()}" does not exist', "42704", rule="D1")
    return ColumnType(_PLAIN[word])


def read_type(cursor: Cursor) -> ColumnType:
    """A type as DDL writes it."""
    token = cursor.take()
    word = token.word
    if word == "CHARACTER":
        word = "CHAR"
    if word in _TEXTS:
        return _text(cursor, word)
    if word in ("DECIMAL", "NUMERIC", "DEC"):
        return _decimal(cursor)
    if word in ("TIMESTAMP", "TIME"):
        return _timed(cursor, word)
    if word in ("VARBYTE", "VARBINARY") or (word == "BINARY" and cursor.accept("VARYING")):
        return _binary(cursor)
    if word == "DOUBLE":
        cursor.expect("PRECISION")
        return ColumnType("double precision")
    return _plain(word)
