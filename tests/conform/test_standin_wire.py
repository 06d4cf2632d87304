"""Log-in, TLS, parameters, other drivers, cancelling and vanishing."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pyarrow as pa
import pytest

from tests.conform.standin import (
    DATABASE,
    PASSWORD,
    ROLE,
    USER,
    Background,
    StandIn,
    con,
    failure,
    other,
    schema,
    standin,
    standin_tls,
)

__all__ = ["con", "other", "schema", "standin", "standin_tls"]


async def test_rule_w1_drivers_see_redshift(con: Any) -> None:
    assert con.get_server_version()[:3] == (8, 0, 2)
    assert con.get_settings().padb_version.startswith("1.0.")
    assert con.get_reset_query() == "RESET ALL;"
    assert "Redshift 1.0." in await con.fetchval("SELECT version()")


@pytest.mark.parametrize(
    ("change", "state"),
    [({"password": "bad"}, "28000"), ({"user": "nobody"}, "28000"), ({"database": "x"}, "3D000")],
)
async def test_rule_w2_a_wrong_login_is_refused(
    standin: StandIn, standin_tls: StandIn, change: dict[str, str], state: str
) -> None:
    for server in (standin, standin_tls):
        assert (await failure(server.connect(**change))).sqlstate == state


async def test_rule_w1_without_a_certificate_tls_is_declined(standin: StandIn) -> None:
    with pytest.raises(ConnectionError):
        await standin.connect(ssl="require")
    connection = await standin.connect(ssl="prefer")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_rule_w1_with_a_certificate_tls_is_spoken(standin_tls: StandIn) -> None:
    context = ssl.create_default_context(cafile=str(standin_tls.certificate))
    context.check_hostname = False
    connection = await standin_tls.connect(ssl=context)
    assert connection._transport.get_extra_info("cipher")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_rule_s3_unknown_startup_parameters_end_the_connection(standin: StandIn) -> None:
    error = await failure(standin.connect(server_settings={"jit": "off"}))
    assert (error.sqlstate, "jit" in error.message) == ("42704", True)
    given = {"query_group": "a b", "statement_timeout": "5000", "application_name": "x"}
    connection = await standin.connect(server_settings=given)
    assert await connection.fetchval("SHOW query_group") == "a b"
    await connection.close()


async def test_a_pool_reuses_its_connections(standin: StandIn) -> None:
    settings = {"user": USER, "password": PASSWORD, "database": DATABASE, "ssl": False}
    where = {"host": "127.0.0.1", "port": standin.port, "min_size": 1, "max_size": 2}
    async with asyncpg.create_pool(**where, **settings) as pool:
        for _ in range(5):
            async with pool.acquire() as connection, connection.transaction():
                assert await connection.fetchval("SELECT $1::int", 3) == 3


async def test_nested_transactions_fail_for_want_of_savepoints(con: Any) -> None:
    outer = con.transaction()
    await outer.start()
    error = await failure(con.transaction().start())
    assert "SAVEPOINT" in error.message
    await outer.rollback()


def _dsn(standin: StandIn) -> str:
    place = f"host=127.0.0.1 port={standin.port} sslmode=disable"
    return f"{place} user={USER} password={PASSWORD} dbname={DATABASE}"


def test_psycopg_works(standin: StandIn) -> None:
    standin.put("psycopg/a", pa.table({"a": pa.array([1, 2], pa.int64())}))
    with psycopg.connect(_dsn(standin), autocommit=True) as connection:
        assert connection.info.server_version == 80002
        connection.execute("CREATE TEMP TABLE p (a BIGINT)")
        connection.execute(f"COPY p FROM 's3://bkt/psycopg/' {ROLE} FORMAT PARQUET")
        for _ in range(7):
            rows = connection.execute("SELECT a FROM p WHERE a > %s ORDER BY a", [0]).fetchall()
            assert rows == [(1,), (2,)]
        with connection.transaction():
            connection.execute("INSERT INTO p VALUES (%s)", [3], prepare=True)
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("INSERT INTO p VALUES (4) RETURNING a")
        assert connection.execute("SELECT count(*) FROM p").fetchone() == (3,)


def _pipeline_with_a_refusal(connection: Any) -> None:
    with connection.pipeline():
        connection.execute("INSERT INTO p VALUES (1)")
        connection.execute("LISTEN x")
        connection.execute("INSERT INTO p VALUES (2)")


def test_psycopg_pipelines_statements(standin: StandIn) -> None:
    with psycopg.connect(_dsn(standin), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE p (a INT)")
        with connection.pipeline():
            for number in range(20):
                connection.execute("INSERT INTO p VALUES (%s)", [number])
            found = connection.execute("SELECT count(*) FROM p")
        assert found.fetchone() == (20,)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            _pipeline_with_a_refusal(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_psql_works(standin: StandIn) -> None:
    script = "CREATE TEMP TABLE q (a INT DISTKEY); INSERT INTO q VALUES (7); SELECT a FROM q"
    done = subprocess.run(
        ["psql", "-X", "-A", "-t", "-q", "-c", script, _dsn(standin)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["7"]


async def test_a_cancel_request_stops_a_statement(con: Any) -> None:
    with pytest.raises(TimeoutError):
        await con.execute("SELECT pg_sleep(20)", timeout=0.2)
    assert await con.fetchval("SELECT 1") == 1


def _big(standin: StandIn, key: str, rows: int = 1_500_000) -> None:
    """One large file, written by the first test that asks for it."""
    if standin.s3.list_objects_v2(Bucket="bkt", Prefix=key).get("KeyCount"):
        return
    text = pa.array([f"text {i % 1000} of some length that takes a while" for i in range(rows)])
    table = pa.table({"a": pa.array(range(rows), pa.int64()), "b": text})
    standin.put(key, table, row_group_size=100_000)


@pytest.fixture
async def big(con: Any, standin: StandIn, schema: str) -> str:
    _big(standin, "big/a")
    await con.execute("CREATE TABLE t (a BIGINT, b VARCHAR(90))")
    return f"COPY t FROM 's3://bkt/big/' {ROLE} FORMAT AS PARQUET"


@pytest.mark.parametrize("how", ["execute", "fetch"])
async def test_rule_15_a_cancelled_copy_leaves_nothing(con: Any, big: str, how: str) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await getattr(con, how)(big, timeout=0.3)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert await con.fetchval("SELECT count(*) FROM t") == 0


async def test_an_error_of_the_backend_stops_a_copy_at_once(con: Any, other: Any, big: str) -> None:
    pid = await con.fetchval("SELECT pg_backend_pid()")
    copying = Background(con.execute(big))
    assert await copying.waits(0.3)
    began = asyncio.get_running_loop().time()
    await other.execute(f"SELECT pg_cancel_backend({pid})")
    assert (await failure(copying.result())).sqlstate == "57014"
    assert asyncio.get_running_loop().time() - began < 0.5
    assert await con.fetchval("SELECT count(*) FROM t") == 0


async def test_a_terminated_session_says_so(
    standin: StandIn, other: Any, big: str, schema: str
) -> None:
    with psycopg.connect(_dsn(standin)) as connection:
        connection.execute(f"SET search_path TO {schema}")
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert pid
        copying = Background(asyncio.to_thread(connection.execute, big))
        assert await copying.waits(0.3)
        assert await other.fetchval("SELECT pg_terminate_backend($1)", pid[0])
        with pytest.raises(psycopg.errors.AdminShutdown):
            await copying.result()
    assert await other.fetchval("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("inside", ["copy", "idle", "sleep"])
async def test_rule_x4_a_vanished_clients_locks_are_free_at_once(
    con: Any, other: Any, big: str, inside: str
) -> None:
    await con.execute("CREATE TABLE head (a INT)")
    await con.execute("BEGIN")
    await con.execute("LOCK head")
    statement = {"copy": big, "idle": None, "sleep": "SELECT pg_sleep(30)"}[inside]
    running = Background(con.execute(statement)) if statement else None
    assert running is None or await running.waits(0.3)
    began = asyncio.get_running_loop().time()
    con._transport.abort()
    await other.execute("BEGIN")
    await other.execute("LOCK head")
    assert asyncio.get_running_loop().time() - began < 0.5
    await other.execute("COMMIT")
    assert await other.fetchval("SELECT count(*) FROM t") == 0
    if running:
        with pytest.raises((asyncpg.PostgresError, ConnectionError, asyncpg.InterfaceError)):
            await running.result()


def test_the_process_list_shows_no_secret(standin: StandIn) -> None:
    arguments = Path(f"/proc/{standin.pid}/cmdline").read_bytes()
    assert PASSWORD.encode() not in arguments
    assert b"secret" not in arguments.lower()
