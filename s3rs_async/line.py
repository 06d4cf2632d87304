"""What a pipeline's tables share: its three ends, the stage between, and who we are.

The ends are ports, owned here by those who call them: a source is a `Feed`, a stage a bucket, a
target whatever dials. One authority for where a table's state lies and what it is before birth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from . import commit
from .model import Bound, Position, TableName, TableSpec, TargetId
from .mysql.care import Explained
from .mysql.chunk import ReadPlan
from .mysql.custom import Described
from .mysql.table import SourceTable
from .mysql.walk import ChunkEnd
from .redshift.connection import Target
from .s3 import manifest as manifests
from .s3.layout import Layout
from .s3.object import Entry
from .s3.ownership import Beats, Pace
from .s3.register import Register
from .staging import Share, Upload

if TYPE_CHECKING:
    import pyarrow as pa


class Feed(Protocol):
    """What a pass asks of a source."""

    @property
    def name(self) -> str:
        """The source's name in the configuration."""

    async def table(self, table: TableName) -> tuple[SourceTable, str]:
        """The table as it is now, and which server has it."""

    async def described(self, spec: TableSpec) -> tuple[Described, str]:
        """What the query of an entry gives now, and which server gives it."""

    async def bound(self, plan: ReadPlan) -> Bound:
        """How far a pass that begins after this call may be called read."""

    async def renewed(self, plan: ReadPlan) -> Bound | None:
        """The same for one more pass by an old plan; None where a new one must be made."""

    async def explained(
        self, plan: ReadPlan, position: Position | None, bound: Bound
    ) -> tuple[Explained, ...]:
        """What the source says of every statement that a pass from this position would send."""

    def rows(
        self, plan: ReadPlan, position: Position | None, bound: Bound, *, limit: int | None
    ) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        """Batches of rows, and after each chunk's batches its end."""


class Stage(manifests.Bucket, Beats, Protocol):
    """What a pass needs of the object store."""

    def upload(self, key: str) -> AbstractAsyncContextManager[Upload]:
        """Begin a multipart upload."""

    def list(self, prefix: str) -> AsyncGenerator[Entry, None]:
        """Every object whose key begins so."""

    async def copy(self, source: str, key: str, etag: str) -> str:
        """A copy of an object that still has this ETag; the copy's."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pipeline at work: where from, where to, through what, and in whose name."""

    pipeline: str
    feed: Feed
    target: Target
    stage: Stage
    prefix: str
    share: Share
    claim: commit.Claim
    run: str
    stop: asyncio.Event
    pace: Pace = field(default_factory=Pace)

    def target_id(self, spec: TableSpec) -> TargetId:
        """Where a table's rows go: where it says, the target's schema, or one as the source's."""
        config = self.target.config
        return TargetId(self.target.name, config.database, spec.lands_in(config.table_schema))

    def layout(self, spec: TableSpec) -> Layout:
        """The keys of a table."""
        return Layout(self.prefix, self.pipeline, self.feed.name, spec.table)

    def register(self, spec: TableSpec) -> Register:
        """A table's state object."""
        return Register(self.stage, self.layout(spec), self._birth(spec))

    def _birth(self, spec: TableSpec) -> commit.State:
        target = str(self.target_id(spec))
        return commit.State(self.pipeline, self.feed.name, str(spec.table), target)
