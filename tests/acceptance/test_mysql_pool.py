"""Connections that sessions leave to each other, and the way through a bastion, at real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from cryptography import x509

from s3rs_async.config import SourceConfig, TunnelConfig
from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.mysql import connection
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.sandbox import mariadb
from s3rs_async.tunnel import open_bastions
from tests.acceptance.source import Run, configured
from tests.acceptance.test_mysql_tls import pem as pem  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box


@pytest.fixture
async def pooled(box: Box, database: str) -> AsyncIterator[Source]:
    async with open_source(database, configured(box.mysql)) as source:
        yield source


async def number(source: Source, *statements: str) -> int:
    async with source.session(purpose="test") as session:
        for statement in statements:
            await session.query(statement)
        return session.connection_id


async def vanished(run: Run, *threads: int) -> bool:
    """Whether the server has none of the connections any more, within five seconds."""
    for _ in range(100):
        if not {row[0] for row in run("SHOW PROCESSLIST")} & set(threads):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_session_that_ended_in_order_leaves_its_connection(
    pooled: Source, run: Run
) -> None:
    first = await number(pooled, "SELECT 1", "SHOW STATUS LIKE 'Uptime'")
    assert pooled.own == set()
    ((_, before),) = run("SHOW GLOBAL STATUS LIKE 'Questions'")
    async with pooled.session(purpose="again") as session:
        assert pooled.own == {first} == {session.connection_id}
        assert session.family == "mariadb"
        assert session.server_id
        assert await session.query("SELECT @@time_zone, 'é'") == [("+00:00", "é")]
    ((_, after),) = run("SHOW GLOBAL STATUS LIKE 'Questions'")
    assert int(after) - int(before) == 2


async def test_two_sessions_at_once_have_two_connections(pooled: Source) -> None:
    async with pooled.session(purpose="one") as one, pooled.session(purpose="two") as two:
        assert one.connection_id != two.connection_id
        assert pooled.own == {one.connection_id, two.connection_id}


async def test_what_did_not_end_in_order_is_not_used_again(pooled: Source, run: Run) -> None:
    spoilt = [await number(pooled, "SET SESSION max_statement_time=1")]
    with pytest.raises(ConfigError, match="unknown table"):
        spoilt.append(await number(pooled, f"SELECT * FROM {pooled.name}.nothing"))
    with contextlib.suppress(UnavailableError):
        async with pooled.session(purpose="test") as session:
            spoilt.append(session.connection_id)
            async for _ in session.stream(f"SELECT * FROM {pooled.name}.seq_1_to_1000000"):
                break
    assert await number(pooled, "SELECT 1") not in spoilt
    assert await vanished(run, *spoilt)


async def test_without_open_source_nothing_is_kept(source: Source, run: Run) -> None:
    assert await vanished(run, await number(source, "SELECT 1"))


async def test_the_idle_ones_are_few_and_go_with_the_source(
    box: Box, database: str, run: Run
) -> None:
    ((_, before),) = run("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    async with open_source(database, configured(box.mysql)) as source:
        async with contextlib.AsyncExitStack() as stack:
            used = [
                await stack.enter_async_context(source.session(purpose="test")) for _ in range(6)
            ]
        threads = {each.connection_id for each in used}
        await asyncio.sleep(0.3)
        assert len(threads & {row[0] for row in run("SHOW PROCESSLIST")}) == 4
    assert await vanished(run, *threads)
    assert run("SHOW GLOBAL STATUS LIKE 'Aborted_clients'") == (("Aborted_clients", before),)


async def test_an_idle_connection_is_let_go_after_its_time(
    box: Box, database: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_KEPT_SECONDS", 0.2)
    async with open_source(database, configured(box.mysql)) as source:
        assert await vanished(run, await number(source, "SELECT 1"))


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_connection_lost_while_idle_costs_nothing(
    pooled: Source, run: Run, noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = await number(pooled, "SELECT 1")
    run(f"KILL {lost}")
    assert await vanished(run, lost)
    if not noticed:
        monkeypatch.setattr(connection, "is_quiet", lambda _: True)
    async with pooled.session(purpose="test") as session:
        assert await session.query("SELECT 'here'") == [("here",)]
        assert session.connection_id != lost
        assert pooled.own == {session.connection_id}
    assert pooled.own == set()
    assert await number(pooled, "SELECT 1") == session.connection_id


async def test_only_the_first_statement_is_sent_again(pooled: Source, run: Run) -> None:
    kept = await number(pooled, "SELECT 1")
    async with pooled.session(purpose="test") as session:
        assert session.connection_id == kept
        await session.query("SELECT 1")
        run(f"KILL {kept}")
        with pytest.raises(UnavailableError):
            await session.query("SELECT 2")
    async with pooled.session(purpose="test") as session:
        run(f"KILL {session.connection_id}")
        with pytest.raises(UnavailableError):
            await session.query("SELECT 1")


async def test_a_server_that_is_gone_for_good_is_unavailable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "is_quiet", lambda _: True)
    async with mariadb.private() as server, open_source("s", configured(server)) as source:
        await number(source, "SELECT 1")
        server.process.kill()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await number(source, "SELECT 1")
        assert source.own == set()


async def _cancelled_at_every_turn(
    job: Callable[[], Any], turns: int, pause: float = 0.001
) -> None:
    for count in range(turns):
        running = asyncio.ensure_future(job())
        for _ in range(count):
            await asyncio.sleep(pause)
        running.cancel()
        await asyncio.wait([running])


async def test_whoever_is_cancelled_leaves_no_connection(
    box: Box, database: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While connecting, setting up, reading, and while a lost connection is replaced."""
    monkeypatch.setattr(connection, "is_quiet", lambda _: True)
    before = {row[0] for row in run("SHOW PROCESSLIST")}
    async with open_source(database, configured(box.mysql)) as source:

        async def once() -> None:
            await number(source, "SELECT 1", "SELECT 2")

        await _cancelled_at_every_turn(once, 15)
        assert source.own == set()
        for _ in range(8):
            kept = await number(source, "SELECT 1")
            run(f"KILL {kept}")
            await _cancelled_at_every_turn(once, 3)
        assert source.own == set()
        assert await number(source, "SELECT 1")
    left = {row[0] for row in run("SHOW PROCESSLIST")} - before
    assert await vanished(run, *left)


class _Gate(asyncssh.SSHServer):
    """A bastion that leads to one port under whatever name it is asked for."""

    def __init__(self, key: str, port: int) -> None:
        self._key = key
        self._port = port
        self._connection: Any = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, _: str) -> bool:
        self._connection.set_authorized_keys(self._key)
        return True

    def connection_requested(self, dest_host: str, *_: Any) -> Any:
        if dest_host != "db.internal":
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no such host")
        return self._connection.forward_connection("127.0.0.1", self._port)


@contextlib.asynccontextmanager
async def bastion(folder: Path, port: int) -> AsyncIterator[TunnelConfig]:
    for name in ("host", "id"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / name))
        key.write_public_key(str(folder / f"{name}.pub"))
    server = await asyncssh.create_server(
        lambda: _Gate(str(folder / "id.pub"), port),
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "host")],
    )
    near = server.get_port()
    hosts = folder / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{near} {(folder / 'host.pub').read_text()}")
    try:
        yield TunnelConfig(
            host="127.0.0.1", port=near, user="u", key=folder / "id", known_hosts=hosts
        )
    finally:
        server.close()
        await server.wait_closed()


NAMED = x509.DNSName("db.internal")


@pytest.mark.parametrize("pem", [NAMED], indirect=True)
async def test_a_tunnelled_server_is_verified_by_its_own_name(pem: Path, tmp_path: Path) -> None:
    flags = [f"--ssl-cert={pem}", f"--ssl-key={pem.with_name('key.pem')}"]
    async with mariadb.private(flags=flags) as server, bastion(tmp_path, server.port) as tunnel:
        login = {"user": server.user, "password": server.password}
        config = SourceConfig(host="db.internal", **login, tls="verify", ca=pem, tunnel=tunnel)
        async with open_bastions() as bastions:
            async with open_source("s", config, bastions) as source:
                async with source.session(purpose="test") as session:
                    ((_, cipher),) = await session.query("SHOW STATUS LIKE 'Ssl_cipher'")
                    assert cipher
                assert await number(source, "SELECT 1") == session.connection_id
            assert list(bastions.state().values()) == [True]
        monkey = config.model_copy(update={"host": "other.internal"})
        async with open_source("s", monkey) as source:
            with pytest.raises(UnavailableError, match="bastion cannot reach"):
                await number(source, "SELECT 1")


@pytest.mark.parametrize("pem", [x509.DNSName("elsewhere.internal")], indirect=True)
async def test_a_tunnelled_server_with_another_name_is_refused(pem: Path, tmp_path: Path) -> None:
    flags = [f"--ssl-cert={pem}", f"--ssl-key={pem.with_name('key.pem')}"]
    async with mariadb.private(flags=flags) as server, bastion(tmp_path, server.port) as tunnel:
        login = {"user": server.user, "password": server.password}
        config = SourceConfig(host="db.internal", **login, tls="verify", ca=pem, tunnel=tunnel)
        async with open_source("s", config) as source:
            with pytest.raises(ConfigError, match="certificate was refused"):
                await number(source, "SELECT 1")


async def test_a_source_with_a_tunnel_is_never_reached_without_it(box: Box, tmp_path: Path) -> None:
    """The server could be reached directly here; the declared bastion cannot."""
    async with bastion(tmp_path, box.mysql.port) as tunnel:
        config = configured(box.mysql, tunnel=tunnel.model_copy(update={"port": 1}))
    async with open_source("s", config) as source:
        with pytest.raises(UnavailableError, match="bastion cannot be reached"):
            await number(source, "SELECT 1")
    with pytest.raises(RuntimeError, match="open_source"):
        await number(Source("s", config), "SELECT 1")
