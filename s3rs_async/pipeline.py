"""Many tables: side by side under one limit, and no table's failure stops its neighbours.

A table's end is a value, whatever it is: a report that carries what went wrong. Only what the
tables share (the store, the terminal, a signal) ends them all. The limit of tables is also what
bounds memory, since each of them has an even share of it (`staging.share`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from . import clock
from .errors import ConflictError, Error
from .flow import together
from .line import Line
from .report import Meter, Outcome, TableReport
from .sync import Passed, Request, sync_table

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class End:
    """How one pass over one table ended; `passed` is None where it failed."""

    report: TableReport
    passed: Passed | None


async def bring_forward(line: Line, request: Request, meter: Meter) -> End:
    """One table, once; its failure is in the report."""
    since = clock.seconds()
    error: BaseException | None = None
    passed: Passed | None = None
    try:
        passed = await sync_table(line, request, meter)
    except Error as known:
        error = known
    except Exception as bug:  # a bug in one table is told, and the others are done
        log.exception("internal error, please report it", table=_name(request), run=line.run)
        error = bug
    report = _report(line, request, meter, error)
    rows = passed.rows if passed is not None else None
    report = replace(report, seconds=clock.seconds() - since, target_rows=rows)
    _tell(line, report)
    return End(report, passed)


def failed(line: Line, request: Request, meter: Meter, error: Error) -> TableReport:
    """The report of a pass that was not begun, because it is known why it would fail."""
    return _report(line, request, meter, error)


def _report(line: Line, request: Request, meter: Meter, error: BaseException | None) -> TableReport:
    outcome = Outcome.FAILED if error is not None else Outcome.SUCCESS
    if error is None and line.stop.is_set():
        outcome = Outcome.INTERRUPTED
    return TableReport(
        table=_name(request),
        target=str(line.target_id(request.spec)),
        outcome=outcome,
        meter=meter,
        seconds=0.0,
        ended_at=clock.iso_now(),
        error=error,
    )


async def side_by_side(
    line: Line, wanted: Sequence[tuple[Request, Meter]], parallel: int, ended: list[TableReport]
) -> None:
    """Every table once, at most `parallel` at a time; `ended` gets each report as it comes."""
    slots = asyncio.Semaphore(parallel)

    async def one(request: Request, meter: Meter) -> None:
        async with slots:
            if not line.stop.is_set():
                ended.append((await bring_forward(line, request, meter)).report)

    async with together() as tasks:
        for request, meter in wanted:
            tasks.create_task(one(request, meter), name=_name(request))


def _name(request: Request) -> str:
    return str(request.spec.table)


def _tell(line: Line, report: TableReport) -> None:
    """One line a pass with all its figures; a pass that found nothing is for debugging."""
    meter, error = report.meter, report.error
    facts = {
        "pipeline": line.pipeline,
        "table": report.table,
        "run": line.run,
        "outcome": report.outcome,
        "rows_read": meter.rows_read,
        "rows_loaded": meter.rows_loaded,
        "target_rows": report.target_rows,
        "batches": meter.batches,
        "files": meter.files,
        "bytes_stored": meter.bytes_stored,
        "seconds": round(report.seconds, 3),
    }
    if error is None:
        news = meter.batches or meter.rows_loaded or report.outcome is not Outcome.SUCCESS
        (log.info if news else log.debug)("table done", **facts)
        return
    hint = error.hint if isinstance(error, Error) else "the log above has its traceback"
    event = "table failed"
    if isinstance(error, ConflictError):
        event = "table left to another process"
    log.warning(event, kind=type(error).__name__, error=str(error), hint=hint, **facts)
