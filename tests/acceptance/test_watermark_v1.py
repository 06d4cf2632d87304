"""`s3rs watermark import --v1` on real servers: an old tool's work is gone on from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.acceptance.cli import Cli, cli, make_notes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]


def old_watermark(cli: Cli, tmp_path: Path, **change: Any) -> str:
    """The old tool has loaded the first three rows, and has left its mark."""
    ((at,),) = cli.mysql("SELECT DATE_FORMAT(changed, '%Y-%m-%dT%H:%i:%s') FROM notes WHERE id = 3")
    raw = {
        "last_mysql_data_timestamp": at,
        "last_processed_id": 3,
        "last_mysql_extraction_time": at,
        "mysql_status": "success",
        "redshift_status": "success",
        "backup_strategy": "sequential",
    }
    file = tmp_path / "orders.json"
    file.write_text(json.dumps(raw | change), encoding="utf-8")
    return str(file)


def taken_over(cli: Cli, file: str, *words: str) -> Any:
    table = f"{cli.database}.notes"
    return cli.run("watermark", "import", "--v1", file, "-t", table, *words)


def filled(cli: Cli) -> None:
    """Three rows, and a target that another tool has filled with them."""
    make_notes(cli)
    cli.redshift(
        f"CREATE TABLE {cli.schema}.notes"
        " (id INTEGER NOT NULL, note VARCHAR(160), changed TIMESTAMP)"
    )
    for row in cli.mysql("SELECT id, note, changed FROM notes"):
        cli.redshift("INSERT INTO {}.notes VALUES ({}, '{}', '{}')".format(cli.schema, *row))


def test_a_table_goes_on_where_the_old_tool_stopped(cli: Cli, tmp_path: Path) -> None:
    filled(cli)
    file = old_watermark(cli, tmp_path)

    taken_over(cli, file, "--yes").does()
    cli.mysql("INSERT INTO notes (note) VALUES ('new')")
    cli.run("sync", "-t", f"{cli.database}.notes", "-o", "json").does()

    cli.is_equal("notes")


def test_it_is_taken_over_once_and_only_whole(cli: Cli, tmp_path: Path) -> None:
    filled(cli)
    taken_over(cli, old_watermark(cli, tmp_path, redshift_status="pending"), "--yes").fails(
        3, "did not end well", "redshift_status"
    )
    taken_over(cli, "nowhere.json", "--yes").fails(2, "no such file", "no such key")
    file = old_watermark(cli, tmp_path)
    taken_over(cli, file, "--yes").does()
    taken_over(cli, file, "--yes").fails(5, "has a state already", "watermark set")
