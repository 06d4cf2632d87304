"""Clauses that PostgreSQL has and Redshift lacks, and Redshift's that the stand-in lacks, as data.

A pattern is a run of tokens; the error names its token `at`. Keywords count only as keywords: a
name after a dot, a quoted name and a literal are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..faults import not_emulated, syntax_error

if TYPE_CHECKING:
    from .reading import Reading

NAME = "<name>"
STAND_IN = "stand-in"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A run of tokens that no statement may have; alternatives stand between bars."""

    rule: str
    run: tuple[frozenset[str], ...]
    at: int = 0
    what: str = ""

    def fits(self, reading: Reading, start: int) -> bool:
        """Whether the run stands at a place."""
        return all(
            _is(reading, start + ahead, wanted) for ahead, wanted in enumerate(self.run[1:], 1)
        )


def _is(reading: Reading, at: int, wanted: frozenset[str]) -> bool:
    if at >= len(reading.tokens):
        return False
    token = reading.tokens[at]
    return (token.word or token.text) in wanted or (NAME in wanted and token.is_name)


def _pattern(rule: str, run: str, at: int = 0, what: str = "") -> Pattern:
    return Pattern(rule, tuple(frozenset(one.split("|")) for one in run.split()), at, what)


PATTERNS = (
    _pattern("S5", "ON CONFLICT"),
    _pattern("S6", "RETURNING"),
    _pattern("S7", "ARRAY [", 1),
    _pattern("S8", "FILTER (", 1),
    _pattern("S9", "DISTINCT ON"),
    _pattern("S10", "FOR UPDATE|SHARE|NO|KEY"),
    _pattern("S11", "LATERAL"),
    _pattern("S11", "WITH ORDINALITY", 1),
    _pattern("S12", "TABLESAMPLE"),
    _pattern("S13", "( INSERT|UPDATE|DELETE|MERGE", 1),
    _pattern("S21", "( VALUES", 1),
    _pattern("S22", "IS DISTINCT FROM", 1),
    _pattern("S22", "IS NOT DISTINCT FROM", 2),
    _pattern("S29", f"WINDOW {NAME} AS ("),
    _pattern("S29", "GROUPS BETWEEN|UNBOUNDED|CURRENT"),
    _pattern("S29", "EXCLUDE CURRENT|GROUP|TIES|NO"),
    _pattern("S30", "FETCH FIRST|NEXT"),
    _pattern("S31", "ROW (", 1),
    _pattern("S32", "OVERRIDING SYSTEM|USER"),
    _pattern("S33", f"COLLATE {NAME}"),
    _pattern("S36", "FROM|JOIN|UPDATE ONLY", 1),
    _pattern("S34", "AS MATERIALIZED", 1),
    _pattern("S34", "AS NOT MATERIALIZED", 2),
    _pattern(STAND_IN, f"QUALIFY {NAME}|(", what="QUALIFY"),
    _pattern(STAND_IN, "PIVOT (", what="PIVOT"),
    _pattern(STAND_IN, "UNPIVOT (|INCLUDE|EXCLUDE", what="UNPIVOT"),
    _pattern(STAND_IN, "CONNECT BY", what="CONNECT BY"),
    _pattern(STAND_IN, "START WITH", what="START WITH"),
    _pattern(STAND_IN, "* EXCLUDE", what="SELECT * EXCLUDE"),
)
_BY_FIRST: dict[str, list[Pattern]] = {}
for _each in PATTERNS:
    for _word in _each.run[0]:
        _BY_FIRST.setdefault(_word, []).append(_each)


def check_patterns(reading: Reading) -> None:
    """Refuse the first run of tokens that is in the table."""
    for start, token in enumerate(reading.tokens):
        for pattern in _BY_FIRST.get(token.word or token.text, ()):
            if reading.text(start - 1) == "." or not pattern.fits(reading, start):
                continue
            if pattern.rule == "S7" and reading.is_catalogue:
                continue
            if pattern.rule == STAND_IN:
                raise not_emulated(pattern.what)
            raise syntax_error(reading.text(start + pattern.at), pattern.rule)
