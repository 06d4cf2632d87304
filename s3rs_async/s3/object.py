"""What a store speaks: an object, an entry of a listing, and the two clean refusals of a write.

They lie apart from the store, so that those who decide over them need no driver to be loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was in one answer: its body and the ETag that goes with exactly it."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Stat:
    """An object without its body."""

    size: int
    etag: str
    upload: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing."""

    key: str
    size: int
    etag: str
    modified: dt.datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing, and what the store's clock showed when it gave it."""

    entries: tuple[Entry, ...]
    date: dt.datetime


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was begun and not ended; `date` is that of the answer it was in."""

    key: str
    upload_id: str
    begun: dt.datetime
    date: dt.datetime


@dataclass(frozen=True, slots=True)
class Undeleted:
    """A key that the store did not delete, and its code for why."""

    key: str
    code: str


class StaleError(ConflictError):
    """The condition does not hold (412, or 404 for a given ETag): not written by this request."""


class BusyError(ConflictError):
    """Another write of the same object was under way (409): not written, worth sending again."""


class MissingError(UnavailableError):
    """There is no such object or upload (404): not written."""
