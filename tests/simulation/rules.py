"""What must hold after every event that changes a port, and at the end of a seed.

A1  the target holds each source row up to the ledger's position exactly once (by key where rows are
    merged), and nothing that the source never had
A2  the watermark never goes back within a generation, but by an override
A3  each pending batch has its files, or is in the ledger
A4  what is pending follows what the ledger holds, without a hole or an overlap
    (A2 to A4 not where an operator has put an old state back and not yet reconciled it; nor where
    a reconcile was killed between its write and its last look at the ledger, or before that write
    landed: then once more. One that lives finds a ledger that was born meanwhile, or a lock that it
    lost, by itself)
A5  at the end one fresh daemon brings the target to what the source is

They are told in terms of the stored bytes alone: nothing of the product is asked.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from s3rs_async.redshift import sql
from s3rs_async.s3.layout import Layout
from tests.simulation.expressions import Row
from tests.simulation.loop import Process
from tests.simulation.source import Source
from tests.simulation.stage import Disk, Thing
from tests.simulation.warehouse import Warehouse
from tests.simulation.world import BrokenError

OVERRIDERS = ("operator", "refresher", "marker")


@dataclass(eq=False)
class Rules:
    """The three stores of one seed, looked at from outside."""

    disk: Disk
    source: Source
    server: Warehouse
    layout: Layout
    target: str
    ledger: str
    rolled_back: bool = False
    mender: Process | None = None
    owing: bool = False
    commits: int = -1
    state: dict[str, Any] | None = None
    seen: Thing | None = None
    ancestors: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = self.layout.state

    def check(self, what: str) -> None:
        """Every rule that the event may have touched."""
        state = self.disk.things.get(self.place)
        if state is not None and state is not self.seen:
            self._changed(state)
        elif self.server.commits != self.commits or what.startswith("delete"):
            self._whole()
        if self.server.commits != self.commits:
            self.commits = self.server.commits
            self._a1()

    def _changed(self, state: Thing) -> None:
        before, self.state, self.seen = self.state, json.loads(state.body), state
        self.ancestors.append(state.body)
        if self.disk.author.startswith(OVERRIDERS):
            if self.disk.author.startswith("operator"):
                self._mended(self.disk.author)
        elif before is not None and not self.rolled_back:
            self._a2(before, self.state)
        self._whole()

    def _mended(self, author: str) -> None:
        """A reconcile has landed, perhaps of one that owes it since its first."""
        last, processes = self.mender, self.disk.world.processes
        self.mender = next(each for each in processes if each.name == author)
        if self.owing and last is not self.mender and last is not None and not last.killed:
            raise BrokenError(f"A4 {last.name} lives, and left the two apart")
        self.rolled_back = self.owing = False

    def _whole(self) -> None:
        if self.state is not None and not self.rolled_back:
            loaded = self.loaded()
            waits = [each for each in self.state["pending"] if each["batch"] not in loaded]
            if (wrong := self._gap(self.state, waits)) is not None:
                if self.mender is None:
                    raise BrokenError(f"A4 {wrong}")
                self.rolled_back = self.owing = True
            else:
                self._a3(waits)

    # what the stores hold

    def table(self, name: str) -> list[dict[str, Any]]:
        found = self.server.tables.get(name)
        return (
            [dict(zip(found.names, row, strict=True)) for row in found.rows.values()]
            if found
            else []
        )

    def loaded(self) -> set[str]:
        found = self.server.tables.get(self.ledger)
        if found is None:
            return set()
        place = found.names.index("batch_id")
        return {row[place] for row in found.rows.values()}

    def head(self) -> dict[str, Any] | None:
        heads = self.table(f"{self.ledger}_head")
        if len(heads) > 1:
            raise BrokenError(f"A1 the ledger has {len(heads)} heads")
        return heads[0] if heads else None

    def rows(self) -> list[Row]:
        found = self.server.tables.get(self.target)
        return list(found.rows.values()) if found else []

    def wanted(self) -> list[Row]:
        return sorted(row.values for row in self.source.rows.values())

    def is_equal(self) -> bool:
        """Whether the target is what the source is."""
        return sorted(self.rows()) == self.wanted()

    # the rules

    def _a1(self) -> None:
        head, rows = self.head(), self.rows()
        twice = [key for key, count in Counter(row[0] for row in rows).items() if count > 1]
        if twice:
            raise BrokenError(f"A1 doubled: {sorted(twice)}")
        odd = [row for row in rows if row not in self.source.ever]
        if odd:
            raise BrokenError(f"A1 not of the source: {odd}")
        if head is None or not head["batch_id"]:
            return
        position = json.loads(head["position"] or "null")
        held = set(rows)
        lost = [
            row.id
            for row in self.source.rows.values()
            if _is_below(row.cursor, row.id, position) and row.values not in held
        ]
        if lost:
            raise BrokenError(f"A1 lost: {sorted(lost)} up to {head['position']}")

    def _a2(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        if after["generation"] < before["generation"] or after["epoch"] < before["epoch"]:
            raise BrokenError("A2 generation or epoch went back")
        if after["generation"] == before["generation"]:
            old, new = before["position"], after["position"]
            if old is not None and (new is None or _order(new) < _order(old)):
                raise BrokenError(f"A2 the watermark went back: {old} to {new}")

    def _a3(self, waits: list[dict[str, Any]]) -> None:
        for batch in waits:
            thing = self.disk.things.get(batch["manifest"])
            if thing is None:
                raise BrokenError(f"A3 no batch.json of pending {batch['batch']}")
            parts = _document(thing.body)["parts"]
            missing = [part["key"] for part in parts if part["key"] not in self.disk.things]
            copy = batch["manifest"].removesuffix("batch.json") + "copy.manifest"
            if missing or (parts and copy not in self.disk.things):
                raise BrokenError(f"A3 no files of pending {batch['batch']}")

    def _gap(self, state: dict[str, Any], waits: list[dict[str, Any]]) -> str | None:
        """How what is pending does not follow what the ledger holds; None if it does."""
        head = self.head() or {"generation": 1, "batch_id": ""}
        newer = state["generation"] > head["generation"]
        if any(after["parent"] != before["batch"] for before, after in pairwise(state["pending"])):
            return "pending is no chain"
        if not waits:
            hole = not newer and state["last_batch"] != head["batch_id"]
            return f"hole: {head['batch_id']} is the last one loaded" if hole else None
        if state["pending"][-len(waits) :] != waits:
            return "a batch was loaded before the one that it follows"
        if not newer and waits[0]["parent"] != head["batch_id"]:
            return f"{waits[0]['batch']} does not follow {head['batch_id']}"
        begins = not newer or self._mode(waits[0]) == "replace"
        return None if begins else "a generation does not begin with a replace"

    def _mode(self, batch: dict[str, Any]) -> str:
        thing = self.disk.things.get(batch["manifest"])
        return str(_document(thing.body)["mode"]) if thing is not None else "none"


@lru_cache(256)
def _document(body: bytes) -> dict[str, Any]:
    """A batch's own description; it is asked for after every event that may touch what waits."""
    found: dict[str, Any] = json.loads(body)
    return found


def _order(position: dict[str, Any]) -> tuple[str, int]:
    key = position["key"]
    return position["cursor"] or "", int(key[-1]) if key and position["cursor"] is None else 0


def _is_below(cursor: str, key: int, position: dict[str, Any] | None) -> bool:
    """Whether a row was read, if the position is to be believed."""
    if position is None:
        return False
    last = int(position["key"][-1]) if position["key"] else None
    if position["cursor"] is None:
        return last is not None and key <= last
    if last is None:
        return cursor < position["cursor"]
    return (cursor, key) <= (position["cursor"], last)


def names_of(target: Any) -> tuple[str, str]:
    """The target's and its ledger's names, as the warehouse keeps them."""
    ledger = sql.ledger_names(target).ledger
    return f"{target.table.schema}.{target.table.name}", f"{ledger.schema}.{ledger.name}"
