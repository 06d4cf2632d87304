"""A TCP proxy whose ways have toxics: `async with proxy(host, port) as way`.

Each connection to it is one to the server, made before a byte is read; a server that refuses is a
reset to the client. Bytes go on as they come, at most a piece of 64 KiB is under way in each
direction, and the end of a stream goes on as an end. What a connection suffers stays with it: the
next one is whole again, unless a toxic is still to strike. It belongs to the loop that opened it.

A client that is killed while its answers are kept ends the way up at once, as its kernel would;
`Keep` in that direction too, and the server hears nothing of it, as behind a dead router.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from ...flow import together
from .toxics import DOWN, UP, Dice, Ending, Placed, Toxic, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE: Final = 65_536
_GONE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing is a reset


class _Link:
    """One connection: the two streams on either side."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = {DOWN: client, UP: server}

    def reset(self) -> None:
        """Both sides see their connection reset."""
        for end in self.ends.values():
            _reset(end)


class Proxy:
    """A running proxy."""

    def __init__(self, host: str, port: int, tasks: asyncio.TaskGroup, seed: int) -> None:
        self._server = host, port
        self._tasks = tasks
        self._dice = Dice(seed)
        self._links: set[_Link] = set()
        self._closed = False
        self._placed: dict[Way, list[Placed]] = {UP: [], DOWN: []}
        self.passed: dict[Way, int] = {UP: 0, DOWN: 0}
        self.connections = 0
        self.address = ("", 0)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self.address[1]

    def put(self, toxic: Toxic, way: Way) -> Placed:
        """Place a toxic behind those that are in this direction already."""
        placed = Placed(toxic, Dice(self._dice.below(1 << 30)))
        self._placed[way].append(placed)
        return placed

    def heal(self) -> None:
        """Lift and forget all toxics."""
        for placed in (*self._placed[UP], *self._placed[DOWN]):
            placed.lift()
        self._placed = {UP: [], DOWN: []}

    def cut(self) -> int:
        """Reset all connections that there are; how many."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def close(self) -> None:
        """End all connections, those that are just being made as well."""
        self._closed = True
        self.heal()
        self.cut()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self.connections += 1
        self._tasks.create_task(self._served(reader, writer), name="proxied")

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection(*self._server)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, server)
        self._links.add(link)
        if self._closed:
            link.reset()
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carried(UP, reader, link), name="up")
                ways.create_task(self._carried(DOWN, answers, link), name="down")
        finally:
            self._links.discard(link)
            for end in link.ends.values():
                end.close()

    async def _carried(self, way: Way, reader: asyncio.StreamReader, link: _Link) -> None:
        """One direction, to its end; a side that breaks resets the other."""
        try:
            while piece := await reader.read(_PIECE):
                ending = await self._passed_on(way, piece, link.ends[way])
                if ending is not None:
                    await _end(ending, reader, way, link)
                    return
            for placed in self._placed[way]:
                await placed.held()
            link.ends[way].write_eof()
        except OSError:
            link.reset()

    async def _passed_on(
        self, way: Way, piece: bytes, writer: asyncio.StreamWriter
    ) -> Ending | None:
        pieces, ending = [piece], None
        for placed in self._placed[way][:]:
            treated = []
            for each in pieces:
                some, end = await placed.treat(each, writer)
                treated += some
                ending = ending or end
            pieces = treated
        for each in pieces:
            self.passed[way] += len(each)
            writer.write(each)
            await writer.drain()
        return ending


@asynccontextmanager
async def proxy(host: str, port: int, *, seed: int = 0) -> AsyncIterator[Proxy]:
    """A proxy in front of a server, on a free port; all its connections end with the block."""
    async with together() as tasks:
        running = Proxy(host, port, tasks, seed)
        listening = await asyncio.start_server(running.accept, "127.0.0.1", 0)
        running.address = listening.sockets[0].getsockname()[:2]
        try:
            yield running
        finally:
            listening.close()
            running.close()


async def _end(ending: Ending, reader: asyncio.StreamReader, way: Way, link: _Link) -> None:
    match ending:
        case Ending.RESET:
            link.reset()
        case Ending.CLOSED:
            link.ends[way].write_eof()
            await _swallow(reader)
        case Ending.SILENT:
            await _swallow(reader)


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(_PIECE):
        pass


def _reset(end: asyncio.StreamWriter) -> None:
    sock = end.get_extra_info("socket")
    with suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _GONE)
    end.transport.abort()
