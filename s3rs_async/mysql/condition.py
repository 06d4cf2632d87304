"""A user's own WHERE: read before it goes into a statement, and passed on as it was written.

It is one expression and stays one inside of our parentheses: its own are balanced, and it has no
comment that could swallow what follows. It asks and changes nothing: no variable, no placeholder,
no stored function, no lock, none of the functions that wait or reach outside of the table.

This is no wall against someone who may write the configuration: what the source's user may do, its
grants say. It keeps a slip of the pen from reading other rows than meant.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .table import SourceTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlglot import Token, exp

    Refuse = Callable[[str, str], ConfigError]
    """What is wrong with a text and what mends it, as the error that says so."""

SETTING = "additional_where"
LONGEST = 20_000
_DEEPEST = 100
_REFUSED = frozenset(
    {
        *("sleep", "benchmark", "load_file", "last_insert_id", "nextval", "setval", "lastval"),
        *("get_lock", "release_lock", "release_all_locks", "is_free_lock", "is_used_lock"),
        *("master_pos_wait", "source_pos_wait", "master_gtid_wait", "wait_for_executed_gtid_set"),
        *("wait_until_sql_thread_after_gtids", "sys_exec", "sys_eval", "rand", "uuid"),
    }
)


def read(table: SourceTable, text: str) -> str:
    """The condition as it was written; ConfigError where it is not one, or does more than ask."""
    refuse = partial(_refused, table)
    if "\0" in text or len(text) > LONGEST:
        raise refuse("too long, or not a text", "write it as one short condition")
    check_tokens(tokens(text, refuse), refuse)
    tree = _parsed(refuse, text)
    for node in tree.walk():
        check_node(node, refuse)
    _check_columns(table, tree)
    return text.strip()


def _refused(table: SourceTable, what: str, hint: str) -> ConfigError:
    return ConfigError(
        f"not a condition that can be read along: {what}",
        table=str(table.name),
        setting=SETTING,
        hint=f"{SETTING}: {hint}",
    )


def tokens(text: str, refuse: Refuse) -> Sequence[Token]:
    """The words of a text."""
    import sqlglot  # noqa: PLC0415 - slow to load, and few tables have a condition

    try:
        return sqlglot.tokenize(text, read="mysql")
    except sqlglot.errors.TokenError as error:
        raise refuse("a quote is not closed", "close every quote") from error


def check_tokens(found: Sequence[Token], refuse: Refuse) -> None:
    """Refuse what could reach beyond the text: comments, semicolons, stray parentheses."""
    from sqlglot import TokenType  # noqa: PLC0415

    depth = deepest = 0
    for token in found:
        if token.comments or token.token_type is TokenType.HINT:
            raise refuse("a comment", "leave comments out")
        if token.token_type is TokenType.SEMICOLON:
            raise refuse("a semicolon", "leave the semicolon out")
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        deepest = max(deepest, depth)
        if depth < 0 or deepest > _DEEPEST:
            break
    if depth != 0:
        raise refuse("parentheses do not match", "close every parenthesis that is opened")


def _parsed(refuse: Refuse, text: str) -> exp.Expr:
    """The expression's tree, read where it will stand: in parentheses behind a WHERE."""
    import sqlglot  # noqa: PLC0415

    example = "write it as what follows WHERE, e.g. status = 'paid' AND region_id IN (1, 2)"
    try:
        (statement,) = sqlglot.parse(f"SELECT 1 FROM t WHERE ({text}\n)", read="mysql")
    except (sqlglot.errors.ParseError, ValueError, RecursionError) as error:
        raise refuse("MySQL's grammar has no such expression", example) from error
    where = None if statement is None else statement.args.get("where")
    if where is None or not isinstance(where.this, sqlglot.exp.Paren):
        raise refuse("it is not one expression", example)
    inner: exp.Expr = where.this.this
    if isinstance(inner, sqlglot.exp.Alias | sqlglot.exp.Query):
        raise refuse("it is not one expression", example)
    return inner


def check_node(node: exp.Expr, refuse: Refuse) -> None:
    """Refuse what does more than ask: variables, locks, functions that wait or reach outside."""
    from sqlglot import exp  # noqa: PLC0415

    if isinstance(node, exp.Parameter | exp.SessionParameter):
        raise refuse("a variable", "write the value itself")
    if isinstance(node, exp.Placeholder):
        raise refuse("a placeholder", "write the value itself")
    if isinstance(node, exp.Lock | exp.Into | exp.DML | exp.DDL) and not isinstance(
        node, exp.Query
    ):
        raise refuse("it locks or writes", "only ask, and change nothing")
    if isinstance(node, exp.Dot):
        raise refuse("a stored function", "use MySQL's own functions")
    if isinstance(node, exp.Func) and (name := _called(node)) in _REFUSED:
        raise refuse(f"the function {name}", f"write it without {name}()")


def _called(node: exp.Func) -> str:
    return str(node.name if node.key == "anonymous" else node.sql_name()).casefold()


def _check_columns(table: SourceTable, tree: exp.Expr) -> None:
    """Each name outside of a subquery, where other tables' columns are meant, is a column's."""
    from sqlglot import exp  # noqa: PLC0415

    outermost = tree.find_ancestor(exp.Query)
    for found in tree.find_all(exp.Column):
        if not found.table and found.find_ancestor(exp.Query) is outermost:
            table.column(found.name, SETTING)
