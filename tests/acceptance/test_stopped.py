"""A table whose state and ledger disagree stops by itself, and stays so until that is mended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from s3rs_async.model import TableName, TargetId
from s3rs_async.redshift import sql
from s3rs_async.s3.codec import digest, dumps, loads
from s3rs_async.s3.position import read_position
from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import edit_state, layout, read_state

if TYPE_CHECKING:
    from s3rs_async.commit import State

__all__ = ["cli"]


def write(cli: Cli, note: str) -> None:
    cli.mysql(
        f"INSERT INTO notes (note) VALUES ('{note}')",
        "UPDATE notes SET note = CONCAT(note, '!') WHERE id = 1",
    )


def body(cli: Cli) -> bytes:
    return cli.body(layout(cli, "notes").state).encode()


def put_back(cli: Cli, key: str, content: bytes) -> None:
    cli._store.put_object(Bucket=cli.box.s3.bucket, Key=key, Body=content)


def names(cli: Cli) -> sql.LedgerNames:
    target = TargetId("standin", cli.box.redshift.database, TableName(cli.schema, "notes"))
    return sql.ledger_names(target)


def target(cli: Cli) -> list[tuple[object, ...]]:
    return cli.redshift(f"SELECT id, note FROM {cli.schema}.notes ORDER BY id")


def stays_stopped(cli: Cli, word: str) -> None:
    """Whatever is asked of it, it says why and what to do, and nothing moves."""
    found = read_state(cli, "notes")
    assert str(found.stop).startswith(f"{word}: "), found.stop
    held, objects = target(cli), cli.objects()
    hint = f"s3rs watermark reconcile -t {cli.database}.notes"
    for option in ([], ["--s3-only"], ["--redshift-only"]):
        cli.sync("notes", *option).fails(3, "the table is stopped", f"reason={word}", hint)
    assert (target(cli), cli.objects()) == (held, objects)


def mends(cli: Cli) -> None:
    """The ledger's word is taken; the next sync brings everything over, each row once."""
    head = names(cli).head
    ((generation, seq, batch, position),) = cli.redshift(
        f"SELECT generation, seq, batch_id, position FROM {head}"
    )

    def as_the_ledger_has_it(state: State) -> State:
        return replace(
            state,
            generation=generation,
            last_batch=batch,
            next_seq=seq + 1,
            position=read_position(position) if position else None,
            pending=(),
            stop=None,
        )

    edit_state(cli, "notes", as_the_ledger_has_it)
    cli.sync("notes").does()
    cli.is_equal("notes")
    state = read_state(cli, "notes")
    assert (state.stop, state.pending) == (None, ())
    lines = cli.redshift(f"SELECT batch_id, parent_id FROM {names(cli).ledger} ORDER BY seq")
    assert [parent for _, parent in lines] == ["", *[batch for batch, _ in lines[:-1]]]


def test_an_old_state_put_back_stops_the_table_at_its_next_load(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    old = body(cli)
    write(cli, "second")
    cli.sync("notes").does()
    held = target(cli)
    put_back(cli, layout(cli, "notes").state, old)
    write(cli, "third")
    ended = cli.sync("notes")
    ended.fails(3, "does not follow what the target holds", "s3rs watermark reconcile")
    assert target(cli) == held
    stays_stopped(cli, "diverged")
    mends(cli)


def test_an_old_state_put_back_with_a_batch_that_waits_stops_at_settling(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes", "--s3-only").does()
    old = body(cli)
    cli.sync("notes", "--redshift-only").does()
    write(cli, "second")
    cli.sync("notes").does()
    held = target(cli)
    put_back(cli, layout(cli, "notes").state, old)
    cli.sync("notes").fails(3, "the table is stopped", "reason=diverged: the ledger ends at 1/2")
    assert target(cli) == held
    stays_stopped(cli, "diverged")
    mends(cli)


def test_a_ledger_put_back_stops_the_table(cli: Cli) -> None:
    """As when the cluster is restored from a snapshot: the target lacks what the state has."""
    make_notes(cli)
    cli.sync("notes").does()
    first = cli.redshift(
        f"SELECT generation, seq, batch_id, position, rows_total FROM {names(cli).head}"
    )
    write(cli, "second")
    cli.sync("notes").does()
    values = ", ".join(
        f"{name} = '{value}'"
        for name, value in zip(
            ("generation", "seq", "batch_id", "position", "rows_total"), first[0], strict=True
        )
    )
    cli.redshift(f"UPDATE {names(cli).head} SET {values}")
    cli.redshift(f"DELETE FROM {names(cli).ledger} WHERE seq = 2")
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id = 4")
    write(cli, "third")
    cli.sync("notes").fails(3, "does not follow")
    stays_stopped(cli, "diverged")
    mends(cli)


def test_a_batch_that_the_ledger_has_under_another_digest_stops_the_table(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    write(cli, "second")
    cli.sync("notes", "--s3-only").does()
    (waiting,) = read_state(cli, "notes").pending
    cli.redshift(
        f"INSERT INTO {names(cli).ledger} (batch_id, manifest_sha256, seq, parent_id)"
        f" VALUES ('{waiting.batch}', '{'0' * 64}', 2, '')"
    )
    cli.sync("notes").fails(3, "another digest", "s3rs watermark reconcile")
    stays_stopped(cli, "tampered")
    cli.redshift(f"DELETE FROM {names(cli).ledger} WHERE batch_id = '{waiting.batch}'")
    mends(cli)


def test_files_that_hold_other_rows_than_were_committed_stop_the_table(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    held = target(cli)
    write(cli, "second")
    cli.sync("notes", "--s3-only").does()
    (waiting,) = read_state(cli, "notes").pending
    manifest = loads(cli.body(waiting.manifest).encode())
    del manifest["sha256"]
    manifest["parts"][0]["rows"] += 1
    sha256 = digest(manifest)
    put_back(cli, waiting.manifest, dumps(manifest | {"sha256": sha256}).encode())
    edit_state(
        cli, "notes", lambda state: replace(state, pending=(replace(waiting, sha256=sha256),))
    )
    cli.sync("notes").fails(3, "counts other rows", "nothing was loaded", "reconcile")
    assert target(cli) == held
    stays_stopped(cli, "counts")
    mends(cli)


def test_data_that_the_target_refuses_stops_nothing(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    write(cli, "second")
    cli.sync("notes", "--s3-only").does()
    (waiting,) = read_state(cli, "notes").pending
    part = json.loads(cli.body(waiting.manifest))["parts"][0]["key"]
    answer = cli._store.get_object(Bucket=cli.box.s3.bucket, Key=part)
    with answer["Body"] as stream:
        whole = stream.read()
    put_back(cli, part, b"x" * len(whole))
    cli.sync("notes").fails(3, "refused the data")
    assert read_state(cli, "notes").stop is None
    put_back(cli, part, whole)
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_batches_that_wait_come_over_in_one_load(cli: Cli) -> None:
    count = 3
    make_notes(cli)
    for number in range(count):
        write(cli, f"note {number}")
        cli.sync("notes", "--s3-only").does()
    assert len(read_state(cli, "notes").pending) == count
    ended = cli.sync("notes", "--redshift-only").does()
    begun = [log for log in ended.logs if log["event"] == "load begins"]
    assert [log["batches"] for log in begun] == [count]
    assert begun[0]["backend_pid"] > 0
    assert len([log for log in ended.logs if log["event"] == "batch loaded"]) == count
    cli.is_equal("notes")
    state = read_state(cli, "notes")
    ((held,),) = cli.redshift(f"SELECT count(*) FROM {cli.schema}.notes")
    assert (state.pending, state.rows.loaded) == ((), held)
    assert cli.redshift(f"SELECT count(*) FROM {names(cli).ledger}") == [(count,)]


def test_an_idle_sync_does_not_even_call_the_target(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    nowhere = free_ports(1)[0]
    away = {"targets.standin.tunnel.port": nowhere, "targets.standin.port": nowhere}
    cli.sync("notes", overrides=away).does()
    write(cli, "second")
    cli.sync("notes", overrides=away).fails(4, "bastion")
