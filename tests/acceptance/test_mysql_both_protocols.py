"""Both protocols of a real server: one table, read by each, is the same batch and positions.

Every type that is read, with made-up rows, their extremes and what no calendar has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from s3rs_async.errors import DataError
from s3rs_async.mysql import sql
from s3rs_async.mysql.binary import BinaryDecoder
from s3rs_async.mysql.connection import Session, Source
from s3rs_async.mysql.decode import TextDecoder
from s3rs_async.mysql.protocol import Protocol
from s3rs_async.mysql.sql import Page
from s3rs_async.mysql.wire import Packets
from tests.acceptance.source import Run, application, configured, plan_of

if TYPE_CHECKING:
    from s3rs_async.sandbox.mariadb import MySQL


@pytest.fixture
def run(server: MySQL, home: str) -> Iterator[Run]:
    with application(server, home, "'+00:00'") as run:
        yield run


@pytest.fixture
def text(server: MySQL, home: str) -> Source:
    return Source(home, configured(server, protocol="text"))


@pytest.fixture
def binary(server: MySQL, home: str) -> Source:
    return Source(home, configured(server, protocol="binary"))


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
        sum((Counter(decoded.changed) for decoded in found), Counter()),
        [decoder.last(row) for packets in pieces for row in each(packets)],
    )


async def test_floats_are_spelled_as_the_server_spells_them(
    run: Run, text: Source, binary: Source
) -> None:
    digits = ("1", "9.5", "1.2345678901234567", "9.999999999999999")
    numbers = [
        float(f"{sign}{d}e{p}") for sign in ("", "-") for d in digits for p in range(-20, 25)
    ]
    run("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, d DOUBLE, f FLOAT, m DOUBLE(20,3))")
    run(f"INSERT INTO a (d, f, m) VALUES {', '.join(f'({n!r},{n!r},{n!r})' for n in numbers)}")
    fixed = ", ".join(f"({n} / 1000 + {n} DIV 7 * 100)" for n in range(1, 5001))
    run(f"INSERT INTO a (m) VALUES {fixed}")
    run("INSERT INTO a (d, f) VALUES (5e-324, 1e-38), (1.7976931348623157e308, 3.4e38)")
    run("INSERT INTO a (d, f, m) VALUES (-0e0, -0e0, -0e0), (0, 0, 0), (-1e-300, -1e-30, -0.0004)")
    plan = await plan_of(text)
    async with text.session(purpose="test") as by_text, binary.session(purpose="test") as by_binary:
        expected, found = await read(by_text, plan), await read(by_binary, plan)
    assert found[3] == expected[3]
    assert found[1].equals(expected[1])
    assert len(found[3]) == len(numbers) + 5005


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
