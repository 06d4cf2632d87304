"""`s3rs watermark export|import`: states as a file that leaves the bucket and comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, ExitCode
from . import options
from .bench import Asked, changed
from .output import write_json

_Path = click.Path(path_type=Path, dir_okay=False)


@click.command("export")
@click.argument("file", type=_Path, required=False)
@click.option("-t", "--table", help="schema.table; default: every state in the bucket.")
@click.option("-p", "--pipeline", "name", help="Its pipeline, with --table.")
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@options.config_folder
def export(file: Path | None, table: str | None, config: Path | None, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Write states with everything that they say to FILE, or to stdout."""
    connections = options.connections_of(config)
    from ..override import export_of
    from ..status import documents, standing

    wanted = None
    if table is not None:
        connections, job = Asked(table=table, config=config, **asked).job()
        place = (connections, job.pipeline, job.source, job.specs[0].table)
        wanted = options.run_async(standing(*place))
    found = options.run_async(documents(connections, wanted))
    if table is not None and not found:
        raise ConfigError(
            "the table has no state to export",
            table=table,
            hint="s3rs watermark list shows those that have one",
        )
    write_json(export_of([body for _, body in found]), "-" if file is None else str(file))
    return ExitCode.OK


@click.command("import")
@click.argument("file", type=_Path)
@click.option("-t", "--table", required=True, help="schema.table")
@click.option("-p", "--pipeline", "name", help="Name or YAML file; default: without one.")
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@click.option("--force", is_flag=True, help="Put it in the place of the state that there is.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@options.output_format
@options.config_folder
def import_(file: Path, force: bool, yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Write the table's state from a file that was exported, where it has none."""
    document = _read(file)

    async def work(bench: Any, who: str, dry: bool) -> Any:  # noqa: ANN401 - click's
        from ..override import body_of, take_in

        body = body_of(document, bench)
        return await take_in(bench, body, who=who, force=force, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


def _read(file: Path) -> object:
    try:
        found: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise ConfigError(
            "not a file of exported states",
            file=str(file),
            reason=str(reason),
            hint="s3rs watermark export writes such a file",
        ) from reason
    return found
