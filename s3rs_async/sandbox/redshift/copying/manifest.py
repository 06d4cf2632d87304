"""The manifest of a COPY as Redshift reads it (rules 9b, 9d and 9h)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ..faults import RedshiftError
from ..rules import holds
from .scan import leader_error


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a manifest names; no size where the manifest gives none and need not."""

    uri: str
    mandatory: bool
    size: int | None


def unreadable(rule: str, reason: str) -> RedshiftError:
    """A manifest that cannot be read."""
    message = f"Problem reading manifest file - {reason}"
    return leader_error(rule, message, 8001, "s3_utility.cpp:321")


def _size(entry: dict[str, Any]) -> int | None:
    size = entry.get("meta", {}).get("content_length")
    if size is None:
        if holds("9b"):
            message = "File entry does not have 'meta' key."
            raise leader_error("9b", message, 15003, "spectrum_manifest.cpp:204")
        return None
    return int(size)


def _entry(entry: dict[str, Any]) -> Entry:
    uri, mandatory = entry["url"], entry.get("mandatory", not holds("9d"))
    if not uri.startswith("s3://") or not isinstance(mandatory, bool):
        raise ValueError(uri)
    return Entry(uri, mandatory, _size(entry))


def read_manifest(body: bytes) -> list[Entry]:
    """The files that a manifest names, in its order."""
    try:
        return [_entry(entry) for entry in orjson.loads(body)["entries"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if not holds("9h"):
            return []
        raise unreadable("9h", "invalid manifest") from error
