"""What the viewer of the demo reads: lines while it runs, a table at its end, the same as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .compare import Difference


def say(line: str) -> None:
    """One line for the viewer."""
    click.echo(line)


@dataclass(frozen=True, slots=True)
class Act:
    """One sync of all tables: its title, its wall seconds, and the report it wrote."""

    title: str
    seconds: float
    report: Mapping[str, Any]

    def total(self, name: str) -> int:
        """A figure summed over the tables."""
        return sum(int(table[name]) for table in self.report["table_results"].values())

    def stage(self, name: str) -> float:
        """Seconds spent in a stage, over all tables."""
        tables = self.report["table_results"].values()
        return sum(float(table["seconds_by_stage"].get(name, 0.0)) for table in tables)

    @property
    def line(self) -> str:
        """The act in one line."""
        return (
            f"{self.title}: {self.total('rows_processed'):,} rows read,"
            f" {self.total('rows_loaded'):,} loaded in {self.seconds:.1f} s"
        )

    def as_json(self) -> dict[str, object]:
        """The act's figures."""
        extract, load = self.stage("extract"), self.stage("load")
        return {
            "title": self.title,
            "seconds": round(self.seconds, 3),
            "rows_read": self.total("rows_processed"),
            "rows_loaded": self.total("rows_loaded"),
            "files": self.total("files_created"),
            "megabytes": round(self.total("bytes_stored") / 1e6, 2),
            "extract_seconds": round(extract, 3),
            "extract_rows_per_second": _rate(self.total("rows_processed"), extract),
            "load_seconds": round(load, 3),
            "load_rows_per_second": _rate(self.total("rows_loaded"), load),
            "report": self.report,
        }


def tell(
    acts: Sequence[Act],
    verified: Mapping[str, Difference],
    deleted: Mapping[str, set[tuple[object, ...]]],
    seconds: float,
    reason: str,
) -> dict[str, object]:
    """Print the tables; the same figures as a document."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(_acts(acts))
    console.print(_verified(verified, deleted))
    for name, keys in deleted.items():
        if keys:
            say(
                f"{name}: {len(keys)} rows deleted in MySQL are still in Redshift, as told: an"
                " incremental strategy without binlog does not see deletes"
                f" (keys {_few(keys)})"
            )
    return {
        "status": "failed" if reason else "ok",
        "reason": reason or None,
        "seconds": round(seconds, 3),
        "acts": [act.as_json() for act in acts],
        "verified": {
            name: {
                "rows": found.rows,
                "values": found.values,
                "missing_or_changed": len(found.missing),
                "extra": len(found.extra),
                "deleted_at_source": len(deleted.get(name, ())),
            }
            for name, found in verified.items()
        },
    }


def _acts(acts: Sequence[Act]) -> Table:
    table = Table(title="what moved", title_justify="left")
    table.add_column("sync")
    heads = ("rows", "files", "MB", "extract s", "rows/s", "load s", "rows/s", "whole s")
    for head in heads:
        table.add_column(head, justify="right")
    for act in acts:
        figures = act.as_json()
        table.add_row(
            act.title,
            f"{figures['rows_read']:,}",
            str(figures["files"]),
            f"{figures['megabytes']:,}",
            f"{act.stage('extract'):.1f}",
            f"{figures['extract_rows_per_second']:,}",
            f"{act.stage('load'):.1f}",
            f"{figures['load_rows_per_second']:,}",
            f"{act.seconds:.1f}",
        )
    return table


def _verified(
    verified: Mapping[str, Difference], deleted: Mapping[str, set[tuple[object, ...]]]
) -> Table:
    table = Table(title="what was compared, row by row", title_justify="left")
    table.add_column("table")
    for head in ("rows", "values", "missing or changed", "extra", "of them deleted in MySQL"):
        table.add_column(head, justify="right")
    for name, found in verified.items():
        gone = len(deleted.get(name, set()) & set(found.extra))
        table.add_row(
            name,
            f"{found.rows:,}",
            f"{found.values:,}",
            str(len(found.missing)),
            str(len(found.extra)),
            str(gone),
        )
    return table


def _rate(rows: int, seconds: float) -> int:
    return round(rows / seconds) if seconds else 0


def _few(keys: set[tuple[object, ...]]) -> str:
    shown = [",".join(map(str, key)) for key in sorted(keys)[:5]]
    return " ".join(shown) + (" …" if len(keys) > len(shown) else "")
