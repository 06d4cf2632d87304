"""redshift_connector, the vendor's own driver, against the stand-in.

It sends everything by the extended protocol, opens transactions by itself unless autocommit is on,
and asks the catalogue in the words of the oldest servers.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import redshift_connector

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


def connect(standin: StandIn, **more: Any) -> Any:
    settings = {"host": "127.0.0.1", "port": standin.port, "ssl": False, "timeout": 30}
    login = {"user": USER, "password": PASSWORD, "database": DATABASE}
    return redshift_connector.connect(**{**settings, **login, **more})


@pytest.fixture
def con(standin: StandIn, at: Site) -> Iterator[Any]:
    with connect(standin) as connection:
        run(connection, f"SET search_path TO {at.schema}")
        connection.commit()
        yield connection


def run(con: Any, statement: str, *args: Any) -> Any:
    """A cursor that has run a statement."""
    cursor = con.cursor()
    cursor.execute(statement, args or None)
    return cursor


def rows(con: Any, query: str = READ, *args: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in run(con, query, *args).fetchall()]


def told(error: BaseException) -> dict[str, str]:
    """The fields of the server's error, by their letters."""
    found: dict[str, str] = error.args[0]
    return found


def test_a_load_and_a_staged_upsert_in_a_transaction(con: Any, at: Site) -> None:
    run(con, DDL)
    run(con, load(at, "first", FIRST))
    con.commit()
    assert rows(con) == FIRST
    run(con, STAGE)
    run(con, load(at, "second", SECOND, "stage"))
    assert rows(con, "SELECT pg_last_copy_count()") == [(2,)]
    assert [run(con, statement).rowcount for statement in UPSERT][:2] == [1, 2]
    con.commit()
    assert rows(con) == MERGED


def test_without_autocommit_a_rollback_undoes_all(con: Any, at: Site) -> None:
    run(con, DDL)
    con.commit()
    run(con, load(at, "first", FIRST))
    assert len(rows(con)) == 3
    con.rollback()
    assert rows(con) == []


def test_with_autocommit_each_statement_stands(con: Any, standin: StandIn, at: Site) -> None:
    con.autocommit = True
    run(con, DDL)
    run(con, load(at, "first", FIRST))
    with connect(standin) as other:
        assert rows(other, f"SELECT count(*) FROM {at.schema}.orders") == [(3,)]
    run(con, "VACUUM orders")


@pytest.mark.parametrize(
    ("style", "text", "given"),
    [
        ("format", "%s", ("o'Neil",)),
        ("qmark", "?", ("o'Neil",)),
        ("numeric", ":1", ("o'Neil",)),
        ("named", ":name", {"name": "o'Neil"}),
        ("pyformat", "%(name)s", {"name": "o'Neil"}),
    ],
)
def test_parameters_go_to_the_server(con: Any, at: Site, style: str, text: str, given: Any) -> None:
    run(con, DDL)
    run(con, load(at, "first", FIRST))
    cursor = con.cursor()
    cursor.paramstyle = style
    cursor.execute(f"SELECT id, customer FROM orders WHERE customer = {text}", given)
    assert [tuple(row) for row in cursor.fetchall()] == [(2, "o'Neil")]


def test_values_go_in_as_they_come_out(con: Any) -> None:
    run(con, DDL)
    places = ", ".join(["%s"] * 8)
    con.cursor().executemany(f"INSERT INTO orders VALUES ({places})", FIRST)
    assert rows(con) == FIRST


def test_a_description_names_columns_and_types(con: Any) -> None:
    run(con, DDL)
    described = run(con, READ).description
    assert [column[0] for column in described] == [
        *("id", "customer", "items", "amount", "weight", "paid", "ordered", "changed")
    ]
    assert [column[1] for column in described] == [20, 1043, 21, 1700, 701, 16, 1082, 1114]


def test_super_comes_as_text(con: Any) -> None:
    run(con, "CREATE TABLE s (id INT, doc SUPER)")
    run(con, """INSERT INTO s SELECT 1, JSON_PARSE('{"a": [1, 2]}')""")
    cursor = run(con, "SELECT doc FROM s")
    assert cursor.description[0][1] == 4000
    ((found,),) = cursor.fetchall()
    assert found.replace(" ", "") == '{"a":[1,2]}'


def test_an_error_has_its_fields_and_the_transaction_failed(con: Any, at: Site) -> None:
    run(con, DDL)
    con.commit()
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        run(con, too_wide(at))
    fields = told(caught.value)
    assert (fields["C"], fields["S"], fields["M"]) == ("XX000", "ERROR", "Spectrum Scan Error")
    assert "Table columns: 8, Data columns: 9" in fields["D"]
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        run(con, "SELECT 1")
    assert told(caught.value)["C"] == "25P02"
    con.rollback()
    assert rows(con, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELECT * FROM nothing_of_that_name", "42P01"),
        ("INSERT INTO orders (id) VALUES (4) RETURNING id", "42601"),
        ("SAVEPOINT a", "0A000"),
        ("SET jit TO off", "42704"),
    ],
)
def test_what_redshift_lacks_is_refused(con: Any, statement: str, state: str) -> None:
    run(con, DDL)
    con.commit()
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        run(con, statement)
    assert told(caught.value)["C"] == state


def test_a_load_tells_its_rows_in_a_notice(con: Any, at: Site) -> None:
    run(con, DDL)
    con.notices.clear()
    run(con, load(at, "first", FIRST))
    assert [(n[b"S"], n[b"M"].decode()) for n in con.notices] == [
        (b"INFO", LOADED.format("orders", 3))
    ]


def test_the_server_says_what_it_is(con: Any) -> None:
    said = dict(con.parameter_statuses)
    assert said[b"server_version"] == b"8.0.2"
    assert said[b"padb_version"].startswith(b"1.0.")


@pytest.mark.parametrize("ended_by", ["its timeout", "another session"])
def test_a_waiting_statement_is_ended(con: Any, standin: StandIn, at: Site, ended_by: str) -> None:
    run(con, DDL)
    run(con, f"SET statement_timeout TO {300 if ended_by == 'its timeout' else 0}")
    ((pid,),) = rows(con, "SELECT pg_backend_pid()")
    con.commit()
    with connect(standin) as holder, connect(standin) as other:
        run(holder, f"LOCK {at.schema}.orders")
        timer = threading.Timer(0.4, rows, [other, f"SELECT pg_cancel_backend({pid})"])
        timer.start()
        with pytest.raises(redshift_connector.ProgrammingError) as caught:
            run(con, "DELETE FROM orders")
        assert told(caught.value)["C"] == "57014"
        timer.join()
        holder.rollback()
    con.rollback()
    assert rows(con) == []


def test_a_terminated_session_is_noticed_and_the_next_one_works(con: Any, standin: StandIn) -> None:
    doomed = connect(standin)
    ((pid,),) = rows(doomed, "SELECT pg_backend_pid()")
    rows(con, f"SELECT pg_terminate_backend({pid})")
    with pytest.raises((redshift_connector.Error, OSError)):
        run(doomed, "SELECT 1")
    with contextlib.suppress(redshift_connector.Error, OSError):
        doomed.close()
    doomed._usock.close()
    with connect(standin) as again:
        assert rows(again, "SELECT 1") == [(1,)]


def refused(standin: StandIn, **how: Any) -> str:
    """Why it cannot connect; the driver leaves its socket to the collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        said = ""
        try:
            connect(standin, **how).close()
        except (redshift_connector.Error, OSError) as error:
            said = f"{type(error).__name__}: {error}"
        gc.collect()
    assert said, "it was let in"
    return said


@pytest.mark.parametrize(
    ("change", "state"),
    [({"password": "bad"}, "28000"), ({"user": "nobody"}, "28000"), ({"database": "x"}, "3D000")],
)
def test_a_wrong_login_is_refused(standin: StandIn, change: dict[str, str], state: str) -> None:
    said = refused(standin, **change)
    assert state in said
    assert PASSWORD not in said


@pytest.mark.filterwarnings("ignore:ssl.:DeprecationWarning")  # the driver's own
def test_tls_is_verified(
    standin: StandIn, standin_tls: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "certificate" in refused(standin_tls, ssl=True, sslmode="verify-ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(standin_tls.certificate))
    with connect(standin_tls, ssl=True, sslmode="verify-ca") as connection:
        assert connection._usock.cipher()
        assert rows(connection, "SELECT 1") == [(1,)]
    assert "certificate" in refused(standin_tls, ssl=True, sslmode="verify-full")
    assert "SSL" in refused(standin, ssl=True)


@pytest.fixture
def catalogue(con: Any) -> Any:
    run(con, DDL)
    run(con, "CREATE VIEW recent AS SELECT id FROM orders")
    con.commit()
    return con.cursor()


def test_the_catalogue_has_the_schema(catalogue: Any, at: Site) -> None:
    assert at.schema in {row[0] for row in catalogue.get_schemas()}
    assert [tuple(row[:2]) for row in catalogue.get_schemas(schema_pattern=at.schema)] == [
        (at.schema, DATABASE)
    ]


FUNCTIONS = (
    "its query calls regexp_substr() and regexp_replace(), and reuses a result column's name"
)
KEYS_ARE_FACTS = "the stand-in keeps a key as a fact of its table; pg_index knows none"


def test_the_catalogue_has_the_tables_of_every_schema(catalogue: Any, at: Site) -> None:
    found = {tuple(row[1:4]) for row in catalogue.get_tables(table_name_pattern="orders")}
    assert (at.schema, "orders", "TABLE") in found
    assert [list(row) for row in catalogue.get_catalogs()] == [[DATABASE]]


def test_the_catalogue_has_the_tables(catalogue: Any, at: Site) -> None:
    found = catalogue.get_tables(schema_pattern=at.schema)
    every = [(at.schema, "orders", "TABLE"), (at.schema, "recent", "VIEW")]
    assert sorted(tuple(row[1:4]) for row in found) == every


@pytest.mark.xfail(reason=FUNCTIONS, raises=redshift_connector.Error, strict=True)
def test_the_catalogue_has_the_columns(catalogue: Any, at: Site) -> None:
    found = catalogue.get_columns(schema_pattern=at.schema, tablename_pattern="orders")
    assert [(row[3], row[5], row[10]) for row in found] == [
        ("id", "int8", 0),
        ("customer", "varchar", 1),
        ("items", "int2", 1),
        ("amount", "numeric", 1),
        ("weight", "float8", 1),
        ("paid", "bool", 1),
        ("ordered", "date", 1),
        ("changed", "timestamp", 1),
    ]


@pytest.mark.xfail(reason=KEYS_ARE_FACTS, raises=AssertionError, strict=True)
def test_the_catalogue_has_the_primary_key(catalogue: Any, at: Site) -> None:
    found = catalogue.get_primary_keys(schema=at.schema, table="orders")
    assert [tuple(row[1:5]) for row in found] == [(at.schema, "orders", "id", 1)]
