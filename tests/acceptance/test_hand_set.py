"""A watermark set by hand: what is in S3 is loaded once more, or the next extraction follows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.model import Position
from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import edit_state, read_state
from tests.acceptance.test_refused_passes import away

__all__ = ["cli"]


@pytest.fixture
def damaged(cli: Cli) -> Cli:
    """A target with a broken row, and a watermark before everything that was extracted."""
    make_notes(cli)
    cli.sync("notes").does()
    cli.redshift(f"UPDATE {cli.schema}.notes SET note = 'broken' WHERE id = 2")
    early = Position("2001-01-01 00:00:00.000000")
    edit_state(
        cli, "notes", lambda state: replace(state, position=early, backup_strategy="manual_cli")
    )
    return cli


def test_redshift_only_loads_once_more_what_was_extracted_after_it_without_mysql(
    damaged: Cli,
) -> None:
    cli = damaged
    source = {name: value for name, value in away().items() if name.startswith("sources.")}
    ended = cli.sync("notes", "--redshift-only", overrides=source).does()
    assert "0 rows read, 3 loaded, target holds 3" in ended.out
    assert "1 batches of S3 with 3 rows are loaded once more" in ended.out
    cli.is_equal("notes")
    assert read_state(cli, "notes").backup_strategy == "sequential"
    again = cli.sync("notes", "--redshift-only", overrides=source).does()
    assert "0 rows read, 0 loaded, target holds 3" in again.out


def test_an_ordinary_pass_reads_from_there_and_replays_nothing(damaged: Cli) -> None:
    cli = damaged
    ended = cli.sync("notes").does()
    assert "3 rows read, 3 loaded, target holds 3" in ended.out
    assert read_state(cli, "notes").backup_strategy == "sequential"
    cli.is_equal("notes")
