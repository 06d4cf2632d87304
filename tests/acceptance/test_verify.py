"""`s3rs verify`: what differs is named, what will come is not, and a repair mends what was named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import read_state

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

ROWS = 400


def verdict(cli: Cli, *more: str, code: int = 0, config: Path | None = None) -> dict[str, Any]:
    """What `verify -o json` says of the one table."""
    who = ("-p", "shop") if config is not None else ("-t", f"{cli.database}.notes")
    ended = cli.run("verify", *who, "-o", "json", *more, config=config)
    assert ended.code == code, (ended.code, ended.out, ended.err)
    (found,) = json.loads(ended.out)["verify"]
    return dict(found)


def planted(cli: Cli) -> None:
    """Of each kind some, behind the ledger's back."""
    table = f"{cli.schema}.notes"
    cli.redshift(f"DELETE FROM {table} WHERE id IN (7, 300)")
    cli.redshift(f"UPDATE {table} SET note = 'other' WHERE id = 8")
    cli.redshift(f"INSERT INTO {table} SELECT * FROM {table} WHERE id = 9")
    cli.mysql("DELETE FROM notes WHERE id IN (10, 400)")


KINDS = {"missing": [["300"], ["7"]], "stale": [["8"]], "doubled": [["9"]]}
GONE = [["10"], ["400"]]


def test_equal_tables_are_equal(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()

    found = verdict(cli)

    assert found["equal"]
    assert (found["source_rows"], found["target_rows"]) == (ROWS, ROWS)
    assert found["not_compared"] == []
    assert found["reached_the_end"]
    assert (found["source_queries"], found["target_queries"]) == (2, 1)


def test_what_differs_is_named_by_key_and_kind(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    planted(cli)

    found = verdict(cli, code=3)

    assert {kind: found[kind] for kind in KINDS} == KINDS
    assert found["extra"] == GONE
