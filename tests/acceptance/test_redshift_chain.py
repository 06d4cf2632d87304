"""Several batches in one transaction: all or nothing, in their order, whatever breaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from s3rs_async import failpoint
from s3rs_async.errors import ConfigError, DataError, UnavailableError, UnknownOutcomeError
from s3rs_async.model import Column, Mode, Window
from s3rs_async.redshift import ledger, loader, sql
from s3rs_async.redshift.connection import Session
from s3rs_async.redshift.enter import StopError
from s3rs_async.redshift.loader import load
from tests.acceptance.batches import TERMS, Line, loaded, opened, row, ssh_of, turned

if TYPE_CHECKING:
    from s3rs_async.commit import LedgerHead
    from s3rs_async.redshift.enter import Order
    from s3rs_async.sandbox import Box

APPEND, R = Mode.APPEND, Mode.REPLACE
STEPS = [f"Y{number}:{end}" for number in range(1, 12) for end in ("before", "after")]


@pytest.fixture
def line(box: Box, prefix: str, schema: str) -> Line:
    return Line(box, prefix, schema)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "FIRST_PAUSE_SECONDS", 0.1)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that went to a target."""
    found: list[str] = []
    for name in ("_send", "fetch"):
        original = getattr(Session, name)

        async def sent(
            self: Session, text: str, *args: Any, _as: Any = original, **more: Any
        ) -> Any:
            found.append(text)
            return await _as(self, text, *args, **more)

        monkeypatch.setattr(Session, name, sent)
    return found


async def together(line: Line, *orders: Order) -> LedgerHead:
    async with opened(line) as target:
        return await load(target, orders, TERMS)


def three(line: Line, mode: Mode = APPEND) -> list[Order]:
    return [line.batch([row(key, "abc"[key - 1])], mode) for key in (1, 2, 3)]


def names(*orders: Order) -> list[str]:
    return [order.manifest.batch for order in orders]


async def test_a_chain_enters_in_one_transaction(line: Line, said: list[str]) -> None:
    orders = [
        line.batch([row(1, "a", 1), row(2, "b")]),
        line.batch([row(1, "A", 2), row(3, "c")]),
        line.batch([]),
        line.batch([row(3, "C", 5)]),
    ]
    head = await together(line, *orders)
    assert (head.batch, head.seq, head.rows_total) == (orders[-1].manifest.batch, 4, 3)
    assert line.notes() == [(1, "A"), (2, "b"), (3, "C")]
    assert line.head() == [(head.batch, 3)]
    assert [(copied, gone) for _, _, copied, gone in line.ledger()] == [
        (2, 0),
        (2, 1),
        (0, 0),
        (1, 1),
    ]
    counted = [sum(text.startswith(word) for text in said) for word in ("BEGIN", "LOCK", "COMMIT")]
    assert counted == [1, 1, 1]
    assert sum("UPDATE" in text and "_head" in text for text in said) == 1


async def test_a_replace_in_a_chain_takes_what_came_before_it_in_order(line: Line) -> None:
    orders = [
        line.batch([row(1), row(2)]),
        line.batch([row(3), row(4)], R),
        line.batch([row(4, "x", 1)]),
    ]
    head = await together(line, *orders, *[line.batch([row(9)], R, generation=2)])
    assert (head.generation, head.rows_total) == (2, 1)
    assert line.notes() == [(9, None)]
    assert [gone for *_, gone in line.ledger()] == [0, 2, 1, 2]


async def test_what_another_process_has_loaded_is_passed_over(line: Line) -> None:
    orders = three(line)
    await loaded(line, *orders[:2])
    head = await together(line, *orders)
    assert (head.seq, head.rows_total) == (3, 3)
    assert await together(line, *orders) == head
    assert await together(line, *orders[:2]) == head
    assert line.notes() == [(1, "a"), (2, "b"), (3, "c")]
    assert sorted(each for each, *_ in line.ledger()) == names(*orders)


async def test_chains_that_race_enter_once(line: Line) -> None:
    orders = three(line)
    async with opened(line) as one, opened(line) as two, asyncio.TaskGroup() as group:
        racing = [
            group.create_task(load(target, chain, TERMS))
            for target, chain in (
                (one, orders),
                (two, orders[:2]),
                (two, orders),
                (one, orders[:1]),
            )
        ]
    assert max(task.result().seq for task in racing) == 3
    assert line.notes() == [(1, "a"), (2, "b"), (3, "c")]
    assert line.head() == [(orders[-1].manifest.batch, 3)]


async def test_a_gap_in_a_chain_loads_nothing(line: Line) -> None:
    first, _, third = three(line)
    with pytest.raises(StopError) as caught:
        await together(line, first, third)
    assert caught.value.word == "diverged"
    assert caught.value.reason.startswith(f"diverged: batch {third.manifest.batch}, parent ")
    assert caught.value.head.seq == 0
    assert line.ledger() == []


async def test_a_batch_under_another_digest_stops_the_whole_chain(line: Line) -> None:
    orders = three(line)
    await loaded(line, *orders[:2])
    orders[1] = replace(orders[1], sha256="1" * 64)
    with pytest.raises(StopError, match="another digest") as caught:
        await together(line, *orders)
    assert caught.value.word == "tampered"
    assert len(line.ledger()) == 2


async def test_what_comes_before_a_wrong_count_is_loaded_and_then_it_is_told(line: Line) -> None:
    orders = three(line)
    part = orders[2].manifest.parts[0]
    wrong = replace(orders[2].manifest, parts=(replace(part, rows=5),))
    orders[2] = replace(orders[2], manifest=wrong)
    assert (await together(line, *orders)).seq == 2
    assert line.notes() == [(1, "a"), (2, "b")]
    with pytest.raises(StopError, match="counts other rows") as caught:
        await together(line, *orders[2:])
    assert caught.value.word == "counts"
    assert caught.value.reason.endswith("counted copy_count, found 1, wanted 5")
    assert line.head() == [(orders[1].manifest.batch, 2)]


async def test_what_comes_before_refused_data_is_loaded_and_then_it_is_told(line: Line) -> None:
    first, second, third = three(line)
    narrow = tuple(
        replace(column, nullable=False) if column.name == "changed" else column
        for column in line.columns
    )
    bad = line.batch([row(9, None, None)], APPEND)
    bad = replace(bad, manifest=replace(bad.manifest, columns=narrow))
    last = line.batch([row(10)], APPEND)
    for _ in range(2):
        assert (await together(line, first, second, third, bad, last)).seq == 3
    with pytest.raises(DataError, match="refused the data") as caught:
        await together(line, bad, last)
    assert not isinstance(caught.value, StopError)
    assert caught.value.context["batch"] == bad.manifest.batch
    assert len(line.ledger()) == 3


async def test_a_batch_of_other_columns_waits_and_does_not_hold_up_the_others(line: Line) -> None:
    first = line.batch([row(1)])
    more = (*line.columns, Column("more", "int", "int32", nullable=True, redshift="INTEGER"))
    second = line.batch([row(2)])
    second = replace(second, manifest=replace(second.manifest, columns=more))
    assert (await together(line, first, second)).seq == 1
    with pytest.raises(DataError, match="no longer have the same columns") as caught:
        await together(line, second)
    assert caught.value.context["batch"] == second.manifest.batch
    assert line.notes() == [(1, None)]


async def test_the_targets_columns_are_asked_for_once(line: Line, said: list[str]) -> None:
    await together(line, *three(line))
    assert said.count(sql.TABLE_COLUMNS) == 1


@pytest.mark.parametrize(
    ("lo", "open_lo", "gone"),
    [(1, False, {1, 2, 3}), (1, True, {2, 3}), (None, False, {0, 1, 2, 3})],
)
async def test_a_window_is_replaced_by_what_was_read_in_it(
    line: Line, lo: int | None, open_lo: bool, gone: set[int]
) -> None:
    """Rows of minutes 0 to 5 and one without a cursor; what lies in the window makes room."""
    had = {minute: row(minute, "old", minute) for minute in range(6)}
    first = line.batch([*had.values(), row(99, "null", None)], APPEND)
    ends = [None if each is None else f"2026-01-01 00:{each:02d}:00.000000" for each in (lo, 3)]
    window = Window(ends[0], str(ends[1]), open_lo)
    second = line.batch([row(2, "new", 2), row(2, "new", 2)], Mode.REPLACE_WINDOW, window=window)
    empty = line.batch([], Mode.REPLACE_WINDOW, window=Window("2027-01-01", "2027-01-02"))
    head = await together(line, first, second, empty)
    left = [(key, "old") for key in sorted(had.keys() - gone)]
    assert line.notes() == sorted([*left, (2, "new"), (2, "new"), (99, "null")])
    assert head.rows_total == len(left) + 3
    assert [deleted for *_, deleted in line.ledger()] == [0, len(gone), 0]


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 9, 10, 11])
async def test_a_lost_race_is_run_again(line: Line, nth: int) -> None:
    """COPY, DELETE, INSERT and the ledger's line for each of two, the head, COMMIT: ten write."""
    await loaded(line, line.batch([row(1, "a")]))
    chain = [line.batch([row(1, "A", 1)]), line.batch([row(2, "b")])]
    async with turned(line, conflict=str(nth)):
        head = await together(line, *chain)
        left = line.query("SHOW s3rs_standin.conflict")
    assert head.rows_total == 2
    assert line.notes() == [(1, "A"), (2, "b")]
    assert len(line.ledger()) == 3
    assert left == [("",)] if nth <= 10 else left != [("",)]


async def test_a_race_that_is_always_lost_is_given_up(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = line.batch([row(1)])
    lost = []

    async def lose(self: Session) -> None:
        lost.append(self.backend_pid)
        raise UnavailableError("the target could not do it now", said="1023", sqlstate="XX000")

    monkeypatch.setattr(Session, "commit", lose)
    with pytest.raises(UnavailableError, match="could not do it now") as caught:
        await together(line, order)
    assert caught.value.context["attempts"] == len(set(lost)) == loader.MAX_TRIES
    assert line.ledger() == []


async def test_a_load_that_has_lasted_long_is_not_tried_again(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "TRYING_SECONDS", -1.0)
    order = line.batch([row(1)])
    async with turned(line, conflict="1"):
        with pytest.raises(UnavailableError) as caught:
            await together(line, order)
    assert caught.value.context["attempts"] == 1
    assert (await together(line, order)).rows_total == 1


async def test_a_statement_that_takes_too_long_is_not_tried_again(line: Line) -> None:
    order = line.batch([row(1)])
    async with turned(line, slow_copy="5"), opened(line) as target:
        with pytest.raises(UnavailableError) as caught:
            await load(target, [order], replace(TERMS, load_timeout=1.0))
    assert (caught.value.context["sqlstate"], caught.value.context["attempts"]) == ("57014", 1)


async def test_a_target_that_cannot_be_reached_is_told_at_once(line: Line) -> None:
    assert line.config.tunnel is not None
    away = line.config.tunnel.model_copy(update={"port": 1})
    order = line.batch([row(1)])
    line.config = line.config.model_copy(update={"tunnel": away})
    with pytest.raises(UnavailableError) as caught:
        await together(line, order)
    assert caught.value.context["attempts"] == 1


@pytest.mark.parametrize("moment", ["1 copy", "2 copy", "1 before commit", "1 after commit"])
async def test_a_line_cut_by_the_server_is_taken_up_again(line: Line, moment: str) -> None:
    orders = three(line)
    async with turned(line, drop=moment):
        head = await together(line, *orders)
    assert (head.batch, head.rows_total) == (orders[-1].manifest.batch, 3)
    assert line.notes() == [(1, "a"), (2, "b"), (3, "c")]
    assert len(line.ledger()) == 3


async def test_a_ghost_that_copies_on_is_waited_for(line: Line) -> None:
    """The line is cut amid a COPY and the server does not notice: it copies to the end."""
    orders = three(line)
    cut = []
    async with turned(line, ghost="on", slow_copy="0.3"), opened(line) as target:

        async def sever(name: str) -> None:
            if name == "Y5:before" and not cut:
                cut.append(name)
                asyncio.get_running_loop().call_later(0.2, ssh_of(target).abort)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failpoint, "reached", sever)
            head = await load(target, orders, TERMS)
    assert cut
    assert head.rows_total == 3
    assert line.notes() == [(1, "a"), (2, "b"), (3, "c")]


async def test_a_commit_that_stays_in_doubt_is_told_as_that(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = line.batch([row(1)], APPEND)
    commit = Session.commit

    async def lose(self: Session) -> None:
        await commit(self)
        monkeypatch.setattr(target, "dial", unreachable)
        raise UnknownOutcomeError("the connection was lost while the target was committing")

    async def unreachable() -> Any:
        raise UnavailableError("the target cannot be reached")

    monkeypatch.setattr(Session, "commit", lose)
    async with opened(line) as target:
        with pytest.raises(UnknownOutcomeError):
            await load(target, [order], replace(TERMS, ghost_timeout=1.0))
    monkeypatch.setattr(Session, "commit", commit)
    assert (await together(line, order)).rows_total == 1
    assert line.notes() == [(1, None)]


async def test_a_ghost_is_forgotten_once_it_is_ended(line: Line) -> None:
    await loaded(line, line.batch([row(1)]))
    async with opened(line) as target, opened(line) as dead, dead.session() as ghost:
        await ghost.execute(sql.BEGIN)
        await ghost.execute(sql.lock_head(line.target))
        target.ghosts.append(ghost.backend_pid)
        assert await ledger.end_ghost(target, line.target) is None
        assert list(target.ghosts) == []


async def test_our_own_pid_under_another_user_is_no_ghost(line: Line) -> None:
    """A pid is used again by whoever comes next."""
    await loaded(line, line.batch([row(1)]))
    head = sql.ledger_names(line.target).head
    with psycopg.connect(line.box.redshift.url) as other:
        other.execute(f"LOCK {head}".encode())
        pid = other.info.backend_pid
        async with opened(line) as target:
            target.ghosts.append(pid)
            target.config = target.config.model_copy(update={"user": "someone"})
            assert await ledger.end_ghost(target, line.target) == pid
        other.execute(b"SELECT 1")


@pytest.mark.parametrize("place", STEPS)
async def test_a_load_cancelled_anywhere_leaves_no_lock_and_no_half_load(
    line: Line, place: str
) -> None:
    await loaded(line, line.batch([row(1, "a")]))
    chain = [line.batch([row(1, "A", 1), row(2, "b")]), line.batch([row(3, "c")])]
    there = asyncio.Event()

    async def wait(name: str) -> None:
        if name == place:
            there.set()
            await asyncio.Event().wait()

    async with opened(line) as target:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failpoint, "reached", wait)
            patch.setattr(loader, "reached", wait)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(load(target, chain, TERMS))
                await there.wait()
                task.cancel()
        assert task.cancelled()
        done = place == "Y11:after"
        assert line.notes() == ([(1, "A"), (2, "b"), (3, "c")] if done else [(1, "a")])
        assert len(line.ledger()) == (3 if done else 1)
        head = await load(target, chain, replace(TERMS, ghost_timeout=2.0))
    assert (head.seq, head.rows_total) == (3, 3)
    assert line.notes() == [(1, "A"), (2, "b"), (3, "c")]


async def test_a_second_pipeline_is_refused_under_the_lock(line: Line) -> None:
    await loaded(line, line.batch([row(1)]))
    other = replace(line, pipeline="other")
    with pytest.raises(ConfigError, match="another pipeline feeds") as caught:
        await together(other, *three(other))
    assert caught.value.context["feeder"] == "shop"
    assert line.notes() == [(1, None)]
