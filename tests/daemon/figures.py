"""What `/metrics` says, at one moment, and what it has said over several processes and restarts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.daemon.tables import Table


@dataclass(frozen=True)
class Figures:
    """One scrape: (name, labels) and value of each sample."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    @classmethod
    def parse(cls, text: str) -> Figures:
        families = text_string_to_metric_families(text)
        return cls(tuple((s.name, s.labels, s.value) for f in families for s in f.samples))

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all series of the name that have these labels; 0 where there are none."""
        return sum(self.values(name, **labels))

    def values(self, name: str, **labels: str) -> list[float]:
        return [
            value
            for found, own, value in self.samples
            if found == name and labels.items() <= own.items()
        ]

    def of(self, table: Table, name: str, **labels: str) -> float:
        """The same for one table."""
        return self.sum(name, pipeline=table.pipeline, table=table.name, **labels)

    def errors(self, table: Table) -> float:
        return self.of(table, "s3rs_errors_total")

    def recoveries(self, table: Table) -> float:
        return self.of(table, "s3rs_recoveries_total")

    def successes(self, table: Table) -> float:
        return self.of(table, "s3rs_passes_total", outcome="success")

    def last_success(self, table: Table) -> float:
        return self.of(table, "s3rs_last_success_timestamp_seconds")


@dataclass
class Freshness:
    """How old each table's last success has ever been at a scrape, whichever process had it."""

    began: float
    last: dict[str, float] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)

    def see(self, now: float, tables: Iterable[Table], scrapes: Iterable[Figures]) -> None:
        """One look at the same moment at all processes that answer."""
        seen = list(scrapes)
        for table in tables:
            name = table.name
            before = self.last.get(name, self.began)
            self.last[name] = max([before, *(figures.last_success(table) for figures in seen)])
            self.worst[name] = max(self.worst.get(name, 0.0), now - self.last[name])

    def passed_since(self, moment: float) -> set[str]:
        """The tables that had a success after that moment."""
        return {name for name, at in self.last.items() if at > moment}
