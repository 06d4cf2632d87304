"""What the warehouse keeps: tables and transactions, refusals in the driver's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq

from s3rs_async.redshift import schema as spelling
from tests.simulation.expressions import Row, UnknownStatementError
from tests.simulation.stage import Thing

_COLUMN = re.compile(r'"?(\w+)"? ([A-Z ]+?(?:\(\d+(?:, ?\d+)?\))?)( NOT NULL| DEFAULT .*)?')
_SPELLED = {ours: theirs for theirs, ours in spelling._SPELLINGS.items()}


def refuse(state: str, message: str) -> Exception:
    """The driver's own error for a server's refusal."""
    return asyncpg.exceptions.PostgresError.new({"S": "ERROR", "C": state, "M": message})


def conflict() -> Exception:
    """What a transaction is told that would overwrite another's work."""
    return refuse("XX000", "1023 DETAIL:  Serializable isolation violation on table")


class BlockedError(Exception):
    """The statement must wait for a lock."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it was declared."""

    name: str
    type: str
    not_null: bool


@dataclass(eq=False, slots=True)
class Table:
    """A table's columns and its committed rows, which are replaced whole and never changed."""

    columns: tuple[Column, ...]
    rows: dict[int, Row] = field(default_factory=dict)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = [column.name for column in self.columns]


@dataclass(eq=False, slots=True)
class Transaction:
    """What a transaction sees and has changed; `implicit` ends with its statement."""

    implicit: bool
    snapshot: dict[str, dict[int, Row]] | None = None
    changed: dict[str, dict[int, Row]] = field(default_factory=dict)
    gone: dict[str, set[int]] = field(default_factory=dict)
    temps: list[str] = field(default_factory=list)
    failed: bool = False


@lru_cache(1024)
def definitions(text: str) -> tuple[Column, ...]:
    """The columns in a table's brackets; what stands behind the closing one is layout."""
    return tuple(_declared(each) for each in _split(text))


def _split(text: str) -> list[str]:
    """The definitions in a table's brackets; what stands behind the closing one is layout."""
    found, depth = [""], 1
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return found
        if sign == "," and depth == 1:
            found.append("")
        else:
            found[-1] += sign
    raise UnknownStatementError(text)


def _declared(text: str) -> Column:
    found = _COLUMN.fullmatch(text.strip())
    if found is None:
        raise UnknownStatementError(text)
    return Column(found[1], found[2].strip(), found[3] == " NOT NULL")


def spelled(declared: str) -> str:
    """A type as the catalogue spells it."""
    name, bracket, rest = declared.partition("(")
    return _SPELLED.get(name, name.lower()) + bracket + rest


def rows_in(thing: Thing) -> list[Row]:
    """A parquet file's rows."""
    table = pq.ParquetFile(pa.BufferReader(thing.body)).read(use_threads=False)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
