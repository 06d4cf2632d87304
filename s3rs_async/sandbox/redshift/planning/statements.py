"""What to do with a statement: pass it on in other words, do it ourselves, or refuse it.

The first keyword chooses; a keyword that is not in the table is refused by name. What passes has
been looked through first: its clauses, operators, literals, types, calls and system relations must
be Redshift's (`refused.py`, `operators.py`, `casts.py`, `calls.py`, `relations.py`). Then
`rewrite.py` puts it into the backend's words. One that writes names the table to be locked first,
for Redshift locks whole tables. `Forward` is what the backend may run as a statement of the
client's, `Script` and `CopyStatement` are run by the session in its stead.

A refusal whose rule is switched off passes the statement as the client wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..copying.copy import CopyStatement, parse_copy
from ..copying.credentials import refuse_secrets, without_secrets
from ..dialect import relations
from ..dialect.calls import check_calls
from ..dialect.casts import check_literals
from ..dialect.operators import check_operators
from ..dialect.reading import Reading
from ..dialect.refused import check_patterns
from ..dialect.rewrite import rewritten
from ..dialect.tokens import Cursor, Edit, Statement, Token, dotted
from ..faults import RedshiftError, not_emulated, syntax_error
from ..rules import holds
from .alter import alter_table
from .commands import refuse_command, refuse_object, unknown_word, unsupported
from .control import STEERING
from .ddl import Script, create_table, one_at_a_time
from .merge import plan_merge
from .plans import Forward, Plan
from .settings import plan_alter_system

_WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE")
_COMMENTED = ("TABLE", "COLUMN", "CONSTRAINT", "DATABASE", "VIEW")
_MOVES = ("NEXT", "ALL", "FORWARD")

Planner: TypeAlias = Callable[[Statement], Plan]


def fold(statement: Statement) -> str:
    """The statement in the backend's words."""
    return statement.edited(rewritten(statement))


def _looked_through(statement: Statement) -> Reading:
    """The statement, when all that it says is Redshift's."""
    reading = Reading(statement)
    check_patterns(reading)
    check_operators(reading)
    check_literals(reading)
    relations.check(statement)
    check_calls(reading)
    return reading


def _passed(statement: Statement, locks: tuple[str, ...] = ()) -> Forward:
    reading = _looked_through(statement)
    return Forward(statement.edited(rewritten(statement, reading)), locks)


def _top_words(statement: Statement) -> list[Token]:
    """The keywords outside every parenthesis."""
    depth, found = 0, []
    for token in statement.tokens:
        depth += token.depth
        if depth == 0 and token.word:
            found.append(token)
    return found


def _select(statement: Statement) -> Forward:
    plan = _passed(statement)
    if any(token.word == "INTO" for token in _top_words(statement)):
        raise not_emulated("SELECT INTO")
    return plan


def _with(statement: Statement) -> Forward:
    verbs = [token for token in _top_words(statement) if token.word in ("SELECT", *_WRITES)]
    verb = verbs[0].word if verbs else ""
    if verb == "INSERT":
        raise syntax_error(verb, "S14")
    if verb == "MERGE":
        raise syntax_error(verb, "M7")
    if verb in ("UPDATE", "DELETE"):
        return _written(statement, statement.tokens.index(verbs[0]))
    return _select(statement)


def _written(statement: Statement, at: int) -> Forward:
    """INSERT, UPDATE or DELETE, whose verb stands at a place."""
    cursor = Cursor(statement.tokens[at:], "S36")
    verb = cursor.take()
    cursor.accept("INTO") if verb.word == "INSERT" else cursor.accept("FROM")
    target = dotted(cursor.qualified())
    if verb.word == "INSERT" and cursor.word() == "AS":
        raise syntax_error("AS", "S32")
    plan = _passed(statement, (target,))
    if verb.word == "DELETE" and statement.word(at + 1) != "FROM":
        edits = rewritten(statement)
        return Forward(statement.edited([Edit.of(verb, "DELETE FROM"), *edits]), plan.locks)
    return plan


def _write(statement: Statement) -> Forward:
    return _written(statement, 0)


def _merge(statement: Statement) -> Plan:
    return plan_merge(statement, _looked_through(statement))


def _copy(statement: Statement) -> CopyStatement:
    for token in statement.tokens:
        if token.word in ("STDIN", "STDOUT"):
            raise syntax_error(token.text, "S20")
    return parse_copy(statement)


def _create_schema(statement: Statement) -> Plan:
    words = [token.word for token in statement.tokens]
    if "QUOTA" in words:
        raise not_emulated("CREATE SCHEMA QUOTA")
    if "EXISTS" in words:
        return Script((one_at_a_time("schema"), fold(statement)), "CREATE SCHEMA")
    return Forward(fold(statement))


def _create_view(statement: Statement, at: int) -> Forward:
    cursor = Cursor(statement.tokens[at:], "S35")
    cursor.expect("VIEW")
    cursor.qualified()
    follows = cursor.peek()
    if follows is not None and follows.text == "(":
        cursor.names()
    cursor.expect("AS")
    ends = [token.word for token in statement.tokens[-4:]]
    if ends == ["WITH", "NO", "SCHEMA", "BINDING"]:
        raise not_emulated("late-binding views")
    if ends[-2:] == ["CHECK", "OPTION"]:
        raise syntax_error("CHECK", "S35")
    return _passed(statement)


def _create_as(statement: Statement) -> str:
    """The query of CREATE TABLE AS, from its AS on; empty when there is none."""
    start = next((token.start for token in _top_words(statement) if token.word == "AS"), None)
    if start is None:
        return ""
    edits = [
        edit for edit in rewritten(statement, _looked_through(statement)) if edit.start >= start
    ]
    return statement.edited([Edit(0, start, ""), *edits])


def _create(statement: Statement) -> Plan:
    replaces = (statement.word(1), statement.word(2)) == ("OR", "REPLACE")
    at = 3 if replaces else 1
    word = statement.word(at)
    if word == "SCHEMA" and not replaces:
        return _create_schema(statement)
    if word == "VIEW":
        return _create_view(statement, at)
    temporary = word in ("TEMP", "TEMPORARY", "LOCAL") and statement.word(at + 1) != "VIEW"
    if not replaces and (word == "TABLE" or temporary):
        return create_table(statement, _create_as(statement))
    raise refuse_object(statement, at)


def _drop(statement: Statement) -> Forward:
    if statement.word(1) not in ("TABLE", "SCHEMA", "VIEW"):
        raise refuse_object(statement, 1)
    return Forward(fold(statement))


def _alter(statement: Statement) -> Plan:
    if statement.word(1) == "TABLE":
        return alter_table(statement)
    if statement.word(1) == "SYSTEM":
        return plan_alter_system(statement)
    if statement.word(1) == "SCHEMA" and "QUOTA" not in [token.word for token in statement.tokens]:
        return Forward(fold(statement))
    raise refuse_object(statement, 1)


def _explain(statement: Statement) -> Forward:
    at = 2 if statement.word(1) == "VERBOSE" else 1
    if statement.word(at) not in ("SELECT", "WITH", *_WRITES):
        near = statement.tokens[at].text if at < len(statement.tokens) else ""
        raise syntax_error(near, "S15")
    return _passed(statement)


def _grant(statement: Statement) -> Forward:
    words = [token.word for token in statement.tokens]
    if "ON" not in words:
        raise not_emulated(f"{words[0]} of roles")
    return Forward(fold(statement))


def _comment(statement: Statement) -> Forward:
    cursor = Cursor(statement.tokens, "S37")
    cursor.expect("COMMENT", "ON")
    if cursor.word() not in _COMMENTED:
        raise cursor.wrong()
    return Forward(fold(statement))


def _declare(statement: Statement) -> Forward:
    cursor = Cursor(statement.tokens, "S38")
    cursor.expect("DECLARE")
    cursor.name()
    cursor.expect("CURSOR")
    cursor.accept("WITHOUT", "HOLD")
    cursor.expect("FOR")
    return _select(statement)


def _fetch(statement: Statement) -> Forward:
    cursor = Cursor(statement.tokens, "S38")
    cursor.expect("FETCH")
    if cursor.word() not in _MOVES:
        raise cursor.wrong()
    if cursor.take().word == "FORWARD" and not cursor.accept("ALL") and cursor.word() != "FROM":
        cursor.number()
    cursor.expect("FROM")
    cursor.name()
    cursor.end()
    return Forward(fold(statement))


def _plain(statement: Statement) -> Forward:
    return Forward(fold(statement))


def _refusing(rule: str, refusal: Callable[[str, Statement], RedshiftError]) -> Planner:
    def refuse(statement: Statement) -> Plan:
        raise refusal(rule, statement)

    return refuse


def _unplanned(statement: Statement) -> Plan:
    raise refuse_command(statement)


PLANNERS: dict[str, Planner] = {
    **STEERING,
    "SELECT": _select, "WITH": _with, "INSERT": _write, "UPDATE": _write, "DELETE": _write,
    "MERGE": _merge, "COPY": _copy, "CREATE": _create, "DROP": _drop, "ALTER": _alter,
    "EXPLAIN": _explain, "GRANT": _grant, "REVOKE": _grant, "COMMENT": _comment,
    "DECLARE": _declare, "FETCH": _fetch, "CLOSE": _plain, "DEALLOCATE": _plain,
    **dict.fromkeys(("SAVEPOINT", "RELEASE"), _refusing("S2", unsupported)),
    **dict.fromkeys(("LISTEN", "UNLISTEN", "NOTIFY"), _refusing("S16", unsupported)),
    "DISCARD": _refusing("S17", unknown_word),
    **dict.fromkeys(("VALUES", "DO", "TABLE"), _refusing("S19", unknown_word)),
}  # fmt: skip


def plan(statement: Statement) -> Plan:
    """What to do with one statement; it passes as it is where the rule that refuses it is off."""
    first = statement.tokens[0]
    word = first.word if first.text != "(" else "SELECT"
    keyed = word in ("COPY", "UNLOAD")
    if not keyed:
        refuse_secrets(statement)
    try:
        return PLANNERS.get(word, _unplanned)(statement)
    except RedshiftError as error:
        if holds(error.rule):
            raise
        return Forward(without_secrets(statement) if keyed else statement.text)
