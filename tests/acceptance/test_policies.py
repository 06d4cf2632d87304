"""The policies, from a pipeline's YAML to the rows of the target, in both protocols."""

from __future__ import annotations

import datetime as dt
import json
import struct
from typing import Any

import pytest

from tests.acceptance.cli import Cli, cli

__all__ = ["cli"]

MOST = 65_535
ANY_DATE = "SET sql_mode = 'ALLOW_INVALID_DATES'"
POINT = "0101000000" + struct.pack("<dd", 1.5, -2).hex()
PLACED = "0101000020e6100000" + struct.pack("<dd", 1.5, -2).hex()
COLUMNS = (
    "id BINARY(2) PRIMARY KEY",
    "d DATE NOT NULL",
    "t DATETIME(3)",
    "s TIMESTAMP NULL",
    "day DATE NOT NULL",
    "body LONGTEXT",
    "doc JSON NOT NULL",
    "line VARCHAR(9)",
    "raw LONGBLOB",
    "yes BOOLEAN",
    "big BIGINT UNSIGNED",
    "shape GEOMETRY",
    "twice INT AS (big * 2) VIRTUAL",
    "hidden INT INVISIBLE DEFAULT 7",
)
ASKED = {
    "dates": "text",
    "long_text": "truncate",
    "nul_bytes": "strip",
    "binary": "varbyte",
    "tinyint1": "bool",
    "bigint_unsigned": "bigint",
    "columns": {"day": {"dates": "null"}, "doc": {"long_text": None}},
}
NAMES = (
    "d, t, s, day, length(body), body__truncated, doc, line, to_hex(raw),"
    " yes, big, shape, twice, hidden"
)


def synced(cli: Cli, tables: dict[str, Any], protocol: str = "auto") -> dict[str, Any]:
    """The report's entries of a pass over these tables, which comes through."""
    config = cli.pipeline(tables, {"sources.mysql.protocol": protocol})
    told = cli.run("sync", "-p", "shop", "--json-output", config=config).does()
    found = json.loads(told.out)["table_results"]
    return {name: found[f"{cli.database}.{name}"] for name in tables}


@pytest.mark.parametrize("protocol", ["text", "binary"])
def test_each_policy_gives_what_it_says(cli: Cli, protocol: str) -> None:
    values = "'a', '2024-02-29', '2024-02-29 10:00:00.125', '2024-02-29 10:00:00', '2024-02-29'"
    zeros = "'b', '0000-00-00', '2023-02-31', '0000-00-00', '2023-02-31'"
    cli.mysql(
        ANY_DATE,
        f"CREATE TABLE a ({', '.join(COLUMNS)}) CHARSET=utf8mb4",
        "INSERT INTO a (id, d, t, s, day, body, doc, line, to_hex(raw), yes, big, shape) VALUES"
        f" ({values}, 'short', '[1]', 'plain', x'00ff', 1, 4, ST_GeomFromText('POINT(1.5 -2)')),"
        f" ({zeros}, CONCAT('a', REPEAT('漢', 21845)), CONCAT('\"', REPEAT('x', {MOST}), '\"'),"
        "  'a\\0b\\0', x'', 0, 0, ST_GeomFromText('POINT(1.5 -2)', 4326)),"
        " ('c', '0001-01-01', NULL, NULL, '0001-01-01', NULL, 'null'"
        f"{', NULL' * 5})",
    )

    told = synced(cli, {"a": ASKED}, protocol)["a"]

    assert told["values_nulled"] == {"day": 1, "doc": 1}
    assert told["values_truncated"] == {"body": 1}
    assert told["values_stripped"] == {"line": 1}
    first, second, third = cli.redshift(f"SELECT {NAMES} FROM {cli.schema}.a ORDER BY id")
    day = ("2024-02-29", "2024-02-29 10:00:00.125", "2024-02-29 10:00:00", dt.date(2024, 2, 29))
    plain = (5, False, "[1]", "plain", "00ff", True, 4, POINT, 8, 7)
    assert first == (*day, *plain)
    zero = ("0000-00-00", "2023-02-31 00:00:00.000", "0000-00-00 00:00:00", None)
    cut = (1 + 21_844, True)  # characters of three bytes behind one of one
    assert second == (*zero, *cut, None, "ab", "", False, 0, PLACED, 0, 7)
    nothing = (None, None, None, None, None, None, 7)
    assert third == ("0001-01-01", None, None, dt.date(1, 1, 1), None, False, "null", *nothing)
    cli.mysql("UPDATE a SET yes = 0, raw = x'01' WHERE id = 'a'")
    synced(cli, {"a": ASKED}, protocol)
    again = cli.redshift(f"SELECT yes, to_hex(raw) FROM {cli.schema}.a ORDER BY id LIMIT 1")
    assert again == [(False, "01")]


FORBIDDEN = {
    "dates": ("DATE", "'2023-02-31'", {"dates": "fail"}, "no calendar has"),
    "truths": ("TINYINT(1)", "5", {"tinyint1": "bool"}, "neither 0 nor 1"),
    "longs": (
        "BIGINT UNSIGNED",
        f"{2**63}",
        {"bigint_unsigned": "bigint"},
        "above 9223372036854775807",
    ),
    "texts": ("LONGTEXT", f"REPEAT('a', {MOST + 1})", {}, f"a text of {MOST + 1} bytes"),
    "nuls": ("VARCHAR(9)", "'a\\0'", {}, "a NUL character in a text"),
    "bytes": ("BLOB", "REPEAT('a', 32768)", {"columns": {"id": {}}}, "a text of 65536 bytes"),
}


def test_what_a_policy_forbids_is_told_by_its_key_before_anything_is_loaded(cli: Cli) -> None:
    for name, (kind, value, _, _) in FORBIDDEN.items():
        cli.mysql(
            ANY_DATE,
            f"CREATE TABLE {name} (id INT, part CHAR(2), v {kind}, PRIMARY KEY (id, part))",
            f"INSERT INTO {name} VALUES (1, 'ok', NULL), (2, 'no', {value})",
        )
    config = cli.pipeline({name: asked for name, (_, _, asked, _) in FORBIDDEN.items()})

    ended = cli.run("sync", "-p", "shop", config=config)

    assert ended.code == 3, ended.err
    told = {line["table"]: line["error"] for line in ended.logs if "error" in line}
    for name, (_, _, _, what) in FORBIDDEN.items():
        error = told[f"{cli.database}.{name}"]
        assert error.startswith(what), error
        assert "column=v, " in error, error
        assert error.endswith("row=id=2 part=no)"), error
    held = [cli.redshift(f"SELECT count(*) FROM {cli.schema}.{name}") for name in cli.tables()]
    assert all(rows == [(0,)] for rows in held)


def test_another_policy_for_a_table_that_is_there_is_told_as_columns_that_differ(cli: Cli) -> None:
    cli.mysql(
        "CREATE TABLE a (id INT PRIMARY KEY, d DATE, body LONGTEXT)",
        "INSERT INTO a VALUES (1, '2024-02-29', 'text')",
    )
    synced(cli, {"a": {}})

    dates = cli.run("sync", "-p", "shop", config=cli.pipeline({"a": {"dates": "text"}}))
    flagged = cli.pipeline({"a": {"long_text": "truncate"}})
    ended = cli.run("sync", "-p", "shop", config=flagged)

    dates.fails(3, "no longer have the same columns", "d: DATE in the target, VARCHAR(10) needed")
    ended.fails(3, "no longer have the same columns", "body__truncated BOOLEAN: not in the target")
    cli.redshift(ended.lines[1].removeprefix("Hint: run "))
    cli.run("sync", "-p", "shop", config=flagged).does()
    held = cli.redshift(f"SELECT id, body, body__truncated FROM {cli.schema}.a")
    assert held == [(1, "text", False)]
