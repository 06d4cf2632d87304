"""System tables, logs and catalogue functions."""

from __future__ import annotations

from .rule import Rule

CATALOGUE: tuple[Rule, ...] = (
    Rule("C1", "catalogue functions and system tables; load errors survive a rollback", ("D", "M")),
)
