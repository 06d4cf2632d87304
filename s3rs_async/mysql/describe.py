"""What a query gives, asked of its server: its columns from a run of it that reads no rows.

The cursor's column is looked up in its own table, if the query tells which that is: only there does
the server say who sets it.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError, Error, UnavailableError
from ..model import TableName, TableSpec
from . import query, sql
from .connection import Session
from .custom import Described, cursor_name
from .query import SETTING, Query
from .result import column_of
from .schema import read_table
from .table import SourceColumn, SourceTable

_HINTS = {
    1046: "write each table as schema.table",
    1052: "write the column with its table before it, in the list of columns too",
    1060: "two columns have one name: write them out, and name one of them AS other",
    1111: "write {incremental_where} into HAVING, since the cursor is made of several rows",
}
_HINT = "try it in a client, with NULL in the places of what is filled in"


async def describe(session: Session, spec: TableSpec) -> Described:
    """The query of an entry and its columns; ConfigError where the server refuses it."""
    wanted = cursor_name(spec)
    asked = query.read(spec.table, spec.sql or "", wanted)
    await _run(session, spec.table, asked)
    keys = {name.casefold() for name in spec.key or ()}
    columns = tuple(
        column_of(spec.table, field, known_by=field.name.casefold() in keys)
        for field in session.fields
    )
    table = SourceTable(spec.table, columns, keys=(), primary=False, indexes=(), engine=None)
    if wanted is None or asked.origin is None:
        return Described(asked, table)
    cursor = table.column(wanted)
    facts = await _facts(session, *asked.origin)
    shown = (_stamped(each, facts, asked) if each is cursor else each for each in columns)
    return Described(asked, replace(table, columns=tuple(shown)))


async def _run(session: Session, table: TableName, asked: Query) -> None:
    try:
        await session.query(sql.description(asked))
    except ConfigError as error:
        error.context |= {"table": str(table), "setting": SETTING}
        raise
    except UnavailableError:
        raise
    except Error as error:
        code = error.context.get("code")
        raise ConfigError(
            "the source refuses the query",
            table=str(table),
            setting=SETTING,
            code=code,
            said=error.context.get("said"),
            hint=f"{SETTING}: {_HINTS.get(code, _HINT) if isinstance(code, int) else _HINT}",
        ) from error


async def _facts(session: Session, table: TableName, name: str) -> SourceColumn:
    return (await read_table(session, table)).column(name)


def _stamped(column: SourceColumn, facts: SourceColumn, asked: Query) -> SourceColumn:
    """The cursor, with what its table says of it, if that holds for the query's rows too."""
    if not asked.plain:
        return column
    return replace(
        column,
        own_stamp=facts.own_stamp,
        born_stamped=facts.born_stamped,
        auto_increment=facts.auto_increment,
    )
