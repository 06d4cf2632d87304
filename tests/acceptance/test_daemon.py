"""`s3rs daemon` as its operator meets it: idle, wrongly asked, with ends that are not there."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async.sandbox.process import free_ports
from tests.acceptance.cli import Asked, Cli, Overrides, Relay, cli, make_notes
from tests.acceptance.running import until
from tests.daemon.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["cli"]

WITHIN = 60.0


@dataclass
class Daemon:
    """A running daemon, its log and its address."""

    cli: Cli
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def logs(self) -> list[dict[str, Any]]:
        text = self.log.read_text(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not holds():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()[-3000:]}"
            time.sleep(0.1)

    def get(self, path: str) -> tuple[int, str]:
        (listen,) = [line["listen"] for line in self.logs if line["event"] == "daemon started"]
        try:
            with urllib.request.urlopen(f"http://{listen}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    @property
    def figures(self) -> Figures:
        return Figures.parse(self.get("/metrics")[1])

    def passes(self, outcome: str = "success", table: str = "notes") -> float:
        name = f"{self.cli.database}.{table}"
        return self.figures.sum("s3rs_passes_total", outcome=outcome, table=name)

    def passed(self, count: int, table: str = "notes") -> None:
        self.until(lambda: self.passes(table=table) >= count, f"{count} passes of {table}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WITHIN)


@contextlib.contextmanager
def running(
    cli: Cli, config: Path, *args: str, env: dict[str, str] | None = None
) -> Iterator[Daemon]:
    """A daemon for the configuration's pipelines; no secret is in its log."""
    log = cli.folder / "daemon.log"
    command = ["daemon", "--listen", "127.0.0.1:0", *args]
    with log.open("wb") as output:
        process = cli.start(*command, config=config, env=env, stdout=output, stderr=output)
    daemon = Daemon(cli, process, log)
    try:
        daemon.until(
            lambda: any(line["event"] == "daemon started" for line in daemon.logs), "it starts"
        )
        yield daemon
    finally:
        process.kill()
        process.wait()
        cli.keeps_secrets(log.read_text())


def test_an_idle_pass_is_one_get_and_two_queries_and_asks_redshift_nothing(cli: Cli) -> None:
    make_notes(cli)
    asked: list[str] = []
    with Relay(cli.box.s3.url, lambda each: asked.append(each.method)) as relay:
        stage = {"s3.endpoint": relay.url}
        config = cli.pipeline({"notes": {"every": "1s"}}, stage)
        cli.run("sync", "-p", "shop", config=config).does()
        away = {**stage, "targets.standin.tunnel.port": free_ports(1)[0]}
        with running(cli, cli.pipeline({"notes": {"every": "1s"}}, away)) as daemon:
            daemon.passed(2)  # the first makes the plan
            cli.mysql("SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
            try:
                begun = daemon.passes()
                del asked[:]
                daemon.passed(int(begun) + 4)
                count, methods = daemon.passes() - begun, list(asked)
            finally:
                cli.mysql("SET GLOBAL general_log = OFF")
            said = cli.mysql(
                "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
                f" WHERE command_type IN ('Query', 'Execute') AND argument LIKE '%{cli.database}%'"
            )
            assert daemon.passes("failed") == 0
            assert daemon.end() == 0
    ours = [text for (text,) in said if "general_log" not in text]
    assert set(methods) == {"GET"}
    assert len(methods) <= count + 1  # one pass may be under way
    assert len(ours) <= 2 * (count + 1), ours
    assert len(ours) >= 2 * (count - 1), ours


def test_healthz_readyz_and_the_log_tell_of_a_source_that_is_not_there_at_start(cli: Cli) -> None:
    make_notes(cli)
    config = cli.pipeline({"notes": {"every": "1s"}})
    connections = cli.connections({"sources.away": {**cli.box.connections["sources"]["mysql"]}})
    connections["sources"]["away"]["port"] = free_ports(1)[0]
    (config / "connections.yml").write_text(json.dumps(connections))
    gone = {f"{cli.database}.gone": {"every": "1s"}}
    away = {"source": "away", "target": "standin", "tables": gone}
    (config / "pipelines" / "away.yml").write_text(json.dumps(away))
    with running(cli, config) as daemon:
        daemon.passed(2)
        daemon.until(lambda: daemon.passes("failed", "gone") > 0, "the other fails")
        assert daemon.get("/healthz") == (200, "ok\n")
        daemon.until(lambda: 0 in daemon.figures.values("s3rs_source_up"), "it is seen")
        code, words = daemon.get("/readyz")
        assert (code, words.startswith("source away: the source cannot be reached")) == (503, True)
        assert daemon.figures.sum("s3rs_source_up", source="away") == 0
        assert daemon.figures.sum("s3rs_source_up", source="mysql") == 1
        (told,) = [line for line in daemon.logs if line["event"] == "watch interrupted"]
        assert told["source"] == "away"
        assert told["hint"]
        assert daemon.end() == 0
    cli.is_equal("notes")


def test_a_table_that_fails_is_told_with_its_mend_and_the_others_go_on(cli: Cli) -> None:
    make_notes(cli)
    config = cli.pipeline({"notes": {"every": "1s"}, "ntoes": {"every": "1s"}})
    with running(cli, config) as daemon:
        daemon.passed(2)
        daemon.until(lambda: daemon.passes("failed", "ntoes") > 0, "the wrong one fails")
        told = [line for line in daemon.logs if line["event"] == "table failed"]
        assert told[0]["hint"] == f"the nearest names are {cli.database}.notes"
        make_notes(cli, "ntoes")
        daemon.passed(1, "ntoes")
        table = f"{cli.database}.ntoes"
        assert daemon.figures.sum("s3rs_recoveries_total", table=table) == 1
        assert daemon.figures.sum("s3rs_table_failing", table=table) == 0
        assert daemon.end(signal.SIGINT) == 0


def test_a_table_of_another_shape_is_planned_anew(cli: Cli) -> None:
    make_notes(cli)
    with running(cli, cli.pipeline({"notes": {"every": "1s"}})) as daemon:
        daemon.passed(2)
        cli.mysql(
            "ALTER TABLE notes ADD COLUMN more INT",
            "INSERT INTO notes (note, more) VALUES ('late', 7)",
        )
        daemon.until(lambda: daemon.passes("failed") > 0, "the difference is told")
        told = [line for line in daemon.logs if line["event"] == "table failed"]
        assert told[0]["kind"] == "SchemaDriftError"
        assert "more" in told[0]["error"]
        cli.mysql("ALTER TABLE notes DROP COLUMN more")
        daemon.until(lambda: cli.redshift(f"SELECT id FROM {cli.schema}.notes WHERE id = 4"), "it")
        assert daemon.end() == 0
    cli.is_equal("notes")


def test_a_target_that_another_pipeline_feeds_is_refused(cli: Cli) -> None:
    make_notes(cli)
    cli.run("sync", "-p", "shop", config=cli.pipeline({"notes": {}})).does()
    other = cli.pipeline({"notes": {"every": "1s"}}, pipeline="second")
    with running(cli, other) as daemon:
        daemon.until(lambda: daemon.passes("failed") > 0, "it is refused")
        (told, *_) = [line for line in daemon.logs if line["event"] == "table failed"]
        assert "shop" in told["error"] + told["hint"]
        assert daemon.end() == 0


def _often(cli: Cli, overrides: Overrides) -> Path:
    """A pipeline that begins within a second: first passes are spread over the interval."""
    return cli.pipeline({"notes": {"every": "1s"}}, overrides)


def test_a_second_signal_stops_now(cli: Cli) -> None:
    make_notes(cli)
    held: list[str] = []

    def see(asked: Asked) -> None:
        if asked.method == "PUT" and "state.json" in asked.path:
            held.append(asked.path)
            time.sleep(20)

    with (
        Relay(cli.box.s3.url, see) as relay,
        running(cli, _often(cli, {"s3.endpoint": relay.url})) as daemon,
    ):
        daemon.until(lambda: held, "a commit is under way")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.until(lambda: daemon.get("/readyz")[0] == 503, "it drains")
        assert daemon.get("/readyz")[1] == "draining\n"
        since = time.monotonic()
        assert daemon.end() == 143
        assert time.monotonic() - since < 10


def test_what_is_not_done_when_the_drain_is_over_is_cut(cli: Cli) -> None:
    make_notes(cli)
    held: list[str] = []
    log = cli.folder / "daemon.log"

    def see(asked: Asked) -> None:
        if asked.method == "PUT" and "state.json" in asked.path and len(held) < 1:
            held.append(asked.path)
            until(lambda: "the drain is over" in log.read_text(), "the drain is over")
            time.sleep(3)

    with (
        Relay(cli.box.s3.url, see) as relay,
        running(cli, _often(cli, {"s3.endpoint": relay.url}), "--drain", "1s") as daemon,
    ):
        daemon.until(lambda: held, "a commit is under way")
        assert daemon.end() == 143
        assert any("the drain is over" in line["event"] for line in daemon.logs)
    cli.run("sync", "-p", "shop", config=cli.pipeline({"notes": {}})).does()
    cli.is_equal("notes")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-p", "shpo"], ["unknown pipeline", "shop"]),
        (["--max-memory", "100MiB"], ["too little memory", "--max-memory 128MiB"]),
        (["--listen", "nowhere"], ["not an address to listen at", "--listen host:port"]),
        (["--parallel", "0"], ["--parallel", "see s3rs daemon --help"]),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_a_daemon_that_is_asked_wrongly_ends_at_once(
    cli: Cli, args: list[str], words: list[str]
) -> None:
    ended = cli.run("daemon", *args, config=cli.pipeline({"notes": {}}))
    ended.fails(2, *words)


def test_a_port_in_use_and_two_tables_for_one_target_are_refused(cli: Cli) -> None:
    config = cli.pipeline({"notes": {}})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli.run("daemon", "--listen", f"127.0.0.1:{port}", config=config)
    ended.fails(2, "--listen", str(port))
    second = (config / "pipelines" / "shop.yml").read_text()
    (config / "pipelines" / "other.yml").write_text(second)
    ended = cli.run("daemon", "--listen", "off", config=config)
    ended.fails(2, "two tables go to one target table", "target_name")
    empty = cli.config()
    cli.run("daemon", config=empty).fails(2, "there is no pipeline", "pipelines/NAME.yml")


def test_the_units_options_are_the_daemons(cli: Cli) -> None:
    root = Path(__file__).parents[2]
    unit = (root / "config/systemd/s3rs.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    example = (root / "config/systemd/environment.example").read_text()
    (more,) = re.findall(r'^S3RS_OPTIONS="(.*)"$', example, re.MULTILINE)
    told = cli.run("daemon", "--help", env={"COLUMNS": "200"}).does().out
    for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", f"{line} {more}"):
        assert re.search(rf"(^|\s){option}[\s,]", told), option


def test_ten_sources_at_once_half_of_them_through_the_bastion(cli: Cli) -> None:
    plain = cli.box.connections["sources"]["mysql"]
    tunnel = cli.box.connections["targets"]["standin"]["tunnel"]
    behind = {**plain, "host": "mysql.sandbox.internal", "port": 3306, "tunnel": tunnel}
    connections = cli.connections()
    connections["sources"] = {f"s{n}": behind if n % 2 else plain for n in range(10)}
    config = cli.written(json.dumps(connections))
    (config / "pipelines").mkdir()
    for number in range(10):
        make_notes(cli, f"notes{number}")
        tables = {f"{cli.database}.notes{number}": {"every": "1s"}}
        tree = {"source": f"s{number}", "target": "standin", "tables": tables}
        (config / "pipelines" / f"p{number}.yml").write_text(json.dumps(tree))
    with running(cli, config) as daemon:
        for number in range(10):
            daemon.passed(1, f"notes{number}")
        assert daemon.figures.values("s3rs_source_up") == [1.0] * 10
        one = [1.0]  # SSH connection for all of them
        daemon.until(lambda: daemon.figures.values("s3rs_tunnel_up") == one, "the tunnel is up")
        assert daemon.passes("failed", "notes0") == 0
        assert daemon.end() == 0
    for number in range(10):
        cli.is_equal(f"notes{number}")


def test_the_service_manager_is_told_of_start_life_and_end(cli: Cli, tmp_path: Path) -> None:
    make_notes(cli)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WITHIN)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with running(cli, cli.pipeline({"notes": {}}), env=env) as daemon:
            assert manager.recv(1000) == b"READY=1\nSTATUS=1 tables"
            assert {manager.recv(1000) for _ in range(3)} == {b"WATCHDOG=1"}
            assert daemon.end() == 0
            manager.settimeout(0.1)
            said = [manager.recv(1000)]
            with contextlib.suppress(TimeoutError):
                while True:
                    said.append(manager.recv(1000))
    assert b"STOPPING=1\nSTATUS=draining" in said
    assert said[-1] == b"STOPPING=1"
