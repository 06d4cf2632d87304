from __future__ import annotations

from dataclasses import replace

import pytest

from s3rs_async.commit import (
    Claim,
    LedgerHead,
    Loaded,
    Pending,
    RowCounts,
    State,
    Step,
    Verdict,
    check_feeder,
    claimed,
    committed,
    idled,
    is_committed,
    is_long_idle,
    judge,
    moves_on,
    next_step,
    released,
    settled,
)
from s3rs_async.errors import ConflictError, DataError, FencedError
from s3rs_async.model import (
    Bound,
    Manifest,
    Mode,
    Part,
    Position,
    Proof,
    SourceId,
    TableName,
    TargetId,
)

ME = Claim("w1", "host", "boot", 7, "99")
OTHER = Claim("w2", "host", "boot", 8, "99")
STATE = State("shop", "src", "shop.orders", "dw.shop.orders", epoch=1, claim=ME)
MANIFEST = Manifest(
    pipeline="shop",
    source=SourceId("src", "uuid", TableName("shop", "orders")),
    target=TargetId("dw", "db", TableName("shop", "orders")),
    columns=(),
    merge_key=("id",),
    cursor="updated_at",
    generation=1,
    epoch=1,
    seq=1,
    batch="A",
    parent="",
    before=None,
    after=Position("2026-11-22"),
    bound=Bound("2026-11-22", Proof.PROVEN, "2026-11-22T10:00:00"),
    mode=Mode.MERGE,
    moves_watermark=True,
    parts=(Part("k", 10, "e", 3), Part("l", 10, "f", 4)),
    session="run",
    extracted_at="2026-11-22T10:00:01",
)
AFTER = committed(STATE, MANIFEST, key="data/A", sha256="5a")
HEAD = LedgerHead("shop", "src:shop.orders", 1, 1, "A", "null", 7)
SECOND = replace(
    MANIFEST, seq=2, batch="B", parent="A", before=MANIFEST.after, after=Position("2026-11-23")
)
BOTH = committed(AFTER, SECOND, key="data/B", sha256="5b")


def test_a_commit_names_the_batch_and_moves_everything_at_once() -> None:
    assert (
        replace(
            STATE,
            last_batch="A",
            next_seq=2,
            position=Position("2026-11-22"),
            last_mysql_data_timestamp="2026-11-22",
            last_mysql_extraction_time="2026-11-22T10:00:00",
            pending=(Pending(1, "A", "", "data/A", "5a", 7, "run"),),
            rows=RowCounts(7, 0),
        )
        == AFTER
    )


def test_a_commit_ends_a_due_replace_and_an_old_failure() -> None:
    due = replace(STATE, replace_pending=True, last_failure="disk full")
    after = committed(due, replace(MANIFEST, mode=Mode.REPLACE), key="k", sha256="s")
    assert (after.replace_pending, after.last_failure) == (False, None)


def test_a_batch_that_moves_nothing_leaves_the_position() -> None:
    still = replace(MANIFEST, moves_watermark=False, after=None)
    after = committed(STATE, still, key="k", sha256="s")
    assert (after.position, after.last_mysql_data_timestamp) == (None, None)
    assert after.last_batch == "A"


def test_keys_that_are_gone_are_no_rows_that_were_extracted() -> None:
    gone = replace(MANIFEST, mode=Mode.DELETE, moves_watermark=False, after=None)
    after = committed(STATE, gone, key="k", sha256="s")
    assert (after.rows.extracted, after.pending[-1].rows) == (0, MANIFEST.rows)


def test_a_batch_that_is_in_already_is_committed_whoever_built_on_it() -> None:
    assert committed(AFTER, MANIFEST, key="k", sha256="s") is AFTER
    assert committed(BOTH, MANIFEST, key="k", sha256="s") is BOTH
    assert [is_committed(BOTH, batch) for batch in "ABC"] == [True, True, False]
    loaded = settled(AFTER, HEAD, "now")
    assert is_committed(loaded, "A")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (replace(STATE, last_batch="X"), "moved on"),
        (replace(STATE, next_seq=2), "moved on"),
        (replace(STATE, generation=2), "moved on"),
        (replace(STATE, position=Position("2026-11-01")), "moved on"),
        (replace(STATE, replace_pending=True), "is due"),
    ],
)
def test_a_batch_enters_only_the_state_it_was_made_for(state: State, reason: str) -> None:
    with pytest.raises(ConflictError, match=reason) as failure:
        committed(state, MANIFEST, key="k", sha256="s")
    assert not isinstance(failure.value, FencedError)


@pytest.mark.parametrize("after", [None, Position("2026-11-21"), Position("2026-11-22")])
def test_the_position_never_stays_or_goes_back(after: Position | None) -> None:
    with pytest.raises(ConflictError, match="position"):
        committed(AFTER, replace(SECOND, after=after), key="k", sha256="s")


def test_an_older_epoch_is_fenced_and_told_by_whom() -> None:
    with pytest.raises(FencedError) as failure:
        committed(claimed(STATE, OTHER), MANIFEST, key="k", sha256="s")
    assert failure.value.context["holder"] == "pid 8 on host, writer w2"


def test_a_claim_raises_the_epoch_and_only_its_holder_gives_it_back() -> None:
    taken = claimed(STATE, OTHER)
    assert (taken.epoch, taken.claim) == (2, OTHER)
    assert released(taken, ME) == taken
    assert released(replace(STATE, claim=None), ME) == replace(STATE, claim=None)
    back = released(taken, OTHER)
    assert back is not None
    assert back == replace(taken, claim=replace(OTHER, released=True))


@pytest.mark.parametrize(
    ("state", "head", "step"),
    [
        (STATE, None, Step.EXTRACT),
        (STATE, HEAD, Step.EXTRACT),
        (AFTER, None, Step.LOAD),
        (AFTER, replace(HEAD, batch="", seq=0), Step.LOAD),
        (AFTER, HEAD, Step.SETTLE),
        (AFTER, replace(HEAD, generation=2), Step.SETTLE),
        (BOTH, HEAD, Step.SETTLE),
        (settled(BOTH, HEAD, "now"), HEAD, Step.LOAD),
        (settled(AFTER, HEAD, "now"), HEAD, Step.EXTRACT),
    ],
)
def test_settling_comes_before_loading_and_loading_before_extracting(
    state: State, head: LedgerHead | None, step: Step
) -> None:
    assert next_step(state, head, extract=True, load=True) is step


def test_a_pass_does_only_what_it_may() -> None:
    assert next_step(AFTER, HEAD, extract=True, load=False) is Step.EXTRACT
    assert next_step(AFTER, HEAD, extract=False, load=False) is None
    assert next_step(AFTER, None, extract=False, load=True) is Step.LOAD
    assert next_step(STATE, HEAD, extract=False, load=True) is None


BY_HAND = replace(settled(AFTER, HEAD, "now"), backup_strategy="manual_cli")
WAITING = replace(BOTH, loaded=BY_HAND.loaded, pending=BOTH.pending[1:])


@pytest.mark.parametrize(
    ("state", "head", "step"),
    [
        (BY_HAND, None, Step.REPLAY),
        (BY_HAND, HEAD, Step.REPLAY),
        (replace(BY_HAND, backup_strategy="sequential"), None, None),
        (replace(STATE, backup_strategy="manual_cli"), HEAD, Step.REPLAY),
        (replace(WAITING, backup_strategy="manual_cli"), HEAD, Step.LOAD),
        (replace(WAITING, backup_strategy="manual_cli"), None, Step.REPLAY),
        (replace(AFTER, backup_strategy="manual_cli"), None, Step.LOAD),
        (WAITING, None, Step.LOAD),
    ],
)
def test_what_is_in_s3_is_loaded_once_more_after_what_waits_and_only_by_hand(
    state: State, head: LedgerHead | None, step: Step | None
) -> None:
    assert next_step(state, head, extract=False, load=True, replay=True) is step
    ordinary = next_step(state, head, extract=False, load=True)
    assert ordinary in {None, Step.LOAD}
    assert next_step(state, head, extract=False, load=False, replay=True) is None


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (None, None, False),
        (None, Position("1"), True),
        (Position("1"), None, False),
        (Position(), Position("1"), True),
        (Position("1"), Position(), False),
        (Position("1"), Position(nulls=("1",)), False),
        (Position(nulls=("1",)), Position(nulls=("2",)), True),
        (Position(None, ("5",)), Position(None, ("7",)), True),
        (Position(None, ("5",)), Position(None, ("5",)), False),
        (Position(None, ("5",)), Position(), False),
        (Position(None, ("5",)), Position(nulls=("7",)), False),
        (Position(None, ("5",)), Position("1", ("7",)), False),
        (Position("1", ("5",)), Position(None, ("7",)), False),
        (Position("1"), Position("1"), False),
        (Position("1", ("a",)), Position("1", ("b",)), True),
        (Position("1", ("a",)), Position("1", ("a",), ("n",)), True),
        (Position("9"), Position("10"), True),
        (Position("10"), Position("9"), False),
        (Position("-5"), Position("-3"), True),
        (Position("-3"), Position("-5"), False),
        (Position("9.5"), Position("10.25"), True),
        (Position("1"), Position("1.0"), False),
        (Position("2026-11-21"), Position("2026-11-22"), True),
        (Position("2026-11-22"), Position("2026-11-21"), False),
    ],
)
def test_where_a_position_may_go(
    before: Position | None, after: Position | None, moved: bool
) -> None:
    assert moves_on(before, after) is moved


NEWBORN = replace(HEAD, seq=0, batch="", rows_total=0)
REPLACE = replace(MANIFEST, generation=2, parent="X", mode=Mode.REPLACE)


@pytest.mark.parametrize(
    ("head", "recorded", "manifest", "verdict"),
    [
        (NEWBORN, None, MANIFEST, Verdict.LOAD),
        (HEAD, None, SECOND, Verdict.LOAD),
        (HEAD, None, REPLACE, Verdict.LOAD),
        (HEAD, "5a", MANIFEST, Verdict.ALREADY_LOADED),
        (HEAD, "other", MANIFEST, Verdict.TAMPERED),
        (NEWBORN, None, SECOND, Verdict.DIVERGED),
        (HEAD, None, replace(REPLACE, mode=Mode.MERGE), Verdict.DIVERGED),
        (replace(HEAD, generation=3), None, REPLACE, Verdict.DIVERGED),
        (replace(HEAD, pipeline="other"), "5a", MANIFEST, Verdict.FOREIGN),
        (replace(HEAD, source="other"), None, MANIFEST, Verdict.FOREIGN),
    ],
)
def test_what_the_ledger_says(
    head: LedgerHead, recorded: str | None, manifest: Manifest, verdict: Verdict
) -> None:
    assert judge(head, recorded, manifest, "5a") is verdict


def test_settling_drops_what_the_ledger_holds_and_copies_its_count() -> None:
    after = settled(replace(BOTH, last_failure="x"), HEAD, "now")
    assert [pending.batch for pending in after.pending] == ["B"]
    assert after.loaded == Loaded("A", 1, 1, "now")
    assert after.rows == RowCounts(14, 7)
    assert after.last_failure is None


@pytest.mark.parametrize(
    "head",
    [
        replace(HEAD, generation=2, batch="Z"),
        replace(HEAD, batch="Z"),
        replace(HEAD, batch="Z", seq=9),
    ],
)
def test_a_head_of_another_chain_stops_the_table(head: LedgerHead) -> None:
    with pytest.raises(DataError, match="do not belong together"):
        settled(BOTH, head, "now")


def test_an_old_head_does_not_turn_loaded_back() -> None:
    assert settled(BOTH, replace(HEAD, batch="", seq=0), "now") is BOTH
    assert settled(replace(BOTH, generation=2), HEAD, "now").generation == 2
    done = settled(settled(BOTH, HEAD, "then"), replace(HEAD, seq=2, batch="B"), "now")
    assert settled(done, HEAD, "later") is done


@pytest.mark.parametrize("wrong", ["pipeline", "source", "table", "target"])
def test_a_state_of_another_feeder_is_refused(wrong: str) -> None:
    names = {
        "pipeline": "shop",
        "source": "src",
        "table": "shop.orders",
        "target": "dw.shop.orders",
    }
    check_feeder(STATE, **names)
    with pytest.raises(DataError):
        check_feeder(STATE, **(names | {wrong: "other"}))


def test_a_claim_given_back_tells_what_failed_and_keeps_an_older_word() -> None:
    failed = released(STATE, ME, "disk full")
    assert (failed.last_failure, failed.claim) == ("disk full", replace(ME, released=True))
    assert released(failed, ME).last_failure == "disk full"
    assert released(claimed(STATE, OTHER), ME, "late").last_failure is None


@pytest.mark.parametrize(
    ("before", "after", "long"),
    [
        ("2026-11-20 00:00:00", "2026-11-21 00:00:01", True),
        ("2026-11-20 00:00:00", "2026-11-21 00:00:00", False),
        ("2026-11-21 00:00:00", "2026-11-20 00:00:00", False),
        ("1", "100000000", False),
        ("1710123112345", "1990010112345", False),
        ("2026-00-00 00:00:00", "2026-11-20 00:00:00", False),
        (None, "2026-11-20 00:00:00", False),
        ("2026-11-20 00:00:00", None, False),
    ],
)
def test_only_a_span_of_days_moves_the_position_alone(
    before: str | None, after: str | None, long: bool
) -> None:
    assert is_long_idle(Position(before), Position(after)) is long
    assert not is_long_idle(None, Position(after))
    assert not is_long_idle(Position(before), None)


def test_an_idle_window_moves_the_position_and_nothing_else() -> None:
    after = Position("2026-11-24")
    moved = idled(AFTER, claim=ME, before=AFTER.position, after=after)
    assert moved == replace(AFTER, position=after)
    with pytest.raises(ConflictError, match="moved on"):
        idled(AFTER, claim=ME, before=None, after=after)
    for state in (claimed(AFTER, OTHER), replace(AFTER, claim=None)):
        with pytest.raises(FencedError):
            idled(state, claim=ME, before=AFTER.position, after=after)
