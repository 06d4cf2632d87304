"""How fast source and target are compared, and with how many queries.

    ./dev bench verify [--narrow 10000000] [--wide 1000000] [--results FOLDER]

Private servers: MariaDB and the stand-in for Redshift share this machine's cores. Two tables, five
columns and the demo's 53, are synced by the real command line and compared by `s3rs verify`: once
as they are, once with ten rows that were changed, deleted and added behind its back. A side's
seconds are those of its statements, which run beside the other side's; since both share the cores
here, which they never do in earnest, each side is also asked for the whole table alone, and that is
what the goals are for: the source's by one connection, the stand-in's with two processes at work,
as the smallest cluster has two slices. That the ten are named, and nothing else, is checked.
Results: figures on stdout and in `bench/results/verify.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
from reading import tell
from reading.tables import DATABASE, TABLES_BY_NAME, create

from s3rs_async import clock
from s3rs_async.config import load_connections
from s3rs_async.demo.command import sync
from s3rs_async.demo.compare import connect
from s3rs_async.demo.tables import TABLES, DemoTable
from s3rs_async.model import TableName, TableSpec
from s3rs_async.mysql import digest as source_digest
from s3rs_async.mysql.chunk import choose
from s3rs_async.mysql.connection import open_source
from s3rs_async.mysql.schema import read_table
from s3rs_async.redshift import digest as target_digest
from s3rs_async.redshift.digest import Span
from s3rs_async.sandbox import Box, Sandbox
from s3rs_async.verify.stretch import whole

NARROW, WIDE = TABLES_BY_NAME["narrow"], TABLES[0]
DIFFERS = 3
PLANTED = 10
MARGIN_SECONDS = 5
"""Rows that are younger are left to the next pass, and are no difference."""


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be."""

    what: str
    at_least: float | None
    at_most: float | None
    found: float

    @property
    def met(self) -> bool:
        low = self.at_least is None or self.found >= self.at_least
        return low and (self.at_most is None or self.found <= self.at_most)

    def __str__(self) -> str:
        wanted = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return f"{self.what:58}{wanted:>8}{self.found:10.2f}  {'met' if self.met else 'NOT met'}"


async def main(asked: argparse.Namespace) -> None:
    """Both tables, one after the other."""
    async with Sandbox() as box:
        narrow = await _measured(box, NARROW, asked.narrow)
        wide = await _measured(box, WIDE, asked.wide)
        with connect(box.mysql.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION(), @@innodb_buffer_pool_size")
            version, pool = cursor.fetchone() or ("", 0)
    goals = [*_speed("narrow", narrow, 0.5), *_speed("wide", wide, 0.1)]
    goals += [*_queries("nothing differs", narrow["clean"], 50)]
    goals += [*_queries("ten rows differ", narrow["planted"], 200)]
    print(*goals, sep="\n")
    content = {
        "machine": tell.machine(str(version), int(pool)),
        "narrow": narrow,
        "wide": wide,
        "goals": [{**asdict(goal), "met": goal.met} for goal in goals],
    }
    print(tell.write("verify", content, asked.results))


async def _measured(box: Box, made: DemoTable, rows: int) -> dict[str, Any]:
    table = f"{DATABASE}.{made.name}"
    with connect(box.mysql.url) as connection, connection.cursor() as cursor:
        create(cursor, made, rows)
    await asyncio.sleep(MARGIN_SECONDS)
    await sync([table], box.environment, box.folder)
    clean = await asyncio.to_thread(_verify, box, table, 0)
    alone = await _alone(box, made)
    await _plant(box, made, rows)
    planted = await asyncio.to_thread(_verify, box, table, DIFFERS)
    found = sum(len(planted[kind]) for kind in ("missing", "stale", "extra", "doubled"))
    if found != PLANTED or not clean["equal"]:
        raise SystemExit(f"{table}: {found} of {PLANTED} planted rows were named; {planted}")
    for what, verdict in (("as it is", clean), ("ten rows differ", planted)):
        print(f"{table}, {rows:,} rows, {what}: {_told(verdict)}")
    paces = {side: rows / seconds for side, seconds in alone.items()}
    print(f"  alone: source {paces['source']:,.0f} rows/s, target {paces['target']:,.0f} rows/s")
    return {"clean": _kept(clean), "planted": _kept(planted), "alone_rows_per_second": paces}


async def _alone(box: Box, made: DemoTable) -> dict[str, float]:
    """The seconds in which each side adds up the whole table while nothing else runs."""
    name = TableName(DATABASE, made.name)
    config = load_connections(box.config, {}).sources["mysql"]
    async with open_source("mysql", config) as source, source.session(purpose="bench") as session:
        plan = choose(await read_table(session, name), TableSpec(name))
        told = source_digest.comparison(plan)
        began = clock.seconds()
        ((rows, digests),) = await session.query(source_digest.total(whole(plan), told.compared))
        ours = clock.seconds() - began
    target = await asyncpg.connect(box.redshift.url, ssl=False, statement_cache_size=0)
    try:
        began = clock.seconds()
        statement = target_digest.total(name, Span(told.key), told.compared)
        (found,) = await target.fetch(statement)  # a limit of one row would keep a helper away
        theirs = clock.seconds() - began
    finally:
        await target.close()
    if tuple(found) != (int(rows or 0), int(digests or 0)):
        raise SystemExit(f"{name}: the sums differ")
    return {"source": ours, "target": theirs}


async def _plant(box: Box, made: DemoTable, rows: int) -> None:
    """Ten rows, each in another tenth of the table."""
    step = rows // PLANTED
    keys = [step * at + step // 2 for at in range(PLANTED)]
    listed = [", ".join(map(str, keys[at::3])) for at in range(2)]
    table = f"{DATABASE}.{made.name}"
    column = "a" if made is NARROW else "scan_count"
    target = await asyncpg.connect(box.redshift.url, ssl=False, statement_cache_size=0)
    try:
        await target.execute(f"DELETE FROM {table} WHERE id IN ({listed[0]})")
        changed = f"SET {column} = {column} / 2 + 1 WHERE id IN ({listed[1]})"
        await target.execute(f"UPDATE {table} {changed}")
    finally:
        await target.close()
    with connect(box.mysql.url) as connection, connection.cursor() as cursor:
        gone = ", ".join(map(str, keys[2::3]))
        cursor.execute(f"DELETE FROM {table} WHERE id IN ({gone})")
        connection.commit()


def _verify(box: Box, table: str, code: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "s3rs_async", "verify", "-t", table, "-o", "json", "-q"]
    ended = subprocess.run(
        command, env={**os.environ, **box.environment}, capture_output=True, text=True, check=False
    )
    if ended.returncode != code:
        raise SystemExit(f"{table}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
    (found,) = json.loads(ended.stdout)["verify"]
    return dict(found)


def _told(verdict: dict[str, Any]) -> str:
    rows, seconds = verdict["source_rows"], verdict["seconds"]
    return (
        f"{seconds:.1f} s, {verdict['ranges']} ranges; source {verdict['source_queries']} queries,"
        f" {rows / verdict['source_seconds']:,.0f} rows/s; target {verdict['target_queries']}"
        f" queries, {rows / verdict['target_seconds']:,.0f} rows/s"
    )


def _kept(verdict: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in verdict.items() if not isinstance(value, list)}


def _speed(name: str, found: dict[str, Any], least: float) -> list[Goal]:
    return [
        Goal(f"{name}: {side} alone, million rows/s", least, None, pace / 1e6)
        for side, pace in found["alone_rows_per_second"].items()
    ]


def _queries(what: str, verdict: dict[str, Any], most: float) -> list[Goal]:
    rows = f"{verdict['source_rows']:,} rows, {what}"
    return [
        Goal(f"{rows}: {side} queries", None, most, verdict[f"{side}_queries"])
        for side in ("source", "target")
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--narrow", type=int, default=10_000_000)
    parser.add_argument("--wide", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=None, help="another folder for them")
    asyncio.run(main(parser.parse_args()))
