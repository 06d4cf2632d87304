"""The demo's acts in their order, each a line for the viewer; the last says OK or FAILED."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from .. import clock
from ..errors import Error, ExitCode
from ..sandbox import Box, Sandbox
from .command import Json, sync, sync_killed
from .compare import Difference, compare, connect
from .moments import mid_load, mid_upload
from .tables import DATABASE, TABLES, WIDE, DemoTable
from .telling import Act, say, tell

_CHANGED_SHARE = 6
"""One row in so many is changed before a sync that is killed: enough to be caught in the act."""


@dataclass(slots=True)
class Story:
    """What has happened so far."""

    rows: int
    box: Box
    acts: list[Act] = field(default_factory=list)
    deleted: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    verified: dict[str, Difference] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process in the sandbox is told."""
        return self.box.environment

    @property
    def names(self) -> list[str]:
        """All tables, as `sync -t` takes them."""
        return [f"{DATABASE}.{table.name}" for table in TABLES]


async def run_demo(*, rows: int, json_path: Path | None, keep: bool) -> int:
    """Play the whole demo; the process's exit code."""
    since = clock.seconds()
    say("private servers: MariaDB, S3 (moto), SSH bastion, Redshift stand-in (not Redshift)")
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(Sandbox())
        say(f"servers up in {clock.seconds() - since:.1f} s")
        story = Story(rows, box)
        reason = ""
        try:
            await _play(story)
            reason = _verdict(story)
        except Error as error:
            reason = str(error)
        seconds = clock.seconds() - since
        document = tell(story.acts, story.verified, story.deleted, seconds, reason)
        if json_path is not None:
            data = orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str)
            await asyncio.to_thread(json_path.write_bytes, data)
        if keep:
            await _stay(box)
    say(f"demo: FAILED {reason}" if reason else f"demo: OK in {seconds:.1f} s")
    return ExitCode.DATA if reason else ExitCode.OK


async def _play(story: Story) -> None:
    await _fill(story)
    await _synced(story, "first sync", story.names)
    _change(story)
    await _synced(story, "changed and synced", story.names)
    wide = [f"{DATABASE}.{WIDE}"]
    async with mid_upload(story.environment) as moment:
        _touch(story, "uploading")
        await sync_killed(wide, story.environment, story.box.folder, moment)
    say("a sync was killed with SIGKILL in mid-upload")
    await _synced(story, "after a kill mid-upload", wide)
    async with mid_load(story.environment) as moment:
        _touch(story, "loading")
        await sync_killed(wide, story.environment, story.box.folder, moment)
    say("a sync was killed with SIGKILL in mid-load")
    await _synced(story, "after a kill mid-load", wide)
    since = clock.seconds()
    for table in TABLES:
        story.verified[table.name] = await compare(table, story.box)
    say(f"every row of both ends compared in {clock.seconds() - since:.1f} s")


async def _synced(story: Story, title: str, tables: list[str]) -> None:
    since = clock.seconds()
    report: Json = await sync(tables, story.environment, story.box.folder)
    story.acts.append(Act(title, clock.seconds() - since, report))
    say(story.acts[-1].line)


async def _fill(story: Story) -> None:
    since = clock.seconds()
    _run(story, [f"CREATE DATABASE {DATABASE}", *(table.ddl for table in TABLES)])
    async with asyncio.TaskGroup() as tasks:
        for table in TABLES:
            count = table.rows(story.rows)
            for first, last in ((1, count // 2), (count // 2 + 1, count)):
                half = table.fill(first, last, old=True)
                tasks.create_task(asyncio.to_thread(_run, story, [half]))
    made = sum(table.rows(story.rows) for table in TABLES)
    say(f"{made:,} rows made in MySQL in {clock.seconds() - since:.1f} s")


def _change(story: Story) -> None:
    """Rows changed, added and removed at the source, as in an ordinary quarter of an hour."""
    statements = []
    for table in TABLES:
        count = table.rows(story.rows)
        statements.append(table.fill(count + 1, count + max(1, count // 50)))
        statements += _removal(story, table)
    statements += [
        (
            f"UPDATE {DATABASE}.{WIDE} SET status = 'delivered',"
            " amount_paid = amount_paid + 0.0001,"
            " remark = CONCAT(COALESCE(remark, ''), ' ✓') WHERE id % 37 = 0"
        ),
        f"UPDATE {DATABASE}.delivery_event SET note = NULL WHERE delivery_id % 41 = 0",
        f"UPDATE {DATABASE}.fee_rule SET percent = percent + 1",
    ]
    _run(story, statements)


def _removal(story: Story, table: DemoTable) -> list[str]:
    """DELETE of a few rows, remembered by key where the strategy cannot see it."""
    if not table.key:
        return [f"DELETE FROM {DATABASE}.{table.name} ORDER BY size_kb LIMIT 1"]
    first = table.key[0]
    clause = f"{first} % 997 = 3" if "INT" in table.columns[0][1] else f"{first} LIKE 'B-%'"
    where = f"FROM {DATABASE}.{table.name} WHERE {clause}"
    if table.keeps_deleted:
        gone = _run(story, [f"SELECT {', '.join(table.key)} {where}"])
        story.deleted.setdefault(table.name, set()).update(gone)
    return [f"DELETE {where}"]


def _touch(story: Story, word: str) -> None:
    """Change so many rows of the wide table that a sync of them takes a while."""
    _run(
        story,
        [
            (
                f"UPDATE {DATABASE}.{WIDE} SET attempts = attempts + 1,"
                f" remark = CONCAT('{word} ', id) WHERE id % {_CHANGED_SHARE} = 0"
            )
        ],
    )


def _run(story: Story, statements: list[str]) -> tuple[tuple[object, ...], ...]:
    """Run statements in MySQL, as the applications that own the tables do; the last one's rows."""
    with (
        connect(story.box.mysql.url) as connection,
        connection.cursor() as cursor,
    ):
        # Unmerged, a row's hash is computed once and not once for each column that is made of it.
        cursor.execute(
            "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION', optimizer_switch = 'derived_merge=off'"
        )
        for statement in statements:
            cursor.execute(statement)
        rows: tuple[tuple[object, ...], ...] = tuple(cursor.fetchall())
        connection.commit()
    return rows


def _verdict(story: Story) -> str:
    """Why the demo failed; empty when every difference is the one that had to be."""
    for table in TABLES:
        found = story.verified[table.name]
        deleted = story.deleted.get(table.name, set())
        if found.missing or found.changed:
            wrong = len(found.missing)
            return f"{table.name}: {wrong} rows of MySQL are not in Redshift as they are"
        if set(found.extra) != deleted or len(found.extra) != len(deleted):
            return (
                f"{table.name}: Redshift has {len(found.extra)} rows more, {len(deleted)} deleted"
            )
    return ""


async def _stay(box: Box) -> None:
    say("kept; Ctrl-C ends it. In another shell:")
    for name, value in box.environment.items():
        say(f"  export {name}='{value}'")
    while True:
        await clock.sleep(3600)
