"""Redshift's statements that are refused by name, and PostgreSQL's that Redshift lacks.

The first is Redshift's list of commands without those that `statements.py` plans; a statement that
is in neither list is refused by its first word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dialect.tokens import word_set
from ..faults import RedshiftError, not_emulated, syntax_error

if TYPE_CHECKING:
    from ..dialect.tokens import Statement

_OBJECTS = (
    "DATABASE", "DATASHARE", "EXTERNAL FUNCTION", "EXTERNAL MODEL", "EXTERNAL SCHEMA",
    "EXTERNAL TABLE", "EXTERNAL VIEW", "FUNCTION", "GROUP", "IDENTITY PROVIDER", "LIBRARY",
    "MASKING POLICY", "MATERIALIZED VIEW", "MODEL", "PROCEDURE", "RLS POLICY", "ROLE", "TEMPLATE",
    "USER",
)  # fmt: skip
COMMANDS = frozenset(
    [
        *(f"{verb} {what}" for verb in ("CREATE", "ALTER", "DROP") for what in _OBJECTS),
        "ALTER DEFAULT PRIVILEGES", "ALTER EXTERNAL VIEW", "ANALYZE COMPRESSION",
        "ATTACH MASKING POLICY", "ATTACH RLS POLICY", "CALL", "DESC DATASHARE",
        "DESC IDENTITY PROVIDER", "DETACH MASKING POLICY", "DETACH RLS POLICY", "EXECUTE",
        "INSERT EXTERNAL TABLE", "PREPARE", "REFRESH MATERIALIZED VIEW", "UNDROP", "UNLOAD", "USE",
    ]
)  # fmt: skip
"""Redshift's, but not emulated."""

FOREIGN_OBJECTS = word_set(
    """
    ACCESS AGGREGATE CAST COLLATION CONVERSION DOMAIN EVENT EXTENSION FOREIGN INDEX LANGUAGE
    OPERATOR POLICY PUBLICATION RULE SEQUENCE SERVER STATISTICS SUBSCRIPTION TABLESPACE TEXT
    TRANSFORM TRIGGER TYPE UNIQUE
    """
)
"""What PostgreSQL creates, alters and drops, and Redshift does not know."""


def refuse_command(statement: Statement) -> RedshiftError:
    """The refusal of a statement that is not planned, by the longest name that it has."""
    words = [statement.word(at) for at in range(3)]
    for size in (3, 2, 1):
        if " ".join(words[:size]) in COMMANDS:
            return not_emulated(" ".join(words[:size]))
    return not_emulated(f'statements that begin with "{statement.tokens[0].text}"')


def refuse_object(statement: Statement, at: int) -> RedshiftError:
    """The refusal of a CREATE, ALTER or DROP whose object stands at a place."""
    verb, what = statement.word(0), statement.word(at)
    if what in FOREIGN_OBJECTS:
        message = f'SQL command "{verb} {what}" not supported'
        return RedshiftError(message, "0A000", rule="S18")
    for size in (2, 1):
        name = " ".join(statement.word(at + ahead) for ahead in range(size))
        if f"{verb} {name}" in COMMANDS:
            return not_emulated(f"{verb} {name}")
    return not_emulated(f"{verb} {what}".rstrip())


def unsupported(rule: str, statement: Statement) -> RedshiftError:
    """A whole statement that Redshift calls unsupported."""
    message = f'SQL command "{statement.text.strip()}" not supported'
    return RedshiftError(message, "0A000", rule=rule)


def unknown_word(rule: str, statement: Statement) -> RedshiftError:
    """A statement that Redshift's parser stops at the first word of."""
    return syntax_error(statement.tokens[0].text, rule)
