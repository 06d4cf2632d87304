"""A watermark set back on an append target: the window is replaced, whatever has become of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from s3rs_async.model import Position, Window
from tests.acceptance.cli import Cli, cli
from tests.acceptance.states import edit_state, read_state

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

TIES = 4


@pytest.fixture
def appended(cli: Cli) -> Path:
    """Twelve rows, four of each second, appended to a target; the pipeline's configuration."""
    cli.mysql(
        "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), changed"
        " TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (changed))",
        "INSERT INTO notes (note, changed) SELECT CONCAT('note ', seq),"
        f" NOW() - INTERVAL 60 - FLOOR((seq - 1) / {TIES}) SECOND FROM seq_1_to_{TIES * 3}",
    )
    config = cli.pipeline({"notes": {"apply": "append"}})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.is_equal("notes")
    return config


def set_back(cli: Cli, lo: str | None) -> None:
    """What `watermark set --replace-window` does to the state."""
    old = read_state(cli, "notes", "shop").position
    assert old is not None
    assert old.cursor is not None
    window = Window(lo, old.cursor)
    edit_state(
        cli,
        "notes",
        lambda state: replace(
            state,
            position=None if lo is None else Position(lo),
            replace_window=window,
            backup_strategy="manual_cli",
        ),
        "shop",
    )


def seconds(cli: Cli) -> list[str]:
    """The cursors there are, as a state names them."""
    found = cli.mysql(
        "SET time_zone = '+00:00'",
        "SELECT CAST(changed AS CHAR) FROM notes GROUP BY changed ORDER BY changed",
    )
    return [text for (text,) in found]


def change_behind_the_watermark(cli: Cli) -> None:
    """One row gone, one other, one come: without a trace for an incremental read."""
    cli.mysql(
        "DELETE FROM notes WHERE id IN (6, 12)",
        "UPDATE notes SET note = 'other', changed = changed WHERE id IN (5, 9)",
        "INSERT INTO notes (id, note, changed) SELECT 20, 'come', changed FROM notes WHERE id = 7",
    )


@pytest.mark.parametrize(("limit", "since"), [(3, 0), (5, 1), (5, None), (100, 1)])
def test_batch_by_batch_the_window_becomes_what_the_source_holds(
    cli: Cli, appended: Path, limit: int, since: int | None
) -> None:
    change_behind_the_watermark(cli)
    set_back(cli, None if since is None else seconds(cli)[since])
    passes = 0
    while read_state(cli, "notes", "shop").replace_window is not None:
        passes += 1
        assert passes < 20
        cli.run("sync", "-p", "shop", "--s3-only", f"--limit={limit}", config=appended).does()
    state = read_state(cli, "notes", "shop")
    assert state.backup_strategy == "sequential"
    assert len(state.pending) == passes
    cli.run("sync", "-p", "shop", "--redshift-only", config=appended).does()
    cli.is_equal("notes")
    cli.run("sync", "-p", "shop", config=appended).does()
    cli.is_equal("notes")


def test_a_window_in_which_nothing_is_left_is_emptied_by_a_batch_without_rows(
    cli: Cli, appended: Path
) -> None:
    lo = seconds(cli)[1]
    cli.mysql(f"DELETE FROM notes WHERE id > {TIES}")
    set_back(cli, lo)
    ended = cli.run("sync", "-p", "shop", config=appended).does()
    assert "0 rows read, 0 loaded, target holds 4" in ended.out
    assert read_state(cli, "notes", "shop").replace_window is None
    cli.is_equal("notes")
