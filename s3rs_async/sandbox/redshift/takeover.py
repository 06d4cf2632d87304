"""Private statements on the client's own backend session.

While a session is taken over, what the backend says goes into a tap instead of to the client. Under
the simple protocol a private statement is a query of its own. Under the extended protocol it is
Parse, Bind, Execute and Flush without Sync, so that it stays in the implicit transaction that the
client's Sync will end; its names are fresh ones, for a named statement outlives an error.

An error that the backend raises here comes out as BackendError. Under the extended protocol the
backend then skips everything up to the client's Sync, and so must the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from .dialect.tokens import literal
from .faults import BackendError, Fields, RedshiftError, error_fields
from .rules import holds
from .wire import INT, Channel, Message, cstrings, frame

Row: TypeAlias = tuple[str | None, ...]
Say: TypeAlias = Callable[[bytes, bytes], None]
_PART = 1 << 20
_FLUSH = frame(b"H")


@dataclass(slots=True)
class Outcome:
    """What a private statement gave."""

    rows: list[Row] = field(default_factory=list)
    tag: str = ""
    notices: list[str] = field(default_factory=list)


def _row(body: bytes) -> Row:
    values: list[str | None] = []
    at = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        (size,) = INT.unpack_from(body, at)
        at += 4
        values.append(None if size < 0 else body[at : at + size].decode())
        at += max(size, 0)
    return tuple(values)


class Hurdles(Protocol):
    """What may stand in the way of a stream."""

    def before(self) -> None:
        """The stream is about to begin."""

    async def piece(self) -> None:
        """A piece of it has been sent."""


class TakeOver:
    """The backend session while the front speaks to it itself."""

    def __init__(
        self, backend: Channel, tap: asyncio.Queue[Message], names: Iterator[int], *, extended: bool
    ) -> None:
        self._backend = backend
        self._tap = tap
        self._names = names
        self.extended = extended
        self.hurdles: Hurdles | None = None
        self._open = (b"", b"")

    async def run(self, text: str, say: Say | None = None) -> Outcome:
        """Run one statement; its notices go to `say`."""
        if self.extended:
            run, close = self._extended(text)
            await self._backend.send(run + close + _FLUSH)
        else:
            await self._backend.send(frame(b"Q", cstrings(text)))
        return await self._collect(say)

    def _extended(self, text: str) -> tuple[bytes, bytes]:
        name = cstrings(f"_rs{next(self._names)}")
        run = (
            frame(b"P", name + cstrings(text) + b"\0\0")
            + frame(b"B", name + name + bytes(6))
            + frame(b"E", name + INT.pack(0))
        )
        return run, frame(b"C", b"P" + name) + frame(b"C", b"S" + name)

    async def _collect(self, say: Say | None) -> Outcome:
        outcome, error, closes = Outcome(), None, 0
        while True:
            kind, body = await self._tap.get()
            if kind == b"E":
                error = BackendError(Fields.parse(body))
            elif kind == b"D":
                outcome.rows.append(_row(body))
            elif kind == b"C":
                outcome.tag = body[:-1].decode()
            elif kind == b"N" and say:
                outcome.notices.append(Fields.parse(body).get("C"))
                say(kind, body)
            closes += kind == b"3"
            if self._ended(kind, closes, error):
                break
        if error:
            raise error
        return outcome

    def _ended(self, kind: bytes, closes: int, error: BackendError | None) -> bool:
        """Both names are closed again, or the backend skips to the client's Sync."""
        return kind == b"Z" or (self.extended and (error is not None or closes == 2))  # noqa: PLR2004

    async def relay(self, text: str, say: Say, client: Channel, *, hide: int = 0) -> None:
        """Run one simple query text and pass its answers on, without the first `hide` tags."""
        await self._backend.send(frame(b"Q", cstrings(text)))
        error = None
        while True:
            kind, body = await self._tap.get()
            if kind == b"Z":
                break
            if kind == b"E":
                error = BackendError(Fields.parse(body))
            elif kind == b"C" and hide:
                hide -= 1
            else:
                say(kind, body)
            if self._tap.empty():
                await client.drain()
        if error:
            raise error

    async def lock(self, tables: tuple[str, ...], *, in_block: bool) -> None:
        """Take the write lock on whole tables (rule X2); LOCK itself takes no snapshot."""
        if not holds("X2"):
            return
        if not in_block and self.extended:
            await self.run("SHOW rs.query_group")
        for table in tables:
            await self.run(f"LOCK TABLE {table} IN EXCLUSIVE MODE")

    async def fail(self, error: RedshiftError, query: int) -> None:
        """Let the backend raise our error, so that its transaction state is right."""
        parts = [f"ERRCODE={literal(error.state)}, MESSAGE={literal(error.message)}"]
        if detail := error.detail(query):
            parts.append(f"DETAIL={literal(detail)}")
        body = f"BEGIN RAISE EXCEPTION USING {', '.join(parts)}; END"
        await self.run(f"DO {literal(body)}")

    async def copy_in(self, text: str) -> None:
        """Begin a COPY from the front to the backend."""
        if self.hurdles:
            self.hurdles.before()
        if self.extended:
            self._open = self._extended(text)
            await self._backend.send(self._open[0] + _FLUSH)
        else:
            await self._backend.send(frame(b"Q", cstrings(text)))
        error = None
        while True:
            kind, body = await self._tap.get()
            if kind == b"G":
                return
            if kind == b"E":
                error = BackendError(Fields.parse(body))
            if error and (self.extended or kind == b"Z"):
                raise error

    async def copy_data(self, data: bytes | memoryview) -> None:
        """Send a piece of the stream; an error that has come back meanwhile ends it at once."""
        await self._send_parts(data)
        if self.hurdles:
            await self.hurdles.piece()
            await self._early()

    async def _send_parts(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _PART):
            part = view[start : start + _PART]
            await self._backend.send(b"d" + INT.pack(len(part) + 4))
            await self._backend.send(part)
            await self._early()

    async def _early(self) -> None:
        while not self._tap.empty():
            kind, body = self._tap.get_nowait()
            if kind != b"E":
                continue
            while not self.extended and kind != b"Z":
                kind, _ = await self._tap.get()
            raise BackendError(Fields.parse(body))

    async def copy_done(self) -> None:
        """End the stream well."""
        close = self._open[1] if self.extended else b""
        await self._backend.send(frame(b"c") + close + (_FLUSH if self.extended else b""))
        await self._collect(None)

    async def copy_fail(self, error: RedshiftError, query: int) -> None:
        """End the stream badly; the client reads our error instead of the backend's remark."""
        end = frame(b"f", cstrings("refused by the front"))
        await self._backend.send(end + (_FLUSH if self.extended else b""))
        try:
            await self._collect(None)
        except BackendError as said:
            raise BackendError(error_fields(error, query), error) from said
