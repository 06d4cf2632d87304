"""systemd's notification protocol: a datagram of lines to the socket that it names.

The daemon says READY=1 once it takes work, STATUS=… when what it does changes, WATCHDOG=1 while it
lives and STOPPING=1 at its end. Without $NOTIFY_SOCKET nobody listens and nothing is sent, so the
daemon needs no option for it. A word that does not arrive costs no work: each reason is logged
once, and systemd draws its own conclusion.

The socket is asked for at each word: it takes microseconds, holds no descriptor, and never waits.
A path that begins with "@" is Linux' abstract name. Other kinds (vsock) are not spoken here.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache

import structlog

from .errors import one_line

log = structlog.get_logger()


def notify(*words: str) -> None:
    """Send words such as "READY=1" or "STATUS=3 tables wait" together, one a line."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        _send(address, "\n".join(one_line(word) for word in words))
    except OSError as error:
        _tell_once(address, error.strerror or str(error))


def watchdog_seconds() -> float | None:
    """How often to say WATCHDOG=1: half of what systemd waits for it; None where it does not."""
    patience = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    if not ours or not patience.isdecimal() or int(patience) == 0:
        return None
    return int(patience) / 2_000_000


def _send(address: str, text: str) -> None:
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0)
        channel.sendto(text.encode(), name)


@lru_cache(maxsize=16)
def _tell_once(address: str, reason: str) -> None:
    log.warning("systemd does not hear us", socket=address, reason=reason)
