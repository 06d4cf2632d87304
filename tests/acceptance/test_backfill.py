"""Some rows of a table read anew: they are as at the source, and nothing else is moved."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.acceptance.cli import Asked, Cli, Ended, Relay, cli, make_notes
from tests.acceptance.states import edit_state, read_state

__all__ = ["cli"]

LATER = 4
"""Seconds after which a row lies below the bound of a pass on an idle server."""


@pytest.fixture
def damaged(cli: Cli) -> Cli:
    """Nine rows brought over, all of which have changed at the source without its being seen."""
    make_notes(cli, rows=9)
    cli.sync("notes").does()
    cli.mysql("UPDATE notes SET note = CONCAT('new ', id), changed = changed")
    return cli


def backfill(cli: Cli, span: str, *more: str, **how: Any) -> Ended:
    return cli.run("backfill", "-t", f"{cli.database}.notes", "--range", span, *more, **how)


def new_ones(cli: Cli) -> list[int]:
    found = cli.redshift(f"SELECT id FROM {cli.schema}.notes WHERE note LIKE 'new%' ORDER BY 1")
    return [number for (number,) in found]


@pytest.mark.parametrize(
    ("span", "read"),
    [("3..5", [3, 4, 5]), ("8..", [8, 9]), ("..2", [1, 2]), ("9..9", [9]), ("50..60", [])],
)
def test_the_rows_of_the_range_are_merged_and_the_watermark_stays(
    damaged: Cli, span: str, read: list[int]
) -> None:
    before = read_state(damaged, "notes").position

    ended = backfill(damaged, span)

    assert f"{len(read)} rows read, {len(read)} loaded" in ended.does().out
    assert new_ones(damaged) == read
    assert read_state(damaged, "notes").position == before
    again = damaged.sync("notes").does()
    assert "0 rows read, 0 loaded, target holds 9" in again.out


def test_what_was_not_read_yet_may_come_with_it_and_comes_again_in_its_time(damaged: Cli) -> None:
    cli = damaged
    cli.mysql("INSERT INTO notes (note) VALUES ('later')")

    backfill(cli, "9..").does()

    assert new_ones(cli) == [9]
    assert cli.redshift(f"SELECT COUNT(*) FROM {cli.schema}.notes WHERE note = 'later'") == [(1,)]
    cli.sync("notes").does()
    cli.mysql("UPDATE notes SET changed = changed")
    backfill(cli, "1..").does()
    cli.is_equal("notes")


APPENDED = {
    "by id": {"cdc_strategy": "id_only", "apply": "append"},
    "by time": {"apply": "append"},
}


@pytest.mark.parametrize("how", APPENDED.values(), ids=APPENDED)
def test_where_rows_are_appended_none_comes_twice(cli: Cli, how: dict[str, str]) -> None:
    make_notes(cli, rows=9)
    config = cli.pipeline({"notes": how})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.mysql(
        "UPDATE notes SET note = CONCAT('new ', id), changed = changed",
        "INSERT INTO notes (note, changed) SELECT 'later', NOW(6) FROM seq_1_to_3",
    )

    ended = backfill(cli, "5..", "-p", "shop", config=config)

    assert "5 rows read, 5 loaded, target holds 9" in ended.does().out
    assert new_ones(cli) == [5, 6, 7, 8, 9]
    time.sleep(LATER)
    last = cli.run("sync", "-p", "shop", config=config).does()
    assert "3 rows read, 3 loaded, target holds 12" in last.out


@pytest.mark.parametrize(
    ("span", "reason"),
    [("5", "not a range"), ("..", "not a range"), ("a..b", "not a value"), ("1..x", "value=x")],
)
def test_a_range_that_is_none_is_refused(damaged: Cli, span: str, reason: str) -> None:
    backfill(damaged, span).fails(2, reason)
    assert new_ones(damaged) == []


def test_a_table_that_was_never_read_is_refused(cli: Cli) -> None:
    make_notes(cli)
    backfill(cli, "1..2").fails(2, "nothing of the table was read yet", "s3rs sync -t")


def test_a_table_without_a_key_is_refused(cli: Cli) -> None:
    cli.mysql("CREATE TABLE notes (id INT, note VARCHAR(40))", "INSERT INTO notes VALUES (1, 'a')")
    cli.sync("notes").does()
    backfill(cli, "1..2").fails(2, "where they have a key", "primary key")


def test_a_refresh_asked_for_meanwhile_is_not_done_with_these_few_rows(cli: Cli) -> None:
    make_notes(cli, rows=9)
    whole, asked = {"notes": {"cdc_strategy": "full_sync"}}, []
    cli.run("sync", "-p", "shop", config=cli.pipeline(whole)).does()

    def see(request: Asked) -> None:
        if request.method == "PUT" and request.path.endswith("/state.json") and not asked:
            asked.append(request)
            pending = partial(replace, replace_pending=True)
            edit_state(cli, "notes", pending, "shop")

    with Relay(cli.box.s3.url, see) as relay:
        config = cli.pipeline(whole, overrides={"s3.endpoint": relay.url})
        ended = backfill(cli, "1..3", "-p", "shop", config=config)

    ended.fails(2, "the target is to be replaced", "s3rs sync -p shop")
    assert asked
    last = cli.run("sync", "-p", "shop", config=cli.pipeline(whole)).does()
    assert "9 rows read, 9 loaded, target holds 9" in last.out
