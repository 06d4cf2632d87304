"""Which Parquet column and which value each Redshift type takes."""

from __future__ import annotations

from .rule import Rule

TYPES: tuple[Rule, ...] = (
    Rule("12", "a SUPER column in COPY needs SERIALIZETOJSON", ("M",)),
    Rule("12a", "a string of more than 65535 bytes does not go into SUPER, code 1224", ("M", "I")),
    Rule("12b", "nested data into another type is an assertion that fails", ("M",)),
    Rule("12c", "a text in SUPER is a JSON string; it is not parsed", ("A",)),
    Rule("12d", "a map in SUPER is a JSON object", ("A",)),
    Rule("T1", "SMALLINT and INTEGER take INT32 only", ("I",)),
    Rule("T2", "BIGINT takes INT64 only", ("I",)),
    Rule("T2a", "BIGINT does not take INT32", ("A",), "stricter"),
    Rule("T3", "unsigned integers have no column type", ("A",), "stricter"),
    Rule("T4", "REAL takes FLOAT only", ("A",), "stricter"),
    Rule("T4a", "DOUBLE PRECISION takes DOUBLE only", ("A",), "stricter"),
    Rule("T5", "DECIMAL takes a decimal of equal precision and scale", ("M",)),
    Rule("T5a", "a decimal stored as INT32 is refused", ("A",), "stricter"),
    Rule("T5b", "a decimal's bytes are as many as its column's precision needs", ("I",)),
    Rule("T5c", "DECIMAL takes decimals only, no DOUBLE", ("D",)),
    Rule("T6", "BOOLEAN takes BOOLEAN only", ("A",), "stricter"),
    Rule("T7", "DATE takes DATE only; a text is refused", ("M",)),
    Rule("T8", "TIMESTAMP takes INT64 of milli- or microseconds and INT96 only", ("D", "M")),
    Rule(
        "T8a",
        "INT64 nanoseconds, which Redshift misreads in silence, are refused",
        ("I",),
        "stricter",
    ),
    Rule("T9", "TIMESTAMPTZ takes what TIMESTAMP takes, as UTC", ("A",)),
    Rule("T10", "TIME and TIMETZ take nothing", ("I", "A"), "stricter"),
    Rule("T11", "VARCHAR lengths are bytes; a longer value fails the whole COPY", ("M", "I")),
    Rule("T11a", "a BYTE_ARRAY that is not marked as UTF8 is no text", ("A",), "stricter"),
    Rule("T11b", "VARCHAR and CHAR take texts only", ("D",)),
    Rule("T12", "CHAR takes single-byte characters only, code 1220", ("D",)),
    Rule("T12a", "a value that is longer than its CHAR fails the whole COPY", ("A",)),
    Rule("T13", "VARBYTE takes BYTE_ARRAY and FIXED_LEN_BYTE_ARRAY only", ("D", "A")),
    Rule("T13a", "a value that is longer than its VARBYTE fails the whole COPY", ("A",)),
    Rule("T14", "a null in a NOT NULL column fails, code 8007", ("M",)),
    Rule("T15", "a VARCHAR that is no UTF-8 fails, code 1220", ("D",)),
    Rule("T15a", "ACCEPTINVCHARS replaces each invalid byte by a character", ("D",)),
    Rule("T15b", "ACCEPTINVCHARS replaces characters that Unicode gives to nobody", ("D",)),
    Rule("T15c", "a NUL byte in a text is refused", ("A",), "stricter"),
    Rule("T16", "a column of the type null is an INT32", ("A",), "stricter"),
)
