"""What the machine was tried on, told at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTY = "loss"


def told(what: str) -> tuple[str, str]:
    """A line, as a property of a test."""
    return PROPERTY, what


def read(properties: Sequence[tuple[str, object]]) -> list[str]:
    """What was told among all properties of a run."""
    return [str(value) for name, value in properties if name == PROPERTY]


def report(found: Sequence[str]) -> str:
    """One line each."""
    return "\n".join(found)
