"""How rows of both sides differ, told by key; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]


class Kind(StrEnum):
    """What is wrong with a key at the target.

    The row is not there though it was due; it is an older version; the source has it no longer; or
    the target has it more than once.
    """

    MISSING = "missing"
    STALE = "stale"
    EXTRA = "extra"
    DOUBLED = "doubled"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows a side has, and what their digests add up to."""

    rows: int = 0
    digests: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.digests + other.digests)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row's digest, and whether it was there to be read by what the target was last given."""

    digest: int
    due: bool


SourceRows: TypeAlias = Mapping[Key, SourceRow]
TargetRows: TypeAlias = Mapping[Key, Sequence[int]]
"""The digests of each key's rows: there should be one."""


def differences(
    source: SourceRows, target: TargetRows, *, versions: bool
) -> Iterator[tuple[Key, Kind]]:
    """The keys in which the rows of a stretch differ.

    With `versions` the target keeps the older versions of a row beside the newest. A row that is
    not due yet is left to the pass that will read it.
    """
    for key, row in source.items():
        held = target.get(key, ())
        if row.digest in held:
            if len(held) > 1 and not versions:
                yield key, Kind.DOUBLED
        elif row.due:
            yield key, Kind.STALE if held else Kind.MISSING
    for key in target.keys() - source.keys():
        yield key, Kind.EXTRA


def not_due(source: SourceRows, target: TargetRows) -> int:
    """How many rows differ and are left to the pass that will read them."""
    return sum(not row.due and row.digest not in target.get(key, ()) for key, row in source.items())


def unequal_buckets(source: Mapping[int, Tally], target: Mapping[int, Tally]) -> list[int]:
    """The buckets of keys in which the sides differ, in order."""
    nothing = Tally()
    return sorted(
        bucket
        for bucket in source.keys() | target.keys()
        if source.get(bucket, nothing) != target.get(bucket, nothing)
    )
