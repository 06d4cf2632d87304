"""What a pass over one table would do, decided before it does anything; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .errors import ConfigError
from .line import Line
from .model import Bound, Column, Errand, Position, SourceId, TableSpec, TargetId
from .mysql import custom
from .mysql.chunk import ReadPlan, choose, on_errand
from .redshift import sql
from .redshift.types import with_types
from .s3.position import write_position


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


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do: plan, bound, where it would begin, and how much waits to be loaded."""

    plan: Plan
    bound: Bound
    position: Position | None
    pending: int
    ddl: str

    def as_json(self) -> dict[str, object]:
        """The same for people and programs."""
        read = self.plan.read
        return {
            "table": str(self.plan.source.table),
            "target": str(self.plan.target),
            "strategy": read.strategy,
            "reason": read.reason,
            "warnings": list(read.warnings),
            "apply": read.mode,
            "cursor": ", ".join(read.cursors) or None,
            "key": list(read.key),
            "position": write_position(self.position),
            "bound": self.bound.hi,
            "proof": self.bound.proof,
            "bound_reason": self.bound.reason or None,
            "pending_batches": self.pending,
            "ddl": self.ddl,
        }


async def preview_table(line: Line, spec: TableSpec) -> Preview:
    """Everything that decides a pass, read and told."""
    plan = await plan_table(line, spec)
    base = await line.register(spec).read()
    return Preview(
        plan=plan,
        bound=await line.feed.bound(plan.read),
        position=base.state.position if base is not None else None,
        pending=len(base.state.pending) if base is not None else 0,
        ddl=sql.create_table(plan.target.table, plan.columns, spec.keys),
    )
