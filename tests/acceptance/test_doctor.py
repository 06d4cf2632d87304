"""The doctor in a real surrounding: a healthy one, and one with a single thing broken at a time."""

from __future__ import annotations

import copy
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import psycopg
import pytest

from s3rs_async.config import Connections, Pipeline
from s3rs_async.config.tables import Entry
from s3rs_async.doctor import Check, Level, examine, exit_code
from s3rs_async.errors import ExitCode
from s3rs_async.model import Deletes, SourceId, TableName, TableSpec, TargetId
from s3rs_async.redshift import sql as redshift
from s3rs_async.sandbox import mariadb
from s3rs_async.sandbox.box import MYSQL_PORT, mysql_host
from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Asked, Relay
from tests.acceptance.source import Run

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

WRONG = "wr0ng p@ss/w%rd"
STAMPED = "timestamp NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp"

Owner = Callable[[str], None]


@dataclass
class Clinic:
    """The sandbox's connections, to be spoilt, and one pipeline over them."""

    box: Box
    tree: dict[str, Any]
    database: str
    schema: str
    entries: list[Entry] = field(default_factory=list)
    told: list[Check] = field(default_factory=list)

    def spoil(self, key: str, value: Any) -> None:
        *branches, leaf = key.split(".")
        tree = self.tree
        for branch in branches:
            tree = tree[branch]
        tree[leaf] = value

    def want(self, table: str, **wishes: Any) -> None:
        self.entries.append(Entry(TableSpec(TableName(self.database, table), **wishes), 60.0))

    async def look(self, seconds: float = 60.0) -> Lines:
        connections = Connections.model_validate(self.tree)
        pipeline = Pipeline("shop", "mysql", "standin", tuple(self.entries), Path("shop.yml"))
        checks = await examine(connections, [pipeline], self.told.append, seconds)
        assert sorted(map(repr, checks)) == sorted(map(repr, self.told))
        self._no_secret(repr(checks))
        return Lines(checks)

    def _no_secret(self, text: str) -> None:
        box = self.box
        for secret in (box.mysql.password, box.redshift.password, box.s3.secret_key, WRONG):
            assert secret not in text


@dataclass
class Lines:
    checks: list[Check]

    def of(self, subject: str) -> dict[str, Check]:
        return {check.name: check for check in self.checks if check.subject == subject}

    def bad(self) -> list[tuple[str, str]]:
        return [(c.subject, c.name) for c in self.checks if c.level is Level.FAIL]

    def mend(self, subject: str, name: str, level: Level = Level.FAIL) -> str:
        check = self.of(subject)[name]
        assert check.level is level, check
        assert check.found
        return check.mend


class Denying(Relay):
    """A way to the store on which requests that begin so are denied."""

    def __init__(self, url: str, denied: str) -> None:
        super().__init__(url, lambda _: None)
        self.denied = denied

    def _answer(self, handler: Any, asked: Asked) -> None:
        if not f"{asked.method} {asked.path}".startswith(self.denied):
            super()._answer(handler, asked)
            return
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        handler.send_response(403)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if asked.method != "HEAD":
            handler.wfile.write(body)


@pytest.fixture
def clinic(
    box: Box, database: str, schema: str, prefix: str, monkeypatch: pytest.MonkeyPatch, run: Run
) -> Clinic:
    for name, value in box.s3.environment.items():
        monkeypatch.setenv(name, value)
    run(f"CREATE TABLE orders (id int auto_increment PRIMARY KEY, at {STAMPED}, KEY (at, id))")
    clinic = Clinic(box, copy.deepcopy(box.connections), database, schema)
    clinic.spoil("s3.prefix", prefix)
    clinic.spoil("targets.standin.schema", schema)
    clinic.want("orders")
    return clinic


@pytest.fixture
def as_owner(box: Box) -> Iterator[Owner]:
    """The stand-in's superuser."""
    server = box.redshift.postgres
    login = f"host={server.socket_folder} user={server.user} dbname={box.redshift.database}"
    with psycopg.connect(login, autocommit=True) as connection:

        def execute(statement: str) -> None:
            connection.execute(statement.encode())

        yield execute


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def account(clinic: Clinic, run: Run) -> Iterator[str]:
    """An account without any right, which the source is looked at by."""
    name = clinic.database
    run(f"CREATE USER '{name}'@'%' IDENTIFIED BY '{WRONG.replace('%', '%%')}'")
    clinic.spoil("sources.mysql.user", name)
    clinic.spoil("sources.mysql.password", WRONG.replace("%", "%%"))
    yield f"'{name}'@'%'"
    run(f"DROP USER '{name}'@'%'")


async def test_a_healthy_sandbox_has_no_failure_and_nothing_is_left_in_it(clinic: Clinic) -> None:
    lines = await clinic.look()

    assert lines.bad() == []
    assert exit_code(lines.checks) is ExitCode.OK
    warned = [(c.subject, c.name) for c in lines.checks if c.level is Level.WARN]
    assert warned == [("s3", "versions")]
    assert "Status=Enabled" in lines.mend("s3", "versions", Level.WARN)
    table = lines.of(f"pipeline shop: {clinic.database}.orders")
    assert "hybrid by at, key (id)" in table["plan"].found
    assert "a row from" in lines.of("target standin")["copy"].found
    with psycopg.connect(clinic.box.redshift.url) as connection:
        made = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'st!_%' ESCAPE '!'"
        ).fetchone()
    assert made == (0,)


async def test_lines_of_a_subject_come_in_one_order(clinic: Clinic) -> None:
    first = await clinic.look()
    clinic.told.clear()
    second = await clinic.look()

    assert [(c.subject, c.name) for c in first.checks] == [
        (c.subject, c.name) for c in second.checks
    ]


async def test_a_wrong_password_is_a_failure_of_its_connection_alone(clinic: Clinic) -> None:
    clinic.spoil("sources.mysql.password", WRONG)
    clinic.spoil("targets.standin.password", WRONG)

    lines = await clinic.look()

    assert lines.bad() == [("source mysql", "connect"), ("target standin", "connect")]
    assert "password" in lines.mend("source mysql", "connect")
    assert lines.of("s3")["conditional writes"].level is Level.OK
    assert exit_code(lines.checks) is ExitCode.USAGE


async def test_a_stopped_source_is_told_while_the_others_are_examined(clinic: Clinic) -> None:
    (dead,) = free_ports(1)
    clinic.spoil("sources.mysql.port", dead)

    lines = await clinic.look()

    assert lines.bad() == [("source mysql", "connect")]
    assert lines.of("target standin")["copy"].level is Level.OK
    assert exit_code(lines.checks) is ExitCode.UNAVAILABLE


async def test_a_source_that_never_answers_holds_nobody_up(clinic: Clinic, silent: int) -> None:
    clinic.tree["sources"]["deaf"] = clinic.tree["sources"]["mysql"] | {"port": silent}
    started = time.monotonic()

    lines = await clinic.look(seconds=6.0)

    assert time.monotonic() - started < 20
    assert lines.bad() == [("source deaf", "time")]
    assert exit_code(lines.checks) is ExitCode.UNAVAILABLE


async def test_an_unknown_host_key_is_the_bastions_failure(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    clinic.spoil("targets.standin.tunnel.known_hosts", str(tmp_path / "hosts"))

    lines = await clinic.look()

    assert lines.bad() == [("target standin", "bastion")]
    assert "ssh-keyscan" in lines.mend("target standin", "bastion")
    assert exit_code(lines.checks) is ExitCode.USAGE


async def test_a_key_that_the_bastion_refuses_is_told(clinic: Clinic, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "key")
    clinic.spoil("targets.standin.tunnel.key", str(tmp_path / "key"))

    lines = await clinic.look()

    assert "authorized_keys" in lines.mend("target standin", "bastion")


async def test_a_forward_that_is_refused_is_the_bastions_failure(clinic: Clinic) -> None:
    clinic.spoil("targets.standin.port", 5440)

    lines = await clinic.look()

    assert lines.bad() == [("target standin", "bastion")]
    assert "5440" in lines.of("target standin")["bastion"].found


async def test_a_user_without_process_is_warned(clinic: Clinic, run: Run, account: str) -> None:
    run(f"GRANT SELECT ON {clinic.database}.* TO {account}")

    lines = await clinic.look()

    assert lines.bad() == []
    mend = lines.mend("source mysql", "transactions", Level.WARN)
    assert mend == f"GRANT PROCESS ON *.* TO {account}"
    run(mend)
    clinic.told.clear()
    assert (await clinic.look()).of("source mysql")["transactions"].level is Level.OK


async def test_a_table_that_may_not_be_read_prints_the_grant_that_mends_it(
    clinic: Clinic, run: Run, account: str
) -> None:
    run(f"GRANT INSERT ON {clinic.database}.orders TO {account}")
    subject = f"pipeline shop: {clinic.database}.orders"

    mend = (await clinic.look()).mend(subject, "select")

    assert mend == f"GRANT SELECT ON `{clinic.database}`.`orders` TO {account}"
    run(mend)
    clinic.told.clear()
    assert (await clinic.look()).of(subject)["select"].level is Level.OK


async def test_columns_that_the_user_may_not_see_are_told(
    clinic: Clinic, run: Run, account: str
) -> None:
    run(f"GRANT SELECT (id) ON {clinic.database}.orders TO {account}")

    lines = await clinic.look()

    assert lines.bad() == []
    subject = f"pipeline shop: {clinic.database}.orders"
    assert "GRANT SELECT ON" in lines.mend(subject, "select", Level.WARN)


async def test_a_table_that_is_hidden_prints_its_grant_too(clinic: Clinic, account: str) -> None:
    mend = (await clinic.look()).mend(f"pipeline shop: {clinic.database}.orders", "table")

    assert f"GRANT SELECT ON `{clinic.database}`.`orders` TO {account}" in mend


async def test_a_missing_table_names_the_nearest(clinic: Clinic) -> None:
    clinic.want("ordesr")

    lines = await clinic.look()

    subject = f"pipeline shop: {clinic.database}.ordesr"
    assert (subject, "table") in lines.bad()
    assert f"{clinic.database}.orders" in lines.mend(subject, "table")


async def test_what_a_plan_warns_of_is_a_line_with_a_mend(clinic: Clinic, run: Run) -> None:
    run(f"CREATE TABLE plain (id int PRIMARY KEY, at {STAMPED})")
    clinic.want("plain")
    subject = f"pipeline shop: {clinic.database}.plain"

    lines = await clinic.look()

    mends = [c.mend for c in lines.checks if c.subject == subject and c.level is Level.WARN]
    assert f"ALTER TABLE `{clinic.database}`.`plain` ADD INDEX (`at`, `id`)" in mends
    for mend in mends:
        run(mend)
    clinic.told.clear()
    after = await clinic.look()
    assert not [c for c in after.checks if c.subject == subject and c.level is Level.WARN]


async def test_a_source_behind_a_bastion_has_a_line_for_it(clinic: Clinic) -> None:
    clinic.spoil("sources.mysql.tunnel", clinic.tree["targets"]["standin"]["tunnel"])
    clinic.spoil("sources.mysql.host", mysql_host("mysql"))
    clinic.spoil("sources.mysql.port", MYSQL_PORT)

    lines = await clinic.look()

    assert lines.bad() == []
    assert f"{mysql_host('mysql')}:{MYSQL_PORT}" in lines.of("source mysql")["bastion"].found
    assert "inside the tunnel" in lines.of("source mysql")["tls"].found


async def test_a_replica_whose_primary_is_named_is_no_cause_for_a_warning(clinic: Clinic) -> None:
    async with mariadb.private(flags=["--read-only"]) as server:
        other = {"port": server.port, "password": server.password, "replica_of": "mysql"}
        clinic.tree["sources"]["copy"] = clinic.tree["sources"]["mysql"] | other

        lines = await clinic.look()

    assert "of mysql" in lines.of("source copy")["replica"].found


async def test_a_replica_and_small_packets_are_warned_of(clinic: Clinic) -> None:
    flags = ["--read-only", "--max-allowed-packet=1M"]
    async with mariadb.private(flags=flags) as server:
        other = {"port": server.port, "password": server.password}
        clinic.tree["sources"]["copy"] = clinic.tree["sources"]["mysql"] | other

        lines = await clinic.look()

    assert lines.bad() == []
    assert "replica_of" in lines.mend("source copy", "replica", Level.WARN)
    assert "max_allowed_packet" in lines.mend("source copy", "packets", Level.WARN)


@pytest.mark.parametrize(
    ("denied", "name", "level", "mend"),
    [
        ("HEAD /sandbox/", "missing key", Level.FAIL, "s3:ListBucket"),
        ("GET /sandbox?list-type", "bucket", Level.FAIL, "s3:ListBucket"),
        ("DELETE ", "upload", Level.WARN, "s3:AbortMultipartUpload"),
        ("GET /sandbox?versioning", "versions", Level.OK, ""),
    ],
)
async def test_what_a_policy_denies_is_told_with_the_right_to_grant(
    clinic: Clinic, denied: str, name: str, level: Level, mend: str
) -> None:
    with Denying(clinic.box.s3.url, denied) as relay:
        clinic.spoil("s3.endpoint", relay.url)
        lines = await clinic.look()

    assert mend in lines.mend("s3", name, level)
    assert [c.name for c in lines.checks if c.subject == "s3" and c.level is Level.FAIL] == (
        [name] if level is Level.FAIL else []
    )


async def test_a_store_that_ignores_conditions_is_told(clinic: Clinic) -> None:
    def forget(asked: Asked) -> None:
        for name in ("If-Match", "If-None-Match"):
            asked.headers.pop(name, None)

    relay = Relay(clinic.box.s3.url, forget)
    with relay:
        clinic.spoil("s3.endpoint", relay.url)
        lines = await clinic.look()

    assert ("s3", "conditional writes") in lines.bad()
    assert "412" in lines.mend("s3", "conditional writes")
    assert lines.of("s3")["upload"].level is Level.OK


async def test_a_bucket_that_is_not_there_is_told_once(clinic: Clinic) -> None:
    clinic.spoil("s3.bucket", "no-such-bucket")

    lines = await clinic.look()

    assert lines.bad() == [("s3", "bucket"), ("target standin", "copy")]
    assert "create the bucket" in lines.mend("s3", "bucket")


async def test_a_role_that_the_cluster_may_not_take_is_told(clinic: Clinic) -> None:
    clinic.spoil("targets.standin.iam_role", "arn:aws:iam::123456789012:role/other")

    lines = await clinic.look()

    assert lines.bad() == [("target standin", "copy")]
    mend = lines.mend("target standin", "copy")
    assert "--add-iam-roles arn:aws:iam::123456789012:role/other" in mend
    assert exit_code(lines.checks) is ExitCode.USAGE


async def test_a_schema_that_may_not_be_written_prints_its_grant(
    clinic: Clinic, as_owner: Owner
) -> None:
    locked = f"{clinic.schema}_locked"
    as_owner(f"CREATE SCHEMA {locked}")
    clinic.spoil("targets.standin.schema", locked)
    subject = f"pipeline shop: standin.{locked}.orders"
    try:
        mend = (await clinic.look()).mend(subject, "rights")
        assert mend == f"GRANT USAGE, CREATE ON SCHEMA {locked} TO awsuser"
        as_owner(mend)
        as_owner(f"CREATE TABLE {locked}.orders (id int)")
        clinic.told.clear()
        mend = (await clinic.look()).mend(subject, "rights")
        assert mend == f"GRANT SELECT, INSERT, DELETE ON TABLE {locked}.orders TO awsuser"
        as_owner(mend)
        clinic.told.clear()
        assert (await clinic.look()).bad() == []
        clinic.entries.clear()
        clinic.told.clear()
        clinic.want("orders", deletes=Deletes.SOFT)  # which marks rows where they are
        mend = (await clinic.look()).mend(subject, "rights")
        assert mend == f"GRANT UPDATE ON TABLE {locked}.orders TO awsuser"
    finally:
        as_owner(f"DROP SCHEMA {locked} CASCADE")


async def test_a_target_that_another_pipeline_feeds_names_it(clinic: Clinic) -> None:
    table = TableName(clinic.schema, "orders")
    target = TargetId("standin", clinic.box.redshift.database, table)
    ledger, head = redshift.create_ledger(target)
    with psycopg.connect(clinic.box.redshift.url, autocommit=True) as connection:
        connection.execute(b"CREATE SCHEMA IF NOT EXISTS s3rs_meta")
        connection.execute(ledger.encode())
        connection.execute(head.encode())
        source = SourceId("mysql", "", TableName(clinic.database, "orders"))
        text = f"INSERT INTO {redshift.qualified(redshift.ledger_names(target).head)}"
        text += f" VALUES ('elsewhere', '{source}', 1, 1, 'B', '', 7)"
        connection.execute(text.encode())

    lines = await clinic.look()

    subject = f"pipeline shop: {target}"
    assert lines.bad() == [(subject, "ledger")]
    assert "elsewhere" in lines.of(subject)["ledger"].found
    assert "another target table" in lines.mend(subject, "ledger")


async def test_a_pipeline_of_unknown_connections_is_told(clinic: Clinic) -> None:
    clinic.tree["sources"] = {"other": clinic.tree["sources"]["mysql"]}

    lines = await clinic.look()

    assert lines.bad() == [("pipeline shop", "connections")]
    assert "other" in lines.mend("pipeline shop", "connections")
