"""The ways to read what is new that are in use elsewhere, each as a small reader of table `a`.

Each keeps a mark and asks for what lies beyond it, as `max(updated_at)`, a lag and an overlap are
told in every manual. Its bound, where it has one, is SQL of the server's, so that all of them live
by the same clock. What they lose is what these tests are about; nothing here is the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.source import Run

_OLDEST = (
    "LEAST(NOW(6), COALESCE((SELECT MIN(trx_started) FROM information_schema.innodb_trx), NOW(6)))"
)


@dataclass
class Naive:
    """One way: rows by `column`, from `overlap` seconds below the mark, below the `bound` if any.

    `held` is what it has brought over, by key: a row read twice is there once.
    """

    run: Run
    column: str = "u"
    bound: str | None = None
    overlap: float = 0.0
    mark: str | None = None
    held: dict[int, int] = field(default_factory=dict)

    def read(self) -> None:
        """One pass."""
        upper = None
        if self.bound is not None:
            ((upper,),) = self.run(f"SELECT CAST({self.bound} AS CHAR)")
        conditions = [*self._beyond(), *([] if upper is None else [f"u < '{upper}'"])]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self.run(
            f"SELECT id, v, CAST({self.column} AS CHAR) FROM a{where} ORDER BY {self.column}"
        )
        self.held |= {key: value for key, value, _ in rows}
        self.mark = upper or max((rows[-1][2] if rows else None, self.mark), key=self._order)

    def lost(self, source: dict[int, int]) -> set[int]:
        """The keys whose rows it does not have as the source has them."""
        return {key for key, value in source.items() if self.held.get(key) != value}

    def _beyond(self) -> list[str]:
        if self.mark is None:
            return []
        if self.overlap:
            return [f"{self.column} >= '{self.mark}' - INTERVAL {self.overlap} SECOND"]
        return [f"{self.column} {'>=' if self.bound else '>'} '{self.mark}'"]

    def _order(self, mark: str | None) -> tuple[int, str]:
        """Numbers as numbers, times as text; nothing is the least."""
        return (len(mark) if mark and mark.isdigit() else bool(mark), mark or "")


GREATEST_STAMP = "the greatest stamp seen"
NOW = "now as the bound"
LAG = "now less 2 s as the bound"
OVERLAP = "an overlap of 2 s, once each by key"
GREATEST_ID = "the greatest id seen"
OLDEST = "the oldest transaction's start less 1 s"


def all_of(run: Run) -> dict[str, Naive]:
    """Every way by its name, all on one connection."""
    return {
        GREATEST_STAMP: Naive(run),
        NOW: Naive(run, bound="NOW(6)"),
        LAG: Naive(run, bound="NOW(6) - INTERVAL 2 SECOND"),
        OVERLAP: Naive(run, overlap=2),
        GREATEST_ID: Naive(run, column="id"),
        OLDEST: Naive(run, bound=f"{_OLDEST} - INTERVAL 1 SECOND"),
    }
