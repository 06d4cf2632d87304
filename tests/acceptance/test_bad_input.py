"""Whatever is wrong with the input, one line says what and one how to mend it; then it goes on.

Nothing is half done meanwhile: where a connection is wrong nothing is written at all, and after the
input is mended the next sync ends with both sides equal.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import psycopg
import pytest

from s3rs_async.sandbox import s3
from s3rs_async.sandbox.process import Den, free_ports
from tests.acceptance.cli import Asked, Cli, Relay, cli, make_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["cli"]

TUNNEL = "targets.standin.tunnel"
WRONG = "wr0ng p@ss/w%rd"


def _wrong_connections(cli: Cli) -> dict[str, tuple[int, dict[str, Any], tuple[str, ...]]]:
    """What can be wrong: exit code, what differs in connections.yml, words of the answer."""
    folder, (dead,) = cli.folder, free_ports(1)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "other_key")
    (folder / "no_hosts").write_text("")
    port = cli.box.bastion.port
    line = key.export_public_key().decode()
    (folder / "other_hosts").write_text(f"[127.0.0.1]:{port} {line}")
    mysql, standin = "sources.mysql", "targets.standin"
    return {  # what takes longest first: a few run at a time
        "s3 down": (4, {"s3.endpoint": f"http://127.0.0.1:{dead}"}, ("store cannot be reached",)),
        "mysql password": (2, {f"{mysql}.password": WRONG}, ("refuses the user",)),
        "mysql host": (4, {f"{mysql}.host": "nowhere.invalid"}, ("nowhere.invalid",)),
        "mysql down": (4, {f"{mysql}.port": dead}, ("cannot be reached", str(dead))),
        "redshift password": (2, {f"{standin}.password": WRONG}, ("does not let us in",)),
        "redshift behind": (4, {f"{standin}.port": 5440}, ("bastion cannot reach", "5440")),
        "no host key": (2, {f"{TUNNEL}.known_hosts": str(folder / "no_hosts")}, ("ssh-keyscan",)),
        "host key": (2, {f"{TUNNEL}.known_hosts": str(folder / "other_hosts")}, ("known_hosts",)),
        "ssh key": (2, {f"{TUNNEL}.key": str(folder / "other_key")}, ("authorized_keys",)),
        "bastion down": (4, {f"{TUNNEL}.port": dead}, ("bastion cannot be reached",)),
        "bucket": (2, {"s3.bucket": "no-such-bucket"}, ("create the bucket",)),
    }


def test_a_wrong_connection_is_told_and_nothing_is_written(cli: Cli) -> None:
    make_notes(cli)
    wrong = _wrong_connections(cli)
    calls = [partial(cli.sync, "notes", config=cli.config(o)) for _, o, _ in wrong.values()]
    for ended, (code, _, words) in zip(cli.at_once(calls), wrong.values(), strict=True):
        ended.fails(code, *words)
    assert not cli.objects()
    assert not cli.tables()
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_wrong_keys_to_a_store_that_checks_them_are_told(cli: Cli) -> None:
    make_notes(cli)
    with _seaweed() as store:
        place = {"s3.endpoint": store.url, "s3.bucket": store.bucket}
        stranger = {**store.environment, "AWS_SECRET_ACCESS_KEY": WRONG}
        cli.secrets |= {WRONG, store.secret_key}
        own = {**place, "s3.access_key": store.access_key, "s3.secret_key": WRONG}
        unknown = {**place, "s3.access_key": "NOBODY", "s3.secret_key": store.secret_key}
        by_environment, by_file, nobody = cli.at_once(
            [
                partial(cli.sync, "notes", overrides=place, env=stranger),
                partial(cli.sync, "notes", config=cli.config(own)),
                partial(cli.sync, "notes", config=cli.config(unknown)),
            ]
        )
        by_environment.fails(2, "secret key does not fit")
        by_file.fails(2, "secret key does not fit")
        nobody.fails(2, "access key is not known")
        cli.sync("--backup-only", "notes", overrides=place, env=store.environment).does()


@contextmanager
def _seaweed() -> Iterator[s3.S3]:
    import asyncio

    den = Den()
    try:
        store = s3.launch(den, "seaweedfs")
        asyncio.run(s3.ready(store))
        yield store
    finally:
        asyncio.run(den.close())


@pytest.mark.parametrize("condition", ["If-None-Match", "If-Match"])
def test_a_store_that_ignores_a_condition_is_refused(cli: Cli, condition: str) -> None:
    make_notes(cli)

    def see(asked: Asked) -> None:
        for name in [name for name in asked.headers if name.lower() == condition.lower()]:
            del asked.headers[name]

    with Relay(cli.box.s3.url, see) as relay:
        ended = cli.sync("notes", overrides={"s3.endpoint": relay.url})
    ended.fails(2, "does not honour conditional writes", condition)
    assert not cli.objects()


def test_names_that_lead_nowhere_come_with_the_nearest(cli: Cli) -> None:
    make_notes(cli)
    elsewhere = ["sync", "-t", f"{cli.database}x.notes"]
    table, schema, shape, source, target = cli.at_once(
        [
            partial(cli.sync, "ntoes"),
            partial(cli.run, *elsewhere),
            partial(cli.run, "sync", "-t", "notes"),
            partial(cli.sync, "notes", "--source=mysgl"),
            partial(cli.run, "sync", "-t", f"x.{cli.database}.y", "--target=standing"),
        ]
    )
    table.fails(2, "unknown table", f"{cli.database}.notes")
    schema.fails(2, "unknown")
    shape.fails(2, "schema.table")
    source.fails(2, "unknown source", "did you mean mysql?")
    target.fails(2, "unknown target", "did you mean standin?")


def test_data_that_redshift_cannot_take_is_named_before_it_is_loaded(cli: Cli) -> None:
    stamp = "changed TIMESTAMP(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6), KEY (changed)"
    wide, tail = "\u20ac" * 64, "x" * 70_000
    cli.mysql(
        f"CREATE TABLE wide (id INT PRIMARY KEY, note VARCHAR(9), `{wide}` INT, {stamp})",
        "INSERT INTO wide (id, note) VALUES (1, 'a')",
        f"CREATE TABLE texts (id INT PRIMARY KEY, note LONGTEXT, {stamp})",
        f"INSERT INTO texts (id, note) VALUES (7, 'short'), (8, '{tail}')",
        f"CREATE TABLE nul (id INT PRIMARY KEY, note VARCHAR(9), {stamp})",
        "INSERT INTO nul (id, note) VALUES (3, 'a\\0b')",
    )
    names = ("wide", "texts", "nul")
    bad = cli.sync(*names, "--json-output")
    assert bad.code == 3, bad.err
    assert len(bad.lines) == 6, bad.err
    results = json.loads(bad.out)["table_results"]
    wide_, texts, nul = (results[f"{cli.database}.{t}"]["error_message"] for t in names)
    assert wide in wide_
    assert "127" in wide_
    assert "70000 bytes" in texts
    assert "column=note, row=id=8" in texts
    assert "a NUL character" in nul
    assert "row=id=3" in nul
    assert not cli.tables()

    cli.mysql(
        f"ALTER TABLE wide DROP COLUMN `{wide}`",
        "UPDATE texts SET note = 'mended' WHERE id = 8",
        "UPDATE nul SET note = 'mended'",
    )
    cli.sync(*names).does()
    for table in names:
        cli.is_equal(table)


def test_a_table_without_a_key_is_read_whole_and_that_is_told(cli: Cli) -> None:
    cli.mysql(
        "CREATE TABLE loose (id INT, note VARCHAR(9), changed TIMESTAMP NOT NULL"
        " DEFAULT NOW() ON UPDATE NOW())",
        "INSERT INTO loose (id, note) VALUES (1, 'a'), (1, 'a'), (2, 'b')",
    )
    ended = cli.sync("loose").does()
    assert "the table has no primary key" in ended.out
    cli.is_equal("loose")
    cli.mysql("DELETE FROM loose WHERE id = 1")
    part = cli.sync("loose", "--limit=1")
    part.fails(2, "--limit would replace the target")
    stored = cli.sync("loose", "--limit=1", "--backup-only")
    stored.fails(2, "--limit would replace the target")
    cli.sync("loose", "--redshift-only").does()
    assert cli.redshift(f"SELECT count(*) FROM {cli.schema}.loose") == [(3,)]
    cli.sync("loose").does()
    cli.is_equal("loose")


def test_a_target_with_other_columns_is_told_before_anything_is_written(cli: Cli) -> None:
    make_notes(cli)
    cli.redshift(f"CREATE TABLE {cli.schema}.notes (id INTEGER NOT NULL, note VARCHAR(8))")
    cli.sync("notes").fails(3, "no longer have the same columns", "ALTER TABLE", "changed")
    assert not cli.objects()
    cli.redshift(f"DROP TABLE {cli.schema}.notes")
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_a_target_that_another_pipeline_feeds_is_refused(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    twin = {"sources.twin": cli.box.connections["sources"]["mysql"]}
    other = cli.sync("notes", "--source=twin", overrides=twin)
    other.fails(2, "another pipeline feeds this target", "adhoc.mysql.standin")
    cli.mysql("INSERT INTO notes (note) VALUES ('more')")
    cli.sync("notes").does()
    cli.is_equal("notes")


def test_two_tables_whose_names_redshift_folds_to_one_do_not_mix(cli: Cli) -> None:
    make_notes(cli, "notes")
    make_notes(cli, "Notes", rows=5)
    cli.sync("notes", "Notes").fails(2, "two tables go to one target table", "target_name")
    assert not cli.objects()
    cli.sync("notes").does()
    before = cli.objects()
    ended = cli.sync("Notes")
    ended.fails(2, "another pipeline feeds this target", f"{cli.database}.notes")
    cli.is_equal("notes")
    written = cli.objects().keys() - before.keys()
    assert not [key for key in written if "/data/" in key]


def test_a_missing_grant_is_printed(cli: Cli) -> None:
    make_notes(cli)
    server = cli.box.redshift.postgres
    login = f"host={server.socket_folder} user={server.user} dbname={cli.box.redshift.database}"
    locked = f"{cli.schema}_locked"
    cli.mysql(
        f"CREATE USER '{cli.schema}'@'%' IDENTIFIED BY '{WRONG.replace('%', '%%')}'",
    )
    reader = {"sources.mysql.user": cli.schema, "sources.mysql.password": WRONG}
    with psycopg.connect(login, autocommit=True) as owner:
        owner.execute(f"CREATE SCHEMA {locked}".encode())
        source = cli.sync("notes", config=cli.config(reader))
        target = cli.sync("notes", config=cli.config({"targets.standin.schema": locked}))
        owner.execute(f"DROP SCHEMA {locked}".encode())
    cli.mysql(f"DROP USER '{cli.schema}'@'%'")
    source.fails(2)
    target.fails(2, f"GRANT USAGE, CREATE ON SCHEMA {locked} TO awsuser")


class _Way:
    """A port that leads to the bastion until it is cut."""

    def __init__(self, port: int) -> None:
        self._far = port
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._begin(self._accept)

    def _begin(self, work: Callable[..., None], *ends: socket.socket) -> None:
        self._threads.append(threading.Thread(target=work, args=ends, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with self._server, suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._far))
                self._open += [near, far]
                self._begin(self._pump, near, far)
                self._begin(self._pump, far, near)

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def cut(self) -> None:
        for end in (self._server, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join(5.0)
        for end in (self._server, *self._open):
            end.close()


def test_rows_that_are_in_s3_when_redshift_goes_down_are_loaded_by_the_next_run(cli: Cli) -> None:
    make_notes(cli)
    bastion = cli.box.bastion
    hosts = cli.folder / "hosts"

    def see(asked: Asked) -> None:
        if (
            asked.method == "PUT"
            and asked.path.endswith("state.json")
            and b'"rows":3' in asked.body
        ):
            way.cut()

    with closing(_Way(bastion.port)) as way, Relay(cli.box.s3.url, see) as relay:
        known = bastion.known_hosts.read_text().replace(f":{bastion.port} ", f":{way.port} ")
        hosts.write_text(known)
        ended = cli.sync(
            "notes",
            overrides={
                "s3.endpoint": relay.url,
                f"{TUNNEL}.port": way.port,
                f"{TUNNEL}.known_hosts": str(hosts),
            },
        )
    ended.fails(4)
    assert len(cli.state("notes")["pending"]) == 1
    assert "notes" not in cli.tables()
    again = cli.sync("notes").does()
    assert "3 loaded" in again.out
    assert not cli.state("notes")["pending"]
    cli.is_equal("notes")


def test_a_report_that_cannot_be_written_is_told_and_the_sync_is_done_all_the_same(
    cli: Cli,
) -> None:
    for table in ("full", "nowhere", "silent", "mute"):
        make_notes(cli, table)
    with Path("/dev/full").open("wb", buffering=0) as device:
        full, nowhere, silent, mute = cli.at_once(
            [
                partial(cli.sync, "full", "--json-output=/dev/full"),
                partial(cli.sync, "nowhere", f"--json-output={cli.folder}/no/x.json"),
                partial(cli.sync, "silent", stderr=device),
                partial(cli.sync, "mute", stdout=device),
            ]
        )
    full.fails(2, "can't be written", "No space left")
    nowhere.fails(2, "can't be written", "No such file")
    mute.fails(2, "can't be written", "stdout")
    assert silent.code == 0
    for ended in (full, nowhere, silent):
        assert "success: 3 rows read, 3 loaded, target holds 3" in ended.out
    for table in ("full", "nowhere", "silent", "mute"):
        cli.is_equal(table)


def test_the_environment_alone_configures_everything(cli: Cli) -> None:
    make_notes(cli)
    tree = cli.connections()
    source, target, store = tree["sources"]["mysql"], tree["targets"]["standin"], tree["s3"]
    tunnel = target.pop("tunnel")
    parts: dict[str, dict[str, Any]] = {
        "DB": source,
        "REDSHIFT": target,
        "REDSHIFT_SSH_BASTION": tunnel,
        "S3": store,
    }
    env = {f"{part}_{key.upper()}": str(v) for part, d in parts.items() for key, v in d.items()}
    renamed = {
        "S3_BUCKET": "S3_BUCKET_NAME",
        "S3_ENDPOINT": "S3_ENDPOINT_URL",
        "REDSHIFT_SSH_BASTION_KEY": "REDSHIFT_SSH_BASTION_KEY_PATH",
    }
    env = {renamed.get(name, name): value for name, value in env.items()}
    cli.sync("notes", env=env).does()
    cli.is_equal("notes")

    del env["REDSHIFT_SSH_BASTION_USER"]
    cli.sync("notes", env=env).fails(2, "REDSHIFT_SSH_BASTION_USER")


def test_a_mistake_in_connections_yml_is_told_with_its_place(cli: Cli, tmp_path: Path) -> None:
    typo = cli.config({"sources.mysql.pasword": "x"})
    missing = cli.config({"targets.standin.iam_role": None})
    tabbed = cli.written("sources:\n\tsandbox: 1\n")
    unset = cli.written("sources:\n  a:\n    host: ${NO_SUCH_VARIABLE}\n")
    results = cli.at_once(
        [partial(cli.run, "sync", "-t", "a.b", config=c) for c in (typo, missing, tabbed, unset)]
        + [partial(cli.run, "sync", "-t", "a.b", config=tmp_path / "nowhere")]
    )
    results[0].fails(2, "unknown key", f"{typo}/connections.yml:", "did you mean password?")
    results[1].fails(2, "a key is missing", f"{missing}/connections.yml:", "iam_role")
    results[2].fails(2, "not YAML", f"{tabbed}/connections.yml:2:1")
    results[3].fails(2, "NO_SUCH_VARIABLE", f"{unset}/connections.yml:3:11")
    results[4].fails(2, "can't be read", "nowhere/connections.yml")
