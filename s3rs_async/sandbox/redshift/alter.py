"""ALTER TABLE as Redshift limits it: one ADD COLUMN a statement, VARCHAR only grows.

Changes of distribution, sort keys and encodings are recorded and cost nothing; a change of a
column's type and APPEND cannot run inside a transaction block.
"""

from __future__ import annotations

from .ddl import (
    CONSTRAINTS,
    Script,
    Table,
    columns_sql,
    dress,
    read_column,
    read_constraint,
)
from .faults import RedshiftError, not_emulated, syntax_error
from .tokens import Cursor, Statement, dotted, items, literal, quoted
from .types import ENCODINGS, read_type

_TAG = "ALTER TABLE"


def _bare(name: tuple[str, ...]) -> Table:
    return Table(name, temporary=False, optional=False)


def _relation(name: tuple[str, ...]) -> str:
    return f"{literal(dotted(name))}::regclass"


def _add(name: tuple[str, ...], cursor: Cursor) -> Script:
    table = _bare(name)
    if cursor.word() in CONSTRAINTS:
        read_constraint(table, cursor)
        text = f"SELECT pg_standin.add_key({_relation(name)}, {literal(table.keys[0])})"
        return Script((text,), _TAG)
    cursor.accept("COLUMN")
    rest = cursor.rest()
    if len(items(rest)) > 1:
        raise syntax_error(",", "L3")
    read_column(table, Cursor(rest, "L3"))
    if table.distkeys or table.sortkey or table.keys:
        message = "an added column can be no DISTKEY, no SORTKEY and have no key"
        raise RedshiftError(message, "0A000", rule="L3")
    (column,) = table.columns
    if column in table.not_null and "DEFAULT" not in table.parts[column]:
        message = (
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression"
        )
        raise RedshiftError(message, "42601", rule="L3")
    text = f"ALTER TABLE {dotted(name)} ADD COLUMN {columns_sql(table)[1:-1]}"
    return Script((text,), _TAG, then=dress(name, {"encode": table.encodings}))


def _drop(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.word() == "CONSTRAINT":
        raise not_emulated("ALTER TABLE DROP CONSTRAINT")
    cursor.accept("COLUMN")
    column = cursor.name()
    cascade = " CASCADE" if cursor.accept("CASCADE") else ""
    if not cascade:
        cursor.accept("RESTRICT")
    cursor.end()
    return Script((f"ALTER TABLE {dotted(name)} DROP COLUMN {quoted(column)}{cascade}",), _TAG)


def _rename(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.accept("TO"):
        change = f"RENAME TO {quoted(cursor.name())}"
    else:
        cursor.accept("COLUMN")
        old = cursor.name()
        cursor.expect("TO")
        change = f"RENAME COLUMN {quoted(old)} TO {quoted(cursor.name())}"
    cursor.end()
    return Script((f"ALTER TABLE {dotted(name)} {change}",), _TAG)


def _retype(name: tuple[str, ...], column: str, cursor: Cursor) -> Script:
    kind = read_type(cursor)
    if cursor.word() == "USING":
        raise RedshiftError("ALTER COLUMN TYPE USING is not supported", "0A000", rule="L2")
    cursor.end()
    if not kind.sql.startswith("varchar"):
        message = f'cannot alter type of a column "{column}"'
        raise RedshiftError(message, "0A000", rule="L2")
    check = f"SELECT pg_standin.widen({_relation(name)}, {literal(column)}, {kind.octets})"
    return Script((check,), _TAG, alone="ALTER TABLE ALTER COLUMN")


def _column(name: tuple[str, ...], cursor: Cursor) -> Script:
    cursor.accept("COLUMN")
    column = cursor.name()
    if cursor.accept("TYPE"):
        return _retype(name, column, cursor)
    if cursor.accept("ENCODE"):
        encoding = cursor.name()
        cursor.end()
        if encoding not in ENCODINGS:
            raise syntax_error(encoding, "D2")
        return Script((dress(name, {"encode": {column: encoding}}),), _TAG)
    raise cursor.wrong()


def _alter(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.accept("SORTKEY") or cursor.accept("COMPOUND", "SORTKEY"):
        table = _bare(name)
        follows = cursor.peek()
        named = follows is not None and follows.text == "("
        table.sortkey = list(cursor.names()) if named else []
        if not (named or cursor.accept("AUTO") or cursor.accept("NONE")):
            raise cursor.wrong()
        cursor.end()
        style = "COMPOUND" if table.sortkey else "AUTO"
        return Script((dress(name, {"sortstyle": style, "sortkey": table.sortkey}),), _TAG)
    if cursor.word() in ("DISTKEY", "DISTSTYLE"):
        return _distribution(name, cursor)
    return _column(name, cursor)


def _distribution(name: tuple[str, ...], cursor: Cursor) -> Script:
    style = "KEY"
    if cursor.accept("DISTSTYLE"):
        style = cursor.take().word
    key = None
    if style == "KEY":
        cursor.expect("DISTKEY")
        key = cursor.name()
    cursor.end()
    if style not in ("AUTO", "EVEN", "ALL", "KEY"):
        raise syntax_error(style, "D2")
    return Script((dress(name, {"diststyle": style, "distkey": key}),), _TAG)


def _append(name: tuple[str, ...], cursor: Cursor) -> Script:
    cursor.expect("FROM")
    source = cursor.qualified()
    if cursor.word() in ("IGNOREEXTRA", "FILLTARGET"):
        raise not_emulated(f"ALTER TABLE APPEND {cursor.word()}")
    cursor.end()
    move = f"SELECT pg_standin.append({_relation(name)}, {_relation(source)})"
    return Script((move,), "ALTER TABLE APPEND", alone="ALTER TABLE APPEND")


def _owner(name: tuple[str, ...], cursor: Cursor) -> Script:
    cursor.expect("TO")
    owner = cursor.name()
    cursor.end()
    return Script((f"ALTER TABLE {dotted(name)} OWNER TO {quoted(owner)}",), _TAG)


_CHANGES = {
    "ADD": _add,
    "DROP": _drop,
    "RENAME": _rename,
    "ALTER": _alter,
    "APPEND": _append,
    "OWNER": _owner,
}


def alter_table(statement: Statement) -> Script:
    """One ALTER TABLE."""
    cursor = Cursor(statement.tokens, "L3")
    cursor.expect("ALTER", "TABLE")
    name = cursor.qualified()
    change = _CHANGES.get(cursor.word())
    if change is None:
        raise cursor.wrong()
    cursor.take()
    return change(name, cursor)
