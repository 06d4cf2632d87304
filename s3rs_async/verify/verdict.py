"""What a comparison of one table has found, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..errors import DataError
from ..model import TableName
from .finding import Key, Kind
from .sides import Effort

MOST_KEYS = 10_000
"""Of a kind; what differs beyond them is only known to be more."""


class Level(StrEnum):
    """What is compared: how many rows there are, or what is in them."""

    COUNTS = "counts"
    CHECKSUMS = "checksums"


@dataclass(frozen=True, slots=True)
class Unequal:
    """A stretch in which the sides differ: the rows behind one key and up to another."""

    after: Key
    upto: Key
    source_rows: int
    target_rows: int

    def as_json(self) -> dict[str, object]:
        """The same as JSON."""
        return {
            "after": list(self.after) or None,
            "upto": list(self.upto) or None,
            "source_rows": self.source_rows,
            "target_rows": self.target_rows,
        }


@dataclass(slots=True)
class Verdict:
    """One table's. `begun_after` and `through` are keys: where it began, and how far it came.

    `through` is empty when the end was reached. `waiting` rows differ because a pass has yet to
    bring them. `unnamed` says that there are differences without keys, `more` that there are more
    than are told. `repaired` are the keys that no longer differ after a repair; `keeps` says that
    the table's setting leaves what is extra where it is.
    """

    table: TableName
    target: str
    level: Level
    key: tuple[str, ...]
    left_out: tuple[str, ...]
    begun_after: Key = ()
    through: Key = ()
    ended: bool = False
    source_rows: int = 0
    target_rows: int = 0
    stretches: int = 0
    unequal: list[Unequal] = field(default_factory=list)
    found: dict[Key, Kind] = field(default_factory=dict)
    unnamed: bool = False
    more: bool = False
    waiting: int = 0
    repaired: int | None = None
    keeps: bool = True
    source: Effort = field(default_factory=Effort)
    target_side: Effort = field(default_factory=Effort)
    seconds: float = 0.0
    verified_at: str = ""

    @property
    def differs(self) -> bool:
        """Whether something was found that no pass will bring by itself."""
        return bool(self.found) or self.unnamed

    def of(self, kind: Kind) -> list[Key]:
        """The keys of a kind, in the order of their texts."""
        return sorted(key for key, each in self.found.items() if each is kind)

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "table": str(self.table),
            "target": self.target,
            "level": self.level,
            "equal": not self.differs,
            "source_rows": self.source_rows,
            "target_rows": self.target_rows,
            "waiting_rows": self.waiting,
            "key": list(self.key),
            **{kind.value: [list(key) for key in self.of(kind)] for kind in Kind},
            "more": self.more,
            "unequal_ranges": [each.as_json() for each in self.unequal],
            "not_compared": list(self.left_out),
            "begun_after": list(self.begun_after) or None,
            "verified_through": list(self.through) or None,
            "reached_the_end": self.ended,
            "verified_at": self.verified_at,
            "repaired": self.repaired,
            "ranges": self.stretches,
            "source_queries": self.source.asked,
            "target_queries": self.target_side.asked,
            "source_seconds": round(self.source.seconds, 3),
            "target_seconds": round(self.target_side.seconds, 3),
            "seconds": round(self.seconds, 3),
        }

    def failure(self) -> DataError | None:
        """What is wrong, as an error; None where both sides are equal."""
        if not self.differs:
            return None
        counts = {str(kind): len(self.of(kind)) or None for kind in Kind}
        return DataError(
            "source and target differ",
            table=str(self.table),
            target=self.target,
            ranges=len(self.unequal) if self.unnamed else None,
            hint=self._hint(),
            **counts,
        )

    def _hint(self) -> str:
        if self.repaired is not None and self.found:
            return self._hint_of_rest()
        if self.unnamed and self.level is Level.COUNTS:
            return "--level checksums names the rows"
        if self.unnamed:
            return "its rows cannot be named by a key: s3rs sync --full-refresh makes it equal"
        return "--repair reads these rows anew; see the README, Verify and repair"

    def _hint_of_rest(self) -> str:
        """What is left after a repair."""
        if self.keeps and set(self.found.values()) == {Kind.EXTRA}:
            return (
                "what the source has no longer is left in the target: set deletes: hard (or soft)"
                " for the table in its pipeline, and repair again"
            )
        return (
            "reading them anew did not mend these: rows that no longer meet additional_where stay,"
            " and s3rs sync --full-refresh makes the table equal"
        )
