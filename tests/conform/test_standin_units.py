"""The stand-in's own parts, without servers: tokens, plans and the binary encoder."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from s3rs_async.sandbox.redshift.alter import alter_table
from s3rs_async.sandbox.redshift.columns import Column
from s3rs_async.sandbox.redshift.ddl import Script
from s3rs_async.sandbox.redshift.faults import RedshiftError
from s3rs_async.sandbox.redshift.pgcopy import encode, pieces
from s3rs_async.sandbox.redshift.rules import RULES
from s3rs_async.sandbox.redshift.statements import Forward, plan
from s3rs_async.sandbox.redshift.tokens import split


def one(sql: str) -> object:
    (statement,) = split(sql)
    return plan(statement)


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("select ';'; select 2", 2),
        ("select 'it\\'s;' ; ;", 1),
        ('select ";" -- ; no\n; select 1', 2),
        ("/* a /* nested ; */ ; */ select 1", 1),
        ("select $$;$$", 1),
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
    "sql",
    [
        "select 'RETURNING', 'on conflict do nothing'",
        'select "returning" from t -- RETURNING',
        "insert into t values ('returning') /* on conflict */",
        "select t.filter from t",
    ],
)
def test_a_keyword_in_a_literal_a_name_or_a_comment_is_no_keyword(sql: str) -> None:
    assert isinstance(one(sql), Forward)


def test_words_of_redshift_become_words_of_the_backend() -> None:
    found = one("SELECT NVL(a, SYSDATE), 'SYSDATE', \"NVL\"::SUPER FROM #t")
    assert found == Forward(
        'SELECT coalesce(a, pg_catalog.sysdate()), \'SYSDATE\', "nvl"::jsonb FROM "#t"'
    )


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("INSERT INTO a.b VALUES (1)", '"a"."b"'),
        ('UPDATE "T" SET a = 1', '"t"'),
        ("DELETE FROM t USING u WHERE t.a = u.a", '"t"'),
        ("DELETE t", '"t"'),
    ],
)
def test_a_write_names_the_table_to_lock(sql: str, table: str) -> None:
    found = one(sql)
    assert isinstance(found, Forward)
    assert found.locks == (table,)


def test_every_rule_has_its_own_number_and_evidence() -> None:
    assert len({rule.number for rule in RULES.values()}) == len(RULES)
    assert all(rule.evidence for rule in RULES.values())


def test_alter_table_is_a_script() -> None:
    (statement,) = split('ALTER TABLE s.t ADD COLUMN "C" TEXT ENCODE lzo')
    assert alter_table(statement).steps == ('ALTER TABLE "s"."t" ADD COLUMN "c" varchar(256)',)
    assert isinstance(one("VACUUM t"), Script)


def numeric(value: Decimal, scale: int) -> bytes:
    """What the backend would send, without stripping zeros."""
    digits = abs(int(value.scaleb(scale))) * 10 ** (-scale % 4)
    groups = []
    while digits:
        digits, rest = divmod(digits, 10_000)
        groups.append(rest)
    while len(groups) < -(-scale // 4) + 1:
        groups.append(0)
    groups.reverse()
    weight = len(groups) - -(-scale // 4) - 1
    head = struct.pack("!hhHh", len(groups), weight, 0x4000 if value < 0 else 0, scale)
    return head + b"".join(struct.pack("!h", group) for group in groups)


def value_of(image: bytes) -> Decimal:
    count, weight, sign, scale = struct.unpack_from("!hhHh", image)
    groups = struct.unpack_from(f"!{count}h", image, 8)
    total = sum(
        Decimal(group) * Decimal(10_000) ** (weight - at) for at, group in enumerate(groups)
    )
    return (-total if sign else total).quantize(Decimal(1).scaleb(-scale))


@pytest.mark.parametrize(
    ("precision", "scale"), [(5, 0), (10, 2), (18, 6), (18, 17), (20, 0), (38, 10), (38, 37)]
)
def test_decimals_of_every_width_are_encoded_exactly(precision: int, scale: int) -> None:
    import decimal

    decimal.getcontext().prec = 60
    top = Decimal(10**precision - 1).scaleb(-scale)
    values = [top, -top, Decimal(0), None, Decimal(1).scaleb(-scale), Decimal(-7).scaleb(-scale)]
    kind = pa.decimal128(precision, scale)
    column = Column("d", "numeric", ((precision << 16) | scale) + 4, not_null=False)
    stream = bytes(encode([column], [pa.array([None, *values], kind).slice(1)]))
    found, at = [], 0
    while at < len(stream):
        assert stream[at : at + 2] == b"\0\1"
        (size,) = struct.unpack_from("!i", stream, at + 2)
        found.append(None if size < 0 else value_of(stream[at + 6 : at + 6 + size]))
        at += 6 + max(size, 0)
    assert found == values
    assert value_of(numeric(top, scale)) == top


def test_rows_of_mixed_columns_are_laid_out_field_by_field() -> None:
    columns = [
        Column("a", "int8", -1, not_null=False),
        Column("b", "varchar", 14, not_null=False),
        Column("c", "date", -1, not_null=False),
        Column("d", "bool", -1, not_null=False),
    ]
    arrays = [
        pa.array([1, None], pa.int64()),
        pa.array([None, "ä"]),
        pa.array([dt.date(2000, 1, 2), None]),
        pa.nulls(2),
    ]
    null = b"\xff\xff\xff\xff"
    first = b"\0\4" + struct.pack("!iq", 8, 1) + null + struct.pack("!ii", 4, 1) + null
    second = b"\0\4" + null + struct.pack("!i", 2) + "ä".encode() + null + null
    assert bytes(encode(columns, arrays)) == first + second


def test_a_batch_of_long_texts_is_cut_into_pieces() -> None:
    texts = pa.array(["x" * 65_535] * 600)
    assert [len(piece[0]) for piece in pieces([texts, pa.array(np.arange(600))])][:-1]
