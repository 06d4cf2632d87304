"""Redshift's own functions: values of the vendor's documentation, and where PostgreSQL differs."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

from tests.standin.checks import check
from tests.standin.site import Site


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


VALUES: list[tuple[str, str, Any]] = [
    ("F3", "NVL(NULL, NULL, 3)", 3),
    ("F3", "NVL2(NULL, 'a', 'b') || NVL2(1, 'a', 'b')", "ba"),
    ("F3", "DECODE(2, 1, 'one', 2, 'two')", "two"),
    ("F3", "DECODE(3, 1, 'one', 2, 'two', 'many')", "many"),
    ("F3", "DECODE(3, 1, 'one')", None),
    ("F3", "DECODE(NULL::INT, NULL, 'null', 'other')", "null"),
    ("F3", "DECODE(NVL2(NULL, 1, 2), NVL(NULL, 2), DECODE(1, 1, 'in'), 'no')", "in"),
    ("F4", "DATEADD(month, 18, '2008-02-28')", moment("2009-08-28")),
    ("F4", "DATEADD(mon, 1, '2008-01-31'::DATE)", moment("2008-02-29")),
    ("F4", "DATEADD(m, 30, '2008-02-28 00:00:00')", moment("2008-02-28 00:30")),
    ("F4", "DATEADD('qtr', -1, TIMESTAMP '2020-03-31 10:00')", moment("2019-12-31 10:00")),
    ("F4", "DATEADD(ms, 5, '2008-02-28')", moment("2008-02-28 00:00:00.005")),
    ("F4", "ADD_MONTHS('2008-03-31', 1)", moment("2008-04-30")),
    ("F4", "ADD_MONTHS('2008-04-30', 1)", moment("2008-05-31")),
    ("F4", "ADD_MONTHS('2008-01-15 10:00', -2)", moment("2007-11-15 10:00")),
    ("F5", "DATEDIFF(week, '2009-01-01', '2009-12-31')", 52),
    ("F5", "DATEDIFF(hour, '2023-01-01', '2023-01-03 05:04:03')", 53),
    ("F5", "DATEDIFF(year, '2008-12-31', '2009-01-01')", 1),
    ("F5", "DATEDIFF(hour, '2009-01-01 12:59:00', '2009-01-01 13:01:00')", 1),
    ("F5", "DATEDIFF(qtr, '1998-07-01', '2008-06-05')", 39),
    ("F5", "DATEDIFF(day, '2023-01-04'::DATE, '2024-05-04'::DATE)", 486),
    ("F5", "DATEDIFF(month, '2020-03-01', '2020-02-29 23:59:59')", -1),
    ("F5", "DATEDIFF(dec, '1999-12-31', '2000-01-01')", 1),
    ("F5", "DATEDIFF(min, '20:10:59'::TIME, '20:11:00'::TIME)", 1),
    ("F5", "DATEDIFF(us, '2020-01-01', '2020-01-01 00:00:00.000007')", 7),
    ("F5a", "DATEDIFF(week, '2024-01-06', '2024-01-07')", 0),
    ("F5a", "DATEDIFF(week, '2024-01-07', '2024-01-08')", 1),
    ("F6", "LAST_DAY('2004-02-10')", day("2004-02-29")),
    ("F6", "MONTHS_BETWEEN('1969-01-18', '1969-03-18')", -2.0),
    ("F6", "MONTHS_BETWEEN('2014-08-31', '2014-09-30 12:00')", -1.0),
    ("F6", "MONTHS_BETWEEN('2014-03-16', '2014-02-01') * 62", 92.0),
    ("F6", "NEXT_DAY('2014-08-20', 'Tuesday')", day("2014-08-26")),
    ("F6", "NEXT_DAY('2014-08-26', 'Tu')", day("2014-09-02")),
    ("F6", "TRUNC(TIMESTAMP '2011-07-21 10:32:38.248109')", day("2011-07-21")),
    ("F6", "DATE_TRUNC('month', '2008-09-17'::DATE)", moment("2008-09-01")),
    ("F6", "DATE_PART_YEAR('20220502')", 2022),
    ("F7", "LEN('cat') + LEN('käse  ')", 9),
    ("F7", "CHARINDEX('fish', 'dogfish') * 10 + CHARINDEX('x', 'dogfish')", 40),
    ("F7", "OCTETINDEX('AWS', 'Amazon AWS') * 10 + OCTETINDEX('x', 'y')", 80),
    ("F7", "OCTETINDEX('se', 'käse')", 4),
    ("F7", "UPPER('ä') || LOWER('Ö') || INITCAP('éd ef')", "ÄöÉd Ef"),
    ("F7", "REPLICATE('ab', 3)", "ababab"),
    ("F8", "CONCAT('a', NULL)", None),
    ("F9", "CRC32('Amazon Redshift')", "f2726906"),
    ("F9", "FNV_HASH(1)", -5968735742475085980),
    ("F9", "FNV_HASH('Amazon Redshift')", 7783490368944507294),
    ("F9", "FNV_HASH('Amazon Redshift', FNV_HASH(1))", -2202602717770968555),
    ("F9", "FNV_HASH('cd', FNV_HASH('ab'))", -281581062704388899),
    ("F9", "STRTOL('0xf', 16)", 15),
    ("F9", "STRTOL('abcd1234', 16)", 2882343476),
    ("F9", "STRTOL('1234567', 8)", 342391),
    ("F9", "STRTOL('110101', 2)", 53),
    ("F9", "STRTOL(' -zz', 36)", -1295),
    ("F9", "STRTOL('', 10)", 0),
    ("F9", "SHA2('x', 0) = SHA2('x', 256) AND SHA2('x', 1) = ''", True),
    (
        "F9",
        "SHA2('Amazon Redshift', 256)",
        "15013dc10bc5b293f1f66ea28d818387f191cafeb26f89639fae0b4acf9c8772",
    ),
    ("F9", "TO_HEX(FROM_HEX('6162')::VARBYTE) = '6162'", True),
    ("F10", """JSON_EXTRACT_PATH_TEXT('{"f4":1}', 'f5')""", ""),
    ("F10", """JSON_EXTRACT_PATH_TEXT('{"f4":1', 'f4', TRUE)""", None),
    ("F10", "JSON_EXTRACT_ARRAY_ELEMENT_TEXT('[111,112,113]', 2)", "113"),
    ("F10", "JSON_EXTRACT_ARRAY_ELEMENT_TEXT('[111,112,113]', -1)", ""),
    ("F10", "JSON_ARRAY_LENGTH('[11', TRUE)", None),
    ("F10", """IS_VALID_JSON('{"a":1}') AND NOT IS_VALID_JSON('{a:1}')""", True),
    ("F10", "IS_VALID_JSON_ARRAY('[1]') AND NOT IS_VALID_JSON_ARRAY('{}')", True),
    ("F10", "CAN_JSON_PARSE('[1]') AND NOT CAN_JSON_PARSE('[1')", True),
    (
        "F11",
        """JSON_SERIALIZE(JSON_PARSE('[10001, {"a" : null}, "é"]'))""",
        '[10001,{"a":null},"é"]',
    ),
    ("F13", "CONVERT(INTEGER, '5') + 1", 6),
    ("F13", "CONVERT(VARCHAR(2), 12345) || CONVERT(DECIMAL(3, 1), '1.25')", "121.3"),
    (
        "F14",
        "CONVERT_TIMEZONE('America/New_York', '2013-02-01 08:00:00')",
        moment("2013-02-01 03:00"),
    ),
    (
        "F14",
        "CONVERT_TIMEZONE('Europe/Berlin', 'UTC', '2013-07-01 08:00:00')",
        moment("2013-07-01 06:00"),
    ),
    ("F17", "EXTRACT(year FROM TIMESTAMP '2020-03-04 05:06:07')", 2020),
]


async def _gives(at: Site, expression: str, wanted: Any) -> None:
    for way in (f"SELECT {expression}", f"SELECT {expression} FROM t"):
        await at.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
        ((found,),) = await at.rows(way)
        assert found == wanted
        assert isinstance(found, Decimal) is isinstance(wanted, Decimal)


for _rule in dict.fromkeys(rule for rule, _, _ in VALUES):
    _cases = [(sql, sql, wanted) for rule, sql, wanted in VALUES if rule == _rule]
    check(_rule, _cases)(_gives)

SAME: list[tuple[str, Any]] = [
    ("DEXP(0) + DLOG10(100) + DLOG1(1) + POW(2, 3)", 11.0),
    ("DATE_CMP('2008-01-02', '2008-01-01')", 1),
    ("DATE_TRUNC('qtr', '2008-09-17 10:00')", moment("2008-07-01")),
    ("CONCAT('December 25, ', '2008') || CONCAT(' seats ', 0)", "December 25, 2008 seats 0"),
    ("""JSON_EXTRACT_PATH_TEXT('{"f4":{"f5":99,"f6":"star"}}', 'f4', 'f6')""", "star"),
    ("""JSON_EXTRACT_PATH_TEXT('{"f4":{"f5":99}}', 'f4')""", '{"f5":99}'),
    ("JSON_ARRAY_LENGTH('[11,12,13,[1],14]')", 5),
    ("LEFT('abc', 2) || RIGHT('abc', 1) || SUBSTRING('abcdef', 3, 2)", "abccd"),
    ("TRIM(BOTH 'x' FROM 'xax') || BTRIM('xbx', 'x') || LTRIM(' c') || RTRIM('d ')", "abcd"),
    ("REPLACE('abc', 'b', 'x') || TRANSLATE('abc', 'ab', 'xy') || REVERSE('abc')", "axcxyccba"),
    ("STRPOS('dogfish', 'fish') + POSITION('f' IN 'dogfish')", 8),
    ("LPAD('a', 3, '-') || RPAD('b', 3, '-') || REPEAT('c', 2)", "--ab--cc"),
    ("SPLIT_PART('a$b$c', '$', 2) || CHR(65) || ASCII('A')", "bA65"),
    ("MD5('Amazon Redshift')", "f7415e33f972c03abd4f3fed36748f7a"),
    ("TO_HEX(2147676847)", "8002f2af"),
    ("OCTET_LENGTH('é') + LENGTH('é') + CHARACTER_LENGTH('é')", 4),
    ("ABS(-1) + MOD(7, 4) + SIGN(-2) + CEIL(1.2) + FLOOR(1.8) + ROUND(1.5)", 8),
    ("COALESCE(NULL, 1) + NULLIF(2, 3) + GREATEST(1, NULL, 3) + LEAST(4, 5)", 10),
    ("TO_CHAR(TIMESTAMP '2009-12-31 23:15:59', 'MON-DY-DD-YYYY HH12:MI:SS')",
     "DEC-THU-31-2009 11:15:59"),
    ("TO_DATE('02 Oct 2001', 'DD Mon YYYY')", day("2001-10-02")),
    ("TO_NUMBER('12,454.8-', '99G999D9S')", Decimal("-12454.8")),
    ("DATE_PART('minute', TIMESTAMP '2008-01-01 02:03:04')", 3.0),
    ("TIMEZONE('UTC', TIMESTAMP '2008-01-01') = TIMESTAMPTZ '2008-01-01 00:00+00'", True),
]  # fmt: skip


@check("S23", [(sql, sql, wanted) for sql, wanted in SAME], proves=False)
async def functions_of_both_pass(at: Site, expression: str, wanted: Any) -> None:
    assert await at.rows(f"SELECT {expression}") == [(wanted,)]


@check("S23", proves=False)
async def aggregates_and_windows_of_both_pass(at: Site) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2), (4)")
    sql = (
        "SELECT COUNT(*), SUM(a), MIN(a), MAX(a), BIT_OR(a), BOOL_AND(a > 0), COUNT(DISTINCT a)"
        " FROM t WHERE a IN (1, 2, 4) AND EXISTS (SELECT 1)"
    )
    assert await at.rows(sql) == [(3, 7, 1, 4, 7, True, 3)]
    windows = (
        "SELECT ROW_NUMBER() OVER (ORDER BY a), LAG(a, 1) OVER (ORDER BY a), "
        "RANK() OVER (ORDER BY a), NTILE(1) OVER (ORDER BY a), "
        "SUM(a) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING) FROM t ORDER BY 1"
    )
    rows = [(1, None, 1, 1, 1), (2, 1, 2, 1, 3), (3, 2, 3, 1, 7)]
    assert await at.rows(windows) == rows


@check("F1")
async def getdate_has_whole_seconds(at: Site) -> None:
    found = [await at.rows("SELECT GETDATE()") for _ in range(3)]
    assert {value.microsecond for ((value,),) in found} == {0}


@check("F1", proves=False)
async def getdate_is_the_statements_start_in_utc(at: Site) -> None:
    await at.run("SET timezone TO 'Asia/Tokyo'", "BEGIN")
    ((first,),) = await at.rows("SELECT GETDATE()")
    await asyncio.sleep(1.1)
    ((second,),) = await at.rows("SELECT GETDATE()")
    assert second > first
    ((now,),) = await at.rows("SELECT CURRENT_TIMESTAMP AT TIME ZONE 'UTC'")
    assert abs(now - first) < dt.timedelta(seconds=5)


@check("F2")
async def sysdate_is_the_transactions_start(at: Site) -> None:
    await at.run("BEGIN")
    first = await at.rows("SELECT SYSDATE")
    await asyncio.sleep(0.02)
    assert await at.rows("SELECT SYSDATE") == first
    ((value,),) = first
    assert value.tzinfo is None


@check("F9", [
    ("a digit too large", "STRTOL('9', 8)", "The input 9 is not valid to be converted to base 8"),
    ("a base too large", "STRTOL('9', 37)", "The base for strtol must be between 2 and 36"),
    ("too large", "STRTOL('ffffffffffffffff', 16)", "The input ffffffffffffffff is outside"),
], proves=False, only_here="the texts are the stand-in's")  # fmt: skip
async def strtol_refuses(at: Site, expression: str, message: str) -> None:
    assert (await at.fails(f"SELECT {expression}")).message.startswith(message)


@check("F10")
async def what_is_no_json_fails(at: Site) -> None:
    error = await at.fails("SELECT JSON_EXTRACT_PATH_TEXT('{', 'a')")
    assert (error.sqlstate, error.message) == ("XX000", "JSON parsing error")


@check("F11", only_here="the text is an assumption")
async def json_parse_refuses_what_is_none(at: Site) -> None:
    error = await at.fails("SELECT JSON_PARSE('{')")
    assert (error.sqlstate, error.message) == ("XX000", "JSON parsing error")


@check("F12", [
    ("ordered", "LISTAGG(b, '-') WITHIN GROUP (ORDER BY a DESC)", "z-y-x"),
    ("a number", "LISTAGG(a, ', ') WITHIN GROUP (ORDER BY a)", "1, 2, 3, 4, 5"),
    ("no delimiter", "LISTAGG(NVL(b, 'n')) WITHIN GROUP (ORDER BY a)", "xynz"),
    ("nothing", "LISTAGG(NULLIF(a, a), ',')", None),
])  # fmt: skip
async def listagg_joins(at: Site, expression: str, wanted: Any) -> None:
    await at.run("CREATE TABLE t (a INT, b VARCHAR(9))")
    await at.run("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL), (4, ''), (5, 'z')")
    assert await at.rows(f"SELECT {expression} FROM t") == [(wanted,)]


@check("F12")
async def listagg_ends_at_65535_bytes(at: Site) -> None:
    await at.run("CREATE TABLE t (a VARCHAR(40000))")
    await at.run("INSERT INTO t VALUES (REPEAT('x', 33000)), (REPEAT('y', 33000))")
    error = await at.fails("SELECT LISTAGG(a, ',') FROM t")
    assert error.message == "Result size exceeds LISTAGG limit"


@check("F13", [
    ("TOP", "SELECT TOP 2 a FROM t ORDER BY a", [(1,), (2,)]),
    ("DISTINCT TOP", "SELECT DISTINCT TOP 1 a FROM t ORDER BY a DESC", [(3,)]),
    ("TOP of a query", "SELECT a FROM (SELECT TOP 1 a FROM t ORDER BY a) AS x", [(1,)]),
    ("MINUS", "SELECT a FROM t MINUS SELECT 2 ORDER BY a", [(1,), (3,)]),
])  # fmt: skip
async def queries_in_redshifts_words(at: Site, sql: str, rows: list[tuple[int]]) -> None:
    await at.run("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2), (3), (2)")
    assert await at.rows(sql) == rows


@check("F15")
async def version_is_that_of_redshift(at: Site) -> None:
    ((found,),) = await at.rows("SELECT VERSION()")
    assert found.startswith("PostgreSQL 8.0.2 on ")
    assert "Redshift 1.0." in found


@check("F16", [("INT", "INT"), ("SMALLINT", "SMALLINT"), ("BIGINT", "BIGINT")])
async def an_average_of_integers_is_one(at: Site, kind: str) -> None:
    await at.run(f"CREATE TABLE t (a {kind})", "INSERT INTO t VALUES (1), (2), (NULL), (2)")
    assert await at.rows("SELECT AVG(a), AVG(DISTINCT a) FROM t") == [(1, 1)]
    ((found,),) = await at.rows("SELECT AVG(a) FROM t")
    assert isinstance(found, int)


@check("F16", proves=False)
async def an_average_of_others_is_exact(at: Site) -> None:
    await at.run("CREATE TABLE t (a DECIMAL(9, 2), b FLOAT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    assert await at.rows("SELECT AVG(a), AVG(b) FROM t") == [(Decimal("1.5"), 1.5)]
    assert await at.rows("SELECT AVG(a) FROM t WHERE a > 5") == [(None,)]
