"""Every type of MySQL, with its extremes and NULL, read back from Redshift by another driver.

Twice: by the comparison of both tables, and against values that are written here by hand, so that
the comparison itself is not the only judge.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance import ledger
from tests.acceptance.compare import assert_equal, mysql, redshift
from tests.acceptance.ledger import Place
from tests.acceptance.running import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3rs_async.sandbox import Box

HOUR = 3_600_000_000
SPAN = 838 * HOUR + 59 * 60_000_000 + 59_000_000
WIDE = "9" * 35 + "." + "9" * 30
SMALL = struct.unpack("f", struct.pack("f", 0.1))[0]
LARGE = struct.unpack("f", struct.pack("f", 3.4e38))[0]

# MySQL type, Redshift type, then (a literal of MySQL, the value that Redshift must give back) pairs
TYPES: tuple[tuple[str, str, tuple[tuple[str, Any], ...]], ...] = (
    ("TINYINT", "smallint", (("-128", -128), ("127", 127), ("0", 0))),
    ("TINYINT UNSIGNED", "smallint", (("0", 0), ("255", 255))),
    ("TINYINT(1)", "smallint", (("0", 0), ("5", 5), ("-1", -1))),
    ("BOOLEAN", "smallint", (("TRUE", 1), ("FALSE", 0))),
    ("SMALLINT", "smallint", (("-32768", -32768), ("32767", 32767))),
    ("SMALLINT UNSIGNED", "integer", (("65535", 65535),)),
    ("MEDIUMINT", "integer", (("-8388608", -8388608), ("8388607", 8388607))),
    ("MEDIUMINT UNSIGNED", "integer", (("16777215", 16777215),)),
    ("INT", "integer", (("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    ("INT UNSIGNED", "bigint", (("4294967295", 2**32 - 1),)),
    ("INT(7) ZEROFILL", "bigint", (("42", 42),)),
    ("BIGINT", "bigint", (("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    ("BIGINT UNSIGNED", "numeric(20,0)", (("18446744073709551615", Decimal(2**64 - 1)),)),
    ("DECIMAL(15,4)", "numeric(15,4)", (("-99999999999.9999", Decimal("-99999999999.9999")),)),
    ("DECIMAL(10,0)", "numeric(10,0)", (("-1", Decimal(-1)), ("9999999999", Decimal(9999999999)))),
    ("DECIMAL(38,0)", "numeric(38,0)", (("9" * 38, Decimal("9" * 38)), ("-1", Decimal(-1)))),
    ("DECIMAL(38,30)", "numeric(38,30)", (("-1e-30", Decimal("-1e-30")),)),
    (
        "DECIMAL(65,30)",
        "character varying(68)",
        (
            (WIDE, WIDE),
            (f"-{WIDE}", f"-{WIDE}"),
            ("-0.5", "-0.5" + "0" * 29),
            ("0", "0." + "0" * 30),
        ),
    ),
    ("FLOAT", "real", (("0.1", SMALL), ("-3.4e38", -LARGE), ("16777216", 16777216.0))),
    (
        "DOUBLE",
        "double precision",
        (("0.1", 0.1), ("-1.7976931348623157e308", -1.7976931348623157e308), ("5e-324", 5e-324)),
    ),
    (
        "DATE",
        "date",
        (
            ("'1000-01-01'", dt.date(1000, 1, 1)),
            ("'9999-12-31'", dt.date(9999, 12, 31)),
            ("'2024-02-29'", dt.date(2024, 2, 29)),
        ),
    ),
    (
        "DATETIME",
        "timestamp without time zone",
        (
            ("'1000-01-01'", dt.datetime(1000, 1, 1)),
            ("'9999-12-31 23:59:59'", dt.datetime(9999, 12, 31, 23, 59, 59)),
        ),
    ),
    *(
        (
            f"DATETIME({digits})",
            "timestamp without time zone",
            (
                (
                    f"'2024-03-31 02:30:00.{'123456'[:digits]}'",
                    dt.datetime(2024, 3, 31, 2, 30, 0, int("123456"[:digits].ljust(6, "0"))),
                ),
            ),
        )
        for digits in range(1, 7)
    ),
    (
        "TIMESTAMP NULL",
        "timestamp without time zone",
        (
            ("'1970-01-01 00:00:01'", dt.datetime(1970, 1, 1, 0, 0, 1)),
            ("'2038-01-19 03:14:07'", dt.datetime(2038, 1, 19, 3, 14, 7)),
        ),
    ),
    (
        "TIMESTAMP(6) NULL",
        "timestamp without time zone",
        (("'2024-10-27 01:30:00.999999'", dt.datetime(2024, 10, 27, 1, 30, 0, 999999)),),
    ),
    ("TIME", "bigint", (("'-838:59:59'", -SPAN), ("'838:59:59'", SPAN), ("'00:00:00'", 0))),
    (
        "TIME(6)",
        "bigint",
        (("'-00:00:00.000001'", -1), ("'100:15:30.250000'", 100 * HOUR + 930_250_000)),
    ),
    ("YEAR", "smallint", (("1901", 1901), ("2155", 2155), ("0", 0))),
    ("CHAR(8)", "character varying(32)", (("'a  '", "a"), ("'𐐷🙂'", "𐐷🙂"), ("''", ""))),
    (
        "VARCHAR(80)",
        "character varying(320)",
        (
            ("'a  '", "a  "),
            ("'O''Brien \\\\ \"q\" \\n\\t,|'", 'O\'Brien \\ "q" \n\t,|'),
            ("REPEAT('🙂', 80)", "🙂" * 80),
            ("''", ""),
            ("'NULL'", "NULL"),
            ("'\\\\N'", "\\N"),
        ),
    ),
    ("VARCHAR(20) CHARACTER SET latin1", "character varying(80)", (("'Zoë'", "Zoë"),)),
    ("TINYTEXT", "character varying(1020)", (("'x'", "x"), ("REPEAT('é', 127)", "é" * 127))),
    ("TEXT", "character varying(65535)", (("REPEAT('a', 65535)", "a" * 65535), ("''", ""))),
    ("MEDIUMTEXT", "character varying(65535)", (("REPEAT('田', 21845)", "田" * 21845),)),
    ("LONGTEXT", "character varying(65535)", (("'long'", "long"),)),
    (
        "ENUM('new','on way','zurück','失敗','')",
        "character varying(24)",
        (("'失敗'", "失敗"), ("'on way'", "on way"), ("''", "")),
    ),
    (
        "SET('fragile','cold','heavy')",
        "character varying(72)",
        (("'cold,fragile'", "fragile,cold"), ("''", "")),
    ),
    ("BINARY(4)", "character varying(8)", (("x'00ff'", "00ff0000"),)),
    ("VARBINARY(40)", "character varying(80)", (("x''", ""), ("x'0027005c'", "0027005c"))),
    ("TINYBLOB", "character varying(510)", (("x'deadbeef'", "deadbeef"),)),
    ("BLOB", "character varying(65535)", (("REPEAT(x'00', 32767)", "00" * 32767),)),
    ("BIT(1)", "boolean", (("b'0'", False), ("b'1'", True))),
    ("BIT(10)", "bigint", (("b'0'", 0), ("b'1111111111'", 1023))),
    ("BIT(63)", "bigint", ((f"{2**63 - 1}", 2**63 - 1),)),
    ("BIT(64)", "numeric(20,0)", ((f"{2**64 - 1}", Decimal(2**64 - 1)), ("0", Decimal(0)))),
)


@pytest.fixture(scope="module")
def commands(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("types")
    commands = Commands(folder, {**box.environment, "XDG_CACHE_HOME": str(folder)})
    yield commands
    commands.stop()


@pytest.fixture
def home(box: Box, database: str) -> Iterator[str]:
    yield database
    redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


@pytest.mark.parametrize("way", ["merged", "whole"])
def test_every_type_arrives_as_the_value_it_was(
    way: str, box: Box, commands: Commands, home: str
) -> None:
    table = f"{home}.{way}"
    stamp = "u TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(TYPES))
    mysql(
        box.mysql.url,
        f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns}"
        f"{f', {stamp}, KEY (u)' if way == 'merged' else ''}) CHARSET=utf8mb4",
    )
    expected = _filled(box, table)
    commands.sync("-t", table)
    assert_equal(box, table, key=("id",))
    ledger.check(Place(box, table))
    _assert_types(box, table)
    names = ", ".join(f"c{n}" for n in range(len(TYPES)))
    for key, *row in redshift(box.redshift.url, f"SELECT id, {names} FROM {table} ORDER BY id"):
        for (kind, _, _), found, wanted in zip(TYPES, row, expected[key], strict=True):
            assert (type(found), found) == (type(wanted), wanted), (kind, key)
    mysql(box.mysql.url, f"UPDATE {table} SET c8 = 7 WHERE id > 1")
    commands.sync("-t", table)
    assert_equal(box, table, key=("id",), why="after an update of all rows with values")


def _filled(box: Box, table: str) -> dict[int, list[Any]]:
    """One row of NULLs, and as many as the type with the most values has; the rest is NULL."""
    most = max(len(values) for _, _, values in TYPES)
    names = ", ".join(f"c{n}" for n in range(len(TYPES)))
    into = f"INSERT INTO {table} (id, {names})"
    expected = {}
    for key in range(most + 1):
        row = [values[key] if key < len(values) else ("NULL", None) for _, _, values in TYPES]
        literals = ", ".join(text for text, _ in row)
        mysql(box.mysql.url, f"{into} VALUES ({key}, {literals})")
        expected[key] = [value for _, value in row]
    assert set(expected[most]) == {None}
    return expected


def _assert_types(box: Box, table: str) -> None:
    schema, _, name = table.partition(".")
    found = dict(
        redshift(
            box.redshift.url,
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            f" WHERE n.nspname = '{schema}' AND c.relname = '{name}' AND a.attnum > 0",
        )
    )
    assert {kind: found[f"c{n}"] for n, (kind, _, _) in enumerate(TYPES)} == {
        kind: target for kind, target, _ in TYPES
    }


def test_json_keeps_its_text(box: Box, commands: Commands, home: str) -> None:
    mysql(box.mysql.url, f"CREATE TABLE {home}.a (id INT PRIMARY KEY, v JSON) CHARSET=utf8mb4")
    document = {"text": 'ß 🙂 " \\ \n', "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
    text = json.dumps(document, ensure_ascii=False).replace("\\", "\\\\").replace("'", "''")
    mysql(box.mysql.url, f"INSERT INTO {home}.a VALUES (1, '{text}'), (2, NULL), (3, 'null')")
    commands.sync("-t", f"{home}.a")
    assert_equal(box, f"{home}.a")
    found = dict(redshift(box.redshift.url, f"SELECT id, v FROM {home}.a"))
    assert json.loads(found[1]) == document
    assert (found[2], found[3]) == (None, "null")


def test_dates_that_no_calendar_has_become_null_and_are_counted(
    box: Box, commands: Commands, home: str
) -> None:
    table = f"{home}.a"
    mysql(
        box.mysql.url,
        f"CREATE TABLE {table}"
        " (id INT PRIMARY KEY, d DATE NOT NULL, t DATETIME(3), s TIMESTAMP NULL)",
    )
    zero = "SET sql_mode = 'ALLOW_INVALID_DATES'"
    mysql(
        box.mysql.url,
        f"INSERT INTO {table} VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00'),"
        " (2, '2023-02-31', '2023-02-00 10:00:00', NULL),"
        " (3, '2023-02-28', '2023-02-28 10:00:00.125', '2023-02-28 10:00:00')",
        script=(zero,),
    )
    call = commands.sync("-t", table)
    assert call.results[table]["values_nulled"] == {"d": 2, "t": 2, "s": 1}
    assert redshift(box.redshift.url, f"SELECT * FROM {table} ORDER BY id") == [
        (1, None, None, None),
        (2, None, None, None),
        (
            3,
            dt.date(2023, 2, 28),
            dt.datetime(2023, 2, 28, 10, 0, 0, 125_000),
            dt.datetime(2023, 2, 28, 10),
        ),
    ]
    ledger.check(Place(box, table))
