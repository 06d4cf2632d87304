"""A store that drops conditions would give every writer the same table: it is refused at start.

Some S3-compatible servers accept `If-None-Match` and `If-Match` and ignore them. So before the
first swap one object is created, created again (must be refused), replaced under a wrong ETag (must
be refused) and under the right one (must go). The object stays and is overwritten, because we hold
no right to delete. A good answer is remembered for seven days per endpoint and bucket, in the
user's cache folder, so that an idle pass pays nothing; without such a folder it is asked each time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from .. import clock
from ..errors import ConfigError, UnavailableError, UnknownOutcomeError
from .layout import canary_key
from .object import BusyError, StaleError, Stored

if TYPE_CHECKING:
    from ..config import S3Config

_KEPT = dt.timedelta(days=7)
_TRIES = 8
_PAUSE = 0.1
_WRONG = '"00000000000000000000000000000000"'


class Objects(Protocol):
    """What the self test needs of a store."""

    async def get(self, key: str) -> Stored | None:
        """The object, or None."""

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        """Write under a condition; one request."""


async def ensure_conditions(store: Objects, config: S3Config, memory: Path | None = None) -> None:
    """Refuse a store that ignores conditions, unless it is known to be good."""
    place = config.endpoint or f"aws {config.region}"
    note = (memory or cache_folder()) / f"canary-{_short(f'{place} {config.bucket}')}.json"
    if await asyncio.to_thread(_is_known, note):
        return
    await prove(store, canary_key(config.prefix, place))
    await asyncio.to_thread(_remember, note)


def cache_folder() -> Path:
    """Where this user's programs keep what may be lost."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - never raises
    return Path(home) / "s3rs"


async def prove(store: Objects, key: str) -> None:
    """Try the four conditional writes; ConfigError when one of them is answered wrongly."""
    for attempt in range(_TRIES):
        try:
            if await _proved(store, key):
                return
        except (BusyError, UnknownOutcomeError):
            pass  # nothing is shown either way
        await clock.sleep(clock.jitter(_PAUSE * 2**attempt))
    raise UnavailableError(
        "the store's self test did not come to an end",
        key=key,
        attempts=_TRIES,
        hint="try again; if it stays so, the store is too slow or refuses a right If-Match",
    )


async def _proved(store: Objects, key: str) -> bool:
    """One round; False when another process's canary came between."""
    stored = await store.get(key)
    if stored is None:
        etag = await _accepted(store, key, None)
    else:
        etag = stored.etag
    if etag is None:
        return False
    await _refused(store, key, None, condition="If-None-Match")
    await _refused(store, key, _WRONG, condition="If-Match")
    if await _accepted(store, key, etag) is not None:
        return True
    again = await store.get(key)
    if again is not None and again.etag == etag:
        _fail(key, "If-Match", "it refuses a write whose ETag is the right one")
    return False


async def _accepted(store: Objects, key: str, etag: str | None) -> str | None:
    try:
        return await store.put_if(key, _body(), etag)
    except StaleError:
        return None


async def _refused(store: Objects, key: str, etag: str | None, *, condition: str) -> None:
    try:
        await store.put_if(key, _body(), etag)
    except StaleError:
        return
    _fail(key, condition, "it wrote although the condition did not hold")


def _fail(key: str, condition: str, reason: str) -> NoReturn:
    raise ConfigError(
        "the store does not honour conditional writes",
        where="s3",
        key=key,
        condition=condition,
        reason=reason,
        hint="use Amazon S3, or a server that answers 412 to a PUT whose condition fails",
    )


def _body() -> bytes:
    return json.dumps({"format": "s3rs-canary", "write_id": clock.ulid()}).encode()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _is_known(note: Path) -> bool:
    try:
        when = dt.datetime.fromisoformat(json.loads(note.read_text("utf-8"))["at"])
        return dt.timedelta() <= clock.utc_now() - when < _KEPT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _remember(note: Path) -> None:
    draft = note.with_suffix(f".{clock.ulid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"at": clock.iso_now()}), "utf-8")
        draft.replace(note)
    except OSError:
        return
