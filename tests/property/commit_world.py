"""What is so, in a small world of one table: its state object, its files, its ledger, its rows.

Rows are the numbers from 1, each with a cursor of its own. Every state ever written stays known,
and its index is its ETag. The target appends or merges; a window is replaced as the loader does it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from s3rs_async import commit
from s3rs_async.commit import LedgerHead, Ruling, State, Verdict
from s3rs_async.commit.overrides import Edit, reconciled, window_due
from s3rs_async.model import (
    Bound,
    Manifest,
    Mode,
    Part,
    Position,
    Proof,
    SourceId,
    TableName,
    TargetId,
)

TABLE = TableName("shop", "orders")
SOURCE = SourceId("src", "uuid", TABLE)
TARGET = TargetId("dw", "db", TABLE)
BIRTH = State("shop", "src", str(TABLE), str(TARGET))
NEWBORN = LedgerHead("shop", str(SOURCE), 1, 0, "", "", 0)


def mark(position: Position | None) -> int:
    """The last row read."""
    if position is None or position.cursor is None:
        return 0
    return int(position.cursor) - (position.key is None)


def spot(row: int) -> Position:
    """The position of someone who has read up to this row."""
    return Position(str(row), ("1",))


@dataclass
class World:
    """All of it; `restored` once an old state was put back, `gone` what was swept away."""

    planned: Mode = Mode.APPEND
    states: list[State] = field(default_factory=lambda: [BIRTH])
    now: int = 0
    late: list[tuple[int, State]] = field(default_factory=list)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    head: LedgerHead = NEWBORN
    lines: list[Manifest] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    rows: int = 0
    restored: bool = False
    edits: int = 0
    met: Counter[str] = field(default_factory=Counter)

    @property
    def state(self) -> State:
        return self.states[self.now]

    @property
    def recorded(self) -> dict[str, str]:
        """The ledger's batches with their digests, which here are their names."""
        return {line.batch: line.batch for line in self.lines}

    def edit(self, what: str) -> Edit:
        self.edits += 1
        return Edit(f"edit {self.edits}", "now", "someone", what)

    def swap(self, etag: int, new: State, *, by_hand: bool = False) -> bool:
        """The conditional PUT; of itself a position never goes back within a generation."""
        if etag != self.now:
            return False
        if not by_hand and new.generation == self.state.generation:
            assert mark(new.position) >= mark(self.state.position)
        if new != self.state:
            self.states.append(new)
            self.now = len(self.states) - 1
        return True

    def draft(self, state: State, epoch: int, size: int) -> Manifest | None:
        """Extract: rows after the position, as that view has it."""
        lo = mark(state.position)
        hi = max(lo, min(lo + size, self.rows))
        if hi == lo and not state.replace_pending:
            return None
        mode, window = commit.mode_of(state, self.planned, spot(hi))
        return self.keep(
            Manifest(
                pipeline="shop",
                source=SOURCE,
                target=TARGET,
                columns=(),
                merge_key=(),
                cursor="id",
                generation=state.generation,
                epoch=epoch,
                seq=state.next_seq,
                batch="",
                parent=state.last_batch,
                before=state.position,
                after=spot(hi),
                bound=Bound(str(hi), Proof.PROVEN, ""),
                mode=mode,
                moves_watermark=True,
                parts=(Part("key", 1, "etag", hi - lo),),
                session="",
                extracted_at=f"at {len(self.manifests)}",
                window=window,
            )
        )

    def keep(self, made: Manifest) -> Manifest:
        """Its files are in S3, under a name of its own."""
        named = replace(made, batch=f"b{len(self.manifests)}")
        self.manifests[named.batch] = named
        return named

    def load(self, state: State, most: int) -> Ruling | None:
        """One transaction under the ledger's lock; None where a batch's files are gone."""
        chain = [(self.manifests[each.batch], each.batch) for each in state.pending[:most]]
        if self.gone & {batch for _, batch in chain}:
            return None
        ruling = commit.judge_chain(self.head, self.recorded, chain)
        if ruling.verdict is Verdict.LOAD:
            self.met["loads of several"] += len(chain) - ruling.at > 1
            for manifest, _ in chain[ruling.at :]:
                self._enter(manifest)
        return ruling

    def _enter(self, manifest: Manifest) -> None:
        assert manifest.batch not in self.recorded
        fresh = range(mark(manifest.before) + 1, mark(manifest.after) + 1)
        self.target = [row for row in self.target if not _goes(manifest, fresh, row)]
        self.target += fresh
        self.lines.append(manifest)
        self.met[manifest.mode.value] += 1
        self.head = replace(
            self.head,
            generation=manifest.generation,
            seq=manifest.seq,
            batch=manifest.batch,
            position=str(manifest.after),
            rows_total=len(self.target),
        )

    def reconciled(self) -> State:
        """The state rebuilt from the ledger, as the operator's command does it."""
        self.met["reconciled"] += 1
        after = self.lines[-1].after if self.lines else None
        window = window_due((line.mode, line.after) for line in self.lines)
        edit = self.edit("reconcile")
        return reconciled(self.state, self.head, after, edit, window=window)


def _goes(manifest: Manifest, fresh: range, row: int) -> bool:
    """Whether the load deletes a row that is in the target."""
    window = manifest.window
    if manifest.mode is Mode.REPLACE_WINDOW and window is not None:
        lo = int(window.lo) + window.open_lo if window.lo is not None else 0
        return lo <= row <= int(window.hi)
    return manifest.mode is Mode.REPLACE or (manifest.mode is Mode.MERGE and row in fresh)
