"""A local port that leads through the bastion to one host and port behind it.

The bastion must prove itself by a key in the given known_hosts file: that file is read here and
passed on explicitly, because asyncssh takes None to mean "trust anyone". Only the configured key is
offered: no agent, no ~/.ssh/config, no password. A peer that falls silent is noticed after three
unanswered keepalives, 15 s apart; the forward is then closed, its connections break, and `is_open`
says no. Opening another one is the holder's business (`connection.Target`).

This is not a supervisor: it never reconnects by itself, so a session cannot be moved unseen from
one connection to another in the middle of a transaction.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncssh

from ..errors import ConfigError, Error, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ..config import TunnelConfig

CONNECT_SECONDS: Final = 15
LOGIN_SECONDS: Final = 15
CLOSE_SECONDS: Final = 5
KEEPALIVE_SECONDS: Final = 15
KEEPALIVE_MISSES: Final = 3
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to: the host itself, or the near end of a tunnel."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An open forward: its near end, and what can be asked of it."""

    address: Address
    far: Address
    bastion: str
    _ssh: asyncssh.SSHClientConnection

    def is_open(self) -> bool:
        """Whether the SSH connection still stands."""
        return not self._ssh.is_closed()

    async def refusal(self) -> Error | None:
        """Why the far end cannot be reached from the bastion; None if it can."""
        if not self.is_open():
            return UnavailableError(
                "the tunnel was lost",
                where="tunnel",
                bastion=self.bastion,
                hint="it is opened again at the next attempt",
            )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await self._ssh.open_connection(self.far.host, self.far.port)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            return UnavailableError(
                "the bastion cannot reach the target",
                where="tunnel",
                bastion=self.bastion,
                target=f"{self.far.host}:{self.far.port}",
                reason=_reason(error),
                hint="check host and port of the target, and that its network lets the bastion in",
            )
        writer.close()
        return None


@asynccontextmanager
async def open_tunnel(config: TunnelConfig, host: str, port: int) -> AsyncIterator[Tunnel]:
    """A forward from a free local port, through the bastion, to `host`:`port`."""
    ssh = await _connect(config)
    try:
        listener = await ssh.forward_local_port(LOOPBACK, 0, host, port)
        near = Address(LOOPBACK, listener.get_port())
        yield Tunnel(near, Address(host, port), _bastion(config), ssh)
    finally:
        await _close(ssh)


async def _close(ssh: asyncssh.SSHClientConnection) -> None:
    ssh.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await ssh.wait_closed()
    except TimeoutError:
        ssh.abort()


async def _connect(config: TunnelConfig) -> asyncssh.SSHClientConnection:
    key, known_hosts = _key(config), _known_hosts(config)
    try:
        return await asyncssh.connect(
            config.host,
            config.port,
            username=config.user,
            client_keys=[key],
            known_hosts=known_hosts,
            config=None,
            agent_path=None,
            preferred_auth="publickey",
            connect_timeout=CONNECT_SECONDS,
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVE_MISSES,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise _unknown_host(config) from error
    except asyncssh.PermissionDenied as error:
        raise ConfigError(
            "the bastion does not let us in",
            where="tunnel",
            bastion=_bastion(config),
            user=config.user,
            key=str(config.key),
            hint="put the key's public half into that user's authorized_keys on the bastion",
        ) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise UnavailableError(
            "the bastion cannot be reached",
            where="tunnel",
            bastion=_bastion(config),
            reason=_reason(error),
            hint="check tunnel.host and tunnel.port, and that this machine may connect to it",
        ) from error


def _unknown_host(config: TunnelConfig) -> ConfigError:
    return ConfigError(
        "the bastion's host key is not in known_hosts",
        where="tunnel",
        bastion=_bastion(config),
        known_hosts=str(config.known_hosts),
        hint=(
            f"run ssh-keyscan -p {config.port} {config.host} > new_keys, compare the fingerprint"
            " that ssh-keygen -lf new_keys prints with the one its owner gives you, and only then"
            f" append new_keys to {config.known_hosts}"
        ),
    )


def _key(config: TunnelConfig) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(str(config.key))
    except OSError as error:
        raise _unreadable("the tunnel's key", config.key, error) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise ConfigError(
            "the tunnel's key is not a private key that we can open",
            where="tunnel",
            file=str(config.key),
            hint="name an OpenSSH private key without a passphrase",
        ) from error


def _known_hosts(config: TunnelConfig) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.read_known_hosts(str(config.known_hosts))
    except OSError as error:
        raise _unreadable("the tunnel's known_hosts", config.known_hosts, error) from error
    except ValueError as error:
        raise ConfigError(
            "the tunnel's known_hosts is not one",
            where="tunnel",
            file=str(config.known_hosts),
            reason=_reason(error),
            hint="one host and key a line, as ssh-keyscan prints them",
        ) from error


def _unreadable(what: str, path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{what} cannot be read",
        where="tunnel",
        file=str(path),
        reason=error.strerror,
        hint="name a file that exists and that this user may read",
    )


def _bastion(config: TunnelConfig) -> str:
    return f"{config.host}:{config.port}"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__
