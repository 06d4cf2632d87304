"""Signals and a second process: what is in hand is finished or left whole, never half committed.

A relay before the object store holds the upload of the first rows, so that the command is met in
the middle of its work every time.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pymysql
import pytest

from tests.acceptance.cli import Asked, Cli, Relay, cli, make_notes

__all__ = ["cli"]


class Gate:
    """Holds the first write of rows until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, asked: Asked) -> None:
        if "/data/" in asked.path and asked.method != "GET":
            self.reached.set()
            self.opened.wait(60)


def processes() -> str:
    """Every command line on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return "\n".join(found)


def test_the_first_signal_finishes_the_step_in_hand_and_a_second_process_is_told_who_holds_it(
    cli: Cli,
) -> None:
    make_notes(cli)
    gate = Gate()
    pace = {"s3.claim_ttl": 3}  # a beat each second, and that is waited for
    with Relay(cli.box.s3.url, gate) as relay:
        overrides = {**pace, "s3.endpoint": relay.url}
        first = cli.start(
            "sync", "-t", f"{cli.database}.notes", "--json-output", overrides=overrides
        )
        assert gate.reached.wait(60)
        cli.keeps_secrets(processes())
        second = cli.sync("notes", overrides=pace)
        second.fails(5, "another process is extracting", f"pid {first.pid} on ")
        first.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert first.poll() is None, "the first signal must not end the step in hand"
        gate.opened.set()
        ended = cli.ended(first)
    assert ended.code == 130, ended.err
    assert not ended.lines
    assert json.loads(ended.out)["status"] == "interrupted"
    assert len(cli.state("notes")["pending"]) == 1
    assert cli.state("notes")["claim"]["released"]
    assert "notes" not in cli.tables()
    assert "0 rows read, 3 loaded, target holds 3" in cli.sync("notes").does().out
    cli.is_equal("notes")


def test_a_signal_ends_the_waiting_for_a_transaction_that_is_open(cli: Cli) -> None:
    make_notes(cli)
    server, begun = cli.box.mysql, threading.Event()
    with (
        pymysql.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=cli.database,
        ) as writer,
        writer.cursor() as open_one,
        Relay(cli.box.s3.url, lambda asked: begun.set() if "state" in asked.path else None) as s3,
    ):
        open_one.execute("INSERT INTO notes (note) VALUES ('not yet')")
        overrides = {"s3.endpoint": s3.url}
        waiting = cli.start("sync", "-t", f"{cli.database}.notes", overrides=overrides)
        assert begun.wait(60), "the state is read before the bound is waited for"
        time.sleep(3)
        assert waiting.poll() is None
        waiting.send_signal(signal.SIGTERM)
        ended = cli.ended(waiting, timeout=20)
        writer.rollback()
    assert ended.code == 143, ended.err
    assert not cli.objects()


@pytest.mark.parametrize("table", ["notes"])
def test_the_second_signal_stops_now_and_the_next_run_does_it_all(cli: Cli, table: str) -> None:
    make_notes(cli, table)
    make_notes(cli, "other")
    gate = Gate()
    with Relay(cli.box.s3.url, gate) as relay:
        tables = ["-t", f"{cli.database}.{table}", "-t", f"{cli.database}.other"]
        first = cli.start("sync", *tables, "--json-output", overrides={"s3.endpoint": relay.url})
        assert gate.reached.wait(60)
        first.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        first.send_signal(signal.SIGTERM)
        ended = cli.ended(first, timeout=20)
        gate.opened.set()
    assert ended.code == 143, ended.err
    report = json.loads(ended.out)
    assert report["status"] == "interrupted"
    assert report["total_tables"] == 2
    assert not cli.state(table)["pending"]
    assert cli.state(table)["claim"]["released"]
    assert "Traceback" not in ended.err
    cli.sync(table, "other").does()
    cli.is_equal(table)
    cli.is_equal("other")


def test_a_killed_run_leaves_nothing_that_the_next_one_cannot_take_over(cli: Cli) -> None:
    make_notes(cli)
    gate = Gate()
    with Relay(cli.box.s3.url, gate) as relay:
        overrides = {"s3.endpoint": relay.url}
        first = cli.start("sync", "-t", f"{cli.database}.notes", overrides=overrides)
        assert gate.reached.wait(60)
        os.kill(first.pid, signal.SIGKILL)
        cli.ended(first)
        gate.opened.set()
    cli.sync("notes").does()
    cli.is_equal("notes")
