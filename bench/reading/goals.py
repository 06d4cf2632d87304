"""What the figures are held against: one line for each goal, what was measured, met or not.

A goal whose contestants did not run is neither: it says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reading.contestants import JOB, Figure

MIB = 1 << 20
Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal; `measured` is None where it could not be."""

    name: str
    wanted: float
    at_least: bool
    measured: float | None
    missing: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is met; None where nobody can say."""
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        said = {True: "met", False: "NOT met", None: "not measured"}[self.met]
        found = f" ({self.missing})" if self.measured is None else f"  {self.measured:.2f}"
        return f"{self.name}: {sign} {self.wanted:g}{found}  {said}"


def goals(figures: Figures, table: str) -> list[Goal]:
    """All of a round robin's goals for this table; the 53 columns' for any but the narrow one.

    The job's CPU in seconds was set on a machine on which ConnectorX takes 0.41 s for a million
    narrow rows and 3.72 s for as many wide ones; as a share of ConnectorX's it is a goal anywhere.
    """
    narrow = table == "narrow"
    peers = ("sling",) if _ran(figures, "sling") else ("sling-csv",)
    return [
        _speed(figures, "decode-binary", "drain-binary", 0.88 if narrow else 0.92),
        _speed(figures, "decode-binary", "connectorx", 1.5),
        _cpu(figures, "decode-binary", "connectorx", 0.55),
        _speed(figures, "decode-binary", "aiomysql", 18.0),
        _speed(figures, JOB, "drain-binary", 0.65 if narrow else 0.52),
        _own(figures, "CPU seconds per million rows", 0.45 if narrow else 4.0),
        _cpu(figures, JOB, "connectorx", 1.10 if narrow else 1.08),
        _speed(figures, JOB, "dlt", 2.0 if narrow else 1.5),
        *(_speed(figures, JOB, peer, 10.0) for peer in peers),
        _own(figures, "peak RSS in MiB", 280.0 if narrow else 450.0),
    ]


def growth(small: int, large: int) -> Goal:
    """How much more memory a table of ten times the rows may take."""
    return Goal(
        "peak RSS of the job, 10 times the rows", 1.10, at_least=False, measured=large / small
    )


def huge_row(peak: int | None, row: int, missing: str) -> Goal:
    """How much memory one row of 64 MiB may take, in its own size."""
    measured = None if peak is None else peak / row
    return Goal(
        "peak RSS for a row of 64 MiB, in rows",
        4.0,
        at_least=False,
        measured=measured,
        missing=missing,
    )


def _ran(figures: Figures, name: str) -> bool:
    return name in figures and not figures[name].failure


def _missing(figures: Figures, *names: str) -> str:
    """Why a goal can't be measured; empty where it can."""
    for name in names:
        if name not in figures:
            return f"{name} did not take part"
        if figures[name].failure:
            return f"{figures[name].contestant.label} did not come through: {figures[name].failure}"
    return ""


def _speed(figures: Figures, one: str, other: str, wanted: float) -> Goal:
    name = f"{one}, rows/s as those of {other}"
    if missing := _missing(figures, one, other):
        return Goal(name, wanted, at_least=True, measured=None, missing=missing)
    ratio = figures[one].rows_per_second / figures[other].rows_per_second
    return Goal(name, wanted, at_least=True, measured=ratio)


def _cpu(figures: Figures, one: str, other: str, wanted: float) -> Goal:
    name = f"{one}, client CPU as that of {other}"
    if missing := _missing(figures, one, other):
        return Goal(name, wanted, at_least=False, measured=None, missing=missing)
    ratio = figures[one].run.cpu_seconds / figures[other].run.cpu_seconds
    return Goal(name, wanted, at_least=False, measured=ratio)


def _own(figures: Figures, what: str, wanted: float) -> Goal:
    """Of the whole job alone."""
    name = f"job, {what}"
    if missing := _missing(figures, JOB):
        return Goal(name, wanted, at_least=False, measured=None, missing=missing)
    found = figures[JOB]
    measured = found.run.peak_bytes / MIB if "RSS" in what else found.cpu_per_million
    return Goal(name, wanted, at_least=False, measured=measured)
