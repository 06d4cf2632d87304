"""A query by its tree: its columns, tables and placeholders, and what its cursor is; pure.

In the tree a placeholder is a column with a name that nobody else has (`MARK`). What is told of the
cursor is told only where it is certain: an expression of the user's is passed on as it was written,
and taken only if it means the same to the grammar where it stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..model import TableName
from . import condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import Token, exp

    from .condition import Refuse

MARK = "s3rs__"


class Place(StrEnum):
    """What a placeholder stands for."""

    LOW = "low"
    HIGH = "high"
    BETWEEN = "incremental_where"


def is_star(shown: exp.Expr) -> bool:
    """Whether a column of the list stands for all of a table."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    return isinstance(shown, exp.Star) or (
        isinstance(shown, exp.Column) and isinstance(shown.this, exp.Star)
    )


def marks(tree: exp.Expr) -> Iterator[tuple[exp.Column, Place]]:
    """Every placeholder, wherever it stands."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    for column in tree.find_all(exp.Column):
        if column.name.startswith(MARK):
            yield column, Place(column.name.removeprefix(MARK))


def queries() -> tuple[type[exp.Expr], ...]:
    """The kinds of nodes that are queries."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    return (exp.Select, exp.SetOperation)


def _tables(tree: exp.Select) -> list[exp.Expr]:
    return [tree.args["from_"].this, *(join.this for join in tree.args.get("joins") or ())]


def is_plain(tree: exp.Select) -> bool:
    """Whether rows are those of one table, each as it is."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    names = ("group", "having", "distinct", "with_", "laterals", "windows")
    whole = not any(tree.args.get(name) for name in names)
    (first, *more) = _tables(tree)
    alone = isinstance(first, exp.Table) and not more
    return whole and alone and not any(found is not tree for found in tree.find_all(*queries()))


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a query says of its cursor."""

    tree: exp.Select
    name: str
    refuse: Refuse

    def written(self, shown: str) -> str:
        """The cursor's expression, as it is written in the list of columns."""
        at = self._at()
        if at is None:
            names = (*filter(None, (self._of_star(),)), self.name)
            return ".".join("`" + name.replace("`", "``") + "`" for name in names)
        text = _written(shown, at, self.tree.expressions[at].unalias(), self.refuse)
        if text is None:
            raise self.refuse(
                f"what {self.name} is cannot be taken out of the list of columns",
                "compare it yourself, with {low} and {high}",
            )
        return text

    def origin(self) -> tuple[TableName, str] | None:
        """The column of a table that the cursor is, if it is one and its table is told."""
        from sqlglot import exp  # noqa: PLC0415 - as in condition

        at = self._at()
        found = None if at is None else self.tree.expressions[at].unalias()
        if found is not None and not isinstance(found, exp.Column):
            return None
        of = self._of_star() if found is None else found.table
        tables = _tables(self.tree)
        meant = [each for each in tables if each.alias_or_name == of] if of else tables
        if len(meant) != 1 or not isinstance(meant[0], exp.Table) or not meant[0].db:
            return None
        name = self.name if found is None else found.name
        return TableName(meant[0].db, meant[0].name), name

    def closed(self) -> bool:
        """Whether both limits hold for the cursor of every row."""
        ends = set()
        for column, place in marks(self.tree):
            if not _is_required(column, self.tree):
                continue
            ends |= {Place.LOW, Place.HIGH} if place is Place.BETWEEN else self._ends(column, place)
        return ends == {Place.LOW, Place.HIGH}

    def _ends(self, column: exp.Expr, place: Place) -> set[Place]:
        compared = column.parent
        if compared is None:
            return set()
        other = compared.expression if compared.this is column else compared.this
        return {place} if self._is_it(other) else set()

    def _is_it(self, compared: exp.Expr) -> bool:
        from sqlglot import exp  # noqa: PLC0415 - as in condition

        at = self._at()
        if at is not None and compared == self.tree.expressions[at].unalias():
            return True
        named = isinstance(compared, exp.Column) and not compared.table
        return named and compared.name.casefold() == self.name.casefold()

    def _at(self) -> int | None:
        """The number of the cursor's column; None where a star stands for it."""
        for number, shown in enumerate(self.tree.expressions):
            if not is_star(shown) and shown.alias_or_name.casefold() == self.name.casefold():
                return number
        self._of_star()
        return None

    def _of_star(self) -> str:
        """The table whose columns the only star stands for; empty where it does not say."""
        from sqlglot import exp  # noqa: PLC0415 - as in condition

        stars = [shown for shown in self.tree.expressions if is_star(shown)]
        if len(stars) != 1:
            raise self.refuse(f"it has no column {self.name}", "name the cursor among its columns")
        return stars[0].table if isinstance(stars[0], exp.Column) else ""


def _is_required(column: exp.Expr, tree: exp.Select) -> bool:
    """Whether every row of the outermost SELECT must meet the condition of a placeholder."""
    from sqlglot import exp  # noqa: PLC0415 - as in condition

    above = column.parent
    if isinstance(above, exp.GTE | exp.LTE | exp.LT | exp.GT):
        above = above.parent
    while isinstance(above, exp.And | exp.Paren):
        above = above.parent
    return isinstance(above, exp.Where | exp.Having) and above.parent is tree


def _written(shown: str, number: int, wanted: exp.Expr, refuse: Refuse) -> str | None:
    """The text of a column in the outermost list, without its name, if it means what is wanted."""
    words = _listed(condition.tokens(shown, refuse), number)
    for taken in (words, _unnamed(words)):
        text = shown[taken[0].start : taken[-1].end + 1] if taken else ""
        if text and _alone(text) == wanted:
            return text
    return None


def _unnamed(words: Sequence[Token]) -> Sequence[Token]:
    from sqlglot import TokenType  # noqa: PLC0415 - as in condition

    rest = words[:-1]
    return rest[:-1] if rest and rest[-1].token_type is TokenType.ALIAS else rest


def _listed(tokens: Sequence[Token], number: int) -> list[Token]:
    """The words of a column in the outermost list."""
    from sqlglot import TokenType  # noqa: PLC0415 - as in condition

    depth, listed = 0, list[list["Token"]]()
    for token in tokens:
        kind = token.token_type
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if not listed:
            if depth == 0 and kind is TokenType.SELECT:
                listed.append([])
        elif depth == 0 and kind is TokenType.FROM:
            break
        elif depth == 0 and kind is TokenType.COMMA:
            listed.append([])
        else:
            listed[-1].append(token)
    return listed[number] if number < len(listed) else []


def _alone(text: str) -> exp.Expr | None:
    """What a text means where it stands alone."""
    import sqlglot  # noqa: PLC0415 - as in condition

    try:
        (statement,) = sqlglot.parse(f"SELECT ({text}\n)", read="mysql")
    except (sqlglot.errors.ParseError, ValueError, RecursionError):
        return None
    shown = statement.expressions if isinstance(statement, sqlglot.exp.Select) else []
    alone = len(shown) == 1 and isinstance(shown[0], sqlglot.exp.Paren)
    return shown[0].this if alone else None
