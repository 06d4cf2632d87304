"""A MySQL table and its Redshift table as two multisets of typed rows, read by other drivers.

PyMySQL reads one side and psycopg the other; the program's own drivers, type map and SQL have no
part in it. What a value should have become is the demo's knowledge, widened here to every type.
The columns are those that MySQL has now: a column more in the target is a failure of its own.
"""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg

from s3rs_async.demo import compare as demo
from s3rs_async.demo.tables import DemoTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3rs_async.sandbox import Box

_BLOBS = ("TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")


def mysql(url: str, statement: str, *, script: tuple[str, ...] = ()) -> tuple[tuple[Any, ...], ...]:
    """Run a statement as an application does, each for itself; its rows."""
    with closing(demo.connect(url)) as connection, connection.cursor() as cursor:
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
) -> demo.Difference:
    """Read both sides whole; `source` is the MySQL server's URL where it is not the sandbox's."""
    url = source or box.mysql.url
    schema, _, name = table.partition(".")
    columns = _columns(url, schema, name)
    selected = ", ".join(
        f"`{column}` * 1e0" if kind.startswith("FLOAT") else f"`{column}`"
        for column, kind, _ in columns
    )
    changes = [(i, change) for i, change in enumerate(map(_expected, columns)) if change]
    ours = mysql(url, f"SELECT {selected} FROM `{schema}`.`{name}`")
    names = ", ".join(f'"{column.lower()}"' for column, _, _ in columns)
    theirs = redshift(box.redshift.url, f"SELECT {names} FROM {schema}.{name.lower()}")
    assert target_columns(box, table) == {column.lower() for column, _, _ in columns}
    shape = DemoTable(name, columns, key, 0.0, keeps_deleted=False)
    return demo._differ([demo._changed(row, changes) for row in ours], theirs, shape)


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


def _expected(column: tuple[str, str, str]) -> Callable[[object], object] | None:
    kind = column[1].partition("(")[0]
    if kind in _BLOBS:
        return demo._hex
    if kind == "DECIMAL" and int(column[1].partition("(")[2].partition(",")[0]) > 38:
        return _plain_text
    return demo._expected(column)


def _plain_text(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value
