"""Dated copies of a table: whole or not there at all, and told by every command as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.test_s3clean import halted

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

COPIES = {"cdc_strategy": "full_sync", "apply": "append", "copy_column": "copied_at"}


@pytest.fixture
def config(cli: Cli) -> Path:
    make_notes(cli, rows=9)
    return cli.pipeline({"notes": COPIES})


def counts(cli: Cli) -> list[int]:
    shown = f"SELECT count(*) FROM {cli.schema}.notes GROUP BY copied_at ORDER BY copied_at"
    return [count for (count,) in cli.redshift(shown)]


@pytest.mark.parametrize("place", ["X5:after", "X8:before"])
def test_a_pass_that_is_killed_leaves_nothing_of_its_copy(
    cli: Cli, config: Path, place: str
) -> None:
    cli.run("sync", "-p", "shop", config=config).does()
    cli.mysql("DELETE FROM notes WHERE id = 9")
    with halted(cli, place, "sync", "-p", "shop", "--config", str(config)) as sync:
        sync.killed()
    assert counts(cli) == [9]
    cli.mysql("DELETE FROM notes WHERE id = 8")
    cli.run("sync", "-p", "shop", "--steal", config=config).does()
    assert counts(cli) == [9, 7]


def test_a_copy_is_one_batch_however_small_batches_are_asked_for(cli: Cli) -> None:
    make_notes(cli, rows=60_000)  # more than a first chunk has
    config = cli.pipeline({"notes": {**COPIES, "batch_size": "1KiB"}})
    told = cli.run("sync", "-p", "shop", "-o", "json", config=config).does().out
    (result,) = json.loads(told)["table_results"].values()
    assert (result["rows_loaded"], result["batches"]) == (60_000, 1)


def test_the_column_of_a_copy_is_shown_made_and_checked(cli: Cli, config: Path) -> None:
    shown = cli.run("sync", "-p", "shop", "--dry-run", "-o", "json", config=config).does().out
    assert '\\"copied_at\\" TIMESTAMP NOT NULL' in shown
    assert "each pass appends the whole table, dated by copied_at" in shown
    cli.run("sync", "-p", "shop", config=config).does()
    cli.redshift(f"ALTER TABLE {cli.schema}.notes DROP COLUMN copied_at")
    cli.run("sync", "-p", "shop", config=config).fails(3, "copied_at TIMESTAMP: not in the target")


def test_a_full_refresh_leaves_one_copy(cli: Cli, config: Path) -> None:
    for _ in range(2):
        cli.run("sync", "-p", "shop", config=config).does()
    assert counts(cli) == [9, 9]
    cli.run("sync", "-p", "shop", "--full-refresh", config=config).does()
    assert counts(cli) == [9]
    cli.run("sync", "-p", "shop", config=config).does()
    assert counts(cli) == [9, 9]
