"""Locks, ends of transactions, cancelling and vanishing: rules L1, L4, X2 to X5, X7, X8."""

from __future__ import annotations

import asyncio

import pyarrow as pa

from tests.standin.checks import check
from tests.standin.pending import pending
from tests.standin.site import Site

HOW = [("simple", "execute"), ("extended", "fetch")]
SLOWED = "slows a COPY down by a knob"
LONG = "SELECT count(*) FROM svv_columns a, svv_columns b, svv_columns c, svv_columns d"
MERGE = (
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b "
    "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)"
)
WRITES = [
    ("insert", "INSERT INTO t VALUES (9, 9)"),
    ("insert-select", "INSERT INTO t SELECT a, b FROM s"),
    ("update", "UPDATE t SET b = 7 WHERE a = 1"),
    ("delete", "DELETE FROM t WHERE a = 1"),
    ("delete-short", "DELETE t WHERE a = 1"),
    ("merge", MERGE),
    ("qualified", "INSERT INTO {schema}.t VALUES (9, 9)"),
]


def _each(rows: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(f"{title}-{how}", sql, act) for title, sql in rows for how, act in HOW]


async def _t(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (1, 1)")
    await at.run("CREATE TABLE s (a INT, b INT)")


def _file(at: Site) -> None:
    columns = {"a": pa.array([3], pa.int32()), "b": pa.array([3], pa.int32())}
    at.put("x/1", pa.table(columns))


@check("X2", _each(WRITES))
async def a_write_waits_for_the_table(at: Site, write: str, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "INSERT INTO t VALUES (5, 5)")
    async with pending(getattr(other, how)(write.format(schema=at.schema))) as writing:
        assert await writing.queues(at.con, other)
        await at.run("COMMIT")
        await writing.result()
    assert await other.fetchval("SELECT count(*) FROM t WHERE a = 5") == 1


@check("X2", HOW)
async def a_copy_waits_for_the_table(at: Site, how: str) -> None:
    await _t(at)
    _file(at)
    other = await at.connect()
    await at.run("BEGIN")
    await at.con.fetch("UPDATE t SET b = $1", 4)
    async with pending(getattr(other, how)(at.copy("x/"))) as copying:
        assert await copying.queues(at.con, other)
        await at.run("COMMIT")
        await copying.result()
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("X2", HOW)
async def a_write_sees_what_it_waited_for(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "UPDATE t SET b = 10 WHERE a = 1")
    async with pending(getattr(other, how)("UPDATE t SET b = b + 1 WHERE a = 1")) as writing:
        assert await writing.queues(at.con, other)
        await at.run("COMMIT")
        await writing.result()
    assert await at.rows("SELECT b FROM t") == [(11,)]


@check("X2", [("simple", "execute"), ("extended", "fetch")], proves=False)
async def readers_go_on_while_a_table_is_written(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN")
    await getattr(at.con, how)("DELETE FROM t")
    assert await other.fetchval("SELECT count(*) FROM t") == 1


@check("X2", HOW)
async def a_waiting_write_can_be_cancelled(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN; INSERT INTO t VALUES (5, 5)")
    stopped = False
    try:
        await getattr(other, how)("DELETE FROM t", timeout=0.15)
    except TimeoutError:
        stopped = True
    assert stopped
    assert await other.fetchval("SELECT 1") == 1


@check("X2", HOW, proves=False)
async def a_lock_is_listed_and_can_be_broken(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    ((pid,),) = await at.rows("SELECT pg_backend_pid()")
    await at.run("BEGIN", "LOCK t")
    row = await other.fetchrow(
        "SELECT txn_db, xid, pid, txn_start, lockable_object_type FROM svv_transactions "
        "WHERE pid = $1 AND lock_mode = 'AccessExclusiveLock'", pid,
    )  # fmt: skip
    assert (row["txn_db"], row["lockable_object_type"]) == (at.place.login["database"], "relation")
    assert row["txn_start"] is not None
    assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
    await getattr(other, how)("INSERT INTO t VALUES (3, 3)")


@check("X2", proves=False)
async def two_that_wait_for_each_other_are_a_deadlock(at: Site) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "INSERT INTO t VALUES (1, 1)")
    await other.execute("BEGIN; INSERT INTO s VALUES (1, 1)")
    async with pending(other.execute("INSERT INTO t VALUES (2, 2)")) as one:
        assert await one.queues(at.con, other)
        async with pending(at.con.execute("INSERT INTO s VALUES (2, 2)")) as two:
            first = await asyncio.wait_for(_either(one.result(), two.result()), 20)
    assert (first.sqlstate, first.args[0]) == ("40P01", "deadlock detected")


async def _either(*awaitables: object) -> object:
    """The error of the one that fails first."""
    done, _ = await asyncio.wait(
        [asyncio.ensure_future(each) for each in awaitables],
        return_when=asyncio.FIRST_EXCEPTION,
    )
    (error,) = [task.exception() for task in done if task.exception()]
    return error


@check("X3", HOW)
async def after_a_waiting_lock_the_commit_is_seen(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "LOCK t")
    await other.execute("BEGIN")
    async with pending(getattr(other, how)("LOCK TABLE t")) as locking:
        assert await locking.queues(at.con, other)
        await at.run("INSERT INTO t VALUES (2, 2)", "COMMIT")
        await locking.result()
    assert await other.fetchval("SELECT count(*) FROM t") == 2
    await other.execute("UPDATE t SET b = 5")
    await other.execute("COMMIT")


@check("X3a", HOW)
async def lock_keeps_readers_out(at: Site, how: str) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN")
    await getattr(at.con, how)("LOCK TABLE t, s")
    async with pending(other.fetchval("SELECT count(*) FROM t")) as reading:
        assert await reading.queues(at.con, other)
        await at.run("ROLLBACK")
        assert await reading.result() == 1


@check("X4", HOW, only_here=SLOWED)
async def a_vanished_clients_locks_are_free_at_once(at: Site, how: str) -> None:
    await _t(at)
    _file(at)
    other = await at.connect()
    await at.run("SET s3rs_standin.slow_copy = 0.4", "BEGIN", "LOCK s")
    ((pid,),) = await at.rows("SELECT pg_backend_pid()")
    async with pending(getattr(at.con, how)(at.copy("x/"))) as copying:
        assert await copying.waits(0.1)
        at.con.terminate()
        await asyncio.sleep(0.2)
        held = "SELECT count(*) FROM svv_transactions WHERE pid = $1"
        assert await other.fetchval(held, pid) == 0
    assert await other.fetchval("SELECT count(*) FROM t") == 1


@check("X4", proves=False)
async def a_vanished_idle_clients_locks_are_free_at_once(at: Site) -> None:
    await _t(at)
    other = await at.connect()
    await at.run("BEGIN", "LOCK t")
    at.con.terminate()
    async with asyncio.timeout(1):
        await other.execute("BEGIN; LOCK t; COMMIT")


@check("X5", HOW)
async def a_statement_has_a_time_limit(at: Site, how: str) -> None:
    await at.run("SET statement_timeout TO 50")
    error = await at.fails(getattr(at.con, how)(LONG))
    assert error.sqlstate == "57014"
    assert error.message.endswith("cancelled on user's request")


@check("X5", HOW, only_here=SLOWED, proves=False)
async def a_copy_has_a_time_limit(at: Site, how: str) -> None:
    await _t(at)
    _file(at)
    await at.run("SET s3rs_standin.slow_copy = 5", "SET statement_timeout TO 200")
    async with asyncio.timeout(2):
        error = await at.fails(getattr(at.con, how)(at.copy("x/")))
    assert error.sqlstate == "57014"
    assert error.message.endswith("cancelled on user's request")
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]


@check("X5", HOW, proves=False)
async def a_cancel_request_stops_a_statement(at: Site, how: str) -> None:
    stopped = False
    try:
        await getattr(at.con, how)(LONG, timeout=0.1)
    except TimeoutError:
        stopped = True
    assert stopped
    assert await at.rows("SELECT 1") == [(1,)]


@check("X5", [("function", "SELECT pg_cancel_backend({})")])
async def a_cancelled_statement_says_so(at: Site, cancel: str) -> None:
    other = await at.connect()
    ((pid,),) = await at.rows("SELECT pg_backend_pid()")
    async with pending(at.con.execute(LONG)) as running:
        while await running.waits():
            await other.execute(cancel.format(pid))
        error = await at.fails(running.result())
    assert error.sqlstate == "57014"
    assert error.message.endswith("cancelled on user's request")


@check("X7", [
    (f"{title}-{how}", sql, act)
    for title, sql in (("plain", "CANCEL {}"), ("message", "CANCEL {} 'too long'"))
    for how, act in HOW
])  # fmt: skip
async def cancel_stops_anothers_statement(at: Site, cancel: str, how: str) -> None:
    other = await at.connect()
    ((pid,),) = await at.rows("SELECT pg_backend_pid()")
    async with pending(at.con.execute(LONG)) as running:
        while await running.waits():
            await getattr(other, how)(cancel.format(pid))
        assert (await at.fails(running.result())).sqlstate == "57014"
    assert await at.rows("SELECT 1") == [(1,)]


@check("X8", _each(WRITES[:4]))
async def a_read_only_transaction_writes_nothing(at: Site, write: str, how: str) -> None:
    await _t(at)
    await at.run("BEGIN READ ONLY", "SELECT count(*) FROM t")
    error = await at.fails(getattr(at.con, how)(write))
    assert error.message == "transaction is read-only"
    await at.run("ROLLBACK")
    await at.run("BEGIN READ WRITE", write, "COMMIT")


@check("L4", HOW)
async def truncate_commits(at: Site, how: str) -> None:
    await _t(at)
    await at.run("BEGIN", "INSERT INTO s VALUES (1, 1)")
    await getattr(at.con, how)("TRUNCATE t")
    await at.run("ROLLBACK")
    assert await at.rows("SELECT count(*) FROM s") == [(1,)]
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("L1", _each([("table", "VACUUM t"), ("all", "VACUUM"), ("full", "VACUUM FULL t")]))
async def vacuum_runs_in_no_block(at: Site, vacuum: str, how: str) -> None:
    await _t(at)
    await at.run("BEGIN")
    error = await at.fails(getattr(at.con, how)(vacuum))
    assert error.sqlstate == "25001"
    assert error.message == "VACUUM cannot run inside a transaction block"
    await at.run("ROLLBACK")


@check("L1", _each([
    ("table", "VACUUM t"), ("delete", "VACUUM DELETE ONLY t TO 90 PERCENT"),
    ("boost", "VACUUM FULL t BOOST"), ("analyze", "ANALYZE t (a)"),
    ("columns", "ANALYZE t PREDICATE COLUMNS"),
]), proves=False)  # fmt: skip
async def vacuum_and_analyze_run_alone(at: Site, sql: str, how: str) -> None:
    await _t(at)
    await getattr(at.con, how)(sql)
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]


@check("X6", proves=False)
async def begin_in_a_block_is_a_warning(at: Site) -> None:
    said: list[str] = []
    at.con.add_log_listener(lambda _, message: said.append(message.message))
    await at.run("BEGIN", "BEGIN", "COMMIT")
    await asyncio.sleep(0)
    assert said == ["there is already a transaction in progress"]
    at.con._log_listeners.clear()


TEXTS = [
    ("write", "CREATE TABLE v (a INT); INSERT INTO v VALUES (1); INSERT INTO v VALUES ('x')"),
    ("select", "INSERT INTO t VALUES (8, 8); SELECT 1 / 0"),
]


@check("X1a", TEXTS, proves=False)
async def a_text_of_statements_is_one_transaction(at: Site, text: str) -> None:
    await _t(at)
    await at.fails(text)
    assert await at.rows("SELECT count(*) FROM t") == [(1,)]
    assert (await at.fails("SELECT * FROM v")).sqlstate == "42P01"


@check("X1a", proves=False)
async def a_text_may_steer_its_transactions(at: Site) -> None:
    await _t(at)
    await at.fails("BEGIN; INSERT INTO t VALUES (2, 2); COMMIT; SELECT 1 / 0")
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("X2", proves=False)
async def cursors_live_in_a_block(at: Site) -> None:
    await _t(at)
    await at.run("INSERT INTO t VALUES (2, 2)")
    await at.run("BEGIN", "DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a")
    assert await at.rows("FETCH FORWARD 1 FROM c") == [(1,)]
    assert await at.rows("FETCH NEXT FROM c") == [(2,)]
    await at.run("CLOSE c", "COMMIT")
