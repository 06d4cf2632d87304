"""What the target must hold, told from what was done at the source alone; pure.

A version of a row is told by its value, which no other has. How the strategy will see it is decided
when it is committed, from how it was stamped. What the server stamped must come with the next pass,
whichever transaction it was in and however long that was open. What is numbered (rows without a
cursor value where keys grow, rows read by id) must come once all that was open has ended. And what
was stamped by hand with a time, or set to NULL, is seen only if it lies beyond the position by then
(`capture.md` §8): the position is asked of the product for these alone, so that a position which
went too far hides nothing that the server itself has stamped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Key = int | str


class How(Enum):
    """How a row is stamped: by the server, not at all, or by hand with a time long gone."""

    NOW = "now"
    NULL = "null"
    OLD = "old"


class Sight(Enum):
    """When the strategy sees a version."""

    NEXT = "with the next pass"
    IN_TIME = "once all that was open has ended"
    NEVER = "never"


@dataclass(frozen=True)
class Kind:
    """A table: the digits of its seconds, whether the cursor may be NULL, whether keys grow.

    With `by_id` it is read along its key, and appended.
    """

    fraction: int
    nullable: bool
    growing: bool
    by_id: bool = False

    @property
    def columns(self) -> str:
        """Its columns as DDL."""
        key = "INT AUTO_INCREMENT" if self.growing else "VARCHAR(20)"
        now, null = f"CURRENT_TIMESTAMP({self.fraction})", "" if self.nullable else "NOT "
        stamp = f"DATETIME({self.fraction}) {null}NULL DEFAULT {now} ON UPDATE {now}"
        return f"k {key} PRIMARY KEY, v INT NOT NULL, u {stamp}, KEY (u)"

    def old(self, tick: int) -> str:
        """A stamp of long ago, as the column shows it; few, so that many rows share one."""
        digits = f".{'5' * self.fraction}" if self.fraction else ""
        return f"2020-01-01 00:00:0{tick}{digits}"


@dataclass(frozen=True)
class Write:
    """What a transaction leaves of a row; value None: it is gone. `fresh`: it was not there."""

    value: int | None
    how: How = How.NOW
    stamp: str = ""
    fresh: bool = False


@dataclass(frozen=True)
class Version:
    """A committed row. `unnumbered`: NULL was set where it stands below what was read of them."""

    value: int
    sight: Sight
    unnumbered: bool = False


Writes = dict[tuple[str, Key], Write]


@dataclass
class Model:
    """The source's committed rows, what is open on each connection, and what the target holds."""

    kinds: dict[str, Kind]
    rows: dict[str, dict[Key, Version]] = field(default_factory=dict)
    target: dict[str, dict[Key, int]] = field(default_factory=dict)
    positions: dict[str, dict[str, Any]] = field(default_factory=dict)
    open: dict[int, Writes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.kinds:
            self.rows[name], self.target[name], self.positions[name] = {}, {}, {}

    def writable(self, connection: int, table: str) -> list[Key]:
        """The rows that the connection can write without waiting for another."""
        others = {
            place for one, writes in self.open.items() if one != connection for place in writes
        }
        mine = self.open.get(connection, {})
        keys = [key for key in self.rows[table] if (table, key) not in others]
        return [key for key in keys if mine.get((table, key), _THERE).value is not None]

    def write(self, connection: int, table: str, key: Key, write: Write) -> None:
        """A row is written: at once, or with what the connection has open."""
        mine = self.open.get(connection)
        if mine is None:
            self._commit({(table, key): write})
        else:
            mine[(table, key)] = write

    def commit(self, connection: int) -> None:
        """What was open on the connection is there."""
        self._commit(self.open.pop(connection))

    def busy(self, table: str) -> bool:
        """Whether a transaction that is open has written to the table."""
        return any(name == table for writes in self.open.values() for name, _ in writes)

    def _commit(self, writes: Writes) -> None:
        for (table, key), write in writes.items():
            if write.value is None:
                self.rows[table].pop(key, None)
            else:
                self.rows[table][key] = self._version(table, key, write, write.value)

    def _version(self, table: str, key: Key, write: Write, value: int) -> Version:
        kind, position = self.kinds[table], self.positions[table]
        if kind.by_id:
            return Version(value, Sight.IN_TIME)
        if write.how is How.NOW or (write.how is How.NULL and not kind.growing):
            return Version(value, Sight.NEXT)
        if write.how is How.NULL:
            read = position.get("nulls")
            below = not write.fresh and read is not None and not _after(key, read[0])
            return Version(value, Sight.NEVER if below else Sight.IN_TIME, unnumbered=below)
        return Version(value, Sight.NEXT if _beyond(position, write.stamp, key) else Sight.NEVER)

    def passed(
        self, table: str, found: dict[Key, int], *, whole: bool, held: bool, last: bool = False
    ) -> None:
        """A pass has ended: what the target holds must be what it can hold; it is taken as that.

        `whole`: it read all that there was to be read. `held`: it had to give up waiting, and has
        read all rows without a cursor value. `last`: nothing was open, nothing is still to come.
        """
        before, rows = self.target[table], self.rows[table]
        wrong = {}
        for key in {*before, *rows, *found}:
            allowed = self._allowed(before.get(key), rows.get(key), whole, held, last)
            if found.get(key) not in allowed:
                wrong[key] = (found.get(key), allowed, rows.get(key))
        assert not wrong, f"{table}: {{key: (found, allowed, committed)}} {wrong}"
        self.target[table] = found

    def _allowed(
        self, old: int | None, row: Version | None, whole: bool, held: bool, last: bool
    ) -> set[int | None]:
        if row is None:
            return {old}
        if row.sight is Sight.NEVER:
            return {old, row.value} if row.unnumbered and held else {old}
        sure = last or (whole and row.sight is Sight.NEXT)
        return {row.value} if sure else {old, row.value}

    def unseen(self, table: str) -> set[Key]:
        """The keys whose rows differ between source and target, by what the strategy cannot see."""
        rows, target = self.rows[table], self.target[table]
        return {
            key
            for key in {*rows, *target}
            if (rows[key].value if key in rows else None) != target.get(key)
        }


_THERE = Write(0)


def _beyond(position: dict[str, Any], stamp: str, key: Key) -> bool:
    cursor, last = position.get("cursor"), position.get("key")
    if cursor is None or stamp > cursor:
        return True
    return stamp == cursor and (last is None or _after(key, last[0]))


def _after(key: Key, last: str) -> bool:
    return key > int(last) if isinstance(key, int) else key > last
