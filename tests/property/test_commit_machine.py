"""The protocol's decisions over a small world: one state object, one ledger, three processes.

Every process acts on what it last saw, however old: nothing is held but the swap and the ledger's
lock. Answers are lost, requests land late, processes die between any two steps, an operator puts an
old state back byte for byte. Whatever is tried, the target holds each row once up to the ledger's
mark; between that mark and the position nothing is skipped; and when all is quiet, one fresh pass
brings everything over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async import commit
from s3rs_async.commit import Claim, LedgerHead, State, Step, Verdict
from s3rs_async.errors import ConflictError, DataError
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
NEWBORN = LedgerHead("shop", str(SOURCE), 1, 0, "", "0", 0)

PASS = ("write", "look", "claim", "extract", "commit", "look", "load", "ask", "settle")
ACTS = ("pass", "deliver", "die", "refresh", "restore", *PASS)
WEIGHTS = (12, 2, 1, 0.5, 0.5, *(1 for _ in PASS))


@dataclass
class Process:
    """What one process believes."""

    writer: str
    seen: int = 0
    epoch: int = -1
    draft: Manifest | None = None
    head: LedgerHead | None = None


@dataclass
class World:
    """What is so: every state ever written (its index is its ETag), the ledger, the rows."""

    states: list[State] = field(default_factory=lambda: [BIRTH])
    now: int = 0
    late: list[tuple[int, State]] = field(default_factory=list)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    head: LedgerHead = NEWBORN
    loaded: dict[str, str] = field(default_factory=dict)
    target: list[int] = field(default_factory=list)
    rows: int = 0
    restored: bool = False

    @property
    def state(self) -> State:
        return self.states[self.now]

    def swap(self, etag: int, new: State) -> bool:
        """The conditional PUT."""
        if etag != self.now:
            return False
        if new != self.state:
            self.states.append(new)
            self.now = len(self.states) - 1
        return True

    def draft(self, state: State, epoch: int, size: int) -> Manifest | None:
        """Extract: rows after the position, as that view has it."""
        lo = mark(state.position)
        hi = min(lo + size, self.rows)
        if hi == lo and not state.replace_pending:
            return None
        batch = f"b{len(self.manifests)}"
        self.manifests[batch] = Manifest(
            pipeline="shop",
            source=SOURCE,
            target=TARGET,
            columns=(),
            merge_key=(),
            cursor="id",
            generation=state.generation,
            epoch=epoch,
            seq=state.next_seq,
            batch=batch,
            parent=state.last_batch,
            before=state.position,
            after=Position(str(hi)),
            bound=Bound(str(hi), Proof.PROVEN, ""),
            mode=Mode.REPLACE if state.replace_pending else Mode.APPEND,
            moves_watermark=True,
            parts=(Part("key", 1, "etag", hi - lo),),
            session="",
            extracted_at="",
        )
        return self.manifests[batch]

    def load(self, batch: str) -> Verdict:
        """One transaction under the ledger's lock."""
        manifest = self.manifests[batch]
        verdict = commit.judge(self.head, self.loaded.get(batch), manifest, batch)
        if verdict is Verdict.LOAD:
            lo, hi = mark(manifest.before), mark(manifest.after)
            kept = [] if manifest.mode is Mode.REPLACE else self.target
            self.target = [*kept, *range(lo + 1, hi + 1)]
            self.loaded[batch] = batch
            self.head = replace(
                self.head,
                generation=manifest.generation,
                seq=manifest.seq,
                batch=batch,
                position=str(hi),
                rows_total=len(self.target),
            )
        return verdict

    def reconciled(self) -> State:
        """The state rebuilt from the ledger, as the operator's command does it."""
        head = self.head
        return replace(
            self.state,
            generation=head.generation,
            last_batch=head.batch,
            next_seq=head.seq + 1,
            position=Position(head.position) if head.batch else None,
            pending=(),
            replace_pending=False,
            epoch=self.state.epoch + 1,
        )


def mark(position: Position | None) -> int:
    return int(position.cursor) if position is not None and position.cursor else 0


def key_of(manifest: Manifest) -> dict[str, str]:
    return {"key": f"{manifest.batch}/batch.json", "sha256": manifest.batch}


class Protocol:
    """Any order of steps by anyone, on views of any age."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.world = World(rows=self.chance.randrange(6))
        self.processes = [Process(f"w{number}") for number in range(3)]

    def walk(self, length: int) -> None:
        for _ in range(length):
            one = self.chance.choice(self.processes)
            [act] = self.chance.choices(ACTS, WEIGHTS)
            if act == "pass":
                first, last = self.chance.randrange(6), self.chance.randrange(9)
                for step in PASS[first : last + 1]:
                    getattr(self, step)(one)
            else:
                getattr(self, act)(one)
            self.is_exactly_once()

    def write(self, _: Process) -> None:
        self.world.rows += 1

    def look(self, one: Process) -> None:
        one.seen = self.world.now

    def ask(self, one: Process) -> None:
        one.head = self.world.head

    def die(self, one: Process) -> None:
        self.processes.remove(one)
        self.processes.append(Process(f"{one.writer}'", seen=self.world.now))

    def claim(self, one: Process) -> None:
        world = self.world
        if world.states[one.seen].epoch == one.epoch:
            return
        claim = Claim(one.writer, "host", "boot", 1, "")
        new = commit.claimed(world.states[one.seen], claim)
        if world.swap(one.seen, new):
            one.epoch = new.epoch
        one.seen = world.now

    def extract(self, one: Process) -> None:
        if one.epoch >= 0:
            one.draft = self.world.draft(self.world.states[one.seen], one.epoch, 2)

    def commit(self, one: Process) -> None:
        world = self.world
        answer = self.chance.choice(("heard", "heard", "lost", "late"))
        if one.draft is None:
            return
        for etag in (one.seen, world.now):  # the second time rebased on what is there
            try:
                new = commit.committed(world.states[etag], one.draft, **key_of(one.draft))
            except ConflictError:
                one.draft = None
                break
            if answer == "late":
                world.late.append((etag, new))
                break
            if world.swap(etag, new):
                one.draft = one.draft if answer == "lost" else None
                break
        one.seen = one.seen if answer != "heard" else world.now

    def deliver(self, _: Process) -> None:
        """A request believed dead lands after all."""
        if self.world.late:
            self.world.swap(*self.world.late.pop(self.chance.randrange(len(self.world.late))))

    def load(self, one: Process) -> None:
        for pending in self.world.states[one.seen].pending[:1]:
            verdict = self.world.load(pending.batch)
            assert verdict not in (Verdict.TAMPERED, Verdict.FOREIGN)

    def settle(self, one: Process) -> None:
        world = self.world
        if one.head is None:
            return
        before = world.state  # read after the head, as the rule wants it
        try:
            new = commit.settled(before, one.head, "now")
        except DataError:
            assert world.restored
            return
        gone = {p.batch for p in before.pending} - {p.batch for p in new.pending}
        assert gone <= world.loaded.keys()
        world.swap(world.now, new)
        one.seen = world.now

    def refresh(self, one: Process) -> None:
        """The operator wants the table anew."""
        world = self.world
        seen = world.states[one.seen]
        world.swap(
            one.seen,
            replace(
                seen,
                generation=seen.generation + 1,
                position=None,
                pending=(),
                replace_pending=True,
                epoch=seen.epoch + 1,
            ),
        )
        one.seen = world.now

    def restore(self, _: Process) -> None:
        """The operator puts an old state back, byte for byte."""
        self.world.restored = True
        self.world.now = self.chance.randrange(len(self.world.states))

    def is_exactly_once(self) -> None:
        world = self.world
        assert world.target == list(range(1, int(world.head.position) + 1))

    def nothing_is_skipped(self) -> None:
        """In every state ever written, the pending batches tile what lies before the position."""
        made = self.world.manifests
        for state in self.world.states:
            at = mark(state.position)
            for pending in reversed(state.pending):
                assert mark(made[pending.batch].after) == at
                at = mark(made[pending.batch].before)
            parent = made.get(state.pending[0].parent) if state.pending else None
            if parent is not None:
                assert at == (mark(parent.after) if parent.generation == state.generation else 0)

    def everything_arrives(self) -> None:
        """One fresh process, alone, comes to rest with the target equal to the source.

        One more row is written first: an old state of an older generation, put back when there was
        nothing to extract, is only noticed by the next batch.
        """
        world, epoch = self.world, -1
        world.rows += 1
        extract = True
        for _ in range(8 * (len(world.manifests) + world.rows + 4)):
            step = commit.next_step(world.state, world.head, extract=extract, load=True)
            if step is None:
                break
            if step is Step.SETTLE:
                world.swap(world.now, self.settled_or_reconciled())
            elif step is Step.LOAD:
                if world.load(world.state.pending[0].batch) is Verdict.DIVERGED:
                    world.swap(world.now, world.reconciled())
            else:
                if world.state.epoch != epoch:
                    new = commit.claimed(world.state, Claim("fresh", "", "", 1, ""))
                    world.swap(world.now, new)
                    epoch = new.epoch
                draft = world.draft(world.state, epoch, 2)
                if draft is None:
                    extract = False
                    continue
                world.swap(world.now, commit.committed(world.state, draft, **key_of(draft)))
        assert commit.next_step(world.state, world.head, extract=False, load=True) is None
        assert world.target == list(range(1, world.rows + 1))

    def settled_or_reconciled(self) -> State:
        try:
            return commit.settled(self.world.state, self.world.head, "now")
        except DataError:
            assert self.world.restored
            return self.world.reconciled()


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), length=st.integers(20, 120))
def test_whatever_happens_each_row_arrives_once(seed: int, length: int) -> None:
    protocol = Protocol(seed)
    protocol.walk(length)
    protocol.nothing_is_skipped()
    protocol.everything_arrives()
