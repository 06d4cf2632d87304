"""psql against the stand-in: scripts, exit codes, and the commands that look into the catalogue.

The binary is the one beside the sandbox's own PostgreSQL, so it is there wherever the suite runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async.sandbox import postgres
from tests.standin.orders import DDL, FIRST, LOADED, SECOND, STAGE, UPSERT, load, too_wide
from tests.standin.servers import DATABASE, PASSWORD, USER

if TYPE_CHECKING:
    from tests.standin.servers import StandIn
    from tests.standin.site import Site


def _psql() -> str:
    own = postgres._binaries() / "psql"
    return str(own) if own.is_file() else shutil.which("psql") or ""


def _with_tls() -> str:
    """A psql that can speak TLS, where there is one."""
    for found in filter(None, (_psql(), shutil.which("psql"))):
        asked = [found, "-X", "host=127.0.0.1 port=1 sslmode=require"]
        done = subprocess.run(asked, capture_output=True, check=False)
        if b"not compiled in" not in done.stderr:
            return found
    return ""


PSQL = _psql()
WITH_TLS = _with_tls()
pytestmark = [
    pytest.mark.standin,
    pytest.mark.skipif(
        not PSQL, reason="NO PSQL: neither beside the sandbox's PostgreSQL nor on PATH"
    ),
]
STATES = ("-v", "VERBOSITY=sqlstate")
STRICT = ("-v", "ON_ERROR_STOP=1")


@dataclass(frozen=True)
class Shell:
    """psql with a log-in at the stand-in."""

    environment: dict[str, str]
    program: str = PSQL

    def __call__(self, *args: str, script: str | None = None) -> Any:
        """A finished psql; a script comes by its standard input."""
        return subprocess.run(
            [self.program, "-X", "-A", "-t", "-q", *args],
            env=self.environment,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


def login(standin: StandIn, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PGHOST": "127.0.0.1",
        "PGPORT": str(standin.port),
        "PGUSER": USER,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": DATABASE,
        **more,
    }


@pytest.fixture
def psql(standin: StandIn) -> Shell:
    return Shell(login(standin))


def script(at: Site, *statements: str) -> str:
    """Statements as a file has them, in the test's schema."""
    return ";\n".join([f"SET search_path TO {at.schema}", *statements, ""])


def test_a_script_loads_and_upserts_in_one_transaction(psql: Shell, at: Site) -> None:
    steps = [
        *("BEGIN", DDL, load(at, "first", FIRST), "COMMIT", "BEGIN", STAGE),
        *(load(at, "second", SECOND, "stage"), *UPSERT, "COMMIT"),
        *("SELECT pg_last_copy_count()", "SELECT id, amount, customer FROM orders ORDER BY id"),
    ]
    done = psql(*STRICT, "-f", "-", script=script(at, *steps))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *("2", "1|19.90|Ångström", "2|7.00|o'Neil", "4|9999999999.99|back\\slash"),
        "9007199254740993||",
    ]
    assert f"INFO:  {LOADED.format('orders', 3)}" in done.stderr
    assert f"INFO:  {LOADED.format('stage', 2)}" in done.stderr


def test_statements_of_one_command_stand_or_fall_together(psql: Shell, at: Site) -> None:
    psql("-c", f"CREATE TABLE {at.schema}.t (a INT)")
    failed = psql("-c", f"INSERT INTO {at.schema}.t VALUES (1); SELECT nothing")
    assert failed.returncode == 1
    assert psql("-c", f"SELECT count(*) FROM {at.schema}.t").stdout.split() == ["0"]
    together = f"INSERT INTO {at.schema}.t VALUES (1); INSERT INTO {at.schema}.t VALUES (2)"
    assert psql("-c", together).returncode == 0
    assert psql("-c", f"SELECT count(*) FROM {at.schema}.t").stdout.split() == ["2"]


def test_a_script_goes_on_after_an_error_unless_told_to_stop(psql: Shell, at: Site) -> None:
    steps = script(at, "SELECT 1", "SELECT nothing", "SELECT 2")
    on = psql("-f", "-", script=steps)
    assert (on.returncode, on.stdout.split()) == (0, ["1", "2"])
    stopped = psql(*STRICT, "-f", "-", script=steps)
    assert (stopped.returncode, stopped.stdout.split()) == (3, ["1"])


def test_one_transaction_around_a_script_leaves_nothing_of_a_failed_one(
    psql: Shell, at: Site
) -> None:
    psql("-c", f"CREATE TABLE {at.schema}.t (a INT)")
    steps = script(at, "INSERT INTO t VALUES (1)", "SELECT nothing", "INSERT INTO t VALUES (2)")
    assert psql("-1", *STRICT, "-f", "-", script=steps).returncode == 3
    assert psql("-c", f"SELECT count(*) FROM {at.schema}.t").stdout.split() == ["0"]


def test_an_error_shows_its_state_and_its_detail(psql: Shell, at: Site) -> None:
    psql("-f", "-", script=script(at, DDL))
    copy = script(at, too_wide(at))
    assert psql(*STATES, *STRICT, "-f", "-", script=copy).stderr.strip().endswith("ERROR:  XX000")
    told = psql(*STRICT, "-f", "-", script=copy).stderr
    assert "ERROR:  Spectrum Scan Error" in told
    assert "code:      15007" in told
    assert "Table columns: 8, Data columns: 9" in told


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("\\copy t FROM '/dev/null'", "STDIN"),
        ("\\copy (SELECT 1) TO STDOUT", "STDOUT"),
        ("COPY t FROM STDIN", "STDIN"),
    ],
)
def test_nothing_is_copied_through_the_client(psql: Shell, command: str, word: str) -> None:
    done = psql("-c", command)
    assert done.returncode == 1
    assert f'ERROR:  syntax error at or near "{word}"' in done.stderr


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SAVEPOINT a", "0A000"),
        ("LISTEN a", "0A000"),
        ("SET jit TO off", "42704"),
        ("SELECT * FROM nothing", "42P01"),
    ],
)
def test_what_redshift_lacks_is_refused(psql: Shell, statement: str, state: str) -> None:
    done = psql(*STATES, "-c", statement)
    assert (done.returncode, done.stderr.split()) == (1, ["ERROR:", state])


def test_tables_and_views_are_listed(psql: Shell, at: Site) -> None:
    steps = script(at, DDL, "CREATE VIEW recent AS SELECT id FROM orders")
    assert psql(*STRICT, "-f", "-", script=steps).returncode == 0
    tables = psql("-c", f"\\dt {at.schema}.*")
    assert tables.stdout.splitlines() == [f"{at.schema}|orders|table|{USER}"]
    views = psql("-c", f"\\dv {at.schema}.*")
    assert views.stdout.splitlines() == [f"{at.schema}|recent|view|{USER}"]
    assert f"{at.schema}|{USER}" in psql("-c", "\\dn").stdout.splitlines()


def test_describing_a_table_asks_for_columns_that_redshift_never_had(psql: Shell, at: Site) -> None:
    psql("-f", "-", script=script(at, DDL))
    done = psql("-c", f"\\d {at.schema}.orders")
    assert done.returncode == 1
    assert "ERROR:  column c.rel" in done.stderr
    steps = script(at, 'SELECT "column", type, distkey, sortkey FROM pg_table_def LIMIT 2')
    assert psql("-f", "-", script=steps).stdout.splitlines() == [
        *("id|bigint|t|0", "customer|character varying(40)|f|0"),
    ]


def test_variables_and_prepared_statements_work(psql: Shell, at: Site) -> None:
    steps = (
        f"SET search_path TO {at.schema};\nSELECT :'who' AS a, :n + 1;\nSELECT $1 \\bind 5 \\g\n"
    )
    done = psql(*STRICT, "-v", "who=o'Neil", "-v", "n=2", "-f", "-", script=steps)
    assert (done.stdout.splitlines(), done.stderr) == (["o'Neil|3", "5"], "")


def test_ctrl_c_ends_the_statement_and_the_script(psql: Shell, standin: StandIn, at: Site) -> None:
    psql("-f", "-", script=script(at, DDL))
    lock = f"BEGIN; LOCK {at.schema}.orders"
    command = [PSQL, "-X", "-q", "-t", "-A"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=psql.environment, **pipes) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(f"{lock};\nSELECT 'held';\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "held"
        waiting = subprocess.Popen(
            [*command, *STATES, "-c", f"SELECT count(*) FROM {at.schema}.orders"],
            env=psql.environment,
            stderr=subprocess.PIPE,
            **pipes,
        )
        time.sleep(0.4)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=10)
        holder.stdin.write("ROLLBACK;\n")
    assert "57014" in said
    assert waiting.returncode == 1


@pytest.mark.parametrize(
    "change", [{"PGPASSWORD": "bad"}, {"PGUSER": "nobody"}, {"PGDATABASE": "x"}]
)
def test_a_wrong_login_is_refused(standin: StandIn, change: dict[str, str]) -> None:
    done = Shell({**login(standin), **change})("-c", "SELECT 1")
    assert done.returncode == 2
    assert "FATAL" in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.skipif(not WITH_TLS, reason="NO PSQL WITH TLS: the sandbox's own is built without")
def test_tls_is_verified_by_the_name(standin: StandIn, standin_tls: StandIn) -> None:
    verified = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(standin_tls.certificate)}
    named = {"PGHOST": "cluster.example.redshift.test", "PGHOSTADDR": "127.0.0.1"}
    assert _tls({**login(standin_tls), **verified, **named}).stdout == "1\n"
    assert "certificate" in _tls({**login(standin_tls), **verified}).stderr
    assert "SSL" in _tls(login(standin, PGSSLMODE="require")).stderr


def _tls(environment: dict[str, str]) -> Any:
    return Shell(environment, WITH_TLS)("-c", "SELECT 1")
