"""The line of a session: client on one side, backend on the other, and a tap between them.

Everything that the backend says goes to the client as it comes, in Redshift's words (`words`),
unless the session has been taken over; then it goes into the tap. To take over, the line waits
until the backend has answered all that was sent, then fences the stream with a Close that must be
answered. After an error the backend skips to the next Sync, and so there is nothing to take over.

A client that vanished but whose COPY goes on as a ghost is written to no more.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Protocol

from ..faults import BackendError, Cycle, Fields
from ..knobs import Knobs
from ..planning.settings import mirror
from ..takeover import TakeOver
from ..wire import INT, Channel, Message, cstrings
from .translate import Scene, translate
from .words import client_types, parameter

_TAPPED_MESSAGES = 1000
_UNDONE = frozenset([b"RESET\0", b"ROLLBACK\0"])
_ANSWERED = (b"S", b"Q", b"F")


class Clerk(Protocol):
    """Who counts queries, and knows sessions by their keys."""

    def next_query(self) -> int:
        """A query id."""

    def known(self, line: Line) -> None:
        """A session whose cancel key is known now."""


class Line:
    """Both sides of a session, and where the backend's transaction stands."""

    def __init__(self, clerk: Clerk, client: Channel, backend: Channel, knobs: Knobs) -> None:
        self._clerk = clerk
        self._knobs = knobs
        self._backend = backend
        self._tap: asyncio.Queue[Message] | None = None
        self._names = itertools.count(1)
        self._pending = 1
        self._closes = 0
        self._answered = asyncio.Event()
        self.client = client
        self.status = b"I"
        self.failed = False
        self.ended = False
        self.ghost = False
        self.in_batch = False
        self.has_snapshot = False
        self.cycle = Cycle()
        self._mirrored: tuple[str, ...] | None = mirror(knobs)
        self._has_mirrored = False
        self.key = b""
        self.stop = asyncio.Event()

    @property
    def pid(self) -> int:
        """The backend's process."""
        return int(INT.unpack_from(self.key)[0]) if self.key else 0

    def mirror(self) -> tuple[str, ...]:
        """Statements that tell the backend where the knobs stand; empty when it knows.

        A rollback, an error and RESET may have undone what was told.
        """
        wanted = mirror(self._knobs)
        known = wanted if self._mirrored is None and not self._has_mirrored else self._mirrored
        if wanted == known or self.status == b"E":
            return ()
        self._mirrored, self._has_mirrored = wanted, True
        return wanted

    async def pump(self) -> None:
        """Backend to client, or to the tap."""
        while True:
            if not self._backend.ready():
                await self.keep_up()
            kind, body = await self._backend.read()
            if kind == b"Z":
                self._stands(body)
            if kind == b"S":
                for said in parameter(body, self._knobs):
                    self._write(b"S", said)
            elif kind == b"E" and Fields.parse(body).get("V") in ("FATAL", "PANIC"):
                self.ended = True
                self.say(kind, body)
            elif self._tap is not None:
                await self._tap.put(Message(kind, body))
            else:
                self._observe(kind, body)
                self.say(kind, body)

    def _stands(self, status: bytes) -> None:
        self.status = status
        if status == b"I":
            self.has_snapshot, self.cycle = False, Cycle()

    def _observe(self, kind: bytes, body: bytes) -> None:
        if kind == b"Z":
            self.failed, self._closes = False, 0
            self._pending -= 1
            if self._pending <= 0:
                self._answered.set()
        elif kind == b"E":
            self.failed = True
        elif kind == b"3":
            self._closes -= 1
        elif kind == b"K":
            self.key = body
            self._clerk.known(self)

    def say(self, kind: bytes, body: bytes = b"") -> None:
        """One message of the backend's to the client, in Redshift's words."""
        if kind == b"E":
            body = translate(Fields.parse(body), self._scene()).body()
        if kind == b"E" or (kind == b"C" and body in _UNDONE):
            self._mirrored = None
        self._write(kind, client_types(kind, body))

    def _scene(self) -> Scene:
        return Scene(self._clerk.next_query(), self.cycle)

    def _write(self, kind: bytes, body: bytes) -> None:
        if not self.ghost:
            self.client.write(kind, body)

    def say_error(self, error: BackendError) -> None:
        """What a private statement of ours met."""
        self.say(b"E", error.fields.body())

    def say_ready(self) -> None:
        """The end of a query text that was run piece by piece."""
        self.say(b"Z", self.status)

    def say_ended(self) -> None:
        """Why the session ends, where the backend had no chance to say so."""
        if not self.ended:
            message = "terminating connection due to administrator command"
            fields = Fields({"S": "FATAL", "V": "FATAL", "C": "57P01", "M": message})
            self.say(b"E", fields.body())

    @property
    def is_cut(self) -> bool:
        """Whether the backend went first."""
        return self._backend.lost

    async def keep_up(self) -> None:
        """Send what is held, and wait for a client that reads slowly."""
        if not self.ghost:
            await self.client.drain()

    async def answered(self) -> None:
        """Wait until the backend has answered all that was sent."""
        await self._answered.wait()

    async def forward(self, kind: bytes, body: bytes = b"", *, more: bool = False) -> None:
        """One message of the client's to the backend; `more` is coming at once."""
        self.in_batch = kind not in _ANSWERED
        if kind in _ANSWERED:
            self._pending += 1
            self._answered.clear()
        elif kind == b"C":
            self._closes += 1
        self._backend.write(kind, body)
        if kind in (*_ANSWERED, b"H") or not more:
            await self._backend.drain()

    async def take_over(self, *, extended: bool) -> TakeOver | None:
        """Own the backend's session; nothing when it skips to the next Sync."""
        await self._backend.drain()
        await self._answered.wait()
        if self.failed:
            return None
        self.in_batch |= extended
        self._tap = tap = asyncio.Queue[Message](_TAPPED_MESSAGES)
        self._backend.write(b"C", b"S" + cstrings(f"_fence{next(self._names)}"))
        self._backend.write(b"H")
        await self._backend.drain()
        expected = self._closes + 1
        while expected:
            kind, body = await tap.get()
            expected -= kind == b"3"
            if expected:
                self.say(kind, body)
            if kind == b"E":
                self.failed = True
                self._tap = None
                return None
        self._closes = 0
        return TakeOver(self._backend, tap, self._names, extended=extended)

    async def give_back(self) -> None:
        """What the backend says goes to the client again."""
        self._tap = None
        await self.keep_up()
