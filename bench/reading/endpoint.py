"""An S3 server that throws away what it is sent in parts, so that only the sender is measured.

    python endpoint.py [--keep FOLDER] [--stall SECONDS --after BYTES]

Small objects (state, claim, manifests) are kept, and the conditions on them hold, so that the
commit protocol works. Of a multipart upload only sizes and the digest-less ETags remain; with
`--keep` the parts are files and a completed upload is one file under FOLDER, named as its key.
Once it has taken BYTES of parts it stands still for SECONDS, if asked to: it reads nothing, answers
nothing and takes no connection, as a hung server does.

It reads into one buffer that every connection shares, which is sound because nothing is awaited
between the kernel's writing and our looking. Plain HTTP, loopback, no signatures checked, one
bucket assumed. It is no S3 server for anything else: see the sandbox for such.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

try:
    from reading.shelf import Answer, Asked, Shelf
except ImportError:  # run as a file
    from shelf import Answer, Asked, Shelf

_BUFFER = memoryview(bytearray(1 << 20))
_HEAD_END = b"\r\n\r\n"
_REASONS = {200: "OK", 204: "No Content", 404: "Not Found", 412: "Precondition Failed"}


class Stall:
    """One standing still, when so many bytes have come."""

    def __init__(self, seconds: float, after: int) -> None:
        self._seconds = seconds
        self._left = after

    def took(self, size: int) -> None:
        """Count bytes of parts; stand still where that was enough."""
        if self._seconds and self._left > 0:
            self._left -= size
            if self._left <= 0:
                print(f"standing still for {self._seconds:g} s", flush=True)
                time.sleep(self._seconds)
                print("going on", flush=True)


class Connection(asyncio.BufferedProtocol):
    """One client's requests, one after the other."""

    def __init__(self, shelf: Shelf, stall: Stall) -> None:
        self._shelf = shelf
        self._stall = stall
        self._head = bytearray()
        self._asked: Asked | None = None
        self._left = 0
        self._file: BinaryIO | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._file is not None:
            self._file.close()

    def get_buffer(self, _: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, size: int) -> None:
        data = _BUFFER[:size]
        while len(data):
            data = self._body(data) if self._asked is not None else self._begin(data)

    def _begin(self, data: memoryview) -> memoryview:
        """Gather a request's head; what is left of the data."""
        had = len(self._head)
        self._head += data
        end = self._head.find(_HEAD_END, max(0, had - 3))
        if end < 0:
            return data[:0]
        rest = data[end + 4 - had :]
        self._asked = asked = _parsed(bytes(self._head[:end]))
        self._head.clear()
        self._left = int(asked.headers.get("content-length", "0"))
        self._file = self._shelf.file_for(asked)
        if "expect" in asked.headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._left:
            self._answer()
        return rest

    def _body(self, data: memoryview) -> memoryview:
        asked = self._asked
        assert asked is not None
        mine = data[: self._left]
        self._left -= len(mine)
        asked.size += len(mine)
        if self._file is not None:
            self._file.write(mine)
        if asked.is_part:
            self._stall.took(len(mine))
        else:
            asked.body += mine
        if not self._left:
            self._answer()
        return data[len(mine) :]

    def _answer(self) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None
        if self._file is not None:
            self._file.close()
            self._file = None
        self._transport.write(_rendered(self._shelf.answer(asked), asked.method))


def _parsed(head: bytes) -> Asked:
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    parts = urlsplit(target)
    pairs = (line.partition(":") for line in lines[1:])
    query = {name: each[0] for name, each in parse_qs(parts.query, keep_blank_values=True).items()}
    key = unquote(parts.path).lstrip("/").partition("/")[2]
    return Asked(method, key, query, {name.lower(): value.strip() for name, _, value in pairs})


def _rendered(answer: Answer, method: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Said')}"]
    length = {"Content-Length": str(len(answer.body))}
    headers = {"Date": formatdate(usegmt=True), **length, **answer.headers}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _HEAD_END + (b"" if method == "HEAD" else answer.body)


async def serve(shelf: Shelf, stall: Stall) -> None:
    """Serve on a free port, told on stdout, until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shelf, stall), "127.0.0.1", 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--after", type=int, default=24 << 20)
    given = parser.parse_args()
    sys.exit(asyncio.run(serve(Shelf(given.keep), Stall(given.stall, given.after))))
