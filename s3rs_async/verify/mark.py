"""How far a table was compared, kept beside its state for the comparison that goes on from there.

It is a convenience and no part of the protocol: one that cannot be read counts as none, and of two
processes that compare one table at once the first to write is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ..errors import ConflictError
from ..s3.codec import dumps, loads, pack, unpack
from .verdict import Level

if TYPE_CHECKING:
    from ..s3.layout import Layout
    from ..s3.register import Objects

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mark:
    """The last key that was compared; empty: the end was reached, and the next begins anew.

    `key` are the columns that it is told in, `level` is what was compared, `at` when it was,
    `ended_at` when the end was last reached.
    """

    key: tuple[str, ...]
    level: Level
    through: tuple[str, ...]
    at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A mark as it lies in S3; nothing in its place: no ETag."""

    mark: Mark | None = None
    etag: str | None = None

    @property
    def at(self) -> str:
        """When the table was last compared; empty: never."""
        return self.mark.at if self.mark is not None else ""

    @property
    def ended_at(self) -> str | None:
        """When a comparison last reached the table's end."""
        return self.mark.ended_at if self.mark is not None else None

    def begin(self, key: tuple[str, ...], level: Level) -> tuple[str, ...]:
        """The key behind which to go on; empty: at the beginning."""
        mark = self.mark
        return mark.through if mark is not None and (mark.key, mark.level) == (key, level) else ()


NOTHING = Kept()


async def read(objects: Objects, layout: Layout) -> Kept:
    """The mark of a table."""
    stored = await objects.get(layout.verified)
    if stored is None:
        return NOTHING
    try:
        return Kept(unpack(Mark, loads(stored.body)), stored.etag)
    except ValueError as reason:
        log.warning("not a mark of a comparison", key=layout.verified, reason=str(reason))
        return Kept(None, stored.etag)


async def write(objects: Objects, layout: Layout, mark: Mark, over: Kept) -> None:
    """Put a mark in the place of the one that was read."""
    body = dumps(pack(mark)).encode()
    try:
        await objects.put_if(layout.verified, body, over.etag)
    except ConflictError:
        log.warning("another comparison has gone on meanwhile", table=str(layout.table))
