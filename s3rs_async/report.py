"""What a run did, told twice: live, while it runs, and as the JSON that v1's callers parse.

A `Meter` is written by the stations' conductors and read by whoever draws progress; a `TableReport`
is made from it once, at the end, and never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from . import clock
from .errors import Error, ExitCode, exit_code
from .model import Change, Changes


class Outcome(StrEnum):
    """How a table, or a whole run, ended."""

    SUCCESS = "success"
    PARTIAL = "partial_success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Meter:
    """Running figures of one table; bytes are those of Arrow in memory and of parquet in S3."""

    rows_read: int = 0
    bytes_read: int = 0
    rows_loaded: int = 0
    bytes_stored: int = 0
    files: int = 0
    batches: int = 0
    expected_rows: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    under_way: dict[str, float] = field(default_factory=dict)
    changed: Changes = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the seconds spent inside as the stage's; several may be under way side by side."""
        started = self.under_way[stage] = clock.seconds()
        try:
            yield
        finally:
            del self.under_way[stage]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + clock.seconds() - started

    @property
    def stage(self) -> str:
        """The one under way, of several the one entered last."""
        return next(reversed(self.under_way), "")

    def busy_seconds(self, stage: str) -> float:
        """Seconds spent in a stage so far, the time under way included."""
        started = self.under_way.get(stage)
        under_way = clock.seconds() - started if started is not None else 0.0
        return self.seconds.get(stage, 0.0) + under_way

    def count_changed(self, changed: Changes) -> None:
        """Add values that a policy did not leave as they were, by column."""
        for each, count in changed.items():
            self.changed[each] = self.changed.get(each, 0) + count

    def values(self, change: Change) -> dict[str, int]:
        """How many values were changed in one way, by column."""
        return {name: count for (way, name), count in self.changed.items() if way is change}


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table's end."""

    table: str
    target: str
    outcome: Outcome
    meter: Meter
    seconds: float
    ended_at: str
    error: BaseException | None = None
    target_rows: int | None = None

    def as_json(self) -> dict[str, object]:
        """The entry of `table_results`."""
        meter = self.meter
        common: dict[str, object] = {
            "status": self.outcome,
            "target": self.target,
            "rows_processed": meter.rows_read,
            "rows_loaded": meter.rows_loaded,
            "target_rows": self.target_rows,
            "files_created": meter.files,
            "batches": meter.batches,
            "bytes_stored": meter.bytes_stored,
            "duration_seconds": round(self.seconds, 3),
            "seconds_by_stage": {k: round(v, 3) for k, v in meter.seconds.items()},
            **{f"values_{change}": meter.values(change) for change in Change},
            "notes": meter.notes,
        }
        if self.error is None:
            return {**common, "completed_at": self.ended_at}
        hint = self.error.hint if isinstance(self.error, Error) else ""
        return {
            **common,
            "error_kind": type(self.error).__name__,
            "error_message": str(self.error),
            "hint": hint,
            "failed_at": self.ended_at,
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """One execution over one or more tables."""

    execution_id: str
    pipeline: str
    started_at: str
    ended_at: str
    seconds: float
    tables: Sequence[TableReport]

    @property
    def failures(self) -> list[BaseException]:
        """What went wrong, table by table."""
        return [table.error for table in self.tables if table.error is not None]

    @property
    def done(self) -> int:
        """Tables that came through."""
        return sum(table.outcome is Outcome.SUCCESS for table in self.tables)

    @property
    def outcome(self) -> Outcome:
        """The run's one word."""
        if any(table.outcome is Outcome.INTERRUPTED for table in self.tables):
            return Outcome.INTERRUPTED
        if not self.failures:
            return Outcome.SUCCESS
        return Outcome.PARTIAL if self.done else Outcome.FAILED

    @property
    def exit_code(self) -> ExitCode:
        """What the process says to its caller, signals aside."""
        return exit_code(self.failures, done=self.done)

    def as_json(self) -> dict[str, object]:
        """The document that v1's callers parse, with fields of ours besides."""
        return {
            "execution_id": self.execution_id,
            "start_time": self.started_at,
            "pipeline": self.pipeline,
            "tables_requested": [table.table for table in self.tables],
            "total_tables": len(self.tables),
            "table_results": {table.table: table.as_json() for table in self.tables},
            "status": self.outcome,
            "end_time": self.ended_at,
            "duration_seconds": round(self.seconds, 3),
            "summary": {
                "success_count": self.done,
                "failure_count": len(self.failures),
                "total_rows_processed": sum(t.meter.rows_read for t in self.tables),
                "total_files_created": sum(t.meter.files for t in self.tables),
            },
        }
