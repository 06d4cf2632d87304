"""What every override works on: one table's state, its copies, and what its keys tell.

A state that is lost or damaged has left two traces in the bucket, both older than it or as old: the
copies in hist/, and the epochs in the keys of its batches. Whatever is written in its place goes
beyond every version and every epoch that these show.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from .. import clock, commit
from ..commit import State
from ..errors import DataError
from ..failpoint import reached, step
from ..s3.state import Document, decode

if TYPE_CHECKING:
    from ..line import Line
    from ..model import TableSpec
    from ..s3.layout import Layout
    from ..s3.object import Entry, Stored
    from ..s3.register import Found, Register, Versioned

NEWEST: Final = 50
"""Copies that are looked at; s3clean keeps as many."""


class Shelf(Protocol):
    """What is asked of the store besides the state itself."""

    async def get(self, key: str) -> Stored | None:
        """The object, or None."""

    def list(self, prefix: str) -> AsyncGenerator[Entry, None]:
        """Every object whose key begins so, in the order of keys."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One table of a line, and the store that its traces lie in."""

    line: Line
    spec: TableSpec
    shelf: Shelf

    @property
    def register(self) -> Register:
        """The table's state object."""
        return self.line.register(self.spec)

    @property
    def layout(self) -> Layout:
        """The table's keys."""
        return self.line.layout(self.spec)


@dataclass(frozen=True, slots=True)
class Changed:
    """The state before (None: none that could be believed) and after; no version where dry."""

    before: State | None
    after: State
    version: int | None


@dataclass(frozen=True, slots=True)
class Copy:
    """One kept copy of a state: None where it cannot be read."""

    version: int
    modified: str
    key: str
    document: Document | None

    def as_json(self) -> dict[str, object]:
        """The same for people and programs, with the last edit that was made by hand."""
        told: dict[str, object] = {"version": self.version, "modified": self.modified}
        if self.document is None:
            return {**told, "what": "damaged"}
        state = self.document.state
        last = state.audit[-1] if state.audit else None
        return {
            **told,
            "watermark": state.position.cursor if state.position is not None else None,
            "epoch": state.epoch,
            "generation": state.generation,
            "pending": len(state.pending),
            "who": last.who if last is not None else None,
            "what": f"{last.what} at {last.at}" if last is not None else None,
        }


def this_user() -> str:
    """Who makes an override, as far as the machine knows."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def edit(what: str, who: str) -> commit.Edit:
    """A new override by `who`."""
    return commit.Edit(clock.ulid(), clock.iso_now(), who, what)


def check_ours(bench: Bench, state: State) -> None:
    """Refuse a state that feeds another target than the table does now."""
    birth = bench.register.birth
    commit.check_feeder(
        state,
        pipeline=birth.pipeline,
        source=birth.source,
        table=birth.table,
        target=birth.target,
    )


async def survey(register: Register) -> Found:
    """R1: what lies in the state's place."""
    async with step("R1"):
        return await register.survey()


async def standing(register: Register) -> Versioned | None:
    """The state, if there is one; raises where it is damaged."""
    found = await survey(register)
    if found.damage is not None:
        raise found.damage
    return found.current


async def landed(write: Callable[[], Awaitable[Versioned]]) -> Versioned:
    """R3 and R4: one write of the state, and its end."""
    async with step("R3"):
        won = await write()
    await reached("R4")
    return won


async def history(bench: Bench, newest: int = NEWEST) -> list[Copy]:
    """The newest copies of the state, the newest first."""
    return [await _read(bench, entry) for entry in reversed(await _entries(bench, newest))]


async def good_copy(bench: Bench, version: int | None = None) -> Copy | None:
    """The newest copy that can be read, or that of a version."""
    for entry in reversed(await _entries(bench, NEWEST if version is None else None)):
        if version is None or _version(entry.key) == version:
            copy = await _read(bench, entry)
            if copy.document is not None:
                return copy
    return None


async def last_version(bench: Bench) -> int:
    """The greatest version that a copy shows; nought without copies."""
    return max((_version(entry.key) for entry in await _entries(bench, 1)), default=0)


async def last_epoch(bench: Bench) -> int:
    """The greatest epoch in any key of the table's batches, be they committed or not."""
    top = 0
    async for entry in bench.shelf.list(bench.layout.data):
        found = bench.layout.parse(entry.key)
        top = max(top, found.attempt.epoch if found is not None else 0)
    return top


async def _entries(bench: Bench, newest: int | None) -> deque[Entry]:
    kept: deque[Entry] = deque(maxlen=newest)
    async for entry in bench.shelf.list(f"{bench.layout.home}hist/"):
        if _version(entry.key):
            kept.append(entry)
    return kept


async def _read(bench: Bench, entry: Entry) -> Copy:
    stored = await bench.shelf.get(entry.key)
    document = None
    if stored is not None:
        try:
            document = decode(stored.body, bench.layout)
        except DataError:
            document = None
    modified = entry.modified.isoformat(timespec="seconds")
    return Copy(_version(entry.key), modified, entry.key, document)


def _version(key: str) -> int:
    number = key.rpartition("/")[2].partition("-")[0]
    return int(number) if number.isdecimal() else 0
