"""`s3rs watermark export|import`: states as a file that leaves the bucket and comes back."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, ExitCode
from . import options
from .bench import Asked, changed
from .output import write_json

if TYPE_CHECKING:
    from ..override import Bench, Changed

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
@click.argument("file")
@click.option(
    "--v1", is_flag=True, help="FILE, or a key in the bucket, is the old tool's watermark."
)
@click.option("-t", "--table", required=True, help="schema.table")
@click.option("-p", "--pipeline", "name", help="Name or YAML file; default: without one.")
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@click.option("--force", is_flag=True, help="Put it in the place of the state that there is.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@options.output_format
@options.config_folder
def import_(file: str, v1: bool, force: bool, yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Write the table's state from a file that was exported, where it has none."""
    if v1 and force:
        raise ConfigError("--v1 and --force exclude each other", hint="leave --force out")
    if v1:
        return changed(partial(_take_over, file), Asked(**asked), output, yes=yes)
    document = _read(Path(file))

    async def work(bench: Any, who: str, dry: bool) -> Any:  # noqa: ANN401 - click's
        from ..override import body_of, take_in

        body = body_of(document, bench)
        return await take_in(bench, body, who=who, force=force, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


async def _take_over(file: str, bench: Bench, who: str, dry: bool) -> Changed:
    from ..override import take_over

    body, mark = await _old(file, bench)
    return await take_over(bench, body, file, mark, who=who, dry=dry)


async def _old(file: str, bench: Bench) -> tuple[bytes, str]:
    """What the old tool has left, in a file or in the bucket, and a tag of just that."""
    import asyncio
    import hashlib

    body = await asyncio.to_thread(_content, Path(file))
    if body is not None:
        return body, f"sha256 {hashlib.sha256(body).hexdigest()[:12]}"
    stored = await bench.shelf.get(file)
    if stored is None:
        raise ConfigError(
            "no such file, and no such key in the bucket",
            file=file,
            hint="name the old tool's watermark of this table, as a path or as a key",
        )
    return stored.body, stored.etag


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


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
