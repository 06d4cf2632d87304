"""The wire: TLS, garbage, limits, pipelines and portals; the server survives whatever comes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3rs_async.sandbox.redshift.session.words import backend_types, client_types
from s3rs_async.sandbox.redshift.wire import cstrings, frame
from tests.standin.raw import Raw, raw, start_up
from tests.standin.servers import PASSWORD, StandIn
from tests.standin.site import Place, open_site

pytestmark = pytest.mark.standin
SYNC, FLUSH = frame(b"S"), frame(b"H")
INT = struct.Struct("!i")


def parse(text: str, name: str = "", *types: int) -> bytes:
    numbers = b"".join(map(INT.pack, types))
    return frame(b"P", cstrings(name, text) + struct.pack("!h", len(types)) + numbers)


def bind(portal: str = "", name: str = "") -> bytes:
    return frame(b"B", cstrings(portal, name) + bytes(6))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return frame(b"E", cstrings(portal) + INT.pack(limit))


def query(text: str) -> bytes:
    return frame(b"Q", cstrings(text))


def run(text: str) -> bytes:
    return parse(text) + bind() + execute()


async def works(standin: StandIn) -> None:
    con = await asyncpg.connect(**standin.login)
    assert await con.fetchval("SELECT 1") == 1
    con.terminate()


async def said(connection: Raw) -> str:
    """The error that the server ends the connection with."""
    kind, body = await connection.message()
    while kind not in (b"E", b""):
        kind, body = await connection.message()
    assert kind == b"E", "it closed without a word"
    return body.replace(b"\0", b"|").decode()


async def test_without_a_certificate_tls_is_declined(standin: StandIn) -> None:
    with pytest.raises(ConnectionError):
        await asyncpg.connect(**{**standin.login, "ssl": "require"})
    con = await asyncpg.connect(**{**standin.login, "ssl": "prefer"})
    assert await con.fetchval("SELECT 1") == 1
    con.terminate()


async def test_with_a_certificate_tls_is_spoken(standin_tls: StandIn) -> None:
    context = ssl.create_default_context(cafile=str(standin_tls.certificate))
    context.check_hostname = False
    con = await asyncpg.connect(**{**standin_tls.login, "ssl": context})
    assert con._transport.get_extra_info("cipher")
    assert await con.fetchval("SELECT 1") == 1
    con.terminate()


@pytest.mark.parametrize(
    ("change", "state"),
    [({"password": "bad"}, "28000"), ({"user": "no"}, "28000"), ({"database": "x"}, "3D000")],
)
async def test_a_wrong_clear_text_log_in_is_refused(
    standin_tls: StandIn, change: dict[str, str], state: str
) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await asyncpg.connect(**{**standin_tls.login, "ssl": False, **change})
    assert caught.value.sqlstate == state


def test_the_process_list_shows_no_secret(standin: StandIn) -> None:
    arguments = Path(f"/proc/{standin.pid}/cmdline").read_bytes()
    assert PASSWORD.encode() not in arguments
    assert b"secret" not in arguments.lower()


async def test_the_front_tells_redshifts_parameters_and_no_others(standin: StandIn) -> None:
    async with raw(standin.port) as connection:
        answers = await connection.log_in()
    told = dict(body.split(b"\0")[:2] for kind, body in answers if kind == b"S")
    assert told[b"server_version"] == b"8.0.2"
    assert told[b"standard_conforming_strings"] == b"off"
    assert {b"padb_version", b"padb_revision", b"client_encoding", b"TimeZone"} <= set(told)
    assert not {b"in_hot_standby", b"search_path", b"scram_iterations"} & set(told)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        INT.pack(0) * 2,
        INT.pack(7) + INT.pack(196608),
        INT.pack(-1) + INT.pack(196608),
        INT.pack(1 << 30) + INT.pack(196608),
        INT.pack(10_001) + INT.pack(196608) + bytes(9_993),
        struct.pack("!ii", 16, 80877102) + bytes(8),
        struct.pack("!ii", 8, 80877102),
        struct.pack("!ii", 8, 80877103) * 3 + b"x",
        start_up("user", "x")[:-3],
    ],
    ids=range(12),
)
async def test_a_start_up_that_is_none_is_closed(standin: StandIn, sent: bytes) -> None:
    async with raw(standin.port) as connection:
        connection.send(sent)
        connection.writer.write_eof()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert set(await connection.reader.read()) <= set(b"N")
    await works(standin)


@pytest.mark.parametrize("version", [131072, 262144, 1])
async def test_another_protocol_is_refused_by_name(standin: StandIn, version: int) -> None:
    async with raw(standin.port) as connection:
        connection.send(start_up("user", "x", version=version))
        assert "unsupported frontend protocol" in await said(connection)


async def test_a_newer_minor_protocol_is_negotiated(standin: StandIn) -> None:
    async with raw(standin.port) as connection:
        connection.send(start_up("user", "x", version=196610))
        assert await connection.message() == (b"v", INT.pack(0) * 2)


async def test_a_client_that_has_not_logged_in_may_send_a_page(standin: StandIn) -> None:
    async with raw(standin.port) as connection:
        connection.send(start_up("user", "awsuser", "database", "dev"))
        assert (await connection.message())[0] == b"R"
        connection.send(b"p" + INT.pack(20_000))
        assert "08P01" in await said(connection)


@pytest.mark.parametrize("size", [-1, -(1 << 31), 0, 3, (1 << 26) + 1, (1 << 31) - 1])
@pytest.mark.parametrize("kind", [b"Q", b"P", b"d", b"X", b"\0"])
async def test_a_message_of_absurd_length_ends_the_connection(
    standin: StandIn, kind: bytes, size: int
) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(kind + INT.pack(size))
        assert "08P01|Minvalid message length" in await said(connection)
        assert await connection.message() == (b"", b"")


async def test_a_large_statement_passes(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(query("SELECT 1 --" + "x" * (1 << 24)))
        assert await connection.kinds() == "TDCZ"


async def test_a_large_row_passes(place: Place, schema: str) -> None:
    async with open_site(place, schema) as at:
        await at.run("CREATE TABLE t (a VARCHAR(65535))")
        await at.con.fetch("INSERT INTO t VALUES ($1)", "ä" * 32_000)
        for _ in range(3):
            await at.run("INSERT INTO t SELECT a FROM t")
        found = await at.rows("SELECT x.a || y.a || z.a FROM t AS x, t AS y, t AS z")
        assert len(found) == 512
        assert {len(text) for (text,) in found} == {96_000}


@pytest.mark.parametrize("message", [
    frame(b"P", b"no end"), frame(b"P", b"\0"), frame(b"B", b""), frame(b"E", b"x"),
    frame(b"P", b"\0SELECT 1\0"), frame(b"C", b""),
], ids=range(6))  # fmt: skip
async def test_a_malformed_message_ends_in_an_error(standin: StandIn, message: bytes) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(message, SYNC)
        assert "08P01" in await said(connection)
    await works(standin)


async def test_bytes_that_are_no_utf8_are_refused_and_not_changed(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        copy = b"COPY t FROM 's3://b/\xe4' IAM_ROLE 'x' FORMAT PARQUET\0"
        for text in (copy, b"SELECT '\xff'\0", b"SELECT \xc3\0", b"CREATE TABLE \xe4 (a INT)\0"):
            connection.send(frame(b"Q", text))
            answers = await connection.answers()
            assert [kind for kind, _ in answers] == [b"E", b"Z"]
            assert b"C22021" in answers[0][1]
        connection.send(query("SET client_encoding TO 'LATIN1'"))
        assert "C" in await connection.kinds()
        connection.send(frame(b"Q", b"SELECT '\xe4' AS \"\xe4\", octet_length('\xe4')\0"))
        answers = await connection.answers()
        assert answers[0][1][2:4] == b"\xe4\0"
        assert answers[1][1] == b"\0\2" + INT.pack(1) + b"\xe4" + INT.pack(1) + b"2"


async def test_a_pipeline_is_answered_in_order(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(run("SELECT 1"), run("CREATE TEMP TABLE p (a INT)"), SYNC)
        connection.send(run("INSERT INTO p VALUES (1)"), run("SET query_group TO 'x'"), SYNC)
        connection.send(run("SELECT a FROM p"), SYNC, query("SHOW query_group"))
        assert await connection.kinds() == "12DC12CZ"
        assert await connection.kinds() == "12C12CZ"
        assert await connection.kinds() == "12DCZ"
        assert await connection.kinds() == "TDCZ"


async def test_an_error_skips_to_the_next_sync(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(run("CREATE TEMP TABLE p (a INT)"), SYNC)
        await connection.answers()
        for wrong in ("LISTEN x", "SELECT nothing", "NONSENSE", "SET jit TO off", "SAVEPOINT x"):
            connection.send(run("INSERT INTO p VALUES (1)"), run(wrong), run("SELECT 2"), SYNC)
            connection.send(run("SELECT count(*) FROM p"), SYNC)
            assert (await connection.kinds()).endswith("EZ")
            answers = dict(await connection.answers())
            assert answers[b"D"][6:] == b"0"


async def test_a_pipeline_may_hold_a_failed_text(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(query("SELECT 1; SELECT 1/0; SELECT 2"), query("SELECT 3"))
        assert await connection.kinds() == "TDCEZ"
        assert await connection.kinds() == "TDCZ"


async def test_a_prepared_statement_is_one_statement(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(parse("SELECT 1; SELECT 2"), SYNC)
        answers = await connection.answers()
        assert [kind for kind, _ in answers] == [b"E", b"Z"]
        assert b"C42601\0Mcannot insert multiple commands into a prepared" in answers[0][1]
        connection.send(run("SELECT 1;"), SYNC)
        assert await connection.kinds() == "12DCZ"


async def test_a_portal_gives_its_rows_in_parts(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(query("CREATE TEMP TABLE p (a INT); INSERT INTO p VALUES (1), (2), (3)"))
        await connection.answers()
        connection.send(parse("SELECT a FROM p"), bind("c"), execute("c", 2), execute("c", 2), SYNC)
        assert await connection.kinds() == "12DDsDCZ"
        connection.send(run(""), SYNC)
        assert await connection.kinds() == "12IZ"
        connection.send(query(""), query(" ; -- nothing\n"))
        assert await connection.kinds() == "IZ"
        assert await connection.kinds() == "IZ"


async def test_a_statement_is_prepared_once_and_run_often(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(
            query("CREATE TEMP TABLE p (a INT)"), parse("INSERT INTO p VALUES (1)", "i")
        )
        connection.send(parse("SET query_group TO 'x'", "s"), SYNC)
        await connection.answers()
        await connection.answers()
        for _ in range(3):
            connection.send(bind("", "i"), execute(), bind("", "s"), execute(), SYNC)
            assert await connection.kinds() == "2C2CZ"
        connection.send(frame(b"C", b"Si\0"), frame(b"C", b"Ss\0"), bind("", "s"), SYNC)
        assert await connection.kinds() == "33EZ"


async def test_a_function_call_has_its_answer(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(frame(b"F", INT.pack(2026) + bytes(6)))
        assert (await connection.kinds())[-1] == "Z"
        connection.send(query("SET query_group TO 'x'"), query("SELECT 1"), query("SELECT 2"))
        assert [await connection.kinds() for _ in range(3)] == ["CZ", "TDCZ", "TDCZ"]


async def test_a_client_that_closes_its_half_is_gone(place: Place, schema: str) -> None:
    async with open_site(place, schema) as at:
        await at.run("CREATE TABLE t (a INT)")
        async with raw(place.login["port"], logged_in=True) as connection:
            connection.send(query(f"BEGIN; LOCK {schema}.t; SELECT 1"))
            await connection.answers()
            connection.writer.write_eof()
            async with asyncio.timeout(2):
                await at.run("INSERT INTO t VALUES (1)")
                assert await connection.message() == (b"", b"")


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def test_a_client_that_reads_nothing_holds_up_nobody(standin: StandIn) -> None:
    rows = "SELECT repeat('x', 1000) FROM svv_columns a, svv_columns b"
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(query(rows))
        await asyncio.sleep(0.3)
        assert _resident(standin.pid) < 500_000
        await works(standin)


async def test_a_cancel_request_with_a_foreign_key_does_nothing(standin: StandIn) -> None:
    con = await asyncpg.connect(**standin.login)
    async with raw(standin.port) as connection:
        key = INT.pack(con.get_server_pid()) + INT.pack(1)
        connection.send(struct.pack("!ii", 16, 80877102) + key)
        assert await connection.message() == (b"", b"")
    assert await con.fetchval("SELECT 1") == 1
    con.terminate()


def _described(*columns: tuple[str, int, int]) -> bytes:
    fields = (cstrings(n) + struct.pack("!ihihih", t, 1, o, -1, -1, 0) for n, t, o in columns)
    return struct.pack("!h", len(columns)) + b"".join(fields)


def test_types_are_renumbered_where_they_stand_and_nowhere_else() -> None:
    super_, bytea = 3802, 17
    columns = [("a", 17, super_), ("b", 3802, bytea), ("c", 17, 23), ("d\x0e", 0, 25)]
    wanted = [("a", 17, 4000), ("b", 3802, 6551), ("c", 17, 23), ("d\x0e", 0, 25)]
    assert client_types(b"T", _described(*columns)) == _described(*wanted)
    numbers = b"\0\3" + INT.pack(17) + INT.pack(23) + INT.pack(3802)
    renamed = b"\0\3" + INT.pack(6551) + INT.pack(23) + INT.pack(4000)
    assert client_types(b"t", numbers) == renamed
    assert backend_types(renamed) == numbers
    assert client_types(b"D", numbers) == numbers


async def test_parameters_may_have_redshifts_type_numbers(standin: StandIn) -> None:
    async with raw(standin.port, logged_in=True) as connection:
        connection.send(parse("SELECT $1::VARCHAR, $2", "", 4000, 23))
        connection.send(frame(b"D", b"S\0"), SYNC)
        answers = dict(await connection.answers())
        assert answers[b"t"] == b"\0\2" + INT.pack(4000) + INT.pack(23)


KINDS = st.sampled_from(b"QPBEDCSHXFpdcf\0Zz").map(lambda kind: bytes([kind]))
WORDS = st.sampled_from(
    [b"\0", b"SELECT 1", b"BEGIN;", b"LOCK", b"COPY t FROM '", b"\xff", b"/*", b"$$", b"S", b"P"]
)
BODIES = st.lists(WORDS | st.binary(max_size=8), max_size=6).map(b"".join)
FRAMES = st.builds(frame, KINDS, BODIES) | st.builds(
    lambda kind, size, body: kind + INT.pack(size) + body, KINDS, st.integers(-9, 99), BODIES
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(FRAMES, min_size=1, max_size=8), logged_in=st.booleans())
async def test_hostile_bytes_hurt_nobody(
    standin: StandIn, messages: list[bytes], logged_in: bool
) -> None:
    async with raw(standin.port, logged_in=logged_in) as connection:
        connection.send(*messages)
        connection.writer.write_eof()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                while await connection.reader.read(1 << 16):
                    pass
    await works(standin)


async def test_the_front_has_said_nothing_about_hostile_clients(
    backing: tuple[Path, str], capfd: Any
) -> None:
    from tests.standin.servers import front

    with front(*backing) as own:
        for message in (frame(b"P", b"no end"), b"Q" + INT.pack(-5), frame(b"\0", b"x")):
            async with raw(own.port, logged_in=True) as connection:
                connection.send(message)
                await said(connection)
        async with raw(own.port) as connection:
            connection.send(b"\xff" * 100)
            await connection.message()
        await works(own)
    assert "Traceback" not in capfd.readouterr().err
