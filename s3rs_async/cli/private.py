"""`s3rs sandbox` and `s3rs demo`: private servers, for a person, a command or a proof."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import run_async


@click.group()
def sandbox() -> None:
    """Private servers for trying things out: MariaDB, S3, a bastion, a Redshift stand-in."""


_s3_choice = click.option(
    "--s3",
    type=click.Choice(["moto", "ministack", "seaweedfs"]),
    default="moto",
    show_default=True,
    help="Which S3 server.",
)
_mysql_count = click.option(
    "--mysql",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many MariaDB servers: the sources mysql, mysql2, …",
)


@sandbox.command()
@_s3_choice
@_mysql_count
def up(s3: str, mysql: int) -> int:
    """Start the servers, print their environment, stay until Ctrl-C."""
    from ..sandbox import commands

    return run_async(commands.up(s3, mysql=mysql))


@sandbox.command("exec", context_settings={"ignore_unknown_options": True})
@_s3_choice
@_mysql_count
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(s3: str, mysql: int, command: tuple[str, ...]) -> int:
    """Run COMMAND inside a sandbox of its own and exit with its code."""
    from ..sandbox import commands

    return run_async(commands.execute(command, s3, mysql=mysql))


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def rules(as_json: bool) -> int:
    """Print what the Redshift stand-in copies, on what evidence, and its knobs."""
    from ..sandbox import rules_table
    from .output import say, write_json

    if as_json:
        write_json(rules_table.document())
    else:
        say(rules_table.told(_width()))
    return 0


def _width() -> int | None:
    """How wide the terminal is; None where stdout is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@click.command()
@click.option("--rows", type=click.IntRange(1), default=300_000, show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH"
)
@click.option("--keep", is_flag=True, help="Leave the servers up until Ctrl-C.")
def demo(rows: int, json_path: Path | None, keep: bool) -> int:
    """Move real tables the whole way on private servers, kill it on the way, prove the result."""
    from ..demo import run_demo

    return run_async(run_demo(rows=rows, json_path=json_path, keep=keep))
