"""The marks: one table's state in S3, and the head of its target's ledger in Redshift."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import DataError
from ..model import Position, Window

FIRST_GENERATION = 1
AUDITED = 50
"""Edits by hand that a state remembers, the newest; each version's copy in hist/ has its own."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds the extraction role: a process, told apart from a later one with its pid."""

    writer: str
    host: str
    boot: str
    pid: int
    started: str
    released: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, writer {self.writer}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A batch that is in S3 for good and not yet known to be in Redshift."""

    seq: int
    batch: str
    parent: str
    manifest: str
    sha256: str
    rows: int
    session: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The last batch that the ledger was seen to hold."""

    batch: str
    seq: int
    generation: int
    at: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What one session has told to count, which it may tell again in other words."""

    session: str
    rows: int


@dataclass(frozen=True, slots=True)
class Override:
    """A count set by hand: `rows` when the ledger said `loaded`, and `sessions` on top of it."""

    rows: int
    loaded: int
    sessions: tuple[Counted, ...] = ()


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows committed to S3 and rows in Redshift, each changed in one place only."""

    extracted: int = 0
    loaded: int = 0
    override: Override | None = None

    @property
    def counted(self) -> int:
        """The rows that count as loaded: the ledger's, moved by what was told by hand."""
        if self.override is None:
            return self.loaded
        told = sum(each.rows for each in self.override.sessions)
        return max(self.override.rows + told + self.loaded - self.override.loaded, 0)


@dataclass(frozen=True, slots=True)
class Audit:
    """One change that a person made: who, when, which, and where the table stood around it."""

    id: str
    at: str
    who: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class State:
    """`state.json` without its envelope (format, version, write id, digest): the register's.

    `imported` says that the watermark is another tool's, which has filled the target up to it.
    """

    pipeline: str
    source: str
    table: str
    target: str
    epoch: int = 0
    claim: Claim | None = None
    generation: int = FIRST_GENERATION
    replace_pending: bool = False
    next_seq: int = 1
    last_batch: str = ""
    position: Position | None = None
    last_mysql_data_timestamp: str | None = None
    last_mysql_extraction_time: str | None = None
    pending: tuple[Pending, ...] = ()
    loaded: Loaded | None = None
    rows: RowCounts = field(default_factory=RowCounts)
    last_failure: str | None = None
    backup_strategy: str = "sequential"
    stop: str | None = None
    replace_window: Window | None = None
    imported: bool = False
    audit: tuple[Audit, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The one row of a target's ledger head: the last batch loaded, whatever the state says."""

    pipeline: str
    source: str
    generation: int
    seq: int
    batch: str
    position: str
    rows_total: int


def check_feeder(state: State, *, pipeline: str, source: str, table: str, target: str) -> None:
    """Refuse a state object that is not this pipeline's, table's and target's."""
    found = (state.pipeline, state.source, state.table, state.target)
    if found != (pipeline, source, table, target):
        raise DataError(
            "the state object belongs to another table or target",
            found=" ".join(found),
            wanted=f"{pipeline} {source} {table} {target}",
            hint="give the pipeline another name, or point it back at the target it fed",
        )
