"""What the stand-in copies of Redshift, as data: each rule with the evidence it rests on.

Evidence: D the vendor's documentation, M measured on a real cluster by others, I an error text in a
public issue, A an assumption that only a real cluster can settle. `RULES` is printed for readers
and named by every error of ours, so a check can say which rule it saw. Below the table stand the
errors of COPY, with their texts, and `TYPES`: which Parquet column each Redshift type accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa

from .faults import RedshiftError, Report, Spot

Evidence: TypeAlias = Literal["D", "M", "I", "A"]
Treatment: TypeAlias = Literal["emulated", "refused", "looser", "stricter"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that Redshift does."""

    number: str
    text: str
    evidence: tuple[Evidence, ...]
    treatment: Treatment = "emulated"


RULES: tuple[Rule, ...] = (
    Rule("1", "COPY matches columns by position, never by name", ("D", "I", "M")),
    Rule(
        "2",
        "a column list maps file positions to columns; its length is the file's",
        ("D", "M", "I"),
    ),
    Rule("3", "an unequal number of columns is a Spectrum Scan Error, code 15007", ("I", "M", "D")),
    Rule("4", "only the parameters of columnar COPY are accepted", ("D", "M", "I")),
    Rule("5", "a role or credentials must be given", ("D", "M", "I")),
    Rule("5a", "a role must be one that is associated with the cluster", ("I",), "looser"),
    Rule("6", "the bucket is in the cluster's region", ("D",), "looser"),
    Rule("7", "FROM is a key prefix: every key that begins with it is loaded", ("D",)),
    Rule("8", "no object with the prefix: an error, code 8001", ("I", "M"), "stricter"),
    Rule(
        "9", "a manifest needs meta.content_length; mandatory files must be there", ("D", "M", "I")
    ),
    Rule("9a", "a content_length that is not the object's size fails", ("A",), "stricter"),
    Rule(
        "10", "keys whose last part begins with . or _ are skipped, empty objects too", ("D", "A")
    ),
    Rule("11", "FILLRECORD fills missing trailing columns with NULL", ("D", "M")),
    Rule("12", "SUPER needs SERIALIZETOJSON; strings above 65535 bytes fail", ("M", "I", "D")),
    Rule("13", "success: a notice of severity INFO and the plain tag COPY", ("I", "M")),
    Rule("14", "pg_last_copy_count and pg_last_copy_id follow the transaction", ("D",)),
    Rule("15", "a failed COPY leaves no row and aborts the block", ("D", "M")),
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
    Rule("N1", "names: up to 127 bytes in Redshift; above 63 refused here", ("D",), "stricter"),
    Rule("N2", "ASCII letters fold to lower case inside double quotes too", ("D",)),
    Rule("D1", "column types and their defaults are Redshift's", ("D",)),
    Rule("D2", "DISTSTYLE, DISTKEY, SORTKEY and ENCODE are checked and recorded", ("D",)),
    Rule("D3", "primary, unique and foreign keys are not enforced; NOT NULL is", ("D",)),
    Rule("D4", "VARCHAR lengths are bytes in INSERT and UPDATE too", ("D",)),
    Rule("L1", "VACUUM cannot run inside a transaction block", ("D", "A")),
    Rule("L2", "ALTER COLUMN TYPE only widens VARCHAR, outside a block", ("D", "I", "A")),
    Rule("L3", "ALTER TABLE adds one column a statement, no key", ("D", "I")),
    Rule("L4", "TRUNCATE commits what went before", ("D", "I")),
    Rule("L5", "ALTER TABLE APPEND empties its source, outside a block", ("D",)),
    Rule("X1", "snapshot isolation; a lost race is XX000 with message 1023", ("D", "M")),
    Rule("X2", "writes lock the whole table until the transaction ends", ("D",)),
    Rule("X3", "LOCK takes no snapshot: what it waited for is seen after it", ("A",)),
    Rule("X4", "a vanished client's transaction is rolled back at once", ("A",)),
    Rule("S1", "a backslash escapes in literals; the grammar is Redshift's", ("M",)),
    Rule("S2", "what PostgreSQL has and Redshift lacks is refused", ("D", "I"), "refused"),
    Rule("S3", "a setting that Redshift does not have is refused", ("I",), "refused"),
    Rule("S4", "MERGE needs both WHEN clauses, a table as source and no alias", ("D",)),
    Rule("C1", "catalogue functions and system tables; load errors survive a rollback", ("D", "M")),
    Rule("W1", "the server says 8.0.2 and padb_version; TLS when it has a certificate", ("I", "A")),
    Rule("W2", "log-in by md5 or clear text; a wrong password is 28000", ("A",)),
    Rule("stand-in", "what is not known here is refused by name, never passed", ("A",), "refused"),
)

COLUMNAR_OPTIONS = frozenset(
    [
        "IAM_ROLE",
        "CREDENTIALS",
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "STATUPDATE",
        "MANIFEST",
        "ACCEPTINVCHARS",
        "FILLRECORD",
        "EXPLICIT_IDS",
        "SERIALIZETOJSON",
    ]
)


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


_TITLES = {
    "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "bool": "BOOLEAN", "bpchar": "CHAR", "bytea": "VARBYTE", "jsonb": "SUPER",
}  # fmt: skip


def _signed(physical: str) -> Callable[[Column, str, pa.DataType], bool]:
    return lambda _, stored, kind: stored == physical and pa.types.is_signed_integer(kind)


def _stored(physical: str) -> Callable[[Column, str, pa.DataType], bool]:
    return lambda _, stored, __: stored == physical


def _timestamp(_: Column, stored: str, kind: pa.DataType) -> bool:
    if not pa.types.is_timestamp(kind):
        return False
    return stored == "INT96" or (stored == "INT64" and kind.unit != "ns")


def _decimal(column: Column, stored: str, kind: pa.DataType) -> bool:
    if not pa.types.is_decimal(kind) or stored == "INT32":
        return False
    return bool((kind.precision, kind.scale) == column.decimal)


def _text(_: Column, __: str, kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _bytes(_: Column, stored: str, __: pa.DataType) -> bool:
    return stored in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


TYPES: dict[str, tuple[str, Callable[[Column, str, pa.DataType], bool]]] = {
    "int2": ("T1", _signed("INT32")),
    "int4": ("T1", _signed("INT32")),
    "int8": ("T2", _signed("INT64")),
    "float4": ("T4", _stored("FLOAT")),
    "float8": ("T4", _stored("DOUBLE")),
    "numeric": ("T5", _decimal),
    "bool": ("T6", _stored("BOOLEAN")),
    "date": ("T7", lambda _, __, kind: bool(pa.types.is_date32(kind))),
    "timestamp": ("T8", _timestamp),
    "timestamptz": ("T9", _timestamp),
    "time": ("T10", lambda _, __, ___: False),
    "timetz": ("T10", lambda _, __, ___: False),
    "varchar": ("T11", _text),
    "bpchar": ("T12", _text),
    "bytea": ("T13", _bytes),
}


def web_address(uri: str, region: str) -> str:
    """An object as Redshift's errors name it; `=` appears escaped there."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return f"https://s3.{region}.amazonaws.com/{bucket}/{key.replace('=', '%3D')}"


def _scan_error(rule: str, context: str, spot: Spot, code: int = 15007) -> RedshiftError:
    report = Report(code, context, "dory_util.cpp:1450")
    return RedshiftError("Spectrum Scan Error", rule=rule, report=report, spot=spot)


def leader_error(rule: str, message: str, code: int, location: str) -> RedshiftError:
    """An error of the leader, before any file is read."""
    report = Report(code, "", location, "padbmaster")
    return RedshiftError(message, rule=rule, report=report)


def count_mismatch(columns: int, found: int, uri: str, region: str) -> RedshiftError:
    """Rule 3."""
    context = (
        "Unmatched number of columns between table and file. "
        f"Table columns: {columns}, Data columns: {found}, File name: {web_address(uri, region)}"
    )
    return _scan_error("3", context, Spot(uri))


def type_mismatch(column: Column, uri: str, region: str, shape: str) -> RedshiftError:
    """The type rules; `shape` is the file's column as the scanner prints it."""
    rule = TYPES.get(column.type, ("stand-in", None))[0]
    context = (
        f"File '{web_address(uri, region)}' has an incompatible Parquet schema for column "
        f"'{uri}.{shape.split()[2]}'. Column type: {column.title}, Parquet schema:\n{shape}\n"
    )
    return _scan_error(rule, context, Spot(uri, column.name, column.title))


def too_long(column: Column, size: int, uri: str, region: str, value: str) -> RedshiftError:
    """Rule T11."""
    context = (
        f"The length of the data column {column.name} is longer than the length defined in the "
        f"table. Table: {column.length}, Data: {size}, File name: {web_address(uri, region)}"
    )
    spot = Spot(uri, column.name, column.title, str(column.length), value)
    return _scan_error("T11", context, spot)


def multibyte(column: Column, uri: str, value: str) -> RedshiftError:
    """Rule T12."""
    spot = Spot(uri, column.name, column.title, str(column.length), value)
    message = "Multibyte character not supported for CHAR"
    return RedshiftError(message, rule="T12", report=Report(1220, message), spot=spot)


def null_value(column: Column, uri: str) -> RedshiftError:
    """Rule T14."""
    message = f"Cannot insert a NULL value into column {column.name}"
    spot = Spot(uri, column.name, column.title)
    return RedshiftError(message, rule="T14", report=Report(8007, message), spot=spot)


def super_too_long(column: Column, uri: str) -> RedshiftError:
    """Rule 12."""
    message = "String value exceeds the max size of 65535 bytes"
    hint = "(Hint: set enable_large_strings_opt_in parameter.)"
    report = Report(1224, f"{message} {hint}")
    return RedshiftError(message, rule="12", report=report, spot=Spot(uri, column.name, "SUPER"))


def cancelled(query: int) -> RedshiftError:
    """What a cancelled COPY says."""
    return RedshiftError(f"Query ({query}) cancelled on user's request", "57014", rule="15")
