"""`s3rs config validate` and `s3rs doctor`: what would go wrong, told before it does."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from . import options
from .output import say, write_json

if TYPE_CHECKING:
    from ..doctor import Check


@click.group()
def config() -> None:
    """The configuration itself."""


@config.command()
@options.output_format
@options.config_folder
def validate(output: str, config: Path | None) -> int:
    """Read connections.yml and every pipeline, and tell every mistake; asks no server."""
    from ..config.validation import validate as findings_of

    found = findings_of(config, os.environ)
    if output == "json":
        write_json([asdict(each) for each in found])
    else:
        for each in found:
            mend = f"\n      {each.hint}" if each.hint else ""
            place = each.at or each.file
            say(f"{'ok  ' if each.ok else 'fail'}  {place}: {each.message}{mend}")
    return ExitCode.OK if all(each.ok for each in found) else ExitCode.USAGE


@click.command()
@options.pipelines
@options.output_format
@options.config_folder
def doctor(names: tuple[str, ...], output: str, config: Path | None) -> int:
    """Try every connection, grant and role that a sync will need, and say what mends it.

    Writes nothing but its own test objects. Exit codes: 0 all well (warnings too), 2 something to
    mend, 4 something cannot be reached.
    """
    connections = options.connections_of(config)
    pipelines = options.pipelines_of(config, names)
    from .. import log
    from ..doctor import examine, exit_code

    log.set_up(quiet=True)
    as_table = output == "table"
    work = (
        examine(connections, pipelines, _say_check) if as_table else examine(connections, pipelines)
    )
    checks = options.run_async(work)
    if not as_table:
        write_json([asdict(check) for check in checks])
    return exit_code(checks)


def _say_check(check: Check) -> None:
    mend = f"\n      {check.mend}" if check.mend else ""
    say(f"{check.level:<4}  {check.subject}: {check.name}: {check.found}{mend}")
