"""The relations that a statement names, and those of them that are the system's.

A name counts where a relation can stand: after FROM, JOIN, INTO, UPDATE, USING and TABLE, and
after a comma of FROM's list. There an unqualified name, or one of pg_catalog or information_schema,
may be the system's; elsewhere the same word is a column, an alias or a function. A query named in
WITH hides the system's relation of its name.

What PostgreSQL got after 8.0 does not exist (rule C16). What Redshift has and the stand-in has not
is refused by name. The catalogue's own tables are read through views of Redshift's shape (C17):
the backend's have other columns, and its own code needs them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..faults import RedshiftError, not_emulated
from ..rules import holds
from .known import ABSENT, SHAPED, UNEMULATED
from .tokens import Edit, Statement, Token, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENS = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "USING", "TABLE"})
_CLOSES = frozenset(
    ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT"]
) | frozenset(["MINUS", "SELECT", "SET", "VALUES", "WHEN", "WINDOW", "QUALIFY"])
_SKIPPED = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS"})
_TAKING_FROM = frozenset({"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation as a statement names it, and the span of the name."""

    parts: tuple[str, ...]
    start: int
    end: int

    @property
    def system(self) -> str:
        """The name that the system's relation would have; empty when it cannot be one."""
        if len(self.parts) == 1:
            return self.parts[0]
        schema, name = self.parts[-2:]
        if schema == "information_schema":
            return f"{schema}.{name}"
        return name if schema == "pg_catalog" else ""


@dataclass(slots=True)
class _Level:
    """What is open between two parentheses."""

    expects: bool = False
    listing: bool = False
    mute: bool = False


class _Reader:
    """Reads a statement's tokens once, and knows at each whether a relation may stand there."""

    def __init__(self, statement: Statement) -> None:
        self._tokens = statement.tokens
        self._levels = [_Level()]
        self._making = statement.word(0) == "CREATE"

    def references(self) -> Iterator[Reference]:
        """Each relation that is named."""
        at = 0
        while at < len(self._tokens):
            token, level = self._tokens[at], self._levels[-1]
            if token.kind == "op":
                self._punctuate(at)
            elif token.word in _OPENS | _CLOSES:
                self._turn(at)
            elif level.expects and token.word not in _SKIPPED:
                level.expects = False
                last = self._last(at)
                if token.is_name and self._text(last + 1) != "(":
                    names = self._tokens[at : last + 1 : 2]
                    parts = tuple(name.name for name in names)
                    yield Reference(parts, token.start, self._tokens[last].end)
                at = last
            at += 1

    def _text(self, at: int) -> str:
        return self._tokens[at].text if 0 <= at < len(self._tokens) else ""

    def _word(self, at: int) -> str:
        return self._tokens[at].word if 0 <= at < len(self._tokens) else ""

    def _last(self, at: int) -> int:
        """The last token of the qualified name that begins here."""
        while self._text(at + 1) == "." and at + 2 < len(self._tokens):
            at += 2
        return at

    def _punctuate(self, at: int) -> None:
        text, level = self._text(at), self._levels[-1]
        if text == "(":
            mute = self._word(at - 1) in _TAKING_FROM
            self._levels.append(_Level(level.expects, level.expects, mute))
            level.expects = False
        elif text == ")" and len(self._levels) > 1:
            self._levels.pop()
        elif text == ",":
            level.expects = level.listing

    def _turn(self, at: int) -> None:
        """A keyword that opens or closes a list of relations."""
        level, word = self._levels[-1], self._word(at)
        if word in _CLOSES:
            level.expects = level.listing = False
        elif not self._names_none(at):
            level.expects = True
            level.listing = level.listing or word in ("FROM", "TABLE", "USING")

    def _names_none(self, at: int) -> bool:
        """Whether the keyword is one of another clause: as in IS DISTINCT FROM."""
        word, before = self._word(at), self._word(at - 1)
        return {
            "FROM": self._levels[-1].mute
            or (before == "DISTINCT" and self._word(at - 2) != "SELECT"),
            "USING": self._text(at + 1) == "(",
            "UPDATE": before in ("FOR", "THEN"),
            "TABLE": self._making or self._text(at - 1) == ".",
        }.get(word, False)


def _queries(tokens: tuple[Token, ...]) -> frozenset[str]:
    """The names that WITH gives."""
    named = zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    return frozenset(
        name.name
        for before, name, as_, paren in named
        if (before.word in ("WITH", "RECURSIVE") or before.text == ",")
        and (as_.word, paren.text) == ("AS", "(")
    )


def references(statement: Statement) -> list[Reference]:
    """The relations that a statement names, but for those it defines itself."""
    own = _queries(statement.tokens)
    found = _Reader(statement).references()
    return [each for each in found if len(each.parts) > 1 or each.parts[0] not in own]


def check(statement: Statement) -> None:
    """Refuse the system's relations that Redshift has not, or that the stand-in has not."""
    for reference in references(statement):
        name = reference.system
        if name in ABSENT:
            message = f'relation "{".".join(reference.parts)}" does not exist'
            raise RedshiftError(message, "42P01", rule="C16")
        if name in UNEMULATED:
            raise not_emulated(f"the system relation {name}")


def _columns(tokens: tuple[Token, ...]) -> Iterator[Reference]:
    """The relations before columns that are named with their schema."""
    named = zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    for schema, dot, name, after in named:
        if schema.is_name and schema.name == "pg_catalog" and dot.text == after.text == ".":
            yield Reference((schema.name, name.name), schema.start, name.end)


def reshaped(statement: Statement, edits: list[Edit]) -> list[Edit]:
    """Edits of a statement, and with them what reads the catalogue in Redshift's shape."""
    if not holds("C17"):
        return edits
    own = [
        Edit(each.start, each.end, f"pg_standin.{quoted(each.system)}")
        for each in (*references(statement), *_columns(statement.tokens))
        if each.system in SHAPED and (each.system != "pg_constraint" or holds("C22"))
    ]
    spans = [(each.start, each.end) for each in own]
    others = [edit for edit in edits if not any(a <= edit.start < b for a, b in spans)]
    return [*others, *own]
