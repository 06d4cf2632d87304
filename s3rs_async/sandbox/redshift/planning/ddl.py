"""CREATE TABLE: what Redshift accepts, in words that the backend accepts.

A table's definition is read in full and written anew, so an attribute that is not known here is a
syntax error and never passes through. Distribution, sort keys, encodings and the keys that Redshift
does not enforce are facts: `pg_standin.created` records them beside the table, and checks those
that need the table to be there (do the named columns exist, does the encoding fit). They are left
out of the statement. A primary key still makes its columns NOT NULL, as on Redshift.

The result is a `Script`: statements that the session runs on the client's own backend session, in
one transaction, so that a check that fails takes the table with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ..dialect.calls import check_calls
from ..dialect.reading import Reading
from ..dialect.rewrite import rewritten
from ..dialect.tokens import Cursor, Statement, Token, dotted, items, literal, quoted, split
from ..dialect.types import ENCODINGS, ColumnType, read_type
from ..faults import RedshiftError, not_emulated, syntax_error
from ..rules import holds
from .keys import CONSTRAINTS, FOREIGN, PRIMARY, Facts, Key, column_key, table_key

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
        "COLLATE",
    ]
)
_IDENTITY_BITS = {"smallint": 15, "integer": 31, "bigint": 63}
_INT_BITS = 31
SORT_LIMITS = {"COMPOUND": 400, "INTERLEAVED": 8}


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
    identity: str = ""
    not_null: set[str] = field(default_factory=set)
    nullable: set[str] = field(default_factory=set)
    encodings: dict[str, str] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    likes: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    diststyle: str = ""
    distkeys: list[str] = field(default_factory=list)
    sortstyle: str = ""
    sortkey: list[str] = field(default_factory=list)

    @property
    def attributed(self) -> bool:
        """Whether anything about distribution or sorting is said."""
        return bool(self.diststyle or self.distkeys or self.sortstyle or self.sortkey)


def _expression(tokens: tuple[Token, ...]) -> str:
    """A default in the backend's words, its functions Redshift's; as a query of its own it is."""
    head = "SELECT "
    (query,) = split(head + " ".join(token.text for token in tokens))
    reading = Reading(query)
    check_calls(reading)
    return query.edited(rewritten(query, reading))[len(head) :]


def _until_attribute(cursor: Cursor) -> tuple[Token, ...]:
    if cursor.done:
        raise cursor.wrong()
    taken: list[Token] = []
    depth = 0
    while (token := cursor.peek()) is not None:
        if depth == 0 and taken and token.word in _ATTRIBUTES:
            break
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "op" else 0
        taken.append(cursor.take())
    return tuple(taken)


def _identity(table: Table, name: str, cursor: Cursor, words: str) -> str:
    if not holds("D8a"):
        raise syntax_error("IDENTITY" if words == "ALWAYS" else "(", "D8a")
    cursor.expect("(")
    seed = cursor.number()
    cursor.expect(",")
    step = cursor.number()
    cursor.expect(")")
    bits = _IDENTITY_BITS.get(table.columns[name].sql, 0)
    if bits < _INT_BITS and holds("D8c"):
        message = f'identity column "{name}" must be of type INT or BIGINT'
        raise RedshiftError(message, "42804", rule="D8c")
    if table.identity and holds("D8b"):
        message = f'a table has one identity column: "{table.identity}" and "{name}" are two'
        raise RedshiftError(message, "42601", rule="D8b")
    table.identity = name
    table.not_null.add(name)
    bounds = f"MINVALUE {-(2**bits)} MAXVALUE {2**bits - 1}" if bits else ""
    sequence = f"START WITH {seed} INCREMENT BY {step} {bounds}"
    return f"GENERATED {words} AS IDENTITY ({sequence.rstrip()})"


def read_encoding(cursor: Cursor) -> str:
    """An encoding's name."""
    encoding = cursor.name()
    if encoding not in ENCODINGS:
        raise syntax_error(encoding, "D2b")
    return encoding


def _value(table: Table, name: str, cursor: Cursor) -> str:
    if cursor.accept("DEFAULT"):
        return "DEFAULT " + _expression(_until_attribute(cursor))
    if cursor.accept("IDENTITY"):
        return _identity(table, name, cursor, "ALWAYS")
    if cursor.accept("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
        return _identity(table, name, cursor, "BY DEFAULT")
    return ""


def _attribute(table: Table, name: str, cursor: Cursor) -> bool:
    """One attribute of a column, except what gives it a value."""
    if cursor.accept("NOT", "NULL"):
        table.not_null.add(name)
    elif cursor.accept("ENCODE"):
        table.encodings[name] = read_encoding(cursor)
    elif cursor.accept("DISTKEY"):
        table.distkeys.append(name)
    elif cursor.accept("SORTKEY"):
        table.sortkey.append(name)
    elif cursor.word() == "COLLATE":
        raise not_emulated("COLLATE")
    elif (key := column_key(cursor, table.name[-1], name)) is not None:
        add_key(table, key)
    elif cursor.accept("NULL"):
        table.nullable.add(name)
    else:
        return False
    return True


def add_key(table: Table, key: Key) -> None:
    """One more key; a primary one makes its columns NOT NULL."""
    table.keys.append(key)
    if key.kind == PRIMARY:
        table.not_null.update(key.columns)


def read_column(table: Table, cursor: Cursor) -> None:
    """A column's definition."""
    name = cursor.name()
    if name in table.columns:
        raise RedshiftError(f'column "{name}" specified more than once', "42701", rule="N2")
    kind = table.columns[name] = read_type(cursor)
    value = ""
    while not cursor.done:
        if _attribute(table, name, cursor):
            continue
        if value or not (value := _value(table, name, cursor)):
            raise cursor.wrong()
    if name in table.not_null & table.nullable:
        said = f'conflicting NULL/NOT NULL declarations for column "{name}"'
        raise RedshiftError(f'{said} of table "{table.name[-1]}"', "42601", rule="D1h")
    table.parts[name] = f"{quoted(name)} {kind.sql} {value}".rstrip()


def _like(table: Table, cursor: Cursor) -> None:
    source = cursor.qualified()
    defaults = cursor.accept("INCLUDING", "DEFAULTS")
    if not defaults:
        cursor.accept("EXCLUDING", "DEFAULTS")
    cursor.end()
    table.likes.append((source, " INCLUDING DEFAULTS" if defaults else ""))


def _body(table: Table, tokens: tuple[Token, ...]) -> None:
    for item in items(tokens):
        cursor = Cursor(item, "D1h")
        if cursor.accept("LIKE"):
            _like(table, cursor)
        elif cursor.word() in CONSTRAINTS:
            add_key(table, table_key(cursor, table.name[-1]))
        else:
            read_column(table, cursor)


def read_sortkey(cursor: Cursor, style: str) -> tuple[str, ...]:
    """The columns of a sort key; only so many may be."""
    names = cursor.names()
    if len(names) > SORT_LIMITS[style] and holds("D2e"):
        message = f"a {style} sort key has at most {SORT_LIMITS[style]} columns"
        raise RedshiftError(message, "54011", rule="D2e")
    return names


def _sort(table: Table, cursor: Cursor, style: str) -> None:
    if style == "COMPOUND" and cursor.accept("AUTO"):
        table.sortstyle = "AUTO"
        return
    table.sortkey += read_sortkey(cursor, style)
    table.sortstyle = style


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


def _check_styles(table: Table) -> None:
    if table.likes and table.attributed and holds("D2f"):
        message = "LIKE takes distribution and sort keys from its table, they cannot be given"
        raise RedshiftError(message, "0A000", rule="D2f")
    if not holds("D2"):
        return
    if len(table.distkeys) > 1:
        raise RedshiftError("only one DISTKEY column is allowed", "42601", rule="D2")
    if table.distkeys and table.diststyle not in ("", "KEY"):
        message = f"DISTSTYLE {table.diststyle} does not go with DISTKEY"
        raise RedshiftError(message, "42601", rule="D2")
    if table.diststyle == "KEY" and not table.distkeys:
        raise RedshiftError("DISTSTYLE KEY needs a DISTKEY column", "42601", rule="D2")


def facts_of(table: Table) -> Facts:
    """What is recorded beside a table; what is not said is not there."""
    facts: Facts = {
        "encode": table.encodings,
        "octets": {n: k.octets for n, k in table.columns.items() if k.sql == "bytea"},
    }
    if table.diststyle or table.distkeys:
        facts["diststyle"] = table.diststyle or "KEY"
        facts["distkey"] = table.distkeys[0] if table.distkeys else None
    if table.sortstyle or table.sortkey:
        facts["sortstyle"] = table.sortstyle or "COMPOUND"
        facts["sortkey"] = table.sortkey
    return facts


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


def _created(table: Table, *, query: bool) -> str:
    """Record a new table's facts, whatever table had its name or its number before."""
    keys = sorted(table.keys, key=lambda key: key.kind == FOREIGN)  # one may refer to its own table
    facts = facts_of(table) | {"keys": [key.fact for key in keys], "query": query}
    names = [literal(json.dumps(each)) for each in (table.name, [one for one, _ in table.likes])]
    temporary = "true" if table.temporary else "false"
    given = ", ".join((names[0], temporary, literal(json.dumps(facts)), names[1]))
    return f"SELECT pg_standin.created({given})"


def columns_sql(table: Table) -> str:
    """The column list for the backend."""
    parts = [
        text + (" NOT NULL" if name in table.not_null else "") for name, text in table.parts.items()
    ]
    likes = [f"LIKE {dotted(source)}{more}" for source, more in table.likes]
    return "(" + ", ".join([*parts, *likes]) + ")"


def _header(cursor: Cursor) -> Table:
    cursor.expect("CREATE")
    local = cursor.accept("LOCAL")
    temporary = cursor.accept("TEMP") or cursor.accept("TEMPORARY")
    if local and not temporary:
        raise cursor.wrong()
    cursor.expect("TABLE")
    optional = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.qualified()
    marked = name[-1].startswith("#")
    if marked and not holds("D7"):
        raise syntax_error("#", "D7")
    return Table(name, temporary or marked, optional)


def _as_query(table: Table, cursor: Cursor, query: str) -> str:
    """The list of names, the attributes, then the query."""
    follows = cursor.peek()
    names = cursor.names() if follows is not None and follows.text == "(" else ()
    while cursor.word() != "AS" and read_option(table, cursor):
        continue
    if cursor.word() != "AS" or table.optional:
        raise cursor.wrong()
    ends = [token.word for token in cursor.rest()[-3:]]
    if ends[-2:] == ["WITH", "DATA"] or ends == ["WITH", "NO", "DATA"]:
        raise syntax_error("WITH", "D9")
    listed = f"({', '.join(map(quoted, names))}) " if names else ""
    return listed + query


def _defined(table: Table, cursor: Cursor) -> str:
    _body(table, cursor.group())
    while not cursor.done and read_option(table, cursor):
        continue
    cursor.end()
    return columns_sql(table)


def create_table(statement: Statement, folded: str) -> Script:
    """CREATE TABLE with columns, LIKE, or AS a query (whose text comes folded from the caller)."""
    cursor = Cursor(statement.tokens, "D9" if folded else "D1h")
    table = _header(cursor)
    body = _as_query(table, cursor, folded) if folded else _defined(table, cursor)
    _check_styles(table)
    head = "CREATE TEMP TABLE" if table.temporary else "CREATE TABLE"
    head += " IF NOT EXISTS" if table.optional else ""
    text = f"{head} {dotted(table.name)} {body}"
    steps = (one_at_a_time(dotted(table.name)), text) if table.optional else (text,)
    tag = "SELECT" if folded else "CREATE TABLE"
    return Script(steps, tag, then=_created(table, query=bool(folded)))
