"""Reading a real server: every type, every kind of key, every size of chunk."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from s3rs_async.errors import ConfigError, SchemaDriftError
from s3rs_async.model import Bound, Change, Position, Proof, Strategy
from s3rs_async.mysql.bound import fix_bound
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.reader import read_pass
from tests.acceptance.source import Run, plan_of

FAR = "2999-01-01 00:00:00"


async def read(
    source: Source, plan: Any, position: Any = None, bound: Any = None, limit: int | None = None
) -> Any:
    batches, ends = [], []
    async with contextlib.aclosing(read_pass(source, plan, position, bound, limit=limit)) as items:
        async for item in items:
            (batches if isinstance(item, pa.RecordBatch) else ends).append(item)
    rows = [row for batch in batches for row in batch.to_pylist()]
    for batch in batches:
        batch.validate(full=True)
    return rows, ends


def until(hi: str) -> Any:
    return Bound(hi, Proof.PROVEN, "2026-01-01T00:00:00+00:00")


async def test_every_number_type_keeps_its_least_and_greatest_value(
    run: Run, source: Source
) -> None:
    run(
        "CREATE TABLE a (id INT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, b TINYINT(1), "
        "s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, mu MEDIUMINT UNSIGNED ZEROFILL, "
        "i INT, iu INT UNSIGNED, l BIGINT, lu BIGINT UNSIGNED, z BIGINT(60) ZEROFILL, "
        "d DECIMAL(38,10), d2 DECIMAL(65,30), d3 DECIMAL(5,0) UNSIGNED ZEROFILL, "
        "f FLOAT, g DOUBLE, y YEAR, bi BIT(1), bn BIT(63), bl BIT(64))"
    )
    run(
        "INSERT INTO a VALUES (1,-128,0,5,-32768,0,-8388608,7,-2147483648,0,-9223372036854775808,0,"
        "7,-9999999999999999999999999999.9999999999,"
        "-99999999999999999999999999999999999.999999999999999999999999999999,7,"
        "-3.4028234663852886e38,-1.7976931348623157e308,0,b'0',0,0),"
        "(2,127,255,1,32767,65535,8388607,16777215,2147483647,4294967295,9223372036854775807,"
        "18446744073709551615,18446744073709551615,9999999999999999999999999999.9999999999,"
        "0.000000000000000000000000000001,99999,16777217,2.2250738585072014e-308,2155,b'1',"
        "9223372036854775807,18446744073709551615)"
    )
    run("INSERT INTO a (id) VALUES (3)")
    rows, _ = await read(source, await plan_of(source))
    assert list(rows[0].values()) == [
        *(1, -128, 0, 5, -32768, 0, -8388608, 7, -2147483648, 0, -(2**63), Decimal(0), Decimal(7)),
        Decimal("-9999999999999999999999999999.9999999999"),
        "-99999999999999999999999999999999999.999999999999999999999999999999",
        *(Decimal(7), -3.4028234663852886e38, -1.7976931348623157e308, 0, False, 0, Decimal(0)),
    ]
    assert list(rows[1].values()) == [
        *(2, 127, 255, 1, 32767, 65535, 8388607, 16777215, 2**31 - 1, 2**32 - 1, 2**63 - 1),
        *(Decimal(2**64 - 1), Decimal(2**64 - 1)),
        Decimal("9999999999999999999999999999.9999999999"),
        "0.000000000000000000000000000001",
        *(Decimal(99999), 16777216.0, 2.2250738585072014e-308, 2155, True, 2**63 - 1),
        Decimal(2**64 - 1),
    ]
    assert list(rows[2].values()) == [3, *[None] * 21]


async def test_float_is_exact_and_not_six_digits(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, f FLOAT, m FLOAT(9,3))")
    run("INSERT INTO a VALUES (1, 123456.789, 123456.789), (2, 0.1, -0.001)")
    rows, _ = await read(source, await plan_of(source))
    assert rows[0]["f"] == rows[0]["m"] == 123456.7890625
    assert rows[1]["f"] == 0.10000000149011612


async def test_text_and_binary_arrive_whole_and_as_utf8(run: Run, source: Source) -> None:
    run(
        "CREATE TABLE a (id INT PRIMARY KEY, c CHAR(4), v VARCHAR(9) CHARACTER SET latin1, "
        "u VARCHAR(9) CHARACTER SET ucs2, t MEDIUMTEXT, x LONGTEXT, e ENUM('a','b,c'), "
        "s SET('a','b'), j JSON, b BINARY(3), vb VARBINARY(9), bl MEDIUMBLOB, "
        "i6 INET6, i4 INET4, uu UUID)"
    )
    run(
        "INSERT INTO a VALUES (1, 'a ', 'é€', 'ž', REPEAT('ü', 40000), REPEAT('x', 100000), 'b,c', "
        "'a,b', '{\"a\": [1]}', x'01', x'', REPEAT(x'00ff', 40000), '::1', '10.0.0.1', "
        "'123e4567-e89b-12d3-a456-426655440000'), "
        "(2, '😀', '', '', '\\\\', '\\'', 'a', '', 'null', x'fbfcfd', x'fb', x'', NULL, NULL, NULL)"
    )
    rows, _ = await read(source, await plan_of(source))
    assert list(rows[0].values()) == [
        *(1, "a", "é€", "ž", "ü" * 40000, "x" * 100000, "b,c", "a,b", '{"a": [1]}', "010000", ""),
        *("00ff" * 40000, "::1", "10.0.0.1", "123e4567-e89b-12d3-a456-426655440000"),
    ]
    assert list(rows[1].values()) == [
        *(2, "😀", "", "", "\\", "'", "a", "", "null", "fbfcfd", "fb", "", None, None, None),
    ]


async def test_dates_and_times_are_exact_to_the_microsecond(run: Run, source: Source) -> None:
    run(
        "CREATE TABLE a (id INT PRIMARY KEY, d DATE, t0 DATETIME, t3 DATETIME(3), t6 DATETIME(6), "
        "s1 TIMESTAMP(1) NULL, s6 TIMESTAMP(6) NULL, h0 TIME, h6 TIME(6), h5 TIME(5))"
    )
    run(
        "INSERT INTO a VALUES (1,'1000-01-01','1000-01-01 00:00:00','0001-01-01 00:00:00.001',"
        "'9999-12-31 23:59:59.999999','1970-01-01 00:00:01.5','2038-01-19 03:14:07.999999',"
        "'-838:59:59','-00:00:00.000001','838:59:59.99999'),"
        "(2,'2024-02-29','2023-12-31 23:59:59','9999-12-31 23:59:59.999','1000-01-01',"
        "NULL,NULL,'12:34:56','838:59:59.999999','-01:02:03.00004')"
    )
    rows, _ = await read(source, await plan_of(source))
    last = dt.datetime(9999, 12, 31, 23, 59, 59, 999999)
    assert list(rows[0].values()) == [
        *(1, dt.date(1000, 1, 1), dt.datetime(1000, 1, 1), dt.datetime(1, 1, 1, 0, 0, 0, 1000)),
        *(last, dt.datetime(1970, 1, 1, 0, 0, 1, 500000)),
        *(dt.datetime(2038, 1, 19, 3, 14, 7, 999999), -3020399_000000, -1, 3020399_999990),
    ]
    assert list(rows[1].values())[1:5] == [
        dt.date(2024, 2, 29),
        dt.datetime(2023, 12, 31, 23, 59, 59),
        last.replace(microsecond=999000),
        dt.datetime(1000, 1, 1),
    ]
    assert list(rows[1].values())[5:] == [None, None, 45296_000000, 3020399_999999, -3723_000040]


async def test_zero_and_impossible_dates_are_null_and_counted(run: Run, source: Source) -> None:
    run(
        "CREATE TABLE a (id INT PRIMARY KEY, d DATE NOT NULL, t DATETIME(6) NOT NULL, "
        "s TIMESTAMP NOT NULL DEFAULT 0)"
    )
    run("SET sql_mode='ALLOW_INVALID_DATES'")
    run(
        "INSERT INTO a VALUES (1,'0000-00-00','0000-00-00','0000-00-00'),"
        "(2,'2026-02-00','2026-02-31 01:02:03',0),(3,'2026-00-01','2026-04-31',0),"
        "(4,'0000-01-01','2100-02-29','2026-01-01'),(5,'2026-02-28','2024-02-29','2026-01-01')"
    )
    run("SET sql_mode=''")
    plan = await plan_of(source)
    assert all(column.nullable for column in plan.schema.columns[1:])
    rows, ends = await read(source, plan)
    assert [row["d"] for row in rows] == [None] * 4 + [dt.date(2026, 2, 28)]
    assert [row["t"] for row in rows] == [None] * 4 + [dt.datetime(2024, 2, 29)]
    assert ends[0].changed == {
        (Change.NULLED, "d"): 4,
        (Change.NULLED, "t"): 4,
        (Change.NULLED, "s"): 3,
    }


async def test_a_cursor_with_impossible_dates_loses_no_row(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME NOT NULL, KEY (t))")
    run("SET sql_mode='ALLOW_INVALID_DATES'")
    run(
        "INSERT INTO a VALUES (1,0),(2,0),(3,'2026-02-31'),(4,'2026-02-31'),(5,'2026-03-01'),"
        "(6,'2026-02-00'),(7,'2026-04-31')"
    )
    run("SET sql_mode=''")
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t")
    rows, _ = await read(source, plan, bound=until(FAR), limit=1)
    assert sorted(row["id"] for row in rows) == [1, 2, 3, 4, 5, 6, 7]


async def test_values_equal_what_a_cursor_reads(run: Run, source: Source) -> None:
    """The same rows by the driver's own parser, as text."""
    run(
        "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, i BIGINT, d DECIMAL(20,5), "
        "v VARCHAR(300), n VARCHAR(300) NULL)"
    )
    run(
        "INSERT INTO a (i, d, v, n) SELECT CAST(seq AS SIGNED) * -7919, seq / 7, "
        "REPEAT(CHAR(97 + seq % 26), "
        "seq % 300), IF(seq % 3, NULL, REPEAT('é', seq % 150)) FROM seq_1_to_30000"
    )
    expected = run("SELECT * FROM a ORDER BY id")
    rows, _ = await read(source, await plan_of(source), limit=7001)
    assert [tuple(row.values()) for row in rows] == list(expected)


@pytest.mark.parametrize("fraction", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_ties_at_every_precision_lose_and_double_no_row(
    run: Run, source: Source, fraction: int, limit: int
) -> None:
    run(f"CREATE TABLE a (id INT PRIMARY KEY, t DATETIME({fraction}) NOT NULL, KEY (t))")
    run(
        "INSERT INTO a SELECT 12 - seq, TIMESTAMPADD(MICROSECOND, (seq DIV 5) * POW(10, "
        f"6 - {fraction}), '2026-01-01') FROM seq_1_to_12"
    )
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t")
    expected = [row[0] for row in run("SELECT id FROM a ORDER BY t, id")]
    rows, ends = await read(source, plan, bound=until(FAR), limit=limit)
    assert [row["id"] for row in rows] == expected
    assert sum(end.rows for end in ends) == 12
    assert [end.last for end in ends] == [False] * (len(ends) - 1) + [True]


KEYS = {
    "composite": ("a INT NOT NULL, b VARCHAR(9) NOT NULL", "a, b", "seq % 7, CONCAT('k', seq)"),
    "case": (
        "a VARCHAR(40) COLLATE utf8mb4_general_ci NOT NULL",
        "a",
        "CONCAT(IF(seq % 2, 'Key', 'kEY\\'\\\\'), seq)",
    ),
    "latin1": (
        "a VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL",
        "a",
        "CONCAT('ä', seq)",
    ),
    "padded": ("a CHAR(40) NOT NULL", "a", "CONCAT(seq, ' ', seq)"),
    "binary": ("a VARBINARY(9) NOT NULL", "a", "UNHEX(HEX(seq * 65521))"),
    "fixed binary": ("a BINARY(8) NOT NULL", "a", "UNHEX(LEFT(MD5(seq), 16))"),
    "decimal": ("a DECIMAL(30,9) NOT NULL", "a", "seq / 7 - 20"),
    "unsigned": ("a BIGINT UNSIGNED NOT NULL", "a", "18446744073709551615 - seq"),
    "float": ("a FLOAT NOT NULL", "a", "seq / 7"),
    "double": ("a DOUBLE NOT NULL", "a", "seq / 7e20"),
    "enum": ("a ENUM('z','b','a') NOT NULL, b INT NOT NULL", "a, b", "1 + seq % 3, seq"),
    "bits": ("a BIT(40) NOT NULL", "a", "seq * 99991"),
    "date": ("a DATE NOT NULL", "a", "'2026-01-01' + INTERVAL seq DAY"),
    "time": ("a TIME(3) NOT NULL", "a", "SEC_TO_TIME(seq * 100 - 5000.5)"),
    "uuid": (
        "a UUID NOT NULL",
        "a",
        "UUID()",
    ),
}


@pytest.mark.parametrize("name", KEYS)
async def test_a_table_is_read_whole_by_any_key(run: Run, source: Source, name: str) -> None:
    columns, key, values = KEYS[name]
    run(f"CREATE TABLE a ({columns}, n INT NOT NULL, PRIMARY KEY ({key}))")
    run(f"INSERT INTO a SELECT {values}, seq FROM seq_1_to_200")
    plan = await plan_of(source, strategy=Strategy.FULL_SYNC)
    rows, ends = await read(source, plan, limit=7)
    assert sorted(row["n"] for row in rows) == list(range(1, 201))
    assert len(ends) == 29


async def test_a_table_without_a_key_and_a_view_are_one_stream(run: Run, source: Source) -> None:
    run("CREATE TABLE a (n INT)")
    run("INSERT INTO a SELECT seq % 10 FROM seq_1_to_1000")
    run("CREATE VIEW v AS SELECT n, 'x' AS x FROM a")
    rows, ends = await read(source, await plan_of(source), limit=10)
    assert len(rows) == 1000
    assert len(ends) == 1
    plan = await plan_of(source, "v")
    assert plan.strategy is Strategy.FULL_SYNC
    assert len((await read(source, plan))[0]) == 1000


async def test_invisible_and_generated_columns_are_read(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, h INT INVISIBLE, g INT AS (id * 2) VIRTUAL)")
    run("INSERT INTO a (id, h) VALUES (1, 5)")
    rows, _ = await read(source, await plan_of(source))
    assert rows == [{"id": 1, "h": 5, "g": 2}]


async def test_names_may_hold_anything(run: Run, source: Source) -> None:
    columns = "`a``b` INT PRIMARY KEY, `{0}%s` FLOAT, `c;'\"` BIT(3)"
    run(f"CREATE TABLE `we``ird {{}} table` ({columns})")
    run("INSERT INTO `we``ird {} table` VALUES (1, 0.5, 5)")
    rows, _ = await read(source, await plan_of(source, "we`ird {} table"))
    assert rows == [{"a`b": 1, "{0}%s": 0.5, "c;'\"": 5}]


async def test_an_unknown_table_names_its_neighbours(run: Run, source: Source) -> None:
    run("CREATE TABLE orders (id INT)")
    with pytest.raises(ConfigError, match="unknown table") as caught:
        await plan_of(source, "order")
    assert ".orders" in caught.value.hint


async def test_the_position_never_lies_past_the_bound(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME NOT NULL, KEY (t))")
    run("INSERT INTO a SELECT seq, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_10")
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t")
    hi = "2026-01-01 00:00:06"
    rows, ends = await read(source, plan, bound=until(hi), limit=2)
    assert len(rows) == 10
    assert [(end.after, end.moves_watermark) for end in ends] == [
        (Position("2026-01-01 00:00:02", ("2",)), True),
        (Position("2026-01-01 00:00:04", ("4",)), True),
        (Position(hi), True),
        (None, False),
        (None, False),
        (None, False),
    ]
    rows, ends = await read(source, plan, Position(hi), until(hi), limit=2)
    assert [row["id"] for row in rows] == [6, 7, 8, 9, 10]
    assert not any(end.moves_watermark for end in ends)
    after = Position("2026-01-01 00:00:04", ("4",))
    rows, ends = await read(source, plan, after, until(hi))
    assert [row["id"] for row in rows] == [5, 6, 7, 8, 9, 10]
    assert ends[-1].after == Position(hi)


async def test_rows_without_a_time_are_a_leg_of_their_own(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME, KEY (t))")
    run("INSERT INTO a SELECT seq, IF(seq % 3, '2026-01-01', NULL) FROM seq_1_to_10")
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t")
    rows, ends = await read(source, plan, bound=until(FAR), limit=2)
    assert [row["id"] for row in rows] == [3, 6, 9, 1, 2, 4, 5, 7, 8, 10]
    assert [(end.leg, end.last) for end in ends[:3]] == [
        ("nulls", False),
        ("nulls", True),
        ("window", False),
    ]
    assert not ends[0].moves_watermark


async def test_an_empty_table_moves_the_position_to_the_bound(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME NOT NULL)")
    plan = await plan_of(source, strategy=Strategy.HYBRID, cursor="t")
    rows, ends = await read(source, plan, bound=until(FAR))
    assert rows == []
    assert [(end.rows, end.after, end.last) for end in ends] == [(0, Position(FAR), True)]


async def test_a_row_updated_all_the_time_arrives_and_the_pass_ends(
    run: Run, source: Source
) -> None:
    run(
        "CREATE TABLE a (id INT PRIMARY KEY, n INT, t TIMESTAMP(6) NOT NULL DEFAULT "
        "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (t))"
    )
    run("INSERT INTO a (id, n) SELECT seq, 0 FROM seq_1_to_50")
    plan = await plan_of(source)
    assert plan.strategy is Strategy.HYBRID
    bound = await fix_bound(source, plan)
    seen = []
    async with contextlib.aclosing(read_pass(source, plan, None, bound, limit=5)) as items:
        async for item in items:
            if isinstance(item, pa.RecordBatch):
                seen += [row["id"] for row in item.to_pylist()]
                run("UPDATE a SET n = n + 1 WHERE id = 1")
            if len(seen) > 200:
                break
    assert set(seen) == set(range(1, 51))
    assert seen.count(1) > 1


async def test_a_column_added_between_chunks_is_drift(run: Run, source: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, s VARCHAR(10))")
    run("INSERT INTO a SELECT seq, 'x' FROM seq_1_to_10")
    plan = await plan_of(source)
    async with contextlib.aclosing(read_pass(source, plan, None, None, limit=2)) as items:
        assert [(await anext(items)).num_rows, (await anext(items)).rows] == [2, 2]
        run("ALTER TABLE a MODIFY s VARCHAR(20)")
        with pytest.raises(SchemaDriftError, match="changed"):
            await anext(items)
