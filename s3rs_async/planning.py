"""What a pass over one table would do, decided before it does anything; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .commit import State
from .errors import ConfigError
from .line import Line
from .model import DELETED_AT, Bound, Column, Errand, Proof, SourceId, TableSpec, TargetId
from .mysql import care, custom
from .mysql.chunk import ReadPlan, choose, on_errand
from .mysql.fidelity import Faith, Fidelity, fidelity
from .redshift import sql
from .redshift.types import with_types
from .s3.position import write_position

_PROVEN = "nothing that was under way when it was fixed can still add a row below it"
_CUT = "made here: whether the value beside it was cut"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pass reads one table, and into what."""

    read: ReadPlan
    columns: tuple[Column, ...]
    source: SourceId
    target: TargetId


async def plan_table(line: Line, spec: TableSpec) -> Plan:
    """Read the table's schema and decide how to read and apply it."""
    read, server = await _chosen(line, spec)
    return Plan(
        read=read,
        columns=with_types(read.schema),
        source=SourceId(line.feed.name, server, spec.table),
        target=line.target_id(spec),
    )


def errand_plan(plan: Plan, errand: Errand) -> Plan:
    """The same table, of which an errand reads some rows anew."""
    read = on_errand(plan.read, errand)
    return replace(plan, read=read, columns=with_types(read.schema))


async def _chosen(line: Line, spec: TableSpec) -> tuple[ReadPlan, str]:
    """How a table, or a query's result, is read, and at which server."""
    if spec.sql is not None:
        with _of_pipeline(line):
            described, server = await line.feed.described(spec)
            return custom.choose(described, spec), server
    found, server = await line.feed.table(spec.table)
    with _of_pipeline(line):
        return choose(found, spec), server


@contextmanager
def _of_pipeline(line: Line) -> Iterator[None]:
    """Let a mistake in what was asked for say in which pipeline it was."""
    try:
        yield
    except ConfigError as error:
        error.context.setdefault("pipeline", line.pipeline)
        raise


def is_first(plan: Plan, state: State) -> bool:
    """Whether a pass from this state would be the table's first by this way of reading."""
    if plan.read.whole:
        return state.next_seq == 1
    return state.position is None


async def check_care(line: Line, plan: Plan, bound: Bound) -> list[str]:
    """What is told of reading a table for the first time; ConfigError where it is refused."""
    explained = await line.feed.explained(plan.read, None, bound)
    findings = care.judge(plan.read, explained)
    refused = care.refusal(plan.read, findings)
    if refused is not None:
        refused.context.setdefault("pipeline", line.pipeline)
        raise refused
    return list(care.warnings(plan.read, findings))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do: plan, bound, where it would begin, and how much waits to be loaded.

    `refused` is why there would be none.
    """

    plan: Plan
    bound: Bound
    state: State
    ddl: str
    explained: tuple[care.Explained, ...]
    refused: ConfigError | None

    def as_json(self) -> dict[str, object]:
        """The same for people and programs."""
        read, pending = self.plan.read, self.state.pending
        findings = care.judge(read, self.explained)
        warnings = [] if self.refused else list(care.warnings(read, findings))
        return {
            "table": str(self.plan.source.table),
            "target": str(self.plan.target),
            "strategy": read.strategy,
            "reason": read.reason,
            "warnings": [*read.warnings, *warnings],
            "apply": read.mode,
            "cursor": ", ".join(read.cursors) or None,
            "key": list(read.key),
            "position": write_position(self.state.position),
            "bound": self.bound.hi,
            "proof": self.bound.proof,
            "bound_reason": self.bound.reason or self._why(),
            "pending_batches": len(pending),
            "pending_rows": sum(batch.rows for batch in pending),
            "refused": self.refused is not None,
            "index_care": self._verdict(findings),
            "queries": [_query(each) for each in self.explained],
            "columns": list(self._columns()),
            "ddl": self.ddl,
        }

    def _why(self) -> str | None:
        return _PROVEN if self.bound.proof is Proof.PROVEN else None

    def _verdict(self, findings: tuple[care.Finding, ...]) -> str:
        if self.refused is not None:
            return f"refused: {self.refused}. Mend: {self.refused.hint}"
        if findings:
            return "allowed" if self.plan.read.spec.may_scan else "told in the warnings"
        if self.plan.read.query is not None:
            return "not judged: what a query costs is its owner's care"
        return "nothing is sorted, and nothing scanned that is not to be"

    def _columns(self) -> Iterator[dict[str, object]]:
        read = self.plan.read
        own = {rule.name: fidelity(read.source.column(rule.name), rule) for rule in read.rules}
        for column in self.plan.columns:
            found = own.get(column.name) or Fidelity("", Faith.EXACT, (self._made(column.name),))
            yield {
                "column": column.name,
                "source_type": column.source_type,
                "parquet": column.arrow,
                "redshift": column.redshift,
                "fidelity": found.faith,
                "notes": list(found.notes),
            }

    def _made(self, name: str) -> str:
        """What a column says that the source does not have."""
        if name == DELETED_AT:
            return "made here: since when the row is known to be gone; NULL: it is not"
        copied = name == self.plan.read.spec.copy_column
        return "made here: when the copy was taken" if copied else _CUT


def _query(each: care.Explained) -> dict[str, object]:
    return {"query": each.statement.name, "explain": str(each), "sql": each.statement.text}


async def preview_table(line: Line, spec: TableSpec) -> Preview:
    """Everything that decides a pass, read and told."""
    plan = await plan_table(line, spec)
    register = line.register(spec)
    base = await register.read()
    state = base.state if base is not None else register.birth
    bound = await line.feed.bound(plan.read)
    explained = await line.feed.explained(plan.read, state.position, bound)
    refused = None
    if is_first(plan, state):
        refused = care.refusal(plan.read, care.judge(plan.read, explained))
    return Preview(
        plan=plan,
        bound=bound,
        state=state,
        ddl=sql.create_table(plan.target.table, plan.columns, spec.keys),
        explained=explained,
        refused=refused,
    )
