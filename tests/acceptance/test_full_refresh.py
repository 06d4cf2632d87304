"""`sync --full-refresh`: the target becomes what the source holds, by the load that fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import ADHOC, read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.cli import Ended

__all__ = ["cli"]


def sync(cli: Cli, pipeline: str) -> Callable[..., Ended]:
    """Calls of sync for `notes`: merged without a pipeline, appended with one."""
    if pipeline == ADHOC:
        return lambda *options: cli.sync("notes", *options)
    config = cli.pipeline({"notes": {"apply": "append"}})
    return lambda *options: cli.run("sync", "-p", "shop", *options, config=config)


@pytest.mark.parametrize("pipeline", [ADHOC, "shop"])
def test_rows_that_the_source_has_no_more_are_gone_and_each_other_is_there_once(
    cli: Cli, pipeline: str
) -> None:
    make_notes(cli, rows=9)
    run = sync(cli, pipeline)
    run().does()
    cli.mysql("DELETE FROM notes WHERE id > 6")
    run("--s3-only").does()
    assert "6 rows read, 6 loaded, target holds 6" in run("--full-refresh").does().out
    state = read_state(cli, "notes", pipeline)
    assert (state.generation, state.replace_pending) == (2, False)
    (word,) = state.audit
    assert word.what == "full-refresh"
    assert "@" in word.who
    cli.is_equal("notes")
    run().does()
    cli.is_equal("notes")


def test_a_table_that_has_become_empty_empties_its_target(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    cli.mysql("DELETE FROM notes")
    cli.sync("notes").does()
    assert len(cli.redshift(f"SELECT 1 FROM {cli.schema}.notes")) == 3
    assert "0 loaded, target holds 0" in cli.sync("notes", "--full-refresh").does().out
    assert not read_state(cli, "notes").replace_pending
    cli.is_equal("notes")
