"""`s3rs plan`: everything that a sync would do, told before it does anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ..errors import ConfigError, Error, ExitCode, exit_code
from . import options
from .output import say, tell, write_json

if TYPE_CHECKING:
    from ..config import Connections
    from ..service import Ask


@click.command()
@click.option("-t", "--table", "tables", multiple=True, help="schema.table; may be repeated.")
@click.option(
    "-p", "--pipeline", "name", help="Name or YAML file: its tables, or those of -t among them."
)
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@options.output_format
@options.config_folder
def plan(
    tables: tuple[str, ...],
    name: str | None,
    source: str | None,
    target: str | None,
    output: str,
    config: Path | None,
) -> int:
    """Tell what a sync would do; change nothing anywhere.

    Strategy and why, bound and how far it is proven, every query with what its server says of it,
    what becomes of each column, DDL, and what waits in S3. Exit codes: 0 it could be done, 2 or 3
    it would be refused, 4 something cannot be reached.
    """
    if not tables and name is None:
        raise ConfigError(
            "nothing to plan", hint="name tables with -t, or a pipeline with -p: see --help"
        )
    if name is not None and (source or target):
        raise ConfigError(
            "a pipeline has its own source and target",
            hint="leave --source and --target out (and S3RS_SOURCE, S3RS_TARGET), or -p",
        )
    connections = options.connections_of(config)  # told wrong before the drivers are loaded
    pipeline = options.pipelines_of(config, [name])[0] if name is not None else None
    from .. import log, service

    log.set_up(quiet=True)
    ask = service.Ask(tables, pipeline, source, target)
    return previewed(connections, ask, "-" if output == "json" else None, key="plan")


def previewed(connections: Connections, ask: Ask, json_output: str | None, *, key: str) -> ExitCode:
    """The plans told, those that would be refused on stderr too; the exit code says so."""
    from .. import service

    found, failures = options.run_async(service.preview(connections, ask))
    refused: list[Error] = [each.refused for each in found if each.refused is not None]
    documents = [preview.as_json() for preview in found]
    if json_output is not None:
        errors = {"errors": [str(failure) for failure in failures]} if failures else {}
        write_json({key: documents, **errors}, json_output)
    if json_output != "-":
        for document in documents:
            say("\n".join(_lines(document)))
    for error in (*failures, *refused):
        tell(error)
    return exit_code([*failures, *refused])


def _lines(document: dict[str, object]) -> Iterator[str]:
    for name, value in document.items():
        if not isinstance(value, list) or name == "key":
            yield f"{name}: {', '.join(value) if isinstance(value, list) else value}"
            continue
        yield f"{name}:{'' if value else ' none'}"
        for each in value:
            yield from _item(each)


def _item(item: object) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"  {item}"
        return
    told = cast("dict[str, object]", item)
    if "sql" in told:
        yield f"  {told['query']}: {told['explain']}"
        yield f"    {told['sql']}"
        return
    way = f"{told['source_type']} -> {told['parquet']} -> {told['redshift']}"
    notes = cast("list[str]", told["notes"])
    faith = f"{way}: {told['fidelity']}"
    yield f"  {told['column']}: {'; '.join([faith, *notes])}"
