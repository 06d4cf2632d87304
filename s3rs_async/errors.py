"""Five kinds of failure, because there are five answers to one.

The class alone decides whether a thing is tried again, the exit code and the metric's label;
`where` (mysql, s3, tunnel, redshift, config) is context. A message is one lower-case line, its
facts follow as key=value, and the hint says what mends it. No secret ever enters either.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

Fact: TypeAlias = str | int | float | None


class ExitCode(IntEnum):
    """What the process says to its caller; the README and the Kubernetes manifests quote it."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    DATA = 3
    UNAVAILABLE = 4
    CONFLICT = 5
    PARTIAL = 6
    INTERRUPTED = 130
    TERMINATED = 143


class Error(Exception):
    """Anything that we foresaw; what we did not foresee is a bug and keeps its traceback."""

    exit_code = ExitCode.INTERNAL
    usual_hint = "nothing was half done; if it comes again, please report it"

    def __init__(self, message: str, *, hint: str = "", **context: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint
        self.context = {key: value for key, value in context.items() if value is not None}

    def __str__(self) -> str:
        facts = ", ".join(f"{key}={value}" for key, value in self.context.items())
        return one_line(f"{self.message} ({facts})" if facts else self.message)


class ConfigError(Error):
    """The request must change: YAML, arguments, credentials, grants."""

    exit_code = ExitCode.USAGE
    usual_hint = "correct the request or the configuration, then run it again"


class DataError(Error):
    """The data must change or be accepted."""

    exit_code = ExitCode.DATA
    usual_hint = "mend the data, then run it again"


class SchemaDriftError(DataError):
    """Source and target no longer have the same columns."""


class UnavailableError(Error):
    """Nothing happened; the same call may work later."""

    exit_code = ExitCode.UNAVAILABLE
    usual_hint = "nothing is lost: run it again, it goes on from what is committed"


class UnknownOutcomeError(Error):
    """It may have happened: only the state or the ledger can tell. Never sent again blindly."""

    exit_code = ExitCode.UNAVAILABLE
    usual_hint = "nothing is lost: the next run reads what happened and goes on from there"


class ConflictError(Error):
    """Someone else was first."""

    exit_code = ExitCode.CONFLICT
    usual_hint = "nothing is lost: run it again once the other one is done"


class FencedError(ConflictError):
    """A newer owner has taken the table; this attempt is dropped and nothing is deleted."""


def one_line(text: str) -> str:
    """A text that takes one line of a terminal and cannot steer it, whoever wrote it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def exit_code(failures: list[BaseException], *, done: int = 0) -> ExitCode:
    """The one exit code for the tables of a run: PARTIAL where some were done or kinds differ."""
    codes = {f.exit_code if isinstance(f, Error) else ExitCode.INTERNAL for f in failures}
    if not codes:
        return ExitCode.OK
    if done == 0 and len(codes) == 1:
        return codes.pop()
    return ExitCode.PARTIAL
