"""What a table is refused for before anything of it is read, told with what mends it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from s3rs_async.commit import MAX_PENDING, Pending, State
from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.gate import Gate
from tests.acceptance.states import edit_state, layout, read_state
from tests.acceptance.test_daemon import running

if TYPE_CHECKING:
    from tests.acceptance.cli import Overrides

__all__ = ["cli"]


def away() -> Overrides:
    """Source and target that nobody answers at: who reads before it asks, is told of them."""
    mysql, redshift = free_ports(2)
    return {
        "sources.mysql.tunnel": None,
        "sources.mysql.port": mysql,
        "targets.standin.tunnel": None,
        "targets.standin.port": redshift,
    }


@pytest.mark.parametrize("option", [[], ["--s3-only"], ["--redshift-only"]])
def test_a_stopped_table_does_nothing_and_says_what_mends_it(cli: Cli, option: list[str]) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    edit_state(cli, "notes", lambda state: replace(state, stop="diverged: for a test"))
    before = cli.objects()
    refused = cli.sync("notes", *option, overrides=away())
    refused.fails(3, "the table is stopped", "diverged: for a test")
    assert f"s3rs watermark reconcile -t {cli.database}.notes" in refused.err
    assert cli.objects() == before


def test_a_daemon_shows_a_stopped_table_as_failed_and_goes_on_with_the_others(cli: Cli) -> None:
    make_notes(cli)
    make_notes(cli, "other")
    config = cli.pipeline({"notes": {"every": "1s"}, "other": {"every": "1s"}})
    cli.run("sync", "-p", "shop", config=config).does()
    edit_state(cli, "notes", lambda state: replace(state, stop="diverged"), "shop")
    with running(cli, config) as daemon:
        daemon.passed(2, "other")
        daemon.until(lambda: daemon.passes("failed") > 0, "it fails")
        (told, *_) = [line for line in daemon.logs if line["event"] == "table failed"]
        assert f"reconcile -p shop -t {cli.database}.notes" in told["hint"]
        assert daemon.passes() == 0
        assert daemon.end() == 0


def test_a_state_that_names_as_many_batches_as_it_may_takes_no_more(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes", "--s3-only").does()
    edit_state(cli, "notes", lambda state: filled(cli, state))
    before = cli.objects()
    refused = cli.sync("notes", "--s3-only", overrides=away())
    refused.fails(3, "too many batches wait in S3", "s3rs sync --redshift-only")
    assert cli.objects() == before
    assert len(read_state(cli, "notes").pending) == MAX_PENDING


def filled(cli: Cli, state: State) -> State:
    """The state with as many batches before its own as it may name."""
    (last,) = state.pending
    names = [f"{number:026}" for number in range(MAX_PENDING - 1)] + [last.batch]
    at, own = layout(cli, "notes"), last.manifest.rpartition("/s")[0]
    chain = tuple(
        Pending(
            seq=seq,
            batch=name,
            parent=parent,
            manifest=f"{own}/s{seq:010}-{name}/batch.json",
            sha256="0" * 64,
            rows=1,
            session="r",
        )
        for seq, (parent, name) in enumerate(zip(["", *names], names, strict=False), 1)
    )
    assert all(at.parse(each.manifest) for each in chain)
    return replace(state, pending=chain, next_seq=MAX_PENDING + 1)


def test_a_source_whose_clock_went_back_is_refused_until_somebody_says_from_where(
    cli: Cli,
) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    edit_state(cli, "notes", lambda state: replace(state, last_mysql_extraction_time=ahead))
    cli.mysql("INSERT INTO notes (note) VALUES ('late')")
    before = cli.objects()
    cli.sync("notes").fails(3, "clock has gone back", "s3rs watermark set")
    assert cli.objects() == before
    edit_state(cli, "notes", lambda state: replace(state, backup_strategy="manual_cli"))
    cli.sync("notes").does()
    cli.is_equal("notes")
    assert read_state(cli, "notes").backup_strategy == "sequential"


def test_a_target_with_rows_of_nobody_s_is_refused_until_it_is_adopted(cli: Cli) -> None:
    make_notes(cli)
    cli.redshift(
        f"CREATE TABLE {cli.schema}.notes (id INT NOT NULL, note VARCHAR(160), changed TIMESTAMP)"
    )
    cli.redshift(f"INSERT INTO {cli.schema}.notes VALUES (2, 'older', '2020-01-01')")
    cli.sync("notes").fails(3, "--adopt")
    assert cli.objects() == {}
    cli.sync("notes", "--adopt").does()
    cli.is_equal("notes")


def test_an_idle_sync_is_one_get_at_s3_and_asks_redshift_nothing(cli: Cli) -> None:
    make_notes(cli)
    with Gate(cli.box.s3.url) as gate:
        stage = {"s3.endpoint": gate.url}
        cli.sync("notes", overrides=stage).does()
        seen = len(gate.s3.seen)
        dead = {"targets.standin.tunnel": None, "targets.standin.port": free_ports(1)[0]}
        idle = cli.sync("notes", overrides={**stage, **dead}).does()
        asked = gate.s3.seen[seen:]
    assert "0 rows read, 0 loaded, target holds 3" in idle.out
    assert [(method, path.endswith("/state.json")) for method, path, _ in asked] == [("GET", True)]
