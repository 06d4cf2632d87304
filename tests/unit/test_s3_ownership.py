from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    Rivals,
    Suspicion,
    freed,
    heartbeat,
    is_gone,
    look,
    release,
    take,
    this_process,
)
from s3rs_async.s3.register import Register, Versioned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


class Silence(Shelf):
    """A stage whose heartbeats nobody may ask for."""

    async def head(self, key: str) -> Stat | None:
        raise AssertionError(key)


@dataclass
class Contest:
    """Processes that want one table, each with its own look at the same store."""

    shelf: Shelf
    register: Register
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def rivals(self, here: Claim | None = None, wait: float = 0, **more: Any) -> Rivals:
        claim = here if here is not None else this_process()
        return Rivals(self.shelf, "s3rs", claim, PACE, self.stop, wait=wait, **more)

    async def take(self, here: Claim | None = None, wait: float = 0, **more: Any) -> Versioned:
        return await take(self.register, self.rivals(here, wait), **more)

    async def steal(self, here: Claim | None = None) -> Versioned:
        return await take(self.register, self.unasking(here), steal=True)

    def unasking(self, here: Claim | None = None) -> Rivals:
        claim = here if here is not None else this_process()
        return Rivals(Silence(), "s3rs", claim, PACE, self.stop)

    @asynccontextmanager
    async def held(self, claim: Claim = AWAY) -> AsyncIterator[Versioned]:
        """Another process at work; it lets go in the end."""
        async with heartbeat(self.shelf, "s3rs", claim, PACE):
            yield await take(self.register, self.unasking(claim), steal=True)
            await release(self.register, claim)


@pytest.fixture
def contest(shelf: Shelf, register: Register) -> Contest:
    return Contest(shelf, register)


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


async def test_a_free_table_is_taken_at_once(register: Register, contest: Contest) -> None:
    first = await take(register, contest.unasking(AWAY))
    again = await take(register, contest.unasking(AWAY))
    assert (first.state.epoch, first.state.claim) == (1, AWAY)
    assert again == first
    assert clock.seconds() < 1


async def test_a_living_holder_is_named_and_left_alone(contest: Contest) -> None:
    async with contest.held() as held:
        with pytest.raises(ConflictError, match="pid 7 on another host") as failure:
            await contest.take()
        assert clock.seconds() <= PACE.beat + PACE.look
        assert await contest.register.read() == held
    assert failure.value.exit_code is ExitCode.CONFLICT
    assert "--wait" in failure.value.hint
    assert "--steal" in failure.value.hint


async def test_a_silent_holder_is_watched_for_the_ttl_and_five_seconds_and_then_followed(
    contest: Contest,
) -> None:
    await contest.steal(AWAY)
    taken = await contest.take()
    assert taken.state.epoch == 2
    assert PACE.watch <= clock.seconds() <= PACE.watch + PACE.look


async def test_with_a_suspicion_of_its_own_a_pass_never_waits(contest: Contest) -> None:
    await contest.steal(AWAY)
    known = Suspicion()
    rivals = contest.rivals(suspicion=known)
    with pytest.raises(ConflictError):
        await take(contest.register, rivals)
    assert clock.seconds() < 1
    await asyncio.sleep(known.left)
    assert (await take(contest.register, contest.rivals(suspicion=known))).state.epoch == 2


async def test_a_stolen_table_is_taken_from_a_living_holder_without_a_look(
    contest: Contest,
) -> None:
    async with contest.held():
        assert (await contest.steal()).state.epoch == 2
        assert clock.seconds() < 1


async def test_a_holder_that_is_waited_for_is_followed_as_soon_as_it_lets_go(
    contest: Contest,
) -> None:
    async def work() -> None:
        async with contest.held():
            await asyncio.sleep(600)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        await asyncio.sleep(1)
        taken = await contest.take(wait=math.inf)
    assert taken.state.epoch == 2
    assert 600 <= clock.seconds() <= 602


async def test_a_bounded_wait_ends_and_names_the_holder(contest: Contest) -> None:
    async with contest.held():
        with pytest.raises(ConflictError, match="pid 7 on another host"):
            await contest.take(wait=100)
        assert 100 <= clock.seconds() <= 100 + PACE.look


async def test_a_holder_that_dies_while_it_is_waited_for_is_followed(contest: Contest) -> None:
    async def dies() -> None:
        async with heartbeat(contest.shelf, "s3rs", AWAY, PACE):
            await contest.steal(AWAY)
            await asyncio.sleep(95)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(dies())
        await asyncio.sleep(1)
        taken = await contest.take(wait=math.inf)
    assert taken.state.epoch == 2
    assert clock.seconds() <= 95 + PACE.watch + PACE.look


async def test_a_signal_ends_the_waiting_at_once(contest: Contest) -> None:
    async with contest.held(), asyncio.TaskGroup() as tasks:
        asyncio.get_running_loop().call_later(33.3, contest.stop.set)
        waiting = tasks.create_task(ended(contest.take(wait=math.inf)))
        await asyncio.wait({waiting})
        assert 33.3 <= clock.seconds() < 33.4
        assert waiting.result() == "ConflictError"


async def ended(taking: Any) -> str:
    try:
        await taking
    except ConflictError as error:
        return type(error).__name__
    return "taken"


async def test_one_rival_after_the_other_is_refused_without_an_endless_watch(
    contest: Contest,
) -> None:
    async def rivals() -> None:
        for number in range(100):
            await contest.steal(replace(AWAY, writer=f"W{number:03}"))
            await asyncio.sleep(0.7)

    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(rivals())
        await asyncio.sleep(0.1)
        assert await ended(contest.take()) == "ConflictError"
        assert clock.seconds() < 5
        assert await ended(contest.take(wait=20)) == "ConflictError"
        assert 20 <= clock.seconds() < 26
        going.cancel()


async def test_whoever_takes_it_between_our_look_and_our_write_is_judged_anew(
    contest: Contest, shelf: Shelf
) -> None:
    await contest.steal(replace(AWAY, released=True))
    put_if, other = shelf.put_if, replace(AWAY, writer="01X")

    async def late(key: str, body: bytes, etag: str | None) -> str:
        shelf.put_if = put_if  # type: ignore[method-assign]
        await contest.steal(other)
        return await put_if(key, body, etag)

    shelf.put_if = late  # type: ignore[method-assign]
    async with heartbeat(shelf, "s3rs", other, PACE):
        with pytest.raises(ConflictError, match="writer 01X"):
            await contest.take()


async def test_endless_rivals_end_the_taking(contest: Contest, shelf: Shelf) -> None:
    put_if = shelf.put_if

    async def rival(key: str, body: bytes, etag: str | None) -> str:
        claim = replace(AWAY, writer=clock.ulid(), released=True)
        shelf.put_if = put_if  # type: ignore[method-assign]
        await contest.steal(claim)
        shelf.put_if = rival  # type: ignore[method-assign]
        return await put_if(key, body, etag)

    shelf.put_if = rival  # type: ignore[method-assign]
    with pytest.raises(ConflictError, match="too many"):
        await contest.take()


async def test_a_wait_does_not_take_and_says_what_is_there(contest: Contest) -> None:
    assert await freed(contest.register, contest.rivals()) is None
    held = await contest.steal(AWAY)
    assert await freed(contest.register, contest.rivals(AWAY)) == held
    await release(contest.register, AWAY)
    free = await freed(contest.register, contest.rivals())
    assert free is not None
    assert free.state.epoch == 1


async def test_what_was_given_back_is_free(contest: Contest, shelf: Shelf) -> None:
    register = contest.register
    await release(register, AWAY)
    assert shelf.objects == {}

    await contest.steal(AWAY)
    await release(register, this_process())
    assert not claim_of(await register.read()).released
    await release(register, AWAY)
    assert claim_of(await register.read()).released
    here = this_process()
    taken = await take(register, contest.unasking(here))
    assert taken.state.claim == here


def claim_of(found: Versioned | None) -> Claim:
    assert found is not None
    assert found.state.claim is not None
    return found.state.claim
