"""ALTER TABLE as Redshift limits it: one change a statement, and few of PostgreSQL's.

Changes of distribution, sort keys and encodings are recorded and cost nothing; they alone may be
several in a statement. A change of a column's length and APPEND cannot run inside a transaction
block. What depends on the table as it is (its facts, its data, its defaults) is checked by the
functions of `sql/changes.sql`, which then make the change.
"""

from __future__ import annotations

import json

from ..dialect.tokens import Cursor, Statement, dotted, items, literal, quoted
from ..dialect.types import read_type
from ..faults import RedshiftError, not_emulated, syntax_error
from ..rules import holds
from .ddl import (
    Script,
    Table,
    columns_sql,
    dress,
    facts_of,
    read_column,
    read_encoding,
    read_sortkey,
)
from .keys import CONSTRAINTS, FOREIGN, Facts, Key, table_key

_TAG = "ALTER TABLE"


def _bare(name: tuple[str, ...]) -> Table:
    return Table(name, temporary=False, optional=False)


def _call(function: str, name: tuple[str, ...], *arguments: object) -> str:
    """A call of one of our functions on a table."""
    relation = f"{literal(dotted(name))}::regclass"
    given = [literal(each) if isinstance(each, str) else str(each).lower() for each in arguments]
    return f"SELECT pg_standin.{function}({', '.join([relation, *given])})"


def _add(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.word() in CONSTRAINTS:
        key = table_key(cursor, name[-1])
        return Script((_call("add_key", name, json.dumps(key.fact)),), _TAG)
    cursor.accept("COLUMN")
    rest = cursor.rest()
    if len(items(rest)) > 1:
        raise syntax_error(",", "L3")
    table = _bare(name)
    read_column(table, Cursor(rest, "L3e"))
    (column,) = table.columns
    _check_added(table, column)
    text = f"ALTER TABLE {dotted(name)} ADD COLUMN {columns_sql(table)[1:-1]}"
    return Script((text,), _TAG, then=dress(name, facts_of(table)))


def _check_added(table: Table, column: str) -> None:
    if table.distkeys or table.sortkey:
        message = "ALTER TABLE ADD COLUMN does not support DISTKEY or SORTKEY columns"
        raise RedshiftError(message, "0A000", rule="L3a")
    if table.identity:
        message = "ALTER TABLE ADD COLUMN does not support columns with type IDENTITY"
        raise RedshiftError(message, "0A000", rule="L3b")
    if table.keys:
        message = "ALTER TABLE ADD COLUMN does not support columns defined with " + _key_words(
            table.keys[0]
        )
        raise RedshiftError(message, "0A000", rule="L3b")
    if column in table.not_null and "DEFAULT" not in table.parts[column]:
        message = (
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression"
        )
        raise RedshiftError(message, "42601", rule="L3c")


def _key_words(key: Key) -> str:
    foreign = key.kind == FOREIGN
    return "REFERENCES constraints" if foreign else "UNIQUE or PRIMARY KEY constraints"


def _cascade(cursor: Cursor) -> bool:
    cascade = cursor.accept("CASCADE")
    if not cascade:
        cursor.accept("RESTRICT")
    cursor.end()
    return cascade


def _drop(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.accept("CONSTRAINT"):
        constraint = cursor.name()
        _cascade(cursor)
        if not holds("L7"):
            raise cursor.wrong("L7")
        return Script((_call("drop_key", name, constraint),), _TAG)
    cursor.accept("COLUMN")
    column = cursor.name()
    return Script((_call("drop_column", name, column, _cascade(cursor)),), _TAG)


def _rename(name: tuple[str, ...], cursor: Cursor) -> Script:
    if cursor.accept("TO"):
        new = cursor.name()
        cursor.end()
        return Script((f"ALTER TABLE {dotted(name)} RENAME TO {quoted(new)}",), _TAG)
    cursor.accept("COLUMN")
    old = cursor.name()
    cursor.expect("TO")
    new = cursor.name()
    cursor.end()
    text = f"ALTER TABLE {dotted(name)} RENAME COLUMN {quoted(old)} TO {quoted(new)}"
    return Script((text, _call("renamed", name, old, new)), _TAG)


def _retype(name: tuple[str, ...], column: str, cursor: Cursor) -> Script:
    kind = read_type(cursor)
    if cursor.word() == "USING":
        message = "ALTER TABLE ALTER COLUMN does not support USING expression"
        raise RedshiftError(message, "0A000", rule="L2d")
    cursor.end()
    base = kind.sql.split("(", maxsplit=1)[0]
    if base not in ("varchar", "bytea"):
        message = f'cannot alter type of column "{column}": only VARCHAR and VARBYTE change length'
        raise RedshiftError(message, "0A000", rule="L2")
    alone = "ALTER TABLE ALTER COLUMN" if holds("L2c") else ""
    return Script((_call("resize", name, column, base, kind.octets),), _TAG, alone=alone)


def _column_facts(cursor: Cursor) -> Facts:
    """ALTER COLUMN … ENCODE; what else PostgreSQL could do to a column is refused."""
    cursor.accept("COLUMN")
    column = cursor.name()
    if cursor.word() in ("SET", "DROP") and cursor.word(1) == "DEFAULT":
        message = "ALTER COLUMN SET/DROP DEFAULT is not supported"
        raise RedshiftError(message, "0A000", rule="L3d")
    if not cursor.accept("ENCODE"):
        raise cursor.wrong()
    return {"encode": {column: read_encoding(cursor)}}


def _sort_facts(cursor: Cursor) -> Facts:
    cursor.accept("COMPOUND")
    cursor.expect("SORTKEY")
    if cursor.accept("AUTO") or cursor.accept("NONE"):
        return {"sortstyle": "AUTO", "sortkey": []}
    return {"sortstyle": "COMPOUND", "sortkey": read_sortkey(cursor, "COMPOUND")}


def _dist_facts(cursor: Cursor) -> Facts:
    style = "KEY"
    if cursor.accept("DISTSTYLE"):
        style = cursor.take().word
    if style not in ("AUTO", "EVEN", "ALL", "KEY"):
        raise syntax_error(style, "D2")
    key = None
    if style == "KEY":
        cursor.expect("DISTKEY")
        key = cursor.name()
    return {"diststyle": style, "distkey": key}


def _attribute_facts(cursor: Cursor) -> Facts:
    word = cursor.word()
    if word in ("SORTKEY", "COMPOUND"):
        facts = _sort_facts(cursor)
    elif word in ("DISTKEY", "DISTSTYLE"):
        facts = _dist_facts(cursor)
    elif cursor.accept("ENCODE", "AUTO"):
        facts = {"encode": None}
    else:
        facts = _column_facts(cursor)
    cursor.end()
    return facts


def _alter(name: tuple[str, ...], cursor: Cursor) -> Script:
    if not holds("L6"):
        raise cursor.wrong("L6")
    at = 1 if cursor.word() == "COLUMN" else 0
    if cursor.word(at + 1) == "TYPE":
        for _ in range(at):
            cursor.take()
        column = cursor.name()
        cursor.take()
        return _retype(name, column, cursor)
    changes = []
    for number, part in enumerate(items(cursor.rest())):
        change = Cursor(part, "L3e")
        if number:
            change.expect("ALTER")
        changes.append(dress(name, _attribute_facts(change)))
    return Script(tuple(changes), _TAG)


def _append(name: tuple[str, ...], cursor: Cursor) -> Script:
    cursor.expect("FROM")
    source = cursor.qualified()
    mode = ""
    if cursor.word() in ("IGNOREEXTRA", "FILLTARGET"):
        if not holds("L5d"):
            raise cursor.wrong("L5d")
        mode = cursor.take().word
    cursor.end()
    if not holds("L5"):
        raise syntax_error("APPEND", "L5")
    relation = f"{literal(dotted(source))}::regclass"
    move = _call("append", name)[:-1] + f", {relation}, {literal(mode)})"
    alone = "ALTER TABLE APPEND" if holds("L5a") else ""
    return Script((move,), "ALTER TABLE APPEND", alone=alone)


def _owner(name: tuple[str, ...], cursor: Cursor) -> Script:
    cursor.expect("TO")
    owner = cursor.name()
    cursor.end()
    return Script((f"ALTER TABLE {dotted(name)} OWNER TO {quoted(owner)}",), _TAG)


def _security(name: tuple[str, ...], cursor: Cursor) -> Script:
    raise not_emulated(f"ALTER TABLE ROW {cursor.word()} SECURITY on {dotted(name)}")


_CHANGES = {
    "ADD": _add,
    "DROP": _drop,
    "RENAME": _rename,
    "ALTER": _alter,
    "APPEND": _append,
    "OWNER": _owner,
    "ROW": _security,
}


def alter_table(statement: Statement) -> Script:
    """One ALTER TABLE."""
    cursor = Cursor(statement.tokens, "L3e")
    cursor.expect("ALTER", "TABLE")
    name = cursor.qualified()
    change = _CHANGES.get(cursor.word())
    if change is None:
        raise cursor.wrong()
    cursor.take()
    return change(name, cursor)
