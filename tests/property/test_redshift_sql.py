from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from s3rs_async.model import Column, TableName
from s3rs_async.redshift import sql
from s3rs_async.redshift.schema import TargetColumn, differences, holds, spelled
from s3rs_async.redshift.types import redshift_type

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=31
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SIZES = st.integers(1, 65_535)
DECIMALS = st.integers(1, 38).flatmap(
    lambda precision: st.tuples(st.just(precision), st.integers(0, min(37, precision)))
)
TYPES = st.one_of(
    st.sampled_from(["BIGINT", "INTEGER", "DATE", "TIMESTAMP", "BOOLEAN", "REAL"]),
    SIZES.map("VARCHAR({})".format),
    DECIMALS.map(lambda ps: f"DECIMAL({ps[0]},{ps[1]})"),
)


def columns(count: int) -> st.SearchStrategy[list[Column]]:
    one = st.builds(
        lambda name, kind, nullable: Column(name, "x", "x", nullable, redshift=kind),
        NAMES,
        TYPES,
        st.booleans(),
    )
    return st.lists(one, min_size=1, max_size=count, unique_by=lambda c: sql.fold(c.name))


def live(batch: Sequence[Column]) -> list[TargetColumn]:
    return [TargetColumn(sql.fold(c.name), c.redshift, c.nullable) for c in batch]


@settings(deadline=None)
@given(NAMES)
def test_a_quoted_name_is_one_identifier_and_nothing_else(name: str) -> None:
    parsed = sqlglot.parse_one(f"SELECT {sql.quote(name)}", read="redshift")
    assert [c.name for c in parsed.expressions] == [sql.fold(name)]


@settings(deadline=None)
@given(TEXTS)
def test_a_literal_is_one_string_with_the_same_text(text: str) -> None:
    (token,) = parsed_literals(sql.literal(text))
    assert token == text


def parsed_literals(text: str) -> list[str]:
    """What a reader with backslash escapes and doubled quotes sees."""
    assert text[0] == text[-1] == "'"
    inside, found, skip = text[1:-1], [], False
    for here, after in zip(inside, [*inside[1:], ""], strict=False):
        if skip:
            skip = False
            continue
        if here in "\\'":
            assert after == here, "an escape that is not doubled would end or change the literal"
            skip = True
        found.append(here)
    return ["".join(found)]


@settings(deadline=None)
@given(columns(6))
def test_a_table_of_any_names_is_one_statement_with_these_columns(batch: list[Column]) -> None:
    (parsed,) = sqlglot.parse(sql.create_table(TableName("s", "t"), batch), read="redshift")
    assert isinstance(parsed, exp.Create)
    assert [c.name for c in parsed.this.expressions] == [sql.fold(c.name) for c in batch]


@settings(deadline=None)
@given(columns(6), st.randoms())
def test_a_table_never_differs_from_its_own_columns_in_any_order(
    batch: list[Column], chance: object
) -> None:
    there = live(batch)
    chance.shuffle(there)  # type: ignore[attr-defined]
    assert differences(batch, there) == []


@settings(deadline=None)
@given(columns(6))
def test_a_column_missing_on_either_side_is_always_told(batch: list[Column]) -> None:
    assert len(differences(batch, live(batch[1:]))) == 1
    assert len(differences(batch[1:], live(batch))) == 1


@settings(deadline=None)
@given(TYPES, TYPES, TYPES)
def test_holding_is_an_order(a: str, b: str, c: str) -> None:
    assert holds(a, a)
    assert not (holds(a, b) and holds(b, c)) or holds(a, c)
    assert not (holds(a, b) and holds(b, a)) or a == b


@settings(deadline=None)
@given(st.integers(0, 2**40))
def test_a_text_never_gets_a_length_that_redshift_refuses(octets: int) -> None:
    kind = redshift_type(Column("c", "text", "string", nullable=True, octets=octets))
    assert 1 <= int(kind[8:-1]) <= 65_535
    assert spelled(f"character varying({kind[8:-1]})") == kind
