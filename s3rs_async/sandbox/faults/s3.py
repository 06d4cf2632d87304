"""S3 with faults: a way to a server on which one request, or several, end as they seldom do.

    async with s3_faults(store.url) as s3:  # s3.url instead of store.url
        lost = s3.put(Match("PUT", "/state[.]json$"), Drop(applied=True))

The first rule that is due for a request decides on it; every other passes untouched. Requests are
forwarded as they were signed, answers as they were made. It holds whole bodies in memory and speaks
plain HTTP, for servers of this machine. It belongs to the loop that opened it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...flow import together
from .http import Message, read_answer, read_request
from .rules import Answer, Armed, Drop, Fault, Hold, Late, Match, Retag, S3Request, Step, Truncate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a client hears; with `last` its connection ends then."""

    said: bytes = b""
    last: bool = False


_NOTHING = _Heard(last=True)


class S3Faults:
    """A running way to a server."""

    def __init__(self, upstream: str, tasks: asyncio.TaskGroup) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.hostname or "", parts.port or 80
        self._tasks = tasks
        self._rules: list[Armed] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._closed = False
        self.seen: list[tuple[str, str, Step]] = []
        self.url = ""

    def put(self, match: Match, fault: Fault) -> Armed:
        """A rule, behind those that there are."""
        armed = Armed(match, fault)
        self._rules.append(armed)
        return armed

    def lift(self, armed: Armed) -> None:
        """Forget a rule; what it holds is dropped."""
        armed.drop()
        if armed in self._rules:
            self._rules.remove(armed)

    def heal(self) -> None:
        """Forget all rules."""
        for armed in self._rules[:]:
            self.lift(armed)

    def cut(self) -> int:
        """Close all connections that there are; how many."""
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers)

    def close(self) -> None:
        """End all connections, those that are just being made as well."""
        self._closed = True
        self.heal()
        self.cut()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self._tasks.create_task(self._served(reader, writer), name="s3")

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while not self._closed and (message := await read_request(reader, writer)):
                heard = await self._answered(S3Request.of(message))
                writer.write(heard.said)
                await writer.drain()
                if heard.last:
                    break
        except OSError:  # one of the two ends has gone
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answered(self, request: S3Request) -> _Heard:
        self.seen.append((request.method, request.path, request.step))
        for armed in self._rules[:]:
            if armed.strikes(request):
                return await self._struck(request, armed)
        return _whole(await self._asked(request), request)

    async def _struck(self, request: S3Request, armed: Armed) -> _Heard:
        match armed.fault:
            case Hold(applied):
                return await self._held(request, armed, applied=applied)
            case Late(status):
                self._tasks.create_task(self._late(request, armed), name="late")
                return _NOTHING if status is None else _told(request, status, "ServiceUnavailable")
            case Drop(applied=False) | Answer(applied=False):
                answer = None
            case _:
                answer = await self._asked(request)
        armed.over(answer)
        return _changed(armed.fault, answer, request)

    async def _held(self, request: S3Request, armed: Armed, *, applied: bool) -> _Heard:
        answer = await self._asked(request) if applied else None
        passes = await armed.freed()
        if passes and answer is None:
            answer = await self._asked(request)
        armed.over(answer)
        return _whole(answer, request) if passes and answer is not None else _NOTHING

    async def _late(self, request: S3Request, armed: Armed) -> None:
        armed.over(await self._asked(request) if await armed.freed() else None)

    async def _asked(self, request: S3Request) -> Message:
        """What the server says."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request.message.rendered(closing=True))
            return await read_answer(reader, request.method)
        finally:
            writer.close()


@asynccontextmanager
async def s3_faults(upstream: str) -> AsyncIterator[S3Faults]:
    """A way to an S3 server, on a free port; all its connections end with the block."""
    async with together() as tasks:
        running = S3Faults(upstream, tasks)
        listening = await asyncio.start_server(
            running.accept, "127.0.0.1", 0, backlog=128, limit=1 << 20
        )
        running.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield running
        finally:
            listening.close()
            running.close()


def _changed(fault: Fault, answer: Message | None, request: S3Request) -> _Heard:
    """What a client hears of a request that is over at the server."""
    match fault:
        case Answer(status, code):
            return _told(request, status, code)
        case Truncate(at) if answer is not None:
            cut = replace(answer, body=answer.body[:at])
            return _Heard(cut.rendered(length=len(answer.body)), last=True)
        case Retag(etag) if answer is not None:
            return _whole(_retagged(answer, etag), request)
        case _:
            return _NOTHING


def _whole(answer: Message, request: S3Request) -> _Heard:
    bodiless = request.method == "HEAD"
    return _Heard(
        answer.rendered(length=int(answer.header(b"content-length") or 0) if bodiless else None)
    )


def _told(request: S3Request, status: int, code: str) -> _Heard:
    """An error as S3 tells it."""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>made by a test</Message><Resource>{_escaped(request.path)}</Resource></Error>"
    )
    body = b"" if request.method == "HEAD" else text.encode()
    kind = (b"Content-Type", b"application/xml")
    return _Heard(Message(f"HTTP/1.1 {status} {code}".encode(), (kind,), body).rendered())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _retagged(answer: Message, etag: str) -> Message:
    headers = tuple(
        (name, etag.encode() if name.lower() == b"etag" else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers)
