"""The harness itself, without the daemon: what it writes, what it asks, and what it would catch."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from s3rs_async.config import load_connections
from s3rs_async.config.pipeline import check_pipeline, load_pipelines
from s3rs_async.model import CursorFormat, Strategy
from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql
from tests.acceptance.running import Commands
from tests.daemon.figures import Figures, Freshness
from tests.daemon.process import Daemon
from tests.daemon.proof import prove, settled
from tests.daemon.tables import LOOKBACK, SHAPES
from tests.daemon.writers import writing

if TYPE_CHECKING:
    from tests.daemon.conftest import Town
    from tests.daemon.tables import Table

FAKE = """
import http.server, json, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        ready = Handler.asked > 3
        self.send_response(200 if ready or self.path != "/readyz" else 503)
        self.end_headers()
        label = '{pipeline="p",table="a.b",outcome="success"}'
        self.wfile.write(f's3rs_passes_total{label} {Handler.asked}\\n'.encode())
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7 if "--seven" in sys.argv else 0))
print(json.dumps({"event": "something else", "words": sys.argv[1:]}), flush=True)
address = f"127.0.0.1:{server.server_address[1]}"
print(json.dumps({"event": "daemon started", "listen": address}), file=sys.stderr, flush=True)
server.serve_forever()
"""


def fake(town: Town, *options: str) -> Daemon:
    """Something that starts, answers and ends as the daemon does."""
    daemon = town.daemon("fake", *options)
    daemon.command = (sys.executable, "-c", FAKE)
    return daemon


def test_tables_are_spread_over_all_servers_in_all_shapes(town: Town) -> None:
    town.settle(8, rows=50, every="10s")
    assert [table.server.name for table in town.tables[:4]] == [
        "mysql",
        "mysql2",
        "mysql3",
        "mysql",
    ]
    assert {table.shape.name for table in town.tables} == {shape.name for shape in SHAPES}
    for table in town.tables:
        assert mysql(table.server.url, f"SELECT COUNT(*) FROM {table.name}") == ((50,),)
        assert int(mysql(table.server.url, table.top)[0][0]) == 50


def test_the_pipelines_that_are_written_are_pipelines(town: Town) -> None:
    town.settle(8, rows=1, every="7s")
    folder = town.folder / "config"
    connections = load_connections(folder, {})
    pipelines = load_pipelines(folder, {})
    assert [each.name for each in pipelines] == ["mysql", "mysql2", "mysql3"] == town.pipelines
    entries = {}
    for pipeline in pipelines:
        check_pipeline(pipeline, connections)
        assert pipeline.source == pipeline.name
        assert {entry.every for entry in pipeline.entries} == {7.0}
        entries.update({str(entry.spec.table): entry.spec for entry in pipeline.entries})
    assert set(entries) == {table.name for table in town.tables}
    by_shape = {table.shape.name: entries[table.name] for table in town.tables}
    assert by_shape["events"].strategy is Strategy.ID_ONLY
    assert by_shape["prices"].format is CursorFormat.UNIX
    assert by_shape["prices"].lookback == LOOKBACK
    assert by_shape["orders"].strategy is None


async def test_writers_write_to_every_table_until_they_are_stopped(town: Town) -> None:
    town.settle(4, rows=100, every="10s")
    before = [_print(table) for table in town.tables]
    async with writing(town.tables, rate=20, slow=0.3, seed=7) as writers:
        await asyncio.sleep(2)
        await writers.stop()
        assert min(writers.committed[table.name] for table in town.tables) > 10
        after = [_print(table) for table in town.tables]
        await asyncio.sleep(0.5)
        assert [_print(table) for table in town.tables] == after
    assert not writers.lost
    for table, (rows, changed), (more, changed_more) in zip(
        town.tables, before, after, strict=True
    ):
        assert more > rows, table.name
        assert (changed_more > changed) == bool(table.shape.change), table.name


def _print(table: Table) -> tuple[int, int]:
    revisions = "SUM(revision)" if table.shape.change else "0"
    (found,) = mysql(table.server.url, f"SELECT COUNT(*), {revisions} FROM {table.name}")
    return int(found[0]), int(found[1])


async def test_a_slow_transaction_is_stamped_long_before_it_is_seen(town: Town) -> None:
    town.settle(1, rows=20, every="10s")
    (table,) = town.tables
    seen, late = 20, 0
    async with writing(town.tables, rate=20, slow=2.0):
        until = time.monotonic() + 10
        while late < 400_000 and time.monotonic() < until:
            await asyncio.sleep(0.02)
            age = "TIMESTAMPDIFF(MICROSECOND, MIN(changed), NOW(6))"
            statement = (
                f"SELECT COALESCE(MAX(id), {seen}), {age} FROM {table.name} WHERE id > {seen}"
            )
            ((top, found),) = mysql(table.server.url, statement)
            seen, late = int(top), max(late, int(found or 0))
    assert late >= 400_000


async def test_writers_go_on_after_their_server_was_away(town: Town) -> None:
    town.settle(3, rows=20, every="10s")
    away = town.tables[2]
    async with writing(town.tables, rate=20) as writers:
        await asyncio.sleep(1)
        await town.sandbox.halt("mysql3")
        await asyncio.sleep(1)
        await town.sandbox.resume("mysql3")
        known = writers.committed.copy()
        await asyncio.sleep(2)
        await writers.stop()
    assert set(writers.lost) == {away.name}
    assert all(writers.committed[table.name] > known[table.name] for table in town.tables)


async def test_a_writer_s_own_mistake_ends_the_test(town: Town) -> None:
    town.settle(1, rows=20, every="10s")
    (table,) = town.tables
    with pytest.raises(BaseExceptionGroup) as caught:
        async with writing(town.tables, rate=20):
            mysql(table.server.url, f"ALTER TABLE {table.name} DROP COLUMN name")
            await asyncio.sleep(5)
    error: Any = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, pymysql.err.OperationalError)


async def test_a_daemon_is_started_asked_and_told_to_end(town: Town) -> None:
    town.settle(1, rows=1, every="10s")
    daemon = fake(town, "--parallel", "2")
    await daemon.start()
    words = (await daemon.logged("something else"))["words"]
    config = str(town.folder / "config")
    assert words == [
        *("-p", "mysql", "--config", config, "--listen", "127.0.0.1:0", "--parallel", "2")
    ]
    figures = await daemon.scrape()
    assert figures.sum("s3rs_passes_total", pipeline="p", outcome="success") >= 4
    assert 4_000_000 < daemon.rss < 200_000_000
    assert daemon.peak >= daemon.rss // 2
    assert 0 < daemon.cpu < 10
    code, seconds = await daemon.terminate(within=5)
    assert code == 0
    assert seconds < 3
    assert not daemon.running


async def test_a_daemon_that_is_killed_starts_again_with_a_log_of_its_own(town: Town) -> None:
    town.settle(1, rows=1, every="10s")
    daemon = fake(town, "--seven")
    await daemon.start()
    first, at = daemon.log, daemon.listen
    await daemon.killed()
    with pytest.raises(OSError, match="refused"):
        await daemon.scrape()
    await daemon.start()
    assert daemon.log != first
    assert daemon.listen != at
    assert (await daemon.terminate(within=5))[0] == 7


async def test_a_daemon_that_does_not_start_shows_its_log(town: Town) -> None:
    town.settle(1, rows=1, every="10s")
    daemon = fake(town)
    daemon.command = (sys.executable, "-c", "print('the reason'); raise SystemExit(3)")
    with pytest.raises(AssertionError, match=r"it ended with 3(?s:.*)the reason"):
        await daemon.start()


async def test_settled_waits_for_two_successes_of_each_table(town: Town) -> None:
    """The fake counts its scrapes as passes of a table."""
    town.settle(1, rows=1, every="10s")
    daemon = fake(town)
    await daemon.start()
    (table,) = town.tables
    with pytest.raises(AssertionError, match="two more successes"):
        await settled([daemon], [table], within=1)
    object.__setattr__(table, "name", "a.b")
    object.__setattr__(table.server, "name", "p")
    try:
        assert await settled([daemon], [table], within=5) < 7
    finally:
        object.__setattr__(table.server, "name", "mysql")


def test_figures_are_summed_by_the_labels_asked_for() -> None:
    text = (
        '# TYPE s3rs_errors_total counter\ns3rs_errors_total{table="a.b",kind="x"} 2\n'
        's3rs_errors_total{table="a.b",kind="y"} 3\ns3rs_errors_total{table="a.c",kind="y"} 5\n'
    )
    figures = Figures.parse(text)
    assert figures.sum("s3rs_errors_total") == 10
    assert figures.sum("s3rs_errors_total", table="a.b") == 5
    assert figures.sum("s3rs_errors_total", table="a.b", kind="y") == 3
    assert figures.values("s3rs_errors_total", table="a.d") == []


def test_freshness_is_of_the_best_process_and_remembers_the_dead(town: Town) -> None:
    town.settle(1, rows=1, every="10s")
    (table,) = town.tables

    def success(at: float) -> Figures:
        labels = f'pipeline="{table.pipeline}",table="{table.name}"'
        name = "s3rs_last_success_timestamp_seconds"
        return Figures.parse(f"# TYPE {name} gauge\n{name}{{{labels}}} {at}\n")

    fresh = Freshness(1000.0)
    fresh.see(1003.0, [table], [])
    assert fresh.worst == {table.name: 3.0}
    fresh.see(1010.0, [table], [success(1009.0), success(1004.0)])
    fresh.see(1015.0, [table], [success(1004.0)])
    assert fresh.worst == {table.name: 6.0}


def test_the_proof_sees_a_row_that_is_missing_and_one_that_is_changed(town: Town) -> None:
    """Brought there by the command, for the first table needs no wishes."""
    town.settle(1, rows=300, every="10s")
    (table,) = town.tables
    box, url = town.box, table.server.url
    commands = Commands(town.folder, {**box.environment, "XDG_CACHE_HOME": str(town.folder)})
    try:
        commands.sync("-t", table.name, "--source", table.server.name)
    finally:
        commands.stop()
    assert assert_equal(box, table.name, source=url, key=table.shape.key) == 300
    place = table.place(box)
    assert place.layout.pipeline == "mysql"
    ledger.check(replace(place, pipeline=""))
    mysql(url, f"UPDATE {table.name} SET note = 'x' WHERE id = 7")
    mysql(url, table.insert(301, 301))
    with pytest.raises(AssertionError, match="2 rows missing, 1 too many"):
        prove(box, town.tables)
