"""What a COPY leaves behind and what it says: rules 11 and 13 to 16."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pyarrow as pa

from tests.standin.check_copy import BOTH_PROTOCOLS, TABLE, TWO, fails_in
from tests.standin.checks import check
from tests.standin.site import Site

LAST = "SELECT pg_last_copy_count(), pg_last_copy_id()"


@check("11")
async def fillrecord_fills_trailing_columns(at: Site) -> None:
    await at.run(TABLE)
    at.put("x/a", TWO.select(["a"]))
    at.put("x/b", TWO)
    await at.run(at.copy("x/", more="FILLRECORD"))
    filled = await at.rows("SELECT a, b FROM t ORDER BY a, b NULLS LAST")
    assert filled == [(1, "x"), (1, None), (2, "y"), (2, None)]


@check("11")
async def fillrecord_fills_the_end_of_a_column_list(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b VARCHAR(9) DEFAULT 'dfl', c INTEGER DEFAULT 5)")
    at.put("x", TWO.select(["b"]))
    await at.run(at.copy("x", "t (b, a)", "FILLRECORD"))
    assert await at.rows("SELECT a, b, c FROM t ORDER BY b") == [(None, "x", 5), (None, "y", 5)]


async def told(at: Site, how: str) -> list[tuple[str, str]]:
    """What a COPY of two rows has to say besides its tag."""
    notices: list[Any] = []
    await at.run(TABLE)
    at.put("x", TWO)
    at.con.add_log_listener(listener := lambda _, message: notices.append(message))
    await getattr(at.con, how)(at.copy("x"))
    await asyncio.sleep(0.02)
    at.con.remove_log_listener(listener)
    return [(notice.severity, notice.message) for notice in notices]


@check("13", BOTH_PROTOCOLS)
async def success_is_an_info_notice(at: Site, how: str) -> None:
    said = "Load into table 't' completed, 2 record(s) loaded successfully."
    assert await told(at, how) == [("INFO", said)]


@check("13a")
async def the_tag_is_plain(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    assert await at.con.execute(at.copy("x")) == "COPY"


@check("14", BOTH_PROTOCOLS)
async def the_last_copy_is_remembered(at: Site, how: str) -> None:
    assert await at.rows(LAST) == [(0, -1)]
    await at.run(TABLE)
    at.put("x", TWO)
    await getattr(at.con, how)(at.copy("x"))
    ((count, first),) = await at.rows(LAST)
    assert (count, first > 0) == (2, True)
    async with at.con.transaction():
        await getattr(at.con, how)(at.copy("x"))
        assert (await at.rows(LAST))[0][1] > first
    assert (await at.rows(LAST))[0][1] > first


async def copied_once(at: Site) -> tuple[int, int]:
    """A table with a row too long for it waiting as `bad`; what is known of a first COPY."""
    await at.run(TABLE)
    at.put("x", TWO)
    at.put("bad", pa.table({"a": pa.array([1], pa.int64()), "b": ["x" * 11]}))
    await at.run(at.copy("x"))
    ((count, query),) = await at.rows(LAST)
    return count, query


@check("14a", BOTH_PROTOCOLS)
async def a_load_that_fails_has_an_id_and_no_rows(at: Site, how: str) -> None:
    _, first = await copied_once(at)
    await fails_in(at, how, at.copy("bad"))
    ((count, query),) = await at.rows(LAST)
    assert (count, query > first) == (0, True)


@check("14b", BOTH_PROTOCOLS)
async def a_copy_that_never_began_has_no_id(at: Site, how: str) -> None:
    known = await copied_once(at)
    await fails_in(at, how, at.copy("none/"))
    assert await at.rows(LAST) == [known]
    await fails_in(at, how, at.copy("x", more="NONSENSE"))
    assert await at.rows(LAST) == [known]


@check("14c", [(f"{name}-{case}", how, name) for case, how in BOTH_PROTOCOLS for name in "xb"])
async def a_rollback_takes_the_id_back(at: Site, how: str, name: str) -> None:
    known = await copied_once(at)
    await at.run("BEGIN")
    if name == "x":
        await getattr(at.con, how)(at.copy("x"))
    else:
        await fails_in(at, how, at.copy("bad"))
    await at.run("ROLLBACK")
    assert await at.rows(LAST) == [known]


@check("15", BOTH_PROTOCOLS)
async def a_rollback_leaves_nothing(at: Site, how: str) -> None:
    await at.run(TABLE, "BEGIN")
    at.put("x", TWO)
    await getattr(at.con, how)(at.copy("x"))
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]
    await at.run("ROLLBACK")
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("15", proves=False)
async def a_text_of_statements_holds_a_copy(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)
    await at.run(f"BEGIN; DELETE FROM t; {at.copy('x')}; COMMIT")
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]
    await at.fails(f"INSERT INTO t VALUES (9, 'x'); {at.copy('none/')}")
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("15a", BOTH_PROTOCOLS)
async def a_failed_copy_aborts_the_transaction(at: Site, how: str) -> None:
    await at.run(TABLE, "BEGIN")
    error = await fails_in(at, how, at.copy("none/"))
    assert "does not exist" in error.message
    assert (await fails_in(at, how, "SELECT 1")).sqlstate == "25P02"
    await at.run("ROLLBACK")
    assert await at.con.fetchval("SELECT 1") == 1


@check("15b", BOTH_PROTOCOLS)
async def one_late_bad_row_fails_all(at: Site, how: str) -> None:
    await at.run(TABLE)
    count = 60_000
    texts = ["ok"] * (count - 1) + ["eleven bytes"]
    table = pa.table({"a": pa.array(range(count), pa.int64()), "b": texts})
    at.put("x", table, row_group_size=10_000)
    error = await fails_in(at, how, at.copy("x"))
    assert "Table: 10, Data: 12" in error.detail
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("16", BOTH_PROTOCOLS)
async def a_row_above_4_mb_fails(at: Site, how: str) -> None:
    names = [f"c{at}" for at in range(65)]
    await at.run(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR(65535)' for name in names)})")
    at.put("ok", pa.table({name: ["x" * 64_000, None] for name in names}))
    await at.run(at.copy("ok"))
    at.put("x", pa.table({name: [None, "x" * 65_000] for name in names}))
    error = await fails_in(at, how, at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert re.search(r"row.* 4 MB|4194304", error.detail)
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]
