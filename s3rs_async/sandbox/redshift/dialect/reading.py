"""What a statement's tokens say: its parentheses, calls, types and the tables it reads.

One pass over the tokens each, never a search from every token, so that planning a long INSERT stays
linear. A name before a parenthesis is a call unless its place says otherwise: a list of columns
after INTO or an alias, the name of a common table expression, a type with its length, a keyword.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .relations import references
from .tokens import word_set

if TYPE_CHECKING:
    from .tokens import Statement

_NEVER_CALLED = word_set(
    """
    ALL AND ANY AS BETWEEN BY CASE CUBE DISTINCT ELSE EXCEPT EXISTS FILTER FROM GROUP HAVING ILIKE
    IN INSERT INTERSECT INTO IS JOIN LATERAL LIKE LIMIT MATERIALIZED MINUS NOT OFFSET ON ONLY
    OPERATOR OR OVER PARTITION QUALIFY RETURNING ROLLUP SELECT SET SETS SOME THEN TO TOP UNION
    USING VALUES VARYING WHEN WHERE WITH
    """
)
_LEADS = word_set(
    """
    ALL AND ANY APPROXIMATE BETWEEN BY CASE DEFAULT DISTINCT ELSE ESCAPE EXCEPT EXPLAIN FROM HAVING
    ILIKE IN INTERSECT IS JOIN LATERAL LIKE LIMIT MINUS NOT OFFSET ON OR QUALIFY RANGE RETURNING
    ROWS SELECT SET SOME THEN TO UNION USING VALUES WHEN WHERE ZONE
    """
)
_LISTS_FOLLOW = frozenset({"INTO", "VIEW", "AS", "TABLE", "UPDATE"})
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
_SYSTEM_PREFIXES = ("pg_", "svv_", "svl_", "stl_", "stv_", "sys_")


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name with its argument list, as places among the tokens."""

    name: str
    schema: str
    start: int
    opens: int
    closes: int


class Reading:
    """A statement, read once."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.tokens = statement.tokens

    def text(self, at: int) -> str:
        """A token's text, empty beyond the ends."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def word(self, at: int) -> str:
        """A token's keyword, empty beyond the ends."""
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    @cached_property
    def pairs(self) -> dict[int, int]:
        """Where each parenthesis closes; the inner ones come first."""
        opened: list[int] = []
        found: dict[int, int] = {}
        for at, token in enumerate(self.tokens):
            if token.depth > 0:
                opened.append(at)
            elif token.depth < 0 and opened:
                found[opened.pop()] = at
        return found

    @cached_property
    def calls(self) -> list[Call]:
        """Every call, the inner ones first."""
        found = (self._call(opens, closes) for opens, closes in self.pairs.items())
        return [call for call in found if call]

    def _call(self, opens: int, closes: int) -> Call | None:
        at = opens - 1
        if at < 0 or not self.tokens[at].is_name or self.tokens[at].word in _NEVER_CALLED:
            return None
        start = at
        while self.text(start - 1) == "." and start >= 2 and self.tokens[start - 2].is_name:  # noqa: PLR2004
            start -= 2
        if start in self._typed or self._is_list(start, closes):
            return None
        schema = self.tokens[start].name if start < at else ""
        return Call(self.tokens[at].name, schema, start, opens, closes)

    def _is_list(self, start: int, closes: int) -> bool:
        """Whether a name and its parentheses, at this place, are a list of columns."""
        before = self.tokens[start - 1] if start else None
        if before is None:
            return False
        if before.word in _LISTS_FOLLOW or before.text == ")":
            return True
        if before.text == "," or before.word in ("WITH", "RECURSIVE"):
            return self.word(closes + 1) == "AS" and self.text(closes + 2) == "("
        return before.is_name and before.word not in _LEADS

    @cached_property
    def _typed(self) -> frozenset[int]:
        """Where a type stands that may have a length."""
        converted = (at + 1 for at in self.pairs if self.word(at - 1) == "CONVERT")
        return frozenset((*self.types, *converted))

    def commas(self, call: Call) -> list[int]:
        """Where the commas between a call's arguments stand."""
        found, at = [], call.opens + 1
        while at < call.closes:
            if self.text(at) == ",":
                found.append(at)
            at = self.pairs.get(at, at) + 1
        return found

    @cached_property
    def types(self) -> list[int]:
        """Where a type's name begins: after `::` and after the AS of a CAST."""
        found, casts = [], [False]
        for at, token in enumerate(self.tokens):
            if token.depth > 0:
                casts.append(self.word(at - 1) == "CAST")
            elif token.depth < 0 and len(casts) > 1:
                casts.pop()
            elif token.text == "::" or (casts[-1] and token.word == "AS"):
                found.append(at + 1)
        return found

    @cached_property
    def relations(self) -> list[tuple[str, ...]]:
        """The tables and views that it names, without its own common table expressions."""
        return [each.parts for each in references(self.statement)]

    @cached_property
    def reads_users(self) -> bool:
        """Whether it reads or writes a table of a user's."""
        return self.word(0) in _WRITES or not all(map(is_system, self.relations))

    @cached_property
    def is_catalogue(self) -> bool:
        """Whether it reads system tables and nothing else."""
        return bool(self.relations) and not self.reads_users


def is_system(parts: tuple[str, ...]) -> bool:
    """Whether a name is one of the catalogue's."""
    if len(parts) > 1:
        return parts[-2] in _SYSTEM_SCHEMAS
    return parts[0].startswith(_SYSTEM_PREFIXES)
