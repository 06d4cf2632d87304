"""SET, RESET, SHOW and start-up parameters: rules S3 to S3b."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standin.checks import check

if TYPE_CHECKING:
    from tests.standin.site import Site

HOW = [("simple", "execute"), ("extended", "fetch")]
FOREIGN = [
    ("set", "SET jit TO off"),
    ("lock", "SET lock_timeout TO 5"),
    ("strings", "SET standard_conforming_strings TO on"),
    ("show", "SHOW work_mem"),
    ("reset", "RESET jit"),
    ("idle", "SET SESSION idle_in_transaction_session_timeout = '1s'"),
]


@check("S3", [(f"{title}-{how}", sql, act) for title, sql in FOREIGN for how, act in HOW])
async def what_only_postgresql_has_is_unknown(at: Site, sql: str, how: str) -> None:
    error = await at.fails(getattr(at.con, how)(sql))
    assert error.sqlstate == "42704"
    assert error.message.startswith("unrecognized configuration parameter")
    assert await at.rows("SELECT 1") == [(1,)]


@check("S3", [("jit", "jit", "off"), ("idle", "idle_in_transaction_session_timeout", "5")])
async def an_unknown_start_up_parameter_ends_the_connection(
    at: Site, name: str, value: str
) -> None:
    error = await at.fails(at.connect(settings={name: value}))
    assert (error.sqlstate, name in error.message) == ("42704", True)


@check("S3", [("set", "SET no_such_thing TO 1"), ("show", "SHOW no_such_thing")], proves=False)
async def what_nobody_has_is_unknown(at: Site, sql: str) -> None:
    assert (await at.fails(sql)).sqlstate == "42704"


@check("S3", [
    ("search_path", "SET search_path = 'public', x"),
    ("search_path-dollar", "SET search_path TO '$user', public"),
    ("timeout", "SET statement_timeout TO 60000"),
    ("name", "SET SESSION application_name TO 'x'"),
    ("local", "SET LOCAL datestyle TO 'ISO'"),
    ("zone", "SET timezone TO 'UTC'"),
    ("default", "SET search_path TO DEFAULT"),
    ("encoding", "SET client_encoding TO 'UTF8'"),
    ("show", "SHOW search_path"),
    ("isolation", "SHOW transaction_isolation"),
], proves=False)  # fmt: skip
async def what_both_have_passes(at: Site, sql: str) -> None:
    for how in ("execute", "fetch"):
        await getattr(at.con, how)(sql)


OWN = [
    ("query_group", "s3rs:a b"),
    ("query_slot_count", "3"),
    ("wlm_query_slot_count", "3"),
    ("enable_result_cache_for_session", "off"),
    ("analyze_threshold_percent", "5"),
    ("json_serialization_enable", "true"),
]


@check("S3a", [(f"{name}-{how}", name, value, act) for name, value in OWN for how, act in HOW])
async def own_settings_hold_until_reset(at: Site, name: str, value: str, how: str) -> None:
    (before,) = await at.rows(f"SHOW {name}")
    await getattr(at.con, how)(f"SET {name} TO '{value}'")
    assert await at.rows(f"SHOW {name}") == [(value,)]
    await getattr(at.con, how)(f"RESET {name}")
    assert await at.rows(f"SHOW {name}") == [before]


@check("S3a")
async def reset_all_drops_what_set_gave_and_keeps_what_the_start_gave(at: Site) -> None:
    con = await at.connect(settings={"query_group": "first of all"})
    await con.execute("SET query_group TO 'x'")
    await con.execute("SET search_path TO public")
    await con.execute("SET statement_timeout TO 5000")
    await con.execute("RESET ALL")
    assert await con.fetchval("SHOW query_group") == "first of all"
    assert await con.fetchval("SHOW search_path") == at.schema
    assert await con.fetchval("SHOW statement_timeout") == "0"


@check("S3a")
async def a_start_up_parameter_is_a_setting(at: Site) -> None:
    given = {"query_group": "a\\ b", "statement_timeout": "5000", "application_name": "x"}
    con = await at.connect(settings=given)
    assert await con.fetchval("SHOW query_group") == "a\\ b"
    assert await con.fetchval("SHOW statement_timeout") in ("5s", "5000")


@check("S3a")
async def a_rollback_undoes_set(at: Site) -> None:
    await at.run("SET query_group TO 'kept'", "BEGIN", "SET query_group TO 'lost'", "ROLLBACK")
    assert await at.rows("SHOW query_group") == [("kept",)]


@check("S3b", HOW, only_here="an administrator of a cluster may read it")
async def the_servers_version_is_for_superusers(at: Site, how: str) -> None:
    error = await at.fails(getattr(at.con, how)("SHOW server_version"))
    assert error.sqlstate == "42501"
    assert error.message == 'must be superuser to examine "server_version"'


@check("stand-in", [
    ("case", "SET enable_case_sensitive_identifier TO true"),
    ("user", "SET SESSION AUTHORIZATION x"),
    ("all", "SHOW ALL"),
    ("system", "ALTER SYSTEM SET work_mem = '1MB'"),
], only_here="a cluster takes it")  # fmt: skip
async def settings_that_are_not_emulated_are_refused_by_name(at: Site, sql: str) -> None:
    for how in ("execute", "fetch"):
        error = await at.fails(getattr(at.con, how)(sql))
        assert error.sqlstate == "0A000"
        assert error.message.startswith("the Redshift stand-in does not emulate ")


@check("stand-in", [("off", "off"), ("false", "'false'")], proves=False)
async def names_need_not_keep_their_case(at: Site, value: str) -> None:
    await at.run(f"SET enable_case_sensitive_identifier TO {value}")
