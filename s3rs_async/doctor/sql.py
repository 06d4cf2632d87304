"""What is asked of servers about their user's rights, and the grants that mend them; pure text.

Only `every_column` is for a source. Redshift answers has_*_privilege for the user who asks. A grant
is printed for a person: a name is put in quotes only where it needs them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..model import TableName
from ..redshift.sql import fold, literal, qualified, quote

VERSION: Final = "SELECT version()"
IN_UTC: Final = "SET timezone TO 'UTC'"
NOW: Final = "SELECT GETDATE()"
DATABASE_RIGHTS: Final = (
    "SELECT has_database_privilege(current_database(), 'CREATE'),"
    " has_database_privilege(current_database(), 'TEMP')"
)
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def every_column(table: str) -> str:
    """All columns of a source's table (already quoted), those that the user may not see too."""
    return f"SELECT * FROM {table} LIMIT 0"


def schema_rights(schema: str) -> str:
    """Whether the user may use a schema that is there, and make tables in it."""
    name = literal(fold(schema))
    return f"SELECT has_schema_privilege({name}, 'USAGE'), has_schema_privilege({name}, 'CREATE')"


def table_rights(table: TableName, rights: Sequence[str]) -> str:
    """For each right, whether the user has it on a table that is there."""
    name = literal(qualified(table))
    asked = ", ".join(f"has_table_privilege({name}, {literal(right)})" for right in rights)
    return f"SELECT {asked}"


def grant(rights: Sequence[str], on: str, user: str) -> str:
    """The statement that gives the user the rights."""
    return f"GRANT {', '.join(rights)} ON {on} TO {shown(user)}"


def on_schema(schema: str) -> str:
    """A schema, as GRANT names it."""
    return f"SCHEMA {shown(fold(schema))}"


def on_table(table: TableName) -> str:
    """A table, as GRANT names it."""
    return f"TABLE {shown(fold(table.schema))}.{shown(fold(table.name))}"


def shown(name: str) -> str:
    """A name as a person would write it."""
    return name if _PLAIN.fullmatch(name) else quote(name)
