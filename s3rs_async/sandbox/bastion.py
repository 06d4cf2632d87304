"""The sandbox's bastion: an SSH server that leads to the sandbox's databases and does nothing else.

The only way to the stand-in under its own name, `redshift.sandbox.internal:5439`, is a forward
through here, and so it is with the MySQL servers (`mysql.sandbox.internal:3306`); the names exist
nowhere else, and here they mean the servers' real ports. Any other destination is refused, and so
are shells, commands, agents, reverse forwards, passwords, and every user but `tunnel` with its one
key. Where it leads is a folder: a file `HOST:PORT` for each destination, which holds the real port.
It is read at each connection, so the bastion may start before the servers do.

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

USER = "tunnel"


class Gate(asyncssh.SSHServer):
    """What one client may do."""

    def __init__(self, client_key: Path, routes: Path) -> None:
        self._client_key = client_key
        self._routes = routes
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
        """Lead to one of the databases, or nowhere."""
        del orig_host, orig_port
        # Found among the files there are: a host is whatever the client calls so, "../" as well.
        routes = {file.name: file for file in self._routes.iterdir()}
        file = routes.get(f"{dest_host}:{dest_port}")
        if not file or not self._connection:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "this bastion does not lead there"
            )
        forward = self._connection.forward_connection("127.0.0.1", int(file.read_text()))
        return cast("Awaitable[asyncssh.SSHTCPSession[bytes]]", forward)


async def serve(host_key: Path, client_key: Path, routes: Path, port: int) -> None:
    """Accept connections until we are stopped."""
    listener = await asyncssh.create_server(
        lambda: Gate(client_key, routes),
        "127.0.0.1",
        port,
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
    for option in ("--host-key", "--client-key", "--routes"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    asyncio.run(serve(options.host_key, options.client_key, options.routes, options.port))


if __name__ == "__main__":
    main()
