"""What to do with a statement: pass it on in other words, do it ourselves, or refuse it.

The first keyword chooses; a keyword that is not in the table is refused by name. A statement that
passes is folded: names to lower case, Redshift's words to the backend's. One that writes names the
table to be locked first, for Redshift locks whole tables. `Forward` is what the backend may run as
a statement of the client's, `Script` and `CopyStatement` are run by the session in its stead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .alter import alter_table
from .control import STEERING
from .copy import CopyStatement, parse_copy
from .credentials import refuse_secrets, without_secrets
from .ddl import Script, create_table, one_at_a_time
from .faults import RedshiftError, not_emulated, syntax_error
from .plans import Forward, Plan
from .rules import holds
from .settings import plan_alter_system
from .tokens import Cursor, Edit, Statement, Token, dotted, quoted

_ABSENT_RELATIONS = frozenset(
    [
        "pg_range",
        "pg_extension",
        "pg_sequences",
        "pg_matviews",
        "pg_policies",
        "pg_publication",
        "pg_subscription",
        "pg_foreign_table",
        "pg_event_trigger",
    ]
)
_FUNCTIONS = {"NVL": "coalesce", "JSON_SERIALIZE": 'pg_catalog."json_serialize"'}
_WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE")


Planner: TypeAlias = Callable[[Statement], Plan]


def _edit(statement: Statement, index: int) -> Edit | None:
    token = statement.tokens[index]
    if token.kind == "quoted" or (token.kind == "word" and token.text[0] == "#"):
        return Edit.of(token, quoted(token.name))
    if token.kind != "word":
        return None
    before = statement.tokens[index - 1].text if index else ""
    after = statement.tokens[index + 1].text if index + 1 < len(statement.tokens) else ""
    return _word_edit(token, before, after)


def _word_edit(token: Token, before: str, after: str) -> Edit | None:
    if token.word == "SYSDATE" and before != "." and after not in ("(", "."):
        return Edit.of(token, "pg_catalog.sysdate()")
    if token.word in _FUNCTIONS and before != "." and after == "(":
        return Edit.of(token, _FUNCTIONS[token.word])
    if before in ("::", "AS", "as") and token.word in ("SUPER", "VARBYTE"):
        return Edit.of(token, "jsonb" if token.word == "SUPER" else "bytea")
    return None


def _edits(statement: Statement) -> list[Edit]:
    found = (_edit(statement, index) for index in range(len(statement.tokens)))
    return [edit for edit in found if edit]


def fold(statement: Statement) -> str:
    """The statement in the backend's words."""
    return statement.edited(_edits(statement))


def _refuse_foreign(statement: Statement) -> None:
    """Refuse what PostgreSQL would run and Redshift would not (rule S2)."""
    for index, token in enumerate(statement.tokens):
        before = statement.tokens[index - 1] if index else None
        word, after = token.word, statement.word(index + 1)
        follows = statement.tokens[index + 1].text if index + 1 < len(statement.tokens) else ""
        if before is not None and before.text == ".":
            continue
        if word == "RETURNING" or (word == "ON" and after == "CONFLICT"):
            raise syntax_error(token.text, "S2")
        if (word == "FILTER" and follows == "(") or (word == "ARRAY" and follows == "["):
            raise syntax_error(follows, "S2")
        if word in ("LATERAL", "TABLESAMPLE", "ORDINALITY") or (word, after) == ("DISTINCT", "ON"):
            raise syntax_error(token.text, "S2")
        if word == "FOR" and after in ("UPDATE", "SHARE", "NO", "KEY"):
            raise syntax_error(token.text, "S2")
        if token.text == "(" and after in _WRITES and statement.word(0) != "EXPLAIN":
            raise syntax_error(statement.tokens[index + 1].text, "S2")
    _refuse_relations(statement)


def _refuse_relations(statement: Statement) -> None:
    for token in statement.tokens:
        if token.is_name and token.name in _ABSENT_RELATIONS:
            message = f'relation "{token.name}" does not exist'
            raise RedshiftError(message, "42P01", rule="S2")


def _top_words(statement: Statement) -> list[Token]:
    """The keywords outside every parenthesis."""
    depth, found = 0, []
    for token in statement.tokens:
        if token.kind == "op":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif depth == 0 and token.word:
            found.append(token)
    return found


def _select(statement: Statement) -> Forward:
    _refuse_foreign(statement)
    for token in _top_words(statement):
        if token.word == "INTO":
            raise not_emulated("SELECT INTO")
    return Forward(fold(statement))


def _with(statement: Statement) -> Forward:
    verbs = [token.word for token in _top_words(statement) if token.word in ("SELECT", *_WRITES)]
    if verbs[:1] in (["INSERT"], ["MERGE"]):
        raise syntax_error(verbs[0], "S2")
    if verbs[:1] in (["UPDATE"], ["DELETE"]):
        raise not_emulated(f"WITH before {verbs[0]}")
    return _select(statement)


def _write(statement: Statement) -> Forward:
    _refuse_foreign(statement)
    cursor = Cursor(statement.tokens, "S2")
    cursor.take()
    cursor.accept("INTO")
    cursor.accept("FROM")
    return Forward(fold(statement), (dotted(cursor.qualified()),))


def _delete(statement: Statement) -> Forward:
    plan = _write(statement)
    if statement.word(1) == "FROM":
        return plan
    first = statement.tokens[0]
    return Forward(
        statement.edited([Edit.of(first, "DELETE FROM"), *_edits(statement)]), plan.locks
    )


def _merge(statement: Statement) -> Forward:
    words = [token.word for token in statement.tokens]
    if "REMOVE" in words and "DUPLICATES" in words:
        raise not_emulated("MERGE REMOVE DUPLICATES")
    cursor = Cursor(statement.tokens, "S4")
    cursor.expect("MERGE", "INTO")
    cursor.qualified()
    if not cursor.accept("USING"):
        raise RedshiftError("MERGE target cannot have an alias", "42601", rule="S4")
    token = cursor.peek()
    if token is not None and token.text == "(":
        raise RedshiftError("MERGE source must be a table", "0A000", rule="S4")
    matched = [i for i, word in enumerate(words) if word == "MATCHED"]
    kinds = {"NOT MATCHED" if words[i - 1] == "NOT" else "MATCHED" for i in matched}
    if kinds != {"MATCHED", "NOT MATCHED"} or len(matched) > 2:  # noqa: PLR2004
        message = "MERGE needs one WHEN MATCHED and one WHEN NOT MATCHED clause"
        raise RedshiftError(message, "42601", rule="S4")
    return _write(statement)


def _copy(statement: Statement) -> CopyStatement | Forward:
    if {"STDIN", "STDOUT"} & {token.word for token in statement.tokens}:
        word = next(t.text for t in statement.tokens if t.word in ("STDIN", "STDOUT"))
        raise syntax_error(word, "S2")
    try:
        return parse_copy(statement)
    except RedshiftError as error:
        if holds(error.rule):
            raise
        return Forward(without_secrets(statement))


def _create_schema(statement: Statement) -> Plan:
    words = [token.word for token in statement.tokens]
    if "QUOTA" in words:
        raise not_emulated("CREATE SCHEMA QUOTA")
    if "EXISTS" in words:
        return Script((one_at_a_time("schema"), fold(statement)), "CREATE SCHEMA")
    return Forward(fold(statement))


def _create_view(statement: Statement) -> Forward:
    _refuse_foreign(statement)
    if "BINDING" in [token.word for token in statement.tokens]:
        raise not_emulated("late-binding views")
    return Forward(fold(statement))


def _create_as(statement: Statement) -> str:
    """The query of CREATE TABLE AS, from its AS on; empty when there is none."""
    start = next((token.start for token in _top_words(statement) if token.word == "AS"), None)
    if start is None:
        return ""
    _refuse_foreign(statement)
    edits = [edit for edit in _edits(statement) if edit.start >= start]
    return statement.edited([Edit(0, start, ""), *edits])


def _create(statement: Statement) -> Plan:
    at = 1
    if (statement.word(1), statement.word(2)) == ("OR", "REPLACE"):
        at = 3
    word = statement.word(at)
    if word == "SCHEMA":
        return _create_schema(statement)
    if word == "VIEW":
        return _create_view(statement)
    if at == 1 and word in ("TABLE", "TEMP", "TEMPORARY", "LOCAL"):
        return create_table(statement, _create_as(statement))
    if word in ("INDEX", "UNIQUE", "SEQUENCE", "DOMAIN", "TYPE", "EXTENSION", "TRIGGER", "RULE"):
        message = f'SQL command "CREATE {word}" not supported'
        raise RedshiftError(message, "0A000", rule="S2")
    raise not_emulated(f"CREATE {word}")


def _drop(statement: Statement) -> Forward:
    if statement.word(1) not in ("TABLE", "SCHEMA", "VIEW"):
        raise not_emulated(f"DROP {statement.word(1)}")
    return Forward(fold(statement))


def _alter(statement: Statement) -> Plan:
    if statement.word(1) == "TABLE":
        return alter_table(statement)
    if statement.word(1) == "SYSTEM":
        return plan_alter_system(statement)
    if statement.word(1) == "SCHEMA" and "QUOTA" not in [token.word for token in statement.tokens]:
        return Forward(fold(statement))
    raise not_emulated(f"ALTER {statement.word(1)}")


def _explain(statement: Statement) -> Forward:
    at = 2 if statement.word(1) == "VERBOSE" else 1
    if statement.word(at) not in ("SELECT", "WITH", *_WRITES):
        near = statement.tokens[at].text if at < len(statement.tokens) else ""
        raise syntax_error(near, "S2")
    return _select(statement)


def _plain(statement: Statement) -> Forward:
    return Forward(fold(statement))


def _unsupported(statement: Statement) -> Plan:
    message = f'SQL command "{statement.text.strip()}" not supported'
    raise RedshiftError(message, "0A000", rule="S2")


def _unknown_word(statement: Statement) -> Plan:
    raise syntax_error(statement.tokens[0].text, "S2")


PLANNERS: dict[str, Planner] = {
    **STEERING,
    "SELECT": _select, "WITH": _with, "INSERT": _write, "UPDATE": _write, "DELETE": _delete,
    "MERGE": _merge, "COPY": _copy, "CREATE": _create, "DROP": _drop, "ALTER": _alter,
    "EXPLAIN": _explain, "GRANT": _plain, "REVOKE": _plain, "COMMENT": _plain,
    "DECLARE": _select, "FETCH": _plain, "CLOSE": _plain, "DEALLOCATE": _plain,
    "SAVEPOINT": _unsupported, "RELEASE": _unsupported, "LISTEN": _unsupported,
    "UNLISTEN": _unsupported, "NOTIFY": _unsupported, "DISCARD": _unknown_word,
    "VALUES": _unknown_word, "DO": _unknown_word, "TABLE": _unknown_word,
}  # fmt: skip


def plan(statement: Statement) -> Plan:
    """What to do with one statement; it passes as it is where the rule that refuses it is off."""
    first = statement.tokens[0]
    word = first.word if first.text != "(" else "SELECT"
    planner = PLANNERS.get(word)
    if word != "COPY":
        refuse_secrets(statement)
    try:
        if planner is None:
            raise not_emulated(f'statements that begin with "{first.text}"')
        return planner(statement)
    except RedshiftError as error:
        if holds(error.rule):
            raise
        return Forward(statement.text)
