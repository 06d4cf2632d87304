"""Anything that applications do to tables, in any order, between passes of ours.

Two connections insert, update and delete, at once or in transactions that stay open over any number
of passes; a third always at once; a fourth has a statement wait for a metadata lock. Rows are
stamped by the server, by hand with a time of long ago, or not at all, and few ticks are shared by
many. Now and then all comes to rest. Passes are the command's or the daemon's, whole or for a few
rows. After each the target must hold what `model` says, and in the end, when all has ended and two
more passes were made, exactly that: source and target are equal but for the rows that the strategy
cannot see, and those differ, and are what `verify` names.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.loss.model import How, Key, Model, Write
from tests.loss.shop import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.loss.shop import Shop

_ALONE, _STALLING, _HOLDING = 2, 3, 4
_WEIGHTS = {
    "insert": 12,
    "update": 8,
    "delete": 1,
    "begin": 4,
    "commit": 3,
    "roll_back": 1,
    "stall": 1,
    "release": 1,
    "rest": 3,
    "sync": 4,
}
_PATIENT, _IMPATIENT = 30.0, 1.0
_WITHIN = 20.0


@dataclass(frozen=True)
class Step:
    """Something that is done, and all that it can depend on; `pick` chooses among what is there."""

    act: str
    one: int
    table: str
    how: How
    tick: int
    rows: int
    pick: int
    watched: bool
    limit: int | None


_STEPS = st.builds(
    Step,
    act=st.sampled_from([act for act, weight in _WEIGHTS.items() for _ in range(weight)]),
    one=st.integers(0, 2),
    table=st.sampled_from(("ids", "ids", "micros", "millis", "millis", "seconds")),
    how=st.sampled_from((How.NOW, How.NOW, How.NULL, How.NULL, How.OLD)),
    tick=st.integers(0, 1),
    rows=st.integers(1, 3),
    pick=st.integers(0, 999),
    watched=st.booleans(),
    limit=st.sampled_from((None, None, None, 2)),
)


class Machine(RuleBasedStateMachine):
    """One example: its own tables, which are proved when it ends."""

    def __init__(self, shop: Shop, patience: Callable[[float], None], met: Counter[str]) -> None:
        super().__init__()
        self.shop, self.patience, self.met = shop, patience, met
        self.model = Model(KINDS)
        self.values = count(1)
        self.stalled: tuple[str, threading.Thread] | None = None
        self.sound = True
        self.met["examples"] += 1

    @rule(step=_STEPS)
    def step(self, step: Step) -> None:
        getattr(self, step.act)(step)

    def begin(self, step: Step) -> None:
        if step.one != _ALONE and step.one not in self.model.open:
            self.shop.runs[step.one]("BEGIN")
            self.model.open[step.one] = {}

    def commit(self, step: Step) -> None:
        if self.model.open:
            one = _picked(sorted(self.model.open), step.pick)
            self.shop.runs[one]("COMMIT")
            self.model.commit(one)

    def roll_back(self, step: Step) -> None:
        if self.model.open:
            one = _picked(sorted(self.model.open), step.pick)
            self.shop.runs[one]("ROLLBACK")
            del self.model.open[one]

    def insert(self, step: Step) -> None:
        if self._is_locked(step.table):
            return
        for key, write in self._inserted(step):
            self.model.write(step.one, step.table, key, write)

    def update(self, step: Step) -> None:
        """Nothing where rows are read by id: a change is not seen there, nor meant to be."""
        keys = self._writable(step)
        if not keys:
            return
        key, how, value = _picked(keys, step.pick), _fitting(step), next(self.values)
        stamp = KINDS[step.table].old(step.tick) if how is How.OLD else ""
        more = "" if how is How.NOW else f", u = {_stamp(how, stamp)}"
        table = self.shop.table(step.table)
        self.shop.runs[step.one](f"UPDATE {table} SET v = {value}{more} WHERE k = {key!r}")
        self.model.write(step.one, step.table, key, Write(value, how, stamp))

    def delete(self, step: Step) -> None:
        keys = self._writable(step)
        if not keys:
            return
        key = _picked(keys, step.pick)
        self.shop.runs[step.one](f"DELETE FROM {self.shop.table(step.table)} WHERE k = {key!r}")
        self.model.write(step.one, step.table, key, Write(None))

    def stall(self, step: Step) -> None:
        """A statement waits for a metadata lock: its stamp grows old before it begins to write."""
        if self.stalled is not None or self.model.busy(step.table):
            return
        runs, done = self.shop.runs, self._stalling(step)
        ((connection,),) = runs[_STALLING]("SELECT CONNECTION_ID()")
        runs[_HOLDING](f"LOCK TABLES {self.shop.table(step.table)} READ")
        done.start()
        self.stalled = (step.table, done)
        deadline = time.monotonic() + _WITHIN
        while not self.shop.waits(connection):
            assert time.monotonic() < deadline, "the statement never waits"
            time.sleep(0.02)

    def release(self, _: Step | None = None) -> None:
        """What it waited for is over, and it comes to its end."""
        if self.stalled is None:
            return
        table, done = self.stalled
        self.shop.runs[_HOLDING]("UNLOCK TABLES")
        done.join(_WITHIN)
        self.stalled = None
        for key, write in self.late:
            self.model.write(_STALLING, table, key, write)
        self.met["statements that waited for a lock"] += 1

    def rest(self, _: Step) -> None:
        """What is stamped by now comes to lie below a bound that nothing holds."""
        self.shop.rests()

    def sync(self, step: Step) -> None:
        self.sound = False
        held = any(self.model.open.values()) or self.stalled is not None
        self.patience(_IMPATIENT if held else _PATIENT)
        self.shop.sync(watched=step.watched, limit=step.limit)
        for table in KINDS:
            found = self.shop.held(table)
            self.model.passed(table, found, whole=step.limit is None, held=held)
            self.model.positions[table] = self.shop.position(table)
        self.met["passes"] += 1
        self.met["passes with something open"] += held
        self.sound = True

    def teardown(self) -> None:
        """All ends, two more passes, and both sides are compared."""
        try:
            if self.sound:
                self._ends()
        finally:
            if self.stalled is not None:
                self.release()
            self.shop.close()

    def _ends(self) -> None:
        self.release()
        for one in sorted(self.model.open):
            self.shop.runs[one]("COMMIT")
            self.model.commit(one)
        self.shop.rests()
        self.patience(_PATIENT)
        for watched in (True, False):
            self.shop.sync(watched=watched, limit=None)
        for table in KINDS:
            self.model.passed(table, self.shop.held(table), whole=True, held=False, last=True)
            self._compared(table)

    def _compared(self, table: str) -> None:
        """Source and target: they differ in what cannot be seen, and in nothing else."""
        source, target = self.shop.source(table), self.shop.target(table)
        committed = {key: row.value for key, row in self.model.rows[table].items()}
        assert {key: value for key, (value, _) in source.items()} == committed
        differing = {key for key in {*source, *target} if source.get(key) != target.get(key)}
        assert differing == self.model.unseen(table), table
        assert differing == self.shop.verified(table), table
        self.met["rows"] += len(source)
        self.met["rows that no strategy sees"] += len(differing)

    def _is_locked(self, table: str) -> bool:
        return self.stalled is not None and self.stalled[0] == table

    def _writable(self, step: Step) -> list[Key]:
        if KINDS[step.table].by_id or self._is_locked(step.table):
            return []
        return self.model.writable(step.one, step.table)

    def _stalling(self, step: Step) -> threading.Thread:
        self.late: list[tuple[Key, Write]] = []
        alone = replace(step, one=_STALLING, rows=1, how=How.NOW)

        def insert() -> None:
            self.late += self._inserted(alone)

        return threading.Thread(target=insert)

    def _inserted(self, step: Step) -> list[tuple[Key, Write]]:
        """New rows by one statement, and what has been written."""
        kind, run, how = KINDS[step.table], self.shop.runs[step.one], _fitting(step)
        stamp = kind.old(step.tick) if how is How.OLD else ""
        values = [next(self.values) for _ in range(step.rows)]
        keys: list[Key] = [] if kind.growing else [_key(value) for value in values]
        names = ["v", *(["k"] if keys else []), *([] if how is How.NOW else ["u"])]
        more = "" if how is How.NOW else f", {_stamp(how, stamp)}"
        shown = [f"{value}{f', {_key(value)!r}' if keys else ''}{more}" for value in values]
        rows = ", ".join(f"({each})" for each in shown)
        run(f"INSERT INTO {self.shop.table(step.table)} ({', '.join(names)}) VALUES {rows}")
        if not keys:
            ((first,),) = run("SELECT LAST_INSERT_ID()")
            keys = [first + number for number in range(len(values))]
        return [
            (key, Write(value, how, stamp, fresh=True))
            for key, value in zip(keys, values, strict=True)
        ]


def _fitting(step: Step) -> How:
    """The server's stamp where the table knows no other."""
    kind = KINDS[step.table]
    plain = kind.by_id or (step.how is How.NULL and not kind.nullable)
    return How.NOW if plain else step.how


def _picked(among: list[Any], pick: int) -> Any:
    return among[pick % len(among)]


def _stamp(how: How, stamp: str) -> str:
    return "NULL" if how is How.NULL else f"'{stamp}'"


def _key(value: int) -> str:
    """A text of no order in time."""
    return f"{chr(97 + value * 11 % 26)}{value:04d}"
