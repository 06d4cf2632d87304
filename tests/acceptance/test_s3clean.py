"""`s3rs s3clean` on real servers: what it takes, what it leaves, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.ledger import Place

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

__all__ = ["cli"]

NOW = ("--older-than", "0s", "--grace", "0s")


@dataclass
class Halted:
    """A sync that stands at one of its failpoints."""

    process: subprocess.Popen[bytes]
    way: socket.socket

    def killed(self) -> None:
        self.process.kill()
        self.process.communicate()

    def goes_on(self) -> None:
        self.way.sendall(b"go\n")


@contextlib.contextmanager
def halted(cli: Cli, place: str, *args: str) -> Iterator[Halted]:
    path = cli.folder / f"halt-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(60)
        process = cli.start(*args, env={"S3RS_FAILPOINT": f"{place}#1@{path}"})
        try:
            way, _ = server.accept()
            with way:
                way.recv(100)
                yield Halted(process, way)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def sync_args(cli: Cli, table: str = "notes") -> tuple[str, ...]:
    return ("sync", "-t", f"{cli.database}.{table}")


def die_at(cli: Cli, place: str) -> None:
    with halted(cli, place, *sync_args(cli)) as sync:
        sync.killed()


def cleaned(cli: Cli, *args: str, table: str = "notes", **how: Any) -> dict[str, Any]:
    """`s3clean clean --force` of one table; its JSON document."""
    options = ("--force", "-o", "json", "-q")
    ended = cli.run("s3clean", "clean", "-t", f"{cli.database}.{table}", *options, *args, **how)
    assert ended.code == 0, (ended.out, ended.err)
    (document,) = json.loads(ended.out)
    return document  # type: ignore[no-any-return]


def reasons(document: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in document["decisions"]:
        found[each["reason"]] = found.get(each["reason"], 0) + 1
    found.pop("one of the newest copies of the state", None)
    return found


def data(cli: Cli) -> set[str]:
    return {key for key in cli.objects() if "/data/" in key}


def more(cli: Cli, table: str = "notes") -> None:
    cli.mysql(f"INSERT INTO `{table}` (note) VALUES ('more')")


def uploads(cli: Cli) -> list[str]:
    answer = cli._store.list_multipart_uploads(Bucket=cli.box.s3.bucket, Prefix=cli.prefix)
    return [each["Key"] for each in answer.get("Uploads", [])]


def test_what_a_killed_sync_left_is_kept_while_it_may_matter_and_then_taken(cli: Cli) -> None:
    make_notes(cli)
    die_at(cli, "X8:before")
    left = data(cli)
    assert {key.rpartition("/")[2] for key in left} == {
        "batch.json",
        "copy.manifest",
        "part-00000.parquet",
    }
    assert reasons(cleaned(cli, *NOW)) == {"its writer may still commit": 1}

    cli.sync("notes").does()

    assert reasons(cleaned(cli)) == {"orphan, within grace": 1, "loaded, within retention": 1}
    table = f"{cli.database}.notes"
    told = cli.run("s3clean", "orphans", "-t", table).does().out
    assert "orphan, within grace" in told
    assert left < data(cli)
    document = cleaned(cli, "--grace", "0s")
    assert reasons(document) == {"orphan": 1, "loaded, within retention": 1}
    assert document["objects"] == 3
    assert not left & data(cli)
    assert cleaned(cli, "--grace", "0s")["objects"] == 0
    assert cli.run("s3clean", "orphans", "-t", table).does().out == "no orphans\n"
    cli.is_equal("notes")


def test_what_is_loaded_goes_after_its_retention_and_the_next_sync_goes_on(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    others = set(cli.objects()) - data(cli)

    assert reasons(cleaned(cli, *NOW)) == {"loaded": 1}

    assert set(cli.objects()) == others, "the state and its copies stay"
    more(cli)
    cli.sync("notes").does()
    cli.is_equal("notes")
    assert cli.state("notes")["pending"] == []


def test_what_waits_is_never_taken(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes", "--s3-only").does()
    before = data(cli)
    assert reasons(cleaned(cli, *NOW, "--s3-only")) == {"pending": 1}
    assert reasons(cleaned(cli, *NOW, "--seal")) == {"pending": 1}
    assert data(cli) == before
    cli.sync("notes", "--redshift-only").does()
    cli.is_equal("notes")


def test_a_sync_that_is_under_way_loses_nothing(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    more(cli)
    for place in ("X8:before", "Y11:before"):
        more(cli)
        with halted(cli, place, *sync_args(cli)) as sync:
            cleaned(cli, *NOW)
            sync.goes_on()
            ended = cli.ended(sync.process)
        assert ended.code == 0, (place, ended.err)
        cli.is_equal("notes")


def test_without_the_ledger_nothing_is_deleted(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    before = cli.objects()
    args = ("s3clean", "clean", "-t", f"{cli.database}.notes", *NOW, "--force", "-q")

    cli.run(*args, overrides={"targets.standin.port": 1}).fails(4)
    cli.run(*args, "--s3-only").fails(3, "its ledger must be asked")
    state = cli.state("notes")
    place = Place(cli.box, f"{cli.database}.notes", target_table=f"{cli.schema}.notes")
    cli.redshift(f"DELETE FROM s3rs_meta.{place.ledger} WHERE batch_id = '{state['last_batch']}'")
    cli.run(*args).fails(3, "the ledger has no batch", "reconcile")

    assert cli.objects() == before


def test_an_upload_left_open_is_taken_back(cli: Cli) -> None:
    make_notes(cli)
    die_at(cli, "X5:before")
    assert len(uploads(cli)) == 1
    assert cleaned(cli, *NOW)["uploads"] == 0
    assert len(uploads(cli)) == 1, "its writer may still commit"
    cli.sync("notes").does()

    document = cleaned(cli, "--grace", "0s")

    assert document["uploads"] == 1
    assert uploads(cli) == []
    cli.is_equal("notes")


def test_a_seal_lets_all_go_at_once_and_is_on_record(cli: Cli) -> None:
    make_notes(cli)
    die_at(cli, "X8:before")
    epoch = cli.state("notes")["epoch"]

    assert reasons(cleaned(cli, *NOW, "--seal")) == {"orphan": 1}

    state = cli.state("notes")
    assert data(cli) == set()
    assert (state["epoch"], state["audit"][-1]["what"]) == (epoch + 1, "s3clean --seal")
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_a_sealed_sync_is_fenced_and_its_successor_goes_on(cli: Cli) -> None:
    make_notes(cli)
    with halted(cli, "X8:before", *sync_args(cli)) as sync:
        cleaned(cli, *NOW, "--seal")
        sync.goes_on()
        ended = cli.ended(sync.process)
    assert ended.code == 5, ended.err
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_nothing_is_deleted_before_it_is_said(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    before = cli.objects()
    table = ("-t", f"{cli.database}.notes", *NOW, "-q")

    dry = cli.run("s3clean", "clean", *table, "--dry-run", "--force").does()
    asked = cli.run("s3clean", "clean", *table)

    assert "3 objects" in dry.out
    assert "would be deleted" in dry.out
    assert asked.code == 0
    assert "say --force" in asked.err
    assert cli.objects() == before
    assert cleaned(cli, *NOW, "--pattern", "batch_X*")["objects"] == 0
    assert cleaned(cli, *NOW, "--pattern", "batch_*")["objects"] == 3


def test_a_list_tells_sizes_and_moments(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    args = ("s3clean", "list", "-t", f"{cli.database}.notes")
    plain, dated = cli.run(*args).does().out, cli.run(*args, "--show-timestamps").does().out
    batch = cli.state("notes")["last_batch"]
    assert f"batch_{batch}" in plain
    assert re.search(r"^1 batches, \d+\.\d MB; \d+ copies of the state$", plain, re.MULTILINE)
    assert "T" not in plain.splitlines()[0]
    assert re.search(r"\d{4}-\d\d-\d\dT", dated)
    assert not re.search(r"\d{4}-\d\d-\d\dT", plain)


@pytest.mark.parametrize("by", ["prefix", "pipeline"])
def test_one_table_s_refusal_stops_no_other(cli: Cli, by: str) -> None:
    for table in ("notes", "other"):
        make_notes(cli, table)
    config = cli.pipeline({"notes": {}, "other": {}})
    cli.run("sync", "-p", "shop", config=config).does()
    (key,) = [key for key in cli.objects() if re.search(r"/notes\.[0-9a-f]+/state\.json$", key)]
    kept = {key for key in data(cli) if "/notes." in key}
    broken = cli.body(key).replace('"rows"', '"rose"', 1).encode()
    cli._store.put_object(Bucket=cli.box.s3.bucket, Key=key, Body=broken)

    args = ("-p", "shop") if by == "pipeline" else ()
    ended = cli.run("s3clean", "clean-all", *args, *NOW, "--force", "-q", config=config)

    assert ended.code == 6, (ended.out, ended.err)
    assert f"{cli.database}.other: 3 objects" in ended.out
    assert data(cli) == kept
    assert "damaged" in ended.err
