"""A chain of batches enters its target: Y1 to Y11 of the protocol, one transaction, all or nothing.

Order is everything: lock the ledger's head first, then read it, then judge; then each batch in the
order of the chain (`enter`); move the head once, from where it was read to the last; COMMIT. What
the ledger holds already is passed over, so batches may be handed to `load` any number of times, by
any number of processes.

An attempt that fails cleanly (a serialization conflict, a disk that is full, a line cut before
COMMIT) is made again from the start, in a new session: a few times, for some minutes. A lost answer
to COMMIT is resolved in the same way: the lock waits for the ghost, then the ledger tells whether
the batches are in. Batches before one that Redshift refuses are loaded without it, so that they do
not wait for someone to mend it; it comes first the next time, and is told then.

Under the lock the caller is asked once more which of the batches still wait. A reconcile holds the
same lock while it reads the head and forgets a batch: it has seen the load, or the load sees it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from .. import clock
from ..commit import LedgerHead, Ruling, Verdict, judge_chain
from ..errors import ConflictError, DataError, Error, UnavailableError, UnknownOutcomeError
from ..failpoint import reached, step
from . import faults, ledger, schema, sql
from .enter import Order, StopError, enter

if TYPE_CHECKING:
    from ..model import Manifest, TableKeys
    from .connection import Session, Target

FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0
MAX_TRIES: Final = 6
TRYING_SECONDS: Final = 600.0
MAX_LOCK_WAITS: Final = 3

log = structlog.get_logger()


Still: TypeAlias = Callable[[Sequence[Order]], Awaitable[Sequence[Order]]]
"""Of batches in their order, those from the first on that still wait to be loaded."""


class OvertakenError(ConflictError):
    """None of the batches waits any more; `head` is where the ledger ends, read under its lock."""

    def __init__(self, manifest: Manifest, head: LedgerHead) -> None:
        super().__init__(
            "the batch waits no more: the state was changed while it was to be loaded",
            where="redshift",
            table=str(manifest.target),
            batch=manifest.batch,
        )
        self.head = head


@dataclass(frozen=True, slots=True)
class LoadTerms:
    """Whose load it is and how long it may take.

    `ghost_timeout` bounds the wait for the ledger's lock, and for the truth after a lost answer;
    `load_timeout` bounds each statement of the load itself. `adopt` lets a first load go into a
    target that has rows. `keys` lay the target out if this load makes it.
    """

    run: str
    writer: str
    ghost_timeout: float = 600.0
    load_timeout: float = 14_400.0
    adopt: bool = False
    keys: TableKeys = sql.NO_KEYS


async def all_of(orders: Sequence[Order]) -> Sequence[Order]:
    """For batches that nobody can let go."""
    return orders


async def load(
    target: Target, orders: Sequence[Order], terms: LoadTerms, still: Still = all_of
) -> LedgerHead:
    """Load the chain, or find that it is loaded; the ledger's head as it is then.

    A batch that Redshift refuses ends the chain before it, and is an error where it is the first.
    `still` is asked under the ledger's lock; OvertakenError where it leaves none.
    """
    trying = _Trying(target, terms)
    while True:
        try:
            await reached("Y1:before")
            async with target.session() as session:
                trying.met = True
                return await _attempt(session, orders, terms, still)
        except UnknownOutcomeError as error:
            trying.doubts(error)
        except ledger.LockedError as error:
            await trying.frees_the_lock(orders, error)
        except UnavailableError as error:
            trying.may_go_on(error)
        except DataError as error:
            orders = _before(orders, error)
        await trying.pauses()


@dataclass(slots=True)
class _Trying:
    """What a load went through so far, and whether it may go on.

    `met` tells that the target was reached: where it never was, nobody waits here for that. In
    doubt of a COMMIT, only the time for finding out counts.
    """

    target: Target
    terms: LoadTerms
    met: bool = False
    tries: int = 0
    waits: int = 0
    began: float = field(default_factory=clock.seconds)
    doubt: UnknownOutcomeError | None = None
    until: float = 0.0

    def doubts(self, error: UnknownOutcomeError) -> None:
        """The answer to a COMMIT was lost: only a later attempt can tell."""
        if self.doubt is None:
            self.until = clock.seconds() + self.terms.ghost_timeout
        self.doubt = error
        if clock.seconds() > self.until:
            raise error
        log.warning("commit in doubt", target=self.target.name, reason=str(error))

    async def frees_the_lock(self, orders: Sequence[Order], error: ledger.LockedError) -> None:
        """End the ghosts that hold the lock; an error that names the holder if it is not one."""
        self.waits += 1
        table = orders[0].manifest.target
        holder = await ledger.end_ghost(self.target, table)
        if holder is not None or self.waits >= MAX_LOCK_WAITS:
            raise ledger.LockedError(table, error.waited, holder) from error
        self.until = clock.seconds() + self.terms.ghost_timeout

    def may_go_on(self, error: UnavailableError) -> None:
        """Return if the attempt may be made again, else raise."""
        self.tries += 1
        if self.doubt is not None:
            if clock.seconds() > self.until:
                raise self.doubt from error
            return
        slow = error.context.get("sqlstate") == faults.STATEMENT_TIMEOUT
        late = clock.seconds() - self.began > TRYING_SECONDS
        if slow or late or not self.met or self.tries >= MAX_TRIES:
            error.context["attempts"] = self.tries
            raise error
        log.warning("load tried again", target=self.target.name, reason=str(error))

    async def pauses(self) -> None:
        """Let whoever was in the way go on first."""
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.tries, 10), LONGEST_PAUSE_SECONDS)
        await clock.sleep(clock.jitter(longest))


def _before(orders: Sequence[Order], error: DataError) -> Sequence[Order]:
    """The batches before the one that was refused; the error itself where it stops the chain."""
    refused = error.context.get("batch")
    at = next((i for i, order in enumerate(orders) if order.manifest.batch == refused), 0)
    if at == 0 or (isinstance(error, StopError) and error.word != "counts"):
        raise error
    return orders[:at]


async def _attempt(
    session: Session, orders: Sequence[Order], terms: LoadTerms, still: Still
) -> LedgerHead:
    first = orders[0].manifest
    await _prepare(session, orders, terms)
    await reached("Y1:after")
    await reached("Y2:before")
    async with session.transaction():
        await reached("Y2:after")
        async with step("Y3"):
            await ledger.lock(session, first.target, terms.ghost_timeout)
        async with step("Y4"):
            await session.execute(sql.set_statement_timeout(terms.load_timeout))
            head = await ledger.head_under_lock(session, first, adopt=terms.adopt)
            missing = await _missing(session, orders, head)
            entering = await still(missing) if missing else missing
        if not missing:
            await session.rollback()
            return head
        if not entering:
            raise OvertakenError(missing[0].manifest, head)
        to = await _enter(session, entering, head, terms)
        async with step("Y10"):
            await ledger.move(session, first.target, head, to)
        async with step("Y11"):
            await session.commit()
    return to


async def _prepare(session: Session, orders: Sequence[Order], terms: LoadTerms) -> None:
    """Y1 and the birth: the session is known by its pid, the target can take each batch."""
    first = orders[0].manifest
    log.info(
        "load begins",
        table=str(first.target),
        backend_pid=session.backend_pid,
        batches=len(orders),
        first=first.batch,
    )
    await session.execute(sql.set_query_group(terms.run))
    await session.execute(sql.set_statement_timeout(terms.ghost_timeout))
    await ledger.born(session, first, terms.keys)
    live = await schema.read_columns(session, first.target.table)
    checked = set()
    for order in orders:
        columns = order.manifest.columns
        if live is None or columns in checked:
            continue
        with _of(order):
            whole = order.manifest.mode.brings
            schema.check(first.target, columns, live, whole=whole)
        checked.add(columns)


@contextmanager
def _of(order: Order) -> Iterator[None]:
    """Whatever is refused inside is told with its batch."""
    try:
        yield
    except DataError as error:
        error.context.setdefault("batch", order.manifest.batch)
        raise


async def _missing(session: Session, orders: Sequence[Order], head: LedgerHead) -> Sequence[Order]:
    """Y4: the batches to load now, none if all are in; an error where one may not enter."""
    chain = [(order.manifest, order.sha256) for order in orders]
    target = chain[0][0].target
    recorded = await ledger.recorded(session, target, [each.batch for each, _ in chain])
    ruling = judge_chain(head, recorded, chain)
    if ruling.verdict in {Verdict.LOAD, Verdict.ALREADY_LOADED}:
        return orders[ruling.at :]
    raise _refusal(ruling, orders, head)


def _refusal(ruling: Ruling, orders: Sequence[Order], head: LedgerHead) -> Error:
    manifest = orders[ruling.at].manifest
    if ruling.verdict is Verdict.FOREIGN:
        return ledger.another_feeder(head, manifest.target)
    if ruling.verdict is Verdict.TAMPERED:
        return StopError(
            "tampered",
            "the ledger holds this batch under another digest; nothing was loaded",
            manifest,
            head,
            sha256=orders[ruling.at].sha256,
        )
    return StopError(
        "diverged",
        "the batch does not follow what the target holds; nothing was loaded",
        manifest,
        head,
        parent=manifest.parent or "none",
        ledger_ends_at=head.batch or "none",
        generations=f"{manifest.generation} after {head.generation}",
    )


async def _enter(
    session: Session, orders: Sequence[Order], head: LedgerHead, terms: LoadTerms
) -> LedgerHead:
    """Y5 to Y9 for each batch, under the lock and after the verdict."""
    for order in orders:
        with _of(order):
            head = await enter(session, order, head, writer=terms.writer, wait=terms.load_timeout)
    return head
