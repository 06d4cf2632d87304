"""Every Prometheus name in one list, and the figures behind the names.

The figures are plain numbers by name and labels, written by the scheduler between awaits and
turned into samples when someone asks. Three things follow that ready-made counters do not give.
What is unknown is absent: a gauge that is put as None loses its series, so nobody draws a line
through a figure that nobody measured. An age is right when it is read: lag is kept as the moment up
to which the target has the table and is subtracted from the clock at the scrape, so it grows
between passes that come once in a quarter of an hour. And a pass costs a few dictionary entries.

Series are paid for by the number of tables. A label's values come from the configuration (pipeline,
table, source, bastion) or from a fixed set here (stage, outcome, kind, where), never from data or
from an error's text. By table goes what a person asks of one table: is it failing, how far behind,
how many rows and bytes. What explains where time and work go in general (stages, bytes read, files,
batches, durations) goes by pipeline, since 500 tables times five stages tell no more and are the
larger half of a scrape. A healthy table has 12 series, so 500 are some 6 000; errors by kind,
conflicts and changed values appear once they happen. `watch` writes a table's counters as 0, so
that the first increase counts as one, and `forget` drops all of a table that is configured no more.

A scrape of 500 tables takes a tenth of a second, so it belongs in a thread; writers stay on the
loop, and what a scrape reads of a family is one copy.

This is no log: what failed and how to mend it is told there, here it is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import HistogramMetricFamily, Metric

from . import __version__, clock
from .errors import (
    ConfigError,
    ConflictError,
    DataError,
    Error,
    UnavailableError,
    UnknownOutcomeError,
)
from .model import Change
from .report import Outcome, TableReport

KINDS: Final = (ConfigError, DataError, UnavailableError, UnknownOutcomeError, ConflictError)
PLACES: Final = ("mysql", "s3", "tunnel", "redshift", "config")
PASS_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)

_OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class Family:
    """One name: what it says, by which labels; `aging` ones are kept as moments."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    aging: bool = False

    @property
    def type(self) -> str:
        """Prometheus' word for it: a counter is told by its name."""
        return "counter" if self.name.endswith("_total") else "gauge"


_TABLE = ("pipeline", "table")
_PIPELINE = ("pipeline",)

FAMILIES: Final = (
    Family("s3rs_build_info", "The version that runs; always 1.", ("version",)),
    Family("s3rs_passes_total", "Passes of a table by how they ended.", (*_TABLE, "outcome")),
    Family("s3rs_errors_total", "Failed passes by error.", (*_TABLE, "kind", "where")),
    Family("s3rs_recoveries_total", "Successes that came after a failure.", _TABLE),
    Family("s3rs_conflicts_total", "Times that another process had the table.", _TABLE),
    Family("s3rs_table_failing", "1 while a table's last pass failed, else 0.", _TABLE),
    Family("s3rs_consecutive_failures", "Failed passes since the last success.", _TABLE),
    Family("s3rs_last_success_timestamp_seconds", "When a pass last succeeded.", _TABLE),
    Family("s3rs_lag_seconds", "Age of the newest moment that the target has.", _TABLE, aging=True),
    Family("s3rs_pending_batches", "Batches in S3 that the target does not have yet.", _TABLE),
    Family("s3rs_target_rows", "Rows of the target after the last pass.", _TABLE),
    Family("s3rs_rows_read_total", "Rows read from MySQL.", _TABLE),
    Family("s3rs_rows_loaded_total", "Rows loaded into the target.", _TABLE),
    Family("s3rs_bytes_stored_total", "Bytes of parquet written to S3.", _TABLE),
    Family("s3rs_values_nulled_total", "Values that became NULL (zero dates, long texts).", _TABLE),
    Family("s3rs_values_truncated_total", "Values that were cut at Redshift's limit.", _TABLE),
    Family("s3rs_values_stripped_total", "Texts that lost their NUL characters.", _TABLE),
    Family("s3rs_bytes_read_total", "Bytes of rows read, as Arrow in memory.", _PIPELINE),
    Family("s3rs_files_total", "Parquet files written to S3.", _PIPELINE),
    Family("s3rs_batches_total", "Batches committed.", _PIPELINE),
    Family("s3rs_stage_seconds_total", "Seconds spent in a stage.", (*_PIPELINE, "stage")),
    Family("s3rs_bound_lag_seconds", "How far the bound was behind MySQL's clock.", ("source",)),
    Family("s3rs_source_up", "1 while a source answers, else 0.", ("source",)),
    Family("s3rs_tunnel_up", "1 while a tunnel stands, else 0.", ("bastion",)),
    Family("s3rs_tables_running", "Tables whose pass is under way."),
    Family("s3rs_tables_waiting", "Tables that are due and wait for their turn."),
)


class Metrics:
    """What the daemon tells Prometheus about its tables, and what it is told."""

    def __init__(self) -> None:
        self._figures = _Figures()
        self._durations = _Durations()
        self._registry = CollectorRegistry()
        self._registry.register(self._figures)
        self._registry.register(self._durations)
        ProcessCollector(registry=self._registry)
        self._figures.put(1, "s3rs_build_info", __version__)

    def watch(self, pipeline: str, table: str) -> None:
        """A table is configured: its counters begin at 0, so that their first increase is seen."""
        add = self._figures.add
        for outcome in (Outcome.SUCCESS, Outcome.FAILED):
            add(0, "s3rs_passes_total", pipeline, table, outcome)
        for name in ("recoveries", "rows_read", "rows_loaded", "bytes_stored"):
            add(0, f"s3rs_{name}_total", pipeline, table)

    def forget(self, pipeline: str, table: str) -> None:
        """A table is no longer configured: nothing of it is told any more."""
        self._figures.drop(pipeline, table)

    def passed(self, pipeline: str, report: TableReport) -> None:
        """A pass of a table ended, well or not."""
        add, table = self._figures.add, report.table
        add(1, "s3rs_passes_total", pipeline, table, report.outcome)
        self._durations.observe(pipeline, report.seconds)
        self._worked(pipeline, report)
        self._figures.put(report.target_rows, "s3rs_target_rows", pipeline, table)
        if report.outcome is Outcome.FAILED:
            add(1, "s3rs_errors_total", pipeline, table, *_kind_and_place(report.error))
            add(1, "s3rs_consecutive_failures", pipeline, table)
            self._figures.put(1, "s3rs_table_failing", pipeline, table)
        elif report.outcome is Outcome.SUCCESS:
            self._succeeded(pipeline, table)

    def _worked(self, pipeline: str, report: TableReport) -> None:
        add, table, meter = self._figures.add, report.table, report.meter
        add(meter.rows_read, "s3rs_rows_read_total", pipeline, table)
        add(meter.rows_loaded, "s3rs_rows_loaded_total", pipeline, table)
        add(meter.bytes_stored, "s3rs_bytes_stored_total", pipeline, table)
        add(meter.bytes_read, "s3rs_bytes_read_total", pipeline)
        add(meter.files, "s3rs_files_total", pipeline)
        add(meter.batches, "s3rs_batches_total", pipeline)
        for stage, spent in meter.seconds.items():
            add(spent, "s3rs_stage_seconds_total", pipeline, stage)
        for change in Change:
            if counts := meter.values(change):
                add(sum(counts.values()), f"s3rs_values_{change}_total", pipeline, table)

    def _succeeded(self, pipeline: str, table: str) -> None:
        figures = self._figures
        recovered = figures.get("s3rs_table_failing", pipeline, table) == 1
        figures.add(recovered, "s3rs_recoveries_total", pipeline, table)
        figures.put(0, "s3rs_table_failing", pipeline, table)
        figures.put(0, "s3rs_consecutive_failures", pipeline, table)
        now = clock.utc_now().timestamp()
        figures.put(now, "s3rs_last_success_timestamp_seconds", pipeline, table)

    def lag(self, pipeline: str, table: str, seconds: float | None) -> None:
        """How old, now, the newest moment is that the target has of the table."""
        self._figures.put(seconds, "s3rs_lag_seconds", pipeline, table)

    def pending(self, pipeline: str, table: str, batches: int | None) -> None:
        """Batches of the table that are committed in S3 and not loaded."""
        self._figures.put(batches, "s3rs_pending_batches", pipeline, table)

    def conflict(self, pipeline: str, table: str) -> None:
        """Another process had the table."""
        self._figures.add(1, "s3rs_conflicts_total", pipeline, table)

    def bound_lag(self, source: str, seconds: float | None) -> None:
        """How far the bound was behind the source's clock when it was fixed."""
        self._figures.put(seconds, "s3rs_bound_lag_seconds", source)

    def source_up(self, source: str, up: bool | None) -> None:  # noqa: FBT001 - the figure itself
        """Whether a source answers; None when nobody has asked it."""
        self._figures.put(up, "s3rs_source_up", source)

    def tunnel_up(self, bastion: str, up: bool | None) -> None:  # noqa: FBT001 - the figure itself
        """Whether the tunnel by a bastion stands; None when none is wanted."""
        self._figures.put(up, "s3rs_tunnel_up", bastion)

    def running(self, count: int) -> None:
        """Tables whose pass is under way."""
        self._figures.put(count, "s3rs_tables_running")

    def waiting(self, count: int) -> None:
        """Tables that are due and wait for their turn."""
        self._figures.put(count, "s3rs_tables_waiting")

    def expose(self, accept: str | None = None) -> tuple[bytes, str]:
        """All of it as text, and the text's type: OpenMetrics for who accepts it."""
        # Of a request's header one bit is used: the library compares its version as it comes.
        wanted = f"{_OPENMETRICS}; version=1.0.0" if _OPENMETRICS in (accept or "") else ""
        encode, content_type = choose_encoder(wanted)
        return encode(self._registry), content_type


def _kind_and_place(error: BaseException | None) -> tuple[str, str]:
    kind = next((kind.__name__ for kind in KINDS if isinstance(error, kind)), "internal")
    place = error.context.get("where") if isinstance(error, Error) else None
    return kind, place if isinstance(place, str) and place in PLACES else "other"


class _Figures:
    """The numbers of every family, by its labels' values; a collector of prometheus_client."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {f.name: {} for f in FAMILIES}
        self._aging = {family.name for family in FAMILIES if family.aging}

    def get(self, name: str, *labels: str) -> float | None:
        return self._values[name].get(labels)

    def add(self, amount: float, name: str, *labels: str) -> None:
        series = self._values[name]
        series[labels] = series.get(labels, 0) + amount

    def put(self, value: float | None, name: str, *labels: str) -> None:
        if value is None:
            self._values[name].pop(labels, None)
        else:
            self._values[name][labels] = clock.seconds() - value if name in self._aging else value

    def drop(self, pipeline: str, table: str) -> None:
        for family in FAMILIES:
            if family.labels[:2] == _TABLE:
                series = self._values[family.name]
                for labels in [known for known in series if known[:2] == (pipeline, table)]:
                    del series[labels]

    def describe(self) -> Iterable[Metric]:
        return [_described(family) for family in FAMILIES]

    def collect(self) -> Iterable[Metric]:
        now = clock.seconds()
        for family in FAMILIES:
            metric = _described(family)
            for values, value in self._values[family.name].copy().items():
                labels = dict(zip(family.labels, values, strict=True))
                metric.add_sample(family.name, labels, now - value if family.aging else value)
            yield metric


def _described(family: Family) -> Metric:
    return Metric(family.name.removesuffix("_total"), family.says, family.type)


class _Durations:
    """How long passes took, by pipeline: one histogram."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, pipeline: str, seconds: float) -> None:
        counts = self._counts.setdefault(pipeline, [0] * (len(PASS_SECONDS) + 1))
        counts[bisect_left(PASS_SECONDS, seconds)] += 1
        self._sums[pipeline] = self._sums.get(pipeline, 0.0) + seconds

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        for pipeline, counts in self._counts.copy().items():
            bounds = (*(str(float(bound)) for bound in PASS_SECONDS), "+Inf")
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric([pipeline], buckets, self._sums.get(pipeline, 0.0))
        yield family

    def _family(self) -> HistogramMetricFamily:
        says = "How long a pass of a table took."
        return HistogramMetricFamily("s3rs_pass_seconds", says, labels=_PIPELINE)
