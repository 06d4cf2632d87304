"""A backend's errors in Redshift's words: SQLSTATE, message, detail; nothing of PostgreSQL's.

The checks of our own in the backend (lengths in bytes, for one) raise Redshift's words themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..copying.scan import cancelled
from ..faults import Cycle, Fields, Report, lost_race
from ..rules import holds

_NULL = re.compile(r'null value in column "([^"]*)"')


_GONE = "WqpnFLRcdst"


@dataclass(frozen=True, slots=True)
class Scene:
    """What an error's text tells of the session that met it."""

    query: int = 0
    cycle: Cycle = field(default_factory=Cycle)


def translate(fields: Fields, scene: Scene) -> Fields:
    """A backend's error in Redshift's words."""
    values = {key: value for key, value in fields.values.items() if key not in _GONE}
    words = _words(fields, scene)
    if words is None:
        return Fields(values)
    for key in "DH":
        values.pop(key, None)
    return Fields(values | words)


def _words(fields: Fields, scene: Scene) -> dict[str, str] | None:
    """The fields that change; nothing where Redshift says the same."""
    state = fields.get("C")
    if state == "40001" and holds("X1a"):
        race = lost_race(scene.cycle)
        return {"C": race.state, "M": race.message, "D": race.detail(scene.query)}
    if state == "57014" and holds("X5"):
        return {"M": cancelled(scene.query).message}
    if state == "25006" and holds("X8"):
        return {"M": "transaction is read-only"}
    return _refused_value(fields, scene.query)


def _refused_value(fields: Fields, query: int) -> dict[str, str] | None:
    state, message = fields.get("C"), fields.get("M")
    missing = _NULL.match(message)
    if state == "428C9" and holds("D8"):
        return {"C": "0A000", "M": "cannot set an identity column to a value"}
    if state == "23502" and missing and holds("D3c"):
        message = f"Cannot insert a NULL value into column {missing[1]}"
        return {"C": "XX000", "M": message, "D": Report(8007, message).text(message, query)}
    if state == "21000" and "MERGE" in message and holds("M4"):
        return {"M": "Found multiple matches to update the same tuple"}
    return None
