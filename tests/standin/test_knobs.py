"""Each knob does what its line in the table says, once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pyarrow as pa
import pytest

from s3rs_async.errors import ConfigError, UnavailableError
from s3rs_async.sandbox.box import Redshift
from s3rs_async.sandbox.redshift.knobs import KNOBS
from tests.standin.pending import pending
from tests.standin.servers import DATABASE, PASSWORD, USER, StandIn
from tests.standin.site import Place, Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.standin
HOW = pytest.mark.parametrize("how", ["execute", "fetch"])
SCOPE = pytest.mark.parametrize("scope", ["SET", "ALTER SYSTEM SET"])
CUT = (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, ConnectionError)


@pytest.fixture
async def at(place: Place, schema: str) -> AsyncIterator[Site]:
    """A site with a table and a file; afterwards no knob is turned and nobody holds a lock."""
    async with open_site(place, schema) as site:
        await site.run("CREATE TABLE t (a BIGINT)", "CREATE TABLE u (a INT)")
        site.put("x/1", pa.table({"a": pa.array([1, 2], pa.int64())}))
        watch = await site.connect()
        yield site
        site.con.terminate()
        for name in KNOBS:
            await watch.execute(f"ALTER SYSTEM RESET s3rs_standin.{name}")
        held = [await _held(watch)]
        for _ in range(500):
            if not held[-1]:
                break
            await asyncio.sleep(0.01)
            held.append(await _held(watch))
        assert held[-1] == 0


async def _held(con: Any) -> int:
    pid = await con.fetchval("SELECT pg_backend_pid()")
    held = "SELECT count(*) FROM svv_transactions WHERE pid <> $1"
    return int(await con.fetchval(held, pid))


async def turn(at: Site, scope: str, name: str, value: str) -> None:
    await at.run(f"{scope} s3rs_standin.{name} = '{value}'")


async def rows(at: Site, table: str = "t") -> int:
    con = await at.connect()
    return int(await con.fetchval(f"SELECT count(*) FROM {table}"))


async def cut(awaitable: Any) -> None:
    """The connection ends without a message."""
    with pytest.raises(CUT):
        async with asyncio.timeout(5):
            await awaitable


GOOD = {
    "off": "X7,X8",
    "empty_prefix": "nothing",
    "fail_copy": "7 mid",
    "drop": "7 before commit",
    "slow_copy": "0.5",
    "conflict": "7",
    "end_session": "700",
    "idle_session": "99.5",
    "padb_revision": "off",
    "isolation": "serializable",
    "ghost": "on",
    "sys_denied": "on",
}
BAD = dict.fromkeys(KNOBS, "nonsense") | {"slow_copy": "-1", "conflict": "0"}


def test_every_knob_is_tested() -> None:
    assert set(GOOD) == set(BAD) == set(KNOBS)


@HOW
@pytest.mark.parametrize("name", KNOBS)
async def test_a_knob_is_shown_turned_and_turned_back(at: Site, name: str, how: str) -> None:
    act, show = getattr(at.con, how), f"SHOW s3rs_standin.{name}"
    assert await at.con.fetchval(show) == KNOBS[name].default
    await act(f"SET s3rs_standin.{name} TO '{GOOD[name]}'")
    assert await at.con.fetchval(show) in (GOOD[name], GOOD[name].replace("700", "697"))
    await act(f"RESET s3rs_standin.{name}")
    assert await at.con.fetchval(show) == KNOBS[name].default
    other = await at.connect()
    await act(f"ALTER SYSTEM SET s3rs_standin.{name} = '{GOOD[name]}'")
    assert (await other.fetchval(show))[:1] == GOOD[name][:1]
    await act(f"ALTER SYSTEM RESET s3rs_standin.{name}")
    assert await other.fetchval(show) == KNOBS[name].default


@HOW
@pytest.mark.parametrize("name", KNOBS)
async def test_a_knob_refuses_what_it_does_not_take(at: Site, name: str, how: str) -> None:
    for scope in ("SET", "ALTER SYSTEM SET"):
        sql = f"{scope} s3rs_standin.{name} = '{BAD[name]}'"
        error = await at.fails(getattr(at.con, how)(sql))
        assert (error.sqlstate, KNOBS[name].form in error.message) == ("22023", True)
    error = await at.fails(at.connect(settings={f"s3rs_standin.{name}": BAD[name]}))
    assert error.sqlstate == "22023"


@pytest.mark.parametrize("verb", ["SET", "RESET", "SHOW", "ALTER SYSTEM SET", "ALTER SYSTEM RESET"])
async def test_an_unknown_knob_is_an_unknown_setting(at: Site, verb: str) -> None:
    end = " TO '1'" if verb.endswith("SET") and "RESET" not in verb else ""
    assert (await at.fails(f"{verb} s3rs_standin.none{end}")).sqlstate == "42704"


@pytest.mark.parametrize("name", sorted(set(KNOBS) - {"end_session"}))
async def test_a_knob_is_a_start_up_parameter_too(at: Site, name: str) -> None:
    con = await at.connect(settings={f"s3rs_standin.{name}": GOOD[name]})
    assert await con.fetchval(f"SHOW s3rs_standin.{name}") == GOOD[name]
    assert await at.con.fetchval(f"SHOW s3rs_standin.{name}") == KNOBS[name].default


async def test_knobs_survive_rollbacks_and_reset_all(at: Site) -> None:
    await at.run("BEGIN")
    await turn(at, "SET", "off", "S3")
    await turn(at, "SET", "isolation", "serializable")
    await at.run("ROLLBACK")
    for undo in ("SELECT 1", "RESET ALL", "BEGIN; RESET ALL; ROLLBACK"):
        await at.run(undo)
        assert await at.rows("SHOW transaction_isolation") == [("serializable",)]
        assert await at.rows("SELECT current_setting('s3rs_standin.off')") == [("S3",)]
        await at.run("SHOW work_mem")


async def test_a_knob_is_not_turned_in_a_failed_transaction(at: Site) -> None:
    await at.run("BEGIN")
    await at.fails("SELECT 1 / 0")
    assert (await at.fails("SET s3rs_standin.conflict = '1'")).sqlstate == "25P02"
    await at.run("ROLLBACK")
    assert await at.rows("SHOW s3rs_standin.conflict") == [("",)]


async def test_a_count_goes_on_in_the_knobs_value(at: Site) -> None:
    await turn(at, "SET", "fail_copy", "3 before")
    await at.run(at.copy("x/"))
    assert await at.rows("SHOW s3rs_standin.fail_copy") == [("2 before",)]


async def test_a_sessions_own_count_goes_before_the_whole_stand_ins(at: Site) -> None:
    await turn(at, "ALTER SYSTEM SET", "conflict", "1")
    await turn(at, "SET", "conflict", "2")
    await at.run("INSERT INTO u VALUES (1)")
    assert (await at.fails("INSERT INTO u VALUES (2)")).message == "1023"
    assert (await at.fails("INSERT INTO u VALUES (3)")).message == "1023"
    await at.run("INSERT INTO u VALUES (4)")
    assert await at.rows("SHOW s3rs_standin.conflict") == [("",)]


@HOW
@SCOPE
@pytest.mark.parametrize("moment", ["before", "mid", "after"])
async def test_a_copy_is_failed_once(at: Site, moment: str, scope: str, how: str) -> None:
    await turn(at, scope, "fail_copy", f"2 {moment}")
    await at.run(at.copy("x/"))
    error = await at.fails(getattr(at.con, how)(at.copy("x/")))
    assert (error.sqlstate, f"fail_copy, {moment}" in error.message) == ("XX000", True)
    assert "code:      9999" in error.detail
    assert await rows(at) == 2
    last = "SELECT status FROM sys_load_history ORDER BY query_id DESC LIMIT 1"
    assert (await at.rows(last))[0][0].strip() == "aborted"
    await at.run(at.copy("x/"))
    assert await rows(at) == 4


@HOW
@pytest.mark.parametrize("moment", ["before", "mid", "after"])
async def test_a_failed_copy_aborts_its_block(at: Site, moment: str, how: str) -> None:
    await at.run("BEGIN", "INSERT INTO u VALUES (1)")
    await turn(at, "SET", "fail_copy", f"1 {moment}")
    await at.fails(getattr(at.con, how)(at.copy("x/")))
    assert (await at.fails("SELECT 1")).sqlstate == "25P02"
    assert await at.con.execute("COMMIT") == "ROLLBACK"
    assert (await rows(at), await rows(at, "u")) == (0, 0)


@HOW
@SCOPE
async def test_a_connection_is_cut_amid_a_copy(at: Site, scope: str, how: str) -> None:
    await turn(at, scope, "drop", "1 copy")
    await cut(getattr(at.con, how)(at.copy("x/")))
    assert await rows(at) == 0
    con = await at.connect()
    await getattr(con, how)(at.copy("x/"))
    assert await rows(at) == 2


@HOW
@SCOPE
@pytest.mark.parametrize(("moment", "left"), [("before commit", 0), ("after commit", 1)])
@pytest.mark.parametrize("commit", ["COMMIT", "END", "COMMIT WORK"])
async def test_a_connection_is_cut_at_a_commit(
    at: Site, moment: str, left: int, commit: str, scope: str, how: str
) -> None:
    await turn(at, scope, "drop", f"2 {moment}")
    await at.run("BEGIN", "COMMIT", "BEGIN", "INSERT INTO u VALUES (1)")
    await cut(getattr(at.con, how)(commit))
    async with asyncio.timeout(2):
        other = await at.connect()
        await other.execute("INSERT INTO u VALUES (2)")
    assert await rows(at, "u") == left + 1


async def test_a_connection_is_cut_at_a_commit_within_a_text(at: Site) -> None:
    await turn(at, "SET", "drop", "1 after commit")
    await cut(at.con.execute("BEGIN; INSERT INTO u VALUES (1); COMMIT; INSERT INTO u VALUES (2)"))
    assert await rows(at, "u") == 1


async def test_a_statement_that_commits_by_itself_is_no_commit(at: Site) -> None:
    await turn(at, "SET", "drop", "1 before commit")
    await at.run("INSERT INTO u VALUES (1)", at.copy("x/"))
    assert await rows(at, "u") == 1


@HOW
async def test_a_slow_copy_can_be_cancelled_at_once(at: Site, how: str) -> None:
    await turn(at, "SET", "slow_copy", "20")
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await getattr(at.con, how)(at.copy("x/"), timeout=0.2)
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]
    assert asyncio.get_running_loop().time() - began < 2


@HOW
@SCOPE
async def test_a_slow_copy_takes_its_time(at: Site, scope: str, how: str) -> None:
    await turn(at, scope, "slow_copy", "0.1")
    began = asyncio.get_running_loop().time()
    await getattr(at.con, how)(at.copy("x/"))
    assert 0.3 <= asyncio.get_running_loop().time() - began < 2


@HOW
@pytest.mark.parametrize("end", ["vanish", "terminate"])
async def test_a_slow_copy_ends_with_its_session(at: Site, end: str, how: str) -> None:
    other = await at.connect()
    pid = at.con.get_server_pid()
    await turn(at, "SET", "slow_copy", "20")
    async with pending(getattr(at.con, how)(at.copy("x/"))) as copying:
        assert await copying.waits()
        if end == "vanish":
            at.con._transport.abort()
        else:
            assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
        async with asyncio.timeout(2):
            await other.execute("INSERT INTO t VALUES (1)")
    assert await rows(at) == 1


@HOW
@SCOPE
@pytest.mark.parametrize(
    "what", ["INSERT INTO u VALUES (5)", "UPDATE u SET a = 2", "copy", "COMMIT"]
)
async def test_a_race_is_lost_on_demand(at: Site, what: str, scope: str, how: str) -> None:
    await at.run("INSERT INTO u VALUES (1)", "BEGIN", "UPDATE u SET a = 3")
    await turn(at, scope, "conflict", "1")
    error = await at.fails(getattr(at.con, how)(at.copy("x/") if what == "copy" else what))
    assert (error.sqlstate, error.message) == ("XX000", "1023")
    assert error.detail.startswith("Serializable isolation violation on table - ")
    assert error.detail.endswith(f"(pid:{at.con.get_server_pid()})")
    if what != "COMMIT":  # that ends the transaction, as it would have anyway
        assert (await at.fails("SELECT 1")).sqlstate == "25P02"
        await at.run("ROLLBACK")
    assert await at.rows("SELECT a FROM u") == [(1,)]
    await at.run("BEGIN", "UPDATE u SET a = 4", "COMMIT")
    assert await at.rows("SELECT a FROM u") == [(4,)]


@HOW
@SCOPE
async def test_the_server_ends_a_session(at: Site, scope: str, how: str) -> None:
    await at.run("BEGIN", "INSERT INTO u VALUES (1)")
    await turn(at, scope, "end_session", "2")
    await at.run("INSERT INTO u VALUES (2)")
    await cut(getattr(at.con, how)("COMMIT"))
    assert await rows(at, "u") == 0


def test_the_server_says_that_it_ends_a_session(standin: StandIn) -> None:
    place = f"host=127.0.0.1 port={standin.port} sslmode=disable dbname={DATABASE}"
    with psycopg.connect(f"{place} user={USER} password={PASSWORD}", autocommit=True) as con:
        con.execute("SET s3rs_standin.end_session = 1")
        with pytest.raises(psycopg.errors.AdminShutdown, match="administrator command"):
            con.execute("SELECT 1")


async def test_the_server_ends_an_idle_session(at: Site) -> None:
    await at.run("BEGIN", "LOCK u")
    await turn(at, "SET", "idle_session", "0.2")
    await asyncio.sleep(0.4)
    with pytest.raises((asyncpg.PostgresError, *CUT)):
        await at.con.execute("SELECT 1")
    assert await rows(at, "u") == 0


async def test_an_active_session_is_not_idle(at: Site) -> None:
    await turn(at, "SET", "idle_session", "0.2")
    for _ in range(3):
        await asyncio.sleep(0.1)
        await at.run("SELECT pg_backend_pid()")


async def test_padb_revision_need_not_be_told(at: Site) -> None:
    assert hasattr((await at.connect()).get_settings(), "padb_revision")
    await at.run("ALTER SYSTEM SET s3rs_standin.padb_revision = off")
    con = await at.connect()
    assert not hasattr(con.get_settings(), "padb_revision")
    assert con.get_settings().padb_version
    assert "UNLISTEN" in con.get_reset_query()


@SCOPE
async def test_isolation_is_that_of_the_next_transaction(at: Site, scope: str) -> None:
    other = await at.connect()
    await at.run("BEGIN")
    await turn(at, scope, "isolation", "serializable")
    assert await at.rows("SHOW transaction_isolation") == [("repeatable read",)]
    await at.run("COMMIT", "BEGIN")
    assert await at.rows("SHOW transaction_isolation") == [("serializable",)]
    shown = await other.fetchval("SHOW transaction_isolation")
    assert shown == ("serializable" if "SYSTEM" in scope else "repeatable read")


@HOW
@pytest.mark.parametrize(("block", "left"), [(False, 2), (True, 0)])
async def test_a_ghost_loads_to_its_end(at: Site, block: bool, left: int, how: str) -> None:
    other = await at.connect()
    await turn(at, "SET", "slow_copy", "0.2")
    await turn(at, "SET", "ghost", "on")
    await at.run(*(["BEGIN"] if block else []))
    began = asyncio.get_running_loop().time()
    async with pending(getattr(at.con, how)(at.copy("x/"))) as copying:
        assert await copying.waits()
        at.con._transport.abort()
        await other.execute("LOCK u; INSERT INTO t SELECT 7 WHERE 1 = 2")
    assert asyncio.get_running_loop().time() - began > 0.5
    assert await rows(at) == left


@HOW
@SCOPE
async def test_tables_of_the_leader_can_be_denied(at: Site, scope: str, how: str) -> None:
    await at.run("SELECT * FROM stl_load_errors")
    await turn(at, scope, "sys_denied", "on")
    for name in ("stl_load_errors", "pg_catalog.stl_load_errors"):
        error = await at.fails(getattr(at.con, how)(f"SELECT * FROM {name}"))
        assert (error.sqlstate, error.message) == (
            "42501", "permission denied for relation stl_load_errors",
        )  # fmt: skip
    await at.run("SELECT * FROM sys_load_error_detail")


@HOW
async def test_many_sessions_are_cut_down_and_nothing_stays(at: Site, how: str) -> None:
    """Clients vanish and cancel at any moment of a COPY, whatever it holds just then."""
    await turn(at, "ALTER SYSTEM SET", "slow_copy", "0.01")
    async with AsyncExitStack() as stack:
        for number in range(12):
            con = await at.connect()
            await con.execute("BEGIN; INSERT INTO u VALUES (1)" if number % 2 else "SELECT 1")
            copying = await stack.enter_async_context(pending(getattr(con, how)(at.copy("x/"))))
            await copying.waits(number * 0.004)
            con._transport.abort()
    async with asyncio.timeout(5):
        await at.run("BEGIN", "LOCK t", "LOCK u", "COMMIT")
    assert await rows(at, "u") == 0


async def test_python_turns_the_knobs_of_the_whole_stand_in(at: Site, standin: StandIn) -> None:
    unused: Any = SimpleNamespace()
    door = Redshift(standin.port, PASSWORD, unused, unused, unused, user=USER, database=DATABASE)
    await door.turn(slow_copy=0.5, fail_copy="2 mid", ghost="on")
    assert await at.rows("SHOW s3rs_standin.slow_copy") == [("0.5",)]
    assert await at.rows("SHOW s3rs_standin.fail_copy") == [("2 mid",)]
    await door.turn(slow_copy=None, fail_copy=None, ghost=None)
    assert await at.rows("SHOW s3rs_standin.slow_copy") == [("0",)]
    with pytest.raises(ConfigError, match="invalid value"):
        await door.turn(ghost="'; DROP TABLE t")
    nowhere = Redshift(1, PASSWORD, unused, unused, unused)
    with pytest.raises(UnavailableError):
        await nowhere.turn(ghost="on")
