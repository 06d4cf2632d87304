"""The sandbox's bastion: an SSH server that leads to one place and does nothing else.

The only way to the stand-in under its own name, `redshift.sandbox.internal:5439`, is a forward
through here; the name exists nowhere else, and here it means the stand-in's real port. Any other
destination is refused, and so are shells, commands, agents, reverse forwards, passwords, and every
user but `tunnel` with its one key. The real port is read from a file at each connection, so the
bastion may start before the stand-in does.

Run as `python -m s3rs_async.sandbox.bastion`, it says `ready PORT` when it accepts. It dies with
the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Awaitable

DESTINATION = ("redshift.sandbox.internal", 5439)
USER = "tunnel"


class Gate(asyncssh.SSHServer):
    """What one client may do."""

    def __init__(self, client_key: Path, destination: Path) -> None:
        self._client_key = client_key
        self._destination = destination
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep the connection: its forwards are made from it."""
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        """Authentication is always asked for; only the one user has a key that can pass it."""
        if username == USER and self._connection:
            self._connection.set_authorized_keys(str(self._client_key))
        return True

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]]:
        """Lead to the stand-in, or nowhere."""
        del orig_host, orig_port
        if (dest_host, dest_port) != DESTINATION or not self._connection:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "this bastion does not lead there"
            )
        try:
            port = int(self._destination.read_text())
        except (OSError, ValueError):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_CONNECT_FAILED, "the stand-in is not there"
            ) from None
        forward = self._connection.forward_connection("127.0.0.1", port)
        return cast("Awaitable[asyncssh.SSHTCPSession[bytes]]", forward)


async def serve(host_key: Path, client_key: Path, destination: Path) -> None:
    """Accept connections until we are stopped."""
    listener = await asyncssh.create_server(
        lambda: Gate(client_key, destination),
        "127.0.0.1",
        0,
        server_host_keys=[str(host_key)],
        agent_forwarding=False,
        allow_pty=False,
        allow_scp=False,
        gss_host=None,
    )
    async with listener:
        sys.stdout.write(f"ready {listener.get_port()}\n")
        sys.stdout.flush()
        await listener.wait_closed()


def main() -> None:
    """The bastion as a process."""
    parser = argparse.ArgumentParser(prog="bastion")
    for option in ("--host-key", "--client-key", "--destination"):
        parser.add_argument(option, type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.host_key, options.client_key, options.destination))


if __name__ == "__main__":
    main()
