"""Every key we will ever write, and the one way back from a key to what it belongs to.

    <prefix>/v1/<pipeline>/<connection>/<schema>/<table>/state.json        changed by swap, for ever
                                                       .../hist/…          a copy of every state
                                                       .../verified.json      how far verify came
                                                       .../data/g/e/s/…    immutable batches
    <prefix>/v1/_writers/<writer>.json                                     heartbeats
    <prefix>/v1/_canary/<hash>                                             the store's self test

A name from outside becomes one path part: every byte but [A-Za-z0-9_-] percent-encoded, then a
dot and twelve hex digits of its SHA-256. So no name can hold a slash, climb by dots, or meet
another one where case is folded; and none can collide with `_writers`. A very long name is cut,
because S3 ends keys at 1024 bytes; the hash still tells it apart.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import TableName

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_LONGEST = 160
_BATCH = re.compile(
    r"data/g(?P<generation>\d{6,})/e(?P<epoch>\d{8,})/s(?P<seq>\d{10,})-(?P<batch>[0-9A-Z]{26})/"
    r"(?:part-(?P<part>\d{5,})\.parquet|batch\.json|copy\.manifest)",
    re.ASCII,
)
_HIST = re.compile(r"hist/(?P<version>\d{20})-(?P<write_id>[0-9A-Z]{26})\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One batch's folder: the numbers that say when it may be thrown away."""

    generation: int
    epoch: int
    seq: int
    batch: str


@dataclass(frozen=True, slots=True)
class HistKey:
    """Which committed state a key under `hist/` is a copy of."""

    version: int
    write_id: str


@dataclass(frozen=True, slots=True)
class DataKey:
    """What a key under `data/` belongs to; `part` is None for a batch's own documents."""

    attempt: Attempt
    part: int | None


def encode_name(name: str) -> str:
    """A name as one safe path part, never the same for two names."""
    raw = name.encode("utf-8", "surrogatepass")
    shown = "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in raw)
    return f"{shown[:_LONGEST]}.{hashlib.sha256(raw).hexdigest()[:12]}"


def tkey(connection: str, table: TableName) -> str:
    """A table's own path: connection, schema and table."""
    return "/".join(encode_name(part) for part in (connection, table.schema, table.name))


def root(prefix: str) -> str:
    """Where everything of ours begins, with its closing slash."""
    return "/".join(part for part in (*prefix.split("/"), "v1", "") if part) + "/"


def writer_key(prefix: str, writer: str) -> str:
    """A process's heartbeat."""
    return f"{root(prefix)}_writers/{encode_name(writer)}.json"


def canary_key(prefix: str, endpoint: str) -> str:
    """The object on which a store shows that it honours conditions."""
    return f"{root(prefix)}_canary/{hashlib.sha256(endpoint.encode()).hexdigest()[:16]}"


def copy_manifest_of(batch_json: str) -> str:
    """The key of the Redshift manifest that lies beside a `batch.json`."""
    return f"{batch_json.removesuffix('batch.json')}copy.manifest"


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one table in one pipeline."""

    prefix: str
    pipeline: str
    connection: str
    table: TableName

    @property
    def home(self) -> str:
        """The table's own folder, with its closing slash."""
        return f"{root(self.prefix)}{encode_name(self.pipeline)}/{self._tkey}/"

    @property
    def _tkey(self) -> str:
        return tkey(self.connection, self.table)

    @property
    def state(self) -> str:
        """The register: changed only by compare-and-swap, never deleted."""
        return f"{self.home}state.json"

    @property
    def verified(self) -> str:
        """How far the table was compared with its target, for the next comparison."""
        return f"{self.home}verified.json"

    @property
    def data(self) -> str:
        """The folder of all batches, with its closing slash."""
        return f"{self.home}data/"

    def hist(self, version: int, write_id: str) -> str:
        """The copy of one committed state."""
        return f"{self.home}hist/{version:020d}-{write_id}.json"

    def batch(self, attempt: Attempt) -> str:
        """One attempt's folder, with its closing slash."""
        return (
            f"{self.data}g{attempt.generation:06d}/e{attempt.epoch:08d}"
            f"/s{attempt.seq:010d}-{attempt.batch}/"
        )

    def part(self, attempt: Attempt, number: int) -> str:
        """One parquet object."""
        return f"{self.batch(attempt)}part-{number:05d}.parquet"

    def manifest(self, attempt: Attempt) -> str:
        """Our own description of a batch."""
        return f"{self.batch(attempt)}batch.json"

    def parse(self, key: str) -> DataKey | None:
        """What a key under our `data/` belongs to; None for anything we would not write."""
        if not key.startswith(self.home):
            return None
        found = _BATCH.fullmatch(key, len(self.home))
        if found is None:
            return None
        attempt = Attempt(
            int(found["generation"]), int(found["epoch"]), int(found["seq"]), found["batch"]
        )
        part = int(found["part"]) if found["part"] else None
        ours = self.manifest(attempt) if part is None else self.part(attempt, part)
        if key not in (ours, copy_manifest_of(ours)):
            return None
        return DataKey(attempt, part)

    def parse_hist(self, key: str) -> HistKey | None:
        """Which state a key under our `hist/` is a copy of; None for what we would not write."""
        found = _HIST.fullmatch(key, len(self.home)) if key.startswith(self.home) else None
        if found is None:
            return None
        return HistKey(int(found["version"]), found["write_id"])
