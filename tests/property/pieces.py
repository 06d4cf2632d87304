"""A result's bytes as they come from a server, some at a time, cut into packets of rows."""

from __future__ import annotations

from s3rs_async.mysql.wire import Cutter, Packets


def cut(data: bytes, step: int, sequence: int = 3) -> list[Packets]:
    """The packets that are whole after each `step` bytes; the result must end with the data."""
    cutter, found = Cutter(sequence), []
    for at in range(0, len(data), step):
        cutter.feed(data[at : at + step])
        cutter.walk()
        while cutter.ready:
            found.append(cutter.take())
    assert cutter.done
    return found
