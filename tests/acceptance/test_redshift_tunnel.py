"""The tunnel against a bastion of its own: an asyncssh server in the test's loop, both loops."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
import uvloop

from s3rs_async.config import TunnelConfig
from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.redshift import tunnel
from s3rs_async.redshift.tunnel import open_tunnel

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


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    host, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    for name, key in (("host", host), ("id", client)):
        key.write_private_key(str(folder / name))
        key.write_public_key(str(folder / f"{name}.pub"))
    seen: list[Any] = []
    ssh = await asyncssh.create_server(
        lambda: Bastion(str(folder / "id.pub"), seen),
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "host")],
    )
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = ssh.get_port()
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
        ssh.close()
        await ssh.wait_closed()


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
            async with open_tunnel(w.config, "127.0.0.1", w.echo_port) as opened:
                near = opened.address
                assert near.host == "127.0.0.1"
                assert await _said_back(near.port, b"hello\n") == b"hello\n"
                assert await opened.refusal() is None
            with pytest.raises(OSError, match=r"[Cc]onnect"):
                await asyncio.open_connection("127.0.0.1", near.port)

    run(body())


def test_a_host_key_that_is_not_known_is_refused(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
            for content in ("", f"[127.0.0.1]:{w.config.port} {other}"):
                w.config.known_hosts.write_text(content)
                with pytest.raises(ConfigError, match="known_hosts") as caught:
                    async with open_tunnel(w.config, "127.0.0.1", w.echo_port):
                        pass
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
                async with open_tunnel(config, "127.0.0.1", w.echo_port):
                    pass
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
                async with open_tunnel(config, "127.0.0.1", w.echo_port):
                    pass
            agent.close()
            assert not asked.is_set()

    run(body())


@pytest.mark.parametrize("missing", ["key", "known_hosts"])
def test_a_file_that_is_missing_is_named(run: Run, tmp_path: Path, missing: str) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            config = w.config.model_copy(update={missing: tmp_path / "not-there"})
            with pytest.raises(ConfigError) as caught:
                async with open_tunnel(config, "127.0.0.1", w.echo_port):
                    pass
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
                    async with open_tunnel(config, "127.0.0.1", w.echo_port):
                        pass

    run(body())


def test_a_bastion_that_is_not_there_is_unavailable(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(tmp_path) as w:
            config = w.config.model_copy(update={"port": _unused_port()})
            with pytest.raises(UnavailableError, match="bastion"):
                async with open_tunnel(config, "127.0.0.1", w.echo_port):
                    pass

    run(body())


def test_a_bastion_that_never_answers_is_unavailable(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "LOGIN_SECONDS", 0.3)

    async def body() -> None:
        async with world(tmp_path) as w:
            silent = await asyncio.start_server(_silence, "127.0.0.1", 0)
            config = w.config.model_copy(update={"port": silent.sockets[0].getsockname()[1]})
            with pytest.raises(UnavailableError, match="bastion"):
                async with open_tunnel(config, "127.0.0.1", w.echo_port):
                    pass
            silent.close()

    run(body())


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def test_a_target_that_refuses_the_bastion_is_told_as_that(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            world(tmp_path) as w,
            open_tunnel(w.config, "127.0.0.1", _unused_port()) as opened,
        ):
            refusal = await opened.refusal()
            assert isinstance(refusal, UnavailableError)
            assert "cannot reach" in str(refusal)

    run(body())


def test_a_bastion_that_goes_away_is_noticed(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            world(tmp_path) as w,
            open_tunnel(w.config, "127.0.0.1", w.echo_port) as opened,
        ):
            assert opened.is_open()
            w.connections[-1].abort()
            await _lost(opened)
            refusal = await opened.refusal()
            assert isinstance(refusal, UnavailableError)

    run(body())


def test_a_bastion_that_falls_silent_is_noticed_by_keepalives(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "KEEPALIVE_SECONDS", 0.1)

    async def body() -> None:
        async with (
            world(tmp_path) as w,
            open_tunnel(w.config, "127.0.0.1", w.echo_port) as opened,
        ):
            peer = w.connections[-1]._transport
            peer.pause_reading()
            await _lost(opened)
            peer.resume_reading()

    run(body())


async def _lost(opened: tunnel.Tunnel) -> None:
    for _ in range(500):
        if not opened.is_open():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the loss was not noticed")


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
