"""Which Parquet column and which value each Redshift type takes."""

from __future__ import annotations

from .rule import Rule

TYPES: tuple[Rule, ...] = (
    Rule("12", "SUPER needs SERIALIZETOJSON; strings above 65535 bytes fail", ("M", "I", "D")),
    Rule("T1", "SMALLINT and INTEGER take INT32 only", ("I",)),
    Rule("T2", "BIGINT takes INT64; INT32 is refused", ("I", "A"), "stricter"),
    Rule("T3", "unsigned integers have no column type", ("A",), "stricter"),
    Rule("T4", "REAL takes FLOAT and DOUBLE PRECISION takes DOUBLE, exactly", ("A",), "stricter"),
    Rule("T5", "DECIMAL takes a decimal of equal precision and scale", ("M", "I")),
    Rule("T5a", "a decimal stored as INT32 is refused", ("A",), "stricter"),
    Rule("T6", "BOOLEAN takes BOOLEAN", ("A",), "stricter"),
    Rule("T7", "DATE takes DATE", ("M",)),
    Rule("T8", "TIMESTAMP takes INT64 of milli- or microseconds and INT96", ("M",)),
    Rule(
        "T8a",
        "INT64 nanoseconds, which Redshift misreads in silence, are refused",
        ("I",),
        "stricter",
    ),
    Rule("T9", "TIMESTAMPTZ takes what TIMESTAMP takes, as UTC", ("A",)),
    Rule("T10", "TIME is refused", ("I", "A"), "stricter"),
    Rule("T11", "VARCHAR lengths are bytes; a longer value fails the whole COPY", ("M", "I")),
    Rule("T12", "CHAR takes single-byte characters only", ("D",)),
    Rule("T13", "VARBYTE takes BYTE_ARRAY and FIXED_LEN_BYTE_ARRAY", ("D",)),
    Rule("T14", "a null in a NOT NULL column fails, code 8007", ("M",)),
)
