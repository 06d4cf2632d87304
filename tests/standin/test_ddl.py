"""DDL beside the rules: facts that come and go with their tables, races, scripts."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from s3rs_async.sandbox.redshift.dialect.tokens import split
from s3rs_async.sandbox.redshift.faults import RedshiftError
from s3rs_async.sandbox.redshift.planning.alter import alter_table
from s3rs_async.sandbox.redshift.planning.ddl import create_table
from tests.standin.servers import DATABASE
from tests.standin.site import Place, Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.standin.servers import StandIn

pytestmark = pytest.mark.standin


@pytest.fixture
async def at(place: Place, schema: str) -> AsyncIterator[Site]:
    async with open_site(place, schema) as site:
        yield site


@pytest.fixture
async def behind(standin: StandIn) -> AsyncIterator[Any]:
    """The backend itself, where facts can be read as they are."""
    host = str(standin.sockets)
    connection = await asyncpg.connect(host=host, user="postgres", database=DATABASE)
    yield connection
    await connection.close()


async def _number(at: Site, table: str) -> int:
    ((number,),) = await at.rows(f"SELECT '{table}'::regclass::oid::int")
    return int(number)


async def _facts(behind: Any, number: int) -> dict[str, Any]:
    found = await behind.fetchval("SELECT facts FROM pg_standin.facts WHERE relation = $1", number)
    return dict(json.loads(found or "{}"))


@pytest.mark.parametrize("drop", ["DROP TABLE t", "DROP SCHEMA {}_x CASCADE"])
async def test_the_facts_of_a_dropped_table_are_forgotten(at: Site, behind: Any, drop: str) -> None:
    home = f"{at.schema}_x" if "SCHEMA" in drop else at.schema
    await at.run(f"CREATE SCHEMA IF NOT EXISTS {home}", f"CREATE TABLE {home}.t (a INT DISTKEY)")
    number = await _number(at, f"{home}.t")
    assert await _facts(behind, number)
    await at.run(drop.format(at.schema))
    assert await _facts(behind, number) == {}


async def test_a_dropped_table_of_a_rolled_back_block_keeps_its_facts(
    at: Site, behind: Any
) -> None:
    await at.run("CREATE TABLE t (a INT DISTKEY)")
    number = await _number(at, "t")
    await at.run("BEGIN", "DROP TABLE t", "ROLLBACK")
    assert await _facts(behind, number)


async def test_a_permanent_table_is_not_taken_for_the_temporary_one_of_its_name(at: Site) -> None:
    await at.run("CREATE TEMP TABLE t (a INT)", "CREATE TABLE t (b VARCHAR(3) ENCODE zstd)")
    other = await at.connect()
    found = "SELECT encoding FROM pg_table_def WHERE tablename = 't'"
    assert await other.fetchval(found) == "zstd"
    error = await at.fails(other.execute("INSERT INTO t VALUES ('ää')"))
    assert error.sqlstate == "22001"


async def test_a_key_is_recorded_with_its_columns_and_follows_a_new_name(
    at: Site, behind: Any
) -> None:
    await at.run("CREATE TABLE p (a INT, b INT, PRIMARY KEY (a, b))")
    await at.run("CREATE TABLE t (x INT, y INT, FOREIGN KEY (x, y) REFERENCES p (a, b))")
    await at.run("ALTER TABLE t RENAME COLUMN y TO z")
    (key,) = (await _facts(behind, await _number(at, "t")))["keys"]
    assert (key["kind"], key["name"]) == ("FOREIGN KEY", "t_x_y_fkey")
    assert (key["columns"], key["target_columns"]) == (["x", "z"], ["a", "b"])


async def test_a_dropped_column_takes_its_keys_along(at: Site, behind: Any) -> None:
    await at.run("CREATE TABLE t (a INT, b INT UNIQUE ENCODE zstd)", "ALTER TABLE t DROP b CASCADE")
    facts = await _facts(behind, await _number(at, "t"))
    assert (facts["keys"], facts["encode"]) == ([], {})


async def test_what_fails_after_the_backend_made_the_table_takes_it_along(at: Site) -> None:
    for how in (at.con.execute, at.con.fetch):
        await at.fails(how("CREATE TABLE t (a INT) DISTKEY(b)"))
        assert await at.rows("SELECT tablename FROM pg_table_def") == []


async def test_a_table_is_not_appended_to_itself(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    assert (await at.fails("ALTER TABLE t APPEND FROM t")).sqlstate == "0A000"
    assert await at.rows("SELECT a FROM t") == [(1,)]


async def test_create_if_not_exists_leaves_what_is_there(at: Site, behind: Any) -> None:
    for style in ("ALL", "EVEN"):
        for how in (at.con.execute, at.con.fetch):
            await how(f"CREATE TABLE IF NOT EXISTS t (a INT) DISTSTYLE {style}")
    assert (await _facts(behind, await _number(at, "t")))["diststyle"] == "ALL"


async def test_sessions_that_create_one_thing_at_a_time_both_succeed(at: Site) -> None:
    home = f"{at.schema}_raced"

    async def create(connection: Any) -> None:
        for _ in range(5):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {home}")
            await connection.fetch(f"CREATE TABLE IF NOT EXISTS {home}.t (a VARCHAR(9))")

    async with asyncio.TaskGroup() as tasks:
        for connection in [await at.connect() for _ in range(4)]:
            tasks.create_task(create(connection))
    await at.run(f"DROP SCHEMA {home} CASCADE")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS SELECT 1 AS a",
        "CREATE TEMP TABLE y (LIKE t INCLUDING DEFAULTS)",
        "CREATE LOCAL TEMPORARY TABLE y (LIKE t EXCLUDING DEFAULTS, c INT)",
        "CREATE TABLE z DISTSTYLE EVEN AS (SELECT 'ä'::VARCHAR(5) AS b)",
        "ALTER TABLE t ADD COLUMN c VARCHAR(9) DEFAULT 'x' ENCODE zstd",
        "ALTER TABLE t ALTER COLUMN b TYPE VARCHAR(50)",
        "ALTER TABLE t ALTER COLUMN b ENCODE lzo",
        "ALTER TABLE t ALTER DISTSTYLE KEY DISTKEY a",
        "ALTER TABLE t ALTER COMPOUND SORTKEY (a, b)",
        "ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)",
        "ALTER TABLE t RENAME COLUMN a TO aa",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t RENAME TO t2",
        "ALTER TABLE t OWNER TO awsuser",
        "DROP TABLE IF EXISTS nothing CASCADE",
        "DROP TABLE IF EXISTS nothing, t",
    ],
)
async def test_definitions_pass_by_both_protocols(at: Site, sql: str) -> None:
    for how in ("execute", "fetch"):
        await at.run("CREATE TABLE t (a INT, b VARCHAR(10))")
        await getattr(at.con, how)(sql)
        assert await at.rows("SELECT 1") == [(1,)]
        await at.run("DROP TABLE IF EXISTS t, t2, x, y, z")


def test_a_changed_table_is_a_script() -> None:
    (statement,) = split('ALTER TABLE s.t ADD COLUMN "C" TEXT ENCODE lzo')
    assert alter_table(statement).steps == ('ALTER TABLE "s"."t" ADD COLUMN "c" varchar(256)',)


def test_a_new_table_is_written_anew() -> None:
    sql = 'CREATE TABLE s.t ("A" DECIMAL DEFAULT (1 + 2) NOT NULL DISTKEY, b CHAR, PRIMARY KEY (b))'
    (statement,) = split(sql)
    script = create_table(statement, "")
    assert script.steps == (
        'CREATE TABLE "s"."t" ("a" numeric(18,0) DEFAULT ( 1 + 2 ) NOT NULL, "b" char(1) NOT NULL)',
    )
    assert script.then.startswith("SELECT pg_standin.created(")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE LOCAL TABLE t (a INT)",
        "CREATE TABLE t",
        "CREATE TABLE t (a)",
        "CREATE TABLE t (a INT NOT)",
        "CREATE TABLE t (a INT) BACKUP",
        "CREATE TABLE t (a INT IDENTITY(1))",
        "CREATE TABLE t (a INT DEFAULT 1 DEFAULT 2)",
        "CREATE TABLE t (a INT DEFAULT)",
        "CREATE TABLE t (a INT NULL NOT NULL)",
        "CREATE TABLE t (a INT PRIMARY KEY NULL)",
        "CREATE TABLE t (a INT, FOREIGN KEY (a))",
    ],
)
def test_what_is_not_whole_is_a_syntax_error(sql: str) -> None:
    (statement,) = split(sql)
    with pytest.raises(RedshiftError) as error:
        create_table(statement, "")
    assert error.value.state == "42601"
