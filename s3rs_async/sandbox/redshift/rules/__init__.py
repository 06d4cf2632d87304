"""What the stand-in copies of Redshift, as data: each rule with the evidence it rests on.

Evidence: D the vendor's documentation, M measured on a real cluster by others, I an error text in a
public issue, A an assumption that only a real cluster can settle. `RULES` is printed for readers
and named by every error of ours, so a check can say which rule it saw.

Every rule can be switched off for a session (`SET s3rs_standin.off = 'T2'`). What then happens is
what PostgreSQL does: a statement that the rule refuses passes as the client wrote it, a text keeps
the backend's words, a guard lets the value by. A user who knows better than an assumption may load
what his own cluster loads, and a test can show that its check sees the rule and nothing else.
`holds` asks; guards that cannot be undone by passing the statement on must ask it themselves. The
switches of a session are set before its tasks start, so each of them, and every thread that works
for it with its context, sees the same object.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from .catalogue import CATALOGUE
from .copying import COPYING
from .rule import Evidence, Rule, Treatment
from .session import SESSION
from .statements import STATEMENTS
from .tables import TABLES
from .types import TYPES

__all__ = ["RULES", "Evidence", "Rule", "Switches", "Treatment", "holds", "in_force"]

RULES: dict[str, Rule] = {
    rule.number: rule for rule in (*COPYING, *TYPES, *TABLES, *STATEMENTS, *SESSION, *CATALOGUE)
}


class Switches(Protocol):
    """Which rules a session has switched off."""

    @property
    def off(self) -> frozenset[str]:
        """Their numbers."""


in_force: ContextVar[Switches | None] = ContextVar("in_force", default=None)


def holds(rule: str) -> bool:
    """Whether a rule is in force for this session."""
    switches = in_force.get()
    return switches is None or rule not in switches.off
