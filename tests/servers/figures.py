"""What tests on real servers have met and compared, told at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MYSQL = "mysql"
TYPES = "types"


def read(properties: Sequence[tuple[str, object]]) -> list[str]:
    """Which server tests have met, and what they compared, among all properties of a run."""
    met = Counter(str(value) for name, value in properties if name == MYSQL)
    compared = [str(value) for name, value in properties if name == TYPES]
    return [*compared, *(f"{count} tests: {what}" for what, count in met.most_common())]


def report(found: Sequence[str]) -> str:
    """One line each."""
    return "\n".join(found)
