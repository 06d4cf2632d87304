"""One rule of Redshift's, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Evidence: TypeAlias = Literal["D", "M", "I", "A"]
Treatment: TypeAlias = Literal["emulated", "refused", "stricter"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that Redshift does.

    `number` is what errors, checks and switches call it. `refused` means that Redshift refuses it,
    or that the stand-in does because it cannot do it; `stricter`, that the stand-in refuses what
    Redshift may take, because nobody knows or because it would be misread.
    """

    number: str
    text: str
    evidence: tuple[Evidence, ...]
    treatment: Treatment = "emulated"

    @property
    def is_assumption(self) -> bool:
        """Whether nothing but a real cluster can settle it."""
        return self.evidence == ("A",)
