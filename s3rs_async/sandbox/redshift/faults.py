"""The two ways in which a statement ends badly.

`RedshiftError` is one that the stand-in decides on: PostgreSQL has not seen it yet, so the session
lets PostgreSQL itself raise it, for the transaction's state must turn to "failed" there and not in
a copy of it here. `BackendError` is one that PostgreSQL has raised already: its fields are only
translated and passed on. Neither is ever shown to a user of the package; both are wire messages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_RULE = "-" * 47


@dataclass(frozen=True, slots=True)
class Report:
    """What Redshift prints below an error of the leader or of a worker; at times one plain line."""

    code: int
    context: str = ""
    location: str = "dory_util.cpp:1777"
    process: str = "worker_thread"
    plain: str = ""

    def text(self, message: str, query: int) -> str:
        """The DETAIL block."""
        if self.plain:
            return self.plain
        return (
            f"\n  {_RULE}\n  error:  {message}\n  code:      {self.code}\n"
            f"  context:   {self.context}\n  query:     {query}\n  location:  {self.location}\n"
            f"  process:   {self.process} [pid={os.getpid()}]\n  {_RULE}\n"
        )


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a lost race tells: the table, who was in it; nothing where it is not known."""

    table: int = 0
    transaction: int = 0
    pid: int = 0

    def __str__(self) -> str:
        cycle = f"transactions forming the cycle are: {self.transaction}, 0 (pid:{self.pid})"
        return f"Serializable isolation violation on table - {self.table}, {cycle}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a load met its bad value; it goes into stl_load_errors."""

    file: str = ""
    column: str = ""
    column_type: str = ""
    length: str = ""
    value: str = ""


class RedshiftError(Exception):
    """An error that Redshift would give; the backend is made to raise it."""

    def __init__(
        self,
        message: str,
        state: str = "XX000",
        *,
        rule: str,
        report: Report | None = None,
        spot: Spot | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.rule = rule
        self.report = report
        self.spot = spot or Spot()

    def detail(self, query: int) -> str:
        """The DETAIL field, empty when Redshift gives none."""
        return self.report.text(self.message, query) if self.report else ""


@dataclass(slots=True)
class Fields:
    """The fields of an ErrorResponse or NoticeResponse."""

    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> Fields:
        """The fields of a message's body."""
        parts = [part.decode(errors="surrogateescape") for part in body.split(b"\0") if part]
        return cls({part[0]: part[1:] for part in parts})

    def body(self) -> bytes:
        """The body of a message with these fields."""
        texts = (f"{key}{value.replace(chr(0), '')}" for key, value in self.values.items())
        return b"".join(text.encode(errors="surrogateescape") + b"\0" for text in texts) + b"\0"

    def get(self, key: str) -> str:
        """One field, empty when absent."""
        return self.values.get(key, "")


class BackendError(Exception):
    """PostgreSQL answered with an error; its transaction state is already right."""

    def __init__(self, fields: Fields, cause: RedshiftError | None = None) -> None:
        super().__init__(fields.get("M"))
        self.fields = fields
        self.cause = cause


def error_fields(error: RedshiftError, query: int, severity: str = "ERROR") -> Fields:
    """The fields of an ErrorResponse for an error of our own."""
    values = {"S": severity, "V": severity, "C": error.state, "M": error.message}
    if detail := error.detail(query):
        values["D"] = detail
    return Fields(values)


def plain_error(message: str, detail: str, rule: str) -> RedshiftError:
    """An error that is a number, with one line that tells."""
    return RedshiftError(message, rule=rule, report=Report(0, process="padbmaster", plain=detail))


def lost_race(cycle: Cycle) -> RedshiftError:
    """Another transaction was first (rule X1a)."""
    return plain_error("1023", str(cycle), "X1a")


def syntax_error(near: str, rule: str) -> RedshiftError:
    """The parser's complaint, naming the word it stopped at."""
    where = f'at or near "{near}"' if near else "at end of input"
    return RedshiftError(f"syntax error {where}", "42601", rule=rule)


def not_emulated(what: str) -> RedshiftError:
    """Redshift may know it, the stand-in does not: an error, never a pass."""
    return RedshiftError(f"the Redshift stand-in does not emulate {what}", "0A000", rule="stand-in")
