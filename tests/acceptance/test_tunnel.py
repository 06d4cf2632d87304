"""Bastions against real ones: asyncssh servers in the test's loop, on both loops."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
import uvloop

from s3rs_async.config import TunnelConfig
from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.tunnel import Address, Bastions, open_bastions, ssh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def running(body: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(body)

    return running


class Bastion(asyncssh.SSHServer):
    def __init__(self, client_key: str, seen: list[Any]) -> None:
        self.client_key = client_key
        self.seen = seen

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.seen.append(conn)

    def begin_auth(self, username: str) -> bool:
        if username == "tunnel":
            self.seen[-1].set_authorized_keys(self.client_key)
        return True

    def connection_requested(self, *_: Any) -> bool:
        return True


@dataclass
class World:
    config: TunnelConfig
    echo_port: int
    connections: list[Any]

    async def way(self, bastions: Bastions, config: TunnelConfig | None = None) -> Address:
        return await bastions.address(config or self.config, "127.0.0.1", self.echo_port)

    async def refusal(self, bastions: Bastions) -> Any:
        return await bastions.refusal(self.config, "127.0.0.1", self.echo_port)

    def is_open(self, bastions: Bastions) -> bool:
        return bastions.state()[f"127.0.0.1:{self.config.port}"]


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    host, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    for name, key in (("host", host), ("id", client)):
        key.write_private_key(str(folder / name))
        key.write_public_key(str(folder / f"{name}.pub"))
    seen: list[Any] = []
    server = await asyncssh.create_server(
        lambda: Bastion(str(folder / "id.pub"), seen),
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "host")],
    )
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.get_port()
    known_hosts = folder / "known_hosts"
    public = (folder / "host.pub").read_text()
    known_hosts.write_text(f"[127.0.0.1]:{port} {public}")
    config = TunnelConfig(
        host="127.0.0.1", port=port, user="tunnel", key=folder / "id", known_hosts=known_hosts
    )
    try:
        yield World(config, echo.sockets[0].getsockname()[1], seen)
    finally:
        echo.close()
        server.close()
        await server.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(await reader.readline())
        await writer.drain()
    finally:
        writer.close()


async def _said_back(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await reader.readline()
    finally:
        writer.close()


def test_bytes_go_through_and_the_port_is_gone_afterwards(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            async with open_bastions() as bastions:
                near = await w.way(bastions)
                assert near.host == "127.0.0.1"
                assert await _said_back(near.port, b"hello\n") == b"hello\n"
                assert await w.refusal(bastions) is None
            with pytest.raises(OSError, match=r"[Cc]onnect"):
                await asyncio.open_connection("127.0.0.1", near.port)

    run(body())


def test_ways_through_one_bastion_share_a_connection(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w, world(_folder(tmp_path, "other")) as other:
            async with open_bastions() as bastions, asyncio.TaskGroup() as group:
                ways = [group.create_task(w.way(bastions)) for _ in range(3)]
                beyond = group.create_task(bastions.address(w.config, "127.0.0.1", other.echo_port))
                aside = group.create_task(other.way(bastions))
            assert len({way.result() for way in ways}) == 1
            assert len({ways[0].result(), beyond.result(), aside.result()}) == 3
            assert (len(w.connections), len(other.connections)) == (1, 1)

    run(body())


def test_a_bastion_that_was_lost_is_opened_again_once_for_all(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w, open_bastions() as bastions:
            await w.way(bastions)
            w.connections[-1].abort()
            await _lost(w, bastions)
            async with asyncio.TaskGroup() as group:
                ways = [group.create_task(w.way(bastions)) for _ in range(3)]
            assert await _said_back(ways[0].result().port, b"hello\n") == b"hello\n"
            assert len(w.connections) == 2
            assert w.is_open(bastions)

    run(body())


def test_a_bastion_that_hangs_holds_up_no_other_and_fails_once_for_all(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LOGIN_SECONDS", 0.5)

    async def body() -> None:
        silent = await asyncio.start_server(_silence, "127.0.0.1", 0)
        async with world(tmp_path) as w, open_bastions() as bastions:
            dead = w.config.model_copy(update={"port": silent.sockets[0].getsockname()[1]})
            began = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(_refused(w, bastions, dead)) for _ in range(3)]
                await w.way(bastions)
                assert not any(each.done() for each in asking)
            assert asyncio.get_running_loop().time() - began < 1.2
            assert len({id(each.result()) for each in asking}) == 3
            assert bastions.state() == {dead.place: False, w.config.place: True}
        silent.close()

    run(body())


async def _refused(w: World, bastions: Bastions, config: TunnelConfig) -> UnavailableError:
    with pytest.raises(UnavailableError, match="bastion cannot be reached") as caught:
        await w.way(bastions, config)
    return caught.value


def test_a_caller_who_is_cancelled_leaves_nothing_open(run: Run, tmp_path: Path) -> None:
    """Cancelled at every turn of the loop on its way, by itself and with the bastions."""

    async def body() -> None:
        async with world(tmp_path) as w:
            before = len(asyncio.all_tasks())
            for turns in range(12):
                async with open_bastions() as bastions:
                    asking = asyncio.ensure_future(w.way(bastions))
                    await _turns(turns)
                    asking.cancel()
                    await asyncio.wait([asking])
                    near = await w.way(bastions)
                    assert await _said_back(near.port, b"hello\n") == b"hello\n"
                await _all_gone(w, before)
                whole = asyncio.ensure_future(_opened(w))
                await _turns(turns)
                whole.cancel()
                await asyncio.wait([whole])
                await _all_gone(w, before)

    run(body())


async def _opened(w: World) -> None:
    async with open_bastions() as bastions:
        await w.way(bastions)
        await asyncio.sleep(10)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0.003)


async def _all_gone(w: World, tasks: int) -> None:
    for _ in range(500):
        if len(asyncio.all_tasks()) <= tasks and all(each.is_closed() for each in w.connections):
            return
        await asyncio.sleep(0.01)
    pytest.fail("something was left open")


async def test_what_fails_among_bastions_is_raised_as_itself() -> None:
    with pytest.raises(ConfigError, match="mine"):
        async with open_bastions():
            raise ConfigError("mine")


def test_the_library_is_loaded_by_the_first_tunnel_alone() -> None:
    look = "import sys, s3rs_async.redshift.connection; print('asyncssh' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_a_host_key_that_is_not_known_is_refused(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
            for content in ("", f"[127.0.0.1]:{w.config.port} {other}"):
                w.config.known_hosts.write_text(content)
                with pytest.raises(ConfigError, match="known_hosts") as caught:
                    async with open_bastions() as bastions:
                        await w.way(bastions, w.config)
                assert f"ssh-keyscan -p {w.config.port}" in caught.value.hint
                assert "fingerprint" in caught.value.hint

    run(body())


def test_a_key_that_the_bastion_does_not_take_is_refused(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            stranger = tmp_path / "stranger"
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
            config = w.config.model_copy(update={"key": stranger})
            with pytest.raises(ConfigError, match="let us in") as caught:
                async with open_bastions() as bastions:
                    await w.way(bastions, config)
            assert caught.value.context["user"] == "tunnel"

    run(body())


def test_neither_agent_nor_ssh_config_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would let us in here; only the configured key may, and it does not fit."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))

    async def body() -> None:
        async with world(tmp_path) as w:
            (home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {tmp_path / 'id'}\n")
            (home / ".ssh" / "id_ed25519").write_bytes((tmp_path / "id").read_bytes())
            asked = asyncio.Event()
            agent = await asyncio.start_unix_server(
                lambda *_: asked.set(), path=str(tmp_path / "agent")
            )
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
            stranger = tmp_path / "stranger"
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
            config = w.config.model_copy(update={"key": stranger})
            with pytest.raises(ConfigError, match="let us in"):
                async with open_bastions() as bastions:
                    await w.way(bastions, config)
            agent.close()
            assert not asked.is_set()

    run(body())


@pytest.mark.parametrize("missing", ["key", "known_hosts"])
def test_a_file_that_is_missing_is_named(run: Run, tmp_path: Path, missing: str) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            config = w.config.model_copy(update={missing: tmp_path / "not-there"})
            with pytest.raises(ConfigError) as caught:
                async with open_bastions() as bastions:
                    await w.way(bastions, config)
            assert caught.value.context["file"] == str(tmp_path / "not-there")

    run(body())


def test_a_key_that_is_none_or_has_a_passphrase_is_refused(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            locked = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key(
                "pkcs8-pem", passphrase="x"
            )
            for content in (b"this is no key\n", locked):
                (tmp_path / "bad").write_bytes(content)
                config = w.config.model_copy(update={"key": tmp_path / "bad"})
                with pytest.raises(ConfigError, match="private key"):
                    async with open_bastions() as bastions:
                        await w.way(bastions, config)

    run(body())


def test_a_bastion_that_is_not_there_is_unavailable(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            config = w.config.model_copy(update={"port": _unused_port()})
            with pytest.raises(UnavailableError, match="bastion"):
                async with open_bastions() as bastions:
                    await w.way(bastions, config)

    run(body())


def test_a_bastion_that_never_answers_is_unavailable(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LOGIN_SECONDS", 0.3)

    async def body() -> None:
        async with world(tmp_path) as w:
            silent = await asyncio.start_server(_silence, "127.0.0.1", 0)
            config = w.config.model_copy(update={"port": silent.sockets[0].getsockname()[1]})
            with pytest.raises(UnavailableError, match="bastion"):
                async with open_bastions() as bastions:
                    await w.way(bastions, config)
            silent.close()

    run(body())


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def test_a_target_that_refuses_the_bastion_is_told_as_that(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w, open_bastions() as bastions:
            nowhere = _unused_port()
            await bastions.address(w.config, "127.0.0.1", nowhere)
            refusal = await bastions.refusal(w.config, "127.0.0.1", nowhere)
            assert isinstance(refusal, UnavailableError)
            assert "cannot reach" in str(refusal)

    run(body())


def test_a_bastion_that_goes_away_is_noticed(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w, open_bastions() as bastions:
            await w.way(bastions)
            assert w.is_open(bastions)
            w.connections[-1].abort()
            await _lost(w, bastions)
            refusal = await w.refusal(bastions)
            assert isinstance(refusal, UnavailableError)

    run(body())


def test_a_bastion_that_falls_silent_is_noticed_by_keepalives(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE_SECONDS", 0.1)

    async def body() -> None:
        async with world(tmp_path) as w, open_bastions() as bastions:
            await w.way(bastions)
            peer = w.connections[-1]._transport
            peer.pause_reading()
            await _lost(w, bastions)
            peer.resume_reading()

    run(body())


async def _lost(w: World, bastions: Bastions) -> None:
    for _ in range(500):
        if not w.is_open(bastions):
            return
        await asyncio.sleep(0.01)
    pytest.fail("the loss was not noticed")


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
