"""An event loop whose time, order and deaths come from a seed.

Time is virtual: where nothing is ready the clock jumps to the next timer. What is ready runs in an
order that the seed draws, across all simulated processes alike. Work for threads is done in place.

A handle belongs to the process in whose context it was made. While a process is stopped its handles
are parked, and run when it goes on: that is a zombie. A killed one is parked for good: nothing of
it runs any more, no `finally` either. Only when the seed is over is everybody woken to be put out,
in a world that does nothing any longer; else tasks would leak from seed to seed.

Tasks are hashed by their number: asyncio keeps some in sets, whose order would else be that of
addresses, and the same seed would not play the same twice.

Much of what asyncio's own loop does at every step is for people who look for bugs in it, and is
left out: handles have no traceback of who made them, generators are in no list of those begun.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
from asyncio import events
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

PUT_OUT_SECONDS = 30.0
PUT_OUT_ROUNDS = 200


@dataclass(eq=False, slots=True)
class Process:
    """A simulated process: whether it runs, how its clock errs, what waits while it is stopped."""

    name: str
    skew: float = 0.0
    running: bool = True
    killed: bool = False
    parked: list[Handle] = field(default_factory=list)
    at_death: list[Callable[[], None]] = field(default_factory=list)


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class DeadlockError(Exception):
    """Every task waits and no timer is set."""


class NumberedTask(asyncio.Task):
    """A task whose hash is its number, the same in every run; equal to itself alone."""

    def __init__(
        self,
        coro: Any,
        *,
        number: int,
        loop: SeededLoop,
        context: contextvars.Context | None = None,
    ) -> None:
        self.number = number
        super().__init__(coro, loop=loop, name=number, context=context)

    def __hash__(self) -> int:
        return self.number


class Handle:
    """What is to be called, and in whose context; its time, if it has one."""

    __slots__ = ("args", "call", "cancelled", "context", "time")

    def __init__(
        self, call: Any, args: Any, context: contextvars.Context | None, time: float | None = None
    ) -> None:
        self.call = call
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.time = time
        self.cancelled = False

    def cancel(self) -> None:
        """Not to be called any more; a timer is thrown away when its time comes."""
        self.cancelled = True
        self.call = self.args = None

    def when(self) -> float | None:
        return self.time


class SeededLoop(asyncio.BaseEventLoop):
    """Virtual time, drawn order, inline threads, and processes that can die."""

    get_debug = staticmethod(bool)  # never; it is asked for with every future

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._draw = rng.random
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self._ready: list[Handle] = []  # the base has a deque, which gives no middle away
        self._tasks: list[asyncio.Task[Any]] = []
        self.steps = 0
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Any,
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        when = self._now + delay
        handle = Handle(callback, args, context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_at(
        self,
        when: float,
        callback: Any,
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_task(
        self, coro: Any, *, context: contextvars.Context | None = None, **_: Any
    ) -> NumberedTask:
        self._count += 1
        task = NumberedTask(coro, number=self._count, loop=self, context=context)
        self._tasks.append(task)  # thrown away it would be closed, `finally` and all
        return task

    def run_in_executor(self, _: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Done in place; told a step later, as a thread would."""
        future = self.create_future()
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
            self.call_soon(_tell, future, None, error)
        else:
            self.call_soon(_tell, future, result, None)
        return future

    def run_forever(self) -> None:
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._asyncgen_finalizer_hook)
        events._set_running_loop(self)
        try:
            while not self._stopping:
                self._run_once()
        finally:
            self._stopping = False
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(None, None)

    def _run_once(self) -> None:
        ready = self._ready
        while not ready:
            self._jump()
        index = int(self._draw() * len(ready))
        handle = ready[index]
        ready[index] = ready[-1]
        ready.pop()
        if handle.cancelled:
            return
        process = handle.context.get(PROCESS)
        if process is not None and not process.running:
            process.parked.append(handle)
            return
        self.steps += 1
        try:
            handle.context.run(handle.call, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - the seed is told of it at its end
            self.faults.append({"message": f"in {handle.call}", "exception": error})

    def _jump(self) -> None:
        timers = self._timers
        if not timers:
            raise DeadlockError
        self._now = timers[0][0]
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled:
                self._ready.append(handle)

    def spawn(self, process: Process, work: Coroutine[Any, Any, None]) -> NumberedTask:
        """Start a task that belongs to the process, and so does all that it starts."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(work, context=context)

    def stop_process(self, process: Process) -> None:
        """SIGSTOP."""
        process.running = False

    def continue_process(self, process: Process) -> None:
        """SIGCONT; nothing to the dead."""
        if not process.killed:
            self._wake(process)

    def kill_process(self, process: Process) -> None:
        """SIGKILL; what others must learn of it, they learn."""
        process.running, process.killed = False, True
        for told in process.at_death:
            told()

    def _wake(self, process: Process) -> None:
        process.running = True
        self._ready += process.parked
        process.parked.clear()

    async def put_out(self, processes: list[Process]) -> None:
        """End every task that is left, the killed ones' too; the world must have been closed."""
        for process in processes:
            self._wake(process)
        me = asyncio.current_task()
        for _ in range(PUT_OUT_ROUNDS):
            left = [task for task in self._tasks if task is not me and not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=PUT_OUT_SECONDS)
        raise DeadlockError

    async def _nothing(self) -> None:
        """There are no threads and no generators of others to end."""

    shutdown_default_executor = _nothing  # type: ignore[assignment]


def _tell(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
