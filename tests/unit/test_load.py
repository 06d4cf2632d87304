"""What is handed to a load, and what becomes of a batch that may not enter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async import load as loads
from s3rs_async.commit import LedgerHead, Pending, RowCounts, State, settled
from s3rs_async.config import TargetConfig
from s3rs_async.errors import ConflictError, DataError, UnavailableError
from s3rs_async.load import Loading
from s3rs_async.model import (
    Bound,
    Manifest,
    Mode,
    Part,
    Proof,
    SourceId,
    TableName,
    TableSpec,
    TargetId,
)
from s3rs_async.redshift import loader
from s3rs_async.redshift.enter import StopError
from s3rs_async.report import Meter
from s3rs_async.s3 import manifest as manifests
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.object import StaleError, Stored
from s3rs_async.s3.register import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s3rs_async.redshift.enter import Order

TABLE = TableName("shop", "orders")
LAYOUT = Layout("s3rs", "shop", "src", TABLE)
TARGET = TargetId("dw", "db", TABLE)
CONFIG = {
    "host": "dw",
    "database": "db",
    "user": "etl",
    "password": "x",
    "iam_role": "default",
    "ghost_timeout": 7,
    "load_timeout": 9,
}
BIRTH = State("shop", "src", "shop.orders", "dw.shop.orders")


def manifest(
    seq: int, *, size: int = 10, generation: int = 1, target: TargetId = TARGET
) -> Manifest:
    batch = f"{seq:026d}"
    return Manifest(
        pipeline="shop",
        source=SourceId("src", "uuid", TABLE),
        target=target,
        columns=(),
        merge_key=("id",),
        cursor=None,
        generation=generation,
        epoch=1,
        seq=seq,
        batch=batch,
        parent=f"{seq - 1:026d}" if seq > 1 else "",
        before=None,
        after=None,
        bound=Bound(None, Proof.NONE, "2026-11-22T10:00:00"),
        mode=Mode.MERGE,
        moves_watermark=True,
        parts=(Part(f"s3rs/{seq}", size, '"e"', 3),),
        session="run",
        extracted_at="2026-11-22T10:00:01",
    )


def head_at(each: Manifest) -> LedgerHead:
    return LedgerHead("shop", "src:shop.orders", each.generation, each.seq, each.batch, "null", 9)


class Shelf:
    """A bucket; `busy` is how many of its objects were being read at once."""

    bucket = "stage"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.tags = 0
        self.etags: dict[str, str] = {}
        self.reading = self.busy = 0

    async def get(self, key: str) -> Stored | None:
        self.reading += 1
        self.busy = max(self.busy, self.reading)
        await asyncio.sleep(0.1)
        self.reading -= 1
        body = self.objects.get(key)
        return None if body is None else Stored(body, self.etags[key])

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        if self.etags.get(key) != etag:
            raise StaleError("412")
        self.tags += 1
        self.objects[key], self.etags[key] = body, str(self.tags)
        return self.etags[key]


@dataclass
class Desk:
    """One table's loads over a shelf; `answers` are what the target says, one for each load."""

    shelf: Shelf = field(default_factory=Shelf)
    meter: Meter = field(default_factory=Meter)
    answers: list[Any] = field(default_factory=list)
    asked: list[tuple[Sequence[Order], loader.LoadTerms]] = field(default_factory=list)
    still: loader.Still = loader.all_of

    def __post_init__(self) -> None:
        self.register = Register(self.shelf, LAYOUT, BIRTH)
        target = SimpleNamespace(config=TargetConfig.model_validate(CONFIG))
        line: Any = SimpleNamespace(
            stage=self.shelf, target=target, run="run", claim=SimpleNamespace(writer="w")
        )
        self.loading = Loading(line, TableSpec(TABLE), self.meter)

    async def wait_for(self, *chain: Manifest) -> None:
        """Let the state name the chain as pending."""
        sealed = [(each, await manifests.seal(self.shelf, each, LAYOUT)) for each in chain]
        pending = tuple(
            Pending(each.seq, each.batch, each.parent, found.key, found.sha256, 3, "run")
            for each, found in sealed
        )
        await self.change(
            lambda state: replace(
                state,
                pending=pending,
                last_batch=chain[-1].batch,
                next_seq=chain[-1].seq + 1,
                rows=RowCounts(3 * len(chain), 0),
            )
        )

    async def change(self, change: Callable[[State], State]) -> None:
        await self.register.change(change)

    async def load(
        self, _: Any, orders: Sequence[Order], terms: Any, still: loader.Still
    ) -> LedgerHead:
        self.asked.append((orders, terms))
        self.still = still
        answer = self.answers.pop(0) if self.answers else None
        answer = await answer(orders) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer or head_at(orders[-1].manifest)

    async def load_pending(self) -> LedgerHead:
        base = await self.register.read()
        assert base is not None
        return await self.loading.load_pending(base, self.register)

    async def shelf_is_emptied(self) -> None:
        """Let the state be gone."""
        self.shelf.objects.clear()
        self.shelf.etags.clear()

    async def state(self) -> State:
        now = await self.register.read()
        assert now is not None
        return now.state

    @property
    def sizes(self) -> list[int]:
        """How many batches each load had."""
        return [len(orders) for orders, _ in self.asked]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk()
    monkeypatch.setattr(loader, "load", found.load)
    return found


def chain(count: int, **more: Any) -> list[Manifest]:
    return [manifest(seq, **more) for seq in range(1, count + 1)]


def refused(each: Manifest, word: str = "diverged", head: LedgerHead | None = None) -> StopError:
    return StopError(word, "it may not enter", each, head or head_at(manifest(9)), parent="P")


async def test_a_chain_is_handed_over_whole_and_in_order(desk: Desk) -> None:
    waiting = chain(3)
    await desk.wait_for(*waiting)
    assert (await desk.load_pending()).seq == 3
    ((orders, terms),) = desk.asked
    assert [order.manifest for order in orders] == waiting
    assert [order.copy_manifest_url for order in orders] == [
        f"s3://stage/{LAYOUT.data}g000001/e00000001/s{n:010d}-{n:026d}/copy.manifest"
        for n in (1, 2, 3)
    ]
    assert (terms.ghost_timeout, terms.load_timeout) == (7.0, 9.0)
    assert desk.meter.rows_loaded == 9


async def test_manifests_are_read_side_by_side_but_not_all(desk: Desk) -> None:
    await desk.wait_for(*chain(20))
    desk.shelf.busy = 0
    await desk.load_pending()
    assert desk.shelf.busy == loads._READERS


async def test_a_transaction_takes_so_many_batches(desk: Desk) -> None:
    await desk.wait_for(*chain(loads.MAX_BATCHES + 3))
    assert (await desk.load_pending()).seq == loads.MAX_BATCHES


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ((1, 1, 1), 3),
        ((loads.MAX_BYTES - 1, 1, 1), 2),
        ((loads.MAX_BYTES, 1), 1),
        ((loads.MAX_BYTES * 4, 1), 1),
    ],
)
async def test_a_transaction_takes_so_many_bytes_but_one_batch_always(
    desk: Desk, sizes: tuple[int, ...], taken: int
) -> None:
    await desk.wait_for(*[manifest(n, size=size) for n, size in enumerate(sizes, 1)])
    await desk.load_pending()
    assert desk.sizes == [taken]


async def test_batches_of_another_target_are_loaded_apart(desk: Desk) -> None:
    other = replace(TARGET, database="other")
    await desk.wait_for(manifest(1), manifest(2, target=other), manifest(3))
    await desk.load_pending()
    assert desk.sizes == [1]


async def test_a_batch_of_another_generation_is_refused(desk: Desk) -> None:
    await desk.wait_for(manifest(1, generation=2))
    with pytest.raises(DataError, match="another generation"):
        await desk.load_pending()


async def test_what_comes_before_a_manifest_that_is_gone_is_loaded(desk: Desk) -> None:
    await desk.wait_for(*chain(3))
    gone = (await desk.state()).pending
    del desk.shelf.objects[gone[2].manifest]
    assert (await desk.load_pending()).seq == 2
    del desk.shelf.objects[gone[0].manifest]
    with pytest.raises(DataError, match="gone"):
        await desk.load_pending()


async def test_rows_are_counted_up_to_the_ledgers_head(desk: Desk) -> None:
    await desk.wait_for(*chain(3))
    desk.answers = [head_at(manifest(1)), head_at(manifest(8))]
    await desk.load_pending()
    assert desk.meter.rows_loaded == 3
    await desk.load_pending()
    assert desk.meter.rows_loaded == 3 + 9


@pytest.mark.parametrize("word", ["diverged", "tampered", "counts"])
async def test_a_batch_that_may_not_enter_stops_its_table(desk: Desk, word: str) -> None:
    await desk.wait_for(*chain(2))
    before = await desk.state()
    desk.answers = [refused(manifest(1), word)]
    with pytest.raises(StopError) as caught:
        await desk.load_pending()
    assert "s3rs watermark reconcile -p shop -t shop.orders" in caught.value.hint
    assert caught.value.exit_code == 3
    stop = f"{word}: batch {manifest(1).batch}, parent P"
    assert await desk.state() == replace(before, stop=stop)
    with pytest.raises(DataError, match="stopped"):
        await desk.load_pending()
    assert len(desk.asked) == 1


async def test_a_refusal_by_a_state_that_has_changed_is_judged_anew(desk: Desk) -> None:
    await desk.wait_for(*chain(3))

    async def overtaken(_: object) -> StopError:
        await desk.change(lambda state: settled(state, head_at(manifest(1)), "now"))
        return refused(manifest(1))

    desk.answers = [overtaken]
    assert (await desk.load_pending()).seq == 3
    assert desk.sizes == [3, 2]
    assert (await desk.state()).stop is None


async def test_nothing_is_left_to_judge_where_another_has_done_all(desk: Desk) -> None:
    await desk.wait_for(*chain(2))

    async def overtaken(_: object) -> StopError:
        await desk.change(lambda state: settled(state, head_at(manifest(2)), "now"))
        return refused(manifest(1), head=head_at(manifest(2)))

    desk.answers = [overtaken]
    assert await desk.load_pending() == head_at(manifest(2))


async def test_a_state_that_changes_as_it_is_stopped_is_judged_anew(desk: Desk) -> None:
    await desk.wait_for(*chain(2))
    swap = desk.register.swap

    async def beaten(base: Any, change: Any) -> Any:
        desk.register.swap = swap  # type: ignore[method-assign]
        await desk.change(lambda state: replace(state, epoch=state.epoch + 1))
        return await swap(base, change)

    desk.register.swap = beaten  # type: ignore[method-assign]
    desk.answers = [refused(manifest(1))]
    assert (await desk.load_pending()).seq == 2
    assert (await desk.state()).stop is None


async def test_judging_ends_some_time(desk: Desk) -> None:
    await desk.wait_for(*chain(2))

    async def changed(_: object) -> StopError:
        await desk.change(lambda state: replace(state, epoch=state.epoch + 1))
        return refused(manifest(1))

    desk.answers = [changed] * 99
    with pytest.raises(ConflictError, match="faster"):
        await desk.load_pending()
    assert len(desk.asked) == loads._JUDGEMENTS


async def test_a_state_that_vanishes_is_not_made_anew(desk: Desk) -> None:
    await desk.wait_for(*chain(2))

    async def vanish(_: object) -> StopError:
        del desk.shelf.objects[LAYOUT.state]
        return refused(manifest(1))

    desk.answers = [vanish]
    with pytest.raises(DataError, match="vanished"):
        await desk.load_pending()
    assert LAYOUT.state not in desk.shelf.objects


@pytest.mark.parametrize("error", [UnavailableError("later"), DataError("refused the data")])
async def test_what_the_target_refuses_for_another_reason_stops_nothing(
    desk: Desk, error: Exception
) -> None:
    await desk.wait_for(*chain(2))
    before = await desk.state()
    desk.answers = [error]
    with pytest.raises(type(error)):
        await desk.load_pending()
    assert await desk.state() == before


async def test_settling_takes_the_ledgers_word(desk: Desk) -> None:
    await desk.wait_for(*chain(2))
    settled = await desk.loading.settle(desk.register, head_at(manifest(1)))
    assert [each.seq for each in settled.state.pending] == [2]
    assert settled.state.rows == RowCounts(6, 9)
    assert await desk.state() == settled.state


async def test_settling_stops_a_table_that_the_ledger_does_not_know(desk: Desk) -> None:
    await desk.wait_for(*chain(2))
    stranger = replace(head_at(manifest(5)), batch="Z")
    for _ in range(2):
        with pytest.raises(DataError, match="stopped"):
            await desk.loading.settle(desk.register, stranger)
    now = await desk.state()
    assert str(now.stop).startswith("diverged: the ledger ends at 1/5 Z")
    assert len(now.pending) == 2


async def test_a_stopped_table_is_not_settled(desk: Desk) -> None:
    await desk.wait_for(*chain(2))
    await desk.change(lambda state: replace(state, stop="counts: batch"))
    with pytest.raises(DataError, match="stopped"):
        await desk.loading.settle(desk.register, head_at(manifest(1)))
    assert len((await desk.state()).pending) == 2


async def test_what_was_let_go_while_it_waited_for_the_lock_does_not_enter(desk: Desk) -> None:
    first, second, third = chain(3)
    await desk.wait_for(first, second, third)

    async def under_lock(orders: Sequence[Order]) -> LedgerHead:
        assert await desk.still(orders) == list(orders)
        await desk.change(
            lambda state: replace(
                state, pending=state.pending[:2], next_seq=3, last_batch=second.batch
            )
        )
        assert await desk.still(orders) == list(orders[:2])
        await desk.change(lambda state: replace(state, pending=state.pending[1:]))
        assert await desk.still(orders) == []  # the second cannot go before the first
        assert await desk.still(orders[1:]) == [orders[1]]
        await desk.shelf_is_emptied()
        assert await desk.still(orders) == []
        return head_at(second)

    desk.answers = [under_lock]
    assert (await desk.load_pending()).seq == 2


async def test_an_overtaken_load_is_judged_anew_by_what_waits_now(desk: Desk) -> None:
    old, new = manifest(1), manifest(2)
    await desk.wait_for(old)

    async def overtaken(orders: Sequence[Order]) -> LedgerHead:
        await desk.wait_for(new)
        raise loader.OvertakenError(orders[0].manifest, head_at(old))

    desk.answers = [overtaken]
    assert (await desk.load_pending()).seq == 2
    assert [[order.manifest.seq for order in orders] for orders, _ in desk.asked] == [[1], [2]]
    assert desk.meter.rows_loaded == 3


async def test_an_overtaken_load_with_nothing_left_ends_where_the_ledger_does(desk: Desk) -> None:
    await desk.wait_for(manifest(2))

    async def overtaken(orders: Sequence[Order]) -> LedgerHead:
        await desk.change(lambda state: replace(state, pending=()))
        raise loader.OvertakenError(orders[0].manifest, head_at(manifest(1)))

    desk.answers = [overtaken]
    assert await desk.load_pending() == head_at(manifest(1))
    assert desk.meter.rows_loaded == 0
    assert (await desk.state()).stop is None


async def test_an_overtaken_load_of_a_state_that_vanished_makes_none_anew(desk: Desk) -> None:
    await desk.wait_for(manifest(1))

    async def overtaken(orders: Sequence[Order]) -> LedgerHead:
        await desk.shelf_is_emptied()
        raise loader.OvertakenError(orders[0].manifest, head_at(manifest(1)))

    desk.answers = [overtaken]
    with pytest.raises(DataError, match="vanished"):
        await desk.load_pending()
