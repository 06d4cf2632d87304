"""The crash matrix as data: at which places, what happens, to which kind of table.

A place is a failpoint of the package. A step of the protocol has one before and one after it; that
it was sent and no answer came is made at the one before, by holding the answer on its way. What
cannot be is listed with a reason, and is not counted.

    kill      SIGKILL
    zombie    SIGSTOP, another process does the work, SIGCONT
    reset     every connection to MySQL, S3 and Redshift is cut
    enospc    the disk is full just there
    sent      the step's request is carried out, its answer held; SIGKILL
    lost      the step's request is carried out, its answer is 500, or the connection is cut
    late      the step's request fails and its sender is killed; it arrives after the next sync
    full      the store has no room (507), or COPY fails half way; nothing was carried out
    refused   Redshift answers 1023 to the step's statement
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["merge", "append", "replace"]
Command = Literal["sync", "s3clean", "reconcile", "refresh"]

ANYWHERE = ("kill", "zombie", "reset", "enospc")
IN_FLIGHT = ("sent", "lost", "late", "full", "refused")


@dataclass(frozen=True)
class Step:
    """One step of the protocol.

    `writes` is the S3 request that it consists of, as method, key and step of an upload; `asks`:
    it is a statement to Redshift. `more` are its places beside before and after. `never` says
    which actions cannot be there, and why; `visit` which time it is met at.
    """

    name: str
    writes: tuple[str, str, str | None] | None = None
    asks: bool = False
    modes: tuple[Mode, ...] = ("merge",)
    command: Command = "sync"
    more: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("before", "after")
    never: dict[str, str] = field(default_factory=dict)
    visit: int = 1

    @property
    def places(self) -> tuple[str, ...]:
        ends = (*self.ends, *self.more)
        return tuple(f"{self.name}:{end}" if end else self.name for end in ends)


@dataclass(frozen=True)
class Cell:
    """One crash: `reason` says why it cannot be."""

    place: str
    action: str
    mode: Mode
    step: Step = field(repr=False)
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.place.replace(':', '-')}-{self.action}-{self.mode}"


_READ = "it only reads: there is no request that could have been carried out"
_PURE = "it sends nothing"
_NOT_S3 = "it writes nothing to S3: what is full there is not its matter"
_NOT_SQL = "it is no statement to Redshift"
_TRIED = "1023 is answered to writes and COMMIT alone"
_ROOM = "the stand-in fails for want of room at COPY alone"
_SERVER = "a statement arrives in its session or never"
STATE = ("PUT", "/state[.]json$", None)


def _reading() -> dict[str, str]:
    return dict.fromkeys(IN_FLIGHT, _READ)


def _pure() -> dict[str, str]:
    return dict.fromkeys(IN_FLIGHT, _PURE)


STEPS: tuple[Step, ...] = (
    Step("X1", never=_reading()),
    Step("X2", never=_reading()),
    Step("X3", never=_reading()),
    Step("X3b", STATE),
    Step("X4", ("PUT", "/part-", "part"), more=("rows",)),
    Step("X5", ("POST", "/part-", "complete")),
    Step("X6", never=_pure()),
    Step("X7", ("PUT", "/batch[.]json$", None)),
    Step("X8", STATE, modes=("merge", "append", "replace")),
    Step("X9", ("PUT", "/hist/", None), visit=2),  # the claim has one of its own
    Step("Y1", asks=True),
    Step("Y2", asks=True),
    Step("Y3", asks=True),
    Step("Y4", asks=True),
    Step("Y5", asks=True),
    Step("Y6", asks=True),
    Step("Y7", asks=True, modes=("merge", "replace")),
    Step("Y8", asks=True, modes=("merge", "replace")),
    Step("Y9", asks=True),
    Step("Y10", asks=True),
    Step("Y11", asks=True, modes=("merge", "append", "replace")),
    Step("Y12", STATE),
    Step("G1", command="s3clean", never=_reading()),
    Step("G2", command="s3clean", never=_reading()),
    Step("G3", command="s3clean", never=_reading()),
    Step("G4", ("POST", "^/[^/]*/?$", None), command="s3clean"),
    Step("G5", command="s3clean", ends=("after",)),
    Step("R1", command="reconcile", never=_reading()),
    Step("R2", command="reconcile", never=_reading()),
    Step("R3", STATE, command="refresh"),
    Step("R4", command="refresh", ends=("",)),
    Step("H1", STATE),
    Step("H2", ("PUT", "/_writers/", None)),
    Step("H3", STATE),
)
_TURN = ("kill", "zombie", "kill", "reset", "kill", "enospc", "kill")
_COMMITS = {
    *((step, "sent") for step in ("X3b", "X5", "X7", "X8", "Y5", "Y8", "Y11", "Y12")),
    *((step, "lost") for step in ("X8", "Y11", "Y12")),
    ("X8", "late"),
}
_CONFLICTS = {"Y7", "Y8", "Y9", "Y10", "Y11"}


def cells() -> list[Cell]:
    """All cells, those that cannot be among them."""
    made = []
    for step in STEPS:
        for place in step.places:
            for mode in step.modes:
                made += [Cell(place, action, mode, step) for action in ANYWHERE]
                if place.endswith(":before"):
                    made += [
                        Cell(place, action, mode, step, _reason(step, action))
                        for action in IN_FLIGHT
                    ]
    return made


def _reason(step: Step, action: str) -> str:
    if action in step.never:
        return step.never[action]
    if action == "refused":
        return ("" if step.name in _CONFLICTS else _TRIED) if step.asks else _NOT_SQL
    if action == "late" and step.asks:
        return _SERVER
    if action == "full" and step.asks:
        return "" if step.name == "Y5" else _ROOM
    return "" if step.asks or step.writes else _NOT_S3


def applicable(steps: str) -> list[Cell]:
    """The cells that can be, of the steps with these letters."""
    return [cell for cell in cells() if not cell.reason and cell.step.name[0] in steps]


def short(steps: str) -> list[Cell]:
    """For the ordinary run: each step once, places and actions in turn, and the commits."""
    chosen = []
    for number, step in enumerate(STEPS):
        place = step.places[number // len(_TURN) % len(step.places)]
        turn = (place, _TURN[number % len(_TURN)])
        chosen += [
            cell
            for cell in applicable(steps)
            if cell.step is step and cell.mode == step.modes[0]
            if (cell.place, cell.action) == turn or (step.name, cell.action) in _COMMITS
        ]
    return chosen
