"""What is asked of values that Redshift has no equal for, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Dates(StrEnum):
    """What becomes of a date that no calendar has; as text every date is the server's spelling."""

    NULL = "null"
    FAIL = "fail"
    TEXT = "text"


class LongText(StrEnum):
    """What becomes of a text with more bytes than Redshift takes."""

    FAIL = "fail"
    TRUNCATE = "truncate"
    NULL = "null"


class NulBytes(StrEnum):
    """What becomes of a text that has NUL characters."""

    FAIL = "fail"
    STRIP = "strip"


class Binary(StrEnum):
    """How bytes are kept."""

    HEX = "hex"
    VARBYTE = "varbyte"


class TinyInt1(StrEnum):
    """What a TINYINT(1) is."""

    SMALLINT = "smallint"
    BOOL = "bool"


class BigintUnsigned(StrEnum):
    """What a BIGINT UNSIGNED is."""

    DECIMAL = "decimal"
    BIGINT = "bigint"


@dataclass(frozen=True, slots=True)
class Policies:
    """What is asked of values that Redshift has no equal for.

    `own` are the names of those that were asked of one column by its name.
    """

    dates: Dates = Dates.NULL
    long_text: LongText = LongText.FAIL
    nul_bytes: NulBytes = NulBytes.FAIL
    binary: Binary = Binary.HEX
    tinyint1: TinyInt1 = TinyInt1.SMALLINT
    bigint_unsigned: BigintUnsigned = BigintUnsigned.DECIMAL
    own: frozenset[str] = frozenset()

    def unchanging(self) -> Policies:
        """The same for values that rows are known by, none of which may become another."""
        dates = Dates.FAIL if self.dates is Dates.NULL else self.dates
        return replace(self, dates=dates, long_text=LongText.FAIL, nul_bytes=NulBytes.FAIL)


PLAIN = Policies()


class Change(StrEnum):
    """What a policy did to a value."""

    NULLED = "nulled"
    TRUNCATED = "truncated"
    STRIPPED = "stripped"


Changes = dict[tuple[Change, str], int]
"""How many values were changed in which way, by column."""
