"""The safe moment of a chain of watches: nothing below it is still to come, and it never falls."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from s3rs_async.mysql.chain import Chain
from s3rs_async.mysql.watch import MARGIN, Poll, Thread, Transaction

EPOCH = dt.datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)
GLANCE = 0.01  # from one read of a look to the next


@dataclass(frozen=True)
class Work:
    """One transaction of a connection: statements wait, stamp their rows, and end; then COMMIT."""

    begin: float
    wait: float
    statements: tuple[tuple[float, float], ...]  # how long it runs, how long it rests after
    endless: bool = False

    @property
    def opened(self) -> float:
        return self.begin + self.wait

    @property
    def stamps(self) -> list[float]:
        found, at = [], self.begin
        for index, (runs, rests) in enumerate(self.statements):
            found.append(at)
            at += runs + rests + (self.wait if index == 0 else 0.0)
        return found

    @property
    def commit(self) -> float:
        whole = sum(runs + rests for runs, rests in self.statements)
        return math.inf if self.endless else self.opened + whole

    def running(self, at: float) -> float | None:
        """When the statement that runs then began."""
        for index, stamp in enumerate(self.stamps):
            runs = self.statements[index][0] + (self.wait if index == 0 else 0.0)
            if stamp <= at < stamp + runs:
                return stamp
        return None


def moment(at: float) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=at)


def look(at: float, works: list[tuple[int, Work]], old: float = 0.0) -> Poll:
    """What a look that begins then shows, read by read; ages in whole seconds as servers tell.

    The list of transactions is some moments `old`, as the server's cache of it is.
    """
    threads, transactions = [], []
    for number, work in works:
        began = work.running(at + GLANCE)
        if began is not None:
            threads.append(Thread(number, "app", "Query", int(at + GLANCE - began)))
        now = at + 2 * GLANCE
        if work.opened <= now - old < work.commit:
            started, then = (moment(each).replace(microsecond=0) for each in (work.opened, now))
            age = int((then - started).total_seconds())
            transactions.append(Transaction(number, f"{work.opened}", str(started), age))
    return Poll(moment(at), tuple(threads), tuple(transactions))


SECONDS = st.floats(0, 12)
STATEMENTS = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 6)), min_size=1, max_size=3)
WORK = st.builds(
    Work,
    begin=st.floats(0, 5),
    wait=st.just(0.0) | st.floats(0, 8),
    statements=STATEMENTS.map(tuple),
)


def in_turn(works: list[Work], first: float) -> list[Work]:
    """One connection's transactions, each begun some time after the one before has ended."""
    found, at = [], first
    for work in works:
        found.append(Work(at + work.begin, work.wait, work.statements))
        at = found[-1].commit
    return found


CONNECTION = st.builds(in_turn, st.lists(WORK, min_size=1, max_size=4), st.floats(-20, 10))
GAPS = st.lists(st.sampled_from([0.3, 1.0, 1.0, 1.0, 2.5, 9.0]), min_size=3, max_size=40)


@given(
    st.lists(CONNECTION, min_size=1, max_size=3),
    GAPS,
    st.integers(0, 40),
    st.sampled_from([0.0, 0.1, 0.25]),
)
@example([[Work(0, 5.0, ((0.2, 0.0),))]], [1.0] * 12, 40, 0.0)
@example([[Work(-10, 9.9, ((0.05, 20.0),))]], [1.0] * 12, 40, 0.1)
@example([[Work(-0.1, 0.0, ((0.05, 20.0),))]], [0.3] * 12, 40, 0.15)
def test_nothing_below_the_safe_moment_is_still_to_come(
    connections: list[list[Work]], gaps: list[float], cut: int, old: float
) -> None:
    works = [(number, work) for number, each in enumerate(connections, 9) for work in each]
    chain, at, safes = Chain(), 0.0, []
    for index, gap in enumerate(gaps):
        if index == cut:
            chain.cut()
        chain.see(look(at, works, old), frozenset(), at)
        seen = at + 2 * GLANCE
        to_come = [stamp for _, work in works if work.commit > seen for stamp in work.stamps]
        verdict = chain.verdict()
        if verdict is not None and chain.safe is not None:
            assert all(moment(stamp) >= verdict.safe for stamp in to_come)
            safes.append(verdict.safe)
        assert all(stamp >= chain.vouched for stamp in to_come)
        at += gap
    assert all(one <= other for one, other in pairwise(safes))


@given(GAPS)
def test_on_a_quiet_server_the_safe_moment_follows_the_look_before(gaps: list[float]) -> None:
    chain, at, before = Chain(), 0.0, 0.0
    for gap in gaps:
        chain.see(look(at, []), frozenset(), at)
        if chain.safe is not None:
            assert chain.safe == moment(before) - MARGIN
            assert chain.vouched == before
        before, at = at, at + gap
    verdict = chain.verdict()
    assert verdict is not None
    assert (verdict.proven, verdict.reason) == (True, "")


def test_a_stuck_transaction_holds_it_and_is_told() -> None:
    stuck = Work(2.2, 0.0, ((0.1, 0.0),), endless=True)
    chain = Chain()
    for at in range(5):
        chain.see(look(at, [(9, stuck)]), frozenset(), at)
    held = chain.safe
    assert held is not None
    assert held <= moment(2.2)
    for at in range(5, 600):
        chain.see(look(at, [(9, stuck)]), frozenset(), at)
    verdict = chain.verdict()
    assert verdict is not None
    assert (verdict.safe, verdict.proven) == (held, True)
    assert "connection 9" in verdict.reason
    chain.see(look(600, []), frozenset(), 600)
    chain.see(look(601, []), frozenset(), 601)
    assert chain.safe > held


def test_a_long_statement_lets_it_go_on_to_its_own_start() -> None:
    long = Work(1.5, 100.0, ((0.1, 0.0),))
    chain = Chain()
    for at in range(60):
        chain.see(look(at, [(9, long)]), frozenset(), at)
    assert moment(1.5) - MARGIN - dt.timedelta(seconds=2) <= chain.safe <= moment(1.5)


def test_before_the_first_generation_is_over_nothing_is_safe() -> None:
    chain = Chain()
    assert chain.verdict() is None
    old = Work(-100.0, 0.0, ((0.1, 0.0),), endless=True)
    for at in range(30):
        chain.see(look(at, [(9, old)]), frozenset(), at)
    assert chain.safe is None
    verdict = chain.verdict()
    assert verdict is not None
    assert not verdict.proven
    assert chain.vouched == -math.inf
