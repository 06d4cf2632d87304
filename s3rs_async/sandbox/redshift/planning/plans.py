"""What may be done with a statement.

`Forward` is what the backend may run as a statement of the client's; `Script`, `CopyStatement` and
`Turn` are run by the session in its stead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..copying.copy import CopyStatement
from .ddl import Script
from .settings import Turn


@dataclass(frozen=True, slots=True)
class Forward:
    """A statement for the backend, with the tables it writes."""

    text: str
    locks: tuple[str, ...] = ()


Plan: TypeAlias = Forward | Script | CopyStatement | Turn
