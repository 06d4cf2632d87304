"""`s3rs daemon`: its options, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command()
@options.pipelines
@options.side_by_side
@click.option(
    "--drain",
    type=options.Duration(),
    default="60s",
    show_default=True,
    envvar="S3RS_DRAIN",
    show_envvar=True,
    help="How long the first signal lets passes finish.",
)
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    envvar="S3RS_LISTEN",
    show_envvar=True,
    help="Where /healthz, /readyz and /metrics are; off: nowhere.",
)
@options.json_logs
@options.quiet
@options.config_folder
def daemon(
    names: tuple[str, ...],
    parallel: int,
    max_memory: int,
    drain: float,
    listen: str,
    json_logs: bool,
    quiet: bool,
    config: Path | None,
) -> int:
    """Bring every table of the pipelines forward on its interval, until told to stop.

    SIGTERM or Ctrl-C lets what is under way finish and exits 0; a second one stops now.
    """
    connections = options.connections_of(config)
    pipelines = options.needed(options.pipelines_of(config, names))
    from .. import log
    from ..daemon import Terms, run

    log.set_up(json=True if json_logs else None, quiet=quiet)
    terms = Terms(parallel=parallel, memory=max_memory, drain=drain, listen=listen)
    return options.run_async(run(connections, pipelines, terms))
