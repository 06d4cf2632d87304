"""Which requests to S3 meet a fault, and which one.

A fault says both halves of what happened: whether the server carried the request out, and what its
client heard. `Late` is the pair that no driver can make: the client hears of a failure now, and the
request arrives at the server when a test says so. A rule counts the requests that fit it from the
moment it was put.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from .http import Message

if TYPE_CHECKING:
    from collections.abc import Callable

Step = Literal["", "create", "part", "complete", "abort", "uploads", "list"]


@dataclass(frozen=True, slots=True)
class S3Request:
    """A request as it came in: the path is decoded, `step` says which part of an upload it is."""

    method: str
    path: str
    query: str
    message: Message = field(repr=False)

    @classmethod
    def of(cls, message: Message) -> S3Request:
        """A request as it was read."""
        method, target, _ = message.start.decode("latin-1").split(" ", 2)
        parts = urlsplit(target)
        return cls(method, unquote(parts.path), parts.query, message)

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
