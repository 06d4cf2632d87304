"""MySQL types → Arrow types: one table, pure.

A rule says all that reading a column needs: what to SELECT, how its wire text becomes an Arrow
array, the canonical Arrow type, the greatest number of UTF-8 bytes of a text, and how one of its
values is written as a literal. A type without a rule is refused by name, never guessed.

No rule loses a value. TINYINT(1) stays a number, since it can hold 5. FLOAT is selected as a
double, because the server prints six of its digits. What Arrow's decimal cannot hold stays text.
Zero and impossible dates become NULL and are counted, so columns of dates are always nullable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from ..errors import DataError
from ..model import Column, TableName
from .table import SourceColumn

REDSHIFT_OCTETS = 65535
_ARROW_DIGITS = 38
_OCTETS_PER_CHARACTER = {"ascii": 1, "utf8": 3, "utf8mb3": 3, "ucs2": 3}


class Cast(StrEnum):
    """How a column's wire bytes become values."""

    PLAIN = auto()  # the text is what Arrow's own cast reads
    FLAG = auto()  # '0' or '1'
    TEXT = auto()  # UTF-8
    HEX = auto()  # raw bytes, shown as hex digits
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
    key. `fraction` is the number of digits behind the second of a moment or span.
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

    @property
    def column(self) -> Column:
        """The column of the canonical schema."""
        return Column(self.name, self.source_type, self.arrow, self.nullable, self.octets)


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
_DOUBLE = _Shape("double")
_UNSIGNED_LONG = _Shape("decimal128(20, 0)")


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
    "json": _named(REDSHIFT_OCTETS),
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
}
_UNSIGNED = {
    "smallint": _Shape("int32"),
    "int": _Shape("int64"),
    "bigint": _UNSIGNED_LONG,
}


def rule(table: TableName, column: SourceColumn) -> Rule:
    """The rule for a column; DataError naming table, column and type where there is none."""
    shape = _shape(column)
    if shape is None:
        raise DataError(
            "no rule for this column type",
            table=str(table),
            column=column.name,
            type=column.column_type,
            hint="read the table through a view that leaves the column out or converts it to text",
        )
    return Rule(
        name=column.name,
        arrow=shape.arrow,
        cast=shape.cast,
        nullable=column.nullable or shape.cast in (Cast.DATE, Cast.MOMENT),
        literal=shape.literal,
        octets=_octets(column, shape),
        select=_select(column, shape),
        order=shape.order,
        fraction=column.fraction or 0,
        source_type=column.column_type,
    )


def _select(column: SourceColumn, shape: _Shape) -> str:
    if shape.literal is Literal.NUMBER and column.column_type.lower().endswith(" zerofill"):
        return (
            shape.select if shape.select != "{}" else "{}+0"
        )  # more zeros than a number has digits
    return shape.select


def _shape(column: SourceColumn) -> _Shape | None:
    kind = column.data_type
    if kind == "decimal":
        return _decimal(column)
    if kind == "bit":
        return _bit(column.precision or 1)
    if kind in _UNSIGNED and " unsigned" in column.column_type.lower():
        return _UNSIGNED[kind]
    return _SHAPES.get(kind)


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
    if shape.arrow != "string":
        return None
    if shape.octets is not None:
        return shape.octets
    if shape.cast is Cast.HEX:
        return min(2 * (column.octets or 0), REDSHIFT_OCTETS)
    each = _OCTETS_PER_CHARACTER.get(column.charset or "", 4)
    return max(1, min(each * (column.characters or 0), REDSHIFT_OCTETS))
