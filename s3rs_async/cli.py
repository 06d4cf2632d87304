"""argv → service → exit code: the only print, and each command imports what it needs itself.

Data goes to stdout, everything else (logs, progress, errors) to stderr. An expected failure is one
line of error and one of hint; a bug keeps its traceback, without locals, since those hold secrets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from . import __version__
from .errors import ConfigError, Error, ExitCode, one_line

if TYPE_CHECKING:
    from .config import Connections
    from .report import RunReport, TableReport
    from .service import Watch
    from .sync import Preview

Result = TypeVar("Result")


def run(argv: Sequence[str]) -> int:
    """Run one command; the process's exit code."""
    try:
        code = cli.main(list(argv), prog_name="s3rs", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        _complain(error.format_message())
        return ExitCode.USAGE
    except click.ClickException as error:
        _tell(_usage(error))
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Error as error:
        _tell(error)
        return error.exit_code
    return int(code or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3rs")
def cli() -> None:
    """Bring MySQL tables to Redshift by way of parquet on S3, exactly once in effect."""


@cli.command()
@click.option(
    "-t", "--table", "tables", multiple=True, required=True, help="schema.table; may be repeated."
)
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@click.option("--backup-only", "--s3-only", is_flag=True, help="Stop once the rows are in S3.")
@click.option("--redshift-only", is_flag=True, help="Load what is in S3; read nothing from MySQL.")
@click.option("--limit", type=click.IntRange(1), help="Read at most this many rows of each table.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option(
    "--json-output", is_flag=False, flag_value="-", metavar="[PATH]", help="The report as JSON."
)
@click.option("--json-logs", is_flag=True, help="JSON logs on a terminal too.")
@click.option("-q", "--quiet", is_flag=True, help="Only warnings, errors and the report.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="S3RS_CONFIG",
    show_envvar=True,
    help="Folder of connections.yml; default: config, else the environment.",
)
def sync(  # noqa: D103 - its help is below, for the terminal
    tables: tuple[str, ...],
    source: str | None,
    target: str | None,
    backup_only: bool,
    redshift_only: bool,
    limit: int | None,
    dry_run: bool,
    json_output: str | None,
    json_logs: bool,
    quiet: bool,
    config: Path | None,
) -> int:
    if backup_only and redshift_only:
        raise ConfigError(
            "--backup-only and --redshift-only leave nothing to do", hint="leave one of them out"
        )
    connections = _connections(config)  # what is wrong there is told before the drivers are loaded
    from . import log, service

    log.set_up(json=True if json_logs else None, quiet=quiet)
    ask = service.Ask(
        tables, source, target, extract=not redshift_only, load=not backup_only, limit=limit
    )
    if dry_run:
        _tell_previews(_await(service.preview(connections, ask)), json_output)
        return ExitCode.OK
    end = _await(service.sync(connections, ask, _progress(quiet=quiet)))
    try:
        _tell_report(end.report, json_output)
    except ConfigError as unwritten:
        _tell(unwritten)
        return end.exit_code or unwritten.exit_code
    return end.exit_code


sync.help = """Bring tables forward once: from MySQL to S3, and from S3 to Redshift.

A table with a primary key and an auto-updated timestamp is read incrementally (hybrid), any other
is read whole and replaced (full_sync). Exit codes: 0 done, 2 usage, 3 data, 4 unavailable,
5 another process is at it, 6 some tables failed, 130/143 interrupted.
"""


@cli.group()
def sandbox() -> None:
    """Private servers for trying things out: MariaDB, S3, a bastion, a Redshift stand-in."""


_s3_choice = click.option(
    "--s3",
    type=click.Choice(["moto", "ministack", "seaweedfs"]),
    default="moto",
    show_default=True,
    help="Which S3 server.",
)


@sandbox.command()
@_s3_choice
def up(s3: str) -> int:
    """Start the servers, print their environment, stay until Ctrl-C."""
    from .sandbox import commands

    return _await(commands.up(s3))


@sandbox.command("exec", context_settings={"ignore_unknown_options": True})
@_s3_choice
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(s3: str, command: tuple[str, ...]) -> int:
    """Run COMMAND inside a sandbox of its own and exit with its code."""
    from .sandbox import commands

    return _await(commands.execute(command, s3))


@cli.command()
@click.option("--rows", type=click.IntRange(1), default=300_000, show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH"
)
@click.option("--keep", is_flag=True, help="Leave the servers up until Ctrl-C.")
def demo(rows: int, json_path: Path | None, keep: bool) -> int:
    """Move real tables the whole way on private servers, kill it on the way, prove the result."""
    from .demo import run_demo

    return _await(run_demo(rows=rows, json_path=json_path, keep=keep))


def _await(work: Coroutine[object, object, Result]) -> Result:
    import asyncio

    try:
        import uvloop
    except ImportError:  # there is none for this platform; the standard loop does
        return asyncio.run(work)
    return uvloop.run(work)


def _connections(folder: Path | None) -> Connections:
    from .config import load_connections

    return load_connections(folder, os.environ)


def _progress(*, quiet: bool) -> Watch | None:
    if quiet or not sys.stderr.isatty():
        return None
    from .progress import draw

    return draw


def _usage(error: click.ClickException) -> ConfigError:
    """A complaint of the command line's parser in our two lines."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see {context.command_path if context else 's3rs'} --help"
    message = error.format_message()
    if isinstance(error, click.NoSuchOption | click.NoSuchCommand):
        message = error.message
        near = error.possibilities or ()
        hint = f"did you mean {' or '.join(near)}? {hint}" if near else hint
    return ConfigError(f"{message[:1].lower()}{message[1:]}".rstrip("."), hint=hint)


def _tell(error: Error) -> None:
    _complain(f"Error: {error}\nHint: {one_line(error.hint)}")


def _complain(text: str) -> None:
    """To stderr, if it can be written to."""
    from .log import put

    put(sys.stderr, f"{text}\n")


def _say(text: str) -> None:
    """To stdout; ConfigError when it can't be written to."""
    from .log import put

    if (error := put(sys.stdout, f"{text}\n")) is not None:
        raise _unwritten("stdout", error)


def _unwritten(file: str, error: OSError) -> ConfigError:
    return ConfigError(
        "the report can't be written",
        file=file,
        reason=error.strerror,
        hint="name a file that can be written; what the report tells of was done nevertheless",
    )


def _tell_report(report: RunReport, json_output: str | None) -> None:
    told: set[int] = set()  # a failure that tables share is told once
    lines = []
    for table in report.tables:
        if table.error is None:
            lines.append(_line(table))
        elif id(table.error) not in told:
            told.add(id(table.error))
            _tell(_foreseen(table))
    if json_output != "-" and lines:
        _say("\n".join(lines))
    if json_output is not None:
        _write_json(report.as_json(), json_output)


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


def _tell_previews(previews: list[Preview], json_output: str | None) -> None:
    documents = [preview.as_json() for preview in previews]
    if json_output is not None:
        _write_json({"dry_run": documents}, json_output)
    if json_output != "-":
        for document in documents:
            _say("\n".join(f"{key}: {value}" for key, value in document.items()))


def _write_json(document: object, path: str) -> None:
    import orjson

    data = orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str)
    if path == "-":
        _say(data.decode())
        return
    try:
        Path(path).write_bytes(data + b"\n")
    except OSError as error:
        raise _unwritten(path, error) from error
