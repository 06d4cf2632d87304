"""One JSON object changed only by compare-and-swap: the single commit point of an extraction.

    swap: new body = version + 1, fresh write id, digest → PUT with the ETag that was read
      200            it is ours
      409            nothing was written: the same body and ETag again
      anything else  forget what we think we know and read: our write id → ours; the ETag we held →
                     the same body and ETag may go again; any other → lost

Nothing here may delete, and no other content is ever sent with an ETag that was not read together
with the state it was made from. After a lost swap, `change` asks its function again with the new
state; the function re-checks every precondition and raises when one has gone (a new ETag under the
old content would lose a row). A request believed dead may land later: it carries the old ETag, so
it lands only where it still is a valid commit. A vanished object is never made anew by a change,
and a damaged one never changed: only `rebuild` writes in their place, for a person who says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from .. import clock
from ..commit import State, check_feeder
from ..errors import (
    ConfigError,
    ConflictError,
    DataError,
    Error,
    UnavailableError,
    UnknownOutcomeError,
)
from ..failpoint import step
from .codec import Json
from .object import BusyError, StaleError, Stored
from .state import DamagedError, Document, decode, encode

if TYPE_CHECKING:
    from .layout import Layout

Change = Callable[[State], State]

_log: Any = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_SENDS = 8
_CHANGES = 16
_REFUSALS = 3
_READING_SECONDS = 120.0
_HISTORY_SECONDS = 10.0


class LostError(ConflictError):
    """Someone else changed the object first; nothing of ours is in it."""


class Objects(Protocol):
    """The two verbs a register needs; `put_if` sends its request exactly once."""

    async def get(self, key: str) -> Stored | None:
        """The object, or None."""

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        """Write if the ETag still holds (None: if there is no object); the new ETag."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A state with the ETag it was read or written under."""

    state: State
    etag: str
    version: int
    write_id: str
    unknown: Json


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in the state's place: a state, what cannot be believed, or nothing (no ETag)."""

    current: Versioned | None
    etag: str | None
    damage: DamagedError | None = None


class Register:
    """One table's state object. `birth` is what it holds before anything was written."""

    def __init__(self, store: Objects, layout: Layout, birth: State) -> None:
        self._store = store
        self._layout = layout
        self._birth = birth

    @property
    def birth(self) -> State:
        """The state before anything was written."""
        return self._birth

    async def read(self) -> Versioned | None:
        """The state as it is now, checked; None when none was ever written."""
        return self._checked(await self._store.get(self._layout.state))

    async def survey(self) -> Found:
        """What lies in the state's place, were it damaged or nothing at all."""
        stored = await self._store.get(self._layout.state)
        if stored is None:
            return Found(None, None)
        try:
            return Found(self._checked(stored), stored.etag)
        except DamagedError as damage:
            return Found(None, stored.etag, damage)

    async def rebuild(self, found: Found, state: State, *, version: int) -> Versioned:
        """Write a state in the place of what was found, as long as it still is that.

        `version` must lie above every one that was seen: bytes once written never come again.
        """
        base = found.current
        document = Document(state, version, clock.ulid(), base.unknown if base else {})
        won = await self._put(document, found.etag)
        if won is None:
            raise self._lost()
        return won

    async def swap(self, base: Versioned | None, change: Change) -> Versioned:
        """Write `change(base)` where `base` still stands; LostError when it does not.

        A change that returns an equal state writes nothing.
        """
        won = await self._swap(base, change)
        if won is None:
            raise self._lost()
        return won

    async def change(self, change: Change) -> Versioned:
        """Apply `change` to whatever is there, asking it again after each lost swap."""
        base = await self.read()
        for attempt in range(_CHANGES):
            won = await self._swap(base, change)
            if won is not None:
                return won
            await clock.sleep(clock.jitter(_pause(attempt)))
            base = self._still_there(base, await self.read())
        raise ConflictError(
            "the state is changed by too many processes at once",
            key=self._layout.state,
            attempts=_CHANGES,
            hint="one replica per table is enough",
        )

    async def _swap(self, base: Versioned | None, change: Change) -> Versioned | None:
        before = base.state if base is not None else self._birth
        after = change(before)
        if base is not None and after == before:
            return base
        document = Document(
            after,
            base.version + 1 if base is not None else 1,
            clock.ulid(),
            base.unknown if base is not None else {},
        )
        return await self._put(document, base.etag if base is not None else None)

    async def _put(self, document: Document, over: str | None) -> Versioned | None:
        """Write a document over what has that ETag, and keep a copy; None when it is lost."""
        body = encode(document, self._layout)
        etag = await self._write(body, over, document.write_id)
        if etag is None:
            return None
        async with step("X9"):
            await self._keep(document, body)
        return _versioned(document, etag)

    def _lost(self) -> LostError:
        return LostError("another process changed the state first", key=self._layout.state)

    async def _write(self, body: bytes, etag: str | None, write_id: str) -> str | None:
        """Send one body under one ETag until it is known to be in (its ETag) or lost (None)."""
        trouble: Error | None = None
        for attempt in range(_SENDS):
            try:
                return await self._store.put_if(self._layout.state, body, etag)
            except BusyError as busy:
                trouble = busy
            except (StaleError, UnknownOutcomeError, UnavailableError, ConfigError) as doubt:
                if isinstance(doubt, ConfigError) and isinstance(trouble, ConfigError):
                    raise  # refused twice: no passing hiccup of changing credentials
                trouble = doubt
                found = await self._look(doubt)
                if found.current is not None and found.current.write_id == write_id:
                    return found.etag
                if found.etag != etag:
                    return None
            await clock.sleep(clock.jitter(_pause(attempt)))
        raise UnknownOutcomeError(
            "the state could not be written",
            key=self._layout.state,
            attempts=_SENDS,
            reason=str(trouble),
            hint="nothing is lost: the next pass reads what happened and goes on from there",
        ) from trouble

    async def _look(self, doubt: Error) -> Found:
        """Read what is there after an answer that said nothing, patiently but not for ever."""
        attempt, refusals = 0, 0
        try:
            async with asyncio.timeout(_READING_SECONDS):
                while True:
                    try:
                        return await self.survey()
                    except UnavailableError:
                        refusals = 0
                    except ConfigError:
                        refusals += 1
                        if refusals == _REFUSALS:
                            raise
                    await clock.sleep(clock.jitter(_pause(attempt)))
                    attempt += 1
        except TimeoutError:
            raise UnknownOutcomeError(
                "the state was written or not, and cannot be read to tell",
                key=self._layout.state,
                reason=str(doubt),
                hint="nothing is lost: the next pass reads what happened and goes on from there",
            ) from doubt

    async def _keep(self, document: Document, body: bytes) -> None:
        """Keep a copy of a committed state; told when it fails, being only a convenience."""
        key = self._layout.hist(document.version, document.write_id)
        try:
            async with asyncio.timeout(_HISTORY_SECONDS):
                await self._store.put_if(key, body, None)
        except (Error, TimeoutError) as reason:
            _log.warning("state_copy_not_kept", key=key, reason=str(reason) or "timed out")

    def _checked(self, stored: Stored | None) -> Versioned | None:
        if stored is None:
            return None
        document = decode(stored.body, self._layout)
        birth = self._birth
        check_feeder(
            document.state,
            pipeline=birth.pipeline,
            source=birth.source,
            table=birth.table,
            target=birth.target,
        )
        return _versioned(document, stored.etag)

    def _still_there(self, before: Versioned | None, now: Versioned | None) -> Versioned | None:
        if before is not None and now is None:
            raise DataError(
                "the state object has vanished",
                key=self._layout.state,
                hint="make it anew from the ledger: s3rs watermark reconcile",
            )
        return now


def _versioned(document: Document, etag: str) -> Versioned:
    return Versioned(document.state, etag, document.version, document.write_id, document.unknown)


def _pause(attempt: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(attempt, 10), _LONGEST_PAUSE)
