"""Every type that is read, and what its values can be: made up, extremes, what no calendar has.

NUL is no part of texts here: it is read as any other character, and refused when it is to be
loaded.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Kinds: TypeAlias = dict[str, st.SearchStrategy[Any]]


class Sql(str):
    """A value that is written as an expression."""

    __slots__ = ()


def whole(bits: int) -> tuple[st.SearchStrategy[int], st.SearchStrategy[int]]:
    """What a number of so many bits holds, with a sign and without."""
    half = 1 << bits - 1
    return (
        st.integers(-half, half - 1) | st.sampled_from([-half, -1, 0, half - 1]),
        st.integers(0, 2 * half - 1) | st.sampled_from([0, half, 2 * half - 1]),
    )


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    most = Decimal(10**digits - 1).scaleb(-scale) if digits < 28 else Decimal(10**20)
    return st.decimals(-most, most, allow_nan=False, places=min(scale, 9)).map(str)


DAY = st.one_of(
    st.dates(dt.date(1, 1, 1)).map(dt.date.isoformat),
    st.sampled_from(["0000-00-00", "2026-02-31", "2026-02-00", "2026-00-01", "0000-01-01"]),
)
CLOCK = st.one_of(st.just("00:00:00"), st.times().map(lambda t: t.strftime("%H:%M:%S.%f")))
MOMENT = st.builds("{} {}".format, DAY, CLOCK)
FIRST = dt.datetime(1970, 1, 1, 0, 0, 1)
STAMP = st.datetimes(FIRST, dt.datetime(2038, 1, 19, 3, 14, 7)).map(str) | st.just("0000-00-00")
SPAN = st.builds(
    "{}{:02}:{:02}:{:02}.{:06}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 837),
    *[st.integers(0, 59)] * 2,
    st.integers(0, 999_999) | st.just(0),
)
FLOAT = st.floats(allow_nan=False, allow_infinity=False, width=32)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False)
SHORT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
LATIN = st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20), max_size=20)
RAW = st.binary(max_size=20)
LONG = st.builds(lambda text, times: text * times, SHORT, st.integers(0, 400))
ADDRESS = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(b) for b in n.to_bytes(4, "big")))

SRID = st.sampled_from([0, 4326, 3857])
PLACE = st.builds("{} {}".format, *[st.integers(-89, 89) | st.just(0.5)] * 2)
POINT = PLACE.map("POINT({})".format)
LINE = st.lists(PLACE, min_size=2, max_size=5, unique=True).map(
    lambda places: f"LINESTRING({', '.join(places)})"
)
COLLECTION = st.lists(POINT | LINE, min_size=1, max_size=3).map(
    lambda parts: f"GEOMETRYCOLLECTION({', '.join(parts)})"
)
FLOATS = st.lists(st.integers(-999, 999), min_size=3, max_size=3)


def drawn(shapes: st.SearchStrategy[str]) -> st.SearchStrategy[Sql]:
    return st.builds("ST_GeomFromText('{}', {})".format, shapes, SRID).map(Sql)


# Hypothesis soon makes its examples out of those before; the first ten are all its own.
_UNLIKE = 10
_SOME = settings(
    max_examples=_UNLIKE,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

BOTH: Kinds = {
    "TINYINT": whole(8)[0],
    "TINYINT UNSIGNED": whole(8)[1],
    "TINYINT(1)": whole(8)[0],
    "TINYINT(3) ZEROFILL": whole(8)[1],
    "SMALLINT": whole(16)[0],
    "SMALLINT UNSIGNED": whole(16)[1],
    "MEDIUMINT": whole(24)[0],
    "MEDIUMINT UNSIGNED": whole(24)[1],
    "INT": whole(32)[0],
    "INT UNSIGNED": whole(32)[1],
    "INT(9) ZEROFILL": whole(32)[1],
    "BIGINT": whole(64)[0],
    "BIGINT UNSIGNED": whole(64)[1],
    "BIGINT(60) ZEROFILL": whole(64)[1],
    "DECIMAL(10,0)": decimals(10, 0),
    "DECIMAL(18,6)": decimals(18, 6),
    "DECIMAL(38,9)": decimals(38, 9),
    "DECIMAL(65,30)": decimals(65, 30),
    "DECIMAL(9,2) UNSIGNED ZEROFILL": decimals(9, 2).map(lambda text: text.lstrip("-")),
    "FLOAT": FLOAT,
    "FLOAT UNSIGNED ZEROFILL": FLOAT.map(abs),
    "FLOAT(9,3)": st.floats(-999_999, 999_999),
    "DOUBLE": DOUBLE,
    "DOUBLE UNSIGNED": DOUBLE.map(abs),
    "DOUBLE(12,3) ZEROFILL": st.integers(0, 10**11).map(lambda n: n / 1000),
    "DATE": DAY,
    **{f"DATETIME({digits})": MOMENT for digits in range(7)},
    **{f"TIMESTAMP({digits}) NULL": STAMP for digits in (0, 3, 6)},
    **{f"TIME({digits})": SPAN for digits in (0, 1, 4, 6)},
    "YEAR": st.integers(1901, 2155) | st.just(0),
    "CHAR(20)": SHORT,
    "VARCHAR(20)": SHORT,
    "VARCHAR(21) CHARACTER SET latin1": LATIN,
    "VARCHAR(21) CHARACTER SET ucs2": LATIN,
    "TINYTEXT": LATIN,
    "TEXT": LATIN,
    "MEDIUMTEXT": SHORT,
    "LONGTEXT": LONG,
    "ENUM('a','','ü')": st.sampled_from(["a", "", "ü"]),
    "SET('a','b','ü')": st.sets(st.sampled_from("abü")).map(",".join),
    "JSON": st.sampled_from(["null", "[]", '{"a": "ü"}', '{"a":1,"a":2}']),
    "BINARY(20)": RAW,
    "VARBINARY(20)": RAW,
    "TINYBLOB": RAW,
    "BLOB": RAW,
    "MEDIUMBLOB": RAW,
    "LONGBLOB": st.builds(lambda raw, times: raw * times, RAW, st.integers(0, 400)),
    "GEOMETRY": drawn(POINT | LINE | COLLECTION),
    "POINT": drawn(POINT),
    "LINESTRING": drawn(LINE),
    "GEOMETRYCOLLECTION": drawn(COLLECTION),
    "BIT(1)": whole(1)[1],
    "BIT(17)": whole(17)[1],
    "BIT(63)": whole(63)[1],
    "BIT(64)": whole(64)[1],
}
MARIADB = {
    "UUID": st.uuids().map(str),
    "INET4": ADDRESS,
    "INET6": st.ip_addresses(v=6).map(str),
}
MYSQL = {"VECTOR(3)": FLOATS.map(lambda floats: Sql(f"STRING_TO_VECTOR('{floats}')"))}


def of(*, mariadb: bool) -> Kinds:
    """The types that a server has, by their names in SQL."""
    return BOTH | (MARIADB if mariadb else MYSQL)


def rows(kinds: Kinds, count: int, times: int, *, first: int) -> list[tuple[Any, ...]]:
    """About so many rows, each an example of hypothesis, from its `first` seed on.

    They come so many `times`, each time with other neighbours, since it is costly to think one up.
    """
    found: list[tuple[Any, ...]] = []
    values = st.tuples(*(st.one_of(each, each, each, st.none()) for each in kinds.values()))

    def gather(row: tuple[Any, ...]) -> None:
        found.append(row)

    for turn in range(-(-count // _UNLIKE)):
        seed(first + turn)(_SOME(given(values)(gather)))()
    columns = list(zip(*found, strict=True))
    nothing = (None,) * len(columns)
    return [nothing] + [
        tuple(column[(at + turn * place) % len(found)] for place, column in enumerate(columns))
        for turn in range(times)
        for at in range(len(found))
    ]


def literal(value: Any) -> str:
    """A value as SQL; texts in hex, so that no character means anything."""
    match value:
        case None:
            return "NULL"
        case Sql():
            return value
        case str():
            return f"_utf8mb4 x'{value.encode().hex()}'" if value else "''"
        case bytes():
            return f"x'{value.hex()}'"
        case _:
            return repr(value)
