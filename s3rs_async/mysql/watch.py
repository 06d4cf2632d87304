"""Which moment lies behind every write that is under way: the judgement of a watch, pure.

A row carries the time at which its statement began and is seen when its transaction commits. So
everything stamped before `T0` is there once every connection that was at work at `T0` has been seen
with nothing that began before it. Each poll reads the server's clock, then the processlist, then
the open transactions; the first poll's clock is `T0`.

Transactions are known by their start and not by their id, which changes with the first write. A
statement can wait for a lock before its transaction begins, so the first transaction that appears
on a noted connection began with it. The list of transactions may be a little old: a connection is
let go after two clean polls in a row, and a transaction that may be from before `T0` and shows up
late is noted late: it can have waited for its lock much longer than it is old. Starts are told in
whole seconds. A prepared XA transaction has no connection and is noted by itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

MARGIN = dt.timedelta(seconds=3)
UNSEEN = dt.timedelta(hours=1)
_ROUNDING = dt.timedelta(seconds=1)
_CLEAN_POLLS = 2
_RESTING = frozenset({"Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID"})
# An event at work is shown as Connect under its definer's name, those still logging in as nobody.
_IDLE_USERS = frozenset({"system user", "event_scheduler", "unauthenticated user"})


@dataclass(frozen=True, slots=True)
class Thread:
    """A row of the processlist; `seconds` is how long it has been doing what it does."""

    id: int
    user: str
    command: str
    seconds: int

    @property
    def at_work(self) -> bool:
        """Whether it runs a statement that may write."""
        return self.command not in _RESTING and self.user not in _IDLE_USERS


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction: its connection (0 for none), its start as told, and its age."""

    thread: int
    id: str
    started: str
    seconds: int

    @property
    def owner(self) -> str:
        """What it is noted under."""
        return str(self.thread) if self.thread else f"xa {self.id}"


@dataclass(frozen=True, slots=True)
class Poll:
    """What one look at the server showed."""

    clock: dt.datetime
    threads: tuple[Thread, ...]
    transactions: tuple[Transaction, ...]


@dataclass(slots=True)
class _Note:
    floor: dt.datetime
    proven: bool
    started: str | None
    clean: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything stamped before `safe` is there; `proven` unless an age had to be guessed."""

    safe: dt.datetime
    proven: bool
    reason: str


@dataclass(slots=True)
class Watch:
    """A watch under way; `own` are connections of ours, which never write."""

    first: Poll
    own: frozenset[int]
    _notes: dict[str, _Note] = field(default_factory=dict)
    _looked_again: bool = False

    def __post_init__(self) -> None:
        for thread in self.first.threads:
            if thread.at_work and thread.id not in self.own:
                floor = self.first.clock - dt.timedelta(seconds=thread.seconds) - _ROUNDING
                self._notes[str(thread.id)] = _Note(floor, proven=True, started=None)
        for transaction in self._foreign(self.first):
            self._note(self.first, transaction)

    @property
    def start(self) -> dt.datetime:
        """`T0`."""
        return self.first.clock

    @property
    def over(self) -> bool:
        """Whether nothing from before `T0` is left; one look alone may have been an old one."""
        return self._looked_again and not self._notes

    def see(self, poll: Poll) -> None:
        """Take another look into account."""
        self._looked_again = True
        transactions = {each.owner: each for each in self._foreign(poll)}
        for owner, transaction in transactions.items():
            if owner not in self._notes and self._may_be_old(poll, transaction):
                self._note(poll, transaction)
        running = {str(thread.id): thread for thread in poll.threads if thread.at_work}
        for owner, note in list(self._notes.items()):
            old = self._statement_is_old(poll, running.get(owner))
            old |= _transaction_is_old(note, transactions.get(owner))
            note.clean = 0 if old else note.clean + 1
            if note.clean >= _CLEAN_POLLS:
                del self._notes[owner]

    def verdict(self) -> Verdict:
        """The bound as it stands: at `T0` if all are gone, else below the oldest that is left."""
        if self.over:
            return Verdict(self.start - MARGIN, proven=True, reason="")
        if not self._notes:
            reason = "the watch ended after a single look"
            return Verdict(self.start - MARGIN, proven=False, reason=reason)
        owner, oldest = min(self._notes.items(), key=lambda item: item[1].floor)
        reason = f"connection {owner} has been writing since {oldest.floor:%Y-%m-%d %H:%M:%S} UTC"
        if not oldest.proven:
            reason = (
                f"connection {owner} has a transaction that was open before the watch began; "
                "its first write is taken to be at most an hour older than its start"
            )
        proven = self._looked_again and all(note.proven for note in self._notes.values())
        return Verdict(min(oldest.floor, self.start) - MARGIN, proven, reason)

    def _foreign(self, poll: Poll) -> list[Transaction]:
        return [each for each in poll.transactions if each.thread not in self.own]

    def _note(self, poll: Poll, transaction: Transaction) -> None:
        began = poll.clock - dt.timedelta(seconds=transaction.seconds) - _ROUNDING
        known = self._notes.get(transaction.owner)
        floor = began - UNSEEN if known is None else min(known.floor, began - UNSEEN)
        self._notes[transaction.owner] = _Note(floor, proven=False, started=transaction.started)

    def _may_be_old(self, poll: Poll, transaction: Transaction) -> bool:
        began = poll.clock - dt.timedelta(seconds=transaction.seconds)
        return began - _ROUNDING < self.start

    def _statement_is_old(self, poll: Poll, thread: Thread | None) -> bool:
        if thread is None:
            return False
        return poll.clock - dt.timedelta(seconds=thread.seconds) - _ROUNDING < self.start


def _transaction_is_old(note: _Note, transaction: Transaction | None) -> bool:
    if transaction is None:
        return False
    if note.started is None:
        note.started = transaction.started
    return transaction.started == note.started
