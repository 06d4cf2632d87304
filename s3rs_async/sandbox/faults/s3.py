"""S3 with faults: a way to a server on which one request, or several, end as they seldom do.

    async with s3_faults(store.url) as s3:  # s3.url instead of store.url
        lost = s3.put(Match("PUT", "/state[.]json$"), Drop(applied=True))

The first rule that is due for a request decides on it; every other passes untouched. A fault says
both halves of what happened: whether the server carried the request out, and what its client heard.
`Late` is the pair that no driver can make: the client hears of a failure now, and the request
arrives at the server when a test says so. Bytes are forwarded as they were signed.

It holds whole bodies in memory and speaks plain HTTP, for servers of this machine.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from ...flow import together
from .http import Message, read_answer, read_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Step = Literal["", "create", "part", "complete", "abort", "uploads", "list"]


@dataclass(frozen=True, slots=True)
class S3Request:
    """A request as it came in: the path is decoded, `step` says which part of an upload it is."""

    method: str
    path: str
    query: str
    message: Message = field(repr=False)

    @property
    def body(self) -> bytes:
        """Its body."""
        return self.message.body

    @property
    def step(self) -> Step:
        """What it is to a multipart upload, or a listing; empty for a plain object's request."""
        asked = parse_qs(self.query, keep_blank_values=True)
        if "uploadId" in asked:
            upload: dict[str, Step] = {"POST": "complete", "PUT": "part", "DELETE": "abort"}
            return upload.get(self.method, "")
        if "uploads" in asked:
            return "create" if self.method == "POST" else "uploads"
        return "list" if "list-type" in asked else ""


def _any(_: S3Request) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests: the `nth` that fits and the `times` - 1 that fit after it.

    `key` is looked for in the decoded path. A `step` of None means requests of any.
    """

    method: str = ""
    key: str = ""
    step: Step | None = None
    nth: int = 1
    times: int = 1
    where: Callable[[S3Request], bool] = _any

    def fits(self, request: S3Request) -> bool:
        """Whether it is such a request."""
        return (
            self.method in {"", request.method}
            and re.search(self.key, request.path) is not None
            and self.step in {None, request.step}
            and self.where(request)
        )


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without an answer."""

    applied: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer than the server's, whether or not that has carried the request out."""

    status: int
    code: str
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """It fails now (without a status: no answer at all) and arrives when it is delivered."""

    status: int | None = 503


@dataclass(frozen=True, slots=True)
class Truncate:
    """The answer's body breaks off after so many bytes, of more that were announced."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class Retag:
    """The answer names this ETag."""

    etag: str = '"0123456789abcdef0123456789abcdef"'


@dataclass(frozen=True, slots=True)
class Hold:
    """It waits before the server has it or, `applied`, with the server's answer."""

    applied: bool = False


Fault = Drop | Answer | Late | Truncate | Retag | Hold

SLOW_DOWN: Final = Answer(503, "SlowDown")
FAILED_AFTER: Final = Answer(500, "InternalError", applied=True)
CONFLICT: Final = Answer(409, "ConditionalRequestConflict")
STALE: Final = Answer(412, "PreconditionFailed")
EXPIRED: Final = Answer(403, "ExpiredToken")
FULL: Final = Answer(507, "InsufficientStorage")


@dataclass(eq=False, slots=True)
class Armed:
    """A rule at work: the requests it has struck, and what the server said to the last of them."""

    match: Match
    fault: Fault
    requests: list[S3Request] = field(default_factory=list)
    status: int | None = None
    met: asyncio.Event = field(default_factory=asyncio.Event)
    fitted: int = 0
    _free: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _passes: bool = False

    async def deliver(self) -> int | None:
        """Let what is held or late arrive; the status of the server's answer to it."""
        self._passes = True
        self._free.set()
        await self._ended.wait()
        return self.status

    def drop(self) -> None:
        """Let what is held end without an answer, as when its sender has died."""
        self._free.set()

    def strikes(self, request: S3Request) -> bool:
        """Count a request; whether the fault is its."""
        if not self.match.fits(request):
            return False
        self.fitted += 1
        due = self.match.nth <= self.fitted < self.match.nth + self.match.times
        if due:
            self.requests.append(request)
        return due

    async def freed(self) -> bool:
        """Wait until it is decided; whether the request goes on."""
        self.met.set()
        await self._free.wait()
        return self._passes

    def over(self, answer: Message | None) -> None:
        """The request has been dealt with."""
        self.status = answer.status if answer is not None else None
        self.met.set()
        self._ended.set()


class S3Faults:
    """A running way to a server."""

    def __init__(self, upstream: str, tasks: asyncio.TaskGroup) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.hostname or "", parts.port or 80
        self._tasks = tasks
        self._rules: list[Armed] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.seen: list[tuple[str, str, Step]] = []
        self.url = ""

    def put(self, match: Match, fault: Fault) -> Armed:
        """A rule, behind those that there are."""
        armed = Armed(match, fault)
        self._rules.append(armed)
        return armed

    def heal(self) -> None:
        """Drop what is held and forget all rules."""
        for armed in self._rules:
            armed.drop()
        self._rules = []

    def cut(self) -> int:
        """Close all connections that there are; how many."""
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self._tasks.create_task(self._served(reader, writer), name="s3")

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (message := await read_request(reader, writer)) is not None:
                written = await self._answered(_request(message))
                if written is None:
                    break
                writer.write(written)
                await writer.drain()
                if written.rpartition(b"\r\n\r\n")[0].endswith(_CLOSING):
                    break
        except OSError:  # the client has gone
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answered(self, request: S3Request) -> bytes | None:
        """What the client hears; None: the connection ends."""
        self.seen.append((request.method, request.path, request.step))
        for armed in self._rules[:]:
            if armed.strikes(request):
                return await self._struck(request, armed)
        return _whole(await self._asked(request), request)

    async def _struck(self, request: S3Request, armed: Armed) -> bytes | None:
        answer: Message | None = None
        heard: bytes | None = None
        match armed.fault:
            case Late(status):
                self._tasks.create_task(self._late(request, armed), name="late")
                return None if status is None else _told(request, status, "ServiceUnavailable")
            case Drop(applied):
                answer = await self._asked(request) if applied else None
            case Answer(status, code, applied):
                answer = await self._asked(request) if applied else None
                heard = _told(request, status, code)
            case Hold(applied):
                answer, heard = await self._held(request, armed, applied=applied)
            case Truncate(at):
                answer = await self._asked(request)
                cut = replace(answer, body=answer.body[:at])
                heard = cut.rendered(length=len(answer.body), closing=True)
            case Retag(etag):
                answer = await self._asked(request)
                heard = _whole(_retagged(answer, etag), request)
        armed.over(answer)
        return heard

    async def _held(
        self, request: S3Request, armed: Armed, *, applied: bool
    ) -> tuple[Message | None, bytes | None]:
        if applied:
            answer = await self._asked(request)
            return answer, _whole(answer, request) if await armed.freed() else None
        if not await armed.freed():
            return None, None
        answer = await self._asked(request)
        return answer, _whole(answer, request)

    async def _late(self, request: S3Request, armed: Armed) -> None:
        armed.over(await self._asked(request) if await armed.freed() else None)

    async def _asked(self, request: S3Request) -> Message:
        """What the server says."""
        try:
            reader, writer = await asyncio.open_connection(*self._upstream)
        except OSError as error:
            raise ConnectionResetError from error
        try:
            writer.write(request.message.rendered(closing=True))
            return await read_answer(reader, request.method)
        finally:
            writer.close()


_CLOSING: Final = b"Connection: close"


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
            running.heal()
            running.cut()


def _request(message: Message) -> S3Request:
    method, target, _ = message.start.decode("latin-1").split(" ", 2)
    parts = urlsplit(target)
    return S3Request(method, unquote(parts.path), parts.query, message)


def _whole(answer: Message, request: S3Request) -> bytes:
    length = None
    if request.method == "HEAD":
        length = int(answer.header(b"content-length") or 0)
    return answer.rendered(length=length)


def _told(request: S3Request, status: int, code: str) -> bytes:
    """An error as S3 tells it."""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>made by the test</Message><Resource>{_escaped(request.path)}</Resource></Error>"
    )
    body = b"" if request.method == "HEAD" else text.encode()
    kind = (b"Content-Type", b"application/xml")
    return Message(f"HTTP/1.1 {status} {code}".encode(), (kind,), body).rendered()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _retagged(answer: Message, etag: str) -> Message:
    headers = tuple(
        (name, etag.encode() if name.lower() == b"etag" else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers)
