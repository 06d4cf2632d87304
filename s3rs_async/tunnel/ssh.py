"""One SSH connection to a bastion, and local ports that lead through it.

The bastion must prove itself by a key in the given known_hosts file: that file is read here and
passed on explicitly, because asyncssh takes None to mean "trust anyone". Only the configured key is
offered: no agent, no ~/.ssh/config, no password. A peer that falls silent is noticed after three
unanswered keepalives, 15 s apart; the connection is then closed with all its ports, and `is_open`
says no. Opening another one is the holder's business.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncssh

from ..errors import ConfigError, Error, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import TunnelConfig

CONNECT_SECONDS: Final = 15
LOGIN_SECONDS: Final = 15
CLOSE_SECONDS: Final = 5
KEEPALIVE_SECONDS: Final = 15
KEEPALIVE_MISSES: Final = 3
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ssh:
    """A connection to a bastion: what leads through it, and what can be asked of it."""

    config: TunnelConfig
    _connection: asyncssh.SSHClientConnection

    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return not self._connection.is_closed()

    async def forward(self, host: str, port: int) -> int:
        """A free local port that leads through the bastion to `host`:`port` from now on."""
        try:
            listener = await self._connection.forward_local_port(LOOPBACK, 0, host, port)
        except (asyncssh.Error, OSError) as error:
            raise _unreachable(self.config, error) from error
        return listener.get_port()

    async def refusal(self, host: str, port: int) -> Error | None:
        """Why the far end cannot be reached from the bastion; None if it can."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await self._connection.open_connection(host, port)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            return UnavailableError(
                "the bastion cannot reach the target",
                where="tunnel",
                bastion=self.config.place,
                target=f"{host}:{port}",
                reason=_reason(error),
                hint="check host and port of the target, and that its network lets the bastion in",
            )
        writer.close()
        return None

    async def close(self) -> None:
        """Say goodbye, or hang up."""
        self._connection.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.wait_closed()
        except TimeoutError:
            pass
        finally:
            self._connection.abort()


async def connect(config: TunnelConfig) -> Ssh:
    """Connect and log in; ConfigError where that will never work as it is configured."""
    return Ssh(config, await _connect(config))


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
            bastion=config.place,
            user=config.user,
            key=str(config.key),
            hint="put the key's public half into that user's authorized_keys on the bastion",
        ) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise _unreachable(config, error) from error


def _unreachable(config: TunnelConfig, error: BaseException) -> UnavailableError:
    return UnavailableError(
        "the bastion cannot be reached",
        where="tunnel",
        bastion=config.place,
        reason=_reason(error),
        hint="check tunnel.host and tunnel.port, and that this machine may connect to it",
    )


def _unknown_host(config: TunnelConfig) -> ConfigError:
    return ConfigError(
        "the bastion's host key is not in known_hosts",
        where="tunnel",
        bastion=config.place,
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


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__
