"""One table `a` on one server, and everybody who reads it: each naive way, and ours twice.

Ours reads it by the command's own watch into one target, and by the daemon's running watch into
another, at the same moments. What happens between two reads waits for what the server shows, its
clock and its list of statements, never for a sleep.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3rs_async.model import TableName, TableSpec
from tests.acceptance import ledger
from tests.acceptance.compare import redshift
from tests.acceptance.ledger import Place
from tests.acceptance.source import application
from tests.loss import naive
from tests.loss.engine import Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL
    from tests.acceptance.source import Run
    from tests.loss.engine import Engine

LATER = 4.0
"""Seconds after which a stamp lies below any bound that nothing holds, ours among them."""
OURS = {"ours, by the pass's own watch": "alone", "ours, by the running watch": "watched"}
_WITHIN = 30.0


@dataclass
class Scene:
    """The table, the application's hand on it, and its readers."""

    box: Box
    server: MySQL
    database: str
    engine: Engine
    run: Run
    readers: dict[str, naive.Naive]

    def asks(self, **asked: Any) -> list[Ask]:
        table = TableName(self.database, "a")
        return [
            Ask(how, TableSpec(table, target=f"a_{how}", **asked), watched=how == "watched")
            for how in OURS.values()
        ]

    def read(self, **asked: Any) -> None:
        """A pass of everybody."""
        for each in self.readers.values():
            each.read()
        self.engine.sync(self.asks(**asked))

    def lost(self, **asked: Any) -> dict[str, set[int]]:
        """What each lacks when all is over and two more passes were made; the naive a minute on.

        So nobody is blamed for a row that is merely on its way.
        """
        for each in self.readers.values():
            each.run("SET timestamp = UNIX_TIMESTAMP() + 60")
        for _ in range(2):
            self.read(**asked)
        source = dict(self.run("SELECT id, v FROM a"))
        found = {name: each.lost(source) for name, each in self.readers.items()}
        return found | {name: self._ours(how, source) for name, how in OURS.items()}

    def _ours(self, how: str, source: dict[int, int]) -> set[int]:
        """The keys of rows that only one side has, or one side more often."""
        target = f"{self.database}.a_{how}"
        place = Place(
            self.box,
            f"{self.database}.a",
            source=self.engine.source,
            target_table=target,
            pipeline=how,
        )
        ledger.check(place)
        rows = Counter(redshift(self.box.redshift.url, f"SELECT id, v FROM {target}"))
        both = Counter(source.items())
        return {key for key, _ in ((both - rows) + (rows - both))}

    @contextlib.contextmanager
    def another(self) -> Iterator[Run]:
        """One more connection of the application's."""
        with application(self.server, self.database) as run:
            yield run

    def goes_by(self, seconds: float = LATER) -> None:
        """Until the server's clock has gone on by so much."""
        ((end,),) = self.run(f"SELECT CAST(NOW(6) + INTERVAL {seconds} SECOND AS CHAR)")
        until(lambda: self.run(f"SELECT NOW(6) >= '{end}'") == ((1,),), "time goes by")

    def until_it_waits(self, connection: int | None = None) -> None:
        """Until the server shows that connection, or any in the database, waiting for a lock."""

        def is_waiting() -> bool:
            return any(
                (row[6] or "").startswith("Waiting for")
                for row in self.run("SHOW PROCESSLIST")
                if row[0] == connection or (connection is None and row[3] == self.database)
            )

        until(is_waiting, "the statement waits for its lock")


def until(come: Callable[[], bool], what: str) -> None:
    """Until it is so."""
    deadline = time.monotonic() + _WITHIN
    while not come():
        assert time.monotonic() < deadline, f"not within {_WITHIN:g} s: {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def beside(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """A statement under way in a thread of its own, whose failure is the test's."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where the block ends
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(_WITHIN)
    if failed:
        raise failed[0]
