"""One client session: three tasks around a line.

The line (`line`) has both sides and the tap; the two protocols (`simple`, `extended`) decide what
passes as it came and what is taken over; `work` runs what was taken over.

The reader of the client is a task of its own: when the client is gone it ends the session at once,
whatever runs, and the closing of the backend's socket rolls back and frees the locks (rule X4);
that the client took its leave before makes no difference. One that closes only its sending side is
gone too, as it is for a backend that looks at its socket. Only a ghost stays: with that knob on, a
COPY whose client vanished runs to its end, and what was sent after it is done as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from ..faults import RedshiftError, error_fields
from ..rules import holds
from ..wire import Channel, ClosedError, Message
from .extended import Extended
from .line import Clerk, Line
from .obstacles import CutError
from .simple import Simple
from .work import Commons, Work

if TYPE_CHECKING:
    from ..knobs import Knobs

_HELD_MESSAGES = 64


class _OverError(Exception):
    """The session is over; it ends the task group."""


class Act(Protocol):
    """What is done with a message; `more` have come with it."""

    async def __call__(self, body: bytes, *, more: bool) -> None:
        """Do it."""


class House(Commons, Clerk, Protocol):
    """What a session needs of its front."""


class Session:
    """A logged-in client and its backend."""

    def __init__(self, front: House, client: Channel, backend: Channel, knobs: Knobs) -> None:
        self._knobs = knobs
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(_HELD_MESSAGES)
        self.line = Line(front, client, backend, knobs)
        self._work = Work(front, self.line, knobs)
        extended = Extended(self.line, self._work, knobs)
        self._acts: dict[bytes, Act] = {
            b"Q": Simple(self.line, self._work, knobs).query,
            b"P": extended.parse,
            b"B": extended.bind,
            b"E": extended.execute,
            b"C": extended.close,
        }

    async def run(self) -> None:
        """Serve until one side is gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self.line.pump())
                tasks.create_task(self._serve())
        except* CutError:
            self.line.client.abort()
        except* RedshiftError as errors:
            self._garbled(errors.exceptions[0])
        except* (_OverError, ClosedError):
            if self.line.is_cut:
                self.line.say_ended()

    def _garbled(self, error: BaseException) -> None:
        """A message that is none ends the session."""
        if isinstance(error, RedshiftError):
            self.line.client.write(b"E", error_fields(error, 0, severity="FATAL").body())

    async def _listen(self) -> None:
        while True:
            try:
                message = await self.line.client.read()
            except ClosedError:
                if not self._haunts():
                    raise
                self.line.ghost = True
                await self._inbox.put(Message(b"X", b""))
                return
            await self._inbox.put(message)

    def _haunts(self) -> bool:
        stays = self._knobs["ghost"] == "on" or not holds("X4")
        return stays and self._work.copying

    async def _next(self) -> Message:
        """The client's next message; one that says nothing for too long is sent away."""
        limit = self._knobs.seconds("idle_session") or None
        try:
            async with asyncio.timeout(limit):
                message = await self._inbox.get()
        except TimeoutError:
            message = None
        if message is None or (message.kind in (b"Q", b"B") and self._knobs.strike("end_session")):
            await self.line.answered()
            self.line.say_ended()
            raise _OverError
        return message

    async def _serve(self) -> None:
        """Client to backend, message by message."""
        while True:
            kind, body = await self._next()
            more = not self._inbox.empty()
            if kind == b"X":
                if self.line.ghost:
                    await self.line.answered()
                raise _OverError
            self.line.stop.clear()
            if kind != b"S":
                await self._work.settle()
            act = self._acts.get(kind)
            if act is None:
                await self.line.forward(kind, body, more=more)
            else:
                await act(body, more=more)
