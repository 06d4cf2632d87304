"""Both protocols of a real server: one table, read by each, is the same batch and positions.

Every type that is read, with made-up rows, their extremes and what no calendar has.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from s3rs_async.errors import DataError
from s3rs_async.mysql import sql
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.connection import Session, Source
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.protocol import Protocol
from s3rs_async.mysql.sql import Page
from s3rs_async.mysql.wire import Packets
from tests.acceptance.source import Run, configured, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box


def whole(bits: int) -> tuple[st.SearchStrategy[int], st.SearchStrategy[int]]:
    """What a number of so many bits holds, with a sign and without."""
    half = 1 << bits - 1
    return (
        st.integers(-half, half - 1) | st.sampled_from([-half, -1, 0, half - 1]),
        st.integers(0, 2 * half - 1) | st.sampled_from([0, half, 2 * half - 1]),
    )


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    most = Decimal(10**digits - 1).scaleb(-scale) if digits < 28 else Decimal(10**20)
    return st.decimals(-most, most, allow_nan=False, places=min(scale, 9)).map(str)


DAY = st.one_of(
    st.dates(dt.date(1, 1, 1)).map(dt.date.isoformat),
    st.sampled_from(["0000-00-00", "2026-02-31", "2026-02-00", "2026-00-01", "0000-01-01"]),
)
CLOCK = st.one_of(st.just("00:00:00"), st.times().map(lambda t: t.strftime("%H:%M:%S.%f")))
MOMENT = st.builds("{} {}".format, DAY, CLOCK)
FIRST = dt.datetime(1970, 1, 1, 0, 0, 1)
STAMP = st.datetimes(FIRST, dt.datetime(2038, 1, 19, 3, 14, 7)).map(str) | st.just("0000-00-00")
SPAN = st.builds(
    "{}{:02}:{:02}:{:02}.{:06}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 837),
    *[st.integers(0, 59)] * 2,
    st.integers(0, 999_999) | st.just(0),
)
FLOAT = st.floats(allow_nan=False, allow_infinity=False, width=32)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False)
SHORT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LATIN = st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20), max_size=20)
RAW = st.binary(max_size=20)
LONG = st.builds(lambda text, times: text * times, SHORT, st.integers(0, 400))
ADDRESS = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(b) for b in n.to_bytes(4, "big")))

TYPES: dict[str, st.SearchStrategy[Any]] = {
    "TINYINT": whole(8)[0],
    "TINYINT UNSIGNED": whole(8)[1],
    "TINYINT(1)": whole(8)[0],
    "TINYINT(3) ZEROFILL": whole(8)[1],
    "SMALLINT": whole(16)[0],
    "SMALLINT UNSIGNED": whole(16)[1],
    "MEDIUMINT": whole(24)[0],
    "MEDIUMINT UNSIGNED": whole(24)[1],
    "INT": whole(32)[0],
    "INT UNSIGNED": whole(32)[1],
    "INT(9) ZEROFILL": whole(32)[1],
    "BIGINT": whole(64)[0],
    "BIGINT UNSIGNED": whole(64)[1],
    "BIGINT(60) ZEROFILL": whole(64)[1],
    "DECIMAL(10,0)": decimals(10, 0),
    "DECIMAL(18,6)": decimals(18, 6),
    "DECIMAL(38,9)": decimals(38, 9),
    "DECIMAL(65,30)": decimals(65, 30),
    "DECIMAL(9,2) UNSIGNED ZEROFILL": decimals(9, 2).map(lambda text: text.lstrip("-")),
    "FLOAT": FLOAT,
    "FLOAT UNSIGNED ZEROFILL": FLOAT.map(abs),
    "FLOAT(9,3)": st.floats(-999_999, 999_999),
    "DOUBLE": DOUBLE,
    "DOUBLE UNSIGNED": DOUBLE.map(abs),
    "DOUBLE(12,3) ZEROFILL": st.integers(0, 10**11).map(lambda n: n / 1000),
    "DATE": DAY,
    **{f"DATETIME({digits})": MOMENT for digits in range(7)},
    **{f"TIMESTAMP({digits}) NULL": STAMP for digits in (0, 3, 6)},
    **{f"TIME({digits})": SPAN for digits in (0, 1, 4, 6)},
    "YEAR": st.integers(1901, 2155) | st.just(0),
    "CHAR(20)": SHORT,
    "VARCHAR(20)": SHORT,
    "VARCHAR(21) CHARACTER SET latin1": LATIN,
    "VARCHAR(21) CHARACTER SET ucs2": LATIN,
    "TINYTEXT": LATIN,
    "TEXT": LATIN,
    "MEDIUMTEXT": SHORT,
    "LONGTEXT": LONG,
    "ENUM('a','','ü')": st.sampled_from(["a", "", "ü"]),
    "SET('a','b','ü')": st.sets(st.sampled_from("abü")).map(",".join),
    "JSON": st.sampled_from(["null", "[]", '{"a": "ü"}', '{"a":1,"a":2}']),
    "BINARY(20)": RAW,
    "VARBINARY(20)": RAW,
    "TINYBLOB": RAW,
    "BLOB": RAW,
    "MEDIUMBLOB": RAW,
    "LONGBLOB": st.builds(lambda raw, times: raw * times, RAW, st.integers(0, 400)),
    "BIT(1)": whole(1)[1],
    "BIT(17)": whole(17)[1],
    "BIT(63)": whole(63)[1],
    "BIT(64)": whole(64)[1],
    "UUID": st.uuids().map(str),
    "INET4": ADDRESS,
    "INET6": st.ip_addresses(v=6).map(str),
}
ROW = st.tuples(*(st.none() | values for values in TYPES.values()))


@pytest.fixture
def text(box: Box, database: str) -> Source:
    return Source(database, configured(box.mysql, protocol="text"))


@pytest.fixture
def binary(box: Box, database: str) -> Source:
    return Source(database, configured(box.mysql, protocol="binary"))


def each(packets: Packets) -> Iterator[Packets]:
    """Its rows, each by itself."""
    ends = [*packets.starts[1:].tolist(), packets.end]
    for at, end in enumerate(ends):
        yield Packets(packets.data, packets.starts[at : at + 1], end)


async def read(session: Session, plan: Any) -> tuple[Any, ...]:
    """The fields of a table's result, its batch, what became NULL, and each row as text."""
    page = Page(plan.source.name, plan.rules, order=plan.order)
    pieces = [packets async for packets in session.rows(sql.page(page))]
    kind = TextDecoder if session.protocol is Protocol.TEXT else BinaryDecoder
    decoder = kind(plan.rules, session.fields)
    found = [decoder.decode(packets) for packets in pieces]
    for decoded in found:
        decoded.batch.validate(full=True)
    return (
        session.fields,
        pa.Table.from_batches([decoded.batch for decoded in found], decoder.schema),
        [decoded.changed for decoded in found],
        [decoder.last(row) for packets in pieces for row in each(packets)],
    )


async def test_every_type_is_the_same_in_both_protocols(
    run: Run, text: Source, binary: Source
) -> None:
    columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(TYPES))
    run("SET sql_mode = 'ALLOW_INVALID_DATES'")
    run(f"CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, {columns}) CHARSET=utf8mb4")
    names = ", ".join(f"c{at}" for at in range(len(TYPES)))
    plan = await plan_of(text)
    loop, seen = asyncio.get_running_loop(), set()
    async with text.session(purpose="test") as by_text, binary.session(purpose="test") as by_binary:

        async def check(rows: list[tuple[Any, ...]]) -> None:
            run("DELETE FROM a")
            for row in rows:
                run(f"INSERT INTO a ({names}) VALUES ({', '.join(map(literal, row))})")
            expected, found = await read(by_text, plan), await read(by_binary, plan)
            assert [by_text.protocol, by_binary.protocol] == list(Protocol)
            assert found[0] == expected[0]
            assert found[1].schema == expected[1].schema
            for name in expected[1].column_names:
                assert found[1][name].equals(expected[1][name]), name
            assert found[2:] == expected[2:]
            seen.add(len(rows))

        @settings(
            max_examples=30,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(ROW, min_size=1, max_size=6))
        def examples(rows: list[tuple[Any, ...]]) -> None:
            asyncio.run_coroutine_threadsafe(check(rows), loop).result(30)

        await asyncio.to_thread(examples)
        await check([tuple(None for _ in TYPES)])
    assert len(seen) > 2


async def test_floats_are_spelled_as_the_server_spells_them(
    run: Run, text: Source, binary: Source
) -> None:
    digits = ("1", "9.5", "1.2345678901234567", "9.999999999999999")
    numbers = [
        float(f"{sign}{d}e{p}") for sign in ("", "-") for d in digits for p in range(-20, 25)
    ]
    run("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, d DOUBLE, f FLOAT, m DOUBLE(20,3))")
    run(f"INSERT INTO a (d, f, m) VALUES {', '.join(f'({n!r},{n!r},{n!r})' for n in numbers)}")
    run("INSERT INTO a (m) SELECT seq / 1000 + seq DIV 7 * 100 FROM seq_1_to_5000")
    run("INSERT INTO a (d, f) VALUES (5e-324, 1e-38), (1.7976931348623157e308, 3.4e38)")
    run("INSERT INTO a (d, f, m) VALUES (-0e0, -0e0, -0e0), (0, 0, 0), (-1e-300, -1e-30, -0.0004)")
    plan = await plan_of(text)
    async with text.session(purpose="test") as by_text, binary.session(purpose="test") as by_binary:
        expected, found = await read(by_text, plan), await read(by_binary, plan)
    assert found[3] == expected[3]
    assert found[1].equals(expected[1])
    assert len(found[3]) == len(numbers) + 5005


def literal(value: Any) -> str:
    """A value as SQL; texts in hex, so that no character means anything."""
    match value:
        case None:
            return "NULL"
        case str():
            return f"_utf8mb4 x'{value.encode().hex()}'" if value else "''"
        case bytes():
            return f"x'{value.hex()}'"
        case _:
            return repr(value)


async def test_an_empty_result_is_one_in_binary_too(run: Run, binary: Source) -> None:
    run("CREATE TABLE a (id INT PRIMARY KEY, t DATETIME)")
    async with binary.session(purpose="test") as session:
        fields, table, *_ = await read(session, await plan_of(binary))
    assert table.num_rows == 0
    assert [field.name for field in fields] == ["id", "t"]


EXPRESSIONS = (
    *(
        "i + 1",
        "i / 3",
        "i * 1.5",
        "-u",
        "u + u",
        "d + 0.1",
        "d * d",
        "f + f",
        "f * i",
        "POW(i, 2)",
    ),
    *("i = 1", "TRUE", "NULL", "NOT i", "i | 8", "b + 0", "COUNT(*)", "SUM(i)", "SUM(d)", "SUM(f)"),
    *(
        "AVG(i)",
        "MIN(t)",
        "MAX(h)",
        "GROUP_CONCAT(s)",
        "COALESCE(t, y)",
        "IFNULL(i, s)",
        "IF(i, i, f)",
    ),
    *(
        "IF(i, y, t)",
        "CASE i WHEN 1 THEN d ELSE s END",
        "YEAR(t)",
        "DATE(t)",
        "TIME(t)",
        "LAST_DAY(y)",
    ),
    *("t + INTERVAL 1 DAY", "y + INTERVAL 1 HOUR", "s + INTERVAL 1 DAY", "DATE_FORMAT(t, '%Y')"),
    *("STR_TO_DATE(s, '%Y-%m-%d')", "TIMEDIFF(t, t)", "ADDTIME(h, '1:0:0.5')", "SEC_TO_TIME(i)"),
    *(
        "UNIX_TIMESTAMP(t)",
        "FROM_UNIXTIME(i)",
        "TIMESTAMPDIFF(SECOND, t, t)",
        "HEX(s)",
        "UNHEX('FF')",
    ),
    *(
        "CONCAT(i, s)",
        "CONCAT(i, i)",
        "LENGTH(s)",
        "SHA2(s, 256)",
        "CAST(i AS CHAR)",
        "CAST(s AS BINARY)",
    ),
    *("CAST(i AS DECIMAL(30,10))", "CAST(s AS DATE)", "CAST(t AS TIME(3))", "CAST(d AS SIGNED)"),
    *(
        "CAST(i AS UNSIGNED)",
        "JSON_OBJECT('a', i)",
        "JSON_EXTRACT(j, '$.a')",
        "JSON_VALID(j)",
        "e",
        "z",
    ),
    *(
        "INET_ATON('10.0.0.1')",
        "CRC32(s)",
        "RAND(1) < 2",
        "CONVERT(s USING latin1)",
        "'x'",
        "1.50",
        "1e3",
    ),
)


async def test_a_views_columns_are_the_same_in_both_protocols(
    run: Run, text: Source, binary: Source
) -> None:
    run(
        "CREATE TABLE t (i INT, u BIGINT UNSIGNED, d DECIMAL(12,4), f FLOAT, b BIT(9), "
        "s VARCHAR(20), t DATETIME(3), y DATE, h TIME(2), j JSON, e ENUM('a','b'), "
        "z INT(8) ZEROFILL)"
    )
    run(
        "INSERT INTO t VALUES (1, 2, 3.5, 0.1, 5, '2026-02-03', '2026-02-03 04:05:06.789', "
        "'2026-02-03', '-10:00:00.25', '{\"a\": 1}', 'b', 7)"
    )
    run("INSERT INTO t (i) VALUES (NULL)")
    refused = []
    async with text.session(purpose="test") as by_text, binary.session(purpose="test") as by_binary:
        for expression in EXPRESSIONS:
            run(f"CREATE OR REPLACE VIEW a AS SELECT {expression} AS v FROM t")
            try:
                plan = await plan_of(text)
            except DataError:
                refused.append(expression)
                continue
            expected = await read(by_text, plan)
            assert await read(by_binary, plan) == expected, expression
    assert refused in ([], ["NULL"])
