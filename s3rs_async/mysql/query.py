"""A user's own SELECT: read before it is sent, and sent as it was written but for its placeholders.

It is exactly one SELECT, by its tokens and by its tree: no second statement, no comment (a server
executes some of them), no lock, nowhere to write to, no variable. Each of its columns has a name of
its own. It asks as a condition does (`condition`), and is no wall either.

A placeholder stands where all that it can do to the rows is to limit them: `{incremental_where}` in
the outermost WHERE or HAVING, `{low}` behind `>=` and `{high}` behind `<` in one of any depth,
under nothing but AND, OR and parentheses. So the low end is in what is read and the high end is
not, and a limit that is not known yet can be one that nothing lies beyond. In the ON of an outer
join it would make NULLs of values; a LIMIT around it would lose rows, since the position moves over
those that are left out.

`{incremental_where}` compares what the list of columns says of the cursor, as it is written there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..model import TableName
from . import condition
from .select import MARK, Cursor, Place, is_plain, is_star, marks, queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import Token, exp

    from .condition import Refuse

SETTING = "custom_sql"
_WRITES = (("INTO",), ("FOR", "UPDATE"), ("FOR", "SHARE"), ("LOCK", "IN"))
_EXAMPLE = "write one SELECT, e.g. SELECT id, changed_at FROM shop.orders WHERE {incremental_where}"


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT that was read: its text, cut at its `places`; one part more than these.

    `cursor` is the expression that `{incremental_where}` compares, where it stands. `origin` is the
    table's column that the cursor is, if it is one; `plain` says that its rows come from that table
    alone, each as it is. `closed` says that no row is read that does not lie between both limits.
    """

    parts: tuple[str, ...]
    places: tuple[Place, ...]
    cursor: str | None = None
    origin: tuple[TableName, str] | None = None
    plain: bool = False
    closed: bool = False


def read(name: TableName, text: str, cursor: str | None) -> Query:
    """The query of a table's entry; ConfigError where it is not one, or does more than ask."""
    refuse = partial(_refused, name)
    text = text.strip()
    if "\0" in text or len(text) > condition.LONGEST or MARK in text.casefold():
        raise refuse("too long, or not a text", "write it as one short SELECT")
    tokens = condition.tokens(text, refuse)
    condition.check_tokens(tokens, refuse)
    _check_words(tokens, refuse)
    parts, places = _cut(text, tokens, refuse)
    shown = _shown(parts, places)
    tree = _parsed(shown, refuse)
    for node in tree.walk():
        condition.check_node(node, refuse)
    _check_names(tree, refuse)
    _check_places(tree, refuse)
    if len(list(marks(tree))) != len(places):
        raise refuse("a placeholder is not a limit of what is read", _EXAMPLE)
    if cursor is None or not places:
        return Query(parts, places)
    known = Cursor(tree, cursor, refuse)
    return Query(
        parts,
        places,
        cursor=known.written(shown) if Place.BETWEEN in places else None,
        origin=known.origin(),
        plain=is_plain(tree),
        closed=known.closed(),
    )


def _refused(name: TableName, what: str, hint: str) -> ConfigError:
    return ConfigError(
        f"not a query that can be read: {what}",
        table=str(name),
        setting=SETTING,
        hint=f"{SETTING}: {hint}",
    )


def _check_words(tokens: Sequence[Token], refuse: Refuse) -> None:
    """Refuse what writes or locks by its words, whatever the grammar makes of them."""
    from sqlglot import TokenType  # noqa: PLC0415 - as in condition

    if not tokens or tokens[0].token_type not in (TokenType.SELECT, TokenType.WITH):
        raise refuse("it is not one SELECT from a table", _EXAMPLE)
    said = (TokenType.STRING, TokenType.IDENTIFIER)
    words = ["" if each.token_type in said else each.text.upper() for each in tokens]
    for index in range(len(words)):
        if any(tuple(words[index : index + len(writes)]) == writes for writes in _WRITES):
            raise refuse("it locks or writes", "only ask, and change nothing")
    for token in tokens:
        if token.token_type in said and any(f"{{{place}}}" in token.text for place in Place):
            raise refuse(
                "a placeholder in quotes", "take the quotes away: what is filled in has its own"
            )


def _cut(
    text: str, tokens: Sequence[Token], refuse: Refuse
) -> tuple[tuple[str, ...], tuple[Place, ...]]:
    """The text around its placeholders, and these."""
    parts, places, begin, end = [], [], 0, 0
    known = ", ".join(f"{{{place}}}" for place in Place)
    for index, token in enumerate(tokens):
        if token.start < end or not _is_brace(token):
            continue
        word = tokens[index + 1].text if index + 1 < len(tokens) else ""
        whole = f"{{{word}}}"
        end = token.start + len(whole)
        if word not in set(Place) or text[token.start : end] != whole:
            raise refuse("an unknown placeholder", f"there are {known}")
        parts.append(text[begin : token.start])
        places.append(Place(word))
        begin = end
    return (*parts, text[begin:]), tuple(places)


def _is_brace(token: Token) -> bool:
    from sqlglot import TokenType  # noqa: PLC0415 - as in condition

    said = (TokenType.STRING, TokenType.IDENTIFIER)
    return token.token_type not in said and any(sign in token.text for sign in "{}")


def _shown(parts: Sequence[str], places: Sequence[Place]) -> str:
    """The query with a column's name in each place, which the grammar knows."""
    shown = [f" `{MARK}{place}` " for place in places]  # two of them in a row are two still
    return "".join(part + mark for part, mark in zip(parts, [*shown, ""], strict=True))


def _parsed(shown: str, refuse: Refuse) -> exp.Select:
    import sqlglot  # noqa: PLC0415 - as in condition

    try:
        (statement,) = sqlglot.parse(shown, read="mysql")
    except (sqlglot.errors.ParseError, ValueError, RecursionError) as error:
        raise refuse("MySQL's grammar has no such SELECT", _EXAMPLE) from error
    if isinstance(statement, sqlglot.exp.SetOperation):
        raise refuse("several SELECTs", "put them into one: SELECT ... FROM (... UNION ...) AS x")
    if not isinstance(statement, sqlglot.exp.Select) or statement.args.get("from_") is None:
        raise refuse("it is not one SELECT from a table", _EXAMPLE)
    return statement


def _check_names(tree: exp.Select, refuse: Refuse) -> None:
    """Every column has a name, and no two have one; what a star stands for the server says."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    names: set[str] = set()
    for number, shown in enumerate(tree.expressions, 1):
        if is_star(shown):
            continue
        named = isinstance(shown, exp.Alias | exp.Column | exp.Subquery) and shown.alias_or_name
        if not named:
            raise refuse(f"column {number} has no name", "name it: expression AS name")
        if named.casefold() in names:
            raise refuse(f"two columns are called {named}", "name one of them: AS other")
        names.add(named.casefold())


def _check_places(tree: exp.Select, refuse: Refuse) -> None:
    for column, place in marks(tree):
        whole = f"{{{place}}}"
        if any(_is_cut(query) for query in _around(column)):
            raise refuse(f"a LIMIT around {whole}", "leave it out: rows beyond it would be lost")
        if place is Place.BETWEEN:
            if not _limits(column) or column.find_ancestor(*queries()) is not tree:
                raise refuse(
                    f"{whole} is not a part of the outermost WHERE or HAVING",
                    "write it there, or {low} and {high} where it stands",
                )
        elif not (_is_end(column, place) and column.parent and _limits(column.parent)):
            sign = ">=" if place is Place.LOW else "<"
            raise refuse(
                f"{whole} is not a limit of what is read",
                f"write column {sign} {whole} in a WHERE or HAVING, under AND, OR and parentheses",
            )


def _around(node: exp.Expr) -> Iterator[exp.Expr]:
    """The queries in which something stands, and what stands around these."""
    above = node.parent
    while above is not None:
        yield above
        above = above.parent


def _is_cut(query: exp.Expr) -> bool:
    return any(query.args.get(name) is not None for name in ("limit", "offset", "fetch"))


def _limits(node: exp.Expr) -> bool:
    """Whether a condition is one of those that rows must meet, or may."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    above = node.parent
    while isinstance(above, exp.And | exp.Or | exp.Paren):
        above = above.parent
    return isinstance(above, exp.Where | exp.Having)


def _is_end(column: exp.Expr, place: Place) -> bool:
    """Whether a limit is compared as it is meant: the low end is read, the high end is not."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    over, under = (exp.GTE, exp.LTE) if place is Place.LOW else (exp.LT, exp.GT)
    compared = column.parent
    if isinstance(compared, over):
        return compared.expression is column
    return isinstance(compared, under) and compared.this is column
