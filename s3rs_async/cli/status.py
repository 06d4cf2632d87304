"""`s3rs status`: what the states in S3 say of every table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from . import options
from .output import say_table, write_json

if TYPE_CHECKING:
    from ..status import Standing

_STATUS = (
    "pipeline",
    "table",
    "status",
    "mysql_status",
    "redshift_status",
    "watermark",
    "rows_loaded",
    "pending_batches",
    "pending_rows",
    "last_mysql_extraction_time",
    "last_failure",
    "stopped",
)
pipelines_option = click.option(
    "-p",
    "--pipeline",
    "names",
    multiple=True,
    help="Name or YAML file; may be repeated. Default: every state in the bucket.",
)


@click.command()
@pipelines_option
@options.output_format
@options.config_folder
def status(names: tuple[str, ...], output: str, config: Path | None) -> int:
    """Where every table stands: what is loaded, what waits, what failed.

    Exit code 3 when a state cannot be believed.
    """
    return tell_standings(standings_of(names, config), output, _STATUS)


def standings_of(names: tuple[str, ...], config: Path | None) -> list[Standing]:
    """The named pipelines' tables, or every state in the bucket."""
    connections = options.connections_of(config)
    pipelines = options.pipelines_of(config, names) if names else None
    from ..status import standings

    return options.run_async(standings(connections, pipelines))


def tell_standings(found: list[Standing], output: str, columns: tuple[str, ...]) -> int:
    """Tell them; raises for the first that cannot be believed."""
    documents = [each.as_json() for each in found]
    if output == "json":
        write_json(documents)
    else:
        say_table(columns, documents)
    damaged = [each.error for each in found if each.error is not None]
    if damaged:
        raise damaged[0]
    return ExitCode.OK
