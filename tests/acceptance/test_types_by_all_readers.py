"""A table with every type and made-up rows is the same to all who read it, on MariaDB and MySQL.

Read by both protocols of ours and by another driver (`third`); synced, and then read from Redshift,
and from the parquet files by pyarrow and by duckdb. All columns of all rows are compared, none is
left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_async.mysql import digest
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.sql import Page
from s3rs_async.redshift import digest as target_digest
from s3rs_async.redshift.digest import Span
from tests.acceptance import kinds, ledger, third
from tests.acceptance.compare import redshift
from tests.acceptance.ledger import Place
from tests.acceptance.running import Commands, config
from tests.acceptance.source import application, configured, plan_of
from tests.acceptance.test_mysql_both_protocols import read
from tests.servers import figures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL

    Row = tuple[Any, ...]

_AT_ONCE = 50
_WITHIN = 600.0
pytestmark = pytest.mark.timeout(900)  # seconds where a processor is free


class Extent(NamedTuple):
    """How many rows are thought up, how often each comes, and whether they are the same ones."""

    examples: int
    times: int
    again: bool


Synced = Callable[[], list[Path]]
NOT_TOLD = ("FLOAT", "DOUBLE", "GEOM", "POINT", "LINE")
SHORT = Extent(60, 4, again=True)
WHOLE = Extent(1000, 4, again=False)


@pytest.fixture
def synced(server: MySQL, home: str, box: Box, forks: Commands, tmp_path: Path) -> Synced:
    """A way to sync the table to Redshift, which gives the parquet files that went there."""

    def run() -> list[Path]:
        login = {"user": server.user, "password": server.password, "tls": "off"}
        sources = {"mysql": {"host": server.host, "port": server.port, **login}}
        settings = {**box.environment, **config(box, tmp_path, sources=sources)}
        call = forks.start("-t", f"{home}.a", environment=settings)
        assert call.ended(_WITHIN) == 0, call.told[-3000:]
        place, files = Place(box, f"{home}.a"), []
        ledger.check(place)
        for folder, names in sorted(ledger.look(place).batches.items()):
            for name in sorted(each for each in names if each.endswith(".parquet")):
                files.append(tmp_path / f"{len(files)}-{name}")
                files[-1].write_bytes(ledger.get(place, f"{folder}/{name}") or b"")
        return files

    return run


@pytest.mark.parametrize(
    "extent",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(WHOLE, id="whole", marks=[pytest.mark.thorough, pytest.mark.timeout(3600)]),
    ],
)
async def test_every_type_is_the_same_to_all_readers(
    extent: Extent,
    server: MySQL,
    home: str,
    box: Box,
    synced: Synced,
    record_property: Any,
) -> None:
    family = "MariaDB" if server is box.mysql else "MySQL"
    types = kinds.of(mariadb=server is box.mysql)
    seed = 1 if extent.again else secrets.randbelow(10**9)
    rows = kinds.rows(types, extent.examples, extent.times, first=seed)
    _filled(server, home, types, rows)
    names = ["id", *types]

    table = await _by_both_protocols(server, home)
    ours = list(zip(*table.to_pydict().values(), strict=True))
    assert len(ours) == len(rows)
    for name, column in zip(names, zip(*ours, strict=True), strict=True):
        assert any(value is not None for value in column), (name, seed)

    theirs = await third.rows(
        server, home, f"SELECT id, {third.columns(list(types))} FROM a ORDER BY id"
    )
    shown, changed = map(third.as_shown, names), map(third.as_ours, names)
    _assert_same(seed, "aiomysql", names, _by(shown, ours), _by(changed, theirs))

    files = synced()
    loaded = redshift(box.redshift.url, f"SELECT * FROM {home}.a ORDER BY id")
    _assert_same(seed, "Redshift", names, ours, loaded)
    _assert_same(seed, "pyarrow", names, ours, _by_pyarrow(files))
    _assert_same(seed, "duckdb", names, ours, _by_duckdb(files))
    assert await _digests(server, home, box, types) == {
        kind: "not told" if kind.startswith(NOT_TOLD) else "equal" for kind in types
    }
    told = f"{len(rows)} rows of {len(types)} types, {extent.examples} thought up, seed {seed}"
    record_property(*figures.told(f"{family}: {told}, the same to all readers"))


def _by(changes: Iterable[third.Change], rows: list[Row]) -> list[Row]:
    """Rows with the values of each column changed."""
    each = list(changes)
    return [
        tuple(
            None if value is None else change(value)
            for change, value in zip(each, row, strict=True)
        )
        for row in rows
    ]


def _assert_same(
    seed: int, reader: str, names: list[str], ours: list[Row], theirs: list[Row]
) -> None:
    """Say where the first difference of each column is."""
    assert len(theirs) == len(ours), reader
    columns = zip(names, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)
    wrong = {
        name: next(pair for pair in zip(one, other, strict=True) if pair[0] != pair[1])
        for name, one, other in columns
        if one != other
    }
    assert wrong == {}, f"ours, and by {reader}; seed {seed}"


def _filled(server: MySQL, home: str, types: kinds.Kinds, rows: list[tuple[Any, ...]]) -> None:
    columns = [f"c{at} {kind}" for at, kind in enumerate(types)]
    values = [f"({', '.join(map(kinds.literal, row))})" for row in rows]
    into = f"INSERT INTO a ({', '.join(f'c{at}' for at in range(len(types)))}) VALUES "
    with application(server, home, "'+00:00'") as run:
        run("SET sql_mode = 'ALLOW_INVALID_DATES'")
        run(
            f"CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, {', '.join(columns)}) "
            "CHARSET=utf8mb4"
        )
        for at in range(0, len(values), _AT_ONCE):
            run(into + ", ".join(values[at : at + _AT_ONCE]))


async def _by_both_protocols(server: MySQL, home: str) -> pa.Table:
    """What both protocols read, down to the positions that rows give."""
    by_text = Source(home, configured(server, protocol="text"))
    by_binary = Source(home, configured(server, protocol="binary"))
    plan = await plan_of(by_text)
    async with by_text.session(purpose="test") as one, by_binary.session(purpose="test") as other:
        expected, found = await read(one, plan), await read(other, plan)
    assert found[0] == expected[0]
    assert found[1].schema == expected[1].schema
    for name in expected[1].column_names:
        assert found[1][name].combine_chunks().equals(expected[1][name].combine_chunks()), name
    assert found[2:] == expected[2:]
    return expected[1]


async def _digests(server: MySQL, home: str, box: Box, types: Iterable[str]) -> dict[str, str]:
    """Of each column whether the sum of its digests, as `verify` asks for it, is the same."""
    source = Source(home, configured(server))
    plan = await plan_of(source)
    compared = {cell.name: cell for cell in digest.comparison(plan).compared}
    told = {}
    async with source.session(purpose="test") as session:
        for kind, column in zip(types, plan.source.columns[1:], strict=True):
            cell = compared.get(column.name)
            if cell is None:
                told[kind] = "not told"
                continue
            ours = await session.query(digest.total(Page(plan.source.name, ()), [cell]))
            statement = target_digest.total(plan.source.name, Span(()), [cell])
            theirs = redshift(box.redshift.url, statement)
            pairs = zip(ours[0], theirs[0], strict=True)
            equal = all(int(our or 0) == their for our, their in pairs)
            told[kind] = "equal" if equal else f"{ours} and {theirs}"
    return told


def _by_pyarrow(files: list[Path]) -> list[Row]:
    table = pa.concat_tables(pq.read_table(file) for file in files)
    return _by_id(list(zip(*table.to_pydict().values(), strict=True)))


def _by_duckdb(files: list[Path]) -> list[Row]:
    with duckdb.connect() as connection:
        read = connection.execute("SELECT * FROM read_parquet(?)", [[str(file) for file in files]])
        return _by_id(read.fetchall())


def _by_id(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[0])
