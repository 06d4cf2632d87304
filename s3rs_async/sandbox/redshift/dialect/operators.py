"""Operators: those that Redshift has; the others are PostgreSQL's own and are refused by name.

The list is Redshift's mathematical, comparison, POSIX and string operators, with those that the
leader node's parser keeps from PostgreSQL 8 for the catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..faults import RedshiftError
from .tokens import word_set

if TYPE_CHECKING:
    from .reading import Reading

_KNOWN = word_set(
    """
    + - * / % ^ |/ ||/ @ << >> & | # ~ = <> != < > <= >= || !~ ~* !~* ~~ !~~ ~~* !~~* ::
    ( ) , . ; : [ ]
    """
)


def check_operators(reading: Reading) -> None:
    """Refuse the first operator that Redshift lacks."""
    for token in reading.tokens:
        if token.kind == "op" and token.text not in _KNOWN:
            message = f"operator does not exist: {token.text}"
            raise RedshiftError(message, "42883", rule="S26")
