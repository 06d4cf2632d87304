"""Knobs: faults and choices that a test turns at run time, by SQL.

`SET s3rs_standin.NAME = 'value'` turns one for the session, `ALTER SYSTEM SET s3rs_standin.NAME =
'value'` for every session of the stand-in that has not turned its own; RESET turns it back. A
start-up parameter of that name does what SET does. Knobs follow no transaction: a rollback leaves
them, and so does RESET ALL, which drivers send between users of a pooled connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .faults import RedshiftError
from .rules import RULES

PREFIX = "s3rs_standin"


@dataclass(frozen=True, slots=True)
class Knob:
    """One knob: what it takes, what it stands at, what it does."""

    name: str
    form: str
    default: str
    text: str
    accepts: Callable[[str], bool]


def _rules(value: str) -> bool:
    return set(filter(None, value.split(","))) <= set(RULES)


KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("off", "rule,rule,…", "", "switches rules off; sessions begun later", _rules),
    )
}


class Knobs:
    """Where the knobs of a session stand, above those of the whole stand-in."""

    def __init__(self, above: Knobs | None = None) -> None:
        self._above = above
        self._values: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Where a knob stands."""
        if name in self._values:
            return self._values[name]
        return self._above[name] if self._above else KNOBS[name].default

    @property
    def off(self) -> frozenset[str]:
        """The rules that are switched off."""
        return frozenset(filter(None, self["off"].split(",")))

    def turn(self, name: str, value: str | None) -> None:
        """Turn a knob; nothing turns it back."""
        knob = KNOBS.get(name)
        if knob is None:
            message = f'unrecognized configuration parameter "{PREFIX}.{name}"'
            raise RedshiftError(message, "42704", rule="stand-in")
        if value is None:
            self._values.pop(name, None)
            return
        given = value.replace(" ", "") if name == "off" else value
        if not knob.accepts(given):
            message = f'invalid value for parameter "{PREFIX}.{name}": "{value}" ({knob.form})'
            raise RedshiftError(message, "22023", rule="stand-in")
        self._values[name] = given

    def everywhere(self, name: str, value: str | None) -> None:
        """Turn a knob of the whole stand-in."""
        (self._above or self).turn(name, value)
