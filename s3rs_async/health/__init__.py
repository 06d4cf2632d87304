"""What the daemon answers over HTTP: alive, ready, and its figures. Read only, no state, no secret.

`/healthz` says whether the loop turns, and nothing else: a liveness probe that asked MySQL would
have Kubernetes kill a healthy daemon because a database is away. What is away is told by `/readyz`,
one line a reason. `/metrics` is for Prometheus.

The answers name tables and say what is broken, and there is neither TLS nor a password, so the
default is loopback: whoever may connect may read. In a container, where the probe comes from
outside the pod's loopback, say `0.0.0.0:8080` and let a NetworkPolicy decide who connects. A host
that is left out is loopback too, never every interface.

Nobody who connects can harm the pipeline: a connection gets one answer and ends after
`LIFETIME` seconds whatever the other side does, at most `MOST_CONNECTIONS` are open, bodies are not
read, and a scrape is written in a thread of its own, one at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from ..errors import ConfigError
from ..metrics import Metrics
from .answer import Answers, Pulse

DEFAULT_LISTEN: Final = "127.0.0.1:8080"
OFF: Final = "off"

_LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serving(
    listen: str, metrics: Metrics, ready: Callable[[], Sequence[str]]
) -> AsyncIterator[str | None]:
    """Answer at `listen` while inside; the address that was bound, None where it is "off"."""
    if listen == OFF:
        yield None
        return
    host, port = split(listen)
    from .server import listening  # noqa: PLC0415 - aiohttp's server takes 0.1 s to load

    with Pulse() as pulse, Answers(pulse, metrics, ready) as answers:
        async with listening(host, port, answers) as address:
            yield address


def split(listen: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port` or `:port` → host and port; ConfigError for anything else."""
    host, colon, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    known = colon and port.isascii() and port.isdecimal() and int(port) < 65536  # noqa: PLR2004
    if not known or (":" in bare and bare == host):
        raise ConfigError(
            "not an address to listen at",
            listen=listen,
            where="config",
            hint=f"give --listen host:port, e.g. {DEFAULT_LISTEN}, or {OFF}",
        )
    return bare or _LOOPBACK, int(port)
