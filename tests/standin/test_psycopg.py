"""psycopg 3 against the stand-in: what a script of its users does, and what it is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

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
from tests.standin.servers import DATABASE, PASSWORD, USER, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standin.site import Site

pytestmark = pytest.mark.standin


def dsn(standin: StandIn, **more: str) -> str:
    login = {"user": USER, "password": PASSWORD, "dbname": DATABASE}
    where = {"host": "127.0.0.1", "port": str(standin.port)}
    return psycopg.conninfo.make_conninfo("", **{**where, **login, **more})


@pytest.fixture
def con(standin: StandIn, at: Site) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn(standin), autocommit=True) as connection:
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(at.schema)))
        yield connection


def test_a_load_and_a_staged_upsert_in_a_transaction(con: Any, at: Site) -> None:
    con.execute(DDL)
    with con.transaction():
        con.execute(load(at, "first", FIRST))
    assert con.execute(READ).fetchall() == FIRST
    with con.transaction():
        con.execute(STAGE)
        con.execute(load(at, "second", SECOND, "stage"))
        assert con.execute("SELECT pg_last_copy_count()").fetchone() == (2,)
        touched = [con.execute(statement).rowcount for statement in UPSERT]
    assert touched[:2] == [1, 2]
    assert con.execute(READ).fetchall() == MERGED


def test_it_sees_the_server_as_it_sees_redshift(con: Any) -> None:
    assert con.info.server_version == 80002
    assert con.info.parameter_status("server_version") == "8.0.2"
    assert con.info.parameter_status("padb_version")


def test_values_come_the_same_in_binary(con: Any, at: Site) -> None:
    con.execute(DDL)
    con.execute(load(at, "first", FIRST))
    with con.cursor(binary=True) as cursor:
        assert cursor.execute(READ).fetchall() == FIRST


def test_a_column_too_many_is_told_with_its_fields(con: Any, at: Site) -> None:
    con.execute(DDL)
    with pytest.raises(psycopg.errors.InternalError_) as caught, con.transaction():
        con.execute("INSERT INTO orders (id) VALUES (1)")
        con.execute(too_wide(at))
    told = caught.value.diag
    assert (told.sqlstate, told.severity) == ("XX000", "ERROR")
    assert told.message_primary == "Spectrum Scan Error"
    assert "code:      15007" in told.message_detail
    assert "Table columns: 8, Data columns: 9" in told.message_detail
    assert con.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_a_failed_block_takes_nothing_but_its_end(con: Any) -> None:
    con.execute("BEGIN")
    with pytest.raises(psycopg.errors.UndefinedTable):
        con.execute("SELECT * FROM nothing_of_that_name")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        con.execute("SELECT 1")
    assert con.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    con.execute("ROLLBACK")
    assert con.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO orders (id) VALUES (4) RETURNING id", psycopg.errors.SyntaxError),
        ("INSERT INTO orders (id) VALUES (4) ON CONFLICT DO NOTHING", psycopg.errors.SyntaxError),
        ("LISTEN x", psycopg.errors.FeatureNotSupported),
        ("CREATE INDEX i ON orders (id)", psycopg.errors.FeatureNotSupported),
        ("SET jit TO off", psycopg.errors.UndefinedObject),
        ("INSERT INTO orders (id) VALUES (NULL)", psycopg.errors.InternalError_),
    ],
)
def test_what_redshift_lacks_has_the_class_of_its_state(
    con: Any, statement: str, kind: type[Exception]
) -> None:
    con.execute(DDL)
    with pytest.raises(kind):
        con.execute(statement)
    assert con.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_savepoints_are_not_there_so_transactions_do_not_nest(con: Any) -> None:
    with con.transaction():
        with (
            pytest.raises(psycopg.errors.FeatureNotSupported, match="SAVEPOINT"),
            con.transaction(),
        ):
            pass
        con.execute("ROLLBACK")


def test_parameters_go_to_the_server_and_statements_are_prepared(con: Any, at: Site) -> None:
    con.execute(DDL)
    con.execute(load(at, "first", FIRST))
    query = "SELECT id FROM orders WHERE id > %s AND customer = %s"
    for _ in range(7):  # the sixth time it is prepared
        assert con.execute(query, [0, "o'Neil"]).fetchall() == [(2,)]
    con.execute("INSERT INTO orders (id, customer) VALUES (%s, %s)", [3, "x\\y"], prepare=True)
    assert con.execute("SELECT customer FROM orders WHERE id = 3").fetchone() == ("x\\y",)
    with con.cursor() as cursor:
        cursor.executemany("DELETE FROM orders WHERE id = %s", [(1,), (2,), (5,)])
        assert cursor.rowcount == 2


def test_a_named_cursor_lives_in_a_transaction(con: Any, at: Site) -> None:
    con.execute(DDL)
    con.execute(load(at, "first", FIRST))
    with con.transaction(), con.cursor("slowly") as cursor:
        cursor.itersize = 2
        assert list(cursor.execute(READ)) == FIRST
    with pytest.raises(psycopg.errors.NoActiveSqlTransaction), con.cursor("outside") as cursor:
        cursor.execute(READ)


def test_pipelines_work_and_a_refusal_in_one_skips_to_its_end(con: Any) -> None:
    con.execute("CREATE TEMP TABLE p (a INT)")
    with con.pipeline():
        for number in range(20):
            con.execute("INSERT INTO p VALUES (%s)", [number])
        found = con.execute("SELECT count(*) FROM p")
    assert found.fetchone() == (20,)
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        _pipeline_with_a_refusal(con)
    assert con.execute("SELECT 1").fetchone() == (1,)


def _pipeline_with_a_refusal(con: Any) -> None:
    with con.pipeline():
        con.execute("INSERT INTO p VALUES (1)")
        con.execute("LISTEN x")
        con.execute("INSERT INTO p VALUES (2)")


def test_a_load_can_be_piped_with_what_follows_it(con: Any, at: Site) -> None:
    con.execute(DDL)
    with con.pipeline():
        con.execute("BEGIN")
        con.execute(load(at, "first", FIRST))
        count = con.execute("SELECT pg_last_copy_count()")
        con.execute("COMMIT")
    assert count.fetchone() == (3,)
    assert con.execute(READ).fetchall() == FIRST


def test_a_load_tells_its_rows_in_a_notice(con: Any, at: Site) -> None:
    told: list[tuple[str | None, str | None]] = []
    con.add_notice_handler(lambda d: told.append((d.severity, d.message_primary)))
    con.execute(DDL)
    con.execute(load(at, "first", FIRST))
    assert told == [("INFO", LOADED.format("orders", 3))]


def test_a_waiting_statement_can_be_cancelled(con: Any, standin: StandIn, at: Site) -> None:
    con.execute(DDL)
    with psycopg.connect(dsn(standin)) as other:
        other.execute(f"LOCK {at.schema}.orders")
        timer = threading.Timer(0.3, con.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            con.execute("SELECT count(*) FROM orders")
        timer.join()
    assert con.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_a_statement_timeout_ends_it_too(con: Any, standin: StandIn, at: Site) -> None:
    con.execute(DDL)
    con.execute("SET statement_timeout TO 200")
    with psycopg.connect(dsn(standin)) as other:
        other.execute(f"LOCK {at.schema}.orders")
        with pytest.raises(psycopg.errors.QueryCanceled):
            con.execute("SELECT count(*) FROM orders")


def test_a_terminated_connection_says_so_and_the_next_one_works(con: Any, standin: StandIn) -> None:
    with psycopg.connect(dsn(standin)) as doomed:
        (pid,) = doomed.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        con.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError):
            doomed.execute("SELECT 1")
        assert doomed.closed
    with psycopg.connect(dsn(standin)) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)


def test_a_load_whose_session_is_terminated_says_so_and_leaves_nothing(
    con: Any, standin: StandIn, at: Site
) -> None:
    con.execute("CREATE TABLE big (a BIGINT)")
    at.put("big/1", pa.table({"a": pa.array(range(3_000_000), pa.int64())}))
    with psycopg.connect(dsn(standin)) as doomed:
        doomed.execute(f"SET search_path TO {at.schema}".encode())
        (pid,) = doomed.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        ending = "SELECT pg_terminate_backend(%s)"
        timer = threading.Timer(0.2, con.execute, [ending, [pid]])
        timer.start()
        with pytest.raises(psycopg.errors.AdminShutdown):
            doomed.execute(at.copy("big/", "big").encode())
        timer.join()
    assert con.execute("SELECT count(*) FROM big").fetchone() == (0,)


@pytest.mark.parametrize("change", [{"password": "bad"}, {"user": "nobody"}, {"dbname": "x"}])
def test_a_wrong_login_is_refused(standin: StandIn, change: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn(standin, **change))


def test_tls_is_verified_by_the_name_whatever_address_is_dialled(standin_tls: StandIn) -> None:
    name = "cluster.example.redshift.test"
    verified = {"sslmode": "verify-full", "sslrootcert": str(standin_tls.certificate)}
    where = {"host": name, "hostaddr": "127.0.0.1"}
    with psycopg.connect(dsn(standin_tls, **verified, **where)) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        psycopg.connect(dsn(standin_tls, **verified))


def test_tls_is_declined_by_a_server_that_has_none(standin: StandIn) -> None:
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(dsn(standin, sslmode="require"))
    with psycopg.connect(dsn(standin, sslmode="prefer")) as connection:
        assert not connection.pgconn.ssl_in_use


async def test_the_asynchronous_one_does_the_same(standin: StandIn, at: Site) -> None:
    async with await psycopg.AsyncConnection.connect(dsn(standin), autocommit=True) as con:
        await con.execute(f"SET search_path TO {at.schema}".encode())
        await con.execute(DDL.encode())
        async with con.transaction():
            await con.execute(load(at, "first", FIRST).encode())
        async with con.transaction():
            await con.execute(STAGE.encode())
            await con.execute(load(at, "second", SECOND, "stage").encode())
            for statement in UPSERT:
                await con.execute(statement.encode())
        assert await (await con.execute(READ.encode())).fetchall() == MERGED
        with pytest.raises(psycopg.errors.InternalError_, match="Spectrum Scan Error"):
            await con.execute(too_wide(at).encode())
        async with con.transaction(), con.cursor("slowly") as cursor:
            await cursor.execute(READ.encode())
            assert await cursor.fetchmany(2) == MERGED[:2]
        async with con.pipeline():
            first = await con.execute("SELECT %s::int", [1])
            second = await con.execute("SELECT %s::int", [2])
        assert (await first.fetchone(), await second.fetchone()) == ((1,), (2,))
