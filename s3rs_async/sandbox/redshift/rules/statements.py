"""Statements, functions and types of the SQL dialect; what PostgreSQL has and Redshift lacks."""

from __future__ import annotations

from .rule import Rule

STATEMENTS: tuple[Rule, ...] = (
    Rule("S1", "a backslash escapes in literals; the grammar is Redshift's", ("M",)),
    Rule("S2", "what PostgreSQL has and Redshift lacks is refused", ("D", "I"), "refused"),
    Rule("S4", "MERGE needs both WHEN clauses, a table as source and no alias", ("D",)),
    Rule("stand-in", "what is not known here is refused by name, never passed", ("A",), "refused"),
)
