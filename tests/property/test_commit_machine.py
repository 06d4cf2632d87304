"""The protocol's decisions over a small world: one state object, one ledger, three processes.

Every process acts on what it last saw, however old: nothing is held but the swap and the ledger's
lock. Answers are lost, requests land late, processes die between any two steps; an operator sets
the watermark back, wants the table anew, has batches loaded once more, has S3 cleaned meanwhile,
and puts an old state back byte for byte. Whatever is tried, the target holds each row once; between
the ledger's mark and the position nothing is skipped; only an old state put back ever stops a
table; and when all is quiet, one fresh pass brings everything over.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async import commit
from s3rs_async.commit import Claim, LedgerHead, State, Step, Verdict
from s3rs_async.commit.clean import Terms, judge_attempt, refusal
from s3rs_async.commit.overrides import Consent, full_refreshed, with_watermark
from s3rs_async.commit.replay import (
    Copy,
    check_replay,
    goes_on,
    replayed,
    turned,
    without_twins,
)
from s3rs_async.errors import ConfigError, ConflictError, DataError
from s3rs_async.model import Manifest, Mode, Position
from tests.property.commit_world import World, mark
from tests.property.examples import thorough

PASS = ("write", "look", "claim", "extract", "commit", "look", "load", "ask", "settle")
RARE = ("die", "refresh", "restore", "set_back", "replay")
AGAIN = ("look", "set_back", "claim", "replay")
SWEEP = ("list", "look", "sweep")
ACTS = ("pass", "deliver", "clean", "again", *RARE, *SWEEP, *PASS)
WEIGHTS = (12, 2, 1, 0.5, 1, 0.4, 0.3, 1, 1.5, *(0.7 for _ in SWEEP), *(1 for _ in PASS))
LONG = dt.timedelta(days=99)
ORPHANS = Terms(loaded=dt.timedelta.max, grace=dt.timedelta(0))


@dataclass
class Process:
    """What one process believes."""

    writer: str
    seen: int = 0
    epoch: int = -1
    draft: Manifest | None = None
    head: LedgerHead | None = None
    listing: list[Manifest] = field(default_factory=list)


class Protocol:
    """Any order of steps by anyone, on views of any age."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        planned = self.chance.choice((Mode.APPEND, Mode.MERGE))
        self.world = World(planned, rows=self.chance.randrange(6))
        self.processes = [Process(f"w{number}") for number in range(3)]

    def walk(self, length: int) -> None:
        for _ in range(length):
            one = self.chance.choice(self.processes)
            [act] = self.chance.choices(ACTS, WEIGHTS)
            if act == "pass":
                first, last = self.chance.randrange(6), self.chance.randrange(9)
                self._do(one, *PASS[first : last + 1])
            elif act == "clean":
                self._do(one, *SWEEP)
            elif act == "again":
                self._do(one, *AGAIN)
            else:
                self._do(one, act)
            self.is_exactly_once()

    def _do(self, one: Process, *acts: str) -> None:
        for act in acts:
            getattr(self, act)(one)

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
            etag, new = self.world.late.pop(self.chance.randrange(len(self.world.late)))
            self.world.swap(etag, new)

    def load(self, one: Process) -> None:
        world, state = self.world, self.world.states[one.seen]
        if not state.pending:
            return
        ruling = world.load(state, self.chance.randint(1, 3))
        if ruling is None:
            assert world.restored or not self._still_names_what_is_gone()
            return
        assert ruling.verdict not in {Verdict.TAMPERED, Verdict.FOREIGN}
        if ruling.verdict is Verdict.DIVERGED:
            assert world.restored or one.seen != world.now

    def _still_names_what_is_gone(self) -> bool:
        return bool(self.world.gone & {each.batch for each in self.world.state.pending})

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
        left = {p.batch for p in before.pending} - {p.batch for p in new.pending}
        assert left <= world.recorded.keys()
        world.swap(world.now, new)
        one.seen = world.now

    def refresh(self, one: Process) -> None:
        """The operator wants the table anew."""
        new = full_refreshed(self.world.states[one.seen], self.world.edit("refresh"))
        self.world.swap(one.seen, new, by_hand=True)
        one.seen = self.world.now

    def set_back(self, one: Process) -> None:
        """The operator wants rows read again, and on an append target replaced."""
        world, seen = self.world, self.world.states[one.seen]
        to = Position(str(1 + self.chance.randrange(mark(seen.position) + 1)))
        edit, consent = world.edit("set"), Consent(replace_window=True)
        try:
            new = with_watermark(seen, to, edit, mode=world.planned, consent=consent)
        except ConfigError:
            return
        world.met["set back"] += world.swap(one.seen, new, by_hand=True)
        one.seen = world.now

    def replay(self, one: Process) -> None:
        """The operator has what is in S3 loaded once more, from the watermark that was set."""
        world, seen = self.world, self.world.states[one.seen]
        if seen.backup_strategy != "manual_cli" or seen.epoch != one.epoch:
            return
        try:
            check_replay(seen)
            chain = turned(without_twins(self._walked(seen)), seen, anew=False)
        except (ConfigError, DataError):
            return
        parent, copies = seen.last_batch, []
        for each in chain:
            made = world.keep(replace(each, parent=parent))
            copies.append(Copy(made, **key_of(made)))
            parent = made.batch
        if copies and world.swap(one.seen, replayed(seen, copies, seen.position)):
            world.met["replayed"] += 1
        one.seen = world.now

    def _walked(self, seen: State) -> list[Manifest]:
        taken: list[Manifest] = []
        batch = seen.last_batch
        while batch and batch not in self.world.gone:
            found = self.world.manifests[batch]
            if not goes_on(taken, found, seen, anew=False):
                return taken
            taken.append(found)
            batch = found.parent
        return taken

    def list(self, one: Process) -> None:
        """The first look of s3clean; the state is the second, the ledger the third."""
        one.listing = [*self.world.manifests.values()]
        one.seen = self.world.now

    def sweep(self, one: Process) -> None:
        world, state, listing = self.world, self.world.states[one.seen], one.listing
        one.listing = []
        if refusal(state, world.recorded) is not None:
            assert state.loaded is not None
            assert world.restored
            return
        for each in listing:
            reason = judge_attempt(state, world.recorded, each.batch, each.epoch, LONG, ORPHANS)
            if reason.goes:
                world.gone.add(each.batch)
                world.met["swept"] += 1

    def restore(self, _: Process) -> None:
        """The operator puts an old state back, byte for byte."""
        self.world.restored = True
        self.world.now = self.chance.randrange(len(self.world.states))

    def is_exactly_once(self) -> None:
        """Each row up to some number once, and all of those that the ledger calls loaded."""
        world = self.world
        assert sorted(world.target) == [*range(1, len(world.target) + 1)]
        assert not world.lines or len(world.target) >= mark(world.lines[-1].after)

    def is_never_without_files(self) -> None:
        assert self.world.restored or not self._still_names_what_is_gone()

    def come_to_rest(self) -> None:
        """One fresh process, alone, goes on until nothing is left to do."""
        world, epoch, extract = self.world, -1, True
        for _ in range(8 * (len(world.manifests) + world.rows + 4)):
            step = commit.next_step(world.state, world.head, extract=extract, load=True)
            if step is None:
                return
            if step is Step.SETTLE:
                world.swap(world.now, self._settled_or_reconciled(), by_hand=True)
            elif step is Step.LOAD:
                ruling = world.load(world.state, 3)
                if ruling is None or ruling.verdict is Verdict.DIVERGED:
                    assert world.restored
                    world.swap(world.now, world.reconciled(), by_hand=True)
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
        raise AssertionError("it never comes to rest")

    def everything_arrives(self) -> None:
        """All is quiet, and the target equals the source.

        One more row is written first: an old state of an older generation, put back when there was
        nothing to extract, is only noticed by the next batch.
        """
        self.world.rows += 1
        self.come_to_rest()
        assert sorted(self.world.target) == [*range(1, self.world.rows + 1)]

    def a_roll_back_is_undone(self) -> None:
        """An old state put back and reconciled: the target is as it was, and stays so."""
        world = self.world
        before = sorted(world.target)
        self.restore(self.processes[0])
        world.swap(world.now, world.reconciled(), by_hand=True)
        self.come_to_rest()
        assert sorted(world.target) == before

    def _settled_or_reconciled(self) -> State:
        try:
            return commit.settled(self.world.state, self.world.head, "now")
        except DataError:
            assert self.world.restored
            return self.world.reconciled()


def key_of(manifest: Manifest) -> dict[str, str]:
    return {"key": f"{manifest.batch}/batch.json", "sha256": manifest.batch}


@thorough
@given(seed=st.integers(0, 2**32), length=st.integers(20, 120))
def test_whatever_happens_each_row_arrives_once(seed: int, length: int) -> None:
    protocol = Protocol(seed)
    protocol.walk(length)
    protocol.is_never_without_files()
    protocol.everything_arrives()
    protocol.a_roll_back_is_undone()


def test_the_walks_meet_all_that_is_hard() -> None:
    met: Counter[str] = Counter()
    for seed in range(200):
        protocol = Protocol(seed)
        protocol.walk(100)
        met += protocol.world.met
    hard = ("loads of several", "replace_window", "replace", "swept", "set back", "replayed")
    assert not {what: met[what] for what in hard if met[what] < 20}
