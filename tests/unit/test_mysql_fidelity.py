"""What becomes of a column's values is told as the type map and the policies have it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from s3rs_async.model import (
    BigintUnsigned,
    Dates,
    LongText,
    NulBytes,
    Policies,
    TableName,
    TinyInt1,
)
from s3rs_async.mysql.fidelity import Faith, fidelity
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import rule

NAME = TableName("shop", "orders")
TEXT = {"charset": "utf8mb4", "characters": 9, "octets": 36}
LONG = {"charset": "utf8mb4", "characters": 2**32 - 1, "octets": 2**32 - 1}
PLAIN = Policies()

CASES = {
    "a number": ("int", "int", {}, PLAIN, Faith.EXACT, ""),
    "a decimal": ("decimal", "decimal(9,2)", {"precision": 9, "scale": 2}, PLAIN, Faith.EXACT, ""),
    "a wide decimal": ("decimal", "decimal(60,2)", {"precision": 60, "scale": 2}, PLAIN,
                       Faith.FORM, "38 digits"),
    "a moment": ("datetime", "datetime", {}, PLAIN, Faith.CHANGED, "dates: null"),
    "a stamp": ("timestamp", "timestamp", {}, replace(PLAIN, dates=Dates.FAIL), Faith.REFUSED,
                "in UTC; .*dates: fail"),
    "a date as text": ("date", "date", {}, replace(PLAIN, dates=Dates.TEXT), Faith.FORM,
                       "dates: text"),
    "a span": ("time", "time(3)", {"fraction": 3}, PLAIN, Faith.FORM, "microseconds"),
    "a short text": ("varchar", "varchar(9)", TEXT, PLAIN, Faith.REFUSED, "^a NUL character ends"),
    "a stripped text": ("varchar", "varchar(9)", TEXT, replace(PLAIN, nul_bytes=NulBytes.STRIP),
                        Faith.CHANGED, "nul_bytes: strip"),
    "a long text": ("longtext", "longtext", LONG, PLAIN, Faith.REFUSED,
                    "more than 65,535 bytes end the run"),
    "a cut text": ("longtext", "longtext", LONG, replace(PLAIN, long_text=LongText.TRUNCATE),
                   Faith.CHANGED, "told in c__truncated"),
    "a text or NULL": ("longtext", "longtext", LONG, replace(PLAIN, long_text=LongText.NULL),
                       Faith.CHANGED, "become NULL"),
    "bytes": ("varbinary", "varbinary(9)", {"octets": 9}, PLAIN, Faith.FORM, "hexadecimal"),
    "a point": ("point", "point", {}, PLAIN, Faith.FORM, "EWKB"),
    "an enumeration": ("enum", "enum('a')", TEXT, PLAIN, Faith.FORM, "shows ENUM$"),
    "a great number": ("bigint", "bigint unsigned", {}, PLAIN, Faith.EXACT, ""),
    "a great number that must fit": (
        "bigint", "bigint unsigned", {},
        replace(PLAIN, bigint_unsigned=BigintUnsigned.BIGINT), Faith.REFUSED, "bigint_unsigned"),
    "a truth": ("tinyint", "tinyint(1)", {}, replace(PLAIN, tinyint1=TinyInt1.BOOL),
                Faith.REFUSED, "any but 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_columns_fidelity_names_what_may_be_lost_and_the_policy(case: str) -> None:
    kind, column_type, facts, policies, faith, words = CASES[case]
    column = SourceColumn("c", kind, column_type, nullable=True, **facts)
    found = fidelity(column, rule(NAME, column, policies))
    assert (found.column, found.faith) == ("c", faith)
    told = "; ".join(found.notes)
    if not words:
        assert not told
    assert re.search(words, told), told
