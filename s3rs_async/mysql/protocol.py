"""Which protocol a source's rows are sent in: asked for, tried, and told once.

By a prepared statement rows come as numbers and packed dates, which costs the server about half of
what their text costs it, and us less. A server may have no room for such a statement, and a proxy
may not know them. Then the same rows are asked for as text, and so are all that follow on that
connection; the next one tries again, so that what was refused once is not slow for weeks. `binary`
is for those who would rather have the error, `text` for those whose proxy takes what it cannot do.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from ..config import WantedProtocol

log = structlog.get_logger()


class Protocol(StrEnum):
    """How the server writes a row."""

    TEXT = auto()
    BINARY = auto()


class Choice:
    """What is wanted of a source, and what was told of it."""

    def __init__(self, source: str, wanted: WantedProtocol) -> None:
        self._source = source
        self._wanted = wanted
        self._told: set[Protocol] = set()

    @property
    def prepares(self) -> bool:
        """Whether statements are prepared at all."""
        return self._wanted != "text"

    @property
    def falls_back(self) -> bool:
        """Whether text will do where prepared statements are refused."""
        return self._wanted == "auto"

    def taken(self, protocol: Protocol) -> None:
        """Rows come in this protocol."""
        if self._first(protocol):
            log.info("rows are read", source=self._source, protocol=protocol.value)

    def refused(self, reason: str) -> None:
        """Rows come as text, since prepared statements are refused."""
        if self._first(Protocol.TEXT):
            log.warning(
                "prepared statements are refused",
                source=self._source,
                protocol=Protocol.TEXT.value,
                reason=reason,
            )

    def _first(self, protocol: Protocol) -> bool:
        first = protocol not in self._told
        self._told.add(protocol)
        return first
