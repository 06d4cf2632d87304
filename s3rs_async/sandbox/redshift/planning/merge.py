"""MERGE: Redshift's grammar, which is narrower than PostgreSQL's, and REMOVE DUPLICATES.

    MERGE INTO target USING source [[AS] alias] ON condition
    { WHEN MATCHED THEN { UPDATE SET column = value, … | DELETE }
      WHEN NOT MATCHED THEN INSERT [(column, …)] VALUES (value, …)
    | REMOVE DUPLICATES }

Both clauses are needed; the target has no alias, the source is a table, and the columns that are
set or inserted are named without their table. Whether the source is a table only the backend can
tell: the condition asks it (`pg_standin.merges_from`), so that a MERGE with parameters stays one
statement. REMOVE DUPLICATES replaces the rows that match and inserts those that match none; it is
a script under the table's lock. Two source rows for one target row fail there as they do in MERGE;
what Redshift does with them in this mode is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..dialect.reading import Reading
from ..dialect.rewrite import rewritten
from ..dialect.tokens import Cursor, Edit, Statement, dotted, items, literal, quoted
from ..faults import RedshiftError, syntax_error
from ..rules import holds
from .ddl import Script
from .plans import Forward, Plan


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before the clauses; `first` and `last` are the condition's tokens."""

    target: tuple[str, ...]
    source: tuple[str, ...]
    alias: str
    first: int
    last: int


def _head(cursor: Cursor, statement: Statement) -> _Head:
    cursor.expect("MERGE", "INTO")
    target = cursor.qualified()
    if not cursor.accept("USING"):
        raise RedshiftError("MERGE target cannot have an alias", "42601", rule="M1")
    follows = cursor.peek()
    if follows is not None and follows.text == "(":
        raise RedshiftError("MERGE source must be a table", "0A000", rule="M2")
    source, alias = cursor.qualified(), ""
    if cursor.accept("AS") or cursor.word() != "ON":
        alias = cursor.name()
    cursor.expect("ON")
    first = cursor.taken
    last = _condition_ends(statement, first)
    if last < first:
        raise syntax_error(statement.tokens[first].text if not cursor.done else "", "S4")
    return _Head(target, source, alias, first, last)


def _condition_ends(statement: Statement, at: int) -> int:
    """The last token before WHEN or REMOVE, outside of parentheses and CASE."""
    depth = cases = 0
    for place in range(at, len(statement.tokens)):
        token = statement.tokens[place]
        depth += token.depth
        cases += {"CASE": 1, "END": -1}.get(token.word, 0)
        if depth == 0 and cases == 0 and token.word in ("WHEN", "REMOVE"):
            return place - 1
    return len(statement.tokens) - 1


def _clause_missing() -> RedshiftError:
    message = "MERGE needs one WHEN MATCHED and one WHEN NOT MATCHED clause"
    return RedshiftError(message, "42601", rule="S4")


def _matched(cursor: Cursor) -> None:
    if not cursor.accept("WHEN", "MATCHED", "THEN"):
        raise _clause_missing()
    if cursor.accept("DELETE"):
        return
    cursor.expect("UPDATE", "SET")
    taken, depth, cases = [], 0, 0
    while (token := cursor.peek()) is not None:
        if depth == 0 and cases == 0 and token.word == "WHEN":
            break
        depth += token.depth
        cases += {"CASE": 1, "END": -1}.get(token.word, 0)
        taken.append(cursor.take())
    for item in items(tuple(taken)):
        _assignment(Cursor(item, "S4"))


def _assignment(cursor: Cursor) -> None:
    name = cursor.name()
    follows = cursor.peek()
    if follows is not None and follows.text in (".", "["):
        message = f'MERGE sets whole columns: "{name}{follows.text}" is none'
        raise RedshiftError(message, "42601", rule="M6")
    cursor.expect("=")


def _not_matched(cursor: Cursor) -> None:
    if not cursor.accept("WHEN", "NOT", "MATCHED", "THEN"):
        raise _clause_missing()
    cursor.expect("INSERT")
    if cursor.word() != "VALUES":
        cursor.names()
    cursor.expect("VALUES")
    cursor.group()
    if cursor.word() == "WHEN":
        raise _clause_missing()
    cursor.end()


def _remove_duplicates(statement: Statement, head: _Head, reading: Reading) -> Script:
    start = statement.tokens[head.first].start
    end = statement.tokens[head.last].end
    edits = [edit for edit in rewritten(statement, reading) if start <= edit.start < end]
    size = len(statement.text)
    condition = statement.edited([Edit(0, start, ""), *edits, Edit(end, size, "")])
    target, source = dotted(head.target), dotted(head.source)
    named = quoted(head.alias) if head.alias else source
    joined = f"{source} {quoted(head.alias)}" if head.alias else source
    checked = f"pg_standin.merges_alike({literal(target)}, {literal(source)})"
    twice = f"SELECT 1 FROM {target} JOIN {joined} ON ({condition}) GROUP BY {target}.ctid"
    return Script(
        (
            "SHOW rs.query_group",
            f"LOCK TABLE {target} IN EXCLUSIVE MODE",
            f"SELECT {checked}",
            f"SELECT pg_standin.merges_once(EXISTS ({twice} HAVING count(*) > 1))",
            f"DELETE FROM {target} USING {joined} WHERE ({condition})",
            f"INSERT INTO {target} SELECT {named}.* FROM {joined}",
        ),
        "MERGE",
    )


def plan_merge(statement: Statement, reading: Reading) -> Plan:
    """MERGE in the backend's words."""
    cursor = Cursor(statement.tokens, "S4")
    head = _head(cursor, statement)
    while cursor.taken <= head.last:
        cursor.take()
    if cursor.accept("REMOVE", "DUPLICATES"):
        cursor.end()
        if not holds("M5"):
            raise syntax_error("REMOVE", "M5")
        return _remove_duplicates(statement, head, reading)
    _matched(cursor)
    _not_matched(cursor)
    asked = f"pg_standin.merges_from({literal(dotted(head.source))}) AND ("
    first, last = statement.tokens[head.first], statement.tokens[head.last]
    around = [Edit(first.start, first.start, asked), Edit(last.end, last.end, ")")]
    edits = [*around[:1], *rewritten(statement, reading), *around[1:]]
    return Forward(statement.edited(edits), (dotted(head.target),))
