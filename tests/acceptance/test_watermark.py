"""The state's commands on real servers: what they refuse, and that the target ends equal."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from s3rs_async.model import TableName, TargetId
from s3rs_async.redshift.sql import ledger_names
from tests.acceptance.cli import Cli, Ended, cli, make_notes
from tests.acceptance.states import layout, read_state

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

pytestmark = pytest.mark.timeout(400)

TIES = 4


@pytest.fixture
def merged(cli: Cli) -> Path:
    """A merged table of the pipeline, loaded; the configuration."""
    make_notes(cli, rows=6)
    config = cli.pipeline({"notes": {}})
    run(cli, config, "sync", "-p", "shop").does()
    cli.is_equal("notes")
    return config


@pytest.fixture
def appended(cli: Cli) -> Path:
    """Twelve rows, four of each second, appended to a target; the configuration."""
    cli.mysql(
        "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), changed"
        " TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (changed))",
        "INSERT INTO notes (note, changed) SELECT CONCAT('note ', seq),"
        f" NOW() - INTERVAL 60 - FLOOR((seq - 1) / {TIES}) SECOND FROM seq_1_to_{TIES * 3}",
    )
    config = cli.pipeline({"notes": {"apply": "append"}})
    run(cli, config, "sync", "-p", "shop").does()
    cli.is_equal("notes")
    return config


def run(cli: Cli, config: Path, *argv: str) -> Ended:
    return cli.run(*argv, config=config)


def watermark(cli: Cli, config: Path, command: str, *args: str) -> Ended:
    table = ("-p", "shop", "-t", f"{cli.database}.notes")
    return run(cli, config, "watermark", command, *table, *args)


def state_key(cli: Cli) -> str:
    return layout(cli, "notes", "shop").state


def put(cli: Cli, body: str) -> None:
    cli._store.put_object(Bucket=cli.box.s3.bucket, Key=state_key(cli), Body=body.encode())


def seconds(cli: Cli) -> list[str]:
    found = cli.mysql(
        "SET time_zone = '+00:00'",
        "SELECT CAST(changed AS CHAR) FROM notes GROUP BY changed ORDER BY changed",
    )
    return [text for (text,) in found]


def sync_in(cli: Cli, config: Path, note: str) -> None:
    """A row more, synced as soon as the second of its stamp is over."""
    cli.mysql(f"INSERT INTO notes (note) VALUES ('{note}')")
    for _ in range(10):
        run(cli, config, "sync", "-p", "shop").does()
        if len(cli.redshift(f"SELECT 1 FROM {cli.schema}.notes")) > TIES * 3:
            return
        time.sleep(1)
    raise AssertionError("the row is never read")


def sync_to_equal(cli: Cli, config: Path) -> None:
    run(cli, config, "sync", "-p", "shop").does()
    cli.is_equal("notes")
    run(cli, config, "sync", "-p", "shop").does()
    cli.is_equal("notes")


def test_nothing_is_changed_before_it_is_agreed_to(cli: Cli, merged: Path) -> None:
    before = cli.body(state_key(cli))
    for command in ("reset", "force-reset", "reconcile", "restore"):
        ended = watermark(cli, merged, command)
        assert ended.code == 0, ended.err
        assert "Note: nothing was changed: say --yes" in ended.out
        assert "epoch" in ended.out
    assert cli.body(state_key(cli)) == before


def test_a_merge_target_set_back_is_merged_to_the_same(cli: Cli, merged: Path) -> None:
    watermark(cli, merged, "set", "--timestamp", "2020-01-01", "-y").does()
    state = read_state(cli, "notes", "shop")
    assert state.position is not None
    assert state.position.cursor == "2020-01-01 00:00:00.000000"
    assert state.backup_strategy == "manual_cli"
    told = json.loads(watermark(cli, merged, "get", "-o", "json").does().out)
    assert (told["mysql_status"], told["redshift_status"]) == ("success", "success")
    assert told["backup_strategy"] == "manual_cli"
    ended = run(cli, merged, "sync", "-p", "shop").does()
    assert "6 rows read, 6 loaded, target holds 6" in ended.out
    cli.is_equal("notes")
    watermark(cli, merged, "reset", "--preserve-files", "-y").does()
    sync_to_equal(cli, merged)
    watermark(cli, merged, "force-reset", "-y").does()
    sync_to_equal(cli, merged)
    assert read_state(cli, "notes", "shop").generation == 2


def test_an_append_target_set_back_ends_equal_or_says_what_it_needs(
    cli: Cli, appended: Path
) -> None:
    lo = seconds(cli)[1]
    watermark(cli, appended, "set", "--timestamp", lo, "-y").fails(2, "--replace-window", "twice")
    watermark(cli, appended, "reset", "-y").fails(2, "a second time", "--allow-duplicates")
    watermark(cli, appended, "set", "--timestamp", "2999-01-01", "-y").fails(2, "--skip-rows")
    watermark(cli, appended, "set", "--timestamp", "soon", "-y").fails(2, "not a time")
    watermark(cli, appended, "set", "--id", "5", "-y").fails(2, "--timestamp")
    both = ("--timestamp", lo, "--id", "x")
    watermark(cli, appended, "set", *both, "-y").fails(2, "whole number")
    watermark(cli, appended, "set", "-y").fails(2, "nothing to set")
    cli.mysql(
        "DELETE FROM notes WHERE id = 6",
        "UPDATE notes SET note = 'other', changed = changed WHERE id = 5",
    )
    watermark(cli, appended, "set", "--timestamp", lo, "--id", "5", "--replace-window", "-y").does()
    state = read_state(cli, "notes", "shop")
    assert state.replace_window is not None
    assert (state.replace_window.lo, state.position and state.position.key) == (lo, None)
    sync_to_equal(cli, appended)
    watermark(cli, appended, "reset", "--replace-window", "-y").does()
    sync_to_equal(cli, appended)
    watermark(cli, appended, "reset", "--allow-duplicates", "-y").does()
    run(cli, appended, "sync", "-p", "shop").does()
    assert cli.redshift(f"SELECT count(*) FROM {cli.schema}.notes") == [(22,)]


def test_a_reset_and_a_date_begin_afresh_from_there(cli: Cli, merged: Path) -> None:
    watermark(cli, merged, "reset", "-y").does()
    watermark(cli, merged, "set", "--timestamp", "2999-01-01", "-y").does()
    history = json.loads(watermark(cli, merged, "history", "-o", "json").does().out)
    assert [row["what"].split(" at ")[0] for row in history[:2]] == [
        "set-watermark 2999-01-01",
        "set-watermark to the beginning",
    ]


@pytest.mark.parametrize("body", [None, "{}", "edited"])
@pytest.mark.parametrize("command", ["reconcile", "restore"])
def test_a_lost_or_damaged_state_comes_back_and_nothing_comes_twice(
    cli: Cli, appended: Path, body: str | None, command: str
) -> None:
    whole = cli.body(state_key(cli))
    epoch = json.loads(whole)["epoch"]
    if body is None:
        cli._store.delete_object(Bucket=cli.box.s3.bucket, Key=state_key(cli))
    else:
        put(cli, whole.replace('"next_seq":2', '"next_seq":3') if body == "edited" else body)
        refused = run(cli, appended, "sync", "-p", "shop")
        assert (refused.code, "watermark restore" in refused.err) == (3, True), refused.err
    watermark(cli, appended, command, "-y").does()
    state = read_state(cli, "notes", "shop")
    assert state.epoch > epoch
    assert state.rows.loaded == TIES * 3
    sync_to_equal(cli, appended)


def test_a_window_half_replaced_is_known_from_the_ledger(cli: Cli, appended: Path) -> None:
    cli.mysql("UPDATE notes SET note = 'other', changed = changed")
    watermark(cli, appended, "reset", "--replace-window", "-y").does()
    run(cli, appended, "sync", "-p", "shop", "--limit=5").does()
    assert read_state(cli, "notes", "shop").replace_window is not None
    window = read_state(cli, "notes", "shop").replace_window
    watermark(cli, appended, "reconcile", "-y").does()
    assert read_state(cli, "notes", "shop").replace_window == window
    sync_to_equal(cli, appended)


def test_fields_are_edited_and_a_state_goes_out_and_comes_back(
    cli: Cli, merged: Path, tmp_path: Path
) -> None:
    watermark(cli, merged, "edit", "--set", "last_failure=known", "-y").does()
    assert read_state(cli, "notes", "shop").last_failure == "known"
    watermark(cli, merged, "edit", "--set", "postion=null", "-y").fails(2, "did you mean position")
    watermark(cli, merged, "edit", "--set", "position=5", "-y").fails(2, "must be")
    watermark(cli, merged, "edit", "--set", "stop=mine", "-y").fails(2, "not stopped by hand")
    file = str(tmp_path / "states.json")
    run(cli, merged, "watermark", "export", file).does()
    watermark(cli, merged, "import", file, "-y").fails(5, "--force")
    before = read_state(cli, "notes", "shop")
    watermark(cli, merged, "import", file, "--force", "-y").does()
    after = read_state(cli, "notes", "shop")
    assert (after.epoch, after.position) == (before.epoch + 1, before.position)
    cli._store.delete_object(Bucket=cli.box.s3.bucket, Key=state_key(cli))
    watermark(cli, merged, "import", file, "-y").does()
    sync_to_equal(cli, merged)


def test_a_table_read_whole_has_no_watermark_to_set(cli: Cli) -> None:
    make_notes(cli)
    config = cli.pipeline({"notes": {"cdc_strategy": "full_sync"}})
    run(cli, config, "sync", "-p", "shop").does()
    watermark(cli, config, "reset", "-y").fails(2, "read whole")


def test_a_state_set_back_byte_for_byte_is_reconciled_to_equal(cli: Cli, appended: Path) -> None:
    old = cli.body(state_key(cli))
    sync_in(cli, appended, "late")
    put(cli, old)

    refused = run(cli, appended, "sync", "-p", "shop")
    assert (refused.code, "watermark reconcile" in refused.err) == (3, True), refused.err
    watermark(cli, appended, "set", "--timestamp", "2020-01-01", "-y").fails(3, "reconcile")
    watermark(cli, appended, "reconcile", "-y").does()
    sync_to_equal(cli, appended)


def test_the_files_of_what_waits_and_of_what_is_loaded_are_shown(cli: Cli, merged: Path) -> None:
    cli.mysql("INSERT INTO notes (note) VALUES ('x')")
    run(cli, merged, "sync", "-p", "shop", "--s3-only").does()
    told = json.loads(watermark(cli, merged, "get", "--show-files", "-o", "json").does().out)
    assert [part["status"] for part in told["files"]] == ["loaded", "waiting"]
    assert told["redshift_status"] == "pending"


class Held:
    """A command that is held at a place; `go` lets it go on, and tells how it ended."""

    def __init__(self, cli: Cli, config: Path, place: str, folder: Path, *argv: str) -> None:
        path = folder / "held"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            server.settimeout(60)
            held = {"S3RS_FAILPOINT": f"{place}#1@{path}"}
            self.call = cli.begin(*argv, config=config, env=held)
            try:
                self.line = server.accept()[0]
            except TimeoutError:
                raise AssertionError(self.call.told) from None

    def go(self) -> int:
        with self.line:
            self.line.sendall(b"go\n")
        return self.call.ended(120)


def reconciling(cli: Cli) -> tuple[str, ...]:
    return "watermark", "reconcile", "-p", "shop", "-t", f"{cli.database}.notes", "-y"


@pytest.mark.parametrize("place", ["Y1:before", "Y3:before", "Y5:before"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_load_and_a_reconcile_at_once_need_one_sync_more(
    cli: Cli, tmp_path: Path, place: str, *, loaded: bool
) -> None:
    make_rows = (
        "INSERT INTO notes (note, changed) SELECT CONCAT('note ', seq), NOW() - INTERVAL {} SECOND"
        " FROM seq_1_to_4"
    )
    cli.mysql(
        "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40),"
        " changed TIMESTAMP NOT NULL, KEY (changed))",
        make_rows.format(60),
    )
    how = {"cdc_strategy": "id_only", "cdc_id_column": "id", "apply": "append"}
    config = cli.pipeline({"notes": how})
    if loaded:
        run(cli, config, "sync", "-p", "shop").does()
        cli.mysql(make_rows.format(30))
    held = Held(cli, config, place, tmp_path, "sync", "-p", "shop")
    assert read_state(cli, "notes", "shop").pending
    reconcile = cli.begin(*reconciling(cli), config=config)
    if place == "Y5:before":
        time.sleep(4)
        assert reconcile.poll() is None, reconcile.told  # it waits for the lock
        assert held.go() == 0, held.call.told
        assert reconcile.ended(120) == 0, reconcile.told
    else:
        assert reconcile.ended(120) == 0, reconcile.told
        assert read_state(cli, "notes", "shop").pending == ()
        code = held.go()
        assert code == 0, (code, held.call.told)
    run(cli, config, "sync", "-p", "shop").does()
    cli.is_equal("notes")


@pytest.mark.parametrize("loads", [False, True])
def test_a_reconcile_that_loses_its_lock_begins_again(
    cli: Cli, appended: Path, tmp_path: Path, *, loads: bool
) -> None:
    before = read_state(cli, "notes", "shop")
    target = TargetId("standin", cli.box.redshift.database, TableName(cli.schema, "notes"))
    held = Held(cli, appended, "R3:before", tmp_path, *reconciling(cli))
    ended = cli.redshift(
        "SELECT pg_terminate_backend(t.pid) FROM svv_transactions t"
        " JOIN pg_class c ON c.oid = t.relation WHERE t.lock_mode = 'AccessExclusiveLock'"
        f" AND c.relname = '{ledger_names(target).head.name}'"
    )
    assert ended == [(True,)]
    if loads:
        sync_in(cli, appended, "while nobody held the lock")
    assert held.go() == 0, held.call.told
    again = "the ledger moved meanwhile: reconciled again" in held.call.told
    assert again is not loads, held.call.told  # a load has changed the state: nothing was written
    after = read_state(cli, "notes", "shop")
    assert (after.loaded.seq - before.loaded.seq, after.pending) == (int(loads), ())
    sync_to_equal(cli, appended)
