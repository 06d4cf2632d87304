"""What lies in S3 for one table and may go: looked at in one order, decided, told, deleted.

    G1  list the table's objects and open uploads, each with its age by that same answer
    G2  GET the state; the register refuses a damaged one, and one of another pipeline or table
    G3  ask the target's ledger which batches it has
        decide: `commit.clean`, pure
    G4  delete, at most 1000 keys a request; then abort what was left open

The order is the safety, see there. A decision once made stays right: a batch in the ledger stays in
it, an epoch that is over never comes back. So a prompt may wait for an answer between looking and
deleting, and whoever dies in the middle leaves less for the next one. Nothing is deleted on the
word of a listing alone, and a key that our layout would not write is not looked at any further.
Two that clean at once delete the same things; a key without an object counts as deleted.

Whoever runs a table may be at it meanwhile. What its epoch still lets it commit is never touched,
so nothing here is locked and no claim is taken; `seal` alone disturbs it, which is what it is for.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from . import clock
from .commit import State
from .commit import clean as rules
from .commit.clean import Reason, Terms
from .commit.overrides import Edit
from .errors import DataError, UnavailableError
from .failpoint import reached, step
from .redshift import ledger
from .s3.object import Entry, OpenUpload, Page, Undeleted

if TYPE_CHECKING:
    from .line import Line
    from .model import TableSpec
    from .s3.layout import Attempt, Layout
    from .s3.register import Register

AT_ONCE = 1000
"""Keys of one request to delete."""

log = structlog.get_logger()


class Shelf(Protocol):
    """What s3clean asks of a store."""

    def pages(self, prefix: str) -> AsyncGenerator[Page, None]:
        """Every object whose key begins so, page by page."""

    def open_uploads(self, prefix: str) -> AsyncGenerator[OpenUpload, None]:
        """Every open multipart upload whose key begins so."""

    async def delete(self, keys: Sequence[str]) -> Sequence[Undeleted]:
        """Delete up to 1000 objects; those that are still there."""

    async def abort(self, key: str, upload_id: str) -> None:
        """Take an open upload back."""


Books = Callable[[], Awaitable[Collection[str]]]
"""The ledger reader: the batches in the target's ledger, as they are when it is called."""


@dataclass(frozen=True, slots=True)
class Yard:
    """One table's place in S3, and who is asked about it; without `books` it is never loaded."""

    shelf: Shelf
    layout: Layout
    register: Register
    books: Books | None


@dataclass(slots=True)
class Pile:
    """Objects that stay or go together: an attempt's, or a copy of the state; or an upload's."""

    name: str
    attempt: Attempt | None
    age: dt.timedelta
    upload_id: str | None = None
    keys: list[str] = field(default_factory=list)
    size: int = 0
    oldest: dt.datetime | None = None
    newest: dt.datetime | None = None
    reason: Reason = Reason.UNKNOWN

    def add(self, entry: Entry, age: dt.timedelta) -> None:
        """One more object of it."""
        self.keys.append(entry.key)
        self.size += entry.size
        self.age = min(self.age, age)
        self.oldest = min(self.oldest or entry.modified, entry.modified)
        self.newest = max(self.newest or entry.modified, entry.modified)


@dataclass(frozen=True, slots=True)
class Heap:
    """All that was listed: batches, copies of the state (the newest first), open uploads.

    `strange` are the keys that our layout would not write, the state's own aside.
    """

    batches: tuple[Pile, ...]
    copies: tuple[Pile, ...]
    uploads: tuple[Pile, ...]
    strange: tuple[str, ...]

    @property
    def piles(self) -> tuple[Pile, ...]:
        """Everything that is decided about."""
        return (*self.batches, *self.copies, *self.uploads)

    @property
    def going(self) -> tuple[Pile, ...]:
        """What may go."""
        return tuple(pile for pile in self.piles if pile.reason.goes)


@dataclass(frozen=True, slots=True)
class Removal:
    """What was deleted, or would be: objects, their bytes, uploads taken back."""

    objects: int
    size: int
    uploads: int


def yard_of(line: Line, spec: TableSpec, shelf: Shelf, *, s3_only: bool = False) -> Yard:
    """A table's yard, with the ledger of its target unless there is none."""

    async def books() -> Collection[str]:
        async with line.target.session() as session:
            return await ledger.loaded_batches(session, line.target_id(spec))

    return Yard(shelf, line.layout(spec), line.register(spec), None if s3_only else books)


async def clean_table(yard: Yard, terms: Terms, *, delete: bool) -> Removal:
    """Look, decide and, if asked, delete; what went, or would."""
    heap = await survey(yard, terms)
    return await remove(yard, heap) if delete else removal(heap)


async def survey(yard: Yard, terms: Terms) -> Heap:
    """Everything of a table, each with the reason why it stays or goes; DataError if refused."""
    async with step("G1"):
        heap = await pile_up(yard.shelf, yard.layout)
    async with step("G2"):
        base = await yard.register.read()
    if base is None:
        raise _refused(yard.layout, "the table has no state", "nothing says what is needed")
    async with step("G3"):
        known = None if yard.books is None else await yard.books()
    refused = rules.refusal(base.state, known)
    if refused is not None:
        raise _refused(yard.layout, *refused)
    _judge(heap, base.state, known or (), terms)
    return heap


async def pile_up(shelf: Shelf, layout: Layout) -> Heap:
    """Everything that lies under a table's own prefix, with nothing decided yet."""
    attempts: dict[Attempt, Pile] = {}
    copies: dict[str, Pile] = {}
    strange: list[str] = []
    async for page in shelf.pages(layout.home):
        for entry in page.entries:
            age = _age(entry.modified, page.date)
            at = layout.parse(entry.key)
            if at is not None:
                pile = attempts.setdefault(at.attempt, _pile_of(at.attempt, age))
                pile.add(entry, age)
            elif layout.parse_hist(entry.key) is not None:
                copies[entry.key] = pile = Pile(entry.key.rpartition("/")[2], None, age)
                pile.add(entry, age)
            elif entry.key not in (layout.state, layout.verified):
                strange.append(entry.key)
    uploads = [_upload(each, layout) async for each in shelf.open_uploads(layout.data)]
    newest_first = sorted(copies, reverse=True)
    return Heap(
        tuple(attempts.values()),
        tuple(copies[key] for key in newest_first),
        tuple(pile for pile in uploads if pile.attempt is not None),
        tuple(strange),
    )


async def remove(yard: Yard, heap: Heap) -> Removal:
    """Delete what may go; UnavailableError where the store kept some of it."""
    kept: list[Undeleted] = []
    gone = [pile for pile in heap.going if pile.upload_id is None]
    for pile in heap.piles:
        _tell(yard.layout, pile)
    keys = [key for pile in gone for key in pile.keys]
    for at in range(0, len(keys), AT_ONCE):
        async with step("G4"):
            kept += await yard.shelf.delete(keys[at : at + AT_ONCE])
    for pile in heap.going:
        if pile.upload_id is not None:
            await yard.shelf.abort(pile.keys[0], pile.upload_id)
    await reached("G5:after")
    if kept:
        raise UnavailableError(
            "the store did not delete everything",
            table=str(yard.layout.table),
            kept=len(kept),
            code=kept[0].code,
            key=kept[0].key,
            hint="nothing is wrong with the table: run it again",
        )
    return removal(heap)


async def seal(register: Register, who: str) -> None:
    """Bump the epoch, so that what was being written until now can be collected."""
    if await register.read() is not None:
        edit = Edit(clock.ulid(), clock.iso_now(), who, "s3clean --seal")
        await register.change(partial(rules.sealed, edit=edit))


def removal(heap: Heap) -> Removal:
    """What goes, in figures."""
    objects = [pile for pile in heap.going if pile.upload_id is None]
    return Removal(
        sum(len(pile.keys) for pile in objects),
        sum(pile.size for pile in objects),
        len(heap.going) - len(objects),
    )


def _judge(heap: Heap, state: State, known: Collection[str], terms: Terms) -> None:
    for pile in heap.batches:
        at = pile.attempt
        if at is not None:
            pile.reason = rules.judge_attempt(state, known, at.batch, at.epoch, pile.age, terms)
    for pile in heap.uploads:
        at = pile.attempt
        if at is not None:
            pile.reason = rules.judge_upload(state, at.batch, at.epoch, pile.age, terms.grace)
    for newer, pile in enumerate(heap.copies):
        pile.reason = rules.judge_copy(newer, pile.age, terms.loaded)
    if terms.pattern is not None:
        _leave_unasked(heap.piles, terms.pattern)


def _leave_unasked(piles: Iterable[Pile], pattern: str) -> None:
    for pile in piles:
        if not fnmatch.fnmatchcase(pile.name, pattern):
            pile.reason = Reason.UNASKED


def _pile_of(attempt: Attempt, age: dt.timedelta) -> Pile:
    return Pile(f"batch_{attempt.batch}", attempt, age)


def _upload(found: OpenUpload, layout: Layout) -> Pile:
    at = layout.parse(found.key)
    age = _age(found.begun, found.date)
    pile = _pile_of(at.attempt, age) if at is not None else Pile("", None, age)
    pile.upload_id, pile.keys = found.upload_id, [found.key]
    pile.oldest = pile.newest = found.begun
    return pile


def _age(moment: dt.datetime, date: dt.datetime) -> dt.timedelta:
    """How old something was when it was listed; a Date has no fractions of a second."""
    return date - moment.replace(microsecond=0)


def _tell(layout: Layout, pile: Pile) -> None:
    (log.info if pile.reason.goes else log.debug)(
        "s3clean takes" if pile.reason.goes else "s3clean leaves",
        pipeline=layout.pipeline,
        table=str(layout.table),
        name=pile.name,
        upload=pile.upload_id is not None,
        reason=pile.reason,
        objects=len(pile.keys),
        bytes=pile.size,
        age_seconds=int(pile.age.total_seconds()),
    )


def _refused(layout: Layout, reason: str, hint: str) -> DataError:
    return DataError(
        "nothing of the table was deleted",
        pipeline=layout.pipeline,
        table=str(layout.table),
        reason=reason,
        hint=hint,
    )
