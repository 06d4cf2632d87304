"""What the ledger says of a chain, and what makes a table stop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from s3rs_async.commit import (
    LedgerHead,
    Loaded,
    Pending,
    RowCounts,
    Ruling,
    State,
    Verdict,
    check_going,
    diverged,
    judge,
    judge_chain,
    settled,
    stopped,
    way_out,
)
from s3rs_async.commit.ledger import unsettled
from s3rs_async.errors import DataError
from s3rs_async.model import Bound, Manifest, Mode, Proof, SourceId, TableName, TargetId

TABLE = TableName("shop", "orders")
HEAD = LedgerHead("shop", "src:shop.orders", 1, 1, "A", "null", 7)
NEWBORN = replace(HEAD, seq=0, batch="", rows_total=0)
FIRST = Manifest(
    pipeline="shop",
    source=SourceId("src", "uuid", TABLE),
    target=TargetId("dw", "db", TABLE),
    columns=(),
    merge_key=("id",),
    cursor=None,
    generation=1,
    epoch=1,
    seq=1,
    batch="A",
    parent="",
    before=None,
    after=None,
    bound=Bound(None, Proof.NONE, "2026-11-22T10:00:00"),
    mode=Mode.MERGE,
    moves_watermark=True,
    parts=(),
    session="run",
    extracted_at="2026-11-22T10:00:01",
)


def after(manifest: Manifest, batch: str, **more: object) -> Manifest:
    changed = {"seq": manifest.seq + 1, "batch": batch, "parent": manifest.batch, **more}
    return replace(manifest, **changed)


SECOND = after(FIRST, "B")
THIRD = after(SECOND, "C")
CHAIN = (FIRST, SECOND, THIRD)
REBORN = after(THIRD, "R", generation=2, mode=Mode.REPLACE)
FOLLOWS = after(REBORN, "S", generation=2)


def digest(manifest: Manifest) -> str:
    return f"sha of {manifest.batch}"


def rule(head: LedgerHead, known: dict[str, str] | str, *chain: Manifest) -> Ruling:
    recorded = {b: f"sha of {b}" for b in known} if isinstance(known, str) else known
    return judge_chain(head, recorded, [(each, digest(each)) for each in chain])


def at(manifest: Manifest) -> LedgerHead:
    return replace(HEAD, generation=manifest.generation, seq=manifest.seq, batch=manifest.batch)


@pytest.mark.parametrize(
    ("head", "known", "chain", "ruling"),
    [
        (NEWBORN, "", CHAIN, Ruling(Verdict.LOAD, 0)),
        (at(FIRST), "A", CHAIN, Ruling(Verdict.LOAD, 1)),
        (at(SECOND), "AB", CHAIN, Ruling(Verdict.LOAD, 2)),
        (at(THIRD), "ABC", CHAIN, Ruling(Verdict.ALREADY_LOADED, 3)),
        (at(THIRD), "ABC", CHAIN[:2], Ruling(Verdict.ALREADY_LOADED, 2)),
        (at(FIRST), "A", CHAIN[1:], Ruling(Verdict.LOAD, 0)),
        (NEWBORN, "", CHAIN[1:], Ruling(Verdict.DIVERGED, 0)),
        (at(THIRD), "AC", CHAIN, Ruling(Verdict.DIVERGED, 1)),
        (NEWBORN, "", (FIRST, THIRD), Ruling(Verdict.DIVERGED, 1)),
        (NEWBORN, "B", CHAIN, Ruling(Verdict.DIVERGED, 1)),
        (at(THIRD), "", (REBORN, FOLLOWS), Ruling(Verdict.LOAD, 0)),
        (at(FIRST), "A", (REBORN, FOLLOWS), Ruling(Verdict.LOAD, 0)),
        (at(REBORN), "R", (REBORN, FOLLOWS), Ruling(Verdict.LOAD, 1)),
        (at(FIRST), "A", (*CHAIN, REBORN, FOLLOWS), Ruling(Verdict.LOAD, 1)),
        (at(FIRST), "A", (THIRD, REBORN, FOLLOWS), Ruling(Verdict.DIVERGED, 0)),
        (at(REBORN), "R", CHAIN, Ruling(Verdict.DIVERGED, 0)),
        (at(FIRST), {"A": "other"}, CHAIN, Ruling(Verdict.TAMPERED, 0)),
        (at(SECOND), {"A": digest(FIRST), "B": "other"}, CHAIN, Ruling(Verdict.TAMPERED, 1)),
        (replace(NEWBORN, pipeline="other"), "", CHAIN, Ruling(Verdict.FOREIGN, 0)),
        (replace(HEAD, source="other"), "A", CHAIN, Ruling(Verdict.FOREIGN, 0)),
    ],
)
def test_what_the_ledger_says_of_a_chain(
    head: LedgerHead, known: dict[str, str] | str, chain: tuple[Manifest, ...], ruling: Ruling
) -> None:
    assert rule(head, known, *chain) == ruling


def test_a_head_behind_what_it_says_is_in_is_not_believed() -> None:
    """Else a pass would find the batch loaded, and pending, for ever."""
    assert rule(NEWBORN, "A", FIRST) == Ruling(Verdict.DIVERGED, 0)
    assert rule(at(FIRST), "AB", FIRST, SECOND) == Ruling(Verdict.DIVERGED, 1)


@pytest.mark.parametrize("manifest", CHAIN)
@pytest.mark.parametrize("head", [NEWBORN, *map(at, CHAIN)])
def test_a_chain_of_one_is_judged_like_its_batch(head: LedgerHead, manifest: Manifest) -> None:
    known = [each for each in CHAIN if each.seq <= head.seq]
    recorded = {each.batch: digest(each) for each in known}
    ruled = rule(head, recorded, manifest).verdict
    assert ruled is judge(head, recorded.get(manifest.batch), manifest, digest(manifest))


PENDING = tuple(
    Pending(each.seq, each.batch, each.parent, f"data/{each.batch}", digest(each), 7, "run")
    for each in CHAIN
)
STATE = State(
    "shop",
    "src",
    "shop.orders",
    "dw.shop.orders",
    next_seq=4,
    last_batch="C",
    pending=PENDING,
    rows=RowCounts(21, 0),
)


@pytest.mark.parametrize(("before", "then"), [*pairwise((NEWBORN, *map(at, CHAIN)))])
def test_settling_takes_all_up_to_the_head_and_no_more(
    before: LedgerHead, then: LedgerHead
) -> None:
    assert diverged(STATE, then) is None
    found = settled(settled(STATE, before, "earlier"), then, "now")
    assert [each.seq for each in found.pending] == list(range(then.seq + 1, 4))
    assert found.loaded == Loaded(then.batch, then.seq, 1, "now")
    assert found.rows == RowCounts(21, then.rows_total)
    assert not unsettled(found, then)
    assert settled(found, then, "later") is found


@pytest.mark.parametrize(
    "head",
    [replace(at(SECOND), batch="Z"), replace(HEAD, generation=2, seq=9, batch="Z"), at(REBORN)],
)
def test_a_head_that_is_not_pending_shows_another_state(head: LedgerHead) -> None:
    told = diverged(STATE, head)
    assert told is not None
    assert told.startswith(f"diverged: the ledger ends at {head.generation}/{head.seq}")
    with pytest.raises(DataError, match="do not belong together") as caught:
        settled(STATE, head, "now")
    assert caught.value.context["reason"] == told
    assert "s3rs watermark reconcile -p shop -t shop.orders" in caught.value.hint


@pytest.mark.parametrize("head", [NEWBORN, replace(at(SECOND), generation=0)])
def test_an_older_head_says_nothing(head: LedgerHead) -> None:
    assert diverged(STATE, head) is None
    assert settled(STATE, head, "now") is STATE
    assert diverged(replace(STATE, pending=()), replace(head, batch="Z")) is None


def test_the_first_reason_to_stop_stays_and_ends_all_work() -> None:
    halted = stopped(STATE, "counts: batch B")
    assert halted == replace(STATE, stop="counts: batch B")
    assert stopped(halted, "diverged: later") is halted
    with pytest.raises(DataError) as caught:
        check_going(halted)
    assert caught.value.context["reason"] == "counts: batch B"
    assert "reconcile" in caught.value.hint


def test_the_way_out_names_the_table_as_the_command_line_takes_it() -> None:
    assert "reconcile -p shop -t shop.orders " in way_out("shop", "shop.orders")
    assert "reconcile -t shop.orders " in way_out("adhoc.mysql.dw", "shop.orders")
