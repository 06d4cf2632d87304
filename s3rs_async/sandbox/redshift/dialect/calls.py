"""The calls that a statement may not make, and those that the stand-in cannot make for it.

A call passes only when `functions.py` knows its name; where it may run is Redshift's split between
leader and compute nodes: a leader-node function fails as soon as the query reads a user's table, a
compute-node function fails unless it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..faults import RedshiftError, not_emulated
from .functions import COMPUTE, LEADER, OURS, SAME, SHAPED, is_missing

if TYPE_CHECKING:
    from .reading import Call, Reading

_SCHEMAS = frozenset({"", "pg_catalog", "information_schema"})
_CLOCKS = frozenset(
    {"CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_SCHEMA"}
)
_LEADER_ONLY = (
    "Specified types or functions (one per INFO message) not supported on Redshift tables."
)
_COMPUTE_ONLY = (
    "One or more of the used functions must be applied on at least one user created tables."
)


def _unknown(name: str) -> RedshiftError:
    return RedshiftError(f"function {name}(...) does not exist", "42883", rule="S23")


def _leader_only(name: str) -> RedshiftError:
    message = f'{_LEADER_ONLY} Function "{name}" not supported.'
    return RedshiftError(message, "0A000", rule="S24")


def _check_special(reading: Reading, call: Call) -> bool:
    """Look at what only looks like a call, or is one in the catalogue's queries alone."""
    inside = reading.text(call.opens + 1)
    if inside == "+" and call.closes == call.opens + 2:
        raise not_emulated("the join operator (+)")
    if reading.word(call.start - 1) == "APPROXIMATE":
        raise not_emulated(f"APPROXIMATE {call.name.upper()}")
    query = call.name == "array" and inside.upper() == "SELECT"
    return query and reading.is_catalogue


def _check(reading: Reading, call: Call) -> None:
    name = call.name
    if _check_special(reading, call):
        return
    if call.schema not in _SCHEMAS:
        raise _unknown(f"{call.schema}.{name}")
    if name in COMPUTE and not reading.reads_users:
        raise RedshiftError(_COMPUTE_ONLY, "0A000", rule="S25")
    if name in SAME or name in OURS or name in SHAPED:
        return
    if name not in LEADER:
        raise not_emulated(f"the function {name}") if is_missing(name) else _unknown(name)
    if reading.reads_users:
        raise _leader_only(name)


def check_calls(reading: Reading) -> None:
    """Refuse the first call, in the order of writing, that may not pass."""
    for call in sorted(reading.calls, key=lambda each: each.start):
        _check(reading, call)
    for at, token in enumerate(reading.tokens):
        if token.kind != "word" or token.word not in _CLOCKS:
            continue
        named = reading.text(at - 1) == "." or reading.word(at - 1) == "AS"
        if not named and reading.reads_users:
            raise _leader_only(token.name)
