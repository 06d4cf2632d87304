"""Tables that are younger than a transaction's snapshot (rule X1c).

A name is looked up in the catalogue as it is now, while a query reads the catalogue as the snapshot
has it: a table that the first finds and the second does not is younger. Names are taken by tokens:
those that follow FROM, JOIN, INTO, USING, UPDATE and COPY, and those after a comma in such a list.
A name may turn out to be an alias or a query's own; for that the catalogue has no table.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..dialect.tokens import Statement, dotted, literal

_OPENS = frozenset({"FROM", "JOIN", "INTO", "USING", "UPDATE", "COPY"})
_CLOSES = frozenset({"WHERE", "SET", "ON", "GROUP", "ORDER", "SELECT", "VALUES", "WHEN", "LIMIT"})
_SQL = (
    "SELECT to_regclass(name)::oid::bigint, pg_current_xact_id_if_assigned()::text,"
    " to_regclass(name) IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(name))"
    " FROM (VALUES {}) AS asked (name)"
)


def question(tables: tuple[str, ...]) -> str:
    """Asks for each table's number, the transaction's, and whether the table is younger."""
    return _SQL.format(", ".join(f"({literal(table)})" for table in tables))


def mentioned(statement: Statement) -> tuple[str, ...]:
    """What may be tables of a statement, as SQL, each once."""
    return tuple(dict.fromkeys(_named(statement)))


def _named(statement: Statement) -> Iterator[str]:
    tokens, listed, due = statement.tokens, False, False
    for at, token in enumerate(tokens):
        if token.word in _OPENS:
            listed = due = True
        elif token.word in _CLOSES or token.text in ("(", ")"):
            listed = due = False
        elif token.text == ",":
            due = listed
        elif due and token.is_name:
            due = False
            yield dotted(_parts(statement, at))


def _parts(statement: Statement, at: int) -> Iterator[str]:
    tokens = statement.tokens
    yield tokens[at].name
    while at + 2 < len(tokens) and tokens[at + 1].text == "." and tokens[at + 2].is_name:
        at += 2
        yield tokens[at].name
