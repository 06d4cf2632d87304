"""The statements: they parse, they mean what they should, and nothing breaks out of a literal."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.errors import DataError
from s3rs_async.model import TableName
from s3rs_async.mysql import sql
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.mysql.types import Literal, Rule, rule

NAME = TableName("shop", "or`ders")


def of(name: str, kind: str, **facts: int | str) -> Rule:
    return rule(
        NAME, SourceColumn(name, kind, str(facts.pop("full", kind)), nullable=False, **facts)
    )  # type: ignore[arg-type]


STAMP = of("t", "datetime", fraction=3)
TEXT = of("na`me", "varchar", characters=9)
RAW = of("raw", "binary", octets=4)
NUMBER = of("id", "bigint")
ENUM = of("e", "enum", characters=3)
FLOAT = of("f", "float")
ORDER = (STAMP, TEXT, RAW, NUMBER)
AFTER = ("2026-01-01 00:00:00.000", "o'br\\ien", "00ff", "-5")

PAGES = [
    sql.Page(NAME, ORDER),
    sql.Page(NAME, ORDER, order=(NUMBER,), after=("5",), limit=10),
    sql.Page(NAME, ORDER, order=ORDER, after=AFTER, below=AFTER[0], limit=10),
    sql.Page(NAME, ORDER, order=ORDER, start=AFTER[0], limit=10),
    sql.Page(NAME, ORDER, order=ORDER, nulls=(STAMP, False), limit=10),
    sql.Page(NAME, ORDER, order=(NUMBER,), nulls=(STAMP, True), after=("5",), top="9", limit=1),
    sql.Page(NAME, ORDER, order=(NUMBER,), after=("5",), limit=10, index="by`time"),
    sql.Page(NAME, (ENUM, FLOAT), order=(ENUM, NUMBER), after=("a", "1"), limit=1),
    sql.Page(NAME, ORDER, order=(NUMBER,), after=("5",), top="9", limit=1, where="a = 1 OR b"),
    sql.Page(NAME, ORDER, where="a = 1"),
    sql.Page(NAME, ORDER, order=ORDER, after=AFTER, upto=AFTER, below=AFTER[0]),
    sql.Page(NAME, ORDER, order=ORDER, among=(AFTER, AFTER), after=AFTER, limit=9),
    sql.Page(NAME, ORDER, order=(NUMBER,), start="5", behind=sql.Mark(ORDER, AFTER, True)),
]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_parses_as_one_select(page: sql.Page) -> None:
    (statement,) = sqlglot.parse(sql.page(page), dialect="mysql")
    assert isinstance(statement, sqlglot.exp.Select)


def test_every_other_statement_parses() -> None:
    for text in (
        sql.edge(PAGES[2], 500),
        sql.greatest(NAME, "t"),
        sql.TRANSACTIONS,
        sql.wall_clocks([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)]),
        sql.table_facts(NAME),
        sql.table_names("sh'op"),
        sql.column_facts(NAME),
        sql.index_facts(NAME),
    ):
        (statement,) = sqlglot.parse(text, dialect="mysql")
        assert isinstance(statement, sqlglot.exp.Select)


def test_a_page_is_the_expanded_or_form() -> None:
    text = sql.page(
        sql.Page(NAME, (NUMBER,), order=(STAMP, NUMBER), after=(AFTER[0], "7"), limit=5)
    )
    assert text == (
        "SELECT `id` FROM `shop`.`or``ders` WHERE ((`t` > '2026-01-01 00:00:00.000') OR "
        "(`t` = '2026-01-01 00:00:00.000' AND `id` > 7)) ORDER BY `t`, `id` LIMIT 5"
    )


def test_rows_among_keys_have_one_of_them_in_all_its_columns() -> None:
    keys = (("2026-01-01 00:00:00.000", "7"), ("2026-01-02 00:00:00.000", "8"))
    text = sql.page(sql.Page(NAME, (NUMBER,), order=(STAMP, NUMBER), among=keys))
    assert text.split(" WHERE ")[1] == (
        "((`t` = '2026-01-01 00:00:00.000' AND `id` = 7) OR "
        "(`t` = '2026-01-02 00:00:00.000' AND `id` = 8)) ORDER BY `t`, `id`"
    )


def test_rows_behind_a_mark_are_those_up_to_it_or_before_it() -> None:
    def where(*values: str, inclusive: bool) -> str:
        mark = sql.Mark((STAMP, NUMBER), values, inclusive)
        return sql.page(sql.Page(NAME, (NUMBER,), order=(NUMBER,), behind=mark)).split(" WHERE ")[1]

    assert where(AFTER[0], inclusive=False) == "`t` < '2026-01-01 00:00:00.000' ORDER BY `id`"
    assert where(AFTER[0], "7", inclusive=True) == (
        "((`t` < '2026-01-01 00:00:00.000') OR "
        "(`t` = '2026-01-01 00:00:00.000' AND `id` <= 7)) ORDER BY `id`"
    )


def test_an_enumeration_is_sorted_and_compared_as_text() -> None:
    text = sql.page(sql.Page(NAME, (ENUM,), order=(ENUM,), after=("b",), limit=5))
    as_text = "CAST(`e` AS CHAR) COLLATE utf8mb4_bin"
    assert f"WHERE {as_text} > _utf8mb4'b' ORDER BY {as_text}" in text


def test_no_alias_stands_between_order_and_index() -> None:
    text = sql.page(sql.Page(NAME, (FLOAT,), order=(FLOAT,), limit=5))
    assert text.startswith("SELECT `f`*1e0 FROM")


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_out_of_its_literal(value: str) -> None:
    inside = sql.literal(Literal.TEXT, value).removeprefix("_utf8mb4'").removesuffix("'")
    at = 0
    while at < len(inside):  # as the server reads it: a backslash or a doubled quote takes two
        assert inside[at] != "'" or inside[at : at + 2] == "''"
        at += 2 if inside[at] in "\\'" else 1
    assert at == len(inside)


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_no_name_breaks_out_of_its_backticks(name: str) -> None:
    assert sql.identifier(name)[1:-1].replace("``", "") == name.replace("`", "")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Literal.NUMBER, "1 OR 1=1"),
        (Literal.NUMBER, ""),
        (Literal.NUMBER, "1\n"),
        (Literal.NUMBER, "\u0661"),
        (Literal.BINARY, "0g"),
        (Literal.BINARY, "0"),
        (Literal.MOMENT, "2026-01-01' OR '1"),
        (Literal.MOMENT, ""),
    ],
)
def test_what_is_no_value_of_its_kind_is_refused(kind: Literal, text: str) -> None:
    with pytest.raises(DataError, match="not a value"):
        sql.literal(kind, text)


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(DataError):
        sql.identifier("a\0b")


def test_a_condition_of_the_users_stays_one_whatever_it_says() -> None:
    text = sql.page(
        sql.Page(NAME, (NUMBER,), order=(NUMBER,), after=("5",), limit=1, where="a = 1 OR b = 2")
    )
    assert "WHERE `id` > 5 AND (a = 1 OR b = 2) ORDER BY" in text


def test_a_page_ends_with_the_row_that_ends_it_and_its_edge_is_found_by_the_order_alone() -> None:
    page = sql.Page(NAME, ORDER, order=(NUMBER, FLOAT), after=("5", "1"), upto=("9", "2"))
    assert sql.page(page).endswith(
        "((`id` > 5) OR (`id` = 5 AND `f` > 1)) AND ((`id` < 9) OR (`id` = 9 AND `f` <= 2))"
        " ORDER BY `id`, `f`"
    )
    assert sql.edge(sql.Page(NAME, ORDER, order=(NUMBER,), after=("5",), limit=9), 9) == (
        "SELECT `id` FROM `shop`.`or``ders` WHERE `id` > 5 ORDER BY `id` LIMIT 1 OFFSET 8"
    )
