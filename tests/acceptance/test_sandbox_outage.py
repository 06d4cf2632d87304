"""Several MySQL servers, one of them behind the bastion, and parts that go down and come back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import asyncssh
import psycopg
import pytest
import yaml

from s3rs_async.errors import ConfigError
from s3rs_async.sandbox import Box, Sandbox
from tests.acceptance.compare import assert_equal
from tests.acceptance.leftovers import left, living, place
from tests.acceptance.running import Commands
from tests.acceptance.source import application
from tests.acceptance.test_sandbox import DESTINATION, through_the_bastion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3rs_async.sandbox.mariadb import MySQL

__all__ = ["place"]

HOLDER = """
import asyncio, time
from s3rs_async.sandbox import Sandbox
async def main():
    sandbox = Sandbox(mysql=2)
    await sandbox.start()
    await sandbox.halt("mysql2")
    await sandbox.resume("mysql2")
    await sandbox.halt("bastion")
    print("here", flush=True)
    time.sleep(1000)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Sandbox, Box]]:
    sandbox = Sandbox(mysql=3, tunnelled=("mysql2",))
    box = asyncio.run(sandbox.start())
    try:
        yield sandbox, box
    finally:
        asyncio.run(sandbox.stop())


@pytest.fixture
def sandbox(running: tuple[Sandbox, Box]) -> Sandbox:
    return running[0]


@pytest.fixture
def town(running: tuple[Sandbox, Box]) -> Box:
    return running[1]


def counted(mysql: MySQL) -> int:
    with application(mysql) as run:
        ((count,),) = run("SELECT COUNT(*) FROM kept.a")
        return int(count)


def is_open(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_each_mysql_is_a_server_of_its_own_with_a_name_of_its_own(town: Box) -> None:
    names = ["mysql", "mysql2", "mysql3"]
    assert [each.name for each in town.mysqls] == names
    assert town.mysql is town.mysqls[0]
    content = yaml.safe_load((town.config / "connections.yml").read_text())
    assert list(content["sources"]) == names
    urls = [town.environment[f"S3RS_SANDBOX_{name.upper()}_URL"] for name in names]
    assert urls == [each.url for each in town.mysqls]
    for each in town.mysqls:
        with application(each) as run:
            run(f"CREATE DATABASE only_{each.name}")
            assert run("SHOW DATABASES LIKE 'only%'") == ((f"only_{each.name}",),)


def test_a_mysql_that_is_tunnelled_has_only_its_inner_name(town: Box) -> None:
    sources = yaml.safe_load((town.config / "connections.yml").read_text())["sources"]
    target = town.connections["targets"]["standin"]  # type: ignore[index]
    assert sources["mysql2"] == {
        "host": "mysql2.sandbox.internal",
        "port": 3306,
        "user": "s3rs",
        "password": town.mysqls[1].password,
        "tls": "verify",
        "ca": str(town.mysqls[1].ca),
        "tunnel": target["tunnel"],  # type: ignore[index]
    }
    for name in ("mysql", "mysql3"):
        assert sources[name]["host"] == "127.0.0.1"
        assert "tunnel" not in sources[name]


async def test_a_mysql_answers_through_the_bastion_and_is_verified_by_its_name(town: Box) -> None:
    context = ssl.create_default_context(cafile=str(town.mysqls[1].ca))
    host = "mysql2.sandbox.internal"
    async with (
        await through_the_bastion(town) as connection,
        await connection.forward_local_port("127.0.0.1", 0, host, 3306) as near,
    ):
        await secured(near.get_port(), context, host)
        with pytest.raises(ssl.SSLCertVerificationError):
            await secured(near.get_port(), context, "mysql3.sandbox.internal")


async def secured(port: int, context: ssl.SSLContext, name: str) -> None:
    """MySQL's protocol until TLS is there, for a host that is known by another name than it has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        greeting = int.from_bytes((await reader.readexactly(4))[:3], "little")
        await reader.readexactly(greeting)
        flags = (0x0001 | 0x0200 | 0x0800 | 0x8000).to_bytes(4, "little")  # 0x0800 asks for TLS
        asked = flags + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23)
        writer.write(len(asked).to_bytes(3, "little") + b"\x01" + asked)
        await writer.start_tls(context, server_hostname=name)
    finally:
        writer.close()


async def test_the_bastion_leads_to_every_mysql_and_only_by_name(town: Box) -> None:
    async with await through_the_bastion(town) as connection:
        for each in town.mysqls:
            reader, writer = await connection.open_connection(f"{each.name}.sandbox.internal", 3306)
            assert b"MariaDB" in await reader.read(100)
            writer.close()
        for where in (("127.0.0.1", town.mysql.port), ("mysql4.sandbox.internal", 3306)):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection(*where)


async def test_a_mysql_that_was_halted_has_its_port_and_every_committed_row(
    sandbox: Sandbox, town: Box
) -> None:
    """Each commit that an application was told of is there: also those of the last second."""
    mysql, others = town.mysqls[2], town.mysqls[:2]
    with application(mysql) as run:
        run("CREATE DATABASE kept")
        run("CREATE TABLE kept.a (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(200))")
    for round_ in range(1, 4):
        pid = mysql.process.pid
        with application(mysql) as run:
            for number in range(400):
                run(f"INSERT INTO kept.a (t) VALUES (REPEAT('{number % 10}', 200))")
            await sandbox.halt("mysql3")
        assert not is_open(mysql.port)
        assert all(is_open(each.port) for each in others)
        await sandbox.resume("mysql3")
        assert mysql.process.pid != pid
        assert counted(mysql) == 400 * round_


async def test_while_a_part_is_down_nobody_else_gets_its_port(sandbox: Sandbox, town: Box) -> None:
    await sandbox.halt("mysql")
    try:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", town.mysql.port))
    finally:
        await sandbox.resume("mysql")


async def test_the_bastion_comes_back_with_its_key_and_its_connections_are_gone(
    sandbox: Sandbox, town: Box
) -> None:
    async with await through_the_bastion(town) as connection:
        await sandbox.halt("bastion")
        async with asyncio.timeout(5):
            await connection.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await through_the_bastion(town)
    await sandbox.resume("bastion")
    async with await through_the_bastion(town) as connection:
        await connection.open_connection(*DESTINATION)


async def test_the_standin_comes_back_with_its_tables(sandbox: Sandbox, town: Box) -> None:
    with psycopg.connect(town.redshift.url, autocommit=True) as client:
        client.execute("CREATE TABLE public.kept (a INT)")
        client.execute("INSERT INTO public.kept VALUES (1)")
        await sandbox.halt("redshift")
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(town.redshift.url)
    await sandbox.resume("redshift")
    with psycopg.connect(town.redshift.url) as client:
        assert client.execute("SELECT a FROM public.kept").fetchall() == [(1,)]


async def test_what_cannot_be_halted_or_resumed_is_refused(sandbox: Sandbox, town: Box) -> None:
    with pytest.raises(ConfigError, match="moto cannot be halted"):
        await sandbox.halt("s3")
    with pytest.raises(ConfigError, match="no such part"):
        await sandbox.halt("mysql4")
    with pytest.raises(ConfigError, match="is not halted"):
        await sandbox.resume("mysql")
    await sandbox.halt("mysql")
    with pytest.raises(ConfigError, match="halted already"):
        await sandbox.halt("mysql")
    await sandbox.resume("mysql")
    assert is_open(town.mysql.port)
    with pytest.raises(ConfigError, match="not running"):
        await Sandbox().halt("mysql")
    with pytest.raises(ConfigError, match="no such MySQL server"):
        Sandbox(mysql=2, tunnelled=("mysql3",))


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs"])
async def test_an_s3_server_with_files_comes_back_with_its_objects(kind: str) -> None:
    sandbox = Sandbox(kind)
    async with sandbox as box, _client(box) as client:
        for number in range(50):
            await client.put_object(Bucket=box.s3.bucket, Key=f"a/{number}", Body=b"c" * 5000)
        await sandbox.halt("s3")
        assert not is_open(int(box.s3.url.rpartition(":")[2]))
        await sandbox.resume("s3")
        for number in range(50):
            got = await client.get_object(Bucket=box.s3.bucket, Key=f"a/{number}")
            assert await got["Body"].read() == b"c" * 5000


def _client(box: Box) -> Any:
    from aiobotocore.session import get_session

    return get_session().create_client(
        "s3",
        endpoint_url=box.s3.url,
        region_name=box.s3.region,
        aws_access_key_id=box.s3.access_key,
        aws_secret_access_key=box.s3.secret_key,
    )


async def test_a_sandbox_stops_with_a_part_halted_and_leaves_nothing(place: Path) -> None:
    sandbox = Sandbox(mysql=2)
    async with sandbox as box:
        await sandbox.halt("mysql2")
        await sandbox.halt("redshift")
    assert left(place, within=0.5) == []
    assert not is_open(box.mysqls[1].port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", box.mysqls[1].port))


def test_nothing_is_left_of_parts_that_were_resumed_after_sigkill(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        assert sum("mariadbd" in each for each in living(place)) == 2
        process.kill()
        assert left(place) == []


def test_a_tunnelled_mysql_is_synced_by_its_inner_name(town: Box, tmp_path: Path) -> None:
    mysql = town.mysqls[1]
    with application(mysql) as run:
        run("CREATE DATABASE inner_")
        run("CREATE TABLE inner_.a (id INT PRIMARY KEY, note VARCHAR(20))")
        run("INSERT INTO inner_.a VALUES (1, 'through')")
    commands = Commands(tmp_path, {**town.environment, "XDG_CACHE_HOME": str(tmp_path)})
    try:
        commands.sync("-t", "inner_.a", "--source", "mysql2")
    finally:
        commands.stop()
    assert assert_equal(town, "inner_.a", source=mysql.url) == 1
