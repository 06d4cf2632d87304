"""What a race came to, told at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTY = "race"


def told(text: str) -> tuple[str, str]:
    """A race's figures as a property of its test, which its worker hands on."""
    return PROPERTY, text


def read(properties: Sequence[tuple[str, object]]) -> list[str]:
    """What was told among all properties of a run."""
    return [str(value) for name, value in properties if name == PROPERTY]


def report(races: Sequence[str]) -> str:
    """One race after the other."""
    return "\n\n".join(races)
