"""`s3rs status` and `s3rs watermark get|list`: what the states in S3 say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, ExitCode
from . import options
from .output import say, say_table, write_json

if TYPE_CHECKING:
    from ..status import Standing

_STATUS = (
    "pipeline",
    "table",
    "status",
    "watermark",
    "rows_loaded",
    "pending_batches",
    "pending_rows",
    "last_mysql_extraction_time",
    "last_failure",
)
_WATERMARKS = ("pipeline", "source", "table", "target", "watermark", "rows_extracted", "version")
_pipelines = click.option(
    "-p",
    "--pipeline",
    "names",
    multiple=True,
    help="Name or YAML file; may be repeated. Default: every state in the bucket.",
)


@click.command()
@_pipelines
@options.output_format
@options.config_folder
def status(names: tuple[str, ...], output: str, config: Path | None) -> int:
    """Where every table stands: what is loaded, what waits, what failed.

    Exit code 3 when a state cannot be believed.
    """
    return _tell(_standings(names, config), output, _STATUS)


@click.group()
def watermark() -> None:
    """How far tables have been read."""


@watermark.command("list")
@_pipelines
@options.output_format
@options.config_folder
def list_(names: tuple[str, ...], output: str, config: Path | None) -> int:
    """The watermark of every table."""
    return _tell(_standings(names, config), output, _WATERMARKS)


@watermark.command()
@click.option("-t", "--table", required=True, help="schema.table")
@click.option("-p", "--pipeline", "name", help="Name or YAML file; default: syncs without one.")
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@options.output_format
@options.config_folder
def get(
    table: str,
    name: str | None,
    source: str | None,
    target: str | None,
    output: str,
    config: Path | None,
) -> int:
    """One table's watermark and everything else that its state says."""
    connections = options.connections_of(config)
    pipelines = options.pipelines_of(config, [name]) if name is not None else []
    from ..service import Ask, resolve
    from ..status import standing

    asked = Ask((table,), pipelines[0] if pipelines else None, source, target)
    job = resolve(connections, asked)
    found = options.run_async(standing(connections, job.pipeline, job.source, job.specs[0].table))
    if found.error is not None:
        raise found.error
    if found.state is None:
        raise ConfigError(
            "the table has no watermark",
            pipeline=job.pipeline,
            table=table,
            hint="it was never read under this pipeline: s3rs watermark list shows what was",
        )
    document = found.as_json()
    if output == "json":
        write_json(document)
    else:
        say(
            "\n".join(
                f"{key}: {'-' if value is None else value}" for key, value in document.items()
            )
        )
    return ExitCode.OK


def _standings(names: tuple[str, ...], config: Path | None) -> list[Standing]:
    connections = options.connections_of(config)
    pipelines = options.pipelines_of(config, names) if names else None
    from ..status import standings

    return options.run_async(standings(connections, pipelines))


def _tell(found: list[Standing], output: str, columns: tuple[str, ...]) -> int:
    documents = [each.as_json() for each in found]
    if output == "json":
        write_json(documents)
    else:
        say_table(columns, documents)
    damaged = [each.error for each in found if each.error is not None]
    if damaged:
        raise damaged[0]
    return ExitCode.OK
