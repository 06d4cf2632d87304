"""Names of result columns in the WHERE of their own SELECT (rule F18).

Redshift's drivers and dialects ask the catalogue in these words: `SELECT n.nspname AS schema …
WHERE schema = 'x'`, and `WHERE 1 AND …`. The backend knows neither. A name in WHERE that an AS of
the same SELECT gives is replaced by what it stands for; where a column of that name is part of it,
the column is meant. Only queries of the catalogue alone are read so: with a user's table in it
nobody here can tell whether it has a column of that name, which would go before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reading import Reading

_ENDS = frozenset(
    ["GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT", "MINUS"]
)
_AFTER_ONE = frozenset({"", ")", "AND", "OR", ";", *_ENDS})


@dataclass(slots=True)
class _Select:
    """One SELECT while it is read: its names, and where it stands."""

    begins: int
    part: str = "SELECT"
    names: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Meant:
    """A token of a WHERE, and the tokens that it stands for; none: the condition that holds."""

    at: int
    first: int = 0
    last: int = 0


def meant(reading: Reading) -> Iterator[Meant]:
    """Each token of a WHERE that the backend would not understand."""
    open_: list[_Select | None] = [None]
    for at, token in enumerate(reading.tokens):
        select = open_[-1]
        if token.depth > 0:
            within = select if select and select.part == "WHERE" else None
            open_.append(within)
        elif token.depth < 0 and len(open_) > 1:
            open_.pop()
        elif token.word == "SELECT":
            open_[-1] = _Select(at + 1)
        elif select is not None:
            yield from _read(reading, at, select)


def _read(reading: Reading, at: int, select: _Select) -> Iterator[Meant]:
    token = reading.tokens[at]
    if select.part == "SELECT" and (token.text == "," or token.word == "FROM"):
        _name(reading, select, at)
    if token.word == "FROM" and select.part == "SELECT":
        select.part = "FROM"
    elif token.word == "WHERE" and select.part == "FROM":
        select.part = "WHERE"
        if (
            reading.text(at + 1) == "1"
            and (reading.word(at + 2) or reading.text(at + 2)) in _AFTER_ONE
        ):
            yield Meant(at + 1)
    elif token.word in _ENDS:
        select.part = "END"
    elif select.part == "WHERE" and _is_column(reading, at) and token.name in select.names:
        yield Meant(at, *select.names[token.name])


def _is_column(reading: Reading, at: int) -> bool:
    """Whether a token names a column, and says not of which table."""
    around = reading.text(at - 1), reading.text(at + 1)
    return reading.tokens[at].is_name and around[0] != "." and around[1] not in (".", "(")


def _name(reading: Reading, select: _Select, ends: int) -> None:
    """Keep what an AS gives a name to, unless a column of that name is part of it."""
    first, last = select.begins, ends - 3
    select.begins = ends + 1
    if last < first or reading.word(ends - 2) != "AS":
        return
    name = reading.tokens[ends - 1].name
    if not any(token.is_name and token.name == name for token in reading.tokens[first : last + 1]):
        select.names[name] = first, last
