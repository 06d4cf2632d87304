from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from s3rs_async import clock
from s3rs_async.commit import Claim, State
from s3rs_async.errors import ConflictError, ExitCode, UnavailableError
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout, writer_key
from s3rs_async.s3.object import MissingError, StaleError, Stat, Stored
from s3rs_async.s3.ownership import (
    Life,
    Pace,
    Suspicion,
    heartbeat,
    is_gone,
    look,
    release,
    take,
    this_process,
)
from s3rs_async.s3.register import Register, Versioned

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))
PACE = Pace()
AWAY = Claim("01W", "another host", "another boot", 7, "99")
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


class Shelf:
    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.broken = False
        self.puts = 0

    async def get(self, key: str) -> Stored | None:
        await asyncio.sleep(0)
        return self.objects.get(key)

    async def head(self, key: str) -> Stat | None:
        found = await self.get(key)
        return Stat(len(found.body), found.etag, "") if found is not None else None

    async def put(self, key: str, body: bytes) -> str:
        await asyncio.sleep(0)
        self.puts += 1
        if self.broken:
            raise UnavailableError("503")
        self.objects[key] = Stored(body, str(hash(body)))
        return self.objects[key].etag

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        there = self.objects.get(key)
        if etag is not None and there is None:
            raise MissingError("404")
        if (there.etag if there is not None else None) != etag:
            raise StaleError("412")
        return await self.put(key, body)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def register(shelf: Shelf) -> Register:
    return Register(shelf, LAYOUT, State("shop", "source", "shop.orders", "dw.public.orders"))


async def alive(state: State) -> bool:
    return False


async def dead(state: State) -> bool:
    return True


async def nobody_asks(state: State) -> bool:
    raise AssertionError


@linux
def test_this_process_lives_and_another_start_of_its_pid_does_not() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert here.boot
    assert here.started.isdigit()
    assert not is_gone(here, here)
    assert is_gone(replace(here, started="1"), here)
    assert is_gone(replace(here, released=True), here)


@linux
def test_an_ended_process_is_gone_even_before_it_is_reaped() -> None:
    here = this_process()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        claim = replace(here, pid=child.pid, started=fields[19])
        assert not is_gone(claim, here)
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(claim, here)
    assert is_gone(claim, here)


def test_where_there_is_no_proc_nobody_is_judged_by_a_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    here = this_process()
    assert (here.boot, here.started) == ("", "")
    assert not is_gone(here, here)


def test_another_machine_s_process_is_never_judged_by_its_pid() -> None:
    here = this_process()
    for away in (replace(here, host="x"), replace(here, boot="x"), replace(here, boot="")):
        assert not is_gone(replace(away, started="1"), here)


HELD = State("shop", "source", "shop.orders", "dw.public.orders", epoch=3, claim=AWAY)


async def watched(shelf: Shelf, known: Suspicion, state: State = HELD) -> tuple[Life, float]:
    """Look until there is an answer; the answer, and how long it took."""
    begun = clock.seconds()
    while True:
        life = await look(shelf, "s3rs", state, this_process(), known, PACE)
        if life is not Life.SILENT:
            return life, clock.seconds() - begun
        await asyncio.sleep(2.5)


async def test_a_silent_holder_is_dead_after_the_watch_and_not_before(shelf: Shelf) -> None:
    life, spent = await watched(shelf, Suspicion())
    assert (life, 35 <= spent < 40) == (Life.DEAD, True)


async def test_a_beating_holder_is_alive_within_one_beat(shelf: Shelf) -> None:
    async with heartbeat(shelf, "s3rs", AWAY, PACE):
        life, spent = await watched(shelf, Suspicion())
    assert (life, spent < 15) == (Life.ALIVE, True)


async def test_a_holder_that_falls_silent_under_the_watch_is_dead(shelf: Shelf) -> None:
    async with heartbeat(shelf, "s3rs", AWAY, PACE):
        await asyncio.sleep(25)
    known = Suspicion()
    assert (await watched(shelf, known))[0] is Life.DEAD


@pytest.mark.parametrize("ttl", [1, 2, 30])
async def test_beat_look_and_watch_keep_step_with_the_ttl(shelf: Shelf, ttl: float) -> None:
    pace, known = Pace(ttl), Suspicion()
    async with heartbeat(shelf, "s3rs", AWAY, pace):
        await asyncio.sleep(ttl - 0.01)
        assert shelf.puts == 3
        assert await look(shelf, "s3rs", HELD, this_process(), known, pace) is Life.SILENT
        assert known.left == pytest.approx(ttl + 5)
        await asyncio.sleep(ttl)
        assert await look(shelf, "s3rs", HELD, this_process(), known, pace) is Life.ALIVE
    await asyncio.sleep(known.left - 0.01)
    assert await look(shelf, "s3rs", HELD, this_process(), known, pace) is Life.SILENT
    await asyncio.sleep(0.02)
    assert await look(shelf, "s3rs", HELD, this_process(), known, pace) is Life.DEAD
    assert pace.look < ttl / 3


async def test_two_looks_far_apart_are_enough(shelf: Shelf) -> None:
    known = Suspicion()
    assert await look(shelf, "s3rs", HELD, this_process(), known, PACE) is Life.SILENT
    assert known.left == 35
    await asyncio.sleep(35)
    assert await look(shelf, "s3rs", HELD, this_process(), known, PACE) is Life.DEAD


async def test_a_holder_is_never_suspected_for_what_it_held_before(shelf: Shelf) -> None:
    known = Suspicion()
    async with heartbeat(shelf, "s3rs", AWAY, PACE):
        assert await look(shelf, "s3rs", HELD, this_process(), known, PACE) is Life.SILENT
    await asyncio.sleep(600)
    later = replace(HELD, epoch=4)
    assert await look(shelf, "s3rs", later, this_process(), known, PACE) is Life.SILENT
    async with heartbeat(shelf, "s3rs", AWAY, PACE):
        await asyncio.sleep(1)
        assert await look(shelf, "s3rs", later, this_process(), known, PACE) is Life.ALIVE


async def test_no_two_beats_are_alike_even_of_two_passes(shelf: Shelf) -> None:
    beats = set()
    for _ in range(3):
        async with heartbeat(shelf, "s3rs", AWAY, PACE):
            await asyncio.sleep(1)
        beats.add(shelf.objects[writer_key("s3rs", "01W")].etag)
    assert len(beats) == 3


async def test_the_heart_beats_while_the_block_runs_and_no_longer(shelf: Shelf) -> None:
    async with heartbeat(shelf, "s3rs", AWAY, PACE):
        await asyncio.sleep(95)
    assert shelf.puts == 10
    assert b'"beat":10' in shelf.objects[writer_key("s3rs", "01W")].body
    await asyncio.sleep(100)
    assert shelf.puts == 10


async def test_a_beat_that_fails_is_told_and_the_next_one_comes(shelf: Shelf) -> None:
    shelf.broken = True
    with capture_logs() as logs:
        async with heartbeat(shelf, "s3rs", AWAY, PACE):
            await asyncio.sleep(15)
            shelf.broken = False
            await asyncio.sleep(10)
    assert [log["event"] for log in logs] == ["heartbeat_not_written"] * 2
    assert shelf.objects


@pytest.mark.parametrize("failure", [ValueError("own"), ExceptionGroup("own", [ValueError()])])
async def test_the_block_s_own_failure_comes_out_as_it_is(shelf: Shelf, failure: Exception) -> None:
    async def run() -> None:
        async with heartbeat(shelf, "s3rs", AWAY, PACE):
            raise failure

    with pytest.raises(type(failure), match="own") as caught:
        await run()
    assert caught.value is failure


async def test_a_cancelled_block_ends_and_the_heart_with_it(shelf: Shelf) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5), heartbeat(shelf, "s3rs", AWAY, PACE):
            await asyncio.sleep(100)
    await asyncio.sleep(100)
    assert shelf.puts == 1


async def test_a_free_table_is_taken_at_once(register: Register) -> None:
    first = await take(register, AWAY, nobody_asks)
    again = await take(register, AWAY, nobody_asks)
    assert (first.state.epoch, first.state.claim) == (1, AWAY)
    assert again == first


async def test_a_living_holder_is_named_and_left_alone(register: Register) -> None:
    held = await take(register, AWAY, nobody_asks)
    with pytest.raises(ConflictError, match="pid 7 on another host") as failure:
        await take(register, this_process(), alive)
    assert failure.value.exit_code is ExitCode.CONFLICT
    assert await register.read() == held


async def test_a_dead_holder_and_a_stolen_one_are_followed(register: Register) -> None:
    await take(register, AWAY, nobody_asks)
    one, two = this_process(), this_process()
    assert (await take(register, one, dead)).state.epoch == 2
    assert (await take(register, two, nobody_asks, steal=True)).state.epoch == 3


async def test_whoever_moves_the_state_under_the_watch_is_judged_anew(register: Register) -> None:
    judged: list[str] = []
    other = replace(AWAY, writer="01X")

    async def dead_then_alive(state: State) -> bool:
        judged.append(state.claim.writer)
        if len(judged) == 1:
            await take(register, other, dead)
            return True
        return False

    await take(register, AWAY, nobody_asks)
    with pytest.raises(ConflictError, match="writer 01X"):
        await take(register, this_process(), dead_then_alive)
    assert judged == ["01W", "01X"]


async def test_endless_rivals_end_the_taking(register: Register) -> None:
    async def rival(state: State) -> bool:
        await take(register, replace(AWAY, writer=clock.ulid()), nobody_asks, steal=True)
        return True

    await take(register, AWAY, nobody_asks)
    with pytest.raises(ConflictError, match="too many"):
        await take(register, this_process(), rival)


async def test_what_was_given_back_is_free(register: Register, shelf: Shelf) -> None:
    await release(register, AWAY)
    assert shelf.objects == {}

    await take(register, AWAY, nobody_asks)
    await release(register, this_process())
    assert not claim_of(await register.read()).released
    await release(register, AWAY)
    assert claim_of(await register.read()).released
    here = this_process()
    taken = await take(register, here, partial(_looked, shelf, here))
    assert taken.state.claim == here


def claim_of(found: Versioned | None) -> Claim:
    assert found is not None
    assert found.state.claim is not None
    return found.state.claim


async def _looked(shelf: Shelf, here: Claim, state: State) -> bool:
    return await look(shelf, "s3rs", state, here, Suspicion(), PACE) is Life.DEAD
