from __future__ import annotations

import ssl
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from s3rs_async.config import TargetConfig
from s3rs_async.errors import ConfigError, DataError, Error, UnavailableError, UnknownOutcomeError
from s3rs_async.redshift import faults

PASSWORD = "hunter2-is-secret"
CONFIG = TargetConfig(
    host="dw.example.internal",
    database="dev",
    user="etl",
    password=SecretStr(PASSWORD),
    iam_role="arn:aws:iam::1:role/r",
)

SPECTRUM = """
  -----------------------------------------------
  error:  Spectrum Scan Error
  code:      15007
  context:   File 'https://s3.us-east-1.amazonaws.com/b/k.parquet' has an incompatible Parquet
schema for column 's3://b/k.parquet.id'. Column type: BIGINT
  query:     1234
  location:  dory_util.cpp:1450
  process:   worker_thread [pid=20]
  -----------------------------------------------
"""


def server_error(state: str, message: str, detail: str = "") -> Any:
    return asyncpg.PostgresError.new({"C": state, "M": message, "D": detail or None, "S": "ERROR"})


@pytest.mark.parametrize(
    ("state", "message", "kind"),
    [
        ("28P01", 'password authentication failed for user "etl"', ConfigError),
        ("28000", "no pg_hba.conf entry", ConfigError),
        ("3D000", 'database "dev" does not exist', ConfigError),
        ("42501", "permission denied for schema shop", ConfigError),
        ("XX000", "1023", UnavailableError),
        ("XX000", "1018", UnavailableError),
        ("XX000", "Serializable isolation violation on table - 7", UnavailableError),
        (
            "XX000",
            "could not complete because of conflict with concurrent transaction",
            UnavailableError,
        ),
        ("55P03", "could not obtain lock on relation", UnavailableError),
        ("53100", "could not extend file: no space left", UnavailableError),
        ("XX000", "Disk Full", UnavailableError),
        ("XX000", "tuple concurrently updated", UnavailableError),
        ("42P07", 'relation "led" already exists', UnavailableError),
        ("23505", 'violates unique constraint "pg_type_typname_nsp_index"', UnavailableError),
        ("23505", 'violates unique constraint "orders_pkey"', DataError),
        ("40001", "could not serialize access", UnavailableError),
        ("40P01", "deadlock detected", UnavailableError),
        ("57014", "canceling statement due to statement timeout", UnavailableError),
        ("57P01", "terminating connection", UnavailableError),
        ("53300", "too many connections", UnavailableError),
        ("XX000", "Spectrum Scan Error", DataError),
        ("XX000", "Problem reading manifest file 10231", DataError),
        ("22001", "value too long for type character varying(4)", DataError),
        ("23502", "null value in column", DataError),
        ("42703", 'column "x" of relation "t" does not exist', DataError),
    ],
)
def test_each_answer_has_one_kind(state: str, message: str, kind: type[Error]) -> None:
    found = faults.refused(server_error(state, message), "dw", CONFIG)
    assert type(found) is kind
    assert found.context["sqlstate"] == state
    assert PASSWORD not in f"{found!r}{found}{found.hint}"


def test_what_we_did_not_foresee_stays_a_bug() -> None:
    assert faults.refused(server_error("25P02", "transaction is aborted"), "dw", CONFIG) is None


@pytest.mark.parametrize(
    ("said", "grant"),
    [
        ("permission denied for schema shop", "GRANT USAGE, CREATE ON SCHEMA shop TO etl"),
        ("permission denied for relation orders", "GRANT ALL ON TABLE orders TO etl"),
        ("permission denied for table orders", "GRANT ALL ON TABLE orders TO etl"),
        ("permission denied for database dev", "GRANT CREATE, TEMP ON DATABASE dev TO etl"),
        ("must be owner", "grant etl the right that the message names"),
    ],
)
def test_a_missing_right_prints_the_grant(said: str, grant: str) -> None:
    found = faults.refused(server_error("42501", said), "dw", CONFIG)
    assert found is not None
    assert found.hint == grant


def test_a_scan_error_tells_file_and_column_and_not_the_whole_block() -> None:
    found = faults.refused(server_error("XX000", "Spectrum Scan Error", SPECTRUM), "dw", CONFIG)
    assert found is not None
    detail = str(found.context["detail"])
    assert detail.startswith("File 'https://s3.us-east-1.amazonaws.com/b/k.parquet'")
    assert detail.endswith("Column type: BIGINT")
    assert "\n" not in str(found)


def test_a_connection_lost_while_committing_is_in_doubt_and_before_it_is_not() -> None:
    error = ConnectionResetError("reset")
    assert type(faults.lost(error, "dw", committing=True)) is UnknownOutcomeError
    assert type(faults.lost(error, "dw", committing=False)) is UnavailableError


def test_a_certificate_of_another_name_is_a_matter_of_configuration() -> None:
    found = faults.unreachable(ssl.SSLCertVerificationError("Hostname mismatch"), "dw", CONFIG)
    assert type(found) is ConfigError
    assert "Hostname mismatch" in str(found)


def test_a_host_that_refuses_is_unavailable_and_a_silence_says_so() -> None:
    assert type(faults.unreachable(ConnectionRefusedError(), "dw", CONFIG)) is UnavailableError
    assert "no answer in time" in str(faults.unreachable(TimeoutError(), "dw", CONFIG))


def test_a_long_text_is_cut() -> None:
    assert len(faults.one_line("x y " * 1000)) == 400
