"""What loads leave behind: SYS_LOAD_HISTORY, load errors, files (rules C1 to C9, C14)."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from typing import Any

import asyncpg
import pyarrow as pa

from tests.standin.checks import check
from tests.standin.site import Site

TWO = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", "y"]})
TABLE = "CREATE TABLE t (a BIGINT, b VARCHAR(10))"
WAYS = [("simple", "execute"), ("extended", "fetch")]


def wide(text: str = "x" * 11) -> pa.Table:
    return pa.table({"a": pa.array([1], pa.int64()), "b": [text]})


async def refused(at: Site, way: str, name: str, content: Any, *, block: bool = True) -> Any:
    """The error of a COPY in a transaction that is then rolled back."""
    await at.run(TABLE)
    at.put(name, content)
    if block:
        await at.run("BEGIN")
    error = await at.fails(getattr(at.con, way)(at.copy(name)))
    if block:
        await at.run("ROLLBACK")
    return error


def one(rows: list[Any]) -> Any:
    """The only row there is."""
    assert len(rows) == 1
    return rows[0]


async def last(at: Site, columns: str, view: str = "sys_load_history") -> list[tuple[Any, ...]]:
    """What a log says of the loads from the check's folder."""
    place = {
        "sys_load_history": "data_source",
        "sys_load_error_detail": "file_name",
        "sys_load_detail": "file_name",
    }.get(view, "filename")
    return await at.rows(f"SELECT {columns} FROM {view} WHERE {place} LIKE '{at.uri('')}%'")


async def until_gone(connection: Any, statement: str) -> None:
    """Run a statement on a connection that ends meanwhile."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.execute(statement)


@check("C1", WAYS)
async def a_wrong_value_is_logged_and_outlives_the_rollback(at: Site, way: str) -> None:
    error = await refused(at, way, "bad", wide())
    columns = (
        "trim(database_name), trim(file_name), trim(column_name), trim(column_type),"
        " trim(column_length), error_code, trim(error_message)"
    )
    found = one(await last(at, columns, "sys_load_error_detail"))
    database, file, *column, code, said = found
    assert (database, file) == (at.place.login["database"], at.uri("bad"))
    assert (column, code) == (["b", "varchar", "10"], 15007)
    assert "Table: 10, Data: 11" in said
    assert said in error.detail


@check("C1", [("type", {"a": ["x"], "b": ["x"]}), ("count", {"a": pa.array([1], pa.int64())})])
async def a_wrong_file_is_logged(at: Site, columns: dict[str, Any]) -> None:
    error = await refused(at, "execute", "bad", pa.table(columns))
    found = "trim(file_name), error_code, trim(error_message)"
    file, code, said = one(await last(at, found, "sys_load_error_detail"))
    assert (file, code) == (at.uri("bad"), 15007)
    assert said.strip() in error.detail


@check("C1")
async def a_file_that_a_manifest_misses_is_logged(at: Site) -> None:
    await at.run(TABLE)
    at.manifest("m", at.entry("gone", 7))
    await at.fails(at.copy("m", more="MANIFEST"))
    assert await last(at, "trim(file_name)", "sys_load_error_detail") == [(at.uri("gone"),)]


@check("C1")
async def an_error_belongs_to_its_load(at: Site) -> None:
    await refused(at, "execute", "bad", wide())
    rows = await at.rows(
        "SELECT e.session_id, e.table_id, e.transaction_id = h.transaction_id, h.status"
        " FROM sys_load_error_detail e JOIN sys_load_history h USING (query_id)"
        f" WHERE e.file_name = '{at.uri('bad')}'"
    )
    pid = await at.con.fetchval("SELECT pg_backend_pid()")
    table = await at.con.fetchval("SELECT 't'::regclass::oid::int")
    assert rows == [(pid, table, True, "aborted")]


@check("C1", only_here="nobody knows what Redshift does with a NUL byte", proves=False)
async def a_value_with_a_nul_byte_does_no_harm(at: Site) -> None:
    await refused(at, "execute", "bad", wide("x\0" * 11))
    assert len(await last(at, "raw_field_value", "stl_load_errors")) == 1


@check("C2", WAYS)
async def stl_load_errors_tells_the_same(at: Site, way: str) -> None:
    await refused(at, way, "bad", wide())
    columns = (
        "trim(colname), trim(type), trim(col_length), err_code, trim(raw_field_value), is_partial,"
        " query = (SELECT max(query_id) FROM sys_load_error_detail d WHERE d.file_name = filename)"
    )
    *found, said = one(await last(at, f"{columns}, err_reason", "stl_load_errors"))
    assert found == ["b", "varchar", "10", 15007, "x" * 11, 0, True]
    assert "Table: 10, Data: 11" in said


@check("C2")
async def stl_loaderror_detail_has_the_field(at: Site) -> None:
    await refused(at, "execute", "bad", wide())
    columns = "trim(colname), trim(value), field, is_null, trim(type), trim(col_length)"
    found = await last(at, columns, "stl_loaderror_detail")
    assert found == [("b", "x" * 11, 2, 0, "varchar", "10")]


@check("C3", WAYS)
async def a_good_load_is_completed_with_its_counts(at: Site, way: str) -> None:
    await at.run(TABLE)
    size = at.put("x/1", TWO) + at.put("x/2", wide("y"))
    await getattr(at.con, way)(at.copy("x/"))
    query = await at.con.fetchval("SELECT pg_last_copy_id()")
    row = one(await at.con.fetch(f"SELECT * FROM sys_load_history WHERE query_id = {query}"))
    assert row["status"] == "completed"
    assert (row["loaded_rows"], row["source_file_count"], row["file_count_scanned"]) == (3, 2, 2)
    assert row["source_file_bytes"] == row["file_bytes_scanned"] == size
    assert row["loaded_bytes"] > 0
    assert (row["table_name"], row["data_source"]) == ("t", at.uri("x/"))
    assert (row["file_format"].lower(), row["error_count"]) == ("parquet", 0)
    assert row["duration"] > 0
    assert row["start_time"] < row["end_time"]
    assert row["session_id"] == await at.con.fetchval("SELECT pg_backend_pid()")


@check("C3")
async def times_are_utc(at: Site) -> None:
    await at.run(TABLE, "SET timezone TO 'Asia/Tokyo'")
    at.put("a", TWO)
    await at.run(at.copy("a"))
    start, end, transaction = one(await last(at, "start_time, end_time, transaction_id"))
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    assert max(now - start, now - end) < dt.timedelta(minutes=1)
    assert transaction > 0


@check("C4", only_here="it is held up by a knob")
async def a_load_that_runs_is_seen_running(at: Site) -> None:
    await at.run(TABLE)
    at.put("a", TWO)
    other = await at.connect()
    await other.execute("SET s3rs_standin.slow_copy = '0.5'")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other.execute(at.copy("a")))
        seen: list[tuple[Any, ...]] = []
        for _ in range(20):
            seen = await last(at, "status, end_time, loaded_rows, error_count")
            if seen:
                break
            await asyncio.sleep(0.02)
    assert seen == [("running", None, 0, 0)]


@check("C5", WAYS)
async def a_failed_load_is_aborted(at: Site, way: str) -> None:
    await refused(at, way, "bad", wide())
    columns = "status, error_count, loaded_rows, end_time >= start_time"
    assert await last(at, columns) == [("aborted", 1, 0, True)]


@check("C5")
async def a_load_of_nothing_is_aborted(at: Site) -> None:
    await at.run(TABLE)
    await at.fails(at.copy("nothing/"))
    assert await last(at, "status, table_name") == [("aborted", "t")]


@check("C5", only_here="it is held up by a knob")
async def a_load_whose_client_vanishes_is_aborted(at: Site) -> None:
    await at.run(TABLE)
    at.put("a", TWO)
    other = await at.connect()
    await other.execute("SET s3rs_standin.slow_copy = '5'")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(until_gone(other, at.copy("a")))
        await asyncio.sleep(0.15)
        other.terminate()
    found: list[tuple[Any, ...]] = []
    for _ in range(40):
        found = await last(at, "status, error_count")
        if found != [("running", 0)]:
            break
        await asyncio.sleep(0.05)
    assert found == [("aborted", 0)]


@check("C5", proves=False)
async def a_copy_that_is_refused_at_once_never_began(at: Site) -> None:
    await at.run(TABLE)
    await at.fails(at.copy("x/", more="GZIP"))
    await at.fails(at.copy("x/", "no_such_table"))
    assert await last(at, "status") == []


@check("C6")
async def a_rolled_back_load_stays_completed(at: Site) -> None:
    await at.run(TABLE)
    at.put("a", TWO)
    await at.run("BEGIN", at.copy("a"), "ROLLBACK")
    assert await last(at, "status, loaded_rows") == [("completed", 2)]
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


WIDTHS = [
    ("file_name", "sys_load_error_detail", "file_name", 256),
    ("error_message", "sys_load_error_detail", "error_message", 512),
    ("column_type", "sys_load_error_detail", "column_type", 10),
    ("filename", "stl_load_errors", "filename", 256),
    ("colname", "stl_load_errors", "colname", 127),
    ("raw_line", "stl_load_errors", "raw_line", 1024),
    ("raw_field_value", "stl_load_errors", "raw_field_value", 1024),
    ("err_reason", "stl_load_errors", "err_reason", 100),
]


@check("C7", WIDTHS)
async def a_text_has_its_width(at: Site, view: str, column: str, size: int) -> None:
    await refused(at, "execute", "bad" + "/long" * 60, wide(), block=False)
    place = "filename" if view == "stl_load_errors" else "file_name"
    found = await at.rows(f"SELECT {column} FROM {view} WHERE {place} LIKE '{at.uri('bad')}%'")
    assert [len(value) for (value,) in found] == [size]


@check("C8", [("sys_load_detail", "sys_load_detail", "lines_scanned, bytes_scanned"),
              ("stl_load_commits", "stl_load_commits", "lines_scanned, byte_offset")])  # fmt: skip
async def each_file_has_a_row(at: Site, view: str, counts: str) -> None:
    await at.run(TABLE)
    sizes = [at.put("x/1", TWO), at.put("x/2", wide("y"))]
    await at.run(at.copy("x/"))
    name = "file_name" if view == "sys_load_detail" else "filename"
    query = "query_id" if view == "sys_load_detail" else "query"
    found = await at.rows(
        f"SELECT trim({name}), {counts} FROM {view} WHERE {query} = pg_last_copy_id() ORDER BY 1"
    )
    assert found == [(at.uri("x/1"), 2, sizes[0]), (at.uri("x/2"), 1, sizes[1])]


@check("C9", [("prefix", "nothing/", ""), ("manifest", "nothing", "MANIFEST")])
async def an_error_of_the_leader_is_no_load_error(at: Site, name: str, more: str) -> None:
    await at.run(TABLE)
    await at.fails(at.copy(name, more=more))
    assert await last(at, "status") == [("aborted",)]
    assert await last(at, "error_code", "sys_load_error_detail") == []


@check("C14")
async def raw_line_has_periods_for_wide_characters(at: Site) -> None:
    await refused(at, "execute", "bad", wide("ä€x" * 4))
    assert await last(at, "trim(raw_line)", "stl_load_errors") == [("..x" * 4,)]


@check("C1", proves=False, only_here="the keys are made up")
async def keys_are_in_no_log(at: Site) -> None:
    await at.run(TABLE)
    keys = "ACCESS_KEY_ID 'AKIASECRET' SECRET_ACCESS_KEY 'HUSHHUSH'"
    at.put("bad", wide())
    await at.fails(f"COPY t FROM '{at.uri('bad')}' {keys} FORMAT AS PARQUET")
    for view in ("stl_load_errors", "sys_load_error_detail", "sys_load_history", "stv_recents"):
        for row in await at.con.fetch(f"SELECT * FROM {view}"):
            assert "HUSHHUSH" not in str(tuple(row))
