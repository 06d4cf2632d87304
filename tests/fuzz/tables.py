"""The tables whose rows are attacked: what a server described them as, and a row of each.

All of it was captured from a real server (`capture`) and lies in `tables.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3rs_async.model import TableName
from s3rs_async.mysql.field import Field
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import Rule, rule

PATH = Path(__file__).parent / "tables.json"
CORPUS = Path(__file__).parent / "corpus"

# Few columns each, so that an execution is cheap and a byte of the input means much.
COLUMNS = (
    ("TINYINT", "INT UNSIGNED", "BIGINT UNSIGNED"),
    ("DECIMAL(18,6)", "DECIMAL(65,30)", "DOUBLE"),
    ("FLOAT", "DOUBLE(12,3) ZEROFILL", "YEAR"),
    ("DATE", "DATETIME(6)"),
    ("TIMESTAMP(3) NULL", "DATETIME"),
    ("TIME(6)", "TIME"),
    ("VARCHAR(20)", "LONGTEXT"),
    ("VARBINARY(20)", "BIT(1)", "BIT(64)"),
    ("ENUM('a','','ü')", "SET('a','b')", "JSON"),
)
VALUES = (
    ("-128", "4294967295", "18446744073709551615"),
    ("'-12.5'", "'1e-30'", "5e-324"),
    ("16777217", "12.5", "1999"),
    ("'2026-02-28'", "'9999-12-31 23:59:59.999999'"),
    ("'2038-01-19 03:14:07.999'", "'0000-00-00'"),
    ("'-838:59:58.000001'", "'00:00:00'"),
    ("'ü🙂'", "REPEAT('x', 300)"),
    ("x'00ff'", "b'1'", "18446744073709551615"),
    ("'ü'", "'a,b'", "'{\"a\": [1, null]}'"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """How its rows are read in both protocols, and the body of one of them in each."""

    rules: tuple[Rule, ...]
    text: tuple[Field, ...]
    binary: tuple[Field, ...]
    text_row: bytes
    binary_row: bytes


def load() -> list[Table]:
    """All of them, in the order of `COLUMNS`."""
    return [_table(each) for each in json.loads(PATH.read_text())]


def _table(told: dict[str, Any]) -> Table:
    name = TableName("s", "t")
    return Table(
        rules=tuple(rule(name, SourceColumn(**facts)) for facts in told["columns"]),
        text=tuple(Field(**field) for field in told["text"]),
        binary=tuple(Field(**field) for field in told["binary"]),
        text_row=bytes.fromhex(told["text_row"]),
        binary_row=bytes.fromhex(told["binary_row"]),
    )
