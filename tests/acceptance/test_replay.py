"""Batches that lie in S3, loaded once more by `sync --redshift-only` after a watermark was set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli, cli

__all__ = ["cli"]

pytestmark = pytest.mark.timeout(300)  # each is a dozen commands

APPEND = {"cdc_strategy": "timestamp_only", "cdc_timestamp_column": "at", "apply": "append"}
TABLES: dict[str, dict[str, Any]] = {"merged": {}, "appended": APPEND}
RETENTION = ("--older-than", "0s", "--force", "-q")


def ask(cli: Cli, config: Path, table: str, *args: str) -> Any:
    return cli.run(*args, "-p", "shop", "-t", f"{cli.database}.{table}", config=config)


def make(cli: Cli, table: str) -> Path:
    """A table in two batches, of long ago and of a while ago."""
    cli.mysql(
        f"CREATE TABLE {table} (id INT PRIMARY KEY, note VARCHAR(40),"
        " at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),"
        " KEY (at))",
    )
    config = cli.pipeline({table: TABLES[table]})
    for first in (1, 11):
        cli.mysql(
            f"INSERT INTO {table} SELECT seq, 'note', '2026-01-01' + INTERVAL seq DAY"
            f" FROM seq_{first}_to_{first + 9}",
        )
        limit = ("--limit", "10") if first == 1 else ()
        ask(cli, config, table, "sync", *limit).does()
    cli.is_equal(table)
    return config


def spoil(cli: Cli, table: str) -> None:
    """Rows lost, changed and doubled in the target, of both batches."""
    there = f"{cli.schema}.{table}"
    cli.redshift(f"DELETE FROM {there} WHERE id IN (2, 12)")
    cli.redshift(f"UPDATE {there} SET note = 'spoilt' WHERE id IN (3, 13)")


def notes(cli: Cli, table: str) -> list[tuple[Any, ...]]:
    return cli.redshift(f"SELECT id, note FROM {cli.schema}.{table} ORDER BY 1")


@pytest.mark.parametrize("table", list(TABLES))
def test_what_was_extracted_after_the_watermark_is_loaded_once_more(cli: Cli, table: str) -> None:
    config = make(cli, table)
    before = cli.state(table)
    again = ("--replace-window",) if table == "appended" else ()
    spoil(cli, table)
    ask(cli, config, table, "watermark", "reset", "-y", *again).does()

    told = ask(cli, config, table, "sync", "--redshift-only").does()

    cli.is_equal(table)
    assert "2 batches of S3 with 20 rows are loaded once more" in told.out
    state = cli.state(table)
    assert state["position"] is None or state["position"]["cursor"] is None
    assert state["generation"] == before["generation"]
    assert (state["next_seq"], state["pending"]) == (before["next_seq"] + 2, [])
    assert state["backup_strategy"] == "sequential"

    spoil(cli, table)
    spoilt = notes(cli, table)
    ask(cli, config, table, "sync", "--redshift-only").does()
    assert notes(cli, table) == spoilt, "the second finds nothing to do"
    assert cli.state(table)["next_seq"] == state["next_seq"]

    ask(cli, config, table, "sync").does()
    cli.is_equal(table)


@pytest.mark.parametrize("table", list(TABLES))
def test_a_target_that_is_gone_is_built_anew_from_s3(cli: Cli, table: str) -> None:
    config = make(cli, table)
    before = cli.state(table)
    again = ("--replace-window",) if table == "appended" else ()
    cli.redshift(f"DROP TABLE {cli.schema}.{table}")
    ask(cli, config, table, "watermark", "reset", "-y", *again).does()

    ask(cli, config, table, "sync", "--redshift-only").does()

    cli.is_equal(table)
    assert cli.state(table)["generation"] == before["generation"] + 1
    ask(cli, config, table, "sync").does()
    cli.is_equal(table)


def test_only_what_is_after_the_date_is_loaded_and_what_s3clean_took_is_named(cli: Cli) -> None:
    config = make(cli, "merged")
    last = cli.state("merged")["last_batch"]
    ask(cli, config, "merged", "watermark", "reset", "-y").does()
    set_ = ("watermark", "set", "-y", "--timestamp", "2099-01-01 00:00:00")
    ask(cli, config, "merged", *set_).does()
    spoil(cli, "merged")
    spoilt = notes(cli, "merged")

    told = ask(cli, config, "merged", "sync", "--redshift-only").does()

    assert "nothing in S3 was extracted after the watermark" in told.out
    assert notes(cli, "merged") == spoilt

    ask(cli, config, "merged", "watermark", "reset", "-y").does()
    assert ask(cli, config, "merged", "s3clean", "clean", *RETENTION).code == 0
    state = cli.state("merged")
    failed = ask(cli, config, "merged", "sync", "--redshift-only", "-q")
    failed.fails(3, "no longer whole in S3", last)
    assert cli.state("merged") == state
