from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from s3rs_async.commit import State
from s3rs_async.errors import (
    ConfigError,
    ConflictError,
    DataError,
    UnavailableError,
    UnknownOutcomeError,
)
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.object import BusyError, MissingError, StaleError, Stored
from s3rs_async.s3.register import LostError, Register, Versioned

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))
BIRTH = State("shop", "source", "shop.orders", "dw.public.orders")


class Shelf:
    """Objects in memory; `plan` says what happens to the next writes of the state, in order."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.plan: list[Any] = []
        self.reads: list[Exception] = []
        self.sent: list[bytes] = []
        self.number = 0

    async def get(self, key: str) -> Stored | None:
        await asyncio.sleep(0)
        if self.reads:
            raise self.reads.pop(0)
        return self.objects.get(key)

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        await asyncio.sleep(0)
        if key != LAYOUT.state:
            return self._write(key, body, etag)
        self.sent.append(body)
        fault = self.plan.pop(0) if self.plan else None
        if callable(fault):
            fault()
            fault = None
        if isinstance(fault, Exception):
            raise fault
        written = self._write(key, body, etag)
        if fault == "applied, answer lost":
            raise UnknownOutcomeError("reset")
        return written

    def _write(self, key: str, body: bytes, etag: str | None) -> str:
        there = self.objects.get(key)
        if etag is not None and there is None:
            raise MissingError("404")
        if (there.etag if there is not None else None) != etag:
            raise StaleError("412")
        self.number += 1
        self.objects[key] = Stored(body, f'"{self.number}"')
        return self.objects[key].etag


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def register(shelf: Shelf) -> Register:
    return Register(shelf, LAYOUT, BIRTH)


def next_epoch(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)


def intruder(shelf: Shelf) -> Callable[[], None]:
    """Someone else's change, just before our request arrives."""

    def change() -> None:
        other = Register(Silent(shelf), LAYOUT, BIRTH)
        run(other.change(lambda state: replace(state, last_failure="theirs")))

    return change


class Silent:
    """The same objects for someone whose requests never fail or wait."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def get(self, key: str) -> Stored | None:
        return self.shelf.objects.get(key)

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        return self.shelf._write(key, body, etag)


def run(coroutine: Any) -> Any:
    """Drive a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


async def test_nothing_is_there_before_the_first_write(register: Register) -> None:
    assert await register.read() is None
    assert register.birth is BIRTH


async def test_each_write_has_a_number_and_a_stamp_of_its_own(
    register: Register, shelf: Shelf
) -> None:
    first = await register.swap(None, next_epoch)
    second = await register.swap(first, next_epoch)

    assert [first.version, second.version] == [1, 2]
    assert first.write_id != second.write_id
    assert await register.read() == second
    assert shelf.objects[LAYOUT.hist(1, first.write_id)].body == shelf.sent[0]
    assert shelf.objects[LAYOUT.hist(2, second.write_id)].body == shelf.sent[1]


async def test_a_change_that_changes_nothing_is_not_written(
    register: Register, shelf: Shelf
) -> None:
    base = await register.swap(None, lambda state: state)
    assert await register.swap(base, replace) is base
    assert len(shelf.sent) == 1


@pytest.mark.parametrize(
    "fault",
    [
        BusyError("409"),
        UnknownOutcomeError("reset before it arrived"),
        UnavailableError("no connection"),
        ConfigError("403 while keys change"),
        StaleError("412 for no reason"),
        "applied, answer lost",
    ],
)
@pytest.mark.parametrize("exists", [False, True])
async def test_a_doubtful_answer_is_resolved_with_the_same_body(
    register: Register, shelf: Shelf, fault: Any, exists: bool
) -> None:
    base = await register.swap(None, next_epoch) if exists else None
    shelf.sent.clear()
    shelf.plan = [fault]

    won = await register.swap(base, next_epoch)

    assert await register.read() == won
    assert won.version == (2 if exists else 1)
    assert len(set(shelf.sent)) == 1
    assert len(shelf.sent) == (1 if fault == "applied, answer lost" else 2)


async def test_reading_after_a_doubt_is_patient(register: Register, shelf: Shelf) -> None:
    shelf.plan = ["applied, answer lost"]
    shelf.reads = [UnavailableError("503") for _ in range(40)]
    won = await register.swap(None, next_epoch)
    assert won.version == 1
    assert len(shelf.sent) == 1


async def test_reading_after_a_doubt_ends_some_time(register: Register, shelf: Shelf) -> None:
    shelf.plan = ["applied, answer lost"]
    shelf.reads = [UnavailableError("503") for _ in range(4000)]
    with pytest.raises(UnknownOutcomeError, match="cannot be read to tell"):
        await register.swap(None, next_epoch)


async def test_a_store_that_never_takes_the_write_is_given_up(
    register: Register, shelf: Shelf
) -> None:
    shelf.plan = [UnknownOutcomeError("500")] * 100
    with pytest.raises(UnknownOutcomeError, match="could not be written"):
        await register.swap(None, next_epoch)
    assert len(set(shelf.sent)) == 1


async def test_a_right_that_is_missing_is_told_at_the_second_refusal(
    register: Register, shelf: Shelf
) -> None:
    shelf.plan = [ConfigError("403")] * 5
    with pytest.raises(ConfigError, match="403"):
        await register.swap(None, next_epoch)
    assert len(shelf.sent) == 2


@pytest.mark.parametrize("exists", [False, True])
async def test_a_swap_that_someone_else_won_is_lost(
    register: Register, shelf: Shelf, exists: bool
) -> None:
    base = await register.swap(None, next_epoch) if exists else None
    shelf.plan = [intruder(shelf)]
    with pytest.raises(LostError):
        await register.swap(base, next_epoch)
    assert (await seen(register)).state.last_failure == "theirs"


async def test_a_change_is_asked_again_with_what_is_there_now(
    register: Register, shelf: Shelf
) -> None:
    await register.swap(None, next_epoch)
    shelf.plan = [intruder(shelf), intruder(shelf)]

    won = await register.change(next_epoch)

    assert (won.state.epoch, won.state.last_failure) == (2, "theirs")
    assert len(set(shelf.sent)) == len(shelf.sent)


async def test_a_change_may_refuse_the_new_state(register: Register, shelf: Shelf) -> None:
    def only_clean(state: State) -> State:
        if state.last_failure:
            raise ConflictError("no longer")
        return next_epoch(state)

    await register.swap(None, next_epoch)
    shelf.plan = [intruder(shelf)]
    with pytest.raises(ConflictError, match="no longer"):
        await register.change(only_clean)
    assert (await seen(register)).state.epoch == 1


async def test_endless_rivals_end_the_attempt(register: Register, shelf: Shelf) -> None:
    rivals = 0

    def rival() -> None:
        nonlocal rivals
        rivals += 1
        other = Register(Silent(shelf), LAYOUT, BIRTH)
        run(other.change(lambda state: replace(state, last_failure=str(rivals))))

    shelf.plan = [rival] * 100
    with pytest.raises(ConflictError, match="too many"):
        await register.change(next_epoch)


async def test_a_vanished_state_is_never_made_anew(register: Register, shelf: Shelf) -> None:
    await register.swap(None, next_epoch)
    shelf.plan = [lambda: shelf.objects.pop(LAYOUT.state)]
    with pytest.raises(DataError, match="vanished"):
        await register.change(next_epoch)
    assert LAYOUT.state not in shelf.objects


async def test_another_feeder_s_state_is_refused(register: Register, shelf: Shelf) -> None:
    await register.swap(None, next_epoch)
    other = Register(shelf, LAYOUT, replace(BIRTH, target="dw.public.other"))
    with pytest.raises(DataError, match="another table or target"):
        await other.read()


@pytest.mark.parametrize("fault", [None, "applied, answer lost", UnknownOutcomeError("reset")])
@pytest.mark.parametrize("body", [None, b"{", b"{}"])
async def test_a_lost_or_damaged_state_is_rebuilt_in_its_place(
    register: Register, shelf: Shelf, body: bytes | None, fault: Any
) -> None:
    if body is not None:
        shelf.objects[LAYOUT.state] = Stored(body, "damaged")
    found = await register.survey()
    assert found.current is None
    assert (found.damage is None) is (found.etag is None) is (body is None)
    shelf.plan = [fault]

    won = await register.rebuild(found, next_epoch(BIRTH), version=7)

    assert won == await register.read()
    assert (won.version, won.state.epoch) == (7, 1)
    assert shelf.objects[LAYOUT.hist(7, won.write_id)].body == shelf.objects[LAYOUT.state].body


async def test_what_a_newer_write_knows_more_is_kept_by_a_rebuild(
    register: Register, shelf: Shelf
) -> None:
    base = await register.swap(None, next_epoch)
    found = await register.survey()
    assert found.current == base
    known = replace(found, current=replace(base, unknown={"later": 1}))
    assert (await register.rebuild(known, base.state, version=2)).unknown == {"later": 1}


@pytest.mark.parametrize("fault", [None, UnknownOutcomeError("reset")])
async def test_a_rebuild_is_lost_where_something_else_lies_now(
    register: Register, shelf: Shelf, fault: Any
) -> None:
    found = await register.survey()
    shelf.objects[LAYOUT.state] = Stored(b"{", "damaged")
    shelf.plan = [fault]
    with pytest.raises(LostError):
        await register.rebuild(found, BIRTH, version=1)
    assert shelf.objects[LAYOUT.state].body == b"{"


async def test_a_damaged_state_is_never_changed(register: Register, shelf: Shelf) -> None:
    await register.swap(None, next_epoch)
    shelf.plan = [lambda: shelf.objects.update({LAYOUT.state: Stored(b"{", "damaged")})]
    with pytest.raises(DataError, match="damaged"):
        await register.change(next_epoch)
    assert shelf.objects[LAYOUT.state].body == b"{"


async def test_reading_after_a_doubt_outlives_keys_that_change(
    register: Register, shelf: Shelf
) -> None:
    shelf.plan = ["applied, answer lost"]
    shelf.reads = [ConfigError("403"), ConfigError("403"), UnavailableError("503")]
    shelf.reads += [ConfigError("403"), ConfigError("403")]
    assert (await register.swap(None, next_epoch)).version == 1
    shelf.plan = ["applied, answer lost"]
    shelf.reads = [ConfigError("403")] * 3
    with pytest.raises(ConfigError, match="403"):
        await register.swap(None, next_epoch)


async def test_a_copy_that_cannot_be_kept_is_told_and_nothing_more(
    register: Register, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put_if(key: str, body: bytes, etag: str | None) -> str:
        if key == LAYOUT.state:
            return shelf._write(key, body, etag)
        if etag is None and len(shelf.objects) > 1:
            await asyncio.sleep(1000)
        raise UnavailableError("503")

    monkeypatch.setattr(shelf, "put_if", put_if)
    with capture_logs() as logs:
        base = await register.swap(None, next_epoch)
        shelf.objects["another"] = Stored(b"", "")
        await register.swap(base, next_epoch)
    assert [log["event"] for log in logs] == ["state_copy_not_kept"] * 2
    assert [log["reason"] for log in logs] == ["503", "timed out"]


async def seen(register: Register) -> Versioned:
    found = await register.read()
    assert found is not None
    return found
