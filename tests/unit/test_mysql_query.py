"""A query of the user's: what is taken and filled in, and what is refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_async.errors import ConfigError
from s3rs_async.model import (
    Bound,
    CursorFormat,
    Mode,
    Position,
    Proof,
    Strategy,
    TableName,
    TableSpec,
)
from s3rs_async.mysql import custom, query, sql
from s3rs_async.mysql.chunk import ReadPlan
from s3rs_async.mysql.custom import Described
from s3rs_async.mysql.query import Query
from s3rs_async.mysql.table import SourceColumn, SourceTable
from s3rs_async.mysql.walk import Walk

NAME = TableName("shop", "recent")
PLAIN = "SELECT id, u FROM shop.orders AS o WHERE {incremental_where}"
HI = "2026-01-01 00:00:05"


def read(text: str, cursor: str | None = "u") -> Query:
    return query.read(NAME, text, cursor)


def filled(text: str, *, low: str | None = "1", cursor: str = "u") -> str:
    """The user's own part of the statement, with its limits in it."""
    table = SourceTable(NAME, COLUMNS, (), primary=False, indexes=(), engine=None)
    spec = TableSpec(NAME, sql=text, cursor=cursor, key=("id",), format=CursorFormat.UNIX)
    plan = custom.choose(Described(query.read(NAME, text, cursor), table), spec)
    at = None if low is None else Position(low)
    page = Walk(plan, at, Bound("7", Proof.NONE, "")).page(1)
    assert page is not None
    return sql.page(page).split("\n", 1)[1].rpartition("\n")[0]


COLUMNS = (
    SourceColumn("id", "bigint", "bigint", nullable=False),
    SourceColumn("u", "bigint", "bigint", nullable=True),
    SourceColumn("t", "datetime", "datetime", nullable=True),
    SourceColumn("note", "varchar", "varchar(9)", nullable=True, characters=9),
)

FILLED = {
    PLAIN: "SELECT id, u FROM shop.orders AS o WHERE ((u) >= 1 AND (u) < 7)",
    "SELECT * FROM s.a WHERE {incremental_where}": (
        "SELECT * FROM s.a WHERE ((`u`) >= 1 AND (`u`) < 7)"
    ),
    "SELECT a.*, b.x FROM s.a, s.b WHERE a.i = b.i AND {incremental_where}": (
        "SELECT a.*, b.x FROM s.a, s.b WHERE a.i = b.i AND ((`a`.`u`) >= 1 AND (`a`.`u`) < 7)"
    ),
    "SELECT a.id, GREATEST(a.u, b.u) AS u FROM s.a JOIN s.b USING (id) WHERE {incremental_where}": (
        "SELECT a.id, GREATEST(a.u, b.u) AS u FROM s.a JOIN s.b USING (id) "
        "WHERE ((GREATEST(a.u, b.u)) >= 1 AND (GREATEST(a.u, b.u)) < 7)"
    ),
    "SELECT id, `v` U FROM s.a WHERE ({incremental_where}) OR x": (
        "SELECT id, `v` U FROM s.a WHERE (((`v`) >= 1 AND (`v`) < 7)) OR x"
    ),
    "SELECT id, MAX(v) AS u FROM s.a GROUP BY id HAVING {incremental_where}": (
        "SELECT id, MAX(v) AS u FROM s.a GROUP BY id HAVING ((MAX(v)) >= 1 AND (MAX(v)) < 7)"
    ),
    "SELECT id, u FROM s.a WHERE u >= {low} AND {high} > u": (
        "SELECT id, u FROM s.a WHERE u >= 1 AND 7 > u"
    ),
    "SELECT id, u FROM (SELECT * FROM s.a WHERE u < {high}) AS x": (
        "SELECT id, u FROM (SELECT * FROM s.a WHERE u < 7) AS x"
    ),
    "WITH x AS (SELECT 1 AS FROM_) SELECT id, u FROM s.a WHERE u >= {low} AND n = '{x}'": (
        "WITH x AS (SELECT 1 AS FROM_) SELECT id, u FROM s.a WHERE u >= 1 AND n = '{x}'"
    ),
}


@pytest.mark.parametrize("text", FILLED)
def test_a_query_is_sent_as_it_was_written_with_its_limits_filled_in(text: str) -> None:
    assert filled(f"\n {text} ") == FILLED[text]


def test_a_first_pass_has_no_low_limit() -> None:
    assert filled(PLAIN, low=None).endswith("WHERE ((u) < 7)")
    low = filled("SELECT id, u FROM s.a WHERE u >= {low}", low=None)
    assert low.endswith("WHERE u >= -9223372036854775808")


REFUSED = {
    "": "not one SELECT from a table",
    "SELECT 1": "not one SELECT from a table",
    "DELETE FROM s.a": "not one SELECT from a table",
    "SHOW TABLES": "not one SELECT from a table",
    "CALL s.p()": "not one SELECT from a table",
    "SELECT a FROM s.a UNION SELECT a FROM s.b": "several SELECTs",
    "(SELECT a FROM s.a)": "not one SELECT from a table",
    "SELECT a FROM s.a; DROP TABLE s.a": "a semicolon",
    "SELECT a FROM s.a;": "a semicolon",
    "SELECT a FROM s.a -- x": "a comment",
    "SELECT a FROM s.a # x": "a comment",
    "SELECT a /*!, b */ FROM s.a": "a comment",
    "SELECT /*!50000 a */ FROM s.a": "a comment",
    "SELECT /*+ MAX_EXECUTION_TIME(1) */ a FROM s.a": "a comment",
    "/* x */ SELECT a FROM s.a": "a comment",
    "SELECT a FROM s.a {# x #}": "a comment",
    "SELECT a INTO OUTFILE '/tmp/x' FROM s.a": "locks or writes",
    "SELECT a FROM s.a INTO DUMPFILE '/tmp/x'": "locks or writes",
    "SELECT a INTO @x FROM s.a": "locks or writes",
    "SELECT a FROM s.a FOR UPDATE": "locks or writes",
    "SELECT a FROM s.a FOR SHARE": "locks or writes",
    "SELECT a FROM s.a LOCK IN SHARE MODE": "locks or writes",
    "SELECT a FROM s.a PROCEDURE ANALYSE()": "no such SELECT",
    "SELECT a, @x := 1 AS b FROM s.a": "a variable",
    "SELECT a FROM s.a WHERE b = @@hostname": "a variable",
    "SELECT a FROM s.a WHERE b = ?": "a placeholder",
    "SELECT a FROM s.a WHERE SLEEP(1) = 0": "the function sleep",
    "SELECT s.f(a) AS x FROM s.a": "a stored function",
    "SELECT a FROM s.a WHERE (b = 1": "parentheses",
    "SELECT a FROM s.a WHERE b = 'x": "a quote is not closed",
    "SELECT a, b + 1 FROM s.a": "column 2 has no name",
    "SELECT COUNT(*) FROM s.a": "column 1 has no name",
    "SELECT 'x' FROM s.a": "column 1 has no name",
    "SELECT a, (SELECT 1) FROM s.a": "column 2 has no name",
    "SELECT a, b AS A FROM s.a": "two columns are called A",
    "SELECT a FROM s.a WHERE u > {since}": "an unknown placeholder",
    "SELECT a FROM s.a WHERE u > { low }": "an unknown placeholder",
    "SELECT a FROM s.a WHERE u > {{low}}": "an unknown placeholder",
    "SELECT a FROM s.a WHERE u > {low": "an unknown placeholder",
    "SELECT a FROM s.a WHERE u >= '{low}'": "a placeholder in quotes",
    "SELECT a FROM s.a WHERE u > {low}": "{low} is not a limit",
    "SELECT a FROM s.a WHERE u <= {high}": "{high} is not a limit",
    "SELECT a FROM s.a WHERE u >= {high}": "{high} is not a limit",
    "SELECT a FROM s.a WHERE u BETWEEN {low} AND {high}": "{low} is not a limit",
    "SELECT a FROM s.a WHERE u >= {low} - INTERVAL 1 DAY": "{low} is not a limit",
    "SELECT a FROM s.a WHERE NOT u >= {low}": "{low} is not a limit",
    "SELECT a FROM s.a WHERE IF(u >= {low}, 1, 0)": "{low} is not a limit",
    "SELECT a, u >= {low} AS x FROM s.a": "{low} is not a limit",
    "SELECT a FROM s.a LEFT JOIN s.b ON u >= {low}": "{low} is not a limit",
    "SELECT a FROM s.a ORDER BY {low}": "{low} is not a limit",
    "SELECT a, {low} AS u FROM s.a": "{low} is not a limit",
    "SELECT a FROM s.a {low}": "a placeholder is not a limit",
    "SELECT a AS {low} FROM s.a": "a placeholder is not a limit",
    "SELECT a FROM {low}": "a placeholder is not a limit",
    "SELECT a FROM s.a WHERE u >= {low}{low}": "no such SELECT",
    "SELECT a FROM s.a WHERE u >= {low}({high})": "{high} is not a limit",
    "SELECT a, u FROM s.a WHERE NOT {incremental_where}": "not a part of the outermost",
    "SELECT a, u FROM (SELECT * FROM s.a WHERE {incremental_where}) AS x": "not a part of the out",
    "SELECT a, u FROM s.a WHERE {incremental_where} LIMIT 5": "a LIMIT around {incremental_where}",
    "SELECT a, u FROM (SELECT * FROM s.a WHERE u >= {low} LIMIT 5) AS x": "a LIMIT around {low}",
    "SELECT a FROM s.a WHERE {incremental_where}": "it has no column u",
    "SELECT a.*, b.* FROM s.a, s.b WHERE {incremental_where}": "it has no column u",
    "SELECT `s3rs__low` FROM s.a": "not a text",
    "SELECT a\0 FROM s.a": "not a text",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60].replace("\0", ""))
def test_anything_else_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(ConfigError, match="not a query that can be read") as caught:
        read(text)
    assert REFUSED[text] in caught.value.message
    assert caught.value.hint.startswith("custom_sql: ")
    assert caught.value.context == {"table": "shop.recent", "setting": "custom_sql"}


def test_a_limit_that_loses_nothing_is_taken() -> None:
    read("SELECT a FROM s.a ORDER BY b DESC LIMIT 5", None)
    read("SELECT a, u FROM s.a WHERE {incremental_where} AND b IN (SELECT b FROM s.b LIMIT 1)")


ORIGINS = {
    PLAIN: (TableName("shop", "orders"), "u", True),
    "SELECT o.v AS u FROM shop.orders o WHERE {incremental_where}": (
        TableName("shop", "orders"), "v", True,
    ),
    "SELECT * FROM shop.orders WHERE {incremental_where}": (
        TableName("shop", "orders"), "u", True,
    ),
    "SELECT o.u FROM shop.orders o JOIN s.b ON b.x = o.x WHERE {incremental_where}": (
        TableName("shop", "orders"), "u", False,
    ),
    "SELECT DISTINCT u FROM s.a WHERE u >= {low}": (TableName("s", "a"), "u", False),
    "SELECT u FROM s.a WHERE u >= {low} AND EXISTS (SELECT 1 FROM s.b)": (
        TableName("s", "a"), "u", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", ORIGINS)
def test_the_column_that_the_cursor_is_is_found(text: str) -> None:
    table, name, plain = ORIGINS[text]
    found = read(text)
    assert (found.origin, found.plain) == ((table, name), plain)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT u FROM orders WHERE {incremental_where}",
        "SELECT u + 1 AS u FROM s.a WHERE {incremental_where}",
        "SELECT u FROM s.a, s.b WHERE {incremental_where}",
        "SELECT x.u FROM (SELECT * FROM s.a) AS x WHERE {incremental_where}",
    ],
)
def test_of_a_cursor_that_is_made_no_column_is_told(text: str) -> None:
    assert read(text).origin is None


CLOSED = {
    PLAIN: True,
    "SELECT u FROM s.a WHERE x AND ({incremental_where} AND y)": True,
    "SELECT u FROM s.a WHERE u >= {low} AND u < {high}": True,
    "SELECT v + 1 AS u FROM s.a WHERE v + 1 >= {low} AND v + 1 < {high}": True,
    "SELECT u FROM s.a WHERE {incremental_where} OR y": False,
    "SELECT u FROM s.a WHERE u >= {low}": False,
    "SELECT u FROM s.a WHERE u < {high}": False,
    "SELECT u FROM s.a WHERE v >= {low} AND u < {high}": False,
    "SELECT u FROM s.a WHERE u >= {low} OR u < {high}": False,
    "SELECT u FROM (SELECT * FROM s.a WHERE u >= {low} AND u < {high}) AS x": False,
}


@pytest.mark.parametrize("text", CLOSED)
def test_it_is_known_whether_rows_lie_between_both_limits(text: str) -> None:
    assert read(text).closed is CLOSED[text]


FRAGMENTS = st.sampled_from(
    [
        *"ab(),;'\"`#@{}\\ \n1u",
        *("--", "/*", "*/", " OR ", " AND ", "=", ">=", "{low}", "{high}", "{incremental_where}"),
        *(" FROM s.a ", "SELECT ", " LIMIT 1", " UNION SELECT 1 AS u "),
    ]
)


@settings(deadline=None)
@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_whatever_is_taken_stays_inside_of_its_place(text: str) -> None:
    try:
        taken = read(f"SELECT u FROM s.a WHERE {text}")
    except ConfigError:
        return
    (statement,) = sqlglot.parse(sql.description(taken), dialect="mysql")
    assert isinstance(statement, sqlglot.exp.Select)
    assert statement.args["limit"].expression.name == "0"
    assert statement.args["from_"].this.alias == "s3rs_query"


def plan(text: str, **asked: Any) -> ReadPlan:
    table = SourceTable(NAME, COLUMNS, (), primary=False, indexes=(), engine=None)
    spec = TableSpec(NAME, strategy=Strategy.CUSTOM_SQL, sql=text, **asked)
    return custom.choose(Described(query.read(NAME, text, custom.cursor_name(spec)), table), spec)


WHOLE = "SELECT id, u, t FROM s.a"
PART = WHOLE + " WHERE {incremental_where}"


def test_a_query_without_placeholders_replaces_and_one_with_them_merges() -> None:
    assert (plan(WHOLE).mode, plan(WHOLE).whole) == (Mode.REPLACE, True)
    asked = plan(PART, cursor="t", key=("ID",))
    assert (asked.mode, asked.whole, asked.key, asked.cursor) == (Mode.MERGE, False, ("id",), "t")
    assert plan(PART, id="u", mode=Mode.APPEND).format is CursorFormat.ID


REFUSED_WISHES: list[tuple[str, dict[str, Any], str]] = [
    (PART, {}, "needs a cursor"),
    (WHOLE, {"cursor": "t"}, "means nothing to a query without placeholders"),
    (PART, {"cursor": "t", "id": "id"}, "along one cursor"),
    (PART, {"cursor": "t"}, "a merge needs a key"),
    (PART, {"cursor": "t", "mode": Mode.REPLACE}, "cannot replace"),
    (WHOLE, {"mode": Mode.APPEND}, "appended again in every pass"),
    (WHOLE, {"mode": Mode.MERGE}, "a merge needs a key"),
    (PART + " OR id = 1", {"cursor": "t", "mode": Mode.APPEND}, "appended again in every pass"),
    (PART, {"cursor": "nope", "key": ("id",)}, "it has no column nope"),
    (PART, {"cursor": "u", "key": ("id",)}, "not a type that a cursor can have"),
    (PART, {"cursor": "t", "key": ("nope",)}, "unknown column"),
    (PART, {"id": "t", "key": ("id",)}, "not a type that ids can have"),
    (WHOLE + ", s.b WHERE u >= {low}", {"id": "u", "key": ("id",)}, "which table's ids"),
    (WHOLE, {"lookback": 5.0}, "reads again below a time"),
    (PART, {"cursor": "t", "mode": Mode.APPEND, "lookback": 5.0}, "reads again below a time"),
]


@pytest.mark.parametrize(("text", "asked", "words"), REFUSED_WISHES)
def test_what_cannot_be_done_with_a_query_is_refused(
    text: str, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        plan(text, **asked)
    assert caught.value.hint


def walk(position: Position | None, **asked: Any) -> Walk:
    found = plan(PART, **({"cursor": "t", "key": ("id",)} | asked))
    return Walk(found, position, Bound(HI, Proof.NONE, ""))


def test_a_pass_is_one_statement_and_ends_at_the_bound() -> None:
    under_way = walk(Position("2026-01-01 00:00:03"))
    page = under_way.page(2)
    assert page is not None
    assert (page.start, page.below, page.limit) == ("2026-01-01 00:00:03", HI, None)
    assert under_way.resumable
    under_way.took(9, ["9", None, None, None], {})
    assert not under_way.resumable
    end = under_way.end(2)
    assert (end.rows, end.after, end.moves_watermark, end.last) == (9, Position(HI), True, True)
    assert under_way.leg is None


def test_a_look_back_reads_from_below_the_position() -> None:
    page = walk(Position("2026-01-01 00:00:03"), lookback=2.0).page(2)
    assert page is not None
    assert page.start == "2026-01-01 00:00:01"


def test_at_its_bound_nothing_is_read() -> None:
    assert walk(Position(HI)).leg is None
    ids = plan(PART, id="u", mode=Mode.APPEND)
    assert Walk(ids, None, Bound(None, Proof.NONE, "")).leg is None


def test_a_position_within_rows_of_one_time_is_another_ways() -> None:
    with pytest.raises(ConfigError, match="does not fit"):
        walk(Position("2026-01-01 00:00:03", ("7",)))
