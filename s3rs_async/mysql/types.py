"""MySQL types → Arrow types: one table, pure.

A rule says all that reading a column needs: what to SELECT, how its wire text becomes an Arrow
array, the canonical Arrow type, the greatest number of UTF-8 bytes of a text, and how one of its
values is written as a literal. A type without a rule is refused by name, never guessed.

No rule loses a value. TINYINT(1) stays a number, since it can hold 5. FLOAT is selected as a
double, because the server prints six of its digits. What Arrow's decimal cannot hold stays text.

Where Redshift has no equal for a value (an impossible date, a text that is too long), the policies
decide, which change the column's type with it: NULL makes it nullable, text makes it VARCHAR, and
what may be cut gets a column beside it that says whether it was (`flag`). A policy that a column's
type has no use for is nothing to it, so one may stand for all columns; but where it was asked of
that very column, it is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto

from ..errors import ConfigError, DataError
from ..model import (
    PLAIN,
    BigintUnsigned,
    Binary,
    Column,
    Dates,
    LongText,
    NulBytes,
    Policies,
    TableName,
    TinyInt1,
)
from .table import SourceColumn

REDSHIFT_OCTETS = 65535
VARBYTE_OCTETS = 4_000_000  # a VARBYTE may have 16 MiB, but a row that is loaded no more than 4 MB
FLAG_SUFFIX = "__truncated"
_ARROW_DIGITS = 38
_SENT_AS_STORED = frozenset({"ascii", "utf8", "utf8mb3", "utf8mb4"})
_ENDLESS = 1 << 32
_POINT_OCTETS = 25  # byte order, type, SRID, two doubles
_OCTETS_PER_CHARACTER = {"ascii": 1, "utf8": 3, "utf8mb3": 3, "ucs2": 3}


class Cast(StrEnum):
    """How a column's wire bytes become values."""

    PLAIN = auto()  # the text is what Arrow's own cast reads
    FLAG = auto()  # '0' or '1'
    TEXT = auto()  # UTF-8
    HEX = auto()  # raw bytes; shown as hex digits but in a column of bytes
    LONG = auto()  # whole numbers without a sign, into one that has it
    DATE = auto()
    MOMENT = auto()  # date and time of day
    SPAN = auto()  # TIME: a signed span of up to 838 hours


class Literal(StrEnum):
    """How a value is written in SQL."""

    NUMBER = auto()
    TEXT = auto()
    BINARY = auto()
    MOMENT = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """How one column is read; `select` and `order` take the quoted column name at `{}`.

    `order` is the expression by which rows are sorted and compared when the column is part of a
    key. `fraction` is the number of digits behind the second of a moment or span. `long` says that
    a value may have more than `octets` bytes, `key` that rows are known by it.
    """

    name: str
    arrow: str
    cast: Cast
    nullable: bool
    literal: Literal
    octets: int | None = None
    select: str = "{}"
    order: str = "{}"
    fraction: int = 0
    source_type: str = ""
    table: str = ""
    key: bool = False
    long: bool = False
    geometry: bool = False
    policies: Policies = PLAIN

    @property
    def columns(self) -> tuple[Column, ...]:
        """The column of the canonical schema, and behind it the one that says what was cut."""
        own = Column(self.name, self.source_type, self.arrow, self.nullable, self.octets)
        if self.flag is None:
            return (own,)
        return own, Column(self.flag, "boolean", "bool", nullable=False)

    @property
    def flag(self) -> str | None:
        """The name of the column that says which values were cut, where any may be."""
        return self.name + FLAG_SUFFIX if self.long_text is LongText.TRUNCATE else None

    @property
    def long_text(self) -> LongText:
        """What becomes of a value that is too long; there may be one."""
        return self.policies.long_text if self.long else LongText.FAIL

    @property
    def strips(self) -> bool:
        """Whether NUL characters are taken out."""
        return self.cast is Cast.TEXT and self.policies.nul_bytes is NulBytes.STRIP


@dataclass(frozen=True, slots=True)
class _Shape:
    arrow: str
    cast: Cast = Cast.PLAIN
    literal: Literal = Literal.NUMBER
    select: str = "{}"
    order: str = "{}"
    octets: int | None = None  # where it does not follow from the column's length


_TEXT = _Shape("string", Cast.TEXT, Literal.TEXT)
# An enumeration is sorted by its members' order but compared as text, which would lose rows.
_CHOICE = _Shape(
    "string",
    Cast.TEXT,
    Literal.TEXT,
    order="CAST({} AS CHAR) COLLATE utf8mb4_bin",
)
_BINARY = _Shape("string", Cast.HEX, Literal.BINARY)
_VARBYTE = _Shape("binary", Cast.HEX, Literal.BINARY)
_GEOMETRY = _Shape("string", Cast.HEX, Literal.BINARY, octets=_ENDLESS)
_DOUBLE = _Shape("double")
_UNSIGNED_LONG = _Shape("decimal128(20, 0)")
_LONG = _Shape("int64", Cast.LONG)
_TRUTH = _Shape("bool", Cast.FLAG)
_DATE_DIGITS, _MOMENT_DIGITS = 10, 19


def _named(octets: int) -> _Shape:
    return _Shape("string", Cast.TEXT, Literal.TEXT, octets=octets)


_SHAPES = {
    "tinyint": _Shape("int16"),
    "smallint": _Shape("int16"),
    "mediumint": _Shape("int32"),
    "int": _Shape("int32"),
    "bigint": _Shape("int64"),
    "year": _Shape("int16"),
    "float": _Shape("float", select="{}*1e0"),
    "double": _DOUBLE,
    "date": _Shape("date32[day]", Cast.DATE, Literal.MOMENT),
    "datetime": _Shape("timestamp[us]", Cast.MOMENT, Literal.MOMENT),
    "timestamp": _Shape("timestamp[us]", Cast.MOMENT, Literal.MOMENT),
    "time": _Shape("int64", Cast.SPAN, Literal.MOMENT),
    "char": _TEXT,
    "varchar": _TEXT,
    "tinytext": _TEXT,
    "text": _TEXT,
    "mediumtext": _TEXT,
    "longtext": _TEXT,
    "json": _named(_ENDLESS),
    "enum": _CHOICE,
    "set": _CHOICE,
    "uuid": _named(36),
    "inet4": _named(15),
    "inet6": _named(39),
    "binary": _BINARY,
    "varbinary": _BINARY,
    "tinyblob": _BINARY,
    "blob": _BINARY,
    "mediumblob": _BINARY,
    "longblob": _BINARY,
    "vector": _BINARY,
    "geometry": _GEOMETRY,
    "point": _Shape("string", Cast.HEX, Literal.BINARY, octets=2 * _POINT_OCTETS),
    "linestring": _GEOMETRY,
    "polygon": _GEOMETRY,
    "multipoint": _GEOMETRY,
    "multilinestring": _GEOMETRY,
    "multipolygon": _GEOMETRY,
    "geometrycollection": _GEOMETRY,
    "geomcollection": _GEOMETRY,
}
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_GEOMETRIES = frozenset({kind for kind, shape in _SHAPES.items() if shape is _GEOMETRY} | {"point"})
_FITTING = frozenset({"uuid", "inet4", "inet6"})
_TEXTS = frozenset({kind for kind, shape in _SHAPES.items() if shape.cast is Cast.TEXT}) - _FITTING
_LONG_ONES = _TEXTS | {kind for kind, shape in _SHAPES.items() if shape.cast is Cast.HEX}
_TIMES = {"date": _DATE_DIGITS, "datetime": _MOMENT_DIGITS, "timestamp": _MOMENT_DIGITS}
_UNSIGNED = {
    "smallint": _Shape("int32"),
    "int": _Shape("int64"),
    "bigint": _UNSIGNED_LONG,
}


def rule(
    table: TableName, column: SourceColumn, policies: Policies = PLAIN, *, key: bool = False
) -> Rule:
    """The rule for a column; DataError naming table, column and type where there is none."""
    shape = _shape(column, policies)
    if shape is None:
        raise DataError(
            "no rule for this column type",
            table=str(table),
            column=column.name,
            type=column.column_type,
            hint="read the table through a view that leaves the column out or converts it to text",
        )
    _check_own(table, column, policies)
    whole = _octets(column, shape)
    most = VARBYTE_OCTETS if shape.arrow == "binary" else REDSHIFT_OCTETS
    long = whole is not None and _stored(column, shape, whole) > most
    dates = shape.cast in (Cast.DATE, Cast.MOMENT) and policies.dates is Dates.NULL
    return Rule(
        name=column.name,
        arrow=shape.arrow,
        cast=shape.cast,
        nullable=column.nullable or dates or (long and policies.long_text is LongText.NULL),
        literal=shape.literal,
        octets=None if whole is None else max(1, min(whole, most)),
        select=_select(column, shape),
        order=shape.order,
        fraction=column.fraction or 0,
        source_type=column.column_type,
        table=str(table),
        key=key,
        long=long,
        geometry=column.data_type in _GEOMETRIES,
        policies=policies,
    )


def _check_own(table: TableName, column: SourceColumn, policies: Policies) -> None:
    """Refuse what was asked of this column by its name and means nothing to its type."""
    for name in sorted(policies.own):
        used, meant = _USES[name]
        if not used(column):
            raise ConfigError(
                "a policy that means nothing to the column",
                table=str(table),
                column=column.name,
                type=column.column_type,
                setting=name,
                hint=f"{name} is for {meant}: take it away from the column, "
                "or write it for the table, which applies it where it means something",
            )


def _select(column: SourceColumn, shape: _Shape) -> str:
    if shape.literal is Literal.NUMBER and column.column_type.lower().endswith(" zerofill"):
        return (
            shape.select if shape.select != "{}" else "{}+0"
        )  # more zeros than a number has digits
    return shape.select


def _shape(column: SourceColumn, policies: Policies) -> _Shape | None:
    kind = column.data_type
    if kind == "decimal":
        return _decimal(column)
    if kind == "bit":
        return _bit(column.precision or 1)
    return _asked(column, policies) or _usual(column)


def _usual(column: SourceColumn) -> _Shape | None:
    kind = column.data_type
    if kind in _UNSIGNED and _is_unsigned(column):
        return _UNSIGNED[kind]
    return _SHAPES.get(kind)


def _asked(column: SourceColumn, policies: Policies) -> _Shape | None:
    """The shape that a policy gives the column, if one does."""
    if _is_time(column) and policies.dates is Dates.TEXT:
        return _spelled(column)
    if _is_bytes(column) and policies.binary is Binary.VARBYTE:
        return _VARBYTE
    if policies.tinyint1 is TinyInt1.BOOL and _is_truth(column):
        return _TRUTH
    if _is_great(column):
        return _LONG if policies.bigint_unsigned is BigintUnsigned.BIGINT else None
    return None


def _is_text(column: SourceColumn) -> bool:
    return column.data_type in _TEXTS


def _is_long(column: SourceColumn) -> bool:
    return column.data_type in _LONG_ONES


def _is_time(column: SourceColumn) -> bool:
    return column.data_type in _TIMES


def _is_bytes(column: SourceColumn) -> bool:
    return column.data_type in _BYTES


def _is_truth(column: SourceColumn) -> bool:
    return column.column_type.lower() == "tinyint(1)"


def _is_great(column: SourceColumn) -> bool:
    return column.data_type == "bigint" and _is_unsigned(column)


def _is_unsigned(column: SourceColumn) -> bool:
    return " unsigned" in column.column_type.lower()


def _spelled(column: SourceColumn) -> _Shape:
    """A date or moment as the server writes it, which is the same in both protocols."""
    behind = column.fraction + 1 if column.fraction else 0
    octets = _TIMES[column.data_type] + behind
    return _Shape("string", Cast.TEXT, Literal.MOMENT, "CAST({} AS CHAR)", octets=octets)


def _decimal(column: SourceColumn) -> _Shape:
    digits, scale = column.precision or 0, column.scale or 0
    if digits <= _ARROW_DIGITS:
        return _Shape(f"decimal128({digits}, {scale})")
    return _Shape("string", Cast.TEXT, Literal.NUMBER, octets=digits + 3)  # sign, zero and point


def _bit(bits: int) -> _Shape:
    if bits == 1:
        return _Shape("bool", Cast.FLAG, select="{}+0")
    long = _UNSIGNED_LONG if bits == 64 else _Shape("int64")  # noqa: PLR2004 - one bit too many
    return _Shape(long.arrow, select="{}+0")


def _octets(column: SourceColumn, shape: _Shape) -> int | None:
    """The most bytes a value can have in its form for Redshift, whether that takes them or not."""
    if shape.arrow not in {"string", "binary"}:
        return None
    if shape.octets is not None:
        return shape.octets
    if shape.cast is Cast.HEX:
        octets = column.octets or _vector_octets(column)
        return octets if shape.arrow == "binary" else 2 * octets
    return _OCTETS_PER_CHARACTER.get(column.charset or "", 4) * (column.characters or 0)


def _stored(column: SourceColumn, shape: _Shape, whole: int) -> int:
    """The same where texts are stored in the bytes that they are sent in."""
    same = shape.cast is Cast.TEXT and column.charset in _SENT_AS_STORED
    return whole if not same or column.octets is None else column.octets


def _vector_octets(column: SourceColumn) -> int:
    """A vector is told by its dimensions, each of which is a float of four bytes."""
    found = re.fullmatch(r"vector\((\d+)\)", column.column_type.lower())
    return 4 * int(found[1]) if found else 0


_USES: dict[str, tuple[Callable[[SourceColumn], bool], str]] = {
    "dates": (_is_time, "DATE, DATETIME and TIMESTAMP"),
    "long_text": (_is_long, "texts, JSON, bytes and geometries"),
    "nul_bytes": (_is_text, "texts and JSON"),
    "binary": (_is_bytes, "BINARY, VARBINARY and BLOB"),
    "tinyint1": (_is_truth, "TINYINT(1)"),
    "bigint_unsigned": (_is_great, "BIGINT UNSIGNED"),
}
