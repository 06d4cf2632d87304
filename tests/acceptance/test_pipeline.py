"""`s3rs sync -p`, `status` and `watermark`: a pipeline's tables, done, failed and looked at."""

from __future__ import annotations

import json
from functools import partial

from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Cli, cli, make_notes

__all__ = ["cli"]


def test_a_pipelines_tables_come_side_by_side_and_each_as_it_asks(cli: Cli) -> None:
    for table in ("notes", "renamed", "appended", "whole"):
        make_notes(cli, table)
    config = cli.pipeline(
        {
            "notes": {},
            "renamed": {"target_name": "other", "keys": {"distkey": "id", "sortkey": ["changed"]}},
            "appended": {"apply": "append", "additional_where": "id <> 2"},
            "whole": {"cdc_strategy": "full_sync"},
        }
    )
    ended = cli.run("sync", "-p", "shop", "-o", "json", config=config).does()
    report = json.loads(ended.out)
    assert report["pipeline"] == "shop"
    assert report["status"] == "success"
    assert list(report["table_results"]) == report["tables_requested"]
    assert cli.tables() == {"notes", "other", "appended", "whole"}
    cli.is_equal("notes")
    cli.is_equal("whole")
    held = cli.redshift(f"SELECT id FROM {cli.schema}.appended ORDER BY 1")
    assert held == [(1,), (3,)]
    other = cli.redshift(f"SELECT count(*) FROM {cli.schema}.other")
    assert other == [(3,)]


def test_one_tables_failure_leaves_the_others_done(cli: Cli) -> None:
    make_notes(cli)
    config = cli.pipeline({"notes": {}, "nothing": {}})
    ended = cli.run("sync", "-p", "shop", "--json-output", config=config)
    ended.fails(6, "unknown table")
    report = json.loads(ended.out)
    assert report["status"] == "partial_success"
    assert report["summary"]["success_count"] == 1
    cli.is_equal("notes")


def test_tables_are_chosen_from_a_pipeline_by_name(cli: Cli) -> None:
    make_notes(cli)
    make_notes(cli, "later")
    config = cli.pipeline({"notes": {}, "later": {}})
    cli.run("sync", "-p", "shop", "-t", f"{cli.database}.later", config=config).does()
    assert cli.tables() == {"later"}
    ended = cli.run("sync", "-p", "shop", "-t", f"{cli.database}.notse", config=config)
    ended.fails(2, "the pipeline has no such table", f"did you mean {cli.database}.notes?")
    cli.run("sync", "-p", "shpo", config=config).fails(2, "unknown pipeline", "shop")


def test_status_and_watermarks_tell_where_tables_stand_without_their_ends(cli: Cli) -> None:
    make_notes(cli)
    make_notes(cli, "waiting")
    tables = {"notes": {}, "waiting": {}, "new": {}}
    config = cli.pipeline(tables)
    both = ["-t", f"{cli.database}.waiting", "--backup-only"]
    cli.at_once(
        [
            partial(cli.run, "sync", "-p", "shop", *both, config=config),
            partial(cli.run, "sync", "-p", "shop", "-t", f"{cli.database}.notes", config=config),
        ]
    )
    nowhere = free_ports(1)[0]
    alone = cli.pipeline(
        tables, {"sources.mysql.port": nowhere, "targets.standin.tunnel.port": nowhere}
    )
    told = cli.run("status", "-p", "shop", "-o", "json", config=alone).does()
    found = {each["table"].partition(".")[2]: each for each in json.loads(told.out)}
    assert found["notes"]["status"] == "loaded"
    assert (found["notes"]["rows_loaded"], found["notes"]["pending_batches"]) == (3, 0)
    assert found["waiting"]["status"] == "loading"
    assert (found["waiting"]["rows_loaded"], found["waiting"]["pending_rows"]) == (0, 3)
    assert found["new"]["status"] == "never read"
    text = cli.run("status", "-p", "shop", config=alone).does().out.splitlines()
    assert text[0].startswith("pipeline  table")
    assert text[0].split()[-3:] == ["last", "failure", "stopped"]
    assert len(text) == 4

    everything = json.loads(cli.run("watermark", "list", "-o", "json", config=alone).does().out)
    assert {each["table"].partition(".")[2] for each in everything} == {"notes", "waiting"}
    args = ["-p", "shop", "-t", f"{cli.database}.notes"]
    one = cli.run("watermark", "get", *args, "-o", "json", config=alone).does()
    assert json.loads(one.out)["watermark"] == cli.state("notes")["position"]["cursor"]
    assert "watermark: 2" in cli.run("watermark", "get", *args, config=alone).does().out
    none = cli.run("watermark", "get", "-p", "shop", "-t", f"{cli.database}.new", config=alone)
    none.fails(2, "the table has no watermark", "watermark list")


def test_a_damaged_state_is_told_and_the_others_are_still_shown(cli: Cli) -> None:
    make_notes(cli)
    make_notes(cli, "hurt")
    config = cli.pipeline({"notes": {}, "hurt": {}})
    cli.run("sync", "-p", "shop", config=config).does()
    (key,) = [key for key in cli.objects() if "/hurt." in key and key.endswith("/state.json")]
    body = cli.body(key).replace('"loaded":3', '"loaded":4')
    cli._store.put_object(Bucket=cli.box.s3.bucket, Key=key, Body=body.encode())
    for command in (["status", "-p", "shop"], ["status"], ["watermark", "list"]):
        ended = cli.run(*command, "-o", "json", config=config)
        ended.fails(3, "the state object is damaged", "watermark restore")
        shown = {each["table"].partition(".")[2]: each["status"] for each in json.loads(ended.out)}
        assert shown == {"notes": "loaded", "hurt": "damaged"}


def test_a_configuration_is_judged_without_any_server(cli: Cli) -> None:
    config = cli.pipeline({"notes": {"cdc_stratgy": "hybrid"}, "nodot": {}}, source="mysq")
    ended = cli.run("config", "validate", config=config)
    assert ended.code == 2
    assert "ok    " in ended.out  # connections.yml
    assert "shop.yml" in ended.out
    assert "cdc_strategy" in ended.out
    right = cli.pipeline({"notes": {"every": "5m"}})
    good = cli.run("config", "validate", "-o", "json", config=right).does()
    assert all(each["ok"] for each in json.loads(good.out))
