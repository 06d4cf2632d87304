"""Parts of a running sandbox that are down for a while, as after a crash.

A part is ended by SIGKILL and started again with what it had: its port, its data, its keys. So
nobody's configuration changes, and clients see what they see of a real crash: connections reset,
then refused, then all well again. While it is down its port is kept bound by a socket that does not
listen; else another program could get it, and a client that tries again and again could even get
the very port from the kernel as its own end, and be connected to itself.

MariaDB's committed rows and the S3 servers with files outlive it. The stand-in's PostgreSQL goes on
running behind the halted front, as a cluster's data would. moto has its objects in memory, so it is
not halted at all.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from ..errors import ConfigError
from . import mariadb, s3

if TYPE_CHECKING:
    from .box import Box
    from .process import Den, Process

READY = r"^ready (\d+)$"


class Outages:
    """Which parts are down now, and the sockets that keep their ports."""

    def __init__(self, den: Den, box: Box) -> None:
        self._den = den
        self._box = box
        self._down: dict[str, socket.socket] = {}

    def halt(self, part: str) -> None:
        """End a part, and keep its port."""
        process, port = self._found(part)
        if part in self._down:
            raise ConfigError("it is halted already", part=part, hint="resume it first")
        if process.name == "moto":
            raise ConfigError(
                "moto cannot be halted: its objects are in its memory",
                hint="start the sandbox with seaweedfs or ministack as its S3 server",
            )
        self._den.halt(process)
        self._down[part] = _kept(port)

    async def resume(self, part: str) -> None:
        """Start a halted part, and wait until it is ready."""
        process, port = self._found(part)
        if part not in self._down:
            raise ConfigError("it is not halted", part=part, hint="only a halted part is resumed")
        self._down.pop(part).close()
        if part == "s3":
            self._den.again(process)
            await s3.ready(self._box.s3)
        else:
            self._den.again(process, f"--port={port}")  # the last one counts
            await process.ready(mariadb.READY if part.startswith("mysql") else READY)

    def close(self) -> None:
        """Give the ports back."""
        with contextlib.ExitStack() as stack:
            for each in self._down.values():
                stack.enter_context(each)
        self._down.clear()

    def _found(self, part: str) -> tuple[Process, int]:
        box = self._box
        parts = {
            **{each.name: (each.process, each.port) for each in box.mysqls},
            "bastion": (box.bastion.process, box.bastion.port),
            "redshift": (box.redshift.process, box.redshift.port),
            "s3": (box.s3.process, int(box.s3.url.rpartition(":")[2])),
        }
        if part not in parts:
            raise ConfigError(
                "no such part in the sandbox", part=part, hint=f"there are: {', '.join(parts)}"
            )
        return parts[part]


def _kept(port: int) -> socket.socket:
    """A socket that has the port and refuses everybody."""
    kept = socket.socket()
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", port))
    except BaseException:
        kept.close()
        raise
    return kept
