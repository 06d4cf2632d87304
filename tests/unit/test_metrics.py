"""What Prometheus is told is true when it asks, well formed, and bounded."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_families,
)
from prometheus_client.parser import text_string_to_metric_families

from s3rs_async import __version__, clock
from s3rs_async.errors import (
    ConfigError,
    ConflictError,
    DataError,
    FencedError,
    SchemaDriftError,
    UnavailableError,
    UnknownOutcomeError,
)
from s3rs_async.metrics import FAMILIES, Metrics
from s3rs_async.model import Change
from s3rs_async.report import Meter, Outcome, TableReport

OPEN = "application/openmetrics-text; version=1.0.0"
ORDERS = {"pipeline": "shop", "table": "shop.orders"}


def report(
    error: BaseException | None = None,
    *,
    table: str = "shop.orders",
    outcome: Outcome | None = None,
    meter: Meter | None = None,
    seconds: float = 0.2,
    rows: int | None = 7,
) -> TableReport:
    ended = outcome or (Outcome.FAILED if error else Outcome.SUCCESS)
    known = None if error else rows
    return TableReport(table, "dw.orders", ended, meter or Meter(), seconds, "T", error, known)


def told(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The one figure of a name and its labels, as a scrape would read it."""
    text = metrics.expose()[0].decode()
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) < 2
    return found[0] if found else None


def everything() -> Metrics:
    """Metrics that have been told all there is to tell."""
    metrics = Metrics()
    metrics.watch("shop", "shop.orders")
    metrics.passed("shop", report(DataError("x", where="redshift")))
    changed = {(change, "born"): 2 for change in Change}
    meter = Meter(seconds={"extract": 1.5}, changed=changed)
    metrics.passed("shop", report(meter=meter))
    metrics.lag("shop", "shop.orders", 3)
    metrics.pending("shop", "shop.orders", 2)
    metrics.conflict("shop", "shop.orders")
    metrics.bound_lag("mysql1", 0.5)
    metrics.source_up("mysql1", up=True)
    metrics.tunnel_up("bastion1", up=False)
    metrics.running(1)
    metrics.waiting(2)
    return metrics


def test_every_name_in_the_list_can_be_told_and_no_other_is() -> None:
    text = everything().expose()[0].decode()
    names = {
        sample.name
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("s3rs_")
    }
    durations = {f"s3rs_pass_seconds_{part}" for part in ("bucket", "count", "sum")}

    assert names == {family.name for family in FAMILIES} | durations


def test_names_keep_prometheus_rules() -> None:
    text = everything().expose()[0].decode()
    families = list(text_string_to_metric_families(text))

    assert families
    for family in families:
        counted = any(sample.name.endswith("_total") for sample in family.samples)
        assert counted == (family.type == "counter"), family.name
        assert family.documentation.endswith("."), family.name
        assert re.fullmatch(r"(s3rs|process)_[a-z]+(_[a-z]+)*", family.name), family.name
        assert not re.search(
            r"(milli|micro|minute|hour|day|kilo|mega|percent|_ms\b|_mb\b)", family.name
        ), family.name


def test_both_texts_are_read_by_their_parsers_and_say_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = everything()
    monkeypatch.setattr(clock, "seconds", lambda: 100.0)
    plain, plain_type = metrics.expose("text/plain")
    opened, open_type = metrics.expose(OPEN)

    def ours(families: object) -> set[tuple[object, ...]]:
        return {
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
            if sample.name.startswith("s3rs_")
        }

    assert plain_type.startswith("text/plain; version=0.0.4")
    assert open_type.startswith("application/openmetrics-text; version=1.0.0")
    assert opened.endswith(b"# EOF\n")
    assert ours(text_string_to_metric_families(plain.decode())) == ours(
        open_families(opened.decode())
    )


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/openmetrics-text; version=abc;;"])
def test_any_accept_header_gets_a_text(accept: str | None) -> None:
    assert Metrics().expose(accept)[0]


def test_a_failure_and_its_recovery_are_told() -> None:
    metrics = Metrics()
    metrics.watch("shop", "shop.orders")
    metrics.passed("shop", report())
    metrics.passed("shop", report(UnavailableError("gone", where="mysql")))
    metrics.passed("shop", report(UnavailableError("gone", where="mysql")))

    failed = {**ORDERS, "kind": "UnavailableError", "where": "mysql"}
    assert told(metrics, "s3rs_errors_total", **failed) == 2
    assert told(metrics, "s3rs_passes_total", **ORDERS, outcome="failed") == 2
    assert told(metrics, "s3rs_table_failing", **ORDERS) == 1
    assert told(metrics, "s3rs_consecutive_failures", **ORDERS) == 2
    assert told(metrics, "s3rs_recoveries_total", **ORDERS) == 0

    metrics.passed("shop", report())
    metrics.passed("shop", report())

    assert told(metrics, "s3rs_table_failing", **ORDERS) == 0
    assert told(metrics, "s3rs_consecutive_failures", **ORDERS) == 0
    assert told(metrics, "s3rs_recoveries_total", **ORDERS) == 1
    assert told(metrics, "s3rs_passes_total", **ORDERS, outcome="success") == 3
    assert told(metrics, "s3rs_errors_total", **failed) == 2


def test_an_interrupted_pass_is_neither_failure_nor_recovery() -> None:
    metrics = Metrics()
    metrics.passed("shop", report(DataError("x")))
    metrics.passed("shop", report(outcome=Outcome.INTERRUPTED))

    assert told(metrics, "s3rs_table_failing", **ORDERS) == 1
    assert told(metrics, "s3rs_consecutive_failures", **ORDERS) == 1
    assert told(metrics, "s3rs_recoveries_total", **ORDERS) is None
    assert told(metrics, "s3rs_passes_total", **ORDERS, outcome="interrupted") == 1


@pytest.mark.parametrize(
    ("error", "kind", "where"),
    [
        (ConfigError("x", where="config"), "ConfigError", "config"),
        (DataError("x", where="redshift"), "DataError", "redshift"),
        (SchemaDriftError("x", where="mysql"), "DataError", "mysql"),
        (UnavailableError("x", where="tunnel"), "UnavailableError", "tunnel"),
        (UnknownOutcomeError("x", where="s3"), "UnknownOutcomeError", "s3"),
        (ConflictError("x"), "ConflictError", "other"),
        (FencedError("x", where="10.0.0.7:3306"), "ConflictError", "other"),
        (DataError("x", where=3), "DataError", "other"),
        (ZeroDivisionError("x"), "internal", "other"),
        (ExceptionGroup("x", [ValueError("y")]), "internal", "other"),
    ],
)
def test_an_errors_labels_come_from_fixed_sets(error: BaseException, kind: str, where: str) -> None:
    metrics = Metrics()
    metrics.passed("shop", report(error))

    assert told(metrics, "s3rs_errors_total", **ORDERS, kind=kind, where=where) == 1


def test_no_word_of_an_error_is_told() -> None:
    metrics = Metrics()
    metrics.passed("shop", report(DataError("hunter2 is wrong", where="hunter2", column="hunter2")))

    assert b"hunter2" not in metrics.expose()[0]


def test_work_adds_up_by_table_and_by_pipeline() -> None:
    metrics = Metrics()
    meter = Meter(
        rows_read=10,
        bytes_read=1000,
        rows_loaded=9,
        bytes_stored=100,
        files=2,
        batches=1,
        seconds={"extract": 1.5, "load": 2.0},
        changed={(Change.NULLED, "born"): 2, (Change.NULLED, "died"): 1, (Change.STRIPPED, "a"): 4},
    )
    metrics.passed("shop", report(meter=meter))
    metrics.passed("shop", report(meter=meter))
    metrics.passed("shop", report(table="shop.items", meter=meter))

    by_table = {
        "rows_read": 20,
        "rows_loaded": 18,
        "bytes_stored": 200,
        "values_nulled": 6,
        "values_stripped": 8,
    }
    for name, figure in by_table.items():
        assert told(metrics, f"s3rs_{name}_total", **ORDERS) == figure
    for name, figure in {"bytes_read": 3000, "files": 6, "batches": 3}.items():
        assert told(metrics, f"s3rs_{name}_total", pipeline="shop") == figure
    assert told(metrics, "s3rs_stage_seconds_total", pipeline="shop", stage="load") == 6
    assert told(metrics, "s3rs_target_rows", **ORDERS) == 7


def test_durations_fall_into_their_buckets() -> None:
    metrics = Metrics()
    for seconds in (0.1, 0.2, 45, 9000):
        metrics.passed("shop", report(seconds=seconds))

    def upto(bound: str) -> float | None:
        return told(metrics, "s3rs_pass_seconds_bucket", pipeline="shop", le=bound)

    assert [upto(bound) for bound in ("0.1", "0.25", "60.0", "7200.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert told(metrics, "s3rs_pass_seconds_count", pipeline="shop") == 4
    assert told(metrics, "s3rs_pass_seconds_sum", pipeline="shop") == pytest.approx(9045.3)


async def test_lag_grows_between_passes() -> None:
    metrics = Metrics()
    metrics.lag("shop", "shop.orders", 30)
    assert told(metrics, "s3rs_lag_seconds", **ORDERS) == pytest.approx(30)

    await asyncio.sleep(900)
    assert told(metrics, "s3rs_lag_seconds", **ORDERS) == pytest.approx(930)

    metrics.lag("shop", "shop.orders", 5)
    assert told(metrics, "s3rs_lag_seconds", **ORDERS) == pytest.approx(5)


async def test_the_bounds_lag_stays_what_it_was_when_the_bound_was_fixed() -> None:
    metrics = Metrics()
    metrics.bound_lag("mysql1", 2.5)
    await asyncio.sleep(900)

    assert told(metrics, "s3rs_bound_lag_seconds", source="mysql1") == 2.5


def test_what_is_unknown_is_absent() -> None:
    metrics = everything()
    metrics.lag("shop", "shop.orders", None)
    metrics.pending("shop", "shop.orders", None)
    metrics.bound_lag("mysql1", None)
    metrics.source_up("mysql1", None)
    metrics.tunnel_up("bastion1", None)
    metrics.passed("shop", report(rows=None))
    metrics.lag("shop", "never.told", None)
    text = metrics.expose()[0].decode()

    for name in ("lag_seconds", "pending_batches", "bound_lag_seconds", "source_up", "tunnel_up"):
        assert f"\ns3rs_{name}{{" not in text
    assert told(metrics, "s3rs_target_rows", **ORDERS) is None
    assert "never.told" not in text


def test_the_last_success_is_told_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    monkeypatch.setattr(clock, "utc_now", lambda: now)
    metrics = Metrics()
    metrics.passed("shop", report())
    monkeypatch.setattr(clock, "utc_now", lambda: now + dt.timedelta(hours=1))
    metrics.passed("shop", report(DataError("x")))

    at = told(metrics, "s3rs_last_success_timestamp_seconds", **ORDERS)
    assert at == now.timestamp()


def test_a_watched_tables_counters_begin_at_nothing() -> None:
    metrics = Metrics()
    metrics.watch("shop", "shop.orders")

    for outcome in ("success", "failed"):
        assert told(metrics, "s3rs_passes_total", **ORDERS, outcome=outcome) == 0
    for name in ("recoveries", "rows_read", "rows_loaded", "bytes_stored"):
        assert told(metrics, f"s3rs_{name}_total", **ORDERS) == 0
    assert told(metrics, "s3rs_table_failing", **ORDERS) is None


def test_watching_again_forgets_nothing() -> None:
    metrics = everything()
    before = told(metrics, "s3rs_passes_total", **ORDERS, outcome="failed")
    metrics.watch("shop", "shop.orders")

    assert told(metrics, "s3rs_passes_total", **ORDERS, outcome="failed") == before == 1


def test_a_table_that_is_forgotten_is_told_no_more() -> None:
    metrics = everything()
    metrics.passed("other", report())
    metrics.passed("shop", report(table="shop.items"))
    metrics.forget("shop", "shop.orders")

    text = metrics.expose()[0].decode()
    left = {line for line in text.splitlines() if '"shop.orders"' in line}
    assert left
    assert all('pipeline="other"' in line for line in left)
    assert '"shop.items"' in text


def test_any_name_of_a_table_survives_the_text() -> None:
    name = 'a."b\\c\nd'
    metrics = Metrics()
    metrics.passed("shop", report(table=name))

    assert told(metrics, "s3rs_target_rows", pipeline="shop", table=name) == 7


def test_nothing_is_global() -> None:
    before = set(REGISTRY._names_to_collectors)
    first, second = everything(), Metrics()

    assert set(REGISTRY._names_to_collectors) == before
    assert told(first, "s3rs_tables_running") == 1
    assert told(second, "s3rs_tables_running") is None


def test_the_process_and_its_version_are_told() -> None:
    metrics = Metrics()

    assert told(metrics, "s3rs_build_info", version=__version__) == 1
    assert told(metrics, "process_resident_memory_bytes")
    started = told(metrics, "process_start_time_seconds")
    assert started is not None
    assert 0 <= time.time() - started < 86400


def test_five_hundred_tables_stay_few_thousand_series() -> None:
    metrics = Metrics()
    meter = Meter(seconds=dict.fromkeys(("plan", "extract", "commit", "load", "settle"), 1.0))
    for number in range(500):
        table = f"shop.t{number}"
        metrics.watch("shop", table)
        metrics.passed("shop", report(table=table, meter=meter))
        metrics.lag("shop", table, 1)
        metrics.pending("shop", table, 0)
    lines = metrics.expose()[0].decode().splitlines()
    series = [line for line in lines if line.startswith("s3rs_")]

    assert len([line for line in series if '"shop.t7"' in line]) == 12
    assert len(series) < 6050


def test_an_idle_pass_costs_next_to_nothing() -> None:
    metrics, idle = Metrics(), report(meter=Meter(seconds={"plan": 0.01}))
    best = 1.0
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(50):
            metrics.passed("shop", idle)
        best = min(best, (time.perf_counter() - started) / 50)

    assert best < 100e-6
