"""The errors of COPY, in the words of the leader and of the scanner that reads the files."""

from __future__ import annotations

from .columns import FITS, Column
from .faults import RedshiftError, Report, Spot


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
    rule = FITS.get(column.type, ("stand-in", None))[0]
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
