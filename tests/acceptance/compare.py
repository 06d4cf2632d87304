"""A MySQL table and its Redshift table as two multisets of typed rows, read by other drivers.

PyMySQL reads one side and psycopg the other; the program's own drivers, type map and SQL have no
part in it. What a value should have become is written here once more, value by value.
The columns are those that MySQL has now: a column more in the target is a failure of its own.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from s3rs_async.demo.compare import connect

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

Change = Callable[[Any], Any]
Row = tuple[Any, ...]
_DIGITS = 38


@dataclass(frozen=True)
class Difference:
    """Rows in all at the source, and the keys (or whole rows) that only one side has."""

    rows: int
    missing: list[Row]
    extra: list[Row]


def mysql(url: str, statement: str, *, script: tuple[str, ...] = ()) -> tuple[tuple[Any, ...], ...]:
    """Run a statement as an application does, each for itself; its rows."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit(True)
        cursor.execute("SET sql_mode = 'NO_UNSIGNED_SUBTRACTION,ALLOW_INVALID_DATES'")
        for each in (*script, statement):
            cursor.execute(each)
        rows: tuple[tuple[Any, ...], ...] = tuple(cursor.fetchall())
        return rows


def redshift(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in the target; its rows, with values in binary, so that none is rounded."""
    with (
        psycopg.connect(url, autocommit=True) as connection,
        connection.cursor(binary=True) as cursor,
    ):
        cursor.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def difference(
    box: Box, table: str, *, source: str | None = None, key: tuple[str, ...] = ()
) -> Difference:
    """Read both sides whole; `source` is the MySQL server's URL where it is not the sandbox's."""
    url = source or box.mysql.url
    schema, _, name = table.partition(".")
    columns = _columns(url, schema, name)
    selected = ", ".join(
        f"`{column}` * 1e0" if kind.startswith("FLOAT") else f"`{column}`"
        for column, kind, _ in columns
    )
    ours = mysql(url, f"SELECT {selected} FROM `{schema}`.`{name}`")
    names = ", ".join(f'"{column.lower()}"' for column, _, _ in columns)
    theirs = redshift(box.redshift.url, f"SELECT {names} FROM {schema}.{name.lower()}")
    assert target_columns(box, table) == {column.lower() for column, _, _ in columns}
    changes = [(i, change) for i, change in enumerate(map(_expected, columns)) if change]
    left, right = Counter(_changed(row, changes) for row in ours), Counter(theirs)
    places = [[column for column, _, _ in columns].index(part) for part in key]
    return Difference(
        len(ours),
        _keys((left - right).elements(), places),
        _keys((right - left).elements(), places),
    )


def assert_equal(
    box: Box, table: str, *, source: str | None = None, key: tuple[str, ...] = (), why: str = ""
) -> int:
    """Both sides hold the same rows, each as often; how many."""
    found = difference(box, table, source=source, key=key)
    assert (found.missing[:5], found.extra[:5]) == ([], []), (
        f"{table} {why}: {len(found.missing)} rows missing, {len(found.extra)} too many"
    )
    return found.rows


def target_columns(box: Box, table: str) -> set[str]:
    """The names of the target's columns."""
    schema, _, name = table.partition(".")
    return {
        row[0]
        for row in redshift(
            box.redshift.url,
            "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            f" WHERE n.nspname = '{schema}' AND c.relname = '{name.lower()}'"
            " AND a.attnum > 0 AND NOT a.attisdropped",
        )
    }


def _columns(url: str, schema: str, name: str) -> tuple[tuple[str, str, str], ...]:
    found = mysql(
        url,
        "SELECT column_name, column_type FROM information_schema.columns"
        f" WHERE table_schema = '{schema}' AND table_name = '{name}' ORDER BY ordinal_position",
    )
    return tuple((str(column), str(kind).upper(), "") for column, kind in found)


def _keys(rows: Any, places: list[int]) -> list[Row]:
    return [tuple(row[place] for place in places) if places else row for row in rows]


def _changed(row: Row, changes: list[tuple[int, Change]]) -> Row:
    values = list(row)
    for index, change in changes:
        if values[index] is not None:
            values[index] = change(values[index])
    return tuple(values)


def _expected(column: tuple[str, str, str]) -> Change | None:
    """What a value of this column should have become in Redshift; None: the same."""
    kind = column[1].partition("(")[0].partition(" ")[0]
    if kind == "DECIMAL" and int(column[1].partition("(")[2].partition(",")[0]) > _DIGITS:
        return lambda value: f"{value:f}"
    if kind.endswith(("BINARY", "BLOB")):
        return bytes.hex
    return _CHANGES.get(kind)


def _possible(value: Any) -> Any:
    return value if isinstance(value, dt.date) else None  # the driver leaves impossible dates text


_CHANGES: dict[str, Change] = {
    "DATE": _possible,
    "DATETIME": _possible,
    "TIMESTAMP": _possible,
    "TIME": lambda value: value // dt.timedelta(microseconds=1),
    "FLOAT": lambda value: struct.unpack("f", struct.pack("f", value))[0],
    "BIT": lambda value: int.from_bytes(value, "big"),
}
