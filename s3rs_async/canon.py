"""The one text that both servers make of a value, so that rows can be compared by their digests.

What a value's text is, is said here by a form; each side spells the form in its own SQL (`digest`
of either station). A row's digest is that of all its columns' texts, each ended unmistakably:
numbers and times by a comma, which none of them holds, texts behind their length, NULL by a mark
that no text begins with. Long texts go in by a digest of their own. 60 bits of SHA-256 are summed
over a range, which counts every row, and every row that is there twice. (MD5 is no function of a
MySQL 9.6 as it comes.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

LONG_OCTETS = 4000
"""Of a text: one that may be longer goes into its row by its own digest."""
_MOST_OCTETS = 60_000
_DIGEST_OCTETS = 64


class Form(StrEnum):
    """What a value's text looks like."""

    WHOLE = "whole"
    DECIMAL = "decimal"
    TRUTH = "truth"
    DATE = "date"
    MOMENT = "moment"
    SPAN = "span"
    TEXT = "text"
    HEX = "hex"


_OCTETS = {
    Form.WHOLE: 21,
    Form.DECIMAL: 42,
    Form.TRUTH: 2,
    Form.DATE: 11,
    Form.MOMENT: 27,
    Form.SPAN: 22,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A column whose values have one text on both sides.

    `octets` is the most bytes of a text. `fraction` is the digits behind a second in a key's text.
    """

    name: str
    form: Form
    octets: int = 0
    fraction: int = 0

    @property
    def long(self) -> bool:
        """Whether it goes into its row by a digest of its own."""
        return self.octets > LONG_OCTETS

    @property
    def width(self) -> int:
        """The most bytes that it adds to its row's text."""
        if self.long:
            return _DIGEST_OCTETS
        return _OCTETS.get(self.form, self.octets + 7)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both sides can tell of a table's rows.

    `left_out` are the columns that are not compared. `key` is empty where rows cannot be named;
    `ordered` says that both servers have its values in one order.
    """

    compared: tuple[Cell, ...]
    left_out: tuple[str, ...]
    key: tuple[Cell, ...]
    ordered: bool


def grouped(cells: Sequence[Cell]) -> Iterator[tuple[Cell, ...]]:
    """Columns whose texts together are no longer than a text of Redshift's may be."""
    group: list[Cell] = []
    for cell in cells:
        if group and sum(each.width for each in group) + cell.width > _MOST_OCTETS:
            yield tuple(group)
            group = []
        group.append(cell)
    if group:
        yield tuple(group)
