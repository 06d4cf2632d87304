"""A state made anew: from the ledger, from a copy, or from a copy and then the ledger.

What lies in the state's place is read first. Then the ledger's head is locked, as a load locks it,
and under that lock the ledger is read and the state is written, over exactly what was read. So a
load either had the lock before and is in what was read, or gets it after and finds that its batch
is let go. A load that ends before the lock is had has changed the state, and all is read again.

Where no ledger is, there is nothing to lock, and nothing is created here for it: after the write it
is looked for again. A first load makes it before it asks for the lock, and asks the state under it:
either the ledger is seen now, and all is done again under its lock, or that load will find its
batch let go. A lock that was lost during the write, with its session, is treated likewise. Only
one who dies in between, or whose PUT lands after the end of its session, may leave the two apart:
the next load stops the table, and a second reconcile mends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from .. import commit
from ..errors import ConfigError, ConflictError, DataError, UnavailableError
from ..failpoint import step
from ..model import Mode, Position, Window
from ..redshift import ledger, sql
from ..s3.position import read_position
from ..s3.register import Found, LostError, Versioned
from .bench import Changed, check_ours, edit, good_copy, landed, last_epoch, last_version, survey

if TYPE_CHECKING:
    from ..commit import Edit, LedgerHead, State
    from ..redshift.connection import Session
    from .bench import Bench, Copy

_TRIES: Final = 8
_WAITS: Final = 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Books:
    """What the ledger says of a table; all None where nothing was ever loaded."""

    head: LedgerHead | None = None
    position: Position | None = None
    window: Window | None = None


_Told: TypeAlias = tuple[_Books, Callable[[], Awaitable[bool]]]


@dataclass(frozen=True, slots=True)
class _Making:
    """What is written: the `ground` of what was found, on which the ledger's word is put."""

    what: str
    who: str
    ground: Callable[[Found, Edit], Awaitable[State]]
    word: Callable[[State, _Books, Edit], State]
    asks: bool = True

    def edit(self) -> Edit:
        return edit(self.what, self.who)


async def reconcile(bench: Bench, *, who: str, dry: bool = False) -> Changed:
    """Take the ledger's word for where the table stands, were its state damaged or lost."""

    async def ground(found: Found, _: Edit) -> State:
        return await _ground(bench, found)

    return await _rebuilt(bench, _Making("reconcile", who, ground, _reconciled), dry=dry)


async def restore(
    bench: Bench, *, who: str, version: int | None = None, s3_only: bool = False, dry: bool = False
) -> Changed:
    """Put the newest good copy back, or that of a version; then the ledger's word, if it has one.

    With `s3_only` no ledger is asked.
    """
    copy = await good_copy(bench, version)
    if copy is None or copy.document is None:
        raise _no_copy(bench, version)
    state = copy.document.state
    check_ours(bench, state)

    async def ground(found: Found, made: Edit) -> State:
        return commit.restored(state, made, epoch=await _top(bench, found, copy))

    def word(back: State, books: _Books, _: Edit) -> State:
        return back if s3_only else _reconciled(back, books, edit("reconcile after restore", who))

    what = f"restore of version {copy.version}"
    return await _rebuilt(bench, _Making(what, who, ground, word, asks=not s3_only), dry=dry)


def _reconciled(ground: State, books: _Books, made: Edit) -> State:
    return commit.reconciled(ground, books.head, books.position, made, window=books.window)


async def _rebuilt(bench: Bench, making: _Making, *, dry: bool) -> Changed:
    """Write it, again until what the ledger said held for as long as the write took."""
    made, waits = making.edit(), 0
    first: Changed | None = None
    for _ in range(_TRIES):
        found = await survey(bench.register)
        before = found.current.state if found.current is not None else None
        if dry:
            return Changed(before, await _foretold(bench, making, found), None)
        try:
            won, held = await _written(bench, making, found, made)
        except LostError:
            continue
        except ledger.LockedError as error:
            waits += 1
            await _frees_the_lock(bench, error, last=waits == _WAITS)
            continue
        first = first or Changed(before, won.state, won.version)
        if held:
            return replace(first, after=won.state, version=won.version)
        made = making.edit()
        log.warning("the ledger moved meanwhile: reconciled again", table=str(bench.spec.table))
    raise ConflictError(
        "the state changes faster than it can be rebuilt", table=str(bench.spec.table)
    )


async def _foretold(bench: Bench, making: _Making, found: Found) -> State:
    made = making.edit()
    ground = await making.ground(found, made)
    async with _told(bench, making, lock=False) as (books, _):
        return making.word(ground, books, made)


async def _written(
    bench: Bench, making: _Making, found: Found, made: Edit
) -> tuple[Versioned, bool]:
    """The write, and whether the ledger's word held until it was done."""
    ground = await making.ground(found, made)
    seen = found.current.version if found.current is not None else 0
    version = max(seen, await last_version(bench)) + 1
    async with _told(bench, making, lock=True) as (books, held):
        after = making.word(ground, books, made)
        won = await landed(partial(bench.register.rebuild, found, after, version=version))
        return won, await held()


@asynccontextmanager
async def _told(bench: Bench, making: _Making, *, lock: bool) -> AsyncIterator[_Told]:
    """R2: the ledger's word, and how to find out whether it held."""
    if not making.asks:
        yield _Books(), _always
        return
    async with AsyncExitStack() as stack:
        async with step("R2"):
            session = await stack.enter_async_context(bench.line.target.session())
            locked = lock and await stack.enter_async_context(_locked(bench, session))
            books = await _books(bench, session)
        yield books, partial(_held, bench, session, locked=locked)


async def _always() -> bool:
    return True


@asynccontextmanager
async def _locked(bench: Bench, session: Session) -> AsyncIterator[bool]:
    """A transaction with the ledger's lock; without either where there is no ledger (False)."""
    target, wait = bench.line.target_id(bench.spec), bench.line.target.config.ghost_timeout
    if not await ledger.is_born(session, target):
        yield False
        return
    await session.execute(sql.set_statement_timeout(wait))
    async with session.transaction():
        await ledger.lock(session, target, wait)
        yield True


async def _held(bench: Bench, session: Session, *, locked: bool) -> bool:
    """Whether the lock was ours to the end; without a ledger, whether there still is none."""
    try:
        if not locked:
            return not await ledger.is_born(session, bench.line.target_id(bench.spec))
        await session.execute(sql.ROLLBACK)
    except UnavailableError:
        return False
    return True


async def _frees_the_lock(bench: Bench, error: ledger.LockedError, *, last: bool) -> None:
    """End a ghost of ours that holds the lock; an error that names the holder if it is not one."""
    target = bench.line.target_id(bench.spec)
    holder = await ledger.end_ghost(bench.line.target, target)
    if last or holder is not None:
        raise ledger.LockedError(target, error.waited, holder) from error


async def _ground(bench: Bench, found: Found) -> State:
    """The state that the ledger's word is put on: what is there, or what was there last."""
    copy = await good_copy(bench)
    if found.current is not None:
        state = found.current.state
    elif copy is not None and copy.document is not None:
        state = copy.document.state
    else:
        state = bench.register.birth
    return replace(state, epoch=await _top(bench, found, copy))


async def _top(bench: Bench, found: Found, copy: Copy | None) -> int:
    """The greatest epoch that anything shows."""
    seen = [await last_epoch(bench)]
    if found.current is not None:
        seen.append(found.current.state.epoch)
    if copy is not None and copy.document is not None:
        seen.append(copy.document.state.epoch)
    return max(seen)


async def _books(bench: Bench, session: Session) -> _Books:
    """The head, its position, and what it has left of a window."""
    line, target = bench.line, bench.line.target_id(bench.spec)
    head = await ledger.read_head(session, target)
    if head is None:
        return _Books()
    if (head.pipeline, head.source) != (line.pipeline, f"{line.feed.name}:{bench.spec.table}"):
        raise ledger.another_feeder(head, target)
    lines = await ledger.chain(session, target)
    chain = [(Mode(each.mode), _position(each.position)) for each in lines]
    return _Books(head, _position(head.position), commit.window_due(chain))


def _position(text: str) -> Position | None:
    return read_position(text) if text else None


def _no_copy(bench: Bench, version: int | None) -> DataError | ConfigError:
    if version is not None:
        return ConfigError(
            "there is no good copy of that version",
            table=str(bench.spec.table),
            version=version,
            hint="s3rs watermark history lists those that there are",
        )
    return DataError(
        "there is no good copy of the state",
        table=str(bench.spec.table),
        hint="rebuild it from the ledger: s3rs watermark reconcile; or look at the bucket's"
        " own versions of it",
    )
