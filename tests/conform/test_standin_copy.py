"""COPY of Parquet: rules 1 to 15 and the type rules, each check named after its rule."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import asyncpg
import pyarrow as pa
import pytest

from tests.conform.standin import (
    ROLE,
    StandIn,
    con,
    entry,
    failure,
    front,
    other,
    postgres,
    schema,
    standin,
)

__all__ = ["con", "other", "schema", "standin"]

HOW = pytest.mark.parametrize("how", ["execute", "fetch"])
TWO = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", "y"]})


def copy(key: str, target: str = "t", more: str = "") -> str:
    return f"COPY {target} FROM 's3://bkt/{key}' {ROLE} FORMAT AS PARQUET {more}"


@pytest.fixture
async def t(con: Any) -> Any:
    await con.execute("CREATE TABLE t (a BIGINT, b VARCHAR(10))")
    return con


@HOW
async def test_rule_1_columns_match_by_position(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    swapped = pa.table({"b": pa.array([7], pa.int64()), "a": ["x"]})
    standin.put(f"{schema}/x.parquet", swapped)
    await getattr(t, how)(copy(f"{schema}/"))
    assert [tuple(row) for row in await t.fetch("SELECT a, b FROM t")] == [(7, "x")]


async def test_rule_2_a_column_list_maps_file_positions(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/x", pa.table({"one": ["x"], "two": pa.array([1], pa.int64())}))
    await t.execute(copy(f"{schema}/x", 't ("B", "a")'))
    assert tuple(await t.fetchrow("SELECT a, b FROM t")) == (1, "x")


async def test_rule_2_omitted_columns_get_their_default(
    con: Any, standin: StandIn, schema: str
) -> None:
    await con.execute("CREATE TABLE t (a BIGINT, b VARCHAR(3) DEFAULT 'dfl', c INT)")
    standin.put(f"{schema}/x", TWO.select(["a"]))
    await con.execute(copy(f"{schema}/x", "t (a)"))
    assert tuple(await con.fetchrow("SELECT a, b, c FROM t")) == (1, "dfl", None)


async def test_rule_2_a_not_null_column_must_be_listed(
    con: Any, standin: StandIn, schema: str
) -> None:
    await con.execute("CREATE TABLE t (a BIGINT, b VARCHAR(3) NOT NULL)")
    error = await failure(con.execute(copy(f"{schema}/x", "t (a)")))
    assert (error.sqlstate, error.message) == (
        "42601",
        "NOT NULL column without DEFAULT must be included in column list",
    )


async def test_rule_2_an_unknown_column_is_named(t: Any, schema: str) -> None:
    error = await failure(t.fetch(copy(f"{schema}/x", "t (zz)")))
    assert error.sqlstate == "42703"
    assert error.message == 'column "zz" of relation "t" does not exist'


@HOW
async def test_rule_3_an_unequal_number_of_columns(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    standin.put(f"{schema}/d=1/x", TWO.select(["a"]))
    error = await failure(getattr(t, how)(copy(f"{schema}/")))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "code:      15007" in error.detail
    assert "Table columns: 2, Data columns: 1" in error.detail
    assert f"https://s3.us-east-1.amazonaws.com/bkt/{schema}/d%3D1/x" in error.detail


@pytest.mark.parametrize(
    "option", ["REGION 'us-east-1'", "COMPUPDATE ON", "TRUNCATECOLUMNS", "MAXERROR 5", "GZIP"]
)
async def test_rule_4_other_options_are_refused(t: Any, schema: str, option: str) -> None:
    error = await failure(t.execute(copy(f"{schema}/x", more=option)))
    word = option.split(maxsplit=1)[0]
    assert error.sqlstate == "0A000"
    assert error.message == f"{word} argument is not supported for PARQUET based COPY"


async def test_rule_4_a_word_that_is_no_option_is_a_syntax_error(t: Any, schema: str) -> None:
    error = await failure(t.execute(copy(f"{schema}/x", more="NONSENSE")))
    assert error.sqlstate == "42601"
    assert "NONSENSE" in error.message


@pytest.mark.parametrize(
    "given",
    [
        "IAM_ROLE default",
        "CREDENTIALS 'aws_iam_role=arn:aws:iam::1:role/r'",
        "ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY 's' SESSION_TOKEN 't'",
    ],
)
async def test_rule_5_roles_and_keys_are_taken(
    t: Any, standin: StandIn, schema: str, given: str
) -> None:
    standin.put(f"{schema}/x", TWO)
    assert await t.execute(f"COPY t FROM 's3://bkt/{schema}/x' {given} PARQUET") == "COPY"


@pytest.fixture
def strict(standin: StandIn) -> Iterator[StandIn]:
    """A cluster with one role."""
    endpoint = standin.s3.meta.endpoint_url
    with postgres() as sockets, front(sockets, endpoint, "--iam-role", "arn:one") as strict:
        yield strict


async def test_rule_5a_a_role_that_is_not_the_clusters_is_refused(strict: StandIn) -> None:
    strict.put("5a/x", TWO)
    text = "COPY t FROM 's3://bkt/5a/x' IAM_ROLE '{}' FORMAT PARQUET"
    con = await strict.connect()
    await con.execute("CREATE TEMP TABLE t (a BIGINT, b VARCHAR(10))")
    assert await con.execute(text.format("arn:one")) == "COPY"
    error = await failure(con.execute(text.format("arn:two")))
    assert error.message.endswith("is not authorized to assume IAM Role arn:two")
    assert error.sqlstate == "XX000"
    await con.close()


async def test_rule_5_without_credentials_it_fails(t: Any, schema: str) -> None:
    error = await failure(t.execute(f"COPY t FROM 's3://bkt/{schema}/x' FORMAT PARQUET"))
    assert "only accepts IAM_ROLE credentials" in error.message
    assert "code:      8001" in error.detail


async def test_rule_7_every_key_with_the_prefix_is_loaded(
    t: Any, standin: StandIn, schema: str
) -> None:
    for key in ("cust/1", "cust_old/1", "cust.bak"):
        standin.put(f"{schema}/{key}", TWO)
    await t.execute(copy(f"{schema}/cust"))
    assert await t.fetchval("SELECT pg_last_copy_count()") == 6


async def test_rule_8_nothing_with_the_prefix_is_an_error(t: Any, schema: str) -> None:
    error = await failure(t.execute(copy(f"{schema}/none/")))
    assert error.message == f"The specified S3 prefix '{schema}/none/' does not exist"


@HOW
async def test_rule_9_a_manifest_names_the_files(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    size = standin.put(f"{schema}/a", TWO)
    uri = standin.manifest(f"{schema}/m", entry(f"{schema}/a", size), entry(f"{schema}/a", size))
    await getattr(t, how)(f"COPY t FROM '{uri}' {ROLE} FORMAT AS PARQUET MANIFEST")
    assert await t.fetchval("SELECT count(*) FROM t") == 4


async def test_rule_9_a_mandatory_file_must_be_there(t: Any, standin: StandIn, schema: str) -> None:
    uri = standin.manifest(f"{schema}/m", entry(f"{schema}/gone", 5))
    error = await failure(t.execute(f"COPY t FROM '{uri}' {ROLE} PARQUET MANIFEST"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error: File not found")


async def test_rule_9_an_optional_file_may_be_missing(
    t: Any, standin: StandIn, schema: str
) -> None:
    size = standin.put(f"{schema}/a", TWO)
    gone = entry(f"{schema}/gone", 5, mandatory=False)
    uri = standin.manifest(f"{schema}/m", gone, entry(f"{schema}/a", size))
    await t.execute(f"COPY t FROM '{uri}' {ROLE} PARQUET MANIFEST")
    assert await t.fetchval("SELECT pg_last_copy_count()") == 2
    alone = standin.manifest(f"{schema}/m2", gone)
    error = await failure(t.execute(f"COPY t FROM '{alone}' {ROLE} PARQUET MANIFEST"))
    assert "File not found" in error.message


async def test_rule_9_an_entry_needs_its_length(t: Any, standin: StandIn, schema: str) -> None:
    uri = standin.manifest(f"{schema}/m", {"url": f"s3://bkt/{schema}/a", "mandatory": True})
    error = await failure(t.execute(f"COPY t FROM '{uri}' {ROLE} PARQUET MANIFEST"))
    assert error.message == "File entry does not have 'meta' key."
    assert "code:      15003" in error.detail


async def test_rule_9_a_missing_or_broken_manifest(t: Any, standin: StandIn, schema: str) -> None:
    error = await failure(t.execute(copy(f"{schema}/gone", more="MANIFEST")))
    assert "Problem reading manifest file - S3ServiceException" in error.message
    standin.s3.put_object(Bucket="bkt", Key=f"{schema}/m", Body=b"{]")
    error = await failure(t.execute(copy(f"{schema}/m", more="MANIFEST")))
    assert "Problem reading manifest file" in error.message


async def test_rule_9a_a_wrong_length_fails(t: Any, standin: StandIn, schema: str) -> None:
    size = standin.put(f"{schema}/a", TWO)
    uri = standin.manifest(f"{schema}/m", entry(f"{schema}/a", size + 1))
    error = await failure(t.execute(f"COPY t FROM '{uri}' {ROLE} PARQUET MANIFEST"))
    assert error.message == "Spectrum Scan Error"


async def test_rule_10_hidden_and_empty_objects_are_skipped(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/x/_tmp", TWO.select(["a"]))
    standin.s3.put_object(Bucket="bkt", Key=f"{schema}/x/empty", Body=b"")
    standin.put(f"{schema}/x/a", TWO)
    await t.execute(copy(f"{schema}/x/"))
    assert await t.fetchval("SELECT pg_last_copy_count()") == 2


async def test_rule_11_fillrecord_fills_trailing_columns(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/a", TWO.select(["a"]))
    standin.put(f"{schema}/b", TWO)
    await t.execute(copy(f"{schema}/", more="FILLRECORD"))
    assert [r["b"] for r in await t.fetch("SELECT b FROM t ORDER BY b NULLS LAST")] == [
        "x", "y", None, None,
    ]  # fmt: skip
    wide = TWO.append_column("c", pa.array([1, 2]))
    standin.put(f"{schema}/c", wide)
    error = await failure(t.execute(copy(f"{schema}/c", more="FILLRECORD")))
    assert "Data columns: 3" in error.detail


async def test_rule_12_super_needs_serializetojson(con: Any, standin: StandIn, schema: str) -> None:
    await con.execute("CREATE TABLE t (j SUPER)")
    standin.put(f"{schema}/a", pa.table({"j": [{"k": [1, 2]}, None]}))
    error = await failure(con.execute(copy(f"{schema}/a")))
    assert error.message == "SUPER column in COPY query requires SERIALIZETOJSON option"
    await con.execute(copy(f"{schema}/a", more="SERIALIZETOJSON"))
    rows = await con.fetch("SELECT JSON_SERIALIZE(j) AS j FROM t WHERE j IS NOT NULL")
    assert [row["j"] for row in rows] == ['{"k": [1, 2]}']


async def test_rule_12_a_super_string_has_a_limit(con: Any, standin: StandIn, schema: str) -> None:
    await con.execute("CREATE TABLE t (j SUPER)")
    standin.put(f"{schema}/a", pa.table({"j": ["x" * 65_536]}))
    error = await failure(con.execute(copy(f"{schema}/a", more="SERIALIZETOJSON")))
    assert error.message == "String value exceeds the max size of 65535 bytes"


@HOW
async def test_rule_13_success_is_an_info_notice(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    notices: list[Any] = []
    t.add_log_listener(listener := lambda _, message: notices.append(message))
    standin.put(f"{schema}/a", TWO)
    answer = await getattr(t, how)(copy(f"{schema}/a"))
    await asyncio.sleep(0.02)
    t.remove_log_listener(listener)
    assert answer == ("COPY" if how == "execute" else [])
    assert [(n.severity, n.message) for n in notices] == [
        ("INFO", "Load into table 't' completed, 2 record(s) loaded successfully.")
    ]


async def test_rule_14_the_last_copy_is_remembered(t: Any, standin: StandIn, schema: str) -> None:
    assert await t.fetchval("SELECT pg_last_copy_count()") == 0
    assert await t.fetchval("SELECT pg_last_copy_id()") == -1
    standin.put(f"{schema}/a", TWO)
    await t.execute(copy(f"{schema}/a"))
    first = await t.fetchval("SELECT pg_last_copy_id()")
    assert first > 0
    async with t.transaction():
        await t.execute(copy(f"{schema}/a"))
        assert await t.fetchval("SELECT pg_last_copy_id()") > first
        second = await t.fetchval("SELECT pg_last_copy_id()")
    transaction = t.transaction()
    await transaction.start()
    await t.execute(copy(f"{schema}/a"))
    await transaction.rollback()
    assert await t.fetchval("SELECT pg_last_copy_id()") == second


@HOW
async def test_rule_15_a_rollback_leaves_nothing(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    standin.put(f"{schema}/a", TWO)
    transaction = t.transaction()
    await transaction.start()
    await getattr(t, how)(copy(f"{schema}/a"))
    assert await t.fetchval("SELECT count(*) FROM t") == 2
    await transaction.rollback()
    assert await t.fetchval("SELECT count(*) FROM t") == 0


@HOW
async def test_rule_15_a_failed_copy_aborts_the_block(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    transaction = t.transaction()
    await transaction.start()
    await failure(getattr(t, how)(copy(f"{schema}/none")))
    error = await failure(getattr(t, how)("SELECT 1"))
    assert error.sqlstate == "25P02"
    await transaction.rollback()
    assert await t.fetchval("SELECT 1") == 1


@HOW
async def test_rule_15_one_late_bad_row_fails_all(
    t: Any, standin: StandIn, schema: str, how: str
) -> None:
    count = 60_000
    texts = ["ok"] * (count - 1) + ["eleven bytes"]
    table = pa.table({"a": pa.array(range(count), pa.int64()), "b": texts})
    standin.put(f"{schema}/a", table, row_group_size=10_000)
    error = await failure(getattr(t, how)(copy(f"{schema}/a")))
    assert "Table: 10, Data: 12" in error.detail
    assert await t.fetchval("SELECT count(*) FROM t") == 0
    assert await t.fetchval("SELECT 1") == 1


async def test_rule_15_all_schemas_are_checked_before_any_load(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/a", TWO)
    standin.put(f"{schema}/z", TWO.select(["a"]))
    error = await failure(t.execute(copy(f"{schema}/")))
    assert "Data columns: 1" in error.detail
    assert f"{schema}/z" in error.detail


US = dt.datetime(2024, 2, 29, 12, 0, 0, 123456)
FITS = [
    ("T1", "SMALLINT", pa.array([-32768, None], pa.int16()), [-32768, None]),
    ("T1", "SMALLINT", pa.array([5], pa.int8()), [5]),
    ("T1", "INTEGER", pa.array([-(2**31), None], pa.int32()), [-(2**31), None]),
    ("T2", "BIGINT", pa.array([2**63 - 1, None], pa.int64()), [2**63 - 1, None]),
    ("T4", "REAL", pa.array([1.5, None], pa.float32()), [1.5, None]),
    ("T4", "DOUBLE PRECISION", pa.array([1e300, None], pa.float64()), [1e300, None]),
    ("T5", "DECIMAL(18,6)", pa.array([Decimal("-1.5"), None], pa.decimal128(18, 6)),
     [Decimal("-1.500000"), None]),
    ("T5", "DECIMAL(20,0)", pa.array([Decimal(2**64 - 1), None], pa.decimal128(20, 0)),
     [Decimal(2**64 - 1), None]),
    ("T6", "BOOLEAN", pa.array([True, None, False]), [True, None, False]),
    ("T7", "DATE", pa.array([dt.date(1, 1, 1), None]), [dt.date(1, 1, 1), None]),
    ("T8", "TIMESTAMP", pa.array([US, None], pa.timestamp("us")), [US, None]),
    ("T8", "TIMESTAMP", pa.array([US.replace(microsecond=0)], pa.timestamp("ms")),
     [US.replace(microsecond=0)]),
    ("T9", "TIMESTAMPTZ", pa.array([US.replace(tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
     [US.replace(tzinfo=dt.UTC)]),
    ("T11", "VARCHAR(4)", pa.array(["ää", None, ""]), ["ää", None, ""]),
    ("T11", "VARCHAR(9)", pa.array(["x", "x", None]).dictionary_encode(), ["x", "x", None]),
    ("T12", "CHAR(3)", pa.array(["abc", "a", None]), ["abc", "a  ", None]),
]  # fmt: skip


@pytest.mark.parametrize("case", FITS, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].type}")
async def test_type_rules_what_fits(
    con: Any, standin: StandIn, schema: str, case: tuple[Any, ...]
) -> None:
    rule, kind, array, rows = case
    await con.execute(f"CREATE TABLE t (a {kind}, n INTEGER)")
    numbers = pa.array(range(len(rows)), pa.int32())
    standin.put(f"{schema}/a", pa.table({"a": array, "n": numbers}))
    await con.execute(copy(f"{schema}/a"))
    assert [row["a"] for row in await con.fetch("SELECT a FROM t ORDER BY n")] == rows, rule


async def test_rule_t13_varbyte_takes_bytes(con: Any, standin: StandIn, schema: str) -> None:
    await con.execute("CREATE TABLE t (a VARBYTE(3))")
    standin.put(f"{schema}/a", pa.table({"a": [b"\0\xff", None]}))
    await con.execute(copy(f"{schema}/a"))
    assert await con.fetchval("SELECT encode(a, 'hex') FROM t WHERE a IS NOT NULL") == "00ff"
    standin.put(f"{schema}/b", pa.table({"a": [b"1234"]}))
    error = await failure(con.execute(copy(f"{schema}/b")))
    assert "Table: 3, Data: 4" in error.detail


async def test_rule_t8_int96_is_read(con: Any, standin: StandIn, schema: str) -> None:
    await con.execute("CREATE TABLE t (a TIMESTAMP)")
    table = pa.table({"a": pa.array([US], pa.timestamp("us"))})
    standin.put(f"{schema}/a", table, use_deprecated_int96_timestamps=True)
    await con.execute(copy(f"{schema}/a"))
    assert await con.fetchval("SELECT a FROM t") == US


MISFITS = [
    ("T1", "INTEGER", pa.array([1], pa.int64()), "Column type: INT,"),
    ("T2", "BIGINT", pa.array([1], pa.int32()), "Column type: BIGINT,"),
    ("T3", "INTEGER", pa.array([1], pa.uint16()), "Column type: INT,"),
    ("T3", "BIGINT", pa.array([1], pa.uint64()), "Column type: BIGINT,"),
    ("T4", "REAL", pa.array([1.0], pa.float64()), "Column type: FLOAT,"),
    ("T4", "FLOAT8", pa.array([1.0], pa.float32()), "Column type: DOUBLE,"),
    ("T5", "DECIMAL(10,2)", pa.array([1], pa.decimal128(10, 3)), "Column type: DECIMAL(10, 2),"),
    ("T5", "DECIMAL(10,2)", pa.array([1], pa.decimal128(11, 2)), "Column type: DECIMAL(10, 2),"),
    ("T5", "DECIMAL(10,2)", pa.array([1.0], pa.float64()), "Column type: DECIMAL(10, 2),"),
    ("T6", "BOOLEAN", pa.array([1], pa.int32()), "Column type: BOOLEAN,"),
    ("T7", "DATE", pa.array(["2020-01-01"]), "Column type: DATE,"),
    ("T8a", "TIMESTAMP", pa.array([1], pa.timestamp("ns")), "Column type: TIMESTAMP,"),
    ("T10", "TIME", pa.array([1], pa.time64("us")), "Column type: TIME,"),
    ("T11", "VARCHAR(9)", pa.array([1], pa.int64()), "Column type: VARCHAR,"),
    ("T11", "VARCHAR(9)", pa.array([["a"]]), "Column type: VARCHAR,"),
    ("T13", "VARBYTE", pa.array([1], pa.int64()), "Column type: VARBYTE,"),
]


@pytest.mark.parametrize("case", MISFITS, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].type}")
async def test_type_rules_what_is_refused(
    con: Any, standin: StandIn, schema: str, case: tuple[Any, ...]
) -> None:
    rule, kind, array, said = case
    await con.execute(f"CREATE TABLE t (a {kind})")
    standin.put(f"{schema}/a", pa.table({"a": array}))
    error = await failure(con.execute(copy(f"{schema}/a")))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error"), rule
    assert "has an incompatible Parquet schema for column" in error.detail
    assert said in error.detail


async def test_rule_t5a_a_decimal_as_int32_is_refused(
    con: Any, standin: StandIn, schema: str
) -> None:
    await con.execute("CREATE TABLE t (a DECIMAL(5,2))")
    table = pa.table({"a": pa.array([1], pa.decimal128(5, 2))})
    standin.put(f"{schema}/a", table, store_decimal_as_integer=True)
    assert "int32" in (await failure(con.execute(copy(f"{schema}/a")))).detail
    await con.execute("CREATE TABLE u (a DECIMAL(15,2))")
    table = pa.table({"a": pa.array([Decimal("-1.25")], pa.decimal128(15, 2))})
    standin.put(f"{schema}/b", table, store_decimal_as_integer=True)
    await con.execute(copy(f"{schema}/b", "u"))
    assert await con.fetchval("SELECT a FROM u") == Decimal("-1.25")


async def test_rule_t11_lengths_are_bytes(t: Any, standin: StandIn, schema: str) -> None:
    standin.put(f"{schema}/a", pa.table({"a": pa.array([1], pa.int64()), "b": ["ä" * 6]}))
    error = await failure(t.execute(copy(f"{schema}/a")))
    assert "The length of the data column b is longer" in error.detail
    assert "Table: 10, Data: 12" in error.detail


async def test_rule_t12_char_takes_single_bytes(con: Any, standin: StandIn, schema: str) -> None:
    await con.execute("CREATE TABLE t (a CHAR(4))")
    standin.put(f"{schema}/a", pa.table({"a": ["ä"]}))
    error = await failure(con.execute(copy(f"{schema}/a")))
    assert error.message == "Multibyte character not supported for CHAR"


async def test_rule_t14_a_null_in_a_not_null_column(
    con: Any, standin: StandIn, schema: str
) -> None:
    await con.execute("CREATE TABLE t (a BIGINT NOT NULL)")
    standin.put(f"{schema}/a", pa.table({"a": pa.array([1, None], pa.int64())}))
    error = await failure(con.execute(copy(f"{schema}/a")))
    assert (error.sqlstate, error.message) == ("XX000", "Cannot insert a NULL value into column a")


async def test_identity_columns_are_left_to_the_server(
    con: Any, standin: StandIn, schema: str
) -> None:
    await con.execute("CREATE TABLE t (i BIGINT IDENTITY(10, 5), a BIGINT, b VARCHAR(9))")
    standin.put(f"{schema}/a", TWO)
    await con.execute(copy(f"{schema}/a"))
    assert [row["i"] for row in await con.fetch("SELECT i FROM t ORDER BY i")] == [10, 15]


async def test_what_is_no_parquet_fails(t: Any, standin: StandIn, schema: str) -> None:
    standin.s3.put_object(Bucket="bkt", Key=f"{schema}/a", Body=b"a,b\n1,2\n")
    assert (await failure(t.execute(copy(f"{schema}/a")))).sqlstate == "XX000"


async def test_rule_c1_load_errors_survive_the_rollback(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/a", pa.table({"a": pa.array([1], pa.int64()), "b": ["x" * 11]}))
    transaction = t.transaction()
    await transaction.start()
    await failure(t.execute(copy(f"{schema}/a")))
    await transaction.rollback()
    row = await t.fetchrow(
        "SELECT filename, colname, col_length, err_code, err_reason, raw_field_value "
        "FROM stl_load_errors WHERE filename = $1", f"s3://bkt/{schema}/a",
    )  # fmt: skip
    assert row["colname"] == "b"
    assert (row["col_length"], row["err_code"], row["raw_field_value"]) == ("10", 15007, "x" * 11)
    assert "Table: 10, Data: 11" in row["err_reason"]
    detail = "SELECT count(*) FROM sys_load_error_detail WHERE file_name = $1"
    assert await t.fetchval(detail, f"s3://bkt/{schema}/a") == 1


async def test_rule_c1_loads_have_a_history(t: Any, standin: StandIn, schema: str) -> None:
    standin.put(f"{schema}/a", TWO)
    await t.execute(copy(f"{schema}/a"))
    row = await t.fetchrow(
        "SELECT status, loaded_rows, table_name FROM sys_load_history WHERE query_id = "
        "pg_last_copy_id()"
    )
    assert tuple(row) == ("completed", 2, "t")


async def test_a_comment_before_copy_is_no_obstacle(t: Any, standin: StandIn, schema: str) -> None:
    standin.put(f"{schema}/a", TWO)
    assert await t.execute(f"/* s3rs */ -- {{}}\n {copy(f'{schema}/a')}") == "COPY"


async def test_a_query_of_many_statements_holds_a_copy(
    t: Any, standin: StandIn, schema: str
) -> None:
    standin.put(f"{schema}/a", TWO)
    await t.execute(f"BEGIN; DELETE FROM t; {copy(f'{schema}/a')}; COMMIT")
    assert await t.fetchval("SELECT count(*) FROM t") == 2
    await failure(t.execute(f"INSERT INTO t VALUES (9, 'x'); {copy(f'{schema}/none')}"))
    assert await t.fetchval("SELECT count(*) FROM t") == 2


async def test_a_temporary_table_is_loaded(con: Any, standin: StandIn, schema: str) -> None:
    standin.put(f"{schema}/a", TWO)
    await con.execute("CREATE TABLE #st (a BIGINT, b VARCHAR(9))")
    await con.execute(copy(f"{schema}/a", "#st"))
    assert await con.fetchval("SELECT count(*) FROM #st") == 2
    assert isinstance(con, asyncpg.Connection)
