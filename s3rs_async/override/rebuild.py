"""A state made anew: from the ledger, from a copy, or from a copy and then the ledger.

What lies in the state's place is read first and the ledger after it, and the write stands only over
exactly what was read. A load that ends in between has changed the state, and then all is read
again; one that has not yet told the state is told by the ledger, and where it was later still, the
next load finds that the two differ, and stops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from .. import commit
from ..errors import ConfigError, ConflictError, DataError
from ..failpoint import step
from ..model import Mode, Position, Window
from ..redshift import ledger
from ..s3.position import read_position
from ..s3.register import LostError
from .bench import Changed, check_ours, edit, good_copy, landed, last_epoch, last_version, survey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..commit import LedgerHead, State
    from ..s3.register import Found
    from .bench import Bench, Copy

_TRIES: Final = 8
_Make: TypeAlias = "Callable[[Found], Awaitable[State]]"


@dataclass(frozen=True, slots=True)
class _Books:
    """What the ledger says of a table; all None where nothing was ever loaded."""

    head: LedgerHead | None = None
    position: Position | None = None
    window: Window | None = None


async def reconcile(bench: Bench, *, who: str, dry: bool = False) -> Changed:
    """Take the ledger's word for where the table stands, were its state damaged or lost."""
    made = edit("reconcile", who)

    async def make(found: Found) -> State:
        ground = await _ground(bench, found)
        books = await _books(bench)
        return commit.reconciled(ground, books.head, books.position, made, window=books.window)

    return await _rebuilt(bench, make, dry=dry)


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
    made = edit(f"restore of version {copy.version}", who)
    then = edit("reconcile after restore", who)

    async def make(found: Found) -> State:
        epoch = await _top(bench, found, copy)
        back = commit.restored(state, made, epoch=epoch)
        if s3_only:
            return back
        books = await _books(bench)
        return commit.reconciled(back, books.head, books.position, then, window=books.window)

    return await _rebuilt(bench, make, dry=dry)


async def _rebuilt(bench: Bench, make: _Make, *, dry: bool) -> Changed:
    register = bench.register
    for _ in range(_TRIES):
        found = await survey(register)
        after = await make(found)
        before = found.current.state if found.current is not None else None
        if dry:
            return Changed(before, after, None)
        seen = found.current.version if found.current is not None else 0
        version = max(seen, await last_version(bench)) + 1
        try:
            won = await landed(partial(register.rebuild, found, after, version=version))
        except LostError:
            continue
        return Changed(before, won.state, won.version)
    raise ConflictError(
        "the state changes faster than it can be rebuilt", table=str(bench.spec.table)
    )


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


async def _books(bench: Bench) -> _Books:
    """R2: the head, its position, and what it has left of a window."""
    line, target = bench.line, bench.line.target_id(bench.spec)
    async with step("R2"), line.target.session() as session:
        head = await ledger.read_head(session, target)
        lines = await ledger.chain(session, target) if head is not None else ()
    if head is None:
        return _Books()
    if (head.pipeline, head.source) != (line.pipeline, f"{line.feed.name}:{bench.spec.table}"):
        raise ledger.another_feeder(head, target)
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
