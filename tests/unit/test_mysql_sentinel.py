"""Who waits for a table, and for whom we step aside how often."""

from __future__ import annotations

import pytest

from s3rs_async.model import TableName
from s3rs_async.mysql.sentinel import Manners, Waiter, waiters

ORDERS = TableName("shop", "orders")
ITEMS = TableName("shop", "items")
ALTER = Waiter(7, "ALTER TABLE `Orders` ADD x INT", flush=False)


def row(thread: int, state: str, statement: str | None) -> tuple[str | None, ...]:
    return str(thread), "app", "host", "shop", "Query", "3", state, statement


def test_who_waits_for_a_lock_on_a_table_is_seen() -> None:
    seen = waiters(
        [
            row(7, "Waiting for table metadata lock", "ALTER TABLE a ADD x INT"),
            row(8, "Waiting for schema metadata lock", "DROP DATABASE shop"),
            row(9, "Waiting for table flush", "FLUSH TABLES WITH READ LOCK"),
            row(10, "Waiting for row lock", "UPDATE a SET x = 1"),
            row(11, "Sending data", "SELECT 1"),
            row(12, "", None),
        ]
    )

    assert [(each.thread, each.flush) for each in seen] == [(7, False), (8, False), (9, True)]


@pytest.mark.parametrize(
    ("waiter", "wanted"),
    [
        (ALTER, True),
        (Waiter(7, "ALTER TABLE items ADD x INT", flush=False), False),
        (Waiter(7, "ALTER TABLE old_orders ADD x INT", flush=False), False),
        (Waiter(7, "/*" + "-" * 97 + "*", flush=False), True),  # what is cut off may name it
        (Waiter(7, "", flush=False), True),
        (Waiter(7, "FLUSH TABLES WITH READ LOCK", flush=True), True),
    ],
)
def test_a_waiter_may_want_the_table_that_it_names_or_could_name(
    waiter: Waiter, wanted: bool
) -> None:
    assert waiter.may_want(ORDERS) is wanted


def test_only_the_tables_that_are_wanted_are_left() -> None:
    assert Manners().aside_for([ALTER], [ITEMS, ORDERS]) == {ORDERS: ALTER}


def test_we_step_aside_three_times_for_one_who_waits_on() -> None:
    manners = Manners()

    left = [bool(manners.aside_for([ALTER], [ORDERS])) for _ in range(5)]

    assert left == [True, True, True, False, False]


def test_who_comes_again_is_a_new_one() -> None:
    manners = Manners()
    for _ in range(5):
        manners.aside_for([ALTER], [ORDERS])
    manners.aside_for([], [ORDERS])

    assert manners.aside_for([ALTER], [ORDERS])


def test_a_waiter_for_whom_there_is_nothing_to_leave_is_not_counted() -> None:
    manners = Manners()
    for _ in range(5):
        manners.aside_for([ALTER], [])

    assert manners.aside_for([ALTER], [ORDERS])
