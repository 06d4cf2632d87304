"""A condition of the user's: what is taken as it stands, and what is refused with its reason."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.errors import ConfigError
from s3rs_async.model import TableName
from s3rs_async.mysql import condition, sql
from s3rs_async.mysql.table import SourceColumn, SourceTable

NAME = TableName("shop", "orders")
COLUMNS = ("a", "b", "c", "d", "id", "status", "a b")
TABLE = SourceTable(
    NAME,
    tuple(SourceColumn(name, "int", "int", nullable=True) for name in COLUMNS),
    (),
    primary=False,
    indexes=(),
    engine=None,
)

TAKEN = [
    "a = 1",
    "status IN ('x', 'y;z') AND d IS NOT NULL OR b <=> NULL",
    "a LIKE '%-- no /* comment # %'",
    "a = '\\' OR 1=1 -- '",
    "a = 'it\\'s' AND b = \"it's\"",
    "d > NOW(6) - INTERVAL 30 DAY AND DATE(d) <> CURRENT_DATE",
    "a REGEXP '^x' XOR b RLIKE 'y' && c DIV 2 = id % 7",
    "orders.a = 1 AND shop.orders.b = 2 AND `a b` = 3 AND A = 4",
    "id IN (SELECT order_id FROM shop.paid WHERE at > '2024-01-01')",
    "a COLLATE utf8mb4_bin = _utf8mb4'x' OR BINARY b = x'ff'",
    "CASE WHEN a = 1 THEN b ELSE c END = 1",
    "a->>'$.x' = 1 OR JSON_EXTRACT(b, '$.y') = 2",
    "(a, b) IN ((1, 2), (3, 4))",
    "CAST(a AS UNSIGNED) > 1 AND CONVERT(b USING utf8mb4) = 'x'",
]


@pytest.mark.parametrize("text", TAKEN)
def test_a_condition_is_taken_as_it_was_written(text: str) -> None:
    assert condition.read(TABLE, f" {text}\n") == text


REFUSED = {
    "": "not one expression",
    "a =": "no such expression",
    "a = 1; DROP TABLE x": "a semicolon",
    "a = 1;": "a semicolon",
    "a = 1 -- x": "a comment",
    "a = 1 # x": "a comment",
    "a = 1 /* x */": "a comment",
    "a = 1 /*! OR 1 */": "a comment",
    "1) OR (1": "parentheses",
    "(a = 1": "parentheses",
    "a = 1)": "parentheses",
    "(" * 200 + "a" + ")" * 200: "parentheses",
    "a = 'x": "a quote is not closed",
    "a = 1 LIMIT 5": "no such expression",
    "a = 1 ORDER BY a": "no such expression",
    "a = 1 UNION SELECT 2": "no such expression",
    "a = 1 INTO OUTFILE 'x'": "no such expression",
    "a = 1, b = 2": "not one expression",
    "a AS x": "not one expression",
    "SELECT 1": "not one expression",
    "DELETE FROM orders": "no such expression",
    "id IN (DELETE FROM orders)": "no such expression",
    "EXISTS (SELECT 1 FROM orders FOR UPDATE)": "locks or writes",
    "a = @x": "a variable",
    "@x := 1": "a variable",
    "@@sql_mode = ''": "a variable",
    "a = ?": "a placeholder",
    "a = :x": "a placeholder",
    "SLEEP(5)": "the function sleep",
    "a = 1 AND sleep (1) = 0": "the function sleep",
    "BENCHMARK(1, 1)": "the function benchmark",
    "LOAD_FILE('/etc/hosts') = a": "the function load_file",
    "id IN (SELECT GET_LOCK('x', 1))": "the function get_lock",
    "LAST_INSERT_ID(5) = 1": "the function last_insert_id",
    "a = RAND()": "the function rand",
    "NEXTVAL(a) = 1": "the function nextval",
    "shop.f(a) = 1": "a stored function",
    "a\0": "not a text",
    "a = 1 OR " * 3000 + "a": "too long",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30].replace("\0", ""))
def test_anything_else_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[text]) as caught:
        condition.read(TABLE, text)
    assert caught.value.hint.startswith("additional_where: ")
    assert caught.value.context == {"table": "shop.orders", "setting": "additional_where"}


def test_an_unknown_column_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown column") as caught:
        condition.read(TABLE, "a = 1 AND state = 'x'")
    assert caught.value.hint == "the nearest name is status: additional_where: status"


FRAGMENTS = st.sampled_from(
    [*"ab(),;'\"`#@?\\ \n", "--", "/*", "*/", " OR ", " AND ", "=", "1", " IN ", "SELECT 1"]
)


@settings(deadline=None)
@given(st.lists(FRAGMENTS, max_size=9).map("".join))
def test_whatever_is_taken_stays_inside_its_parentheses(text: str) -> None:
    try:
        taken = condition.read(TABLE, text)
    except ConfigError:
        return
    page = sql.page(sql.Page(NAME, (), where=taken, limit=7)).replace("SELECT ", "SELECT 1", 1)
    (statement,) = sqlglot.parse(page, dialect="mysql")
    assert isinstance(statement, sqlglot.exp.Select)
    assert statement.args["limit"].expression.name == "7"
    assert isinstance(statement.args["where"].this, sqlglot.exp.Paren)
