"""`s3rs sync` as its callers use it: stages, bounds, reports, and what an idle run leaves alone."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Cli, cli, make_notes

__all__ = ["cli"]

RUN_KEYS = {
    "execution_id",
    "start_time",
    "pipeline",
    "tables_requested",
    "total_tables",
    "table_results",
    "status",
    "end_time",
    "duration_seconds",
    "summary",
}
TABLE_KEYS = {"status", "rows_processed", "files_created", "duration_seconds"}


def no_redshift() -> dict[str, Any]:
    """Connections with a bastion that is not there."""
    return {"targets.standin.tunnel.port": free_ports(1)[0]}


def test_a_dry_run_tells_everything_and_writes_nothing(cli: Cli) -> None:
    make_notes(cli)
    path = cli.folder / "plan.json"
    ended = cli.sync("notes", "--dry-run", f"--json-output={path}").does()
    assert not cli.objects()
    assert not cli.tables()
    (plan,) = json.loads(path.read_text())["dry_run"]
    assert plan["table"] == f"{cli.database}.notes"
    assert plan["target"] == f"standin.{cli.schema}.notes"
    assert plan["strategy"] == "hybrid"
    assert "stamps changed on every change" in plan["reason"]
    assert plan["bound"] > "2000"
    assert plan["proof"] == "proven"
    assert "position" in plan
    assert plan["ddl"].startswith(f'CREATE TABLE IF NOT EXISTS "{cli.schema}"."notes"')
    for key in ("strategy", "reason", "bound", "position", "ddl"):
        assert f"\n{key}: " in ended.out


def test_the_report_is_what_callers_parse_and_a_failed_table_does_not_stop_the_others(
    cli: Cli,
) -> None:
    make_notes(cli)
    make_notes(cli, "later")
    ended = cli.sync("notes", "nothing", "later", "--json-output")
    ended.fails(6, "unknown table")
    report = json.loads(ended.out)
    good, bad, later = (f"{cli.database}.{name}" for name in ("notes", "nothing", "later"))
    assert report.keys() >= RUN_KEYS
    assert report["execution_id"].startswith("sync_2")
    assert report["tables_requested"] == [good, bad, later]
    assert report["total_tables"] == 3
    assert report["status"] == "partial_success"
    assert report["summary"] == {
        "success_count": 2,
        "failure_count": 1,
        "total_rows_processed": 6,
        "total_files_created": 2,
    }
    assert report["table_results"][good].keys() >= TABLE_KEYS | {"completed_at"}
    assert report["table_results"][good]["status"] == "success"
    assert report["table_results"][bad].keys() >= TABLE_KEYS | {"error_message", "failed_at"}
    assert report["table_results"][bad]["status"] == "failed"
    assert report["start_time"] < report["end_time"]
    cli.is_equal("notes")
    cli.is_equal("later")

    before, path = cli.objects(), cli.folder / "report.json"
    idle = cli.sync("notes", "later", f"--json-output={path}", overrides=no_redshift()).does()
    assert cli.objects() == before, "an idle run wrote to the bucket"
    assert json.loads(path.read_text())["status"] == "success"
    assert idle.out.count("success: 0 rows read, 0 loaded, target holds 3") == 2


def test_a_store_that_is_not_there_is_reported_once_for_all_tables(cli: Cli) -> None:
    ended = cli.sync("a", "b", "--json-output", overrides={"s3.bucket": "no-such-bucket"})
    ended.fails(2, "create the bucket")
    report = json.loads(ended.out)
    assert report["status"] == "failed"
    assert report["summary"]["failure_count"] == 2
    assert all(
        "NoSuchBucket" in table["error_message"] for table in report["table_results"].values()
    )


def test_one_stage_at_a_time_and_a_few_rows_at_a_time_come_to_the_same(cli: Cli) -> None:
    make_notes(cli)
    make_notes(cli, "slices")
    stored, first = cli.at_once(
        [
            partial(cli.sync, "--backup-only", "notes", config=cli.config(no_redshift())),
            partial(cli.run, "sync", "-t", f"mysql:{cli.database}.slices", "--limit=2", "-q"),
        ]
    )
    stored.does()
    first.does()
    assert "3 rows read, 0 loaded" in stored.out
    assert not first.err
    assert "2 rows read, 2 loaded, target holds 2" in first.out
    assert len(cli.state("notes")["pending"]) == 1
    assert cli.tables() == {"slices"}

    no_mysql = cli.config({"sources.mysql.port": free_ports(1)[0]})
    loaded, second = cli.at_once(
        [
            partial(cli.sync, "--redshift-only", "notes", config=no_mysql),
            partial(cli.sync, "slices", "--limit=2"),
        ]
    )
    assert "0 rows read, 3 loaded, target holds 3" in loaded.does().out
    assert "1 rows read, 1 loaded, target holds 3" in second.does().out
    cli.is_equal("notes")
    cli.is_equal("slices")
