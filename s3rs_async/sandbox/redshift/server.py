"""The listening front: one backend session for each client session, on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .catalog import Catalogue, Who, open_catalogue
from .copying.store import Store, StoreAccess, open_store
from .faults import RedshiftError
from .knobs import Knobs, turned
from .planning.settings import backend_parameters, take_knobs
from .rules import in_force
from .session.line import Line
from .session.session import Session
from .wire import (
    INT,
    CancelRequest,
    Channel,
    ClosedError,
    Login,
    StartUp,
    first_message,
    log_in,
    refuse,
    start_message,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
_SOCKET = ".s.PGSQL.5432"
_LOGIN_SECONDS = 30.0
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a front stands between."""

    sockets: Path
    login: Login
    access: StoreAccess
    port: int = 0


class Front:
    """What the sessions share."""

    def __init__(self, wiring: Wiring, store: Store, catalogue: Catalogue) -> None:
        self._socket = str(wiring.sockets / _SOCKET)
        self._login = wiring.login
        self._queries = itertools.count(catalogue.first_query)
        self._lines: dict[bytes, Line] = {}
        self._live: dict[Channel, asyncio.Task[None]] = {}
        self.store = store
        self.catalogue = catalogue
        self.knobs = Knobs()

    def next_query(self) -> int:
        """A query id."""
        return next(self._queries)

    def known(self, line: Line) -> None:
        """A session whose cancel key is known now."""
        self._lines[line.key] = line

    def who(self, key: bytes) -> Who:
        """The session as a log names it."""
        return Who(INT.unpack_from(key)[0], self._login.database)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, whatever it turns out to be."""
        client = Channel(reader, writer)
        if task := asyncio.current_task():
            self._live[client] = task
        try:
            knobs = Knobs(self.knobs)
            in_force.set(knobs)
            turned.set(knobs)
            async with asyncio.timeout(_LOGIN_SECONDS):
                start = await self._admit(client, knobs)
            if start is not None:
                await self._session(client, start, knobs)
        except (ClosedError, TimeoutError):
            pass
        finally:
            await client.close()
            self._live.pop(client, None)

    async def end(self) -> None:
        """End every session by closing its client's side."""
        running = list(self._live.values())
        for client in list(self._live):
            client.abort()
        if running:
            await asyncio.wait(running, timeout=_END_SECONDS)

    async def _admit(self, client: Channel, knobs: Knobs) -> StartUp | None:
        try:
            first = await first_message(client, self._login.tls)
            if isinstance(first, StartUp):
                for name, value in take_knobs(first.parameters).items():
                    knobs.turn(name, value)
                await log_in(client, first, self._login)
                return StartUp(backend_parameters(first.parameters, knobs))
            await self._cancel(first)
        except RedshiftError as error:
            await refuse(client, error)
        return None

    async def _cancel(self, request: CancelRequest) -> None:
        line = self._lines.get(request.key)
        if line is not None:
            line.stop.set()
            await request.forward(self._socket)

    async def _session(self, client: Channel, start: StartUp, knobs: Knobs) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=1 << 18)
        except OSError as error:
            raise ClosedError from error
        backend = Channel(reader, writer)
        session = Session(self, client, backend, knobs)
        try:
            await backend.send(start_message(start.parameters))
            await session.run()
        finally:
            self._lines.pop(session.line.key, None)
            backend.abort()


@asynccontextmanager
async def open_front(wiring: Wiring) -> AsyncIterator[int]:
    """A front that accepts connections; gives its port."""
    sockets, login = str(wiring.sockets), wiring.login
    async with (
        open_store(wiring.access) as store,
        open_catalogue(sockets, login.user, login.database) as catalogue,
    ):
        front = Front(wiring, store, catalogue)
        server = await asyncio.start_server(front.serve, HOST, wiring.port, limit=1 << 18)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await front.end()
