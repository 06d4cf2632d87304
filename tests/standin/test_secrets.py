"""Keys in a COPY are seen by nobody: no message, no log of either process, no system table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pyarrow as pa
import pytest
from botocore.config import Config

from tests.standin.check_source import parquet
from tests.standin.servers import DATABASE, PASSWORD, ROLE, USER, process

pytestmark = pytest.mark.standin
CANARY = "cAnArYk3y"
KEY_ID, SECRET = f"AKIA{CANARY}id", f"{CANARY}/secret+of=the/server"
LONG = CANARY + "x" * 300
WRONG = f"ACCESS_KEY_ID '{CANARY}a' SECRET_ACCESS_KEY '{CANARY}b' SESSION_TOKEN '{CANARY}c'"
RIGHT = f"ACCESS_KEY_ID '{KEY_ID}' SECRET_ACCESS_KEY '{SECRET}'"
PAIR = f"aws_access_key_id={CANARY}a;aws_secret_access_key={CANARY}b"


@pytest.fixture(scope="module")
def canary(backing: tuple[Path, str]) -> Iterator[tuple[int, Path]]:
    """A front whose own keys are canaries, and the file with what it says."""
    sockets, endpoint = backing
    secrets = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    secrets |= {"S3RS_STANDIN_PASSWORD": PASSWORD, "AWS_REGION": "us-east-1"}
    args = [sys.executable, "-m", "s3rs_async.sandbox.redshift", "--pg-socket", str(sockets)]
    args += ["--s3-endpoint", endpoint, "--user", USER, "--iam-role", ROLE]
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )
    s3.create_bucket(Bucket="canaries")
    s3.put_object(Bucket="canaries", Key="good", Body=parquet(pa.table({"a": [1]})))
    s3.put_object(Bucket="canaries", Key="bad", Body=parquet(pa.table({"a": ["x"]})))
    s3.close()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with (
            said.open("wb") as errors,
            process(
                args, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **secrets}
            ) as child,
        ):
            yield int(child.stdout.readline().split()[1]), said


@pytest.fixture
async def backend(backing: tuple[Path, str]) -> AsyncIterator[Any]:
    """The backend's superuser, with every statement going into the backend's log."""
    admin = await asyncpg.connect(host=str(backing[0]), user="postgres", database=DATABASE)
    await admin.execute("ALTER SYSTEM SET log_statement = 'all'")
    await admin.execute("SELECT pg_reload_conf()")
    yield admin
    await admin.execute("ALTER SYSTEM RESET log_statement")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.close()


def copy(given: str, source: str = "s3://canaries/good", form: str = "FORMAT AS PARQUET") -> str:
    return f"COPY canary FROM '{source}' {given} {form}"


STATEMENTS = [
    copy(RIGHT),
    copy(f"CREDENTIALS 'aws_access_key_id={KEY_ID};aws_secret_access_key={SECRET}'"),
    copy(RIGHT, "s3://canaries/bad"),
    copy(RIGHT, "s3://canaries/none/"),
    copy(RIGHT, "s3://canaries/none", "PARQUET MANIFEST"),
    copy(RIGHT, "s3://none-of-them/x"),
    copy(RIGHT).replace("canary", "no_such_table"),
    copy(WRONG),
    copy(WRONG, form="PARQUET MANIFEST"),
    copy(WRONG, form="CSV"),
    copy(WRONG, form="PARQUET GZIP"),
    copy(WRONG, form="PARQUET NONSENSE"),
    copy(WRONG, form="PARQUET") + f" SESSION_TOKEN '{CANARY}d'",
    copy(f"IAM_ROLE '{ROLE}' {WRONG}"),
    copy(f"SECRET_ACCESS_KEY '{CANARY}'"),
    copy(f"CREDENTIALS '{PAIR}'"),
    copy(f"CREDENTIALS '{PAIR};tokn={CANARY}'"),
    copy(f"CREDENTIALS '{CANARY}'"),
    copy(f"IAM_ROLE '{PAIR}'"),
    copy(f"IAM_ROLE 'arn:x;{PAIR}'"),
    copy(f"ACCESS_KEY_ID 'a' '{CANARY}'"),
    copy(f"SECRET_ACCESS_KEY AS AS '{CANARY}'"),
    copy(f"SECRET_ACCES_KEY '{CANARY}'"),
    copy(f"SECRET_ACCESS_KEY {CANARY}"),
    copy(f'SECRET_ACCESS_KEY "{CANARY}"'),
    copy(f'SESSION_TOKEN "{LONG}"'),
    copy(f"IAM_ROLE default REGION '{CANARY}' MAXERROR '{CANARY}'"),
    copy("", form=f"FORMAT '{CANARY}'"),
    copy(f"CREDENTIALS '{CANARY}").removesuffix("PARQUET"),
    f"COPY canary '{CANARY}'",
    f"SELECT 1; {copy(WRONG)}; SELECT 2",
    f"SELECT 1 {copy(WRONG)}",
    f"SELECT 1 {copy(f'CREDENTIALS AS {PAIR!r}')}",
    f"EXPLAIN {copy(WRONG)}",
    f"PREPARE p AS {copy(WRONG)}",
    f"UNLOAD ('SELECT 1') TO 's3://canaries/u' {WRONG}",
    f"CREATE TABLE x (a INT) {WRONG}",
]
OFF = ["", "4s", "4,5,5a,5b,5c,5d,5e,5f,5g", "4s,stand-in,S2", "1a,6,7a,8,9,9g"]


async def _said(con: Any, statement: str) -> list[str]:
    """What the client is told, by both protocols."""
    told: list[str] = []
    con.add_log_listener(listener := lambda _, message: told.append(str(message.as_dict())))
    for run in (con.execute, con.fetch):
        try:
            told.append(str(await run(statement)))
        except asyncpg.PostgresError as error:
            told.append(str(error.as_dict()))
    con.remove_log_listener(listener)
    return told


async def _seen(backend: Any, con: Any) -> list[str]:
    """What the backend's views and the tables of loads hold."""
    seen = [str(row) for row in await backend.fetch("SELECT query FROM pg_stat_activity")]
    tables = await backend.fetch(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'pg_standin'::regnamespace"
    )
    for table in (row[0] for row in tables):
        seen += [str(row) for row in await backend.fetch(f"SELECT * FROM {table}")]
    for view in ("sys_load_history", "sys_load_error_detail", "stl_load_errors"):
        seen += [str(row) for row in await con.fetch(f"SELECT * FROM {view}")]
    return seen


def _leaks(texts: list[str]) -> list[str]:
    return [text for text in texts if re.search(CANARY, text, re.IGNORECASE)]


@pytest.mark.parametrize("off", OFF)
async def test_a_key_is_seen_by_nobody(
    canary: tuple[int, Path], backing: tuple[Path, str], backend: Any, off: str
) -> None:
    port, front = canary
    login = {"user": USER, "password": PASSWORD, "database": DATABASE, "ssl": False}
    settings = {"s3rs_standin.off": off} if off else {}
    con = await asyncpg.connect(host="127.0.0.1", port=port, server_settings=settings, **login)
    try:
        await con.execute("CREATE TEMP TABLE canary (a BIGINT)")
        for statement in STATEMENTS:
            assert _leaks(await _said(con, statement)) == [], statement
            assert _leaks(await _seen(backend, con)) == [], statement
        assert await con.fetchval("SELECT count(*) FROM canary") >= 4
    finally:
        con.terminate()
    logs = [log.read_text(errors="replace") for log in _logs(backing[0])]
    assert any("statement: COPY" in log for log in logs)
    assert _leaks([line for log in logs for line in log.splitlines()]) == []
    assert _leaks(front.read_text(errors="replace").splitlines()) == []


def _logs(sockets: Path) -> list[Path]:
    """What the backend's processes have said."""
    return list((sockets.parent.parent / "log").glob("postgres*.log"))
