"""`watermark-count` at work: a count set by hand, and counts held against Redshift itself.

The target's own count of its rows is the truth; the ledger's head has what its loads made of it,
and the state has the head's as last seen. Where they differ, something else writes to the target,
or a load is under way: both are told, nothing is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from . import override
from .commit import State
from .commit.counts import CountMode, with_count
from .errors import DataError
from .redshift import ledger, schema, sql

if TYPE_CHECKING:
    from .line import Line
    from .model import TableSpec
    from .s3.register import Versioned


@dataclass(frozen=True, slots=True)
class CountReport:
    """What each place says of one table's rows; None where it says nothing."""

    table: str
    target: str
    redshift: int | None
    ledger: int | None
    state: int
    counted: int
    pending: int

    @property
    def agrees(self) -> bool:
        """Whether Redshift, the ledger and the state say the same."""
        return (self.redshift or 0) == (self.ledger or 0) == self.state

    def as_json(self) -> dict[str, object]:
        """The same for people and programs."""
        return {
            "table": self.table,
            "target": self.target,
            "redshift_rows": self.redshift,
            "ledger_rows": self.ledger,
            "state_rows": self.state,
            "counted_rows": self.counted,
            "pending_rows": self.pending,
            "agrees": self.agrees,
        }


async def set_count(
    line: Line, spec: TableSpec, count: int, mode: CountMode, *, who: str, session: str = ""
) -> Versioned:
    """Tell how many rows the table counts; once, whatever happens to the answer."""
    register = line.register(spec)
    if await register.read() is None:
        raise _never_read(line, spec)
    edit = override.edit(f"set-count {count} {mode}{f' {session}' if session else ''}", who)
    change = partial(with_count, count=count, mode=mode, edit=edit, session=session)
    return await register.change(change)


async def validate_counts(line: Line, spec: TableSpec) -> CountReport:
    """Count the target's rows, and hold them against the ledger and the state."""
    found = await line.register(spec).read()
    if found is None:
        raise _never_read(line, spec)
    target = line.target_id(spec)
    async with line.target.session() as session:
        head = await ledger.read_head(session, target)
        live = await schema.read_columns(session, target.table)
        counting = sql.count(sql.qualified(target.table))
        rows = int(await session.value(counting)) if live is not None else None
    return _report(str(target), found.state, rows, head.rows_total if head is not None else None)


def _report(target: str, state: State, rows: int | None, held: int | None) -> CountReport:
    return CountReport(
        table=state.table,
        target=target,
        redshift=rows,
        ledger=held,
        state=state.rows.loaded,
        counted=state.rows.counted,
        pending=sum(each.rows for each in state.pending),
    )


def differ(reports: list[CountReport]) -> DataError | None:
    """What is wrong with the first of the tables whose counts differ; None where all agree."""
    for report in reports:
        if not report.agrees:
            return DataError(
                "the counts differ",
                table=report.table,
                redshift=report.redshift,
                ledger=report.ledger,
                state=report.state,
                hint="a load under way is seen by the next sync; else something besides s3rs"
                " writes to the target: s3rs sync --full-refresh makes it equal to its source",
            )
    return None


def _never_read(line: Line, spec: TableSpec) -> DataError:
    return DataError(
        "the table has no state, so nothing to count",
        pipeline=line.pipeline,
        table=str(spec.table),
        hint="it was never read under this pipeline: s3rs watermark list shows what was",
    )
