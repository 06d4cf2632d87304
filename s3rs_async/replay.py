"""Batches that are in S3 already, brought into `pending` once more; MySQL is not touched.

    walk    read `batch.json` after `batch.json`, back along `parent`, as far as the date
    claim   the extraction's role: a new epoch
    check   the state is still the one from which the walk began
    copy    each part under its new batch's own path, then that batch's two documents
    enter   one compare-and-swap: all of them, or none; it ends the watermark's being hand-set

Which batches and as what is decided by `commit.replay`. A replay moves `last_batch` as an
extraction does, so it claims as one: under its own epoch its copies cannot be taken by s3clean
while they are not yet named, and no extraction can commit between them. A crash before `enter`, or
a process that is fenced, leaves copies that nothing names and an epoch that is over: s3clean's. A
lost answer of `enter` is settled by reading: the state names the last copy, or none of them. After
it they are pending batches like any other. Loads by another process meanwhile only shorten
`pending`, which hinders nothing. s3clean may take an original at any moment: then a document or a
part is missing, and the replay ends before anything has entered.

Whether the target has lost what its ledger knew (`anew`) is asked before the claim. Should another
process load meanwhile, replacing is still right, since the new generation fences what it loaded.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from . import clock
from .commit import LedgerHead, State
from .commit import replay as rules
from .errors import ConflictError, DataError, Error
from .flow import together
from .redshift import ledger, schema
from .s3 import manifest as manifests
from .s3.layout import Attempt
from .s3.object import MissingError, StaleError
from .s3.ownership import Rivals, heartbeat, release, take

if TYPE_CHECKING:
    from .line import Line
    from .model import Manifest, Part, TableSpec
    from .report import Meter
    from .s3.register import Register

_AT_ONCE = 4
_RELEASE_SECONDS = 30.0

log = structlog.get_logger()


async def replay(line: Line, spec: TableSpec, register: Register, meter: Meter) -> bool:
    """Let what was extracted after the hand-set watermark be loaded once more; whether any is."""
    base = await register.read()
    if base is None or not base.state.last_batch:
        return False
    rules.check_replay(base.state)
    anew = await _is_anew(line, spec, base.state)
    chain = await _walked(line, spec, base.state, anew=anew)
    if not chain:
        meter.notes.append("nothing in S3 was extracted after the watermark")
        return False
    rules.turned(chain, base.state, anew=anew)  # refuses what cannot be replayed
    rules.check_size(base.state, len(chain))
    async with AsyncExitStack() as held:
        state = await _claimed(line, register, base.state, held)
        job = _Job(line, spec, rules.turned(chain, state, anew=anew), state.last_batch)
        copies = await job.copied()
        if copies is None:
            return False
        enter = partial(rules.replayed, copies=copies, position=state.position)
        await register.change(enter)
    rows = sum(copy.manifest.rows for copy in copies)
    meter.notes.append(f"{len(copies)} batches of S3 with {rows:,} rows are loaded once more")
    return True


async def _is_anew(line: Line, spec: TableSpec, state: State) -> bool:
    """Whether the target has lost what was loaded: its ledger is another one, or it is gone."""
    target = line.target_id(spec)
    async with line.target.session() as session:
        head = await ledger.read_head(session, target)
        if head is None:
            return state.loaded is not None
        _check_feeder(head, line, spec)
        return await schema.read_columns(session, target.table) is None


def _check_feeder(head: LedgerHead, line: Line, spec: TableSpec) -> None:
    if (head.pipeline, head.source) != (line.pipeline, f"{line.feed.name}:{spec.table}"):
        raise ledger.another_feeder(head, line.target_id(spec))


async def _walked(line: Line, spec: TableSpec, state: State, *, anew: bool) -> list[Manifest]:
    """The batches to be loaded once more, in their order."""
    layout = line.layout(spec)
    keys: dict[str, str] = {}
    async for entry in line.stage.list(layout.data):
        at = layout.parse(entry.key)
        if at is not None and entry.key == layout.manifest(at.attempt):
            keys[at.attempt.batch] = entry.key
    digests = {pending.batch: pending.sha256 for pending in state.pending}
    taken: list[Manifest] = []
    batch = state.last_batch
    while batch:
        if batch not in keys:
            if rules.is_enough(taken, state):
                break
            raise _gone(spec, batch)
        found = await manifests.read(line.stage, keys[batch], digests.get(batch))
        if not rules.goes_on(taken, found, state, anew=anew):
            break
        taken.append(found)
        batch = found.parent
    chain = rules.without_twins(taken)
    return rules.beginning(chain) if anew else chain


async def _claimed(line: Line, register: Register, before: State, held: AsyncExitStack) -> State:
    """The extraction's role, given back at the end, over the state from which was walked."""
    rivals = Rivals(line.stage, line.prefix, line.claim, line.pace, line.stop)
    state = (await take(register, rivals)).state
    held.push_async_callback(_give_back, register, line)
    await held.enter_async_context(heartbeat(line.stage, line.prefix, line.claim, line.pace))
    marks = [
        (each.last_batch, each.next_seq, each.generation, each.position, each.backup_strategy)
        for each in (before, state)
    ]
    if marks[0] != marks[1]:
        raise ConflictError("another process has brought the table forward", table=state.table)
    return state


async def _give_back(register: Register, line: Line) -> None:
    """Let the role go; that this fails must not hide what came of the replay."""
    try:
        async with asyncio.timeout(_RELEASE_SECONDS):
            await release(register, line.claim)
    except (Error, TimeoutError) as error:
        log.warning("claim not given back", reason=str(error) or "timed out")


@dataclass(frozen=True, slots=True)
class _Job:
    """The batches of a replay in their order, of which the first follows `parent`."""

    line: Line
    spec: TableSpec
    batches: list[Manifest]
    parent: str

    async def copied(self) -> list[rules.Copy] | None:
        """Every batch under a path of its own; None where we were told to stop."""
        copies: list[rules.Copy] = []
        parent = self.parent
        for planned in self.batches:
            if self.line.stop.is_set():
                return None
            copies.append(await self._copied(planned, parent))
            parent = copies[-1].manifest.batch
        return copies

    async def _copied(self, planned: Manifest, parent: str) -> rules.Copy:
        layout, original = self.line.layout(self.spec), planned.batch
        at = Attempt(planned.generation, planned.epoch, planned.seq, clock.ulid())
        gate = asyncio.Semaphore(_AT_ONCE)
        async with together() as tasks:
            copying = [
                tasks.create_task(self._part(part, layout.part(at, number), original, gate))
                for number, part in enumerate(planned.parts)
            ]
        made = replace(
            planned,
            batch=at.batch,
            parent=parent,
            target=self.line.target_id(self.spec),
            parts=tuple(task.result() for task in copying),
            session=self.line.run,
        )
        sealed = await manifests.seal(self.line.stage, made, layout)
        log.info(
            "batch copied",
            table=str(self.spec.table),
            batch=at.batch,
            original=original,
            seq=made.seq,
            mode=made.mode,
            rows=made.rows,
        )
        return rules.Copy(made, sealed.key, sealed.sha256)

    async def _part(self, part: Part, key: str, batch: str, gate: asyncio.Semaphore) -> Part:
        try:
            async with gate:
                return replace(
                    part, key=key, etag=await self.line.stage.copy(part.key, key, part.etag)
                )
        except (MissingError, StaleError) as reason:
            raise _gone(self.spec, batch) from reason


def _gone(spec: TableSpec, batch: str) -> DataError:
    return DataError(
        "a batch that would be loaded once more is no longer whole in S3",
        table=str(spec.table),
        batch=batch,
        hint="s3clean removes what is loaded once its retention is over: set the watermark to a"
        " later date, or read the table anew: s3rs watermark force-reset",
    )
