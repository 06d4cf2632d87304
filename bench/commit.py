"""What a commit and a load cost, in requests, bytes and ms, with 1 to 10,000 batches behind them.

    ./dev bench commit [--history 1 10 100 1000 10000] [--repeat 15] [--json FILE]

A commit is X7 to X9 of the protocol: the batch's two documents, the swap of the state and its copy.
A load is Y1 to Y12: the connection, one transaction in the target and the swap that settles it. All
run on private servers, through the bastion and TLS as in production; the batch itself is small, so
what is measured is the protocol. The history is made by the protocol's own functions from one real
batch, with the ledger's lines as a load writes them; its batches' files are not made, since nothing
ever looks at them again. At last, what a sync asks of both ends when there is nothing new.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from s3rs_async import clock, commit
from s3rs_async.commit import LedgerHead, State
from s3rs_async.config import load_connections
from s3rs_async.demo.compare import connect
from s3rs_async.load import Loading
from s3rs_async.model import Manifest, Position, TableName, TableSpec
from s3rs_async.redshift import ledger, sql
from s3rs_async.report import Meter
from s3rs_async.s3 import manifest as manifests
from s3rs_async.s3.codec import digest
from s3rs_async.s3.layout import Attempt
from s3rs_async.s3.position import write_position
from s3rs_async.sandbox import Box, Sandbox
from s3rs_async.service import Ask, Stop, open_ends, resolve
from s3rs_async.staging import MIB, share
from s3rs_async.sync import Request, sync_table

if TYPE_CHECKING:
    import asyncpg

    from s3rs_async.line import Line
    from s3rs_async.redshift.connection import Target
    from s3rs_async.s3.object import Stat, Stored
    from s3rs_async.s3.register import Versioned
    from s3rs_async.s3.store import Store
    from s3rs_async.s3.upload import Upload

DATABASE = "bench_commit"
ROWS = 100
_LINES = 500
"""Lines of the ledger that are written by one statement."""


@dataclass
class Cost:
    """What was asked since it was last taken."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0
    began: float = field(default_factory=clock.seconds)

    def taken(self) -> dict[str, float]:
        """The figures, and back to nought."""
        found = {
            **{name: float(count) for name, count in self.requests.items()},
            "bytes": float(self.sent + self.received),
            "ms": 1000 * (clock.seconds() - self.began),
        }
        self.__init__()  # type: ignore[misc]
        return found


@dataclass
class Counted:
    """A store that counts what is asked of it."""

    store: Store
    cost: Cost

    @property
    def bucket(self) -> str:
        return self.store.bucket

    async def get(self, key: str) -> Stored | None:
        found = await self.store.get(key)
        self.cost.requests["GET"] += 1
        self.cost.received += len(found.body) if found is not None else 0
        return found

    async def head(self, key: str) -> Stat | None:
        self.cost.requests["HEAD"] += 1
        return await self.store.head(key)

    async def put(self, key: str, body: bytes) -> str:
        self.cost.requests["PUT"] += 1
        self.cost.sent += len(body)
        return await self.store.put(key, body)

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        self.cost.requests["PUT"] += 1
        self.cost.sent += len(body)
        return await self.store.put_if(key, body, etag)

    def upload(self, key: str) -> AbstractAsyncContextManager[Upload]:
        self.cost.requests["upload"] += 1
        return self.store.upload(key)


def counted(target: Target, cost: Cost) -> Target:
    """A target whose statements are counted."""
    dial = target.dial

    def note(asked: asyncpg.connection.LoggedQuery) -> None:
        cost.requests["SQL"] += 1
        cost.sent += len(asked.query)

    async def dialled() -> asyncpg.Connection:
        connection = await dial()
        connection.add_query_logger(note)
        return connection

    return replace(target, dial=dialled)


@dataclass
class Bench:
    """One table with a history."""

    line: Line
    spec: TableSpec
    cost: Cost
    manifest: Manifest

    def batch(self, state: State) -> Manifest:
        """One batch more, with the files of the first."""
        before = state.position or Position()
        return replace(
            self.manifest,
            generation=state.generation,
            epoch=state.epoch,
            seq=state.next_seq,
            batch=clock.ulid(),
            parent=state.last_batch,
            before=state.position,
            after=Position(before.cursor, (str(10**9 + state.next_seq),)),
        )

    async def grown(self, base: Versioned, count: int) -> Versioned:
        """The table with so many batches behind it, in the state and in the ledger."""
        register, target = self.line.register(self.spec), self.manifest.target
        state, lines = base.state, []
        async with self.line.target.session() as session:
            first = head = await ledger.read_head(session, target)
            assert head is not None
            while state.next_seq <= count:
                made = self.batch(state)
                state, head, line = self._entered(state, made, head)
                lines.append(line)
            for at in range(0, len(lines), _LINES):
                await session.execute(_inserted(sql.insert_ledger(target), lines[at : at + _LINES]))
            await ledger.move(session, target, first, head)
        return await register.swap(base, lambda _: state)

    def _entered(
        self, state: State, made: Manifest, head: LedgerHead
    ) -> tuple[State, LedgerHead, tuple[object, ...]]:
        """One batch committed, loaded and settled, without any server."""
        layout, position = self.line.layout(self.spec), write_position(made.after)
        key = layout.manifest(Attempt(made.generation, made.epoch, made.seq, made.batch))
        sha256 = digest({"batch": made.batch})
        state = commit.committed(state, made, key=key, sha256=sha256)
        loaded = replace(head, seq=made.seq, batch=made.batch, position=position)
        line = (
            *(made.pipeline, str(made.source), made.generation, made.seq, made.batch),
            *(made.parent, sha256, made.mode.value, made.rows, made.rows, position),
            *(made.epoch, made.session, self.line.claim.writer),
        )
        return commit.settled(state, loaded, clock.iso_now()), loaded, line

    async def commit(self, base: Versioned) -> tuple[Versioned, dict[str, float]]:
        """X7 to X9 for one batch."""
        made = self.batch(base.state)
        self.cost.taken()
        sealed = await manifests.seal(self.line.stage, made, self.line.layout(self.spec))
        change = partial(commit.committed, manifest=made, key=sealed.key, sha256=sealed.sha256)
        done = await self.line.register(self.spec).change(change)
        return done, self.cost.taken()

    async def load(self, base: Versioned) -> tuple[Versioned, dict[str, float]]:
        """Y1 to Y12 for what waits."""
        register, loading = self.line.register(self.spec), Loading(self.line, self.spec, Meter())
        self.cost.taken()
        head = await loading.load_pending(base, register)
        done = await loading.settle(register, head)
        await asyncio.sleep(0)
        return done, self.cost.taken()

    async def idle(self) -> dict[str, float]:
        """A sync of a table that has no news, by a process that knows it."""
        passed = await sync_table(self.line, Request(self.spec), Meter())
        self.cost.taken()
        await sync_table(self.line, Request(self.spec, plan=passed.plan), Meter())
        return self.cost.taken()


def _inserted(statement: str, lines: list[tuple[object, ...]]) -> str:
    """The statement for one line, with several written into it."""
    begin = statement.partition(" VALUES ")[0]
    rows = [", ".join(str(v) if isinstance(v, int) else f"'{v}'" for v in line) for line in lines]
    return f"{begin} VALUES {', '.join(f'({row})' for row in rows)}"


async def first(line: Line, spec: TableSpec, cost: Cost) -> tuple[Bench, Versioned]:
    """A table with one batch, which went the whole way."""
    await sync_table(line, Request(spec, load=False), Meter())
    base = await line.register(spec).read()
    assert base is not None
    (pending,) = base.state.pending
    manifest = await manifests.read(line.stage, pending.manifest, pending.sha256)
    await sync_table(line, Request(spec, extract=False), Meter())
    base = await line.register(spec).read()
    assert base is not None
    return Bench(line, spec, cost, manifest), base


async def measured(line: Line, count: int, cost: Cost, repeat: int) -> dict[str, Any]:
    """The medians with so many batches of history."""
    spec = TableSpec(TableName(DATABASE, f"of_{count}"))
    bench, base = await first(line, spec, cost)
    if count > 1:
        base = await bench.grown(base, count)
    commits, loads = [], []
    for _ in range(repeat):
        base, spent = await bench.commit(base)
        commits.append(spent)
        base, spent = await bench.load(base)
        loads.append(spent)
    stored = await line.stage.get(line.layout(spec).state)
    assert stored is not None
    return {
        "history": count,
        "state_bytes": len(stored.body),
        "commit": _median(commits),
        "load": _median(loads),
        "idle": await bench.idle(),
    }


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    names = {name for run in runs for name in run}
    return {name: statistics.median(run.get(name, 0.0) for run in runs) for name in names}


def fill(box: Box, histories: list[int]) -> None:
    """A table for each history, its rows old enough not to be read a second time."""
    with connect(box.mysql.url) as source, source.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        for count in histories:
            cursor.execute(
                f"CREATE TABLE {DATABASE}.of_{count} (id BIGINT PRIMARY KEY AUTO_INCREMENT,"
                " word VARCHAR(40), amount DECIMAL(12,2), changed TIMESTAMP(6) NOT NULL DEFAULT"
                " CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))"
            )
            cursor.execute(
                f"INSERT INTO {DATABASE}.of_{count} (word, amount, changed) SELECT seq, seq,"
                f" NOW(6) - INTERVAL 5 MINUTE FROM {DATABASE}.seq_1_to_{ROWS}"
            )
        source.commit()


def tell(found: dict[str, Any]) -> None:
    parts = [f"{found['history']:8,} {found['state_bytes']:7,}"]
    for name in ("commit", "load", "idle"):
        cost = found[name]
        asked = " ".join(f"{cost.get(verb, 0):3.0f}" for verb in ("GET", "PUT", "SQL"))
        parts.append(f"{asked} {cost['bytes']:7,.0f} {cost['ms']:7.1f}")
    print(" | ".join(parts))


async def main(histories: list[int], repeat: int, output: Path | None) -> None:
    async with Sandbox() as box:
        os.environ.update(box.environment)
        fill(box, histories)
        connections, cost = load_connections(box.config, {}), Cost()
        tables = tuple(f"{DATABASE}.of_{count}" for count in histories)
        job, load = resolve(connections, Ask(tables)), os.getloadavg()[0]
        print(
            f"medians of {repeat} on {os.cpu_count()} cores, load {load:.1f}; {ROWS} rows a batch"
        )
        print(f"{'':16} | {'commit':^27} | {'load':^27} | {'idle sync':^27}")
        columns = f"{'GET PUT SQL   bytes      ms':>27}"
        print(f" history   state | {columns} | {columns} | {columns}")
        async with open_ends(connections, [job]) as ends:
            line = ends.line(job, share(64 * MIB, 1), Stop())
            line = replace(line, stage=Counted(ends.store, cost), target=counted(line.target, cost))
            found = []
            for count in histories:
                found.append(await measured(line, count, cost, repeat))
                tell(found[-1])
    if output is not None:
        data = {"rows": ROWS, "repeat": repeat, "cores": os.cpu_count(), "histories": found}
        await asyncio.to_thread(output.write_bytes, orjson.dumps(data, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--history", type=int, nargs="+", default=[1, 10, 100, 1_000, 10_000])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    asyncio.run(main(given.history, given.repeat, given.json))
