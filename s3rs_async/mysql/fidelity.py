"""What becomes of a column's values on their way, told before they are read; pure.

`types` decides what a column becomes and `policy` what happens to values for which there is no
equal; here it is only put into words. Whoever reads a plan is to know of each column whether every
value arrives as it is, in another form, or not in every case, and which policy says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..model import Dates, LongText, NulBytes
from .table import SourceColumn
from .types import Cast, Rule

_UNCHANGING = frozenset({"uuid", "inet4", "inet6", "enum", "set"})


class Faith(StrEnum):
    """How true the values stay, the worst of what may happen to one."""

    EXACT = "exact"
    FORM = "another form"
    REFUSED = "may be refused"
    CHANGED = "may be changed"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """One column's; `notes` say what happens to which values, and by which policy."""

    column: str
    faith: Faith
    notes: tuple[str, ...]


def fidelity(column: SourceColumn, rule: Rule) -> Fidelity:
    """What becomes of a column's values by its rule."""
    found = [*_form(column, rule), *_dates(rule), *_texts(column, rule), *_numbers(column, rule)]
    faiths = [faith for faith, _ in found]
    worst = max(faiths, key=list(Faith).index, default=Faith.EXACT)
    return Fidelity(rule.name, worst, tuple(note for _, note in found))


def _form(column: SourceColumn, rule: Rule) -> Iterator[tuple[Faith, str]]:
    kind = column.data_type
    if rule.geometry:
        yield Faith.FORM, "EWKB in hexadecimal digits"
    elif rule.cast is Cast.HEX and rule.arrow == "string":
        yield Faith.FORM, "hexadecimal digits, lower case"
    elif rule.cast is Cast.SPAN:
        yield Faith.FORM, "microseconds as a whole number"
    elif kind == "decimal" and rule.arrow == "string":
        yield Faith.FORM, "text, for a DECIMAL has 38 digits at most"
    elif kind in {"json", "enum", "set"}:
        yield Faith.FORM, f"text, as the server shows {kind.upper()}"
    elif rule.cast is Cast.MOMENT and kind == "timestamp":
        yield Faith.EXACT, "in UTC"


def _dates(rule: Rule) -> Iterator[tuple[Faith, str]]:
    policy = rule.policies.dates
    if rule.cast in (Cast.DATE, Cast.MOMENT):
        if policy is Dates.NULL:
            yield Faith.CHANGED, "a date that no calendar has becomes NULL (dates: null)"
        else:
            yield Faith.REFUSED, "a date that no calendar has ends the run (dates: fail)"
    elif rule.arrow == "string" and rule.select.startswith("CAST("):
        yield Faith.FORM, "text, as the server spells it (dates: text)"


def _texts(column: SourceColumn, rule: Rule) -> Iterator[tuple[Faith, str]]:
    is_text = rule.cast is Cast.TEXT and column.charset is not None
    if is_text and column.data_type not in _UNCHANGING:
        if rule.policies.nul_bytes is NulBytes.STRIP:
            yield Faith.CHANGED, "NUL characters are taken out (nul_bytes: strip)"
        else:
            yield Faith.REFUSED, "a NUL character ends the run (nul_bytes: fail)"
    if rule.long:
        most = f"more than {rule.octets:,} bytes"
        match rule.long_text:
            case LongText.TRUNCATE:
                yield Faith.CHANGED, f"{most} are cut, told in {rule.flag} (long_text: truncate)"
            case LongText.NULL:
                yield Faith.CHANGED, f"{most} become NULL (long_text: null)"
            case LongText.FAIL:
                yield Faith.REFUSED, f"{most} end the run (long_text: fail)"


def _numbers(column: SourceColumn, rule: Rule) -> Iterator[tuple[Faith, str]]:
    if rule.cast is Cast.LONG:
        yield Faith.REFUSED, "above 9223372036854775807 ends the run (bigint_unsigned: bigint)"
    elif rule.cast is Cast.FLAG and column.data_type == "tinyint":
        yield Faith.REFUSED, "any but 0 and 1 ends the run (tinyint1: bool)"
