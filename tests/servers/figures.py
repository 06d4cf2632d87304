"""What tests on real servers have met and compared, told at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTY = "servers"


def told(what: str) -> tuple[str, str]:
    """A server met, or tables compared, as a property of a test."""
    return PROPERTY, what


def read(properties: Sequence[tuple[str, object]]) -> list[str]:
    """What was told among all properties of a run."""
    return [str(value) for name, value in properties if name == PROPERTY]


def report(found: Sequence[str]) -> str:
    """One line each, and by how many tests it was told."""
    return "\n".join(f"{what} ({count} tests)" for what, count in Counter(found).most_common())
