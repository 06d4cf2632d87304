"""The one text that both servers make of a value, so that rows can be compared by their digests.

What a value's text is, is said here by a form; each side spells the form in its own SQL (`digest`
of either station). A row's text is that of all its columns, each ended unmistakably: numbers, times
and hex by a comma, which none of them holds, texts behind their length, NULL as `-`, which is none
of them. A text that may be long goes in by a digest of its own. Digests are added up over a range:
a sum counts every row, and every row that is there twice.

A row's digest is its text's SHA-256 in hex (MySQL 9.6 has no MD5 as it comes), of which the first
digits make a whole number once their letters are digits too: 52 bits, by functions that every
server has and is fast at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

DIGITS = 16
LETTERS, LETTER_DIGITS = "abcdef", "012345"

LONG_OCTETS = 4000
"""Of a text: one that may be longer goes into its row by its own digest."""
_MOST_OCTETS = 60_000
_DIGEST_OCTETS = 65


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

    `octets` is the most bytes of a text. `fraction` is the digits behind a moment's second. What
    the source's own text for a value would not do is said by the rest: `converted` is a number that
    it shows with zeros before it, or a text in another character set; `odd_dates` may be in no
    calendar, and are NULL at the target.
    """

    name: str
    form: Form
    nullable: bool = True
    octets: int = 0
    fraction: int = 0
    converted: bool = True
    odd_dates: bool = True

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
    `ordered` says that both servers have its values in one order. `marked` says that the target
    keeps rows which are gone, under a mark.
    """

    compared: tuple[Cell, ...]
    left_out: tuple[str, ...]
    key: tuple[Cell, ...]
    ordered: bool
    marked: bool = False


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
