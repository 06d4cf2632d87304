"""Faults on the way between a program and a server, put there and taken away while both run.

    async with proxy("127.0.0.1", port) as way:  # any protocol over TCP
        cut = way.put(Reset(4_000), DOWN)
        ...  # the program connects to way.address
        await cut.met.wait()

    async with s3_faults(store.url) as s3:  # S3: whole requests and answers
        lost = s3.put(Match("PUT", "/state[.]json$"), Drop(applied=True))

The first knows bytes and directions, the second requests and what became of them at the server:
that something was carried out and its answer lost can be said for one request only there. Neither
touches what it passes on unless it was told to, so signatures and TLS hold from end to end.
"""

from __future__ import annotations

from .rules import (
    CONFLICT,
    EXPIRED,
    FAILED_AFTER,
    FULL,
    SLOW_DOWN,
    STALE,
    Answer,
    Armed,
    Drop,
    Fault,
    Hold,
    Late,
    Match,
    Retag,
    S3Request,
    Step,
    Truncate,
)
from .s3 import S3Faults, s3_faults
from .tcp import Proxy, proxy
from .toxics import (
    DOWN,
    UP,
    Bandwidth,
    Blackhole,
    Corrupt,
    HalfClose,
    Keep,
    Latency,
    Placed,
    Reset,
    Slice,
    Toxic,
    Way,
)

__all__ = [
    "CONFLICT",
    "DOWN",
    "EXPIRED",
    "FAILED_AFTER",
    "FULL",
    "SLOW_DOWN",
    "STALE",
    "UP",
    "Answer",
    "Armed",
    "Bandwidth",
    "Blackhole",
    "Corrupt",
    "Drop",
    "Fault",
    "HalfClose",
    "Hold",
    "Keep",
    "Late",
    "Latency",
    "Match",
    "Placed",
    "Proxy",
    "Reset",
    "Retag",
    "S3Faults",
    "S3Request",
    "Slice",
    "Step",
    "Toxic",
    "Truncate",
    "Way",
    "proxy",
    "s3_faults",
]
