from __future__ import annotations

import hashlib

import pytest
import sqlglot

from s3rs_async.errors import ConfigError, DataError
from s3rs_async.model import Column, TableKeys, TableName, TargetId
from s3rs_async.redshift import sql

TARGET = TargetId("dw", "Analytics", TableName("Shop", "Orders"))
COLUMNS = (
    Column("Id", "bigint", "int64", nullable=False, redshift="BIGINT"),
    Column("näme", "varchar(3)", "string", nullable=True, octets=12, redshift="VARCHAR(12)"),
)


def statements() -> dict[str, str]:
    ledger, head = sql.create_ledger(TARGET)
    return {
        "schema": sql.create_schema("Shop"),
        "table": sql.create_table(TARGET.table, COLUMNS),
        "laid out": sql.create_table(TARGET.table, COLUMNS, TableKeys("ID", ("id", "NäME"))),
        "stage": sql.create_stage("01KABC", COLUMNS),
        "copy": sql.copy("01KABC", COLUMNS, "s3://b/copy.manifest", "arn:aws:iam::1:role/r"),
        "ledger": ledger,
        "head": head,
        "lock": sql.lock_head(TARGET),
        "read_head": sql.read_head(TARGET),
        "insert_head": sql.insert_head(TARGET),
        "update_head": sql.update_head(TARGET),
        "recorded": sql.recorded(TARGET, 1),
        "recorded of several": sql.recorded(TARGET, 3),
        "chain": sql.read_chain(TARGET),
        "batches": sql.read_batches(TARGET),
        "insert_ledger": sql.insert_ledger(TARGET),
        "count": sql.count(sql.qualified(TARGET.table)),
        "any_row": sql.any_row(TARGET.table),
        "query_group": sql.set_query_group("01K"),
        "statement_timeout": sql.set_statement_timeout(600),
        "schemas_present": sql.SCHEMAS_PRESENT,
        "tables_present": sql.TABLES_PRESENT,
        "table_columns": sql.TABLE_COLUMNS,
        "holders": sql.LOCK_HOLDERS,
        "pid": sql.BACKEND_PID,
        "copied": sql.LAST_COPY_COUNT,
        "terminate": sql.TERMINATE,
        "begin": sql.BEGIN,
        "commit": sql.COMMIT,
        "rollback": sql.ROLLBACK,
    }


UNKNOWN_TO_THE_PARSER = {"lock"}  # Redshift's LOCK is none of sqlglot's statements


@pytest.mark.parametrize(("name", "text"), statements().items())
def test_every_statement_parses_as_redshift(name: str, text: str) -> None:
    if name in UNKNOWN_TO_THE_PARSER:
        assert text == f"LOCK {sql.qualified(sql.ledger_names(TARGET).head)}"
        return
    parsed = sqlglot.parse(text, read="redshift")
    assert len(parsed) == 1
    assert not isinstance(parsed[0], sqlglot.exp.Command)


def test_the_same_input_gives_the_same_text() -> None:
    assert statements() == statements()


def test_names_are_folded_in_ascii_only_and_always_quoted() -> None:
    assert sql.quote("OrderÄ") == '"orderÄ"'
    assert sql.quote('a"b') == '"a""b"'
    assert sql.quote("select") == '"select"'


def test_a_name_of_127_bytes_is_kept_and_one_of_128_is_refused() -> None:
    assert sql.quote("é" * 63 + "x")
    with pytest.raises(DataError) as caught:
        sql.quote("é" * 64)
    assert caught.value.context["bytes"] == 128
    assert caught.value.hint


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_an_empty_name_and_a_nul_are_refused(name: str) -> None:
    with pytest.raises(DataError):
        sql.quote(name)


def test_columns_that_differ_by_case_alone_are_refused() -> None:
    twins = (COLUMNS[0], Column("ID", "bigint", "int64", nullable=True, redshift="BIGINT"))
    for make in (sql.create_table, lambda _, columns: sql.create_stage("b", columns)):
        with pytest.raises(DataError) as caught:
            make(TARGET.table, twins)
        assert {caught.value.context["first"], caught.value.context["second"]} == {"Id", "ID"}


def test_the_same_name_twice_is_refused_too() -> None:
    with pytest.raises(DataError):
        sql.check_names((COLUMNS[0], Column("Id", "int", "int32", nullable=True)))


def test_a_literal_doubles_quotes_and_backslashes() -> None:
    assert sql.literal("a'b\\c") == "'a''b\\\\c'"
    with pytest.raises(DataError):
        sql.literal("\0")


def test_copy_lists_the_files_columns_in_order_and_asks_for_a_manifest() -> None:
    text = statements()["copy"]
    assert text == (
        'COPY "st_01kabc" ("id", "näme") FROM \'s3://b/copy.manifest\''
        " IAM_ROLE 'arn:aws:iam::1:role/r' FORMAT AS PARQUET MANIFEST"
    )
    assert "IAM_ROLE default" in sql.copy("b", COLUMNS, "s3://b/m", "default")


def test_nullability_goes_into_stage_and_target() -> None:
    assert statements()["table"].endswith('("id" BIGINT NOT NULL, "näme" VARCHAR(12))')
    assert statements()["stage"].startswith('CREATE TEMP TABLE "st_01kabc" ("id" BIGINT NOT NULL')


def test_the_ledgers_name_is_the_targets_alone() -> None:
    names = sql.ledger_names(TARGET)
    digest = hashlib.sha256(b"analytics.shop.orders").hexdigest()[:32]
    assert str(names.ledger) == f"s3rs_meta.led_{digest}"
    assert str(names.head) == f"s3rs_meta.led_{digest}_head"
    again = TargetId("another_name", "analytics", TableName("SHOP", "orders"))
    assert sql.ledger_names(again) == names


def test_parameters_of_the_ledgers_line_are_as_many_as_its_columns() -> None:
    text = sql.insert_ledger(TARGET)
    listed = text[text.index("(") + 1 : text.index(")")].split(",")
    assert len(listed) == 14
    assert f"${len(listed)})" in text


def test_a_statement_timeout_is_whole_milliseconds_and_never_off() -> None:
    assert sql.set_statement_timeout(1.5) == "SET statement_timeout TO 1500"
    assert sql.set_statement_timeout(0) == "SET statement_timeout TO 1"


@pytest.mark.parametrize(
    ("keys", "clause"),
    [
        (TableKeys(), ""),
        (TableKeys("NäME"), ' DISTSTYLE KEY DISTKEY("näme")'),
        (TableKeys(sortkey=("näme", "ID")), ' COMPOUND SORTKEY("näme", "id")'),
        (TableKeys("id", ("ID",)), ' DISTSTYLE KEY DISTKEY("id") COMPOUND SORTKEY("id")'),
    ],
)
def test_a_target_is_laid_out_as_asked(keys: TableKeys, clause: str) -> None:
    bare = sql.create_table(TARGET.table, COLUMNS)
    assert sql.create_table(TARGET.table, COLUMNS, keys) == bare + clause


@pytest.mark.parametrize(
    ("keys", "setting", "hint"),
    [
        (TableKeys("idd"), "keys.distkey", "keys.distkey: Id"),
        (TableKeys(sortkey=("id", "name")), "keys.sortkey", "keys.sortkey: näme"),
        (TableKeys(sortkey=("zzzz",)), "keys.sortkey", "it has Id, näme"),
        (TableKeys(sortkey=("id", "ID")), "keys.sortkey", "once"),
    ],
)
def test_a_layout_by_columns_that_are_not_there_is_refused(
    keys: TableKeys, setting: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sql.create_table(TARGET.table, COLUMNS, keys)
    assert caught.value.context["setting"] == setting
    assert hint in caught.value.hint
