"""`s3rs sync`: tables brought forward once, with a pipeline or without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, Error, ExitCode
from . import options
from .output import say, tell, write_json
from .plan import previewed

if TYPE_CHECKING:
    from ..report import RunReport, TableReport
    from ..service import End, Watch

_LEAVE_OUT = "leave one of them out"


@click.command()
@click.option("-t", "--table", "tables", multiple=True, help="schema.table; may be repeated.")
@click.option(
    "-p", "--pipeline", "name", help="Name or YAML file: its tables, or those of -t among them."
)
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@click.option("--backup-only", "--s3-only", is_flag=True, help="Stop once the rows are in S3.")
@click.option("--redshift-only", is_flag=True, help="Load what is in S3; read nothing from MySQL.")
@click.option(
    "--wait",
    type=options.Patience(),
    is_flag=False,
    flag_value="forever",
    default=0.0,
    metavar="[SECONDS]",
    help="Wait for a process that has the table: so long, or until it is done.",
)
@click.option("--steal", is_flag=True, help="Take the table from a process that has it.")
@click.option("--full-refresh", is_flag=True, help="Read all of it again and replace the target.")
@click.option("--adopt", is_flag=True, help="Load into a target whose rows no ledger knows.")
@click.option("--limit", type=click.IntRange(1), help="Read at most this many rows of each table.")
@options.side_by_side
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option(
    "--json-output", is_flag=False, flag_value="-", metavar="[PATH]", help="The report as JSON."
)
@options.output_format
@options.json_logs
@options.quiet
@options.config_folder
def sync(  # noqa: D103 - its help is below, for the terminal
    tables: tuple[str, ...],
    name: str | None,
    source: str | None,
    target: str | None,
    backup_only: bool,
    redshift_only: bool,
    wait: float,
    steal: bool,
    full_refresh: bool,
    adopt: bool,
    limit: int | None,
    parallel: int,
    max_memory: int,
    dry_run: bool,
    json_output: str | None,
    output: str,
    json_logs: bool,
    quiet: bool,
    config: Path | None,
) -> int:
    _refuse_contradictions(locals())
    connections = options.connections_of(config)  # told wrong before the drivers are loaded
    pipeline = options.pipelines_of(config, [name])[0] if name is not None else None
    from .. import log, service

    log.set_up(json=True if json_logs else None, quiet=quiet)
    ask = service.Ask(
        tables,
        pipeline,
        source,
        target,
        extract=not redshift_only,
        load=not backup_only,
        limit=limit,
        parallel=parallel,
        memory=max_memory,
        wait=wait,
        steal=steal,
        full_refresh=full_refresh,
        adopt=adopt,
    )
    json_output = "-" if output == "json" else json_output
    if dry_run:
        return previewed(connections, ask, json_output, key="dry_run")
    end = options.run_async(service.sync(connections, ask, progress(quiet=quiet)))
    return ended(end, json_output)


sync.help = """Bring tables forward once: from MySQL to S3, and from S3 to Redshift.

A table with a primary key and an auto-updated timestamp is read incrementally (hybrid), any other
is read whole and replaced (full_sync), unless its pipeline says otherwise. Exit codes: 0 done,
2 usage, 3 data, 4 unavailable, 5 another process is at it, 6 some tables failed, 130/143
interrupted.
"""


_CONTRADICTIONS = (
    ("backup_only", "redshift_only", "leave nothing to do"),
    ("wait", "steal", "exclude each other"),
    ("redshift_only", "wait", "exclude each other: a load waits for nobody"),
    ("redshift_only", "steal", "exclude each other: a load takes no table from anybody"),
    ("redshift_only", "full_refresh", "exclude each other: all rows are read again"),
    ("limit", "full_refresh", "exclude each other: a part would replace the whole"),
    ("dry_run", "full_refresh", "exclude each other: the one writes nothing, the other does"),
    ("backup_only", "adopt", "exclude each other: nothing is loaded"),
)


def _refuse_contradictions(given: dict[str, object]) -> None:
    for one, other, why in _CONTRADICTIONS:
        if given[one] and given[other]:
            raise ConfigError(f"{_option(one)} and {_option(other)} {why}", hint=_LEAVE_OUT)
    if not given["tables"] and given["name"] is None:
        raise ConfigError(
            "nothing to sync", hint="name tables with -t, or a pipeline with -p: see --help"
        )
    if given["name"] is not None and (given["source"] or given["target"]):
        raise ConfigError(
            "a pipeline has its own source and target",
            hint="leave --source and --target out (and S3RS_SOURCE, S3RS_TARGET), or -p",
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def progress(*, quiet: bool) -> Watch | None:
    """What draws how far the tables are, where someone looks."""
    if quiet or not sys.stderr.isatty():
        return None
    from ..progress import draw

    return draw


def ended(end: End, json_output: str | None) -> ExitCode:
    """The report told, and the exit code: also where the report can't be written."""
    try:
        _tell_report(end.report, json_output)
    except ConfigError as unwritten:
        tell(unwritten)
        return end.exit_code or unwritten.exit_code
    return end.exit_code


def _tell_report(report: RunReport, json_output: str | None) -> None:
    told: set[int] = set()  # a failure that tables share is told once
    lines = []
    for table in report.tables:
        if table.error is None:
            lines.append(_line(table))
        elif id(table.error) not in told:
            told.add(id(table.error))
            tell(_foreseen(table))
    if json_output != "-" and lines:
        say("\n".join(lines))
    if json_output is not None:
        write_json(report.as_json(), json_output)


def _foreseen(table: TableReport) -> Error:
    """A table's failure; of a bug only its kind, since its words are anyone's and in the log."""
    if isinstance(table.error, Error):
        return table.error
    return Error(
        "internal error",
        kind=type(table.error).__name__,
        table=table.table,
        hint="the log above has its traceback: please report it",
    )


def _line(table: TableReport) -> str:
    meter = table.meter
    held = "" if table.target_rows is None else f", target holds {table.target_rows:,}"
    notes = "".join(f"\n  {note}" for note in meter.notes)
    return (
        f"{table.table} -> {table.target}: {table.outcome}: {meter.rows_read:,} rows read,"
        f" {meter.rows_loaded:,} loaded{held} ({meter.batches} batches, {meter.files} files,"
        f" {meter.bytes_stored / 1e6:,.1f} MB) in {table.seconds:.1f} s{notes}"
    )
