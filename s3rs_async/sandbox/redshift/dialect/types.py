"""Redshift's column types: how DDL names them and what holds them in the backend.

Defaults that PostgreSQL lacks are the point: TEXT is VARCHAR(256), DECIMAL is (18,0), CHAR is one
byte. Lengths are bytes; the backend counts characters, so `sql/tables.sql` adds a check in octets.
Types that Redshift does not have (json, uuid, arrays, serial, bytea) are refused here, because a
column that only the stand-in accepts would hide the error until the first real cluster. A rule
that is off leaves the type as PostgreSQL reads it: TEXT without an end, DECIMAL without a scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..faults import RedshiftError, not_emulated
from ..rules import holds

if TYPE_CHECKING:
    from .tokens import Cursor

VARCHAR_LIMIT = 65535
CHAR_LIMIT = 4096
VARBYTE_LIMIT = 16_777_216
DECIMAL_LIMIT = 38
SCALE_LIMIT = 37

_PLAIN = {
    "SMALLINT": "smallint", "INT2": "smallint", "INTEGER": "integer", "INT": "integer",
    "INT4": "integer", "BIGINT": "bigint", "INT8": "bigint", "REAL": "real", "FLOAT4": "real",
    "FLOAT8": "double precision", "FLOAT": "double precision", "BOOLEAN": "boolean",
    "BOOL": "boolean", "DATE": "date", "TIMESTAMPTZ": "timestamptz", "TIMETZ": "timetz",
}  # fmt: skip
_VARYING = frozenset({"VARCHAR", "NVARCHAR", "TEXT"})
_FIXED = {"CHAR": 1, "NCHAR": 1, "CHARACTER": 1, "BPCHAR": 256}
_NOT_EMULATED = frozenset({"GEOMETRY", "GEOGRAPHY", "HLLSKETCH", "INTERVAL"})
_RESERVED = frozenset({"NOT", "NULL", "DEFAULT", "PRIMARY", "UNIQUE", "REFERENCES", "CHECK"})
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


def _only_redshifts(name: str) -> RedshiftError:
    """What PostgreSQL says of a type's name that it does not know."""
    return RedshiftError(f'type "{name.lower()}" does not exist', "42704", rule="D1f")


def _size(cursor: Cursor, limit: int, rule: str) -> int:
    """A length in parentheses, 0 when there is none."""
    if not cursor.accept("("):
        return 0
    maximal = cursor.accept("MAX")
    if maximal and not holds("D1f"):
        raise _only_redshifts("max")
    size = limit if maximal else cursor.number()
    cursor.expect(")")
    if size > limit:
        message = f"Column length exceeds maximum allowed (maximum column length is {limit})"
        raise RedshiftError(message, "22023", rule=rule)
    if size < 1:
        raise RedshiftError("length of a type must be at least 1", "22023", rule=rule)
    return size


def _varying(cursor: Cursor, word: str) -> ColumnType:
    if word == "NVARCHAR" and not holds("D1f"):
        raise _only_redshifts(word)
    size = 0 if word == "TEXT" else _size(cursor, VARCHAR_LIMIT, "D1c")
    if not size and not holds("D1"):
        return ColumnType("text" if word == "TEXT" else "varchar")
    return ColumnType(f"varchar({size or 256})", size or 256)


def _fixed(cursor: Cursor, word: str) -> ColumnType:
    size = _size(cursor, CHAR_LIMIT, "D1d")
    if not size and word == "BPCHAR" and not holds("D1a"):
        return ColumnType("bpchar")
    size = size or _FIXED[word]
    return ColumnType(f"char({size})", size)


def _decimal(cursor: Cursor) -> ColumnType:
    precision, scale = 18, 0
    if cursor.accept("("):
        precision = cursor.number()
        scale = cursor.number() if cursor.accept(",") else 0
        cursor.expect(")")
    elif not holds("D1b"):
        return ColumnType("numeric")
    if not 1 <= precision <= DECIMAL_LIMIT:
        message = f"DECIMAL precision {precision} must be between 1 and {DECIMAL_LIMIT}"
        raise RedshiftError(message, "22023", rule="D1e")
    if not 0 <= scale <= min(precision, SCALE_LIMIT):
        message = f"DECIMAL scale {scale} must be between 0 and {min(precision, SCALE_LIMIT)}"
        raise RedshiftError(message, "22023", rule="D1e")
    return ColumnType(f"numeric({precision},{scale})")


def _timed(cursor: Cursor, word: str) -> ColumnType:
    base = word.lower()
    if cursor.accept("WITH", "TIME", "ZONE"):
        return ColumnType(base + "tz")
    cursor.accept("WITHOUT", "TIME", "ZONE")
    return ColumnType(base)


def _own(cursor: Cursor, word: str) -> ColumnType:
    """SUPER and VARBYTE, which the backend has under other names."""
    if not holds("D1f"):
        raise _only_redshifts(word)
    if word == "SUPER":
        return ColumnType("jsonb")
    return ColumnType("bytea", _size(cursor, VARBYTE_LIMIT, "D1f") or 64000)


def _plain(cursor: Cursor, word: str, written: str) -> ColumnType:
    if word == "DOUBLE":
        cursor.expect("PRECISION")
        return ColumnType("double precision")
    if word in _NOT_EMULATED:
        raise not_emulated(f"the type {word}")
    if word not in _PLAIN:
        raise RedshiftError(f'type "{written}" does not exist', "42704", rule="D1g")
    return ColumnType(_PLAIN[word])


def read_type(cursor: Cursor) -> ColumnType:
    """A type as DDL writes it."""
    follows = cursor.peek()
    if follows is None or not follows.is_name or follows.word in _RESERVED:
        raise cursor.wrong()
    token = cursor.take()
    word = token.word
    if word in ("CHAR", "CHARACTER", "NCHAR") and cursor.accept("VARYING"):
        word = "VARCHAR"
    if word in _VARYING:
        return _varying(cursor, word)
    if word in _FIXED:
        return _fixed(cursor, word)
    if word in ("DECIMAL", "NUMERIC", "DEC"):
        return _decimal(cursor)
    if word in ("TIMESTAMP", "TIME"):
        return _timed(cursor, word)
    if word in ("SUPER", "VARBYTE", "VARBINARY") or (word == "BINARY" and cursor.accept("VARYING")):
        return _own(cursor, word)
    return _plain(cursor, word, token.name)
