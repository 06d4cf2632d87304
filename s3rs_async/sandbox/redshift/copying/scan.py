"""The errors of COPY, in the words of the leader and of the scanner that reads the files."""

from __future__ import annotations

from ..faults import RedshiftError, Report, Spot
from ..rules import holds
from .columns import Column, Stored, decimal_length
from .utf8 import offence

SHOWN = 1024
TOO_LONG = {"varchar": "T11", "bpchar": "T12a", "bytea": "T13a"}


def web_address(uri: str, region: str) -> str:
    """An object as Redshift's errors name it; `=` appears escaped there."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    shown = key.replace("=", "%3D") if holds("9j") else key
    return f"https://s3.{region}.amazonaws.com/{bucket}/{shown}"


def _scan_error(rule: str, context: str, spot: Spot, code: int = 15007) -> RedshiftError:
    report = Report(code, context, "dory_util.cpp:1450")
    return RedshiftError("Spectrum Scan Error", rule=rule, report=report, spot=spot)


def leader_error(
    rule: str, message: str, code: int, location: str, context: str = ""
) -> RedshiftError:
    """An error of the leader, before any file is read."""
    report = Report(code, context, location, "padbmaster")
    return RedshiftError(message, rule=rule, report=report)


def not_found(rule: str, uri: str) -> RedshiftError:
    """A file that a manifest names and that is not there."""
    report = Report(15001, f"File not found: {uri}")
    message = "Spectrum Scan Error: File not found"
    return RedshiftError(message, rule=rule, report=report, spot=Spot(uri))


def no_parquet(uri: str, region: str, tail: str) -> RedshiftError:
    """Rule 7b: what ends in no footer is no Parquet file."""
    context = f"File '{web_address(uri, region)}' has an invalid version number: {tail}"
    return _scan_error("7b", context, Spot(uri))


def unreadable_file(uri: str, reason: str) -> RedshiftError:
    """Rule 7b: a Parquet file that breaks off or lies."""
    return _scan_error("7b", reason, Spot(uri), 15001)


def count_mismatch(columns: int, found: int, uri: str, region: str) -> RedshiftError:
    """Rule 3."""
    context = (
        "Unmatched number of columns between table and file. "
        f"Table columns: {columns}, Data columns: {found}, File name: {web_address(uri, region)}"
    )
    return _scan_error("3", context, Spot(uri))


def refused(rule: str, column: Column, stored: Stored, uri: str, region: str) -> RedshiftError:
    """A file's column that a type rule refuses, in the words of that rule."""
    spot = Spot(uri, column.name, column.title)
    if rule == "12b":
        report = Report(1000, "Unreachable - Invalid type: 4000", "parquet_column_reader.cpp:1")
        return RedshiftError("Assert", rule=rule, report=report, spot=spot)
    file = f"File '{web_address(uri, region)}'"
    if rule == "T5b":
        context = (
            f"{file} column '{stored.name}' has an invalid type length. "
            f"Expecting: {decimal_length(column.decimal[0])} len in file: {stored.length}"
        )
        return _scan_error(rule, context, spot, 15001)
    context = (
        f"{file} has an incompatible Parquet schema for column "
        f"'{uri}.{stored.name}'. Column type: {column.title}, Parquet schema:\n{stored.shape}\n"
    )
    return _scan_error(rule, context, spot)


def too_long(column: Column, size: int, uri: str, region: str, value: str) -> RedshiftError:
    """A value with more bytes than its column has."""
    context = (
        f"The length of the data column {column.name} is longer than the length defined in the "
        f"table. Table: {column.length}, Data: {size}, File name: {web_address(uri, region)}"
    )
    spot = Spot(uri, column.name, column.title, str(column.length), value)
    return _scan_error(TOO_LONG[column.type], context, spot)


def _bad_text(rule: str, message: str, more: str, column: Column, where: Spot) -> RedshiftError:
    length = str(column.length or "")
    spot = Spot(where.file, column.name, column.title, length, where.value)
    return RedshiftError(message, rule=rule, report=Report(1220, message + more), spot=spot)


def multibyte(column: Column, uri: str, value: str) -> RedshiftError:
    """A character of several bytes in a CHAR."""
    first = next(character for character in value if not character.isascii())
    more = f" (Hint: Try using VARCHAR). Invalid char: {first.encode().hex(' ')}"
    message = "Multibyte character not supported for CHAR"
    return _bad_text("T12", message, more, column, Spot(uri, value=value))


def invalid_utf8(column: Column, uri: str, value: bytes) -> RedshiftError:
    """A text that is no UTF-8."""
    sequence, number = offence(value)
    message = "String contains invalid or unsupported UTF8 codepoints"
    more = f". Bad UTF8 hex sequence: {sequence.hex(' ')} (error {number})" if number else ""
    shown = Spot(uri, value=value.decode(errors="replace")[:SHOWN])
    return _bad_text("T15", message, more, column, shown)


def nul_byte(column: Column, uri: str) -> RedshiftError:
    """A text with a byte 0, which no text type of the backend holds."""
    message = "String contains a NUL byte"
    return _bad_text("T15c", message, "", column, Spot(uri))


def null_value(column: Column, uri: str) -> RedshiftError:
    """A null in a NOT NULL column."""
    message = f"Cannot insert a NULL value into column {column.name}"
    spot = Spot(uri, column.name, column.title)
    return RedshiftError(message, rule="T14", report=Report(8007, message), spot=spot)


def super_too_long(column: Column, uri: str) -> RedshiftError:
    """A text that is too long for a SUPER value."""
    message = "String value exceeds the max size of 65535 bytes"
    hint = "(Hint: set enable_large_strings_opt_in parameter.)"
    report = Report(1224, f"{message} {hint}")
    return RedshiftError(message, rule="12a", report=report, spot=Spot(uri, column.name, "SUPER"))


def row_too_large(uri: str, region: str, size: int) -> RedshiftError:
    """A row above the limit of 4 MB."""
    context = (
        f"The size of a row exceeds the limit of 4 MB. Data: {size}, "
        f"File name: {web_address(uri, region)}"
    )
    return _scan_error("16", context, Spot(uri))


def cancelled(query: int) -> RedshiftError:
    """What a cancelled COPY says."""
    return RedshiftError(f"Query ({query}) cancelled on user's request", "57014", rule="15")
