"""What a person sees on a terminal while rows move: stage, rows, MB/s and time left."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from . import clock
from .report import Meter

_BEAT_SECONDS = 0.2
_MB = 1_000_000


async def draw(live: Sequence[tuple[str, Meter]]) -> None:
    """Draw every table's meter on stderr until cancelled."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = [bars.add_task(name, total=None, stage="", speed="") for name, _ in live]
        while True:
            for task, (_, meter) in zip(tasks, live, strict=True):
                busy = meter.busy_seconds("extract")
                speed = f"{meter.bytes_stored / busy / _MB:.1f} MB/s" if busy else ""
                done, total = meter.rows_read, meter.expected_rows
                bars.update(task, completed=done, total=total, stage=meter.stage, speed=speed)
            await clock.sleep(_BEAT_SECONDS)
