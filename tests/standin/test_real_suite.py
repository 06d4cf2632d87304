"""The suite `real` itself, run against a stand-in that is named as if it were a real cluster."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest

from s3rs_async.sandbox.redshift.rules import RULES
from tests.standin import real
from tests.standin.book import CHECKS
from tests.standin.servers import BUCKET, DATABASE, PASSWORD, ROLE, USER, StandIn, front

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.standin

ASKED = real.asked(CHECKS)
ASSUMED = next(check for check in ASKED if RULES[check.rule].is_assumption and check.proves)
KNOWN = next(check for check in ASKED if check.rule == "1" and check.proves)
QUESTION = "whether_a_transaction_is_open_after_truncate"
SECRET_KEY = "wJalrXUtnFEMIexampleK7MDENG"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def other(backing: tuple[Path, str]) -> Iterator[StandIn]:
    """A stand-in whose rules can be switched off for all, without harm to other tests."""
    with front(*backing) as running:
        yield running


def environment(standin: StandIn) -> dict[str, str]:
    login = f"{USER}:{quote(PASSWORD)}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REAL_")}
    return {
        **kept,
        "REAL_REDSHIFT_URL": f"postgresql://{login}@127.0.0.1:{standin.port}/{DATABASE}?sslmode=disable",
        "REAL_REDSHIFT_S3": f"s3://{BUCKET}/real",
        "REAL_REDSHIFT_ROLE": ROLE,
        "REAL_REDSHIFT_REGION": "us-east-1",
        "REAL_REDSHIFT_S3_ENDPOINT": standin.endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAexample",
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


def run(environment: dict[str, str], *args: str) -> tuple[int, str]:
    """`pytest -m real` in a process of its own: its exit code and what it said."""
    command = [sys.executable, "-m", "pytest", "-m", "real", "-p", "no:cacheprovider", "-n0"]
    done = subprocess.run(
        [*command, "tests/standin/test_real.py", *args],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def chosen() -> tuple[str, str]:
    names = {check.run.__name__ for check in (ASSUMED, KNOWN)}
    return "-k", " or ".join([*sorted(names), QUESTION])


def test_what_holds_is_told_and_nothing_is_left_behind(other: StandIn) -> None:
    code, said = run(environment(other), *chosen())
    assert code == 0, said
    told = said[said.index("Assumptions:") :]
    assert re.search(rf"^  {ASSUMED.rule}: holds \(\d+ checks\): ", told, re.MULTILINE), said
    assert re.search(r"^Other rules: \d+ hold, 0 differ:$", told, re.MULTILINE), said
    assert re.search(rf"^  {QUESTION.replace('_', ' ')}: \w", told, re.MULTILINE), said
    listed = other.s3.list_objects_v2(Bucket=BUCKET, Prefix="real/")
    assert listed.get("KeyCount", 0) == 0
    assert schemas(other) == 0


def test_what_does_not_hold_is_told_with_what_was_seen(other: StandIn) -> None:
    with switched_off(other, ASSUMED.rule, KNOWN.rule):
        code, said = run(environment(other), *chosen())
    assert code == 1, said
    told = said[said.index("Assumptions:") :]
    assert f"  {ASSUMED.rule}: does not hold: {RULES[ASSUMED.rule].text}" in told
    assert f"  {KNOWN.rule}: does not hold: " in told[told.index("Other rules") :]
    assert "what was seen: " in told


def test_nothing_secret_is_told(other: StandIn) -> None:
    wrong = {**environment(other), "REAL_REDSHIFT_ROLE": "arn:aws:iam::210987654321:role/none"}
    code, said = run(wrong, *chosen())
    assert code == 1, said
    assert "does not hold" in said
    for secret in (PASSWORD, SECRET_KEY, "AKIAexample", "210987654321", ROLE):
        assert secret not in said


def test_a_cluster_that_is_named_in_part_is_an_error_that_names_the_rest(other: StandIn) -> None:
    given = environment(other)
    del given["REAL_REDSHIFT_ROLE"], given["REAL_REDSHIFT_REGION"]
    code, said = run(given, "-k", KNOWN.run.__name__)
    assert code == 1
    assert "a cluster is named, but not REAL_REDSHIFT_ROLE, REAL_REDSHIFT_REGION" in said


def test_without_a_cluster_one_test_is_skipped_and_names_the_variables(other: StandIn) -> None:
    code, said = run({k: v for k, v in environment(other).items() if not k.startswith("REAL_")})
    assert code == 0, said
    assert re.search(r"^=+ 1 skipped in ", said, re.MULTILINE), said
    for name in real.NEEDED:
        assert name in said


def test_assumptions_are_asked_first() -> None:
    order = [RULES[check.rule].is_assumption for check in ASKED]
    assert order == sorted(order, reverse=True)
    assert order[0]


def test_the_assumptions_can_be_asked_alone() -> None:
    alone = [check for check in ASKED if "assumed" in real.title(check)]
    assert [RULES[check.rule].is_assumption for check in alone] == [True] * len(alone)
    assert len(alone) == sum(RULES[check.rule].is_assumption for check in ASKED)


def test_what_runs_there_turns_no_knob_of_the_stand_ins() -> None:
    ours = {check.name for check in ASKED if "s3rs_standin" in inspect.getsource(check.run)}
    assert not ours, "say only_here, or do without"


@contextmanager
def switched_off(standin: StandIn, *rules: str) -> Iterator[None]:
    """Rules switched off for every session of a stand-in."""
    statement(standin, f"ALTER SYSTEM SET s3rs_standin.off = '{','.join(rules)}'")
    try:
        yield
    finally:
        statement(standin, "ALTER SYSTEM RESET s3rs_standin.off")


def statement(standin: StandIn, text: str) -> list[tuple[object, ...]]:
    login = {"user": USER, "password": PASSWORD, "dbname": DATABASE}
    with psycopg.connect(
        host="127.0.0.1", port=standin.port, autocommit=True, **login
    ) as connection:
        found = connection.execute(text.encode())
        return found.fetchall() if found.description else []


def schemas(standin: StandIn) -> object:
    """How many schemas of the suite's there are."""
    query = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 's3rs_check%'"
    return statement(standin, query)[0][0]
