"""Everything that is connected to, examined side by side.

Each connection is a task of its own with a time of its own, so one that does not answer holds up no
other. Lines are told as they are known; within a subject their order is always the same, and the
list at the end goes by connection: sources, the bucket, targets, each with its pipelines' tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from ..config import Connections, Pipeline, one_of
from ..errors import Error
from ..flow import together
from ..model import Deletes, SourceId, TableSpec, TargetId
from ..tunnel import Bastions, open_bastions
from .check import Check, Level, Sheet, Tell
from .source import Spring, examine_source
from .source_table import Wanted
from .store import examine_store
from .target import Ward, examine_target
from .target_table import Fed

SECONDS = 120.0

_Work: TypeAlias = Callable[[Tell], Awaitable[None]]


def _silent(_: Check) -> None:
    """Nobody is told before the end."""


async def examine(
    connections: Connections,
    pipelines: Sequence[Pipeline],
    tell: Tell = _silent,
    seconds: float = SECONDS,
) -> list[Check]:
    """Every line about all connections and pipelines; `tell` hears each as soon as it is known."""
    lines: list[list[Check]] = [[]]
    known = [p for p in pipelines if _is_known(p, connections, _heard(lines[0], tell))]
    async with open_bastions() as bastions, together() as tasks:
        for subject, work in _works(connections, known, bastions):
            own: list[Check] = []
            lines.append(own)
            patient = _within(seconds, subject, work, _heard(own, tell))
            tasks.create_task(patient, name=subject)
    return [line for own in lines for line in own]


def _heard(own: list[Check], tell: Tell) -> Tell:
    def told(check: Check) -> None:
        own.append(check)
        tell(check)

    return told


def _is_known(pipeline: Pipeline, connections: Connections, tell: Tell) -> bool:
    try:
        one_of("source", list(connections.sources), pipeline.source)
        one_of("target", list(connections.targets), pipeline.target)
    except Error as error:
        Sheet(f"pipeline {pipeline.name}", tell).error("connections", error)
        return False
    return True


def _works(
    connections: Connections, pipelines: Sequence[Pipeline], bastions: Bastions
) -> Iterator[tuple[str, _Work]]:
    for name, source in connections.sources.items():
        wanted = [
            Wanted(pipeline.name, entry.spec)
            for pipeline in pipelines
            if pipeline.source == name
            for entry in pipeline.entries
        ]
        yield f"source {name}", partial(examine_source, Spring(name, source, wanted), bastions)
    yield "s3", partial(examine_store, connections.s3)
    for name, target in connections.targets.items():
        fed = [
            _fed(connections, pipeline, entry.spec)
            for pipeline in pipelines
            if pipeline.target == name
            for entry in pipeline.entries
        ]
        ward = Ward(name, target, connections.s3, fed)
        yield f"target {name}", partial(examine_target, ward, bastions)


def _fed(connections: Connections, pipeline: Pipeline, spec: TableSpec) -> Fed:
    target = connections.targets[pipeline.target]
    return Fed(
        pipeline.name,
        SourceId(pipeline.source, "", spec.table),
        TargetId(pipeline.target, target.database, spec.lands_in(target.table_schema)),
        marks=spec.deletes is Deletes.SOFT,
    )


async def _within(seconds: float, subject: str, work: _Work, tell: Tell) -> None:
    """Do it in the time it has; where that is over, its lines end with one that says so."""
    bound = asyncio.timeout(seconds)
    try:
        async with bound:
            await work(tell)
    except TimeoutError:
        if not bound.expired():
            raise
        found = f"not done within {seconds:g} s"
        mend = "see whether it hangs or is slow, then run it again"
        tell(Check(subject, "time", Level.FAIL, found, mend, unreachable=True))
