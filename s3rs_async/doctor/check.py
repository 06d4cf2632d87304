"""A line of the examination, and how a subject's lines come about.

A line says what was found and, where it is not right, what mends it. A subject (a connection, the
store, a table of a pipeline) is examined in steps, one after the other, so its lines always come
in the same order. A step that meets an Error of ours becomes a failed line and the next step is
taken; where the way itself is gone (UnavailableError) the rest would only say the same again, so
the subject ends there. Anything that is no Error of ours is a bug and is not caught.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..errors import Error, ExitCode, UnavailableError, UnknownOutcomeError


class Level(StrEnum):
    """How a line is meant; only a failure keeps a sync from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line; `unreachable` marks a failure that is not the configuration's."""

    subject: str
    name: str
    level: Level
    found: str
    mend: str = ""
    unreachable: bool = False


Tell: TypeAlias = Callable[[Check], None]
Step: TypeAlias = tuple[str, Callable[[], Awaitable[None]]]


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """OK where nothing failed; else whether the user must change something, or wait."""
    failed = [check for check in checks if check.level is Level.FAIL]
    if not failed:
        return ExitCode.OK
    away = all(check.unreachable for check in failed)
    return ExitCode.UNAVAILABLE if away else ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where one subject's lines are told."""

    subject: str
    tell: Tell

    def ok(self, name: str, found: str) -> None:
        """As it should be."""
        self.tell(Check(self.subject, name, Level.OK, found))

    def warn(self, name: str, found: str, mend: str) -> None:
        """It works, but not as well or as safely as it could."""
        self.tell(Check(self.subject, name, Level.WARN, found, mend))

    def fail(self, name: str, found: str, mend: str) -> None:
        """It does not work."""
        self.tell(Check(self.subject, name, Level.FAIL, found, mend))

    def error(self, name: str, error: Error, mend: str = "") -> None:
        """It does not work, in the words of the error."""
        away = isinstance(error, UnavailableError | UnknownOutcomeError)
        found = Check(self.subject, name, Level.FAIL, str(error), mend or error.hint, away)
        self.tell(found)

    async def take(self, steps: Sequence[Step], *, whole: bool = False) -> bool:
        """Step after step; False where the way was lost or, for a `whole`, where any failed."""
        every = True
        for name, step in steps:
            try:
                await step()
            except UnavailableError as error:
                self.error(name, error)
                return False
            except Error as error:
                self.error(name, error)
                every = False
        return every or not whole
