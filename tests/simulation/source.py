"""The source in memory: one table, its writers' open transactions, and a feed that reads it.

What is planned and walked is the product's own (`choose`, `Walk`); only the statements are answered
here. A row gets its stamp when it is written and is seen when its transaction commits, perhaps long
after rows with later stamps have been read. So the bound is what makes reading safe: it lies below
whatever an open transaction has stamped, and nothing above it is called read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

import pyarrow as pa

from s3rs_async.errors import UnavailableError
from s3rs_async.model import Bound, Position, Proof, TableName
from s3rs_async.mysql.care import Explained
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.decode import schema
from s3rs_async.mysql.sql import Page
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.types import Rule
from s3rs_async.mysql.walk import ChunkEnd, Walk
from tests.simulation.world import EPOCH, Fates, World

NAME = TableName("shop", "orders")
SERVER = "sim-1"
MARGIN = 3.0

_READ_ON = 60.0


def _away() -> Exception:
    return UnavailableError("the connection to the source was lost", where="mysql")


_READ = Fates((_away,))
_ZERO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)

TABLE = SourceTable(
    name=NAME,
    columns=(
        SourceColumn(
            "id", "bigint", "bigint(20)", nullable=False, precision=19, scale=0,
            auto_increment=True,
        ),
        SourceColumn("v", "int", "int(11)", nullable=False, precision=10, scale=0),
        SourceColumn(
            "changed_at", "datetime", "datetime(6)", nullable=False, fraction=6,
            own_stamp=True, born_stamped=True,
        ),
    ),
    keys=(("id",),),
    primary=True,
    indexes=(("by_change", ("changed_at",)), ("PRIMARY", ("id",))),
    engine="InnoDB",
    estimated_rows=None,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a row; `stamp` in microseconds since 1970."""

    id: int
    v: int
    stamp: int

    @property
    def cursor(self) -> str:
        return shown(self.stamp)

    @property
    def values(self) -> tuple[int, int, dt.datetime]:
        """The row as the target holds it."""
        return self.id, self.v, _moment(self.stamp)


@lru_cache(4096)
def _moment(stamp: int) -> dt.datetime:
    return _ZERO + dt.timedelta(microseconds=stamp)


@lru_cache(4096)
def shown(stamp: int) -> str:
    """A stamp as MySQL shows a DATETIME(6)."""
    return _moment(stamp).isoformat(" ", "microseconds")


@dataclass(eq=False, slots=True)
class Transaction:
    """Rows written and not yet committed; nothing of it bears a stamp before `begun`."""

    begun: int
    rows: list[Row] = field(default_factory=list)


@dataclass(eq=False)
class Source:
    """The table: what is committed, what is under way, and every version there ever was."""

    world: World
    rows: dict[int, Row] = field(default_factory=dict)
    open: list[Transaction] = field(default_factory=list)
    ever: set[tuple[int, int, dt.datetime]] = field(default_factory=set)
    next_id: int = 1

    def now(self) -> int:
        return int((EPOCH + self.world.loop.time()) * 1_000_000)

    def begin(self) -> Transaction:
        begun = Transaction(self.now())
        self.open.append(begun)
        return begun

    def insert(self, within: Transaction) -> None:
        within.rows.append(Row(self.next_id, 1, self.now()))
        self.next_id += 1

    def update(self, within: Transaction, key: int) -> None:
        """Change a row that no other transaction holds; nothing where one does."""
        if key in self.rows and key not in {row.id for each in self.open for row in each.rows}:
            within.rows.append(Row(key, self.rows[key].v + 1, self.now()))

    def commit(self, done: Transaction) -> None:
        self.open.remove(done)
        for row in done.rows:
            self.rows[row.id] = row
            self.ever.add(row.values)

    def roll_back(self, done: Transaction) -> None:
        self.open.remove(done)

    def hi(self) -> int:
        """Below it every stamp that will ever be is there."""
        return min([self.now(), *(each.begun for each in self.open)]) - int(MARGIN * 1_000_000)

    def bound(self) -> Bound:
        held = [row.id for each in self.open for row in each.rows if row.id not in self.rows]
        known = [key for key in self.rows if key < min(held, default=self.next_id)]
        server_time = dt.datetime.fromtimestamp(EPOCH + self.world.loop.time(), dt.UTC)
        return Bound(
            hi=shown(self.hi()),
            proof=Proof.PROVEN,
            server_time=server_time.isoformat(),
            key_to=str(max(known)) if known else None,
        )

    def page(self, wanted: Page) -> list[Row]:
        """The rows that a page's statement would give."""
        order = [rule.name for rule in wanted.order]
        found = [row for row in self.rows.values() if _inside(row, order, wanted)]
        found.sort(key=lambda row: tuple(_value(row, name) for name in order))
        return found[: wanted.limit]


def _value(row: Row, name: str) -> int | str:
    return row.cursor if name == "changed_at" else getattr(row, name)  # type: ignore[no-any-return]


def _parsed(name: str, text: str) -> int | str:
    return text if name == "changed_at" else int(text)


def _inside(row: Row, order: Sequence[str], wanted: Page) -> bool:
    if not order:
        return True
    first, at = order[0], _value(row, order[0])
    if wanted.after:
        here = tuple(_value(row, name) for name in order)
        last = tuple(_parsed(name, text) for name, text in zip(order, wanted.after, strict=True))
        if not here > last:  # type: ignore[operator]
            return False
    elif wanted.start is not None and at < _parsed(first, wanted.start):  # type: ignore[operator]
        return False
    if wanted.below is not None and at >= _parsed(first, wanted.below):  # type: ignore[operator]
        return False
    return wanted.top is None or at <= _parsed(first, wanted.top)  # type: ignore[operator]


def batch_of(rows: Sequence[Row], rules: tuple[Rule, ...]) -> pa.RecordBatch:
    """Rows as the decoder gives them."""
    fields = _schema(rules)
    columns = zip(fields.types, zip(*(row.values for row in rows), strict=True), strict=True)
    arrays = [pa.array(values, type=kind) for kind, values in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)


@cache
def _schema(rules: tuple[Rule, ...]) -> pa.Schema:
    return schema(rules)


@dataclass(eq=False)
class Feed:
    """The source as a process reads it, some rows a chunk."""

    world: World
    source: Source
    chunk: int
    name: str = "shop"

    async def table(self, _: TableName) -> tuple[SourceTable, str]:
        return await self.world.ask("table", lambda: (TABLE, SERVER), _READ)

    async def bound(self, _: ReadPlan) -> Bound:
        return await self.world.ask("bound", self.source.bound, _READ)

    async def renewed(self, _: ReadPlan) -> Bound | None:
        return await self.world.ask("renewed", self.source.bound, _READ)

    async def explained(
        self, _: ReadPlan, __: Position | None, ___: Bound
    ) -> tuple[Explained, ...]:
        return ()

    async def rows(
        self, plan: ReadPlan, position: Position | None, bound: Bound, *, limit: int | None
    ) -> AsyncGenerator[pa.RecordBatch | ChunkEnd, None]:
        walk, size = Walk(plan, position, bound), limit or self.chunk
        while walk.leg is not None:
            if walk.passed and walk.stop is None:
                walk.stop = shown(self.source.now() + int(_READ_ON * 1_000_000))
            page = walk.page(size)
            if page is not None:
                for piece in await self._pieces(page):
                    last = piece[-1]
                    walk.took(len(piece), [str(last.id), str(last.v), last.cursor], {})
                    yield batch_of(piece, plan.rules)
            yield walk.end(size)

    async def _pieces(self, page: Page) -> list[list[Row]]:
        rows = await self.world.ask("page", lambda: self.source.page(page), _READ)
        cut = self.world.rng.randrange(len(rows) + 1)
        return [piece for piece in (rows[:cut], rows[cut:]) if piece]
