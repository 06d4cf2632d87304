"""The command line before any work: help, version, and complaints about how it was called."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from s3rs_async import __version__
from s3rs_async.cli import cli
from tests.acceptance.cli import COMMAND, Ended

HEAVY = (
    "pyarrow",
    "numpy",
    "aiobotocore",
    "asyncssh",
    "aiomysql",
    "asyncpg",
    "pydantic",
    "asyncio",
)
BARE = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def asked(*args: str, command: list[str] = COMMAND) -> Ended:
    done = subprocess.run([*command, *args], capture_output=True, check=False, env=BARE, timeout=60)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def commands(group: click.Command, *path: str) -> list[tuple[str, ...]]:
    """Every command and group, by its path."""
    inner = group.commands if isinstance(group, click.Group) else {}
    return [path, *(p for name, found in inner.items() for p in commands(found, *path, name))]


def test_every_command_explains_itself_without_loading_what_moves_rows() -> None:
    paths = commands(cli)
    assert ("sync",) in paths
    assert ("sandbox", "exec") in paths
    lines = [
        "import sys; from s3rs_async.cli import run",
        f"for path in {paths!r}: assert run([*path, '--help']) == 0, path",
        f"loaded = set(sys.modules) & set({HEAVY!r})",
        "assert not loaded, loaded",
    ]
    ended = asked(command=[sys.executable, "-c", "\n".join(lines)]).does()
    assert ended.out.count("Usage: s3rs") == len(paths)
    assert "Exit codes: 0 done, 2 usage" in ended.out


def test_the_version_is_the_packages() -> None:
    assert asked("--version").does().out.strip() == f"s3rs, version {__version__}"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["sync", "-t", "a.b", "--tabel", "x"], ["no such option '--tabel'", "did you mean"]),
        (["sync"], ["nothing to sync", "tables with -t", "pipeline with -p"]),
        (["sync", "-p", "x", "--target", "y"], ["a pipeline has its own source and target"]),
        (["daemon", "--drain", "5"], ["is not a duration", "see s3rs daemon --help"]),
        (["watermark", "get"], ["missing option '-t' / '--table'"]),
        (["snyc"], ["no such command 'snyc'", "see s3rs --help"]),
        (["sync", "-t", "a.b", "--limit", "0"], ["--limit", "see s3rs sync --help"]),
        (["sync", "-t", "a.b", "--backup-only", "--redshift-only"], ["leave one of them out"]),
        (["sync", "-t", "a.b"], ["no connections", "S3RS_CONFIG"]),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_told_in_two_lines(args: list[str], words: list[str]) -> None:
    asked(*args).fails(2, *words)


def test_no_command_at_all_shows_the_help() -> None:
    ended = asked()
    assert ended.code == 2
    assert ended.err.startswith("Usage: s3rs")
