"""Whether a source can bear how a table is to be read: its own EXPLAIN, judged; pure.

Every chunk must begin where the one before has ended, by an index that has the rows in the order in
which they are read. Where the server would rather sort the table, or read through it, each chunk
costs as much as the whole; on a great table that is an outage which nobody has asked for. So it is
refused before the first run, with the statement that makes the index, or allowed by name. Where the
server expects to look at few rows it is only told.

The first chunk may begin at an index's beginning, and a table that is read whole may be: there a
scan is what was asked for. A sort never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import ConfigError
from . import sql
from .chunk import ReadPlan

SETTING = "scans"
FEW_ROWS = 100_000

_THROUGH_TABLE, _THROUGH_INDEX = "ALL", "index"
_SORTED_BY = ("using filesort", "using temporary")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that a pass sends; `begins`: it may start where the index does."""

    name: str
    text: str
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """How the server reaches the rows of one table: a row of its EXPLAIN; `kind` is its `type`."""

    kind: str | None
    key: str | None
    rows: int
    extra: str

    @classmethod
    def told(cls, row: Mapping[str, str | None]) -> Access:
        """By the columns' names in lower case: their places differ among servers."""
        return cls(row["type"], row["key"], int(row["rows"] or 0), row["extra"] or "")

    @property
    def sorts(self) -> bool:
        """Whether rows are sorted after they were read."""
        return any(sign in self.extra.lower() for sign in _SORTED_BY)

    def __str__(self) -> str:
        if self.kind is None:
            return self.extra.lower() or "no table is read"
        way = f"{self.kind} by {self.key}" if self.key else self.kind
        return f"{way}, about {self.rows:,} rows" + (f" ({self.extra})" if self.extra else "")


@dataclass(frozen=True, slots=True)
class Explained:
    """A statement and what the server says of it; `withheld` says why it does not."""

    statement: Statement
    accesses: tuple[Access, ...]
    withheld: str = ""

    def __str__(self) -> str:
        return self.withheld or "; ".join(map(str, self.accesses))


class Fault(StrEnum):
    """What a statement does that none of a pass should."""

    SORTS = "sorts"
    SCANS = "scans"


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that reads far more than it returns, and how many rows the server expects."""

    statement: str
    fault: Fault
    rows: int

    def __str__(self) -> str:
        return f"{self.statement}: the server {self.fault} about {self.rows:,} rows"


def judge(plan: ReadPlan, explained: Sequence[Explained]) -> tuple[Finding, ...]:
    """Every statement that sorts, or scans where it should not; a query is its owner's care."""
    if plan.query is not None:
        return ()
    return tuple(
        Finding(each.statement.name, fault, _examined(plan, access))
        for each in explained
        for access in each.accesses
        if (fault := _fault(plan, each.statement, access)) is not None
    )


def _fault(plan: ReadPlan, statement: Statement, access: Access) -> Fault | None:
    if access.sorts:
        return Fault.SORTS
    if access.kind == _THROUGH_INDEX and not statement.begins:
        return Fault.SCANS
    whole = plan.whole and statement.begins
    return Fault.SCANS if access.kind == _THROUGH_TABLE and not whole else None


def _examined(plan: ReadPlan, access: Access) -> int:
    """Along an index the server counts no more than it is to return, wherever that lies."""
    if access.kind == _THROUGH_INDEX:
        return max(access.rows, plan.source.estimated_rows or 0)
    return access.rows


def refusal(plan: ReadPlan, findings: Sequence[Finding]) -> ConfigError | None:
    """Why the table is not to be read like this; None where it may be."""
    worst = max(findings, key=lambda finding: finding.rows, default=None)
    if worst is None or worst.rows < FEW_ROWS or plan.spec.may_scan:
        return None
    return ConfigError(
        f"reading the table would be too much for its server, which {worst.fault} it",
        table=str(plan.source.name),
        strategy=plan.strategy,
        statement=worst.statement,
        rows=worst.rows,
        setting=SETTING,
        hint=f"{mend(plan)}; or {SETTING}: allow, if the source can bear it",
    )


def warnings(plan: ReadPlan, findings: Sequence[Finding]) -> Iterator[str]:
    """What was found where it is not refused."""
    if findings:
        yield f"{'; '.join(map(str, findings))}: {mend(plan)}"


def mend(plan: ReadPlan) -> str:
    """The statement that makes the index which is missing, or what else there is to do."""
    name = plan.source.name
    if plan.index is not None:
        return f"the index is there and not used as it should be: ANALYZE TABLE {sql.table(name)}"
    if len(plan.cursors) > 1:
        return "no index has the first of several columns that is not NULL: read by one of them"
    if any(rule.order != "{}" for rule in plan.order):
        return "no index has the order of an enumeration as text: give the table another key"
    return sql.add_index(name, plan.source.wanted_index(tuple(rule.name for rule in plan.order)))
