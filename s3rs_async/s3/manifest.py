"""A batch's two documents: `copy.manifest`, which COPY reads, and then `batch.json`, our own.

Both are written once and never again, before the state may name the batch; until it does they mean
nothing. The state and the ledger keep the digest of `batch.json`, so a document that was changed
afterwards is refused instead of loaded. A batch without rows has no `copy.manifest`: there is
nothing to copy, and an empty one is an error to Redshift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .. import clock
from ..errors import ConflictError, DataError, UnavailableError, UnknownOutcomeError
from ..failpoint import step
from ..model import Manifest
from .codec import digest, dumps, loads, pack, unpack
from .layout import Attempt, Layout, copy_manifest_of
from .object import BusyError, StaleError, Stored

if TYPE_CHECKING:
    from ..model import Part

FORMAT = "s3rs-batch"
SCHEMA = 3
_SINCE: dict[object, dict[str, object]] = {
    1: {"window": None, "cursor_else": []},
    2: {"cursor_else": []},
}
"""What an older release's description has not, and what it means there."""

_SENDS = 6
_PAUSE = 0.2


class Bucket(Protocol):
    """What sealing needs of a store."""

    @property
    def bucket(self) -> str:
        """The bucket's name, for COPY's full addresses."""

    async def get(self, key: str) -> Stored | None:
        """The object, or None."""

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        """Write if there is no such object (ETag None); one request."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where a batch's description lies, its digest, and COPY's manifest (None without parts)."""

    key: str
    sha256: str
    copy: str | None


async def seal(store: Bucket, manifest: Manifest, layout: Layout) -> Sealed:
    """Write both documents of a batch; afterwards the state may name it."""
    key = layout.manifest(
        Attempt(manifest.generation, manifest.epoch, manifest.seq, manifest.batch)
    )
    copy = copy_manifest_of(key) if manifest.parts else None
    raw = {"format": FORMAT, "schema": SCHEMA} | pack(manifest)
    sha256 = digest(raw)
    async with step("X7"):
        if copy is not None:
            await _create(store, copy, _entries(store.bucket, manifest.parts))
        await _create(store, key, dumps(raw | {"sha256": sha256}).encode())
    return Sealed(key, sha256, copy)


async def read(store: Bucket, key: str, sha256: str | None) -> Manifest:
    """The batch that `key` describes, if it is still the one that was named (None: whichever)."""
    stored = await store.get(key)
    if stored is None:
        raise DataError(
            "a batch's manifest is gone, nothing was loaded",
            key=key,
            hint="bring the object back from the bucket's versions",
        )
    try:
        return _decode(stored.body, sha256)
    except ValueError as reason:
        raise DataError(
            "a batch's manifest was tampered with, nothing was loaded",
            key=key,
            reason=str(reason),
            hint="bring the object back from the bucket's versions",
        ) from reason


def _decode(body: bytes, sha256: str | None) -> Manifest:
    raw = loads(body)
    if not isinstance(raw, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of failure for one answer
    stated = raw.pop("sha256", None)
    if sha256 not in (None, stated) or digest(raw) != stated:
        raise ValueError("its digest is not the one the state names")
    form, schema = raw.pop("format", None), raw.pop("schema", None)
    if form != FORMAT or schema not in {1, 2, SCHEMA}:
        raise ValueError(f"not {FORMAT} {SCHEMA}")
    raw = {**_SINCE.get(schema, {}), **raw}
    return unpack(Manifest, raw)


def _entries(bucket: str, parts: tuple[Part, ...]) -> bytes:
    entries = [
        {
            "url": f"s3://{bucket}/{part.key}",
            "mandatory": True,
            "meta": {"content_length": part.size},
        }
        for part in parts
    ]
    return dumps({"entries": entries}).encode()


async def _create(store: Bucket, key: str, body: bytes) -> None:
    """Put an object that must not exist; a lost answer is resolved by reading it back."""
    for attempt in range(_SENDS):
        try:
            await store.put_if(key, body, None)
        except BusyError:
            pass
        except (StaleError, UnknownOutcomeError, UnavailableError):
            found = await store.get(key)
            if found is not None:
                _check_same(key, found.body, body)
                return
        else:
            return
        await clock.sleep(clock.jitter(_PAUSE * 2**attempt))
    raise UnavailableError(
        "a batch's manifest could not be written",
        key=key,
        attempts=_SENDS,
        hint="nothing is committed: the next pass reads the same rows again",
    )


def _check_same(key: str, found: bytes, body: bytes) -> None:
    if found != body:
        raise ConflictError("another batch lies where this one belongs", key=key)
