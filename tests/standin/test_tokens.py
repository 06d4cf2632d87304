"""Tokens, readings and plans, without servers: what is not edited stays, nothing is quadratic."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.sandbox.redshift.dialect.reading import Reading
from s3rs_async.sandbox.redshift.dialect.tokens import Edit, Statement, split
from s3rs_async.sandbox.redshift.faults import RedshiftError
from s3rs_async.sandbox.redshift.planning.plans import Forward
from s3rs_async.sandbox.redshift.planning.statements import plan

pytestmark = pytest.mark.standin

_PIECES = st.sampled_from(
    [
        *("select", "x", '"Q q"', "'it''s;'", r"'a\'b'", "E'\\n'", "$$;$$", "$1", "1.5e3", "::"),
        *(",", "(", ")", "[", "->>", "=", "-", "*", "||", ".", ";", "-- c;\n", "/* ; /* */ */"),
        *("é", "#t", "<>", "?", "@>", "\n", " "),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=40).map(" ".join)


def one(sql: str) -> Any:
    (statement,) = split(sql)
    return plan(statement)


@given(_TEXTS)
def test_a_statement_without_edits_is_its_text(sql: str) -> None:
    found = split(sql)
    assert all(statement.edited([]) == statement.text for statement in found)
    for statement in found:
        spans = [statement.text[token.start : token.end] for token in statement.tokens]
        assert spans == [token.text for token in statement.tokens]


@given(_TEXTS, st.data())
def test_an_edit_changes_its_span_and_nothing_else(sql: str, data: Any) -> None:
    for statement in split(sql):
        chosen = data.draw(st.sets(st.sampled_from(range(len(statement.tokens)))))
        edits = [Edit.of(statement.tokens[at], f"<{at}>") for at in chosen]
        text, kept = statement.edited(edits), statement.text
        for at in sorted(chosen, reverse=True):
            token = statement.tokens[at]
            kept = kept[: token.start] + f"<{at}>" + kept[token.end :]
        assert text == kept


@given(_TEXTS)
def test_what_stands_between_tokens_is_space_or_comment(sql: str) -> None:
    for statement in split(sql):
        ends = [0, *(token.end for token in statement.tokens)]
        starts = [*(token.start for token in statement.tokens), len(statement.text)]
        for end, start in zip(ends, starts, strict=True):
            gap = statement.text[end:start].strip()
            assert not gap or gap.startswith(("--", "/*"))


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("select ';'; select 2", 2),
        ("select 'it\\'s;' ; ;", 1),
        ('select ";" -- ; no\n; select 1', 2),
        ("/* a /* nested ; */ ; */ select 1", 1),
        ("select $$;$$", 1),
        ("select $x$;$$;$x$", 1),
        ("  -- nothing\n", 0),
    ],
)
def test_statements_are_split_by_tokens(sql: str, count: int) -> None:
    assert len(split(sql)) == count


@pytest.mark.parametrize("sql", ["select 'a", 'select "a', "select /* a", r"select 'a\'"])
def test_what_is_not_closed_is_a_syntax_error(sql: str) -> None:
    with pytest.raises(RedshiftError) as error:
        split(sql)
    assert error.value.state == "42601"


@pytest.mark.parametrize(
    ("sql", "signs"),
    [
        ("a->>'b'", ["->>"]),
        ("x=-1", ["=", "-"]),
        ("3*-2", ["*", "-"]),
        ("a@-b", ["@-"]),
        ("a::int[]", ["::", "[", "]"]),
        ("a--b\n+c", ["+"]),
        ("a-/* */b", ["-"]),
        ("count(*)", ["(", "*", ")"]),
    ],
)
def test_signs_are_joined_as_postgresql_joins_them(sql: str, signs: list[str]) -> None:
    (statement,) = split(sql)
    assert [token.text for token in statement.tokens if token.kind == "op"] == signs


@pytest.mark.parametrize(
    ("sql", "calls"),
    [
        ("insert into t (a) values (f(1))", ["f"]),
        ("with x (a) as (select 1), y (b) as (select 2) select g(a) from x", ["g"]),
        ("select a from t as x (b), (select 1) y (c)", []),
        ("select f(g(h(1)), i(2))", ["h", "g", "i", "f"]),
        ("select pg_catalog.max(a) over (order by b) from t where a in (1)", ["max"]),
        (
            "select cast(a as varchar(5)), b::numeric(5, 2), convert(char(3), 1)",
            ["cast", "convert"],
        ),
        ("create view v (a, b) as select f(a) from t", ["f"]),
        ("select a from t join u using (a) where not exists (select f(1))", ["f"]),
        ("merge into t using s on f(a) when not matched then insert (a) values (g(1))", ["f", "g"]),
        ("select a at time zone f('x'), case when (a) then (b) end", ["f"]),
    ],
)
def test_a_call_is_told_from_a_list_and_a_type(sql: str, calls: list[str]) -> None:
    (statement,) = split(sql)
    assert [call.name for call in Reading(statement).calls] == calls


def test_words_of_redshift_become_words_of_the_backend() -> None:
    found = one("SELECT NVL(a, SYSDATE), 'SYSDATE', \"NVL\"::SUPER FROM #t")
    assert found == Forward(
        'SELECT coalesce(a, pg_catalog.sysdate()), \'SYSDATE\', "nvl"::jsonb FROM "#t"'
    )


def test_calls_are_rewritten_from_the_inside_out() -> None:
    found = one("SELECT NVL2(a /* x */, DECODE(NVL(b, 1), 2, 3), CONVERT(INT, c)) FROM t")
    again = (
        "SELECT CASE WHEN(a /* x */) IS NOT NULL THEN ( CASE WHEN (coalesce(b, 1))"
        " IS NOT DISTINCT FROM ( 2) THEN ( 3) END) ELSE ( CAST( c AS integer)) END FROM t"
    )
    assert " ".join(found.text.split()) == " ".join(again.split())


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("INSERT INTO a.b VALUES (1)", '"a"."b"'),
        ('UPDATE "T" SET a = 1', '"t"'),
        ("DELETE FROM t USING u WHERE t.a = u.a", '"t"'),
        ("DELETE t", '"t"'),
        ("WITH x AS (SELECT 1 AS a) DELETE FROM t USING x WHERE t.a = x.a", '"t"'),
        ("WITH x AS (SELECT 1 AS a) UPDATE s.t SET a = x.a FROM x", '"s"."t"'),
        (
            (
                "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE"
                " WHEN NOT MATCHED THEN INSERT VALUES (s.a)"
            ),
            '"t"',
        ),
    ],
)
def test_a_write_names_the_table_to_lock(sql: str, table: str) -> None:
    found = one(sql)
    assert isinstance(found, Forward)
    assert found.locks == (table,)


class _Counted(tuple[Any, ...]):
    """Tokens that count how often they are looked at."""

    __slots__ = ()
    looks: ClassVar[Counter[str]] = Counter()

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.looks["all"] += len(found) if isinstance(at, slice) else 1
        return found

    def __iter__(self) -> Any:
        self.looks["all"] += len(self)
        return super().__iter__()


def _looks(sql: str) -> int:
    (statement,) = split(sql)
    _Counted.looks.clear()
    plan(Statement(statement.text, _Counted(statement.tokens)))
    return _Counted.looks["all"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda n: "INSERT INTO t VALUES " + ", ".join(["(1, 'x', NVL(a, -2.5))"] * n),
        lambda n: "SELECT " + "nvl(" * n + "a" + ")" * n + " FROM t",
        lambda n: "SELECT " + "cast(" * n + "a" + " as int)" * n + " FROM t",
        lambda n: "SELECT nvl2(" + "a, " * 2 + "a)" + ", nvl2(a, a, a)" * n + " FROM t",
        lambda n: "SELECT * FROM " + ", ".join(["(SELECT TOP 1 a FROM t)"] * n),
        lambda n: "SELECT 1 FROM t WHERE a IN (" + ", ".join(["1"] * n) + ")",
    ],
    ids=["values", "nested", "casts", "calls", "top", "in"],
)
def test_twice_the_text_is_twice_the_work(shape: Any) -> None:
    assert _looks(shape(400)) < 2.2 * _looks(shape(200))


def test_a_statement_of_one_megabyte_is_planned_in_one_pass_over_its_text() -> None:
    row = "(1, 'some text of a row', 2.5, NULL)"
    sql = "INSERT INTO t VALUES " + ", ".join([row] * (1_000_000 // len(row)))
    assert one(sql).text == sql
