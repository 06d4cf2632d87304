"""The watch's judgement, on the cases in which simpler bounds lost rows."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.mysql.watch import MARGIN, UNSEEN, Poll, Thread, Transaction, Watch

T0 = dt.datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)


def second(count: float) -> dt.timedelta:
    return dt.timedelta(seconds=count)


def running(number: int, seconds: int, command: str = "Query", user: str = "app") -> Thread:
    return Thread(number, user, command, seconds)


def open_since(number: int, started: float, now: float) -> Transaction:
    """A transaction as a poll at `now` shows it; both in seconds after T0."""
    at = (T0 + second(started)).replace(microsecond=0)
    return Transaction(number, "7", str(at), max(int(now - started), 0))


def poll(at: float, *seen: Thread | Transaction) -> Poll:
    return Poll(
        T0 + second(at),
        tuple(one for one in seen if isinstance(one, Thread)),
        tuple(one for one in seen if isinstance(one, Transaction)),
    )


def watched(*polls: Poll) -> Watch:
    watch = Watch(polls[0], frozenset({1}))
    for each in polls[1:]:
        watch.see(each)
    return watch


def test_a_quiet_server_is_done_after_a_second_look() -> None:
    assert not watched(poll(0)).over
    verdict = watched(poll(0), poll(0.3)).verdict()
    assert (verdict.safe, verdict.proven) == (T0 - MARGIN, True)


def test_those_who_rest_and_we_ourselves_are_not_waited_for() -> None:
    idle = [
        running(1, 100),
        running(2, 100, "Sleep"),
        running(3, 100, "Binlog Dump"),
        running(4, 100, "Daemon"),
        running(5, 100, "Connect", "unauthenticated user"),
        running(8, 100, "Connect", "system user"),
        running(6, 100, "Query", "system user"),
        running(7, 100, "Query", "event_scheduler"),
        open_since(1, -100, 0),
    ]
    assert watched(poll(0, *idle), poll(0.3, *idle)).over


def test_an_event_that_waits_for_a_lock_is_a_statement_though_it_is_shown_as_connect() -> None:
    verdict = watched(poll(0, running(9, 4, "Connect")), poll(1, running(9, 5, "Connect")))
    assert verdict.verdict().safe == T0 - second(4 + 1) - MARGIN


def test_a_statement_from_before_holds_until_it_was_gone_twice() -> None:
    slow = poll(0, running(9, 4))
    assert not watched(slow, poll(1, running(9, 5)), poll(2)).over
    assert watched(slow, poll(1, running(9, 5)), poll(2), poll(2.3)).over


def test_a_statement_that_held_to_the_end_gives_the_bound() -> None:
    verdict = watched(poll(0, running(9, 4)), poll(30, running(9, 34))).verdict()
    assert verdict.safe == T0 - second(4 + 1) - MARGIN
    assert verdict.proven
    assert "connection 9" in verdict.reason


def test_an_open_transaction_has_no_floor_but_an_hour_before_its_start() -> None:
    verdict = watched(poll(0, open_since(9, -20, 0)), poll(30, open_since(9, -20, 30))).verdict()
    assert not verdict.proven
    assert verdict.safe == T0 - second(21) - UNSEEN - MARGIN


def test_a_new_statement_of_a_busy_connection_lets_it_go() -> None:
    busy = poll(0, running(9, 0))
    assert watched(busy, poll(1.1, running(9, 0)), poll(1.4, running(9, 0))).over
    assert not watched(busy, poll(1.1, running(9, 1)), poll(1.4, running(9, 1))).over


def test_the_transaction_of_a_statement_that_waited_for_a_lock_belongs_to_it() -> None:
    waiting = poll(0, running(9, 2))
    late = open_since(9, 3, 4)
    held = watched(waiting, poll(4, late), poll(5, open_since(9, 3, 5)), poll(6, late))
    assert not held.over
    assert held.verdict().safe == T0 - second(3) - MARGIN
    held.see(poll(7))
    held.see(poll(7.3))
    assert held.over


def test_the_next_transaction_of_a_noted_connection_lets_it_go() -> None:
    first = poll(0, open_since(9, -5, 0))
    after = [poll(2, open_since(9, 1.6, 2)), poll(2.3, open_since(9, 1.6, 2.3))]
    assert watched(first, *after).over


def test_an_id_that_changes_with_the_first_write_is_the_same_transaction() -> None:
    seen = open_since(9, -5, 0)
    written = Transaction(9, "4711", seen.started, 6)
    assert not watched(poll(0, seen), poll(1, written), poll(2, written)).over


def test_a_transaction_that_an_old_list_hid_is_noted_late() -> None:
    hidden = open_since(9, -60, 1)
    assert not watched(poll(0), poll(0.9, hidden), poll(1.2, hidden)).over


def test_a_transaction_that_an_old_list_hid_may_have_waited_long_for_its_lock() -> None:
    """It began within the second before the watch, its statement long before that."""
    hidden = open_since(9, -0.1, 0.9)
    held = watched(poll(0), poll(0.9, hidden), poll(1.2, hidden))
    assert not held.over
    assert held.verdict().safe <= T0 - UNSEEN


def test_a_transaction_from_after_the_start_is_not_noted() -> None:
    new = open_since(9, 1.5, 3)
    assert watched(poll(0), poll(3, new), poll(3.3, new)).over


def test_a_prepared_transaction_is_noted_by_itself() -> None:
    lost = Transaction(0, "4711", "2026-03-01 11:00:00", 3600)
    held = watched(poll(0, lost), poll(1, lost), poll(30, lost))
    assert not held.over
    assert "xa 4711" in held.verdict().reason


@given(
    start=st.floats(-50, 20),
    wait=st.floats(0, 10),
    length=st.floats(0, 20),
    gap=st.floats(0.1, 1.4),
)
def test_nothing_below_the_bound_is_still_to_come(
    start: float, wait: float, length: float, gap: float
) -> None:
    """One writer: a statement, a lock waited for, a transaction, idle until its commit."""
    trx, commit = start + wait, start + wait + length
    statement_ends = trx + min(length, 0.2)

    def look(at: float) -> Poll:
        seen: list[Thread | Transaction] = []
        if start <= at < statement_ends:
            seen.append(running(9, int(at - start)))
        if trx <= at < commit:
            seen.append(open_since(9, trx, at))
        return poll(at, *seen)

    watch = Watch(look(0), frozenset())
    at = 0.0
    while at < 30 and not watch.over:
        at += gap
        watch.see(look(at))
    if commit > at:
        assert watch.verdict().safe <= T0 + second(start)
