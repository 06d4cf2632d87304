"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import memory
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..config import Connections, Pipeline

Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., Any])

config_folder = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="S3RS_CONFIG",
    show_envvar=True,
    help="Folder of connections.yml and pipelines/; default: config, else the environment.",
)
pipelines = click.option(
    "-p",
    "--pipeline",
    "names",
    multiple=True,
    envvar="S3RS_PIPELINES",
    show_envvar=True,
    help="Name or YAML file; may be repeated. Default: every pipeline there is.",
)
output_format = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What stdout gets.",
)
json_logs = click.option("--json-logs", is_flag=True, help="JSON logs on a terminal too.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Only warnings, errors and the report.")


class Size(click.ParamType[int]):
    """Bytes: 512MiB, 1GiB, 500MB, or a number of them."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The number of bytes."""
        from ..config.values import size_of

        size = size_of(str(value))
        if not size:
            self.fail(f"{value!r} is not a size such as 512MiB or 1GiB", param, ctx)
        return size


class Duration(click.ParamType[float]):
    """Seconds, written 90s, 15m or 1h30m."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of seconds."""
        import durationpy

        if isinstance(value, int | float):
            return float(value)
        try:
            seconds = float(durationpy.from_str(str(value)).total_seconds())
        except durationpy.DurationError:
            seconds = -1.0
        if seconds < 0 or not str(value)[-1:].isalpha():
            self.fail(f"{value!r} is not a duration such as 30s, 15m or 1h30m", param, ctx)
        return seconds


class Patience(Duration):
    """Seconds, as a number or as a duration, or `forever`."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of seconds."""
        text = str(value)
        if text == "forever":
            return float("inf")
        return float(text) if text.isdecimal() else super().convert(value, param, ctx)


def side_by_side(command: Command) -> Command:
    """--parallel and --max-memory."""
    parallel = click.option(
        "--parallel",
        "--max-workers",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        envvar="S3RS_PARALLEL",
        show_envvar=True,
        help="Tables side by side.",
    )
    budget = click.option(
        "--max-memory",
        type=Size(),
        default="512MiB",
        show_default=True,
        envvar="S3RS_MAX_MEMORY",
        show_envvar=True,
        help="For rows under way, of all tables together.",
    )
    return parallel(budget(command))


def run_async(work: Coroutine[object, object, Result]) -> Result:
    """Run on the fastest loop there is."""
    import asyncio

    memory.imported()
    try:
        import uvloop
    except ImportError:  # there is none for this platform; the standard loop does
        return asyncio.run(work)
    return uvloop.run(work)


def connections_of(folder: Path | None) -> Connections:
    """What is configured, told wrong before any driver is loaded."""
    from ..config import load_connections

    return load_connections(folder, os.environ)


def pipelines_of(folder: Path | None, wanted: Sequence[str]) -> list[Pipeline]:
    """The named pipelines, or all that there are; their notices go to stderr."""
    from ..config import load_pipeline, load_pipelines
    from .output import complain

    if wanted:
        found = [load_pipeline(folder, name, os.environ) for name in dict.fromkeys(wanted)]
    else:
        found = load_pipelines(folder, os.environ)
    for pipeline in found:
        for notice in pipeline.notices:
            complain(f"Note: {notice}")
    return found


def needed(pipelines: list[Pipeline]) -> list[Pipeline]:
    """At least one; ConfigError otherwise."""
    if not pipelines:
        raise ConfigError(
            "there is no pipeline",
            hint="write one to pipelines/NAME.yml in the configuration's folder (see README)",
        )
    return pipelines
