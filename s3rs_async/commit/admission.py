"""What is asked of a table's state before anything of the table is read; pure.

Each refusal says what mends it, changes nothing, and is asked again where it could have become true
meanwhile: a table may be stopped, or filled up by another process, while a batch is being read.
"""

from __future__ import annotations

import datetime as dt

from ..errors import ConfigError, DataError
from .state import State

MAX_PENDING = 2_000
"""Batches that may wait in S3: beyond that an extraction stops, it never drops one."""

_BACKWARDS = dt.timedelta(seconds=1)


def check_going(state: State) -> None:
    """Refuse a stopped table: whatever is done to it could be wrong."""
    if state.stop is not None:
        raise DataError(
            "the table is stopped, nothing was done",
            table=state.table,
            reason=state.stop,
            hint=f"rebuild its state from the ledger: s3rs watermark reconcile {_named(state)}",
        )


def check_room(state: State) -> None:
    """Refuse to extract more than the state can name: what waits must be loaded first."""
    if len(state.pending) >= MAX_PENDING:
        raise DataError(
            "too many batches wait in S3, no more are extracted",
            table=state.table,
            pending=len(state.pending),
            hint=f"nothing is lost: load them with s3rs sync --redshift-only {_named(state)}",
        )


def check_errand(state: State) -> None:
    """Refuse to read some rows anew where none were read yet, or more than these are due."""
    facts = {"table": state.table, "hint": f"bring it forward first: s3rs sync {_named(state)}"}
    at = state.position
    if not state.last_batch or (at is not None and at.cursor is None and at.key is None):
        raise ConfigError("nothing of the table was read yet that could be read anew", **facts)
    if state.replace_pending or state.replace_window is not None:
        raise ConfigError("the target is to be replaced, so nothing is read anew", **facts)
    if state.backup_strategy == "manual_cli":
        raise ConfigError("the watermark was set by hand, and nothing was read since", **facts)


def check_clock(state: State, server_time: str) -> None:
    """Refuse a source whose clock has gone back: a bound by it could leave rows out.

    Nothing rests on the clock where the table is read from its beginning, or from where an operator
    has just told us to.
    """
    last = state.last_mysql_extraction_time
    if last is None or state.position is None or state.backup_strategy == "manual_cli":
        return
    back = dt.datetime.fromisoformat(last) - dt.datetime.fromisoformat(server_time)
    if back > _BACKWARDS:
        raise DataError(
            "the source's clock has gone back since the last extraction, nothing was read",
            table=state.table,
            now=server_time,
            then=last,
            seconds=round(back.total_seconds(), 3),
            hint=f"set the server's clock right; if it was wrong before, say from where to read:"
            f" s3rs watermark set {_named(state)}",
        )


def _named(state: State) -> str:
    """The options of the command line that mean the state's table."""
    table = f"-t {state.table}"
    return table if state.pipeline.startswith("adhoc.") else f"-p {state.pipeline} {table}"
