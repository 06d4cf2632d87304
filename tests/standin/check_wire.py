"""What the server says of itself, log-in, and numbers of types: rules W1 to W4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standin.checks import check

if TYPE_CHECKING:
    from tests.standin.site import Site


@check("W1")
async def the_server_is_version_8_0_2(at: Site) -> None:
    assert at.con.get_server_version()[:3] == (8, 0, 2)


@check("W1")
async def the_server_names_its_release(at: Site) -> None:
    assert getattr(at.con.get_settings(), "padb_version", "").startswith("1.0.")


@check("W1a")
async def asyncpg_knows_redshift(at: Site) -> None:
    assert hasattr(at.con.get_settings(), "padb_revision")
    assert at.con.get_reset_query() == "RESET ALL;"


@check("W2", [("password", {"password": "bad"}), ("user", {"user": "nobody"})])
async def a_wrong_log_in_is_refused(at: Site, change: dict[str, str]) -> None:
    error = await at.fails(at.connect(**change))
    assert error.sqlstate == "28000"
    user = change.get("user", at.place.login["user"])
    assert error.args[0] == f'password authentication failed for user "{user}"'


@check("W3")
async def an_unknown_database_is_refused(at: Site) -> None:
    error = await at.fails(at.connect(database="no_such_database"))
    assert (error.sqlstate, error.args[0]) == (
        "3D000",
        'database "no_such_database" does not exist',
    )


@check("W4", [("super", "SUPER", "JSON_PARSE('[1]')"), ("varbyte", "VARBYTE(5)", "NULL")])
async def types_of_its_own_are_unknown_to_asyncpg(at: Site, column: str, value: str) -> None:
    await at.run(f"CREATE TABLE t (j {column})", f"INSERT INTO t VALUES ({value})")
    error = await at.fails(at.con.fetch("SELECT j FROM t"))
    assert error.sqlstate in ("42P01", "42703")


@check("W4", proves=False)
async def super_can_be_read_as_text(at: Site) -> None:
    await at.run("CREATE TABLE t (j SUPER)", "INSERT INTO t VALUES (JSON_PARSE('[1]'))")
    assert await at.rows("SELECT j::VARCHAR FROM t") == [("[1]",)]
