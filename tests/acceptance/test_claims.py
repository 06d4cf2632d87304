"""Two processes and one table: waited for, robbed, fenced; and what is committed on a new base.

The gate before the object store holds one request of the first process, so that the second one
meets it at that very step.
"""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.gate import Gate, Held, Request
from tests.acceptance.running import until
from tests.acceptance.states import batches, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["cli"]

BATCHES = b'"manifest"'


def uploads(request: Request) -> bool:
    return "/data/" in request.path


def commits(count: int) -> Callable[[Request], bool]:
    """The compare-and-swap whose new state has so many batches pending."""

    def is_it(request: Request) -> bool:
        is_state = request.method == "PUT" and request.path.endswith("/state.json")
        return is_state and request.body.count(BATCHES) == count

    return is_it


@contextmanager
def first(
    cli: Cli, at: Callable[[Request], bool], *args: str, **how: Any
) -> Iterator[tuple[subprocess.Popen[bytes], Held]]:
    """A sync of `notes` that is held at a request."""
    with Gate(cli.box.s3.url) as gate, gate.holding(at, **how) as held:
        overrides = {"s3.endpoint": gate.url}
        process = cli.start("sync", "-t", f"{cli.database}.notes", *args, overrides=overrides)
        until(lambda: held.reached, "the first one is held")
        yield process, held


def test_who_waits_goes_on_where_the_holder_ended(cli: Cli) -> None:
    make_notes(cli)
    with first(cli, uploads) as (holder, held):
        waiting = cli.start("sync", "-t", f"{cli.database}.notes", "--wait")
        time.sleep(4)
        assert waiting.poll() is None
        assert read_state(cli, "notes").epoch == 1
        held.pass_on()
        cli.ended(holder).does()
        assert "target holds 3" in cli.ended(waiting).does().out
    cli.is_equal("notes")


def test_a_bounded_wait_ends_with_the_holder_s_name(cli: Cli) -> None:
    make_notes(cli)
    with first(cli, uploads) as (holder, held):
        begun = time.monotonic()
        waited = cli.sync("notes", "--wait=3")
        waited.fails(5, "another process is extracting", f"pid {holder.pid} on ", "--steal")
        assert time.monotonic() - begun > 3
        held.pass_on()
        cli.ended(holder).does()


def test_a_signal_ends_the_waiting(cli: Cli) -> None:
    make_notes(cli)
    with first(cli, uploads) as (holder, held):
        waiting = cli.start("sync", "-t", f"{cli.database}.notes", "--wait")
        time.sleep(3)
        waiting.send_signal(signal.SIGTERM)
        assert cli.ended(waiting, timeout=10).code == 143
        held.pass_on()
        cli.ended(holder).does()


@pytest.mark.parametrize("at", [uploads, commits(1)], ids=["X4", "X8"])
def test_who_is_robbed_is_fenced_and_deletes_nothing(
    cli: Cli, at: Callable[[Request], bool]
) -> None:
    make_notes(cli)
    with first(cli, at) as (robbed, held):
        cli.sync("notes", "--steal").does()
        (loaded,) = batches(cli, "notes")[-1:]
        state = cli.state("notes")
        held.pass_on()
        cli.ended(robbed).fails(5, "another writer has taken the table", "nothing is lost")
    assert cli.state("notes") == state
    assert "/e00000002/" in loaded
    assert len(batches(cli, "notes")) == 2
    cli.is_equal("notes")
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_a_commit_that_lost_to_a_load_is_made_on_the_new_base(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes", "--s3-only").does()
    cli.mysql("INSERT INTO notes (note) VALUES ('late')")
    with first(cli, commits(2), "--s3-only") as (extracting, held):
        cli.sync("notes", "--redshift-only").does()
        loaded = read_state(cli, "notes")
        assert held.pass_on() == 412
        cli.ended(extracting).does()
    state = read_state(cli, "notes")
    assert state.loaded == loaded.loaded
    assert state.loaded is not None
    (waiting,) = state.pending
    assert (waiting.parent, waiting.batch) == (state.loaded.batch, state.last_batch)
    cli.sync("notes", "--redshift-only").does()
    cli.is_equal("notes")


def test_a_commit_whose_answer_is_lost_is_known_by_its_stamp(cli: Cli) -> None:
    make_notes(cli)
    with first(cli, commits(1), answered=True) as (process, held):
        held.armed.drop()
        cli.ended(process).does()
    assert len(batches(cli, "notes")) == 1
    assert read_state(cli, "notes").next_seq == 2
    cli.is_equal("notes")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--wait", "--steal"], "--wait and --steal exclude each other"),
        (["--wait", "--redshift-only"], "a load waits for nobody"),
        (["--steal", "--redshift-only"], "a load takes no table"),
        (["--full-refresh", "--redshift-only"], "all rows are read again"),
        (["--full-refresh", "--limit=1"], "a part would replace the whole"),
        (["--full-refresh", "--dry-run"], "the one writes nothing"),
        (["--adopt", "--s3-only"], "nothing is loaded"),
        (["--wait=soon"], "is not a duration"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    cli: Cli, options: list[str], words: str
) -> None:
    cli.sync("notes", *options).fails(2, words)
