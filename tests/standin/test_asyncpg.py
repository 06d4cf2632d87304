"""asyncpg against the stand-in: one connection, a pool of them, and what it asks of a server.

asyncpg takes a server for Redshift by a parameter that it sends, and then spares it the statements
that Redshift lacks. `RESET ALL` between users of a pooled connection is ours to ask for where the
parameter does not come.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pyarrow as pa
import pytest

from s3rs_async.redshift.dial import _Connection
from tests.standin.orders import (
    DDL,
    FIRST,
    LOADED,
    MERGED,
    READ,
    SECOND,
    STAGE,
    UPSERT,
    load,
    too_wide,
)
from tests.standin.site import Place, Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.standin.servers import StandIn

pytestmark = pytest.mark.standin


@pytest.fixture
async def con(at: Site) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**at.place.login)
    await connection.execute(f"SET search_path TO {at.schema}")
    yield connection
    connection.terminate()


async def upsert(con: Any, at: Site) -> None:
    async with con.transaction():
        await con.execute(STAGE)
        await con.execute(load(at, "second", SECOND, "stage"), timeout=60)
        assert await con.fetchval("SELECT pg_last_copy_count()") == 2
        tags = [await con.execute(statement) for statement in UPSERT]
    assert tags == ["DELETE 1", "INSERT 0 2", "DROP TABLE"]


async def test_a_load_and_a_staged_upsert_in_a_transaction(con: Any, at: Site) -> None:
    await con.execute(DDL)
    async with con.transaction():
        assert await con.execute(load(at, "first", FIRST)) == "COPY"
    assert [tuple(row) for row in await con.fetch(READ)] == FIRST
    await upsert(con, at)
    assert [tuple(row) for row in await con.fetch(READ)] == MERGED


async def test_a_load_can_be_prepared_and_fetched_as_any_statement(con: Any, at: Site) -> None:
    await con.execute(DDL)
    statement = await con.prepare(load(at, "first", FIRST))
    assert await statement.fetch() == []
    assert statement.get_statusmsg() == "COPY"
    assert await con.fetch(load(at, "again", SECOND)) == []
    assert await con.fetchval("SELECT count(*) FROM orders") == 5


async def test_arguments_have_the_types_of_their_columns(con: Any) -> None:
    await con.execute(DDL)
    places = ", ".join(f"${number}" for number in range(1, 9))
    await con.executemany(f"INSERT INTO orders VALUES ({places})", FIRST)
    assert [tuple(row) for row in await con.fetch(READ)] == FIRST
    found = await con.fetchrow(
        "SELECT * FROM orders WHERE ordered = $1 AND amount < $2", *FIRST[1][6:7], 0
    )
    assert tuple(found) == FIRST[1]


async def test_it_takes_the_server_for_redshift(con: Any) -> None:
    assert con.get_server_version()[:3] == (8, 0, 2)
    assert con.get_settings().padb_version.startswith("1.0.")
    assert con.get_reset_query() == "RESET ALL;"
    assert "Redshift 1.0." in await con.fetchval("SELECT version()")


async def test_an_error_has_its_fields(con: Any, at: Site) -> None:
    await con.execute(DDL)
    with pytest.raises(asyncpg.InternalServerError) as caught:
        await con.execute(too_wide(at))
    error = caught.value
    assert (error.sqlstate, error.severity) == ("XX000", "ERROR")
    assert error.message == "Spectrum Scan Error"
    assert "Table columns: 8, Data columns: 9" in error.detail
    with pytest.raises(asyncpg.UndefinedTableError):
        await con.fetch("SELECT 1 FROM nothing_of_that_name")


async def test_a_failed_transaction_leaves_nothing(con: Any, at: Site) -> None:
    await con.execute(DDL)
    with pytest.raises(asyncpg.InternalServerError):
        async with con.transaction():
            await con.execute(load(at, "first", FIRST))
            await con.execute(too_wide(at))
    assert not con.is_in_transaction()
    assert await con.fetchval("SELECT count(*) FROM orders") == 0


async def test_nested_transactions_fail_for_want_of_savepoints(con: Any) -> None:
    async with con.transaction():
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="SAVEPOINT"):
            await con.transaction().start()
        with suppress(asyncpg.PostgresError):
            await con.execute("ROLLBACK")
            await con.execute("BEGIN")


async def test_records_cannot_be_copied_in(con: Any) -> None:
    await con.execute(DDL)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await con.copy_records_to_table("orders", records=FIRST)


async def test_a_cursor_walks_in_a_transaction(con: Any, at: Site) -> None:
    await con.execute(DDL)
    await con.execute(load(at, "first", FIRST))
    async with con.transaction():
        walked = [tuple(row) async for row in con.cursor(READ, prefetch=2)]
    assert walked == FIRST


async def test_a_load_tells_its_rows_in_a_notice(con: Any, at: Site) -> None:
    told: list[Any] = []

    def listen(_: Any, message: Any) -> None:
        told.append(message)

    con.add_log_listener(listen)
    await con.execute(DDL)
    await con.execute(load(at, "first", FIRST))
    con.remove_log_listener(listen)
    assert [(each.severity, each.message) for each in told] == [
        ("INFO", LOADED.format("orders", 3))
    ]


async def test_a_timeout_cancels_on_the_server_and_the_connection_goes_on(
    con: Any, at: Site
) -> None:
    await con.execute(DDL)
    other = await asyncpg.connect(**at.place.login)
    async with other.transaction():
        await other.execute(f"LOCK {at.schema}.orders")
        with pytest.raises(TimeoutError):
            await con.execute("DELETE FROM orders", timeout=0.3)
        assert await con.fetchval("SELECT 1") == 1
    await other.close()
    assert await con.fetchval("SELECT count(*) FROM orders") == 0


async def test_a_cancelled_load_leaves_nothing_whatever_the_protocol(con: Any, at: Site) -> None:
    await con.execute("CREATE TABLE big (a BIGINT, b VARCHAR(90))")
    text = pa.array([f"text {i % 1000} that takes a while" for i in range(1_500_000)])
    at.put("big/1", pa.table({"a": pa.array(range(1_500_000), pa.int64()), "b": text}))
    clock = asyncio.get_running_loop().time
    for run in (con.execute, con.fetch):
        began = clock()
        with pytest.raises(TimeoutError):
            await run(at.copy("big/", "big"), timeout=0.3)
        assert clock() - began < 2.0
        assert await con.fetchval("SELECT count(*) FROM big") == 0


async def test_a_pool_of_4_does_12_loads(place: Place, schema: str) -> None:
    async with open_site(place, schema) as at:
        settings = {"min_size": 4, "max_size": 4, "statement_cache_size": 0}
        async with asyncpg.create_pool(**place.login, **settings) as pool:
            async with asyncio.TaskGroup() as group:
                jobs = [group.create_task(_job(pool, at, number)) for number in range(12)]
            assert {job.result() for job in jobs} <= await _backends(pool)
        assert [await at.rows(f"SELECT count(*) FROM orders_{n}") for n in range(12)] == [
            [(3,)] for _ in range(12)
        ]


async def _job(pool: Any, at: Site, number: int) -> int:
    """Create and load a table of its own; the backend that did it."""
    async with pool.acquire() as connection:
        assert await connection.fetchval("SHOW search_path") != at.schema
        async with connection.transaction():
            await connection.execute(f"SET search_path TO {at.schema}")
            await connection.execute(DDL.replace("orders", f"orders_{number}", 1))
            await connection.execute(load(at, f"job-{number}", FIRST, f"orders_{number}"))
        return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def _backends(pool: Any) -> set[int]:
    async with pool.acquire() as a, pool.acquire() as b, pool.acquire() as c, pool.acquire() as d:
        return {int(await each.fetchval("SELECT pg_backend_pid()")) for each in (a, b, c, d)}


@pytest.mark.parametrize("kind", [asyncpg.Connection, _Connection])
async def test_a_released_connection_is_reset(place: Place, kind: type[Any]) -> None:
    async with asyncpg.create_pool(
        **place.login, min_size=1, max_size=1, connection_class=kind
    ) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SHOW query_group") == ""
                await connection.execute("SET query_group TO 'etl'")


WITHOUT_REVISION = {"s3rs_standin.padb_revision": "off"}


async def test_without_its_parameter_the_usual_reset_fails_as_on_redshift(place: Place) -> None:
    async with asyncpg.create_pool(
        **place.login, min_size=1, max_size=1, server_settings=WITHOUT_REVISION
    ) as pool:
        connection = await pool.acquire()
        assert "UNLISTEN" in connection.get_reset_query()
        with pytest.raises(asyncpg.PostgresError):
            await pool.release(connection)


async def test_without_its_parameter_our_connection_asks_for_the_reset_that_works(
    place: Place,
) -> None:
    async with asyncpg.create_pool(
        **place.login,
        min_size=1,
        max_size=1,
        connection_class=_Connection,
        server_settings=WITHOUT_REVISION,
    ) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SHOW query_group") == ""
                await connection.execute("SET query_group TO 'etl'")


async def test_an_unknown_type_is_looked_up_and_that_fails_as_on_redshift(con: Any) -> None:
    await con.execute("CREATE TABLE s (id INT, doc SUPER)")
    await con.execute("""INSERT INTO s SELECT 1, JSON_PARSE('{"a": [1, 2]}')""")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await con.fetch("SELECT doc FROM s")
    assert caught.value.sqlstate in ("42P01", "42703"), caught.value
    assert await con.fetchval("SELECT json_serialize(doc) FROM s") is not None


async def test_a_terminated_connection_says_so_and_the_next_one_works(
    con: Any, place: Place
) -> None:
    doomed = await asyncpg.connect(**place.login)
    pid = await doomed.fetchval("SELECT pg_backend_pid()")
    await con.execute(f"SELECT pg_terminate_backend({pid})")
    for _ in range(500):
        if not doomed.is_closed():
            await asyncio.sleep(0.01)
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await doomed.fetchval("SELECT 1")
    again = await asyncpg.connect(**place.login)
    assert await again.fetchval("SELECT 1") == 1
    await again.close()


@pytest.mark.parametrize(
    ("change", "state"),
    [({"password": "bad"}, "28000"), ({"user": "nobody"}, "28000"), ({"database": "x"}, "3D000")],
)
async def test_a_wrong_login_is_refused(
    standin: StandIn, standin_tls: StandIn, change: dict[str, str], state: str
) -> None:
    for server in (standin, standin_tls):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await asyncpg.connect(**{**server.login, **change})
        assert caught.value.sqlstate == state


async def test_without_a_certificate_tls_is_declined(standin: StandIn) -> None:
    with pytest.raises(ConnectionError):
        await asyncpg.connect(**{**standin.login, "ssl": "require"})
    connection = await asyncpg.connect(**{**standin.login, "ssl": "prefer"})
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_with_a_certificate_tls_is_spoken(standin_tls: StandIn) -> None:
    context = ssl.create_default_context(cafile=str(standin_tls.certificate))
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(**standin_tls.login, ssl=context)
    context.check_hostname = False
    connection = await asyncpg.connect(**standin_tls.login, ssl=context)
    assert connection._transport.get_extra_info("cipher")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_settings_given_at_the_start_are_settings(place: Place) -> None:
    with pytest.raises(asyncpg.UndefinedObjectError, match="jit"):
        await asyncpg.connect(**place.login, server_settings={"jit": "off"})
    given = {"query_group": "a b", "statement_timeout": "5000", "application_name": "x"}
    connection = await asyncpg.connect(**place.login, server_settings=given)
    assert await connection.fetchval("SHOW query_group") == "a b"
    await connection.close()
