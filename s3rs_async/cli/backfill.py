"""`s3rs backfill`: some rows of a table read anew, beside the way of its watermark."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ConfigError
from ..model import KeyRange
from . import options
from .sync import ended, progress

_FORM = "write it as lo..hi, both ends included; an end left out is open: 1000..1999, 1000.."


@click.command()
@click.option("-t", "--table", required=True, help="schema.table.")
@click.option("--range", "span", required=True, metavar="LO..HI", help="Of the key, ends included.")
@click.option("-p", "--pipeline", "name", help="Name or YAML file: the one that has the table.")
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@options.side_by_side
@click.option(
    "--json-output", is_flag=False, flag_value="-", metavar="[PATH]", help="The report as JSON."
)
@options.output_format
@options.json_logs
@options.quiet
@options.config_folder
def backfill(  # noqa: D103 - its help is below, for the terminal
    table: str,
    span: str,
    name: str | None,
    source: str | None,
    target: str | None,
    parallel: int,
    max_memory: int,
    json_output: str | None,
    output: str,
    json_logs: bool,
    quiet: bool,
    config: Path | None,
) -> int:
    errand = _parsed(span)
    if name is not None and (source or target):
        raise ConfigError(
            "a pipeline has its own source and target",
            hint="leave --source and --target out (and S3RS_SOURCE, S3RS_TARGET), or -p",
        )
    connections = options.connections_of(config)  # told wrong before the drivers are loaded
    pipeline = options.pipelines_of(config, [name])[0] if name is not None else None
    from .. import log, service

    log.set_up(json=True if json_logs else None, quiet=quiet)
    ask = service.Ask(
        (table,), pipeline, source, target, parallel=parallel, memory=max_memory, errand=errand
    )
    end = options.run_async(service.sync(connections, ask, progress(quiet=quiet)))
    return ended(end, "-" if output == "json" else json_output)


backfill.help = """Read a range of a table's keys anew and merge it into the target.

The watermark stays where it is. For rows that changed without their cursor, or that came below it.
Rows that are gone from the source stay in the target. Exit codes as those of sync.
"""


def _parsed(text: str) -> KeyRange:
    lo, dots, hi = text.partition("..")
    if not dots or not (lo or hi):
        raise ConfigError("not a range", range=text, hint=_FORM)
    return KeyRange(lo or None, hi or None)
