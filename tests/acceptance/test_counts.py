"""`s3rs watermark-count` on real servers: counts told by hand, and counts asked of Redshift."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.cli import Cli, cli, make_notes

__all__ = ["cli"]


def told(cli: Cli, *words: str) -> dict[str, Any]:
    table = f"{cli.database}.notes"
    ended = cli.run("watermark-count", "set-count", "-t", table, *words, "-o", "json").does()
    return dict(json.loads(ended.out))


def test_a_session_that_tells_its_count_twice_is_counted_once(cli: Cli) -> None:
    make_notes(cli)
    cli.run("sync", "-t", f"{cli.database}.notes").does()

    assert told(cli, "--count", "5", "--session", "mon")["counted"] == 8
    assert told(cli, "--count", "5", "--session", "mon")["counted"] == 8
    assert told(cli, "--count", "2", "--mode", "additive")["counted"] == 10
    assert told(cli, "--count", "7", "--mode", "absolute") == {
        "table": f"{cli.database}.notes",
        "counted": 7,
        "loaded": 3,
    }


def test_counts_are_held_against_redshift_itself(cli: Cli) -> None:
    make_notes(cli)
    table = f"{cli.database}.notes"
    cli.run("sync", "-t", table).does()

    (report,) = json.loads(
        cli.run("watermark-count", "validate-counts", "-t", table, "-o", "json").does().out
    )
    assert (report["redshift_rows"], report["ledger_rows"], report["state_rows"]) == (3, 3, 3)

    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id = 2")
    cli.run("watermark-count", "validate-counts", "-t", table).fails(
        3, "the counts differ", "redshift=2", "--full-refresh"
    )


def test_a_table_that_was_never_read_has_nothing_to_count(cli: Cli) -> None:
    make_notes(cli)
    table = f"{cli.database}.notes"
    for command in (("validate-counts",), ("set-count", "--count", "1")):
        cli.run("watermark-count", *command, "-t", table).fails(3, "no state", "watermark list")
    cli.run("watermark-count", "validate-counts").fails(2, "no table", "-p")
