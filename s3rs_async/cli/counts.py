"""`s3rs watermark-count`: how many rows a table counts, told by hand or asked of Redshift."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from . import options
from .output import say, say_table, write_json

if TYPE_CHECKING:
    from ..config import Connections
    from ..counting import CountReport
    from ..line import Line
    from ..service import Ask, Job

_COLUMNS = (
    "table",
    "target",
    "redshift_rows",
    "ledger_rows",
    "state_rows",
    "counted_rows",
    "pending_rows",
    "agrees",
)
_pipeline = click.option("-p", "--pipeline", "name", help="Name or YAML file of its pipeline.")
_source = click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
_target = click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")


@click.group("watermark-count")
def counts() -> None:
    """How many rows tables count."""


@counts.command("set-count")
@click.option("-t", "--table", required=True, help="schema.table")
@click.option("--count", type=click.IntRange(0), required=True, help="Rows.")
@click.option(
    "--mode",
    type=click.Choice(["absolute", "additive", "auto"]),
    default="auto",
    show_default=True,
    help="The count is this; so many more; or so many for the session, in place of what it said.",
)
@click.option("--session", default="cli", show_default=True, help="Whose count it is, for auto.")
@_pipeline
@_source
@_target
@options.output_format
@options.config_folder
def set_count(
    table: str,
    count: int,
    mode: str,
    session: str,
    name: str | None,
    source: str | None,
    target: str | None,
    output: str,
    config: Path | None,
) -> int:
    """Set what the table counts as loaded; what is loaded later is added to it."""
    connections, ask = _asked((table,), name, source, target, config)
    told = options.run_async(_set(connections, ask, count, mode, session))
    if output == "json":
        write_json(told)
    else:
        say("\n".join(f"{key}: {value}" for key, value in told.items()))
    return ExitCode.OK


@counts.command("validate-counts")
@click.option("-t", "--table", "tables", multiple=True, help="schema.table; may be repeated.")
@_pipeline
@_source
@_target
@options.output_format
@options.config_folder
def validate_counts(
    tables: tuple[str, ...],
    name: str | None,
    source: str | None,
    target: str | None,
    output: str,
    config: Path | None,
) -> int:
    """Count the rows in Redshift itself, beside the ledger's and the state's; 3 if they differ."""
    connections, ask = _asked(tables, name, source, target, config)
    reports = options.run_async(_validate(connections, ask))
    documents = [report.as_json() for report in reports]
    if output == "json":
        write_json(documents)
    else:
        say_table(_COLUMNS, documents)
    from ..counting import differ

    if (wrong := differ(reports)) is not None:
        raise wrong
    return ExitCode.OK


def _asked(
    tables: tuple[str, ...],
    name: str | None,
    source: str | None,
    target: str | None,
    config: Path | None,
) -> tuple[Connections, Ask]:
    from ..errors import ConfigError

    if not tables and name is None:
        raise ConfigError("no table", hint="name tables with -t, or a pipeline with -p")
    connections = options.connections_of(config)
    pipeline = options.pipelines_of(config, [name])[0] if name is not None else None
    from ..service import Ask

    return connections, Ask(tables, pipeline, source, target)


async def _set(
    connections: Connections, ask: Ask, count: int, mode: str, session: str
) -> dict[str, object]:
    from ..commit.counts import CountMode
    from ..counting import set_count
    from ..override import this_user

    kind = CountMode(mode)
    name = session if kind is CountMode.AUTO else ""
    async with _line(connections, ask) as (line, job):
        (spec,) = job.specs
        found = await set_count(line, spec, count, kind, who=this_user(), session=name)
    rows = found.state.rows
    return {"table": str(spec.table), "counted": rows.counted, "loaded": rows.loaded}


async def _validate(connections: Connections, ask: Ask) -> list[CountReport]:
    from ..counting import validate_counts

    async with _line(connections, ask) as (line, job):
        return [await validate_counts(line, spec) for spec in job.specs]


@asynccontextmanager
async def _line(connections: Connections, ask: Ask) -> AsyncIterator[tuple[Line, Job]]:
    """The ends of what is asked for; nothing is connected to before it is first used."""
    from ..service import Stop, open_ends, resolve
    from ..staging import share

    job = resolve(connections, ask)
    async with open_ends(connections, [job]) as ends:
        yield ends.line(job, share(ask.memory, ask.parallel), Stop()), job
