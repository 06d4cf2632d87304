"""A query of the user's, from its tables to the target: by the command, from a pipeline's file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.model import Mode, Position, Proof, TableName, TableSpec
from s3rs_async.mysql import custom
from s3rs_async.mysql.bound import fix_bound
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.connection import Source, open_source
from s3rs_async.mysql.describe import describe
from s3rs_async.mysql.feed import Feed
from s3rs_async.mysql.reader import read_pass
from tests.acceptance import kinds
from tests.acceptance.cli import Cli, cli
from tests.acceptance.source import Run, application, configured, plan_of
from tests.acceptance.test_mysql_lookout import kept

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL

__all__ = ["cli"]

STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
OLD = "NOW(6) - INTERVAL 1 MINUTE"
BEHIND = 3.6
"""Seconds after which a row lies below the bound of a pass on an idle server."""


def read_rows(cli: Cli, config: Any, *options: str) -> int:
    """One pass of the pipeline's only entry; the rows that it read."""
    ended = cli.run("sync", "-p", "shop", "-o", "json", *options, config=config).does()
    (result,) = json.loads(ended.out)["table_results"].values()
    return int(result["rows_processed"])


def preview(cli: Cli, config: Any) -> dict[str, Any]:
    ended = cli.run("sync", "-p", "shop", "--dry-run", "-o", "json", config=config).does()
    (shown,) = json.loads(ended.out)["dry_run"]
    return dict(shown)


def make_shop(cli: Cli) -> None:
    cli.mysql(
        f"CREATE TABLE orders (id INT PRIMARY KEY, who INT, cents INT, u {STAMP}, KEY (u))",
        f"CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(20), u {STAMP})",
        f"INSERT INTO people SELECT seq, CONCAT('p', seq), {OLD} FROM seq_1_to_3",
        f"INSERT INTO orders SELECT seq, seq % 3 + 1, seq * 100, {OLD} FROM seq_1_to_30",
    )


JOINED = (
    "SELECT o.id, o.cents / 100 AS euros, p.name, GREATEST(o.u, p.u) AS changed"
    " FROM {0}.orders AS o JOIN {0}.people AS p ON p.id = o.who WHERE {{incremental_where}}"
)
AS_JOINED = (
    "SELECT o.id, o.cents / 100, p.name FROM orders AS o JOIN people AS p ON p.id = o.who"
    " ORDER BY 1"
)


def test_a_join_is_merged_by_the_newest_of_its_stamps(cli: Cli) -> None:
    make_shop(cli)
    asked = {
        "cdc_strategy": "custom_sql",
        "custom_sql": JOINED.format(cli.database),
        "primary_key": "id",
        "cdc_timestamp_column": "changed",
        "cursor_time_zone": "+00:00",
    }
    config = cli.pipeline({"bill": asked})
    assert preview(cli, config)["proof"] == "none"
    assert read_rows(cli, config) == 30
    shown = f"SELECT id, euros, name FROM {cli.schema}.bill ORDER BY 1"
    assert cli.redshift(shown) == cli.mysql(AS_JOINED)
    assert read_rows(cli, config) == 0
    cli.mysql(
        "UPDATE people SET name = 'other' WHERE id = 2", "UPDATE orders SET cents = 1 WHERE id = 30"
    )
    assert read_rows(cli, config) == 0, "what is newer than the bound waits"
    time.sleep(BEHIND)
    assert [read_rows(cli, config) for _ in range(2)] == [11, 0]
    assert cli.redshift(shown) == cli.mysql(AS_JOINED)


def test_rows_between_both_limits_are_appended_once(cli: Cli) -> None:
    make_shop(cli)
    wanted = f"SELECT u AS at, id FROM {cli.database}.orders WHERE id > 3 AND"
    ways = {
        "one": f"{wanted} {{incremental_where}}",
        "two": f"{wanted} u >= {{low}} AND u < {{high}}",
    }
    config = cli.pipeline(
        {
            name: {"custom_sql": text, "cdc_timestamp_column": "at", "apply": "append"}
            for name, text in ways.items()
        },
        defaults={"cdc_strategy": "custom_sql"},
    )
    for _ in range(2):
        cli.run("sync", "-p", "shop", config=config).does()
    cli.mysql("UPDATE orders SET cents = 0 WHERE id IN (1, 5)")
    cli.run("sync", "-p", "shop", config=config).does()
    count = "SELECT count(*), count(DISTINCT id) FROM {}.{}"
    for name in ways:
        assert cli.redshift(count.format(cli.schema, name)) == [(27, 27)]
    time.sleep(BEHIND)
    for _ in range(2):
        cli.run("sync", "-p", "shop", config=config).does()
    for name in ways:
        assert cli.redshift(count.format(cli.schema, name)) == [(28, 27)]
        position = cli.state(name)["position"]
        assert (position["key"], position["cursor"][:2]) == (None, "20")


def test_a_query_without_placeholders_replaces_what_the_target_holds(cli: Cli) -> None:
    make_shop(cli)
    text = (
        "SELECT who, COUNT(*) AS orders, SUM(cents) AS cents, 'x' AS mark, NULL + 1 AS nothing"
        f" FROM {cli.database}.orders GROUP BY who"
    )
    config = cli.pipeline({"sums": {"cdc_strategy": "custom_sql", "custom_sql": text}})
    shown = f"SELECT who, orders, cents FROM {cli.schema}.sums ORDER BY 1"
    assert read_rows(cli, config) == 3
    cli.mysql("DELETE FROM orders WHERE who = 1 OR id < 5")
    assert read_rows(cli, config) == 2
    assert cli.redshift(shown) == cli.mysql(
        "SELECT who, COUNT(*), SUM(cents) FROM orders GROUP BY who ORDER BY 1"
    )
    cli.mysql("DELETE FROM orders")
    assert read_rows(cli, config) == 0
    assert cli.redshift(shown) == []


def test_ids_of_a_query_are_read_once_each(cli: Cli) -> None:
    cli.mysql(
        "CREATE TABLE a (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, v INT)",
        "INSERT INTO a SELECT seq, seq FROM seq_1_to_9",
    )
    text = f"SELECT a.*, v * 2 AS twice FROM {cli.database}.a WHERE {{incremental_where}}"
    asked = {"custom_sql": text, "cdc_id_column": "id", "apply": "append"}
    config = cli.pipeline({"doubled": {"cdc_strategy": "custom_sql", **asked}})
    assert preview(cli, config)["proof"] == "proven"
    assert [read_rows(cli, config) for _ in range(2)] == [9, 0]
    cli.mysql("INSERT INTO a (v) VALUES (10), (11)", "UPDATE a SET v = 0 WHERE id = 3")
    assert [read_rows(cli, config) for _ in range(2)] == [2, 0]
    shown = f"SELECT id, twice FROM {cli.schema}.doubled ORDER BY 1"
    assert cli.redshift(shown) == [(id_, 2 * id_) for id_ in range(1, 12)]
    assert cli.state("doubled")["position"] == {"cursor": "12", "key": None, "nulls": None}


REFUSED = {
    "SELECT nope FROM {0}.a": "Unknown column 'nope'",
    "SELECT id FROM a": "write each table as schema.table",
    "SELECT * FROM {0}.a AS x JOIN {0}.a AS y": "two columns have one name",
    "SELECT id, v FROM {0}.nothing": "unknown table",
    "SELECT id, NULL AS x FROM {0}.a": "CAST",
    "SELECT id FRM {0}.a": "no such SELECT",
    "SELECT id FROM {0}.a; DROP TABLE {0}.a": "a semicolon",
    "SELECT id INTO OUTFILE '/tmp/never' FROM {0}.a": "locks or writes",
}


def test_a_query_that_cannot_be_is_a_mistake_of_the_request(cli: Cli) -> None:
    cli.mysql("CREATE TABLE a (id INT PRIMARY KEY, v INT)")

    def refuse(text: str) -> Any:
        asked = {"cdc_strategy": "custom_sql", "custom_sql": text.format(cli.database)}
        return cli.run("sync", "-p", "shop", config=cli.pipeline({"b": asked}))

    for text, words in REFUSED.items():
        refuse(text).fails(2, words, f"{cli.database}.b")
    assert cli.objects() == {}


def test_the_doctor_looks_at_a_query(cli: Cli) -> None:
    make_shop(cli)
    text = f"SELECT id, u FROM {cli.database}.orders WHERE {{incremental_where}}"
    asked = {"custom_sql": text, "cdc_timestamp_column": "u", "primary_key": "id"}
    config = cli.pipeline({"b": {"cdc_strategy": "custom_sql", **asked}})
    told = cli.run("doctor", config=config).out
    assert "the query gives 2 columns" in told
    assert "custom_sql by u, key (id)" in told


async def planned(source: Source, text: str, **asked: Any) -> ReadPlan:
    spec = TableSpec(TableName(source.name, "q"), sql=text.format(source.name), **asked)
    async with source.session(purpose="test") as session:
        return custom.choose(await describe(session, spec), spec)


async def read(source: Source, plan: ReadPlan, at: Position | None = None) -> Any:
    """All rows of a pass as one table, and its end's position."""
    bound = await fix_bound(source, plan)
    found, after = [], at
    async with contextlib.aclosing(read_pass(source, plan, at, bound)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                found.append(item)
            else:
                after = item.after
    return pa.Table.from_batches(found) if found else None, after, bound


async def test_a_stamp_of_the_only_table_is_proven_and_of_one_of_several_is_not(
    source: Source, run: Run
) -> None:
    run(f"CREATE TABLE a (id INT PRIMARY KEY, u {STAMP})")
    plain = "SELECT id, u AS t FROM {0}.a WHERE {{incremental_where}}"
    joined = "SELECT x.id, x.u AS t FROM {0}.a x, {0}.a y WHERE {{incremental_where}}"
    asked: dict[str, Any] = {"cursor": "t", "key": ("id",)}
    proofs = [
        (await fix_bound(source, await planned(source, text, **asked))).proof
        for text in (plain, joined)
    ]
    assert proofs == [Proof.PROVEN, Proof.NONE]


async def test_a_running_watch_vouches_for_the_ids_of_a_query(
    box: Box, database: str, run: Run
) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT)")
    run("INSERT INTO a VALUES (1), (2)")
    text = f"SELECT id AS n FROM {database}.a WHERE {{incremental_where}}"
    spec = TableSpec(TableName(database, "q"), sql=text, id="n", mode=Mode.APPEND)
    async with open_source(database, configured(box.mysql)) as source, kept(source) as lookout:
        feed = Feed(source, lookout)
        plan = custom.choose((await feed.described(spec))[0], spec)
        first = await feed.bound(plan)
        run("INSERT INTO a VALUES (7)")
        second = await feed.bound(plan)
        assert await feed.renewed(plan) is None
    assert [(each.hi, each.proof) for each in (first, second)] == [
        ("3", Proof.PROVEN),
        ("8", Proof.PROVEN),
    ]


async def test_a_row_committed_late_is_not_lost(source: Source, run: Run, box: Box) -> None:
    run(f"CREATE TABLE a (id INT PRIMARY KEY, u {STAMP})")
    text = "SELECT id, u FROM {0}.a WHERE {{incremental_where}}"
    plan = await planned(source, text, cursor="u", mode=Mode.APPEND)
    with application(box.mysql, source.name, "'+00:00'") as other:
        other("BEGIN")
        other("INSERT INTO a (id) VALUES (1)")
        await asyncio.sleep(3.2)
        run("INSERT INTO a (id) VALUES (2)")
        first = asyncio.create_task(read(source, plan))
        await asyncio.sleep(1.0)
        other("COMMIT")
    before, at, _ = await first
    await asyncio.sleep(BEHIND)
    after, _, _ = await read(source, plan, at)
    ids = [row for rows in (before, after) if rows for row in rows.column("id").to_pylist()]
    assert sorted(ids) == [1, 2]


async def test_the_first_pass_reads_what_no_later_one_would(server: MySQL, home: str) -> None:
    with application(server, home, "'+00:00'") as run:
        run(
            "CREATE TABLE a (id INT PRIMARY KEY, t DATETIME, d DATE, s TIMESTAMP NULL,"
            " n BIGINT UNSIGNED, i INT)"
        )
        run("INSERT INTO a VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00', 0, -5)")
        run("INSERT INTO a VALUES (2, '1999-02-28', '1000-01-01', '1970-01-01 00:00:01', 7, 7)")
    source = Source(home, configured(server))
    for cursor in ("t", "d", "s"):
        text = f"SELECT id, t, d, s FROM {{0}}.a WHERE {cursor} >= {{{{low}}}}"
        found, _, _ = await read(source, await planned(source, text, cursor=cursor, key=("id",)))
        assert sorted(found.column("id").to_pylist()) == [1, 2], cursor
    for cursor, ids in {"n": [0, 7], "i": [-5, 7]}.items():
        text = f"SELECT {cursor} FROM {{0}}.a WHERE {cursor} >= {{{{low}}}}"
        found, at, _ = await read(source, await planned(source, text, id=cursor, key=(cursor,)))
        assert (sorted(found.column(cursor).to_pylist()), at) == (ids, Position("8"))


async def test_times_that_a_query_makes_are_told_in_their_zone(server: MySQL, home: str) -> None:
    with application(server, home, "'+00:00'") as run:
        run(f"CREATE TABLE a (id INT PRIMARY KEY, u {STAMP}, w {STAMP})")
        run("INSERT INTO a (id) VALUES (1)")
    source = Source(home, configured(server))
    text = "SELECT id, GREATEST(u, w) AS t FROM {0}.a WHERE {{incremental_where}}"
    asked: dict[str, Any] = {"cursor": "t", "mode": Mode.APPEND, "cursor_time_zone": "+00:00"}
    plan = await planned(source, text, **asked)
    before, at, bound = await read(source, plan)
    assert (before, bound.proof) == (None, Proof.NONE)
    await asyncio.sleep(BEHIND)
    after, at, _ = await read(source, plan, at)
    assert after.column("id").to_pylist() == [1]
    again, _, _ = await read(source, plan, at)
    assert again is None


async def test_a_read_that_breaks_in_its_middle_is_not_resumed(source: Source, run: Run) -> None:
    run("CREATE TABLE a AS SELECT seq AS id, REPEAT('x', 1000) AS x FROM seq_1_to_100000")
    plan = await planned(source, "SELECT id, x FROM {0}.a")
    items = read_pass(source, plan, None, None)
    async with contextlib.aclosing(items):
        assert (await anext(items)).num_rows > 0
        for row in run("SHOW PROCESSLIST"):
            if "s3rs_query" in str(row[7]):
                run(f"KILL QUERY {row[0]}")
        with pytest.raises(UnavailableError, match="killed"):
            async for _ in items:
                pass


async def test_a_stamp_of_no_zone_is_refused_without_one(source: Source, run: Run) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME NOT NULL)")
    text = "SELECT id, LEAST(t, '2030-01-01') AS t FROM {0}.a WHERE t >= {{low}}"
    made = await planned(source, text, cursor="t", key=("id",))
    with pytest.raises(ConfigError, match="by which clock"):
        await fix_bound(source, made)
    plain = await planned(
        source, "SELECT * FROM {0}.a WHERE {{incremental_where}}", cursor="t", key=("id",)
    )
    assert (await fix_bound(source, plain)).proof is Proof.NONE


@pytest.mark.parametrize("protocol", ["binary", "text"])
async def test_every_type_is_read_from_a_query_as_from_its_table(
    protocol: str, server: MySQL, home: str, box: Box
) -> None:
    types = kinds.of(mariadb=server is box.mysql)
    rows = kinds.rows(types, 20, 1, first=7)
    with application(server, home, "'+00:00'") as run:
        run("SET sql_mode = 'ALLOW_INVALID_DATES'")
        columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(types))
        run(f"CREATE TABLE a (id INT PRIMARY KEY, {columns}) CHARSET=utf8mb4")
        for number, row in enumerate(rows):
            run(f"INSERT INTO a VALUES ({number}, {', '.join(map(kinds.literal, row))})")
    source = Source(home, configured(server, protocol=protocol))
    table, _, _ = await read(source, await plan_of(source))
    plan = await planned(source, "SELECT * FROM {0}.a", key=("id",))
    asked, _, _ = await read(source, plan)
    asked = asked.sort_by("id")
    assert asked.schema.names == table.schema.names
    for name in table.schema.names:
        ours, theirs = asked.column(name), table.column(name)
        assert (ours.type, ours.to_pylist()) == (theirs.type, theirs.to_pylist()), name
