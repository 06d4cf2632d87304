"""A target column, a file's column, and the table of which fits which.

A file's column has one of a few forms: how Parquet stores it together with what it says it is. For
each column type `TAKES` lists the forms that load, the rule that refuses a form of its own, and
the rule that refuses all others. The length and the digits of a decimal are compared besides. What
Arrow's own schema in a file adds is not looked at: the cluster does not know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..rules import holds

_TITLES = {
    "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "bool": "BOOLEAN", "bpchar": "CHAR", "bytea": "VARBYTE", "jsonb": "SUPER",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A target column, as the backend's catalogue has it."""

    name: str
    type: str
    typmod: int
    not_null: bool
    octets: int = 0

    @property
    def decimal(self) -> tuple[int, int]:
        """Precision and scale."""
        return ((self.typmod - 4) >> 16) & 0xFFFF, (self.typmod - 4) & 0xFFFF

    @property
    def length(self) -> int:
        """Declared length in bytes, 0 when there is none."""
        return self.octets or (max(self.typmod - 4, 0) if self.type in ("varchar", "bpchar") else 0)

    @property
    def title(self) -> str:
        """The type as an error names it."""
        if self.type == "numeric":
            return "DECIMAL({}, {})".format(*self.decimal)
        return _TITLES.get(self.type, self.type.upper())


@dataclass(frozen=True, slots=True)
class Stored:
    """A file's column: its form, and its schema line as the scanner prints it."""

    name: str
    form: str
    shape: str
    decimal: tuple[int, int] = (0, 0)
    length: int = 0


@dataclass(frozen=True, slots=True)
class Takes:
    """What a column type takes; everything else is refused by a rule."""

    forms: frozenset[str]
    otherwise: str
    apart: dict[str, str] = field(default_factory=dict)


_EVERYWHERE = {"UNSIGNED": "T3", "NESTED": "12b", "NULL": "T16"}
_INT = Takes(frozenset({"INT32", "NULL"}), "T1")
_INSTANT = frozenset({"TIMESTAMP", "INT96"})
_TIME = Takes(frozenset(), "T10")
_TEXT = Takes(frozenset({"TEXT"}), "T11b", {"BYTES": "T11a"})
TAKES: dict[str, Takes] = {
    "int2": _INT,
    "int4": _INT,
    "int8": Takes(frozenset({"INT64"}), "T2", {"INT32": "T2a"}),
    "float4": Takes(frozenset({"FLOAT"}), "T4"),
    "float8": Takes(frozenset({"DOUBLE"}), "T4a"),
    "numeric": Takes(frozenset({"DECIMAL"}), "T5c", {"DECIMAL32": "T5a"}),
    "bool": Takes(frozenset({"BOOLEAN"}), "T6"),
    "date": Takes(frozenset({"DATE"}), "T7"),
    "timestamp": Takes(_INSTANT, "T8", {"NANOS": "T8a"}),
    "timestamptz": Takes(_INSTANT, "T9", {"NANOS": "T8a"}),
    "time": _TIME,
    "timetz": _TIME,
    "varchar": _TEXT,
    "bpchar": _TEXT,
    "bytea": Takes(frozenset({"TEXT", "BYTES", "FIXED"}), "T13"),
}


def decimal_length(precision: int) -> int:
    """The fewest bytes that hold every decimal of a precision; the scanner wants exactly these."""
    greatest: int = 10**precision - 1
    return greatest.bit_length() // 8 + 1


def _digits(column: Column, stored: Stored) -> str:
    if stored.length and stored.length != decimal_length(column.decimal[0]) and holds("T5b"):
        return "T5b"
    return "" if stored.decimal == column.decimal else "T5"


def refused_by(column: Column, stored: Stored) -> str:
    """The rule by which a column does not take a file's column; none: it is taken."""
    takes = TAKES.get(column.type)
    if takes is None:
        return ""
    rule = ""
    if stored.form not in takes.forms:
        rule = (_EVERYWHERE | takes.apart).get(stored.form, takes.otherwise)
    elif stored.form == "DECIMAL":
        rule = _digits(column, stored)
    return rule if rule and holds(rule) else ""
