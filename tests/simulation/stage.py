"""The object store in memory: what `line.Stage` and s3clean ask of one, and what it answers.

An ETag is the MD5 of the body, so A→B→A brings the old one back.
Conditions, errors and the doubt about a write are those of the real store; `test_conform_store`
asks the same questions of both. Objects know when they were written, by the store's own clock.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from s3rs_async.errors import ConfigError, UnavailableError, UnknownOutcomeError
from s3rs_async.s3.object import (
    BusyError,
    Entry,
    MissingError,
    OpenUpload,
    Page,
    StaleError,
    Stat,
    Stored,
    Undeleted,
)
from tests.simulation.loop import PROCESS
from tests.simulation.world import EPOCH, Fates, World

BUCKET = "lake"
PAGE = 7


def _away() -> Exception:
    return UnavailableError("the store failed", where="s3")


def _slow_down() -> Exception:
    return UnavailableError("the store asks to come again", where="s3")


def _busy() -> Exception:
    return BusyError("another write of the object is under way", where="s3")


def _forbidden() -> Exception:
    return ConfigError("the store refused the request", where="s3")


def _doubt() -> Exception:
    return UnknownOutcomeError("the store's answer was lost", where="s3")


_READ = Fates((_away,))
_WRITE = Fates((_away,), _away)
_CREATE = Fates((_busy, _slow_down, _forbidden), _doubt)
_SWAP = Fates((_busy, _slow_down, _forbidden), _doubt, weight=3.0)


@dataclass(frozen=True, slots=True)
class Thing:
    """One object as it lies there."""

    body: bytes
    etag: str
    upload: str
    written: float


@dataclass(eq=False, slots=True)
class Parts:
    """A multipart upload under way."""

    key: str
    begun: float
    data: dict[int, bytes] = field(default_factory=dict)


@dataclass(eq=False)
class Disk:
    """The objects themselves and the open uploads; whoever holds it asks without a network."""

    world: World
    things: dict[str, Thing] = field(default_factory=dict)
    uploads: dict[str, Parts] = field(default_factory=dict)
    author: str = ""

    def write(self, key: str, body: bytes, upload: str = "") -> str:
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        self.things[key] = Thing(body, etag, upload, self.world.loop.time())
        return etag

    def write_if(self, key: str, body: bytes, etag: str | None, author: str = "") -> str:
        """Write on a condition; `author` is who asked, however late it arrives."""
        there = self.things.get(key)
        if there is None and etag is not None:
            raise MissingError("no such object", where="s3")
        if (there.etag if there is not None else None) != etag:
            raise StaleError("the object is not as it was read", where="s3")
        self.author = author
        return self.write(key, body)

    def copy(self, source: str, key: str, etag: str) -> str:
        there = self.things.get(source)
        if there is None:
            raise MissingError("no such object", where="s3")
        if there.etag != etag:
            raise StaleError("the object is not as it was read", where="s3")
        return self.write(key, there.body, there.upload)

    def page(self, prefix: str, last: str) -> Page:
        keys = sorted(key for key in self.things if key.startswith(prefix) and key > last)
        found = [(key, self.things[key]) for key in keys[:PAGE]]
        lines = [Entry(key, len(t.body), t.etag, moment(t.written)) for key, t in found]
        return Page(tuple(lines), moment(self.world.loop.time()))

    def open(self, prefix: str) -> list[OpenUpload]:
        now = moment(self.world.loop.time())
        return [
            OpenUpload(each.key, stamp, moment(each.begun), now)
            for stamp, each in self.uploads.items()
            if each.key.startswith(prefix)
        ]


@dataclass(eq=False)
class Stage:
    """The store as a process sees it."""

    world: World
    disk: Disk

    @property
    def bucket(self) -> str:
        return BUCKET

    async def get(self, key: str) -> Stored | None:
        there = await self.world.ask(f"get {key}", lambda: self.disk.things.get(key), _READ)
        return None if there is None else Stored(there.body, there.etag)

    async def head(self, key: str) -> Stat | None:
        there = await self.world.ask(f"head {key}", lambda: self.disk.things.get(key), _READ)
        return None if there is None else Stat(len(there.body), there.etag, there.upload)

    async def put(self, key: str, body: bytes) -> str:
        return await self.world.ask(f"put {key}", lambda: self.disk.write(key, body), _WRITE)

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        process = PROCESS.get()
        author = process.name if process is not None else ""
        fates = _SWAP if key.endswith("/state.json") else _CREATE
        return await self.world.ask(
            f"put_if {key} {etag}", lambda: self.disk.write_if(key, body, etag, author), fates
        )

    async def list(self, prefix: str) -> AsyncGenerator[Entry, None]:
        async for page in self.pages(prefix):
            for entry in page.entries:
                yield entry

    async def pages(self, prefix: str) -> AsyncGenerator[Page, None]:
        """A few keys an answer, so that things happen between the answers."""
        last = ""
        while True:
            page = await self.world.ask(
                f"list {last}", partial(self.disk.page, prefix, last), _READ
            )
            yield page
            if len(page.entries) < PAGE:
                return
            last = page.entries[-1].key

    async def open_uploads(self, prefix: str) -> AsyncGenerator[OpenUpload, None]:
        found = await self.world.ask(f"uploads {prefix}", partial(self.disk.open, prefix), _READ)
        for line in found:
            yield line

    async def abort(self, key: str, upload_id: str) -> None:
        await self.world.ask(f"abort {key}", lambda: self.disk.uploads.pop(upload_id, None), _WRITE)

    async def folders(self, prefix: str) -> AsyncIterator[str]:
        def names() -> list[str]:
            inside = [key[len(prefix) :] for key in self.disk.things if key.startswith(prefix)]
            return sorted({f"{prefix}{key.partition('/')[0]}/" for key in inside if "/" in key})

        for name in await self.world.ask(f"folders {prefix}", names, _READ):
            yield name

    async def clock(self) -> dt.datetime:
        return await self.world.ask("clock", lambda: moment(self.world.loop.time()), _READ)

    async def delete(self, keys: Sequence[str]) -> Sequence[Undeleted]:
        def gone() -> Sequence[Undeleted]:
            for key in keys:
                self.disk.things.pop(key, None)
            return []

        return await self.world.ask(f"delete {' '.join(keys)}", gone, _WRITE)

    async def copy(self, source: str, key: str, etag: str) -> str:
        return await self.world.ask(
            f"copy {source} {key}", partial(self.disk.copy, source, key, etag), _WRITE
        )

    @asynccontextmanager
    async def upload(self, key: str) -> AsyncIterator[Upload]:
        upload = Upload(self, key, f"u{self.world.bits(40):010x}")
        await self.world.ask(f"begin {key}", upload.opened, _WRITE)
        try:
            yield upload
        finally:
            await upload.close()


@dataclass(eq=False)
class Upload:
    """A multipart upload: parts in any order, then one object or none."""

    stage: Stage
    key: str
    stamp: str
    ended: bool = False

    def opened(self) -> None:
        self.stage.disk.uploads[self.stamp] = Parts(self.key, self.stage.world.loop.time())

    async def part(self, number: int, data: bytes) -> None:
        parts = self.stage.disk.uploads
        await self.stage.world.ask(
            f"part {self.key}",
            lambda: _open(parts, self.stamp).data.__setitem__(number, data),
            _WRITE,
        )

    async def complete(self) -> str:
        etag = await self.stage.world.ask(f"complete {self.key}", self._made, _WRITE)
        self.ended = True
        return etag

    def _made(self) -> str:
        disk = self.stage.disk
        if self.key in disk.things and disk.things[self.key].upload == self.stamp:
            return disk.things[self.key].etag
        parts = _open(disk.uploads, self.stamp)
        body = b"".join(data for _, data in sorted(parts.data.items()))
        etag = disk.write(self.key, body, self.stamp)
        del disk.uploads[self.stamp]
        return etag

    async def close(self) -> None:
        """Take the upload back unless it was completed; never raises for it."""
        if self.ended or self.stage.world.closed:
            return
        try:
            await self.stage.world.ask(
                f"abort {self.key}", lambda: self.stage.disk.uploads.pop(self.stamp, None), _WRITE
            )
        except UnavailableError:
            return


def _open(uploads: dict[str, Parts], stamp: str) -> Parts:
    if stamp not in uploads:
        raise MissingError("no such upload", where="s3")
    return uploads[stamp]


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(EPOCH + seconds, dt.UTC).replace(microsecond=0)
