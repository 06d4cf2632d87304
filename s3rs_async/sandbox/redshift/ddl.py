"""CREATE TABLE and ALTER TABLE: what Redshift accepts, in words that the backend accepts.

A table's definition is read in full and written anew, so an attribute that is not known here is a
syntax error and never passes through. Distribution, sort keys, encodings and the keys that Redshift
does not enforce are facts: they are recorded beside the table (`pg_standin.dress`) and left out of
the statement. A primary key still makes its columns NOT NULL, as on Redshift.

Each result is a `Script`: statements that the session runs on the client's own backend session.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeAlias

from .faults import RedshiftError, syntax_error
from .tokens import Cursor, Statement, Token, dotted, items, literal, quoted
from .types import ENCODINGS, ColumnType, read_type

Facts: TypeAlias = dict[str, object]
CONSTRAINTS = ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT")
_ATTRIBUTES = frozenset(
    [
        "DEFAULT",
        "IDENTITY",
        "GENERATED",
        "ENCODE",
        "DISTKEY",
        "SORTKEY",
        "NOT",
        "NULL",
        "UNIQUE",
        "PRIMARY",
        "REFERENCES",
    ]
)
_SORT_LIMITS = {"COMPOUND": 400, "INTERLEAVED": 8}


@dataclass(frozen=True, slots=True)
class Script:
    """Statements to run in the client's transaction instead of the one it sent."""

    steps: tuple[str, ...]
    tag: str = ""
    then: str = ""
    alone: str = ""
    commits: bool = False


@dataclass(slots=True)
class Table:
    """A definition while it is being read."""

    name: tuple[str, ...]
    temporary: bool
    optional: bool
    columns: dict[str, ColumnType] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    encodings: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    likes: list[str] = field(default_factory=list)
    diststyle: str = ""
    distkeys: list[str] = field(default_factory=list)
    sortstyle: str = ""
    sortkey: list[str] = field(default_factory=list)


def rendered(tokens: tuple[Token, ...]) -> str:
    """Tokens as SQL, names folded; right where comments and line ends carry nothing."""
    words = []
    for token in tokens:
        if token.word == "SYSDATE":
            words.append("pg_catalog.sysdate()")
        else:
            words.append(quoted(token.name) if token.kind == "quoted" else token.text)
    return " ".join(words)


def _until_attribute(cursor: Cursor) -> tuple[Token, ...]:
    taken: list[Token] = []
    depth = 0
    while (token := cursor.peek()) is not None:
        if depth == 0 and taken and token.word in _ATTRIBUTES:
            break
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "op" else 0
        taken.append(cursor.take())
    return tuple(taken)


def _identity(cursor: Cursor, words: str) -> str:
    cursor.expect("(")
    seed = cursor.number()
    cursor.expect(",")
    step = cursor.number()
    cursor.expect(")")
    return f"GENERATED {words} AS IDENTITY (START WITH {seed} INCREMENT BY {step})"


def _references(cursor: Cursor) -> str:
    target = dotted(cursor.qualified())
    follows = cursor.peek()
    if follows is not None and follows.text == "(":
        target += "(" + ",".join(cursor.names()) + ")"
    return target


def _encoding(cursor: Cursor, name: str, kind: ColumnType) -> str:
    encoding = cursor.name()
    if encoding not in ENCODINGS:
        raise syntax_error(encoding, "D2")
    if not kind.takes(encoding):
        message = f'invalid encoding type specified for column "{name}"'
        raise RedshiftError(message, "42804", rule="D2")
    return encoding


def _value(cursor: Cursor) -> str:
    if cursor.accept("DEFAULT"):
        return "DEFAULT " + rendered(_until_attribute(cursor))
    if cursor.accept("IDENTITY"):
        return _identity(cursor, "ALWAYS")
    if cursor.accept("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
        return _identity(cursor, "BY DEFAULT")
    return ""


def _key(table: Table, name: str, cursor: Cursor) -> bool:
    if cursor.accept("PRIMARY", "KEY"):
        table.not_null.add(name)
        table.keys.append(f"PRIMARY KEY ({name})")
    elif cursor.accept("UNIQUE"):
        table.keys.append(f"UNIQUE ({name})")
    elif cursor.accept("REFERENCES"):
        table.keys.append(f"FOREIGN KEY ({name}) REFERENCES {_references(cursor)}")
    elif cursor.accept("DISTKEY"):
        table.distkeys.append(name)
    elif cursor.accept("SORTKEY"):
        table.sortkey.append(name)
    else:
        return False
    return True


def read_column(table: Table, cursor: Cursor) -> None:
    """A column's definition."""
    name = cursor.name()
    if name in table.columns:
        raise RedshiftError(f'column "{name}" specified more than once', "42701", rule="D1")
    kind = table.columns[name] = read_type(cursor)
    value = ""
    while not cursor.done:
        if cursor.accept("NOT", "NULL"):
            table.not_null.add(name)
        elif cursor.accept("ENCODE"):
            table.encodings[name] = _encoding(cursor, name, kind)
        elif cursor.accept("NULL") or _key(table, name, cursor):
            continue
        elif not value and (value := _value(cursor)):
            if "IDENTITY" in value:
                table.not_null.add(name)
        else:
            raise cursor.wrong()
    table.parts[name] = f"{quoted(name)} {kind.sql} {value}".rstrip()


def read_constraint(table: Table, cursor: Cursor) -> None:
    """A key of a table; it is recorded and not enforced."""
    if cursor.accept("CONSTRAINT"):
        cursor.name()
    if cursor.accept("PRIMARY", "KEY"):
        names = cursor.names()
        table.not_null.update(names)
        table.keys.append(f"PRIMARY KEY ({','.join(names)})")
    elif cursor.accept("UNIQUE"):
        table.keys.append(f"UNIQUE ({','.join(cursor.names())})")
    else:
        cursor.expect("FOREIGN", "KEY")
        names = cursor.names()
        cursor.expect("REFERENCES")
        table.keys.append(f"FOREIGN KEY ({','.join(names)}) REFERENCES {_references(cursor)}")
    cursor.end()


def _like(table: Table, cursor: Cursor) -> None:
    source = dotted(cursor.qualified())
    defaults = cursor.accept("INCLUDING", "DEFAULTS")
    if not defaults:
        cursor.accept("EXCLUDING", "DEFAULTS")
    cursor.end()
    table.likes.append(f"LIKE {source}" + (" INCLUDING DEFAULTS" if defaults else ""))


def _body(table: Table, tokens: tuple[Token, ...]) -> None:
    for item in items(tokens):
        cursor = Cursor(item, "D1")
        if cursor.accept("LIKE"):
            _like(table, cursor)
        elif cursor.word() in CONSTRAINTS:
            read_constraint(table, cursor)
        else:
            read_column(table, cursor)


def _sort(table: Table, cursor: Cursor, style: str) -> None:
    if style == "COMPOUND" and cursor.accept("AUTO"):
        table.sortstyle = "AUTO"
        return
    table.sortkey = list(cursor.names())
    table.sortstyle = style
    if len(table.sortkey) > _SORT_LIMITS[style]:
        message = f"a {style} sort key has at most {_SORT_LIMITS[style]} columns"
        raise RedshiftError(message, "54011", rule="D2")


def read_option(table: Table, cursor: Cursor) -> bool:
    """One table attribute after the column list."""
    if cursor.accept("BACKUP"):
        if not (cursor.accept("YES") or cursor.accept("NO")):
            raise cursor.wrong()
    elif cursor.accept("DISTSTYLE"):
        table.diststyle = cursor.word()
        if cursor.take().word not in ("AUTO", "EVEN", "KEY", "ALL"):
            raise syntax_error(table.diststyle, "D2")
    elif cursor.accept("DISTKEY"):
        table.distkeys += cursor.names()
    elif cursor.accept("COMPOUND", "SORTKEY") or cursor.accept("SORTKEY"):
        _sort(table, cursor, "COMPOUND")
    elif cursor.accept("INTERLEAVED", "SORTKEY"):
        _sort(table, cursor, "INTERLEAVED")
    else:
        return cursor.accept("ENCODE", "AUTO")
    return True


def _check_keys(table: Table, *, named: bool) -> None:
    if len(table.distkeys) > 1:
        raise RedshiftError("only one DISTKEY column is allowed", "42601", rule="D2")
    if table.distkeys and table.diststyle not in ("", "KEY"):
        message = f"DISTSTYLE {table.diststyle} does not go with DISTKEY"
        raise RedshiftError(message, "42601", rule="D2")
    if table.diststyle == "KEY" and not table.distkeys:
        raise RedshiftError("DISTSTYLE KEY needs a DISTKEY column", "42601", rule="D2")
    for name in (*table.distkeys, *table.sortkey):
        if named and name not in table.columns:
            message = f'column "{name}" named in key does not exist'
            raise RedshiftError(message, "42703", rule="D2")
        if named and table.columns[name].sql == "jsonb":
            message = f'column "{name}" of type SUPER cannot be a key'
            raise RedshiftError(message, "0A000", rule="D2")


def facts_of(table: Table) -> Facts:
    """What is recorded beside a table."""
    style = table.diststyle or ("KEY" if table.distkeys else "AUTO")
    return {
        "diststyle": style,
        "distkey": table.distkeys[0] if table.distkeys else None,
        "sortstyle": table.sortstyle or ("COMPOUND" if table.sortkey else "AUTO"),
        "sortkey": table.sortkey,
        "encode": table.encodings,
        "keys": table.keys,
        "octets": {n: k.octets for n, k in table.columns.items() if k.sql == "bytea"},
    }


def one_at_a_time(name: str) -> str:
    """Let two sessions that create one thing if it is missing follow each other.

    The backend would fail the second with a breach of a catalogue's unique index.
    """
    return f"SELECT pg_advisory_xact_lock(hashtext({literal(name)}))"


def dress(name: tuple[str, ...], facts: Facts) -> str:
    """Record a table's facts and bring its byte-length checks up to date."""
    return (
        f"SELECT pg_standin.dress({literal(dotted(name))}::regclass, {literal(json.dumps(facts))})"
    )


def columns_sql(table: Table) -> str:
    """The column list for the backend."""
    parts = [
        text + (" NOT NULL" if name in table.not_null else "") for name, text in table.parts.items()
    ]
    return "(" + ", ".join([*parts, *table.likes]) + ")"


def _header(cursor: Cursor) -> Table:
    cursor.expect("CREATE")
    local = cursor.accept("LOCAL")
    temporary = cursor.accept("TEMP") or cursor.accept("TEMPORARY")
    if local and not temporary:
        raise cursor.wrong()
    cursor.expect("TABLE")
    optional = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.qualified()
    return Table(name, temporary or name[-1].startswith("#"), optional)


def create_table(statement: Statement, folded: str) -> Script:
    """CREATE TABLE with columns, LIKE, or AS a query (whose text comes folded from the caller)."""
    cursor = Cursor(statement.tokens, "D1")
    table = _header(cursor)
    follows, query = cursor.peek(), ""
    if follows is not None and follows.text == "(":
        _body(table, cursor.group())
    while not cursor.done and read_option(table, cursor):
        continue
    start = cursor.peek()
    if start is not None and start.word == "AS" and not table.parts and not table.likes:
        query = folded
    else:
        cursor.end()
    if not (query or table.parts or table.likes):
        raise cursor.wrong()
    _check_keys(table, named=bool(table.parts) and not table.likes)
    head = "CREATE TEMP TABLE" if table.temporary else "CREATE TABLE"
    head += " IF NOT EXISTS" if table.optional else ""
    body = query or columns_sql(table)
    text = f"{head} {dotted(table.name)} {body}"
    steps = (one_at_a_time(dotted(table.name)), text) if table.optional else (text,)
    return Script(
        steps, "SELECT" if query else "CREATE TABLE", then=dress(table.name, facts_of(table))
    )
