"""Rows that show up late, and who loses them: the naive ways one by one, and ours.

A row carries the time at which its statement began, and is seen when its transaction commits. Here
are the histories in which those lie apart. In each, everybody reads at the same moments, and
what everybody lacks in the end is asserted whole: also what the less naive do catch, so that it is
seen that they were given a fair chance.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import pytest

from s3rs_async.model import Strategy
from s3rs_async.mysql import look
from tests.loss.naive import GREATEST_ID, GREATEST_STAMP, LAG, NOW, OLDEST, OVERLAP
from tests.loss.scene import OURS, beside, until

if TYPE_CHECKING:
    from s3rs_async.mysql.connection import Session
    from s3rs_async.mysql.watch import Poll
    from tests.loss.scene import Scene

TABLE = (
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, u TIMESTAMP(6) NOT NULL"
    " DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (u))"
)
NOTHING: dict[str, set[int]] = {name: set() for name in OURS}
ALL_NAIVE = (GREATEST_STAMP, NOW, LAG, OVERLAP, GREATEST_ID, OLDEST)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a pass's own watch has looked at the server."""
    done, work = threading.Event(), look.work

    async def told(session: Session, at: dt.datetime) -> Poll | None:
        found = await work(session, at)
        if session.facts["purpose"] == "bound":
            done.set()
        return found

    monkeypatch.setattr(look, "work", told)
    return done


def test_a_transaction_open_across_the_boundary_is_lost_by_all_that_do_not_look_for_it(
    scene: Scene,
) -> None:
    scene.run(TABLE)
    scene.run("INSERT INTO a (v) VALUES (1), (1)")
    scene.read()
    with scene.another() as late:
        late("BEGIN")
        late("INSERT INTO a (v) VALUES (1)")
        late("UPDATE a SET v = 2 WHERE id = 2")
        scene.goes_by()
        scene.run("INSERT INTO a (v) VALUES (1)")
        scene.read()
        late("COMMIT")
    found = scene.lost()

    assert found == {name: {2, 3} for name in ALL_NAIVE} | {OLDEST: set()} | NOTHING


def test_a_write_that_waited_for_a_metadata_lock_is_lost_by_all_naive_ways(
    scene: Scene, looked: threading.Event
) -> None:
    scene.run(TABLE)
    scene.run("INSERT INTO a (v) VALUES (1), (1)")
    scene.read()
    with scene.another() as late, scene.another() as holder:
        ((number,),) = late("SELECT CONNECTION_ID()")
        late("BEGIN")
        holder("LOCK TABLES a READ")
        with beside(lambda: late("INSERT INTO a (v) VALUES (1)")):
            scene.until_it_waits(number)
            scene.goes_by()
            scene.read()  # the statement has been waiting for long, its transaction has not begun
            looked.clear()
            with beside(lambda: scene.engine.sync(scene.asks())):
                assert looked.wait(10)  # and now the transaction begins, while a pass watches
                holder("UNLOCK TABLES")
        older = (
            "SELECT 1 FROM a, information_schema.innodb_trx WHERE id = 3"
            f" AND trx_mysql_thread_id = {number} AND u < trx_started - INTERVAL 1 SECOND"
        )
        until(lambda: late(older) == ((1,),), "the row is older than its transaction")
        scene.run("INSERT INTO a (v) VALUES (1)")
        scene.read()
        late("COMMIT")
    found = scene.lost()

    assert found == {name: {3} for name in ALL_NAIVE} | NOTHING


@pytest.mark.thorough
def test_an_event_that_waited_for_a_metadata_lock_is_lost_by_all_that_go_by_the_clock(
    scene: Scene,
) -> None:
    """The scheduler's workers are shown otherwise than the statements of connections."""
    scene.run(TABLE)
    scene.run("INSERT INTO a (v) VALUES (1), (1)")
    scene.run("SET GLOBAL event_scheduler = ON")
    scene.read()
    with scene.another() as holder:
        holder("LOCK TABLES a READ")
        scene.run("CREATE EVENT e ON SCHEDULE AT NOW() DO INSERT INTO a (v) VALUES (1)")
        scene.until_it_waits()
        scene.goes_by()
        scene.read()
        holder("UNLOCK TABLES")
    until(lambda: scene.run("SELECT COUNT(*) FROM a") == ((3,),), "the event has written")
    scene.run("SET GLOBAL event_scheduler = OFF")
    found = scene.lost()

    by_clock = {name: {3} for name in (NOW, LAG, OLDEST)}
    by_row: dict[str, set[int]] = {name: set() for name in (GREATEST_STAMP, OVERLAP, GREATEST_ID)}
    assert found == by_clock | by_row | NOTHING


def test_ids_committed_in_another_order_than_they_were_handed_out_are_lost_by_the_greatest(
    scene: Scene,
) -> None:
    scene.run(TABLE)
    scene.readers = {GREATEST_ID: scene.readers[GREATEST_ID]}
    with scene.another() as late:
        late("BEGIN")
        late("INSERT INTO a (v) VALUES (1)")
        scene.run("INSERT INTO a (v) VALUES (1)")
        scene.read(strategy=Strategy.ID_ONLY)
        late("COMMIT")
    found = scene.lost(strategy=Strategy.ID_ONLY)

    assert found == {GREATEST_ID: {1}} | NOTHING
