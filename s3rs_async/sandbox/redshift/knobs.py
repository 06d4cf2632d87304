"""Knobs: faults and choices that a test turns at run time, by SQL.

`SET s3rs_standin.NAME = 'value'` turns one for the session, `ALTER SYSTEM SET s3rs_standin.NAME =
'value'` for every session of the stand-in that has not turned its own; RESET and ALTER SYSTEM RESET
turn it back, SHOW tells where it stands. A start-up parameter of that name does what SET does.
Knobs follow no transaction: a rollback leaves them, and so does RESET ALL, which drivers send
between users of a pooled connection.

Some knobs count: the N-th of something from now meets a fault, once, and then the knob is back
where it was. The count goes on in the knob's own value, so SHOW tells how many are left. Where both
a session and the whole stand-in have turned such a knob, only the session's counts.

A COMMIT is one that was sent, as COMMIT or END; that a lone statement commits by itself is none. A
statement is a text of the simple protocol, however many statements it has, or a Bind of the
extended one. A table is written by INSERT, UPDATE, DELETE, MERGE and COPY.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
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


def _like(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


_COUNT = r"[1-9]\d{0,5}"
_SECONDS = r"\d{1,5}(\.\d{1,6})?"
_switch = _like("on|off")
_copy_moments = _like(f"({_COUNT} (before|mid|after))?")
_cut_moments = _like(f"({_COUNT} (copy|before commit|after commit))?")

KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("off", "rule,rule,…", "", "switches rules off", _rules),
        Knob(
            "empty_prefix",
            "error|nothing",
            "error",
            "what COPY does when no object has its prefix",
            _like("error|nothing"),
        ),
        Knob(
            "fail_copy",
            "N before|mid|after",
            "",
            "the N-th COPY fails before its first row, amid them, or when all are loaded",
            _copy_moments,
        ),
        Knob(
            "drop",
            "N copy|before commit|after commit",
            "",
            "the connection is cut amid the N-th COPY, or around the N-th COMMIT",
            _cut_moments,
        ),
        Knob("slow_copy", "seconds", "0", "each piece of a COPY waits so long", _like(_SECONDS)),
        Knob(
            "conflict",
            "N",
            "",
            "the N-th COMMIT or statement that writes a table fails with 1023",
            _like(f"({_COUNT})?"),
        ),
        Knob(
            "end_session",
            "N",
            "",
            "the server ends the session before its N-th statement",
            _like(f"({_COUNT})?"),
        ),
        Knob(
            "idle_session",
            "seconds",
            "0",
            "the server ends a session that says nothing so long; looked at after each message",
            _like(_SECONDS),
        ),
        Knob(
            "padb_revision",
            "on|off",
            "on",
            "whether sessions begun later are told it",
            _switch,
        ),
        Knob(
            "isolation",
            "snapshot|serializable",
            "snapshot",
            "the isolation of transactions begun later",
            _like("snapshot|serializable"),
        ),
        Knob(
            "ghost",
            "on|off",
            "off",
            "a COPY whose client vanishes goes on to its end",
            _switch,
        ),
        Knob("sys_denied", "on|off", "off", "tables named stl_… answer 42501", _switch),
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

    def seconds(self, name: str) -> float:
        """Where a knob of seconds stands."""
        return float(self[name])

    def strike(self, name: str, *moments: str) -> str:
        """Count one more of what a knob counts; the moment that is due now, or empty."""
        number, _, moment = self[name].partition(" ")
        if not number or (moments and moment not in moments):
            return ""
        holder = self if self._above is None or name in self._values else self._above
        left = int(number) - 1
        holder.turn(name, f"{left} {moment}".strip() if left else None)
        return "" if left else moment or name

    def turn(self, name: str, value: str | None) -> None:
        """Turn a knob; nothing turns it back."""
        knob = known(name)
        if value is None:
            self._values.pop(name, None)
            return
        given = value.replace(" ", "") if name == "off" else value.strip().lower()
        if not knob.accepts(given):
            message = f'invalid value for parameter "{PREFIX}.{name}": "{value}" ({knob.form})'
            raise RedshiftError(message, "22023", rule="stand-in")
        self._values[name] = given

    def everywhere(self, name: str, value: str | None) -> None:
        """Turn a knob of the whole stand-in."""
        (self._above or self).turn(name, value)


turned: ContextVar[Knobs | None] = ContextVar("turned", default=None)


def known(name: str) -> Knob:
    """A knob by its name."""
    knob = KNOBS.get(name)
    if knob is None:
        message = f'unrecognized configuration parameter "{PREFIX}.{name}"'
        raise RedshiftError(message, "42704", rule="stand-in")
    return knob


def standing(name: str) -> str:
    """Where a knob stands for this session; a thread that works with its context may ask too."""
    knobs = turned.get()
    return KNOBS[name].default if knobs is None else knobs[name]
