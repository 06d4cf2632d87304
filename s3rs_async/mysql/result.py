"""What a result says of its columns, told as a table's columns are told; pure.

The same type map serves both (`types`), so a column is described here as far as the map asks. Where
a result says less than a table would, the wider answer is given: a text may have four bytes a
character, and every column may be NULL but those that rows are known by, since a server's word for
that does not hold behind every join. What a result cannot say is refused, naming the column: a CAST
in the query says it.
"""

from __future__ import annotations

from pymysql.constants import FIELD_TYPE, FLAG

from ..errors import ConfigError
from ..model import TableName
from .field import Field
from .query import SETTING
from .table import SourceColumn

_BINARY = 63
_BYTES_PER_CHARACTER = 4
_BYTES_PER_FLOAT = 4
_MICROS = 6

_WHOLE = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
}
_TIMES = {
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.TIME: "time",
}
_DECIMALS = frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})
_SHORT = frozenset({FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR})
_LONG = frozenset(
    {FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB}
)
_VECTOR = 242
_NAMED = {
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.JSON: "json",
    FIELD_TYPE.GEOMETRY: "geometry",
}


def column_of(table: TableName, field: Field, *, known_by: bool) -> SourceColumn:
    """A column of a result, as one that rows are known by or not; ConfigError for too little."""
    nullable, kind = not known_by, field.type_code
    if kind in _WHOLE:
        return SourceColumn(field.name, _WHOLE[kind], _numbered(field, _WHOLE[kind]), nullable)
    if kind in _DECIMALS:
        return _decimal(field, nullable=nullable)
    if kind in _TIMES:
        return _time(table, field, nullable=nullable)
    if kind in _SHORT | _LONG:
        return _text(table, field, nullable=nullable)
    return _named(table, field, nullable=nullable)


def _named(table: TableName, field: Field, *, nullable: bool) -> SourceColumn:
    kind = field.type_code
    if kind == FIELD_TYPE.BIT:
        bits = field.length
        return SourceColumn(field.name, "bit", f"bit({bits})", nullable, precision=bits)
    if kind == _VECTOR:
        floats = field.length // _BYTES_PER_FLOAT
        return SourceColumn(field.name, "vector", f"vector({floats})", nullable)
    if kind not in _NAMED:
        raise _silent(table, field, "its type")
    return SourceColumn(field.name, _NAMED[kind], _NAMED[kind], nullable)


def _numbered(field: Field, name: str) -> str:
    shown = f"{name}(1)" if name == "tinyint" and field.length == 1 else name
    unsigned = " unsigned" if field.unsigned and name != "year" else ""
    return shown + unsigned + (" zerofill" if field.filled and name != "year" else "")


def _decimal(field: Field, *, nullable: bool) -> SourceColumn:
    """Its length has room for a sign and a point."""
    digits = field.length - (field.decimals > 0) - (not field.unsigned)
    shown = f"decimal({digits},{field.decimals})" + (" unsigned" if field.unsigned else "")
    return SourceColumn(
        field.name, "decimal", shown, nullable, precision=digits, scale=field.decimals
    )


def _time(table: TableName, field: Field, *, nullable: bool) -> SourceColumn:
    if field.decimals > _MICROS:
        raise _silent(table, field, "how many digits its seconds have")
    name = _TIMES[field.type_code]
    shown = f"{name}({field.decimals})" if field.decimals else name
    return SourceColumn(field.name, name, shown, nullable, fraction=field.decimals)


def _text(table: TableName, field: Field, *, nullable: bool) -> SourceColumn:
    if field.charset == _BINARY:
        if not field.length:
            raise _silent(table, field, "its type")  # what is NULL and nothing else
        name = "longblob" if field.type_code in _LONG else "varbinary"
        shown = f"{name}({field.length})" if name == "varbinary" else name
        return SourceColumn(field.name, name, shown, nullable, octets=field.length)
    characters = field.length // _BYTES_PER_CHARACTER
    for flag, name in ((FLAG.ENUM, "enum"), (FLAG.SET, "set")):
        if field.flags & flag:
            return SourceColumn(field.name, name, name, nullable, characters=characters)
    name = "longtext" if field.type_code in _LONG else "varchar"
    shown = f"{name}({characters})" if name == "varchar" else name
    return SourceColumn(field.name, name, shown, nullable, characters=characters)


def _silent(table: TableName, field: Field, what: str) -> ConfigError:
    return ConfigError(
        f"the query's result does not say {what}",
        table=str(table),
        column=field.name,
        setting=SETTING,
        hint="say it in the query: CAST(expression AS type), e.g. CHAR(100) or DATETIME(6)",
    )
